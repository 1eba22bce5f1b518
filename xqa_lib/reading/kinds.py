"""Has a reader understood the question, or only what kind of answer it asks for? Factbook alone can tell.

Its passages state whole groups of facts whose answers are of one kind: three places, two dates. A reader that
recognises the kind, and understands no more, picks one of the group. What it scores is the *guess by kind*, the floor
beside every score. A system's exact match is a product:

    EM = share of the answers that are of the right kind × share of these that are right

The second share alone tells what was understood of the question, and only as far as it is above its *chance*, one over
the size of the group.
"""

import numpy as np
import pandas as pd
from scipy import stats

from .. import significance
from ..data.prepared import metric_of
from ..errors import DataError
from ..metrics import best_metric
from .evaluation import COLUMNS, KEY, TASKS, of_task

GUESS = "guess-by-kind"  # the name of the system that guesses
SHARE_COLUMNS = ["set", "task", "system", "right_kind", "right_given_kind", "low", "high", "chance", "above_chance"]


def guess_scores(scores, kinds):
    """The scores to expect of a guess among the stated answers of the right kind, question by question.

    Exact: the mean over all guesses, each scored by the metric of the set.

    Args:
        scores: DataFrame with the columns set and `KEY`: the questions; repeated ones count once.
        kinds: as `prepared.read_kinds`.

    Returns:
        DataFrame with the columns `COLUMNS`, rank 0 and no prediction; without the sets whose kinds are not known.

    Raises:
        DataError: a question of a set with kinds has none.
    """
    keys = _of_known_kind(scores, kinds)[["set", *KEY]].drop_duplicates()
    stated, expected = _Stated(kinds), {}
    for name, question_id, _, language in keys.itertuples(index=False):
        if (name, question_id, language) not in expected:
            kind, gold = stated.asked(name, question_id, language)
            guesses = [answer for other, answer, _ in stated.answers(name, question_id, language) if other == kind]
            measure = best_metric(metric_of(name))
            found = [measure(guess, [gold], language) for guess in guesses]
            expected[name, question_id, language] = np.mean(found, axis=0).tolist()
    rows = [(*key, *expected[key[0], key[1], key[3]], 0, "") for key in keys.itertuples(index=False, name=None)]
    return pd.DataFrame(rows, columns=COLUMNS)


def right_kinds(scores, kinds):
    """Whether each predicted answer is of the kind that the question asks for.

    It is if the stated answer that it matches exactly, or else shares most with, is of that kind, and if it shares at
    least half with it. What is shared is F1 by the metric of the set. So a date without its year is a date, and a
    passage with answers of several kinds in it is none. Where two kinds share equally much, the right one counts. (In
    Thai, an answer is one word to SQuAD's metric: it is matched exactly or not at all.)

    Args:
        scores: as `evaluation.score`.
        kinds: as `prepared.read_kinds`.

    Returns:
        list of 0 and 1, in the order of the rows. An exact match is of the right kind.

    Raises:
        DataError: a question has no kinds.
    """
    stated, judged = _Stated(kinds), {}
    columns = ["set", "id", "context_lang", "prediction"]
    for row in scores[columns].drop_duplicates().itertuples(index=False, name=None):
        *key, prediction = row
        kind, _ = stated.asked(*key)
        measure = best_metric(metric_of(key[0]))
        most = {True: 0.0, False: 0.0}
        for other, answer, _ in stated.answers(*key) if prediction.strip() else ():
            # two texts that both normalise to nothing match exactly, but share no word
            shared = max(measure(prediction, [answer], key[2]))
            most[other == kind] = max(most[other == kind], shared)
        judged[row] = int(most[True] >= max(0.5, most[False]))
    return [judged[row] for row in scores[columns].itertuples(index=False, name=None)]


def shares(scores, kinds, *, seed=0, resamples=2000):
    """The two shares whose product is the exact match of each system, in each set and task.

    Means are over language pairs, then seeds, as in the tables of scores. The interval of the second share counts
    seeds of the training and takes ids as clusters: it is that of `significance.seed_and_id_test`, where a ratio R of
    two means is as uncertain as the mean of (right - R × of the right kind) over that of the denominator (Cochran 1977,
    Sampling Techniques, section 6.4). That has no width where all are right, be they three: the interval reaches at
    least as far as the exact one of a share of as many ids as had an answer of the right kind (Clopper and Pearson
    1934, Biometrika 26).

    An answer of the right kind, and the one that is asked for, but with a word too many is not right here, though a
    guess with whole answers would be: the share errs on the side of chance.

    Args:
        scores: DataFrame with columns system, seed and `evaluation.COLUMNS`.
        kinds: as `prepared.read_kinds`.
        seed, resamples: of the test.

    Returns:
        DataFrame with the columns `SHARE_COLUMNS`, in points: right_kind; right_given_kind with the ends of its 95%
        interval, low and high; chance, what a guess by kind would be right in, of the answers that are of the right
        kind (a system may recognise the kinds of small groups alone); above_chance: is low above chance? Where no
        answer is of the right kind, the numbers after that share are missing. A set with same-language pairs only has
        the task "xlt" alone, one whose kinds are not known has none.
    """
    scores = _of_known_kind(scores, kinds)
    guess = guess_scores(scores, kinds)[["set", *KEY, "em"]].rename(columns={"em": "chance"})
    table = scores.assign(right_kind=right_kinds(scores, kinds)).merge(guess, on=["set", *KEY], validate="many_to_one")
    rows = []
    for name, of_set in table.groupby("set", sort=False):
        parts = {task: of_task(of_set, task) for task in TASKS}
        if not len(parts["gxlt_off_diagonal"]):  # else "gxlt" would only repeat "xlt"
            del parts["gxlt"]
        for task, of_pairs in parts.items():
            for system, part in of_pairs.groupby("system", sort=False):
                found = _shares(part, seed=seed, resamples=resamples)
                rows.append((name, task, system, *(100 * value for value in found), found[2] > found[4]))
    return pd.DataFrame(rows, columns=SHARE_COLUMNS)


def _shares(part, *, seed, resamples):
    """(right kind, right given kind, low, high, chance) of one system in one task, from 0 to 1."""
    part = part.assign(chance=part["right_kind"] * part["chance"])
    # every seed has the same questions, so that the means over their rows are the means of the seeds' means
    means = part.groupby(KEY[1:])[["em", "right_kind", "chance"]].mean().mean()
    kind = means["right_kind"]
    if kind == 0:
        return (0.0, *[float("nan")] * 4)
    ratio = means["em"] / kind
    runs = {run: of_run.set_index(KEY) for run, of_run in part.groupby("seed")}
    effect = significance.seed_and_id_test(
        {run: of_run["em"] for run, of_run in runs.items()},
        {run: ratio * of_run["right_kind"] for run, of_run in runs.items()},
        resamples=resamples,
        seed=seed,
    )
    n_ids = part.loc[part["right_kind"] == 1, "id"].nunique()
    right = ratio * n_ids
    exact_low = stats.beta.ppf(0.025, right, n_ids - right + 1) if right > 0 else 0.0
    exact_high = stats.beta.ppf(0.975, right + 1, n_ids - right) if right < n_ids else 1.0
    low, high = min(exact_low, ratio + effect.low / kind), max(exact_high, ratio + effect.high / kind)
    return kind, ratio, max(0.0, low), min(1.0, high), means["chance"] / kind


def _of_known_kind(scores, kinds):
    """The rows of the sets whose kinds are known."""
    return scores[scores["set"].isin(set(kinds["set"]))]


class _Stated:
    """The answers that passages state, by set, id of the question and language of the passage."""

    def __init__(self, kinds):
        self._answers = {}
        for name, question_id, language, kind, answer, right in kinds.itertuples(index=False):
            self._answers.setdefault((name, question_id, language), []).append((kind, answer, right))

    def answers(self, *key):
        """list of (kind, answer, is it the right one?)."""
        if key not in self._answers:
            raise DataError(
                f"no kinds of the question {key[1]!r} of {key[0]} with a passage in {key[2]}: are scores and kinds.csv "
                "of the same data? Run the data stage again, and score again"
            )
        return self._answers[key]

    def asked(self, *key):
        """(kind, answer) that the question asks for."""
        return next((kind, answer) for kind, answer, right in self.answers(*key) if right)
