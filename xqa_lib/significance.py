"""Is one system better than another? Paired tests over the same questions in the same language pairs.

All tests work on differences of scores that share a key (id, question_lang, context_lang): they pair by key, never by
order, and a subset is compared by filtering the keys *before* testing. (In the paper's released code the Wilcoxon test
ran on the unfiltered sample, paired by the order of the files.)

Two tests with different questions and assumptions:

- `paired_wilcoxon`, the paper's test: are the differences symmetric about zero? It takes all keys as independent.
- `paired_bootstrap`: how large is the mean difference, and how sure are we? It resamples whole ids by default, because
  the up to 49 language pairs of one id ask the same question about the same passage and are right or wrong together.

Where ids recur in many language pairs, the Wilcoxon p-value is too small for that reason; believe the bootstrap.
Neither test knows how much another random seed of the training would change.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .languages import LANGUAGES, require

KEY = ("id", "question_lang", "context_lang")
TASKS = ("xlt", "gxlt_off_diagonal", "gxlt")
# Differences of F1 that are equal as fractions can differ in the last bits of their floats (0.8 - 0.6, 0.4 - 0.2);
# unrounded they would get different ranks, or count as not zero.
_DECIMALS = 12
_BLOCK = 1 << 20  # cells resampled at once: some 20 MB


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a paired test of scores a against scores b, in the unit of the scores.

    Attributes:
        n: number of keys, pairs of scores.
        n_nonzero: of these, how many differ.
        difference: mean of a - b.
        statistic: the smaller sum of signed ranks (Wilcoxon); the mean difference (bootstrap).
        p_value: two-sided.
        low, high: ends of the confidence interval of the mean difference (bootstrap); NaN (Wilcoxon).
        confidence: of that interval, in (0, 1); NaN (Wilcoxon).
    """

    n: int
    n_nonzero: int
    difference: float
    statistic: float
    p_value: float
    low: float
    high: float
    confidence: float


def _examples(keys, most=3):
    """A few keys for a message: "('q1', 'en', 'de'), ... " and how many more there are."""
    shown = ", ".join(str(tuple(key)) for key in keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"


def _checked(scores, name):
    if not isinstance(scores, pd.Series):
        raise TypeError(f"{name} must be a pandas Series of scores, got {type(scores).__name__}")
    if scores.index.nlevels != len(KEY):
        raise ValueError(
            f"{name} must be indexed by the three levels {', '.join(KEY)}, found {scores.index.nlevels} level(s) "
            f"{list(scores.index.names)}; use table.set_index([{', '.join(map(repr, KEY))}])"
        )
    repeated = scores.index[scores.index.duplicated()].unique()
    if len(repeated):
        raise ValueError(
            f"{name} has more than one score for {_examples(repeated)}; average over the seeds, or filter to one run, "
            "set and system first"
        )
    missing = scores.index[~np.isfinite(scores.to_numpy(dtype=float))]
    if len(missing):
        raise ValueError(f"{name} has no finite score for {_examples(missing)}; an unanswered question scores 0")
    return scores.astype(float)


def _differences(scores_a, scores_b, names=("scores_a", "scores_b")):
    """a - b as a Series sorted by key, rounded to `_DECIMALS`; raises as `paired_wilcoxon`."""
    a, b = (_checked(scores, name) for scores, name in zip((scores_a, scores_b), names, strict=True))
    if list(a.index.names) != list(b.index.names):
        raise ValueError(
            f"the index levels of {names[0]} are {list(a.index.names)}, those of {names[1]} {list(b.index.names)}; "
            "name and order them alike"
        )
    only_a, only_b = a.index.difference(b.index), b.index.difference(a.index)
    if len(only_a) or len(only_b):
        parts = [
            f"{len(keys)} only in {name}: {_examples(keys)}"
            for keys, name in ((only_a, names[0]), (only_b, names[1]))
            if len(keys)
        ]
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same keys; {'; '.join(parts)}. "
            "Filter both to the same questions and language pairs, or score the missing ones as 0"
        )
    if a.empty:
        raise ValueError(f"{names[0]} and {names[1]} are empty; does the filter leave any question?")
    a = a.sort_index()
    return (a - b.reindex(a.index)).round(_DECIMALS)


def _wilcoxon(differences):
    values = differences.to_numpy()
    nonzero = values[values != 0]
    statistic, p_value = 0.0, 1.0
    if len(nonzero):
        # scipy would drop the zeros too, but choose the distribution by the number of all differences
        statistic, p_value = stats.wilcoxon(nonzero, alternative="two-sided")
    return Comparison(
        n=len(values),
        n_nonzero=len(nonzero),
        difference=float(values.mean()),
        statistic=float(statistic),
        p_value=float(p_value),
        low=np.nan,
        high=np.nan,
        confidence=np.nan,
    )


def paired_wilcoxon(scores_a, scores_b):
    """Wilcoxon's signed-rank test, two-sided, paired by key: the test of the paper.

    Keys with equal scores are left out first (Wilcoxon 1945), so the result says nothing about how often the systems
    differ: see `n_nonzero`. `scipy.stats.wilcoxon` takes the exact distribution of up to 50 differences that remain, or
    13 where some tie, and the normal approximation corrected for ties of more. Differences are rounded to 12 decimals
    first, so that equal ones tie.

    The test takes the keys as independent. Over several language pairs of the same ids they are not, and the p-value is
    too small: see `paired_bootstrap`.

    Args:
        scores_a, scores_b: Series of finite scores, indexed by (id, question_lang, context_lang), in any order. Other
            names of the three levels will do if both have the same.

    Returns:
        `Comparison` of a - b, in the unit of the scores; low, high and confidence are NaN. If all scores are equal:
        p-value 1, statistic 0.

    Raises:
        TypeError: not a Series.
        ValueError: not three index levels, unequal names, a repeated key, a score that is not finite, different keys
            in a and b, or none at all.
    """
    return _wilcoxon(_differences(scores_a, scores_b))


def _resampled_means(sums, counts, resamples, rng):
    """Means of `resamples` draws with replacement of len(sums) clusters, given each cluster's sum and count."""
    n = len(sums)
    equal = bool((counts == counts[0]).all())  # then the number of scores does not vary: half the work
    means = np.empty(resamples)
    rows = max(1, _BLOCK // n)
    for first in range(0, resamples, rows):
        drawn = rng.integers(n, size=(min(rows, resamples - first), n))
        scores = n * counts[0] if equal else counts.take(drawn).sum(axis=1)
        means[first : first + rows] = sums.take(drawn).sum(axis=1) / scores
    return means


def _bootstrap(differences, *, resamples, confidence, seed, cluster):
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 1:
        raise ValueError(f"resamples must be an integer >= 1, got {resamples!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence!r}; 0.95 stands for 95%")
    names = list(differences.index.names)
    if cluster == "auto":
        cluster = "id" if "id" in names else None
    values = differences.to_numpy()
    sums, counts = values, np.ones(len(values))
    if cluster is not None:
        if cluster not in names:
            raise ValueError(f"cluster must be a level of the index, one of {names}, or None, got {cluster!r}")
        codes = pd.factorize(differences.index.get_level_values(cluster))[0]
        sums, counts = np.bincount(codes, weights=values), np.bincount(codes).astype(float)
    if len(sums) < 2:
        unit = "key" if cluster is None else f"value of {cluster!r}"
        raise ValueError(f"the bootstrap needs more than one {unit} to resample, found {len(sums)}; use more questions")
    means = _resampled_means(sums, counts, resamples, np.random.default_rng(seed)).round(_DECIMALS)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    other_side = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    difference = float(values.mean())
    return Comparison(
        n=len(values),
        n_nonzero=int(np.count_nonzero(values)),
        difference=difference,
        statistic=difference,
        p_value=float(min(1, 2 * (other_side + 1) / (resamples + 1))),
        low=float(low),
        high=float(high),
        confidence=float(confidence),
    )


def paired_bootstrap(scores_a, scores_b, *, resamples=10_000, confidence=0.95, seed=0, cluster="auto"):
    """Percentile interval and two-sided p-value of the mean difference a - b, by resampling pairs of scores.

    The unit that is resampled must be what is independent. The up to 49 language pairs of one id are one question about
    one passage, asked again and again: as independent draws they would make the interval up to seven times too narrow.
    Therefore whole ids are resampled by default, each with all its language pairs.

    The p-value is twice the share of resampled means on the other side of zero, or at zero; one is added to both counts
    so that it is never 0 (Davison and Hinkley 1997, chapter 4). At 10,000 resamples the smallest one is 0.0002.

    Args:
        scores_a, scores_b: as for `paired_wilcoxon`.
        resamples: number of resampled data sets, >= 1.
        confidence: of the interval, in (0, 1).
        seed: of `numpy.random.default_rng`. Equal seeds give equal results, in whatever order the scores come.
        cluster: index level whose values are resampled whole; None: every key by itself; "auto": "id" if the index has
            a level of that name, else None.

    Returns:
        `Comparison` of a - b, in the unit of the scores.

    Raises:
        TypeError, ValueError: as `paired_wilcoxon`; also an option out of its range, a cluster that is no level of the
            index, fewer than two clusters.
    """
    differences = _differences(scores_a, scores_b)
    return _bootstrap(differences, resamples=resamples, confidence=confidence, seed=seed, cluster=cluster)


def holm(p_values):
    """Holm's step-down adjustment: p-values that bound the chance of any false discovery in the family.

    The i-th smallest of m p-values is multiplied by m - i + 1, made no smaller than those before it, and cut at 1
    (Holm 1979, Scandinavian Journal of Statistics 6).

    Args:
        p_values: Series, or any sequence of numbers in [0, 1]; the family.

    Returns:
        Series with the same index and name for a Series, else a list; in the order of `p_values`.

    Raises:
        ValueError: a value that does not lie in [0, 1].
    """
    values = np.asarray(p_values, dtype=float)
    wrong = values[~((values >= 0) & (values <= 1))]
    if wrong.size:
        raise ValueError(f"p-values must lie in [0, 1], got {wrong[0]}")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    if isinstance(p_values, pd.Series):
        return pd.Series(adjusted, index=p_values.index, name=p_values.name)
    return adjusted.tolist()


def _mean_over_seeds(scores, value):
    """Series of mean scores, indexed by (set, system, id, question_lang, context_lang), and Series of numbers of seeds.

    Refuses what would make the means unequal: a repeated row, or a seed that did not score all the others' keys.
    """
    columns = ["set", "system", *KEY]
    repeated = scores.duplicated([*columns, "seed"])
    if repeated.any():
        row = scores.loc[repeated, ["system", "seed", "set", *KEY]].iloc[0]
        place = ", ".join(f"{name} {cell}" for name, cell in row.items())
        raise ValueError(f"scores has more than one row for {place}; was a run read twice?")
    groups = scores.groupby(columns, observed=True)[value]
    counts = groups.size()
    seeds = scores.groupby(["set", "system"], observed=True)["seed"].nunique()
    expected = seeds.reindex(counts.index.droplevel(KEY)).to_numpy()
    uneven = counts[counts.to_numpy() != expected]
    if len(uneven):
        name, system, *key = uneven.index[0]
        raise ValueError(
            f"set {name!r}, system {system!r}: {seeds[name, system]} seeds, but {uneven.iloc[0]} of them scored "
            f"{tuple(key)}; every seed must score the same questions and language pairs"
        )
    return groups.mean(), seeds


def _check_scores(scores, baseline, value, by):
    if value not in ("f1", "em"):
        raise ValueError(f"value must be 'f1' or 'em', got {value!r}")
    if by not in (None, "question_lang", "context_lang"):
        raise ValueError(f"by must be None, 'question_lang' or 'context_lang', got {by!r}")
    missing = [name for name in ("system", "seed", "set", *KEY, value) if name not in scores.columns]
    if missing:
        raise ValueError(
            f"scores lacks the column(s) {', '.join(missing)}; found {', '.join(map(str, scores.columns))}"
        )
    empty = [name for name in ("system", "seed", "set", *KEY) if scores[name].isna().any()]
    if empty:
        raise ValueError(f"scores has empty cells in the column(s) {', '.join(empty)}; every row needs its key")
    systems = sorted(scores["system"].unique())
    if baseline not in systems:
        raise ValueError(f"the baseline {baseline!r} is not one of the systems {', '.join(map(repr, systems))}")
    if len(systems) == 1:
        raise ValueError(f"the baseline {baseline!r} is the only system in scores; add one to compare it with")
    wrong = scores.loc[~scores[value].between(0, 1), value]
    if len(wrong):
        raise ValueError(
            f"{value} must lie in 0..1, got {wrong.iloc[0]} in row {wrong.index[0]!r}; divide points by 100"
        )
    return [system for system in systems if system != baseline]


def _subsets(index, by):
    """Yield (task, language or None, mask) of the rows of each subset that is tested; empty ones are left out."""
    same = np.asarray(index.get_level_values("question_lang")) == np.asarray(index.get_level_values("context_lang"))
    masks = {"xlt": same}
    if not same.all():  # else "gxlt" would only repeat "xlt", and make Holm's family larger than it is
        masks |= {"gxlt_off_diagonal": ~same, "gxlt": np.ones_like(same)}
    languages = [None]
    if by is not None:
        present = {require(code).code for code in index.get_level_values(by).unique()}
        languages = [code for code in LANGUAGES if code in present]
    for task in TASKS:
        for language in languages:
            mask = masks.get(task)
            if mask is not None and language is not None:
                mask = mask & np.asarray(index.get_level_values(by) == language)
            if mask is not None and mask.any():
                yield task, language, mask


def compare_systems(scores, baseline, *, value="f1", by=None, seed=0, resamples=10_000):
    """Each system against the baseline, in each set and task: difference, interval, p-values.

    Scores are averaged over the seeds of the training first, key by key, so that three seeds do not count as three
    times as many questions. Then the keys of the task (and language) are filtered, then tested.

    Tasks: "xlt", question and context in the same language; "gxlt_off_diagonal", in different ones; "gxlt", both. A set
    with same-language pairs only has "xlt" alone. A difference is the mean over all rows of the task; where the
    language pairs differ in size (MLQA), it is not the difference of two means of 49 pair means.

    Args:
        scores: long table, one row per answer, with columns system, seed, set, id, question_lang, context_lang and
            `value` in 0..1. All systems must have scored the same keys of each set.
        baseline: the system that the others are compared with.
        value: "f1" or "em".
        by: None, or "question_lang" or "context_lang" for one row per language.
        seed, resamples: of `paired_bootstrap`; whole ids are resampled, 95% interval.

    Returns:
        Table sorted by set, task (as in `TASKS`), `by` (as in `LANGUAGES`) and system, with columns set, task, the
        column `by` if given, system, baseline, n (keys), n_ids (distinct ids), seeds (of the system), difference, low,
        high (points, 0..100; positive: better than the baseline), p_bootstrap, p_wilcoxon, p_holm. p_holm adjusts
        p_wilcoxon within each set over all its rows; with `by`, over the languages within set, task and system.

    Raises:
        ValueError: a missing column, an unknown baseline, value or language, scores outside 0..1, a repeated row, seeds
            or systems that scored different keys, no system beside the baseline, a subset with one id only.
    """
    systems = _check_scores(scores, baseline, value, by)
    means, seeds = _mean_over_seeds(scores, value)
    rows = []
    for name in sorted(scores["set"].unique()):
        absent = [system for system in [baseline, *systems] if (name, system) not in seeds.index]
        if absent:
            raise ValueError(
                f"set {name!r} has no scores of {', '.join(map(repr, absent))}; evaluate them on it, or leave out the "
                "set or the systems"
            )
        reference = means[name, baseline]
        differences = pd.DataFrame(
            {
                system: _differences(
                    means[name, system], reference, [f"system {who!r} on set {name!r}" for who in (system, baseline)]
                )
                for system in systems
            }
        )
        for task, language, mask in _subsets(differences.index, by):
            for system in systems:
                subset = differences.loc[mask, system]
                interval = _bootstrap(subset, resamples=resamples, confidence=0.95, seed=seed, cluster="id")
                rows.append(
                    {
                        "set": name,
                        "task": task,
                        **({} if by is None else {by: language}),
                        "system": system,
                        "baseline": baseline,
                        "n": interval.n,
                        "n_ids": subset.index.get_level_values("id").nunique(),
                        "seeds": int(seeds[name, system]),
                        "difference": 100 * interval.difference,
                        "low": 100 * interval.low,
                        "high": 100 * interval.high,
                        "p_bootstrap": interval.p_value,
                        "p_wilcoxon": _wilcoxon(subset).p_value,
                    }
                )
    table = pd.DataFrame(rows)
    family = ["set"] if by is None else ["set", "task", "system"]
    table["p_holm"] = table.groupby(family)["p_wilcoxon"].transform(holm)
    return table
