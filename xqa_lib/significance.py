"""Is one system better than another? Paired tests over the same questions in the same language pairs.

All tests work on differences of scores that share a key (id, question_lang, context_lang): they pair by key, never by
order, and a subset is compared by filtering the keys *before* testing. (In the paper's released code the Wilcoxon test
ran on the unfiltered sample, paired by the order of the files.)

Verdicts come from one test, `seed_and_id_test`: would another seed of the training and another draw of questions show
the difference again? Its p-value and its interval are two readings of one t distribution. `compare_systems` is that
test for a table of scores, `equivalence_p_value` asks the opposite question.

Two tests stay beside it, which know less; neither counts seeds:

- `paired_wilcoxon`, the paper's test: are the differences symmetric about zero? It takes all keys as independent. The
  up to 49 language pairs of one id ask the same question about the same passage and are right or wrong together, so
  that its p-value is too small.
- `paired_bootstrap`: how sure is the mean difference of these two sets of scores? It resamples whole ids by default.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .languages import in_order
from .sampling import KEY

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


@dataclass(frozen=True, slots=True)
class Effect:
    """Result of `seed_and_id_test` of scores a against scores b, in the unit of the scores.

    Attributes:
        n: number of keys, pairs of scores.
        n_ids: number of distinct ids.
        n_pairs: number of language pairs.
        seeds: number of differences per seed. 1: seeds were not counted, and the result is about these two readers, not
            about the ways they were trained.
        difference: a - b; mean over the seeds of the mean of the language pairs' means.
        standard_error: of the difference.
        degrees_of_freedom: of the t distribution; infinite where the standard error is 0.
        p_value: two-sided.
        low, high: ends of the confidence interval of the difference. Without 0 exactly if p_value < 1 - confidence.
        confidence: of that interval, in (0, 1).
    """

    n: int
    n_ids: int
    n_pairs: int
    seeds: int
    difference: float
    standard_error: float
    degrees_of_freedom: float
    p_value: float
    low: float
    high: float
    confidence: float

    @property
    def ruled_out(self):
        """The interval rules out every effect that is larger than this, in either direction."""
        return max(abs(self.low), abs(self.high))

    def in_points(self):
        """The row of a table, from scores in 0..1.

        Returns:
            dict n, n_ids, n_pairs, seeds; difference, low, high, ruled_out, standard_error (points, 0..100);
            degrees_of_freedom, p.
        """
        return {
            **{name: getattr(self, name) for name in ("n", "n_ids", "n_pairs", "seeds")},
            **{
                name: 100 * getattr(self, name) for name in ("difference", "low", "high", "ruled_out", "standard_error")
            },
            "degrees_of_freedom": self.degrees_of_freedom,
            "p": self.p_value,
        }


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
    too small: see `seed_and_id_test`.

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
    """Means of `resamples` draws with replacement of n clusters; sums and counts of their scores: (n, groups).

    A mean is that of the means of the groups. A group of which nothing was drawn is left out of that resample.
    """
    n = len(sums)
    means = np.empty(resamples)
    rows = max(1, _BLOCK // n)
    for first in range(0, resamples, rows):
        size = min(rows, resamples - first)
        cells = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, np.newaxis]
        times = np.bincount(cells.ravel(), minlength=size * n).reshape(size, n).astype(float)  # each cluster was drawn
        scores = times @ counts
        of_groups = (times @ sums) / np.maximum(scores, 1)
        means[first : first + size] = of_groups.sum(axis=1) / (scores > 0).sum(axis=1)
    return means.round(_DECIMALS)


def _check_options(resamples, confidence):
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 1:
        raise ValueError(f"resamples must be an integer >= 1, got {resamples!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence!r}; 0.95 stands for 95%")


def _bootstrap(differences, *, resamples, confidence, seed, cluster):
    _check_options(resamples, confidence)
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
    means = _resampled_means(sums[:, np.newaxis], counts[:, np.newaxis], resamples, np.random.default_rng(seed))
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


def _of_seed(runs, seed):
    """A seed's scores, or the only ones."""
    return runs[seed] if len(runs) > 1 else next(iter(runs.values()))


def _seed_differences(runs_a, runs_b, names):
    """a - b of every seed: DataFrame, rows sorted by key, a column per seed; raises as `seed_and_id_test`."""
    for runs, name in zip((runs_a, runs_b), names, strict=True):
        if not isinstance(runs, Mapping) or not runs:
            raise TypeError(f"{name} must map each seed to its Series of scores, got {runs!r:.60}")
    if len(runs_a) > 1 < len(runs_b) and set(runs_a) != set(runs_b):
        found = " and ".join(
            f"{name} seeds {', '.join(map(str, sorted(runs)))}"
            for runs, name in zip((runs_a, runs_b), names, strict=True)
        )
        raise ValueError(
            f"both sides need the same seeds, or one of them a single run, found {found}; train and score the missing "
            "ones, or leave out the others"
        )
    seeds = sorted(max(runs_a, runs_b, key=len))
    columns = {seed: _differences(_of_seed(runs_a, seed), _of_seed(runs_b, seed), names) for seed in seeds}
    first = columns[seeds[0]].index
    for seed, column in columns.items():
        if not column.index.equals(first):
            raise ValueError(
                f"seed {seed} scored other keys than seed {seeds[0]}: "
                f"{_examples(column.index.symmetric_difference(first))}; every seed must score the same questions and "
                "language pairs"
            )
    return pd.DataFrame(columns)


def _seed_and_id(differences, *, resamples, confidence, seed, clusters=None):
    """`Effect` of the differences of each seed (columns) at the same keys (rows)."""
    _check_options(resamples, confidence)
    index = differences.index
    if set(index.names) != set(KEY):
        raise ValueError(f"the index levels must be named {', '.join(KEY)}, found {list(index.names)}; rename them")
    ids = index.get_level_values("id")
    unknown = [] if clusters is None else [i for i in ids.unique() if i not in clusters]
    if unknown:
        raise ValueError(f"clusters names none for {len(unknown)} ids, such as {unknown[0]!r}; give every id one")
    units, unit_names = pd.factorize(ids if clusters is None else ids.map(clusters))
    pairs, pair_names = pd.factorize(index.droplevel("id"))
    n_units, n_pairs, seeds = len(unit_names), len(pair_names), differences.shape[1]
    if n_units < 2:
        unit = "id" if clusters is None else "cluster of ids"
        raise ValueError(f"the test needs more than one {unit} to resample, found {n_units}; use more questions")
    by_seed = differences.groupby(pairs).mean().mean().round(_DECIMALS)
    difference = float(by_seed.mean())
    of_seeds = float(by_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    sums, counts = np.zeros((n_units, n_pairs)), np.zeros((n_units, n_pairs))
    np.add.at(sums, (units, pairs), differences.mean(axis=1))
    np.add.at(counts, (units, pairs), 1)
    means = _resampled_means(sums, counts, resamples, np.random.default_rng(seed))
    # resampling n ids varies by (n - 1) / n of what drawing n new ones does
    of_ids = float(means.var()) * n_units / (n_units - 1)
    variance = of_seeds + of_ids
    error, degrees, half_width, p_value = 0.0, np.inf, 0.0, float(difference == 0)
    if variance > 10.0 ** (-2 * _DECIMALS):  # below, it is rounding
        error = variance**0.5
        # the components as shares of the variance: squares of tiny ones would vanish
        degrees = 1 / ((of_seeds / variance) ** 2 / max(seeds - 1, 1) + (of_ids / variance) ** 2 / (n_units - 1))
        half_width = error * float(stats.t.isf((1 - confidence) / 2, degrees))
        p_value = 2 * float(stats.t.sf(abs(difference) / error, degrees))
    return Effect(
        n=len(differences),
        n_ids=ids.nunique(),
        n_pairs=n_pairs,
        seeds=seeds,
        difference=difference,
        standard_error=error,
        degrees_of_freedom=degrees,
        p_value=p_value,
        low=difference - half_width,
        high=difference + half_width,
        confidence=float(confidence),
    )


def seed_and_id_test(scores_a, scores_b, *, resamples=10_000, confidence=0.95, seed=0, clusters=None):
    """Test and interval of the difference a - b that counts seeds of the training and clusters by id.

    The difference of a seed is the mean of its language pairs' means, so that a pair with more questions does not weigh
    more. Tested is the mean of these over the seeds. Its variance is the sum of two parts:

        seeds:  variance of the seeds' differences / number of seeds; the ids are the same for all
        ids:    variance over resamples of the ids, of the differences averaged over the seeds

    Ids are resampled whole, with all their language pairs, and the pairs' means are computed anew in every resample; n
    resampled ids vary by (n - 1) / n of what n new ones would, which is made up for. Difference / sqrt(variance) is
    taken to follow a t distribution whose degrees of freedom are those of the two parts (seeds - 1, ids - 1) by
    Satterthwaite's formula (1946, Biometrics Bulletin 2). p-value and interval are both read from it.

    What one seed does on one question alone enters both parts, so that the interval is too wide rather than too narrow
    (as in Owen 2007, Annals of Applied Statistics 1). Of simulated 95% intervals, 93 to 98% covered the truth (normal
    effects, 3 to 8 seeds, 40 and 80 ids, any ratio of the two parts).

    Args:
        scores_a, scores_b: mappings of seed -> Series as for `paired_wilcoxon`, with the levels named. Both have the
            same seeds, which are paired; or one has a single run, such as the zero-shot reader, that is compared with
            each seed of the other. Whether that run would come out alike with another seed is not asked.
        resamples: of the ids, >= 1. At 10,000 the variance over ids is known to 1.4%.
        confidence: of the interval, in (0, 1).
        seed: of `numpy.random.default_rng`. Equal seeds give equal results, in whatever order the scores come.
        clusters: mapping id -> what is resampled in its place, such as the article that the question is about; None:
            every id by itself.

    Returns:
        `Effect` of a - b, in the unit of the scores. With one seed, the variance over ids alone.

    Raises:
        TypeError, ValueError: as `paired_wilcoxon`; also no mapping, different seeds, seeds with different keys, an
            option out of its range, an id without a cluster, fewer than two ids or clusters.
    """
    differences = _seed_differences(scores_a, scores_b, ("scores_a", "scores_b"))
    return _seed_and_id(differences, resamples=resamples, confidence=confidence, seed=seed, clusters=clusters)


def equivalence_p_value(difference, standard_error, degrees_of_freedom, margin):
    """p-value of two one-sided tests: is the true difference within ± margin?

    Below 0.05 exactly where the 90% interval lies within the margin (Schuirmann 1987, Journal of Pharmacokinetics and
    Biopharmaceutics 15). A large p-value of `seed_and_id_test` alone is no sign of equivalence.

    Args:
        difference, standard_error, degrees_of_freedom: of an `Effect`, or columns of `compare_systems`.
        margin: largest difference that would not matter, > 0, in the unit of the difference.

    Returns:
        p-value or array of p-values, to be given to `holm` where there are several.

    Raises:
        ValueError: a margin that is not > 0.
    """
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin!r}")
    inside = margin - np.abs(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = stats.t.sf(inside / np.asarray(standard_error, dtype=float), degrees_of_freedom)
    return np.where(np.equal(standard_error, 0), np.where(inside > 0, 0.0, 1.0), p_value)[()]


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


def _runs(scores, value):
    """{(set, system): {seed: Series of scores by `KEY`}}.

    Refuses what would make the seeds unequal: a repeated row, or a seed that did not score all the others' keys.
    """
    columns = ["set", "system", *KEY]
    repeated = scores.duplicated([*columns, "seed"])
    if repeated.any():
        row = scores.loc[repeated, ["system", "seed", "set", *KEY]].iloc[0]
        place = ", ".join(f"{name} {cell}" for name, cell in row.items())
        raise ValueError(f"scores has more than one row for {place}; was a run read twice?")
    counts = scores.groupby(columns, observed=True).size()
    seeds = scores.groupby(["set", "system"], observed=True)["seed"].nunique()
    expected = seeds.reindex(counts.index.droplevel(KEY)).to_numpy()
    uneven = counts[counts.to_numpy() != expected]
    if len(uneven):
        name, system, *key = uneven.index[0]
        raise ValueError(
            f"set {name!r}, system {system!r}: {seeds[name, system]} seeds, but {uneven.iloc[0]} of them scored "
            f"{tuple(key)}; every seed must score the same questions and language pairs"
        )
    runs = {}
    for (name, system, seed), part in scores.groupby(["set", "system", "seed"], observed=True):
        runs.setdefault((name, system), {})[seed] = part.set_index(KEY)[value]
    return runs


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
        languages = in_order(index.get_level_values(by).unique())
    for task in TASKS:
        for language in languages:
            mask = masks.get(task)
            if mask is not None and language is not None:
                mask = mask & np.asarray(index.get_level_values(by) == language)
            if mask is not None and mask.any():
                yield task, language, mask


def compare_systems(scores, baseline, *, value="f1", by=None, seed=0, resamples=10_000):
    """Each system against the baseline, in each set and task: difference, interval, p-values.

    The keys of the task (and language) are filtered, then tested by `seed_and_id_test`: seeds of the training are
    counted, ids are clusters, language pairs weigh alike.

    Tasks: "xlt", question and context in the same language; "gxlt_off_diagonal", in different ones; "gxlt", both. A set
    with same-language pairs only has "xlt" alone.

    Args:
        scores: long table, one row per answer, with columns system, seed, set, id, question_lang, context_lang and
            `value` in 0..1. All systems must have scored the same keys of each set, and have the same seeds, or one
            only.
        baseline: the system that the others are compared with.
        value: "f1" or "em".
        by: None, or "question_lang" or "context_lang" for one row per language.
        seed, resamples: of `seed_and_id_test`.

    Returns:
        Table sorted by set, task (as in `TASKS`), `by` (`languages.in_order`) and system, with columns set, task, the
        column `by` if given, system, baseline, n (keys), n_ids, n_pairs, seeds (1: they were not counted), difference,
        low, high (points, 0..100; positive: better than the baseline; 95%), ruled_out (the interval rules out effects
        larger than this), standard_error (points), degrees_of_freedom, p, p_holm, p_wilcoxon. p_holm adjusts p within
        each set over all its rows; with `by`, over the languages within set, task and system. p_wilcoxon is the paper's
        test on the scores averaged over seeds: not adjusted, and too small (see `paired_wilcoxon`).

    Raises:
        ValueError: a missing column, an unknown baseline, value or language, scores outside 0..1, a repeated row, seeds
            or systems that scored different keys, systems with different seeds, no system beside the baseline, a subset
            with one id only.
    """
    systems = _check_scores(scores, baseline, value, by)
    runs = _runs(scores, value)
    rows = []
    for name in sorted(scores["set"].unique()):
        absent = [system for system in [baseline, *systems] if (name, system) not in runs]
        if absent:
            raise ValueError(
                f"set {name!r} has no scores of {', '.join(map(repr, absent))}; evaluate them on it, or leave out the "
                "set or the systems"
            )
        differences = {
            system: _seed_differences(
                runs[name, system],
                runs[name, baseline],
                [f"system {who!r} on set {name!r}" for who in (system, baseline)],
            )
            for system in systems
        }
        for task, language, mask in _subsets(differences[systems[0]].index, by):
            for system in systems:
                subset = differences[system][mask]
                effect = _seed_and_id(subset, resamples=resamples, confidence=0.95, seed=seed)
                rows.append(
                    {
                        "set": name,
                        "task": task,
                        **({} if by is None else {by: language}),
                        "system": system,
                        "baseline": baseline,
                        **effect.in_points(),
                        "p_wilcoxon": _wilcoxon(subset.mean(axis=1).round(_DECIMALS)).p_value,
                    }
                )
    table = pd.DataFrame(rows)
    family = ["set"] if by is None else ["set", "task", "system"]
    table.insert(table.columns.get_loc("p") + 1, "p_holm", table.groupby(family)["p"].transform(holm))
    return table
