"""The tests of significance: small cases worked out by hand, pairing by key, filtering before testing."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xqa_lib.errors import DataError
from xqa_lib.significance import (
    KEY,
    Comparison,
    compare_systems,
    equivalence_p_value,
    holm,
    paired_bootstrap,
    paired_wilcoxon,
    seed_and_id_test,
)


def series(values, *, ids=None, question="en", context="en", names=KEY):
    """Scores of one language pair, ids q0, q1, ... unless given."""
    ids = ids or [f"q{i}" for i in range(len(values))]
    return pd.Series(values, pd.MultiIndex.from_tuples([(i, question, context) for i in ids], names=names))


def many_pairs(values, languages="abcdefg"):
    """One value per id, the same in all pairs of languages."""
    keys = [(f"q{i}", q, c) for i in range(len(values)) for q in languages for c in languages]
    return pd.Series(np.repeat(values, len(languages) ** 2), pd.MultiIndex.from_tuples(keys, names=KEY))


ZERO = series([0.0] * 5)


def test_wilcoxon_by_hand():
    # Differences .1 .2 .3 .4 -.5: ranks 1...5, the smaller sum is that of the one negative difference, 5. Of the 32
    # sign patterns, those with a sum <= 5: {} 1 2 3 4 5 12 13 14 23: 10, so p = 2 * 10 / 32.
    result = paired_wilcoxon(series([0.1, 0.2, 0.3, 0.4, 0.0]), series([0.0, 0.0, 0.0, 0.0, 0.5]))
    assert (result.n, result.n_nonzero, result.statistic) == (5, 5, 5.0)
    assert result.difference == pytest.approx(0.1)
    assert result.p_value == pytest.approx(20 / 32)
    assert all(map(math.isnan, (result.low, result.high, result.confidence)))


def test_wilcoxon_leaves_equal_scores_out():
    # five positive differences, all alike: the sums are 15 and 0, p = 2 / 32; the three zeros change nothing
    result = paired_wilcoxon(series([0.8, 0.4, 0.9, 0.5, 0.2, 1, 0.5, 0]), series([0.6, 0.2, 0.7, 0.3, 0.0, 1, 0.5, 0]))
    assert (result.n, result.n_nonzero, result.statistic) == (8, 5, 0.0)
    assert result.p_value == pytest.approx(2 / 32)
    assert result.difference == pytest.approx(1 / 8)


@pytest.mark.parametrize("equal", [0, 1, 11, 60])
@pytest.mark.parametrize("gains", [[0.1, 0.2, 0.3], [0.2, 0.2, 0.2]])
def test_wilcoxon_is_exact_for_few_that_differ(gains, equal):
    # of the 8 sign patterns two are as extreme, whatever the number of equal scores: p = 2 / 8
    result = paired_wilcoxon(series(gains + [0.5] * equal), series([0.0] * 3 + [0.5] * equal))
    assert (result.n, result.n_nonzero, result.p_value) == (3 + equal, 3, 0.25)


def test_wilcoxon_ties_differences_that_are_equal_but_for_rounding():
    # as floats 0.3 - 0.1 < 0.2 < 0.8 - 0.6, but all are one fifth: ranks 2 2 2, where unrounded the last had rank 3
    assert 0.3 - 0.1 < 0.2 < 0.8 - 0.6
    result = paired_wilcoxon(series([0.3, 0.2, 0.6]), series([0.1, 0.0, 0.8]))
    assert result.statistic == 2.0


def test_wilcoxon_of_equal_systems():
    result = paired_wilcoxon(series([0.5, 1.0, 0.1 + 0.2]), series([0.5, 1.0, 0.3]))
    assert (result.n, result.n_nonzero, result.difference, result.statistic, result.p_value) == (3, 0, 0.0, 0.0, 1.0)


def test_pairs_by_key_not_by_order():
    a = series([0.1, 0.2, 0.3, 0.4, 0.5])
    b = series([0.55, 0.44, 0.33, 0.22, 0.11], ids=["q4", "q3", "q2", "q1", "q0"])
    # by key every difference is negative; by order the first two were negative and the last two positive
    by_key = paired_wilcoxon(a, b)
    assert (by_key.statistic, by_key.p_value) == (0.0, 2 / 32)
    by_order = paired_wilcoxon(a, b.set_axis(a.index))
    assert by_order.p_value > 0.5
    assert paired_bootstrap(a, b).high < 0 < paired_bootstrap(a, b.set_axis(a.index)).high


def test_order_of_the_scores_does_not_matter():
    rng = np.random.default_rng(1)
    a, b = series(rng.random(40)), series(rng.random(40))
    for test in (paired_wilcoxon, paired_bootstrap):
        assert repr(test(a, b)) == repr(test(a.iloc[::-1], b.sample(frac=1, random_state=3)))


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ([1.0], ZERO, TypeError, "scores_a must be a pandas Series of scores, got list"),
        (ZERO, pd.Series([1.0]), ValueError, "scores_b must be indexed by the three levels id, question_lang, context"),
        (series([1, 0], ids=["q0", "q0"]), ZERO, ValueError, "scores_a has more than one score for ('q0', 'en', 'en')"),
        (series([1.0, math.nan]), series([1.0, 0.0]), ValueError, "scores_a has no finite score for ('q1', 'en'"),
        (series([1.0]), series([1.0], names=KEY[::-1]), ValueError, "name and order them alike"),
        (
            ZERO,
            series([0, 0], ids=["q0", "x"]),
            ValueError,
            "and 1 more; 1 only in scores_b: ('x', 'en', 'en'). Filter",
        ),
        (ZERO, series([0.0] * 5, question="de"), ValueError, "5 only in scores_b: ('q0', 'de', 'en')"),
        (ZERO.iloc[:0], ZERO.iloc[:0], ValueError, "are empty; does the filter leave any question?"),
    ],
)
def test_wrong_scores(a, b, error, message):
    for test in (paired_wilcoxon, paired_bootstrap):
        with pytest.raises(error, match=re.escape(message)):
            test(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resamples": 0}, "resamples must be an integer >= 1, got 0"),
        ({"resamples": 1e4}, "resamples must be an integer >= 1, got 10000.0"),
        ({"confidence": 95}, "confidence must lie in (0, 1), got 95; 0.95 stands for 95%"),
        ({"cluster": "title"}, "cluster must be a level of the index, one of ['id', 'question_lang', 'context_lang']"),
        ({"cluster": "context_lang"}, "needs more than one value of 'context_lang' to resample, found 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        paired_bootstrap(ZERO, ZERO, **options)


def test_bootstrap_by_hand():
    # Two questions, differences 0 and 1: the resampled mean is 0, 1/2, 1 with chances 1/4, 1/2, 1/4. The other side of
    # 0 (0 itself) therefore gets a quarter, the p-value is about a half; the 40% interval is from 1/2 to 1/2.
    result = paired_bootstrap(series([0.5, 1.0]), series([0.5, 0.0]), resamples=20_000, confidence=0.4)
    assert (result.n, result.n_nonzero, result.difference, result.statistic) == (2, 1, 0.5, 0.5)
    assert (result.low, result.high, result.confidence) == (0.5, 0.5, 0.4)
    assert result.p_value == pytest.approx(0.5, abs=0.02)
    wide = paired_bootstrap(series([0.5, 1.0]), series([0.5, 0.0]))
    assert (wide.low, wide.high, wide.confidence) == (0.0, 1.0, 0.95)


def test_bootstrap_p_value_is_never_zero():
    result = paired_bootstrap(series([1.0, 1.0, 1.0]), series([0.0, 0.5, 0.2]), resamples=999)
    assert result.p_value == 2 / 1000  # no resampled mean at or below 0
    assert paired_bootstrap(series([0.0, 0.5, 0.2]), series([1.0, 1.0, 1.0]), resamples=999).p_value == 2 / 1000


def test_bootstrap_of_equal_systems():
    assert paired_bootstrap(ZERO, ZERO, resamples=50) == Comparison(5, 0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.95)


def test_bootstrap_agrees_with_the_standard_error():
    differences = np.random.default_rng(3).normal(0.02, 0.3, 2000)
    error = differences.std() / math.sqrt(2000)
    result = paired_bootstrap(series(differences), series(np.zeros(2000)), resamples=20_000)
    assert result.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.08 * error)
    assert result.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.08 * error)


def test_ids_are_resampled_whole():
    values = np.random.default_rng(5).normal(0, 1, 60)
    a = many_pairs(values)
    clustered = paired_bootstrap(a, 0 * a, resamples=4000)
    independent = paired_bootstrap(a, 0 * a, resamples=4000, cluster=None)
    # 49 copies of one value carry no more than the value: the interval is that of the 60 values alone ...
    alone = paired_bootstrap(series(values), series(0 * values), resamples=4000)
    assert clustered.high - clustered.low == pytest.approx(alone.high - alone.low)
    # ... and 7 times as wide as that of 49 * 60 independent ones
    assert (clustered.high - clustered.low) / (independent.high - independent.low) == pytest.approx(7, rel=0.1)
    assert independent.difference == clustered.difference
    assert clustered == paired_bootstrap(a, 0 * a, resamples=4000, cluster="id")


def test_clusters_of_unequal_size_weigh_by_their_scores():
    # id q0: three pairs with difference 1; id q1: one pair with 0. Means: q0 q0 1, q0 q1 3/4, q1 q1 0.
    keys = [("q0", "en", "en"), ("q0", "en", "de"), ("q0", "de", "en"), ("q1", "en", "en")]
    a = pd.Series([1.0, 1.0, 1.0, 0.0], pd.MultiIndex.from_tuples(keys, names=KEY))
    result = paired_bootstrap(a, 0 * a, confidence=0.4)
    assert (result.difference, result.low, result.high) == (0.75, 0.75, 0.75)
    assert result.p_value == pytest.approx(0.5, abs=0.03)


def runs(*values, keys=None):
    """{seed: scores} of seeds 1, 2, ..., one list of values each; ids q0, q1, ... in one language pair unless given."""
    if keys is None:
        return {seed: series(scores) for seed, scores in enumerate(values, 1)}
    index = pd.MultiIndex.from_tuples(keys, names=KEY)
    return {seed: pd.Series(scores, index) for seed, scores in enumerate(values, 1)}


def zeros(scores):
    return {seed: 0 * values for seed, values in scores.items()}


def test_seeds_and_ids_by_hand():
    scores = runs([0.1, 0.3], [0.5, 0.7])
    result = seed_and_id_test(scores, zeros(scores), resamples=100_000)
    # seeds: differences .2 and .6, variance .08, over two .04; ids: .3 and .5, variance .02, over two .01
    assert (result.n, result.n_ids, result.n_pairs, result.seeds, result.confidence) == (2, 2, 1, 2, 0.95)
    assert result.difference == pytest.approx(0.4)
    assert result.standard_error == pytest.approx(math.sqrt(0.05), rel=0.005)
    degrees = 0.05**2 / (0.04**2 / 1 + 0.01**2 / 1)
    assert result.degrees_of_freedom == pytest.approx(degrees, rel=0.01)
    assert result.p_value == pytest.approx(2 * stats.t.sf(0.4 / math.sqrt(0.05), degrees), rel=0.01)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(0.05)
    assert (result.low, result.high) == pytest.approx((0.4 - half, 0.4 + half), rel=0.01)
    assert result.ruled_out == result.high
    opposite = seed_and_id_test(zeros(scores), scores, resamples=100_000)
    assert (opposite.p_value, opposite.ruled_out) == pytest.approx((result.p_value, result.ruled_out), rel=0.01)


def test_one_seed_is_a_test_over_ids():
    values = np.random.default_rng(6).normal(0.1, 0.3, 50)
    scores = runs(values)
    result = seed_and_id_test(scores, zeros(scores), resamples=50_000)
    expected = stats.ttest_1samp(values, 0)
    assert (result.seeds, result.degrees_of_freedom) == (1, pytest.approx(49))
    assert result.p_value == pytest.approx(expected.pvalue, rel=0.05)
    assert (result.low, result.high) == pytest.approx(tuple(expected.confidence_interval()), abs=0.002)


def test_seeds_alone_are_a_t_test():
    # all ids alike, so that nothing varies but seeds: +1.4, -0.2, -0.6
    scores = runs([1.4] * 9, [-0.2] * 9, [-0.6] * 9)
    result = seed_and_id_test(scores, zeros(scores), resamples=50)
    expected = stats.ttest_1samp([1.4, -0.2, -0.6], 0)
    assert result.degrees_of_freedom == pytest.approx(2)
    assert result.p_value == pytest.approx(expected.pvalue)
    assert (result.low, result.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_seeds_are_paired():
    base = runs([0.1, 0.3, 0.2], [0.5, 0.4, 0.7])
    better = {seed: values + 0.1 for seed, values in base.items()}
    result = seed_and_id_test(better, dict(reversed(base.items())))
    assert (result.low, result.high, result.p_value) == pytest.approx((0.1, 0.1, 0))
    swapped = seed_and_id_test(better, {1: base[2], 2: base[1]})
    assert swapped.high - swapped.low > 1


def test_a_single_run_is_compared_with_each_seed():
    scores, single = runs([0.1, 0.3, 0.6], [0.5, 0.7, 0.1]), {0: series([0.2, 0.1, 0.4])}
    result = seed_and_id_test(scores, single)
    assert result == seed_and_id_test(scores, dict.fromkeys(scores, single[0]))
    assert result.seeds == 2
    assert seed_and_id_test(single, scores).difference == -result.difference


def test_equal_scores():
    result = seed_and_id_test(runs([0.5, 1.0, 0.1 + 0.2], [1, 1, 1]), runs([0.5, 1.0, 0.3], [1, 1, 1]), resamples=50)
    assert (result.difference, result.p_value, result.low, result.high, result.ruled_out) == (0, 1, 0, 0, 0)


def test_differences_that_are_equal_everywhere():
    # 0.3 - 0.2 and 0.8 - 0.7 differ in their last bits: rounding is no variance
    result = seed_and_id_test(runs([0.3, 0.8, 0.1], [0.8, 0.3, 0.1]), runs([0.2, 0.7, 0.0], [0.7, 0.2, 0.0]))
    assert (result.standard_error, result.p_value, result.degrees_of_freedom) == (0, 0, math.inf)
    assert (result.low, result.high) == pytest.approx((0.1, 0.1))


def test_language_pairs_weigh_alike():
    keys = [("q0", "en", "en"), ("q1", "en", "en"), ("q2", "en", "en"), ("q0", "en", "de")]
    scores = runs([0.0, 0.0, 0.0, 1.0], keys=keys)
    result = seed_and_id_test(scores, zeros(scores))
    assert (result.n, result.n_ids, result.n_pairs) == (4, 3, 2)
    assert result.difference == 0.5  # the mean of the rows is 0.25


def test_variance_over_ids_of_language_pairs_that_differ_in_size():
    rng = np.random.default_rng(7)
    shares = {("en", "en"): 1.0, ("en", "de"): 0.4, ("de", "en"): 0.6}
    keys = [(f"q{i}", *pair) for i in range(300) for pair, share in shares.items() if rng.random() < share]
    of_id = dict(zip((f"q{i}" for i in range(300)), rng.normal(0, 1, 300), strict=True))
    values = np.array([of_id[key[0]] + len(key[1] + key[2]) + rng.normal(0, 0.5) for key in keys])
    scores = runs(values, keys=keys)
    result = seed_and_id_test(scores, zeros(scores), resamples=20_000)
    # the mean of pair means by the delta method: each id's influence, squared and summed
    table = scores[1].reset_index(name="value")
    pair = table.groupby(["question_lang", "context_lang"])["value"]
    influence = (table["value"] - pair.transform("mean")) / pair.transform("size") / len(shares)
    variance = (influence.groupby(table["id"]).sum() ** 2).sum() * 300 / 299
    assert result.standard_error == pytest.approx(math.sqrt(variance), rel=0.02)


def test_copies_of_an_id_count_once():
    values = np.random.default_rng(8).normal(0, 1, 60)
    copies, alone = {0: many_pairs(values)}, {0: series(values)}
    result, expected = (seed_and_id_test(scores, zeros(scores)) for scores in (copies, alone))
    assert (result.n, result.n_ids, result.n_pairs) == (49 * 60, 60, 49)
    assert (result.low, result.high, result.p_value) == pytest.approx((expected.low, expected.high, expected.p_value))


def test_clusters_of_ids_are_resampled_whole():
    values = np.random.default_rng(9).normal(0.1, 0.3, 60)
    scores, articles = runs(values), runs(values.reshape(20, 3).mean(axis=1))
    clusters = {f"q{number}": f"article {number // 3}" for number in range(60)}
    result = seed_and_id_test(scores, zeros(scores), clusters=clusters)
    expected = seed_and_id_test(articles, zeros(articles))  # each article is one score
    assert (result.n, result.n_ids, expected.n_ids) == (60, 60, 20)
    assert result.degrees_of_freedom == pytest.approx(expected.degrees_of_freedom)
    assert (result.difference, result.low, result.high) == pytest.approx(
        (expected.difference, expected.low, expected.high), abs=0.002
    )
    # of every id by itself they are what no mapping gives
    own = {f"q{number}": number for number in range(60)}
    assert seed_and_id_test(scores, zeros(scores), clusters=own) == seed_and_id_test(scores, zeros(scores))


def test_ids_of_one_cluster_in_one_language_pair_add_up():
    # article a has q0 and q1 in en-en and q1 in en-de, b has q2 in both
    keys = [("q0", "en", "en"), ("q1", "en", "en"), ("q1", "en", "de"), ("q2", "en", "en"), ("q2", "en", "de")]
    scores = runs([0.2, 0.4, 0.6, 0.8, 0.0], keys=keys)
    result = seed_and_id_test(scores, zeros(scores), resamples=100_000, clusters={"q0": "a", "q1": "a", "q2": "b"})
    assert result.difference == pytest.approx((1.4 / 3 + 0.6 / 2) / 2)
    # a a: (.3 + .6) / 2; a b: the difference; b b: (.8 + .0) / 2
    means = [0.45, result.difference, result.difference, 0.4]
    assert result.standard_error**2 == pytest.approx(2 * np.var(means), rel=0.02)


def test_a_resample_without_a_language_pair():
    # the pair en-de has one id of two: a quarter of the resamples lack it, and are the mean of the other pair
    scores = runs([0.4, 0.0, 0.8], keys=[("q0", "en", "en"), ("q1", "en", "en"), ("q1", "en", "de")])
    result = seed_and_id_test(scores, zeros(scores), resamples=100_000)
    assert result.difference == 0.5
    # q0 q0: .4; q0 q1 (half of them): (.2 + .8) / 2; q1 q1: (0 + .8) / 2
    assert result.standard_error**2 == pytest.approx(2 * np.var([0.4, 0.5, 0.5, 0.4]), rel=0.02)


def test_p_value_and_interval_agree():
    rng = np.random.default_rng(9)
    outcomes = set()
    for _ in range(150):
        seeds, ids = rng.integers(1, 5), rng.integers(2, 12)
        effect = rng.normal(0, 0.5) + rng.normal(0, rng.choice([0, 0.2]), (seeds, 1)) + rng.normal(0, 0.3, (seeds, ids))
        scores = runs(*effect)
        result = seed_and_id_test(scores, {0: 0 * scores[1]}, resamples=30, confidence=0.9)
        significant = result.p_value < 0.1
        assert significant == (result.low > 0 or result.high < 0)
        assert result.low < result.difference < result.high
        outcomes.add(significant)
    assert outcomes == {True, False}


@pytest.mark.slow
def test_interval_covers_the_truth_over_seeds_and_ids():
    rng = np.random.default_rng(10)
    keys = [(f"q{i}", "en", language) for i in range(40) for language in ("en", "de")]
    zero = {0: runs(np.zeros(80), keys=keys)[1]}
    covered = bootstrap_covered = 0
    for _ in range(400):
        # the truth is 0.2; the mean over 4 seeds varies by 0.05 around it, the mean over 40 ids by 0.05
        ids = np.repeat(rng.normal(0, 0.3, 40), 2)
        effect = 0.2 + rng.normal(0, 0.1, (4, 1)) + ids + rng.normal(0, 0.1, (4, 80))
        scores = runs(*effect, keys=keys)
        result = seed_and_id_test(scores, zero, resamples=300)
        covered += result.low <= 0.2 <= result.high
        mean = sum(scores.values()) / 4
        alone = paired_bootstrap(mean, zero[0], resamples=300)
        bootstrap_covered += alone.low <= 0.2 <= alone.high
    assert 0.93 <= covered / 400 <= 0.97
    assert bootstrap_covered / 400 < 0.87  # what it takes to count seeds


def test_order_does_not_matter_and_the_seed_does():
    rng = np.random.default_rng(11)
    scores = runs(*rng.random((3, 20)))
    result = seed_and_id_test(scores, zeros(scores), seed=5)
    shuffled = {seed: values.sample(frac=1, random_state=seed) for seed, values in reversed(scores.items())}
    assert seed_and_id_test(shuffled, zeros(scores), seed=5) == result
    assert seed_and_id_test(scores, zeros(scores), seed=6).standard_error != result.standard_error


OTHER_NAMES = {1: series([0, 0], names=["q", "ql", "cl"])}


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "message"),
    [
        (ZERO, runs([0, 0]), {}, TypeError, "scores_a must map each seed to its Series of scores, got id "),
        (runs([0, 0]), {}, {}, TypeError, "scores_b must map each seed to its Series of scores, got {}"),
        (runs([0, 0], [0, 0]), runs([0, 0], [0, 0], [0, 0]), {}, ValueError, "both sides need the same seeds, or one"),
        (runs([0, 0], [0] * 3), runs([0, 0], [0] * 3), {}, ValueError, "seed 2 scored other keys than seed 1: ('q2'"),
        (runs([0, 0]), runs([0]), {}, ValueError, "scores_a and scores_b must have the same keys; 1 only in scores_a"),
        (runs([0]), runs([0]), {}, ValueError, "the test needs more than one id to resample, found 1; use more"),
        (OTHER_NAMES, OTHER_NAMES, {}, ValueError, "the index levels must be named id, question_lang, context_lang"),
        (runs([0, 0]), runs([0, 0]), {"confidence": 95}, ValueError, "confidence must lie in (0, 1), got 95"),
        (runs([0, 0]), runs([0, 0]), {"resamples": 0}, ValueError, "resamples must be an integer >= 1, got 0"),
        (runs([0, 0]), runs([0, 0]), {"clusters": {"q0": 1}}, ValueError, "names none for 1 ids, such as 'q1'"),
        (runs([0, 0]), runs([0, 0]), {"clusters": {"q0": 1, "q1": 1}}, ValueError, "more than one cluster of ids to "),
    ],
)
def test_seeds_and_ids_refuse(a, b, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        seed_and_id_test(a, b, **options)


def test_equivalence_by_hand():
    for difference in (0.2, -0.2):  # the nearer margin is 0.8 = 2 standard errors away
        assert equivalence_p_value(difference, 0.4, 10, margin=1) == pytest.approx(stats.t.sf(2, 10))
    assert equivalence_p_value(1.0, 0.4, 10, margin=1) == 0.5
    columns = pd.DataFrame({"d": [0.5, 1.5, 1.0], "error": [0.0] * 3, "degrees": [math.inf] * 3})
    assert equivalence_p_value(*(columns[name] for name in columns), margin=1).tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match=r"^margin must be > 0, got -1$"):
        equivalence_p_value(0.2, 0.4, 10, margin=-1)


def test_equivalence_is_a_90_percent_interval_within_the_margin():
    rng = np.random.default_rng(12)
    outcomes = set()
    for _ in range(100):
        scores = runs(*(rng.normal(0, 0.3) + rng.normal(0, 0.05, (2, 1)) + rng.normal(0, 0.2, (2, 10))))
        result = seed_and_id_test(scores, zeros(scores), resamples=50, confidence=0.9)
        p_value = equivalence_p_value(result.difference, result.standard_error, result.degrees_of_freedom, margin=0.5)
        equivalent = max(abs(result.low), abs(result.high)) < 0.5
        assert (p_value < 0.05) == equivalent
        outcomes.add(equivalent)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 4 x .005, 3 x .01, 2 x .03, then .04 held at .06
        ([0.5, 0.6, 0.001], [1.0, 1.0, 0.003]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)


def test_holm_keeps_the_index():
    result = holm(pd.Series([0.04, 0.01], index=["x", "y"], name="p"))
    pd.testing.assert_series_equal(result, pd.Series([0.04, 0.02], index=["x", "y"], name="p"))


@pytest.mark.parametrize("wrong", [1.5, -0.1, math.nan])
def test_holm_refuses_what_is_no_p_value(wrong):
    with pytest.raises(ValueError, match=rf"^p-values must lie in \[0, 1\], got {wrong}$"):
        holm([0.1, wrong])


def long_table(scores, name="mlqa"):
    """{(system, seed): {(id, question_lang, context_lang): f1}} as a long table."""
    rows = [
        (system, seed, name, *key, float(f1 == 1), f1)
        for (system, seed), by_key in scores.items()
        for key, f1 in by_key.items()
    ]
    return pd.DataFrame(rows, columns=["system", "seed", "set", *KEY, "em", "f1"])


KEYS = [(f"q{i}", question, context) for i in range(5) for question in ("en", "de") for context in ("en", "de")]


def system_scores():
    """The skd system gains 0.1 in XLT and loses 0.2 across languages; one seed 0.05 above, one below the mean."""
    base = {key: 0.5 for key in KEYS}
    skd = {key: 0.5 + (0.1 if key[1] == key[2] else -0.2) for key in KEYS}
    return {
        ("base", 0): base,
        ("skd", 0): {key: value - 0.05 for key, value in skd.items()},
        ("skd", 1): {key: value + 0.05 for key, value in skd.items()},
    }


def test_compare_systems_by_hand():
    table = compare_systems(long_table(system_scores()), "base", resamples=99)
    assert list(table.columns) == [
        *("set", "task", "system", "baseline", "n", "n_ids", "n_pairs", "seeds", "difference", "low", "high"),
        *("ruled_out", "standard_error", "degrees_of_freedom", "p", "p_holm", "p_wilcoxon"),
    ]
    assert table["task"].tolist() == ["xlt", "gxlt_off_diagonal", "gxlt"]
    counts = table[["n", "n_ids", "n_pairs", "seeds"]].to_numpy().tolist()
    assert counts == [[10, 5, 2, 2], [10, 5, 2, 2], [20, 5, 4, 2]]
    assert table["difference"].to_numpy() == pytest.approx([10, -20, -5])
    # All ids are alike and the two seeds lie 5 points on either side: variance (5**2 + 5**2) / 1 / 2, and one degree of
    # freedom, of which the t distribution is Cauchy's
    assert table["standard_error"].to_numpy() == pytest.approx([5, 5, 5])
    assert table["degrees_of_freedom"].to_numpy() == pytest.approx([1, 1, 1])
    p_values = [1 - 2 / math.pi * math.atan(t) for t in (2, 4, 1)]
    assert table["p"].to_numpy() == pytest.approx(p_values)
    assert table["p_holm"].to_numpy() == pytest.approx([2 * p_values[0], 3 * p_values[1], 2 * p_values[0]])
    half = 5 * math.tan(0.95 * math.pi / 2)
    assert table["low"].to_numpy() == pytest.approx([10 - half, -20 - half, -5 - half])
    assert table["high"].to_numpy() == pytest.approx([10 + half, -20 + half, -5 + half])
    assert table["ruled_out"].to_numpy() == pytest.approx([half + 10, half + 20, half + 5])
    # 10 differences of one sign: p = 2 / 2**10
    xlt, off_diagonal, gxlt = table["p_wilcoxon"]
    assert xlt == off_diagonal == pytest.approx(2 / 2**10)
    # Ranks 5.5 (ten times, sum 55) and 15.5: z = (55 - 105) / sqrt(20 * 21 * 41 / 24 - 2 * (10**3 - 10) / 48)
    assert gxlt == pytest.approx(math.erfc(50 / math.sqrt(676.25) / math.sqrt(2)))


def test_a_table_is_the_test_of_its_rows():
    rng = np.random.default_rng(13)
    keys = [key for key in KEYS if key != ("q3", "en", "de")]  # pairs of unequal size
    scores = {(system, seed): {key: rng.random() for key in keys} for system in ("ce", "skd") for seed in (1, 2, 3)}
    table = long_table(scores)
    row = compare_systems(table, "ce", resamples=500, seed=4).set_index("task").loc["gxlt_off_diagonal"]
    off = table[table["question_lang"] != table["context_lang"]]
    by_seed = {
        system: {seed: run.set_index(list(KEY))["f1"] for seed, run in part.groupby("seed")}
        for system, part in off.groupby("system")
    }
    expected = seed_and_id_test(by_seed["skd"], by_seed["ce"], resamples=500, seed=4)
    assert row[["n", "n_ids", "n_pairs", "seeds"]].tolist() == [9, 5, 2, 3]
    measured = ["difference", "low", "high", "ruled_out", "standard_error"]
    assert row[measured].tolist() == pytest.approx([100 * getattr(expected, name) for name in measured])
    assert (row["p"], row["degrees_of_freedom"]) == pytest.approx((expected.p_value, expected.degrees_of_freedom))


def test_value_em():
    scores = {("base", 0): dict.fromkeys(KEYS, 0.5), ("skd", 0): dict.fromkeys(KEYS, 1.0)}
    table = compare_systems(long_table(scores), "base", value="em", resamples=99)
    assert table["difference"].tolist() == [100.0, 100.0, 100.0]


def test_by_language_adjusts_over_the_languages():
    table = compare_systems(long_table(system_scores()), "base", by="context_lang", resamples=99)
    assert table[["task", "context_lang"]].to_numpy().tolist() == [
        [task, language] for task in ("xlt", "gxlt_off_diagonal", "gxlt") for language in ("en", "de")
    ]
    assert table["n"].tolist() == [5, 5, 5, 5, 10, 10]
    assert table["difference"].to_numpy() == pytest.approx([10, 10, -20, -20, -5, -5])
    assert table["p_wilcoxon"][:2].to_numpy() == pytest.approx([2 / 32, 2 / 32])
    # a family of two languages, not of six rows
    p_value = 1 - 2 / math.pi * math.atan(2)
    assert table["p_holm"][:2].to_numpy() == pytest.approx([2 * p_value, 2 * p_value])


def test_by_language_separates_question_and_context():
    scores = {("base", 0): dict.fromkeys(KEYS, 0.5), ("skd", 0): {k: 0.9 if k[1] == "de" else 0.5 for k in KEYS}}
    by = {name: compare_systems(long_table(scores), "base", by=name, resamples=99) for name in KEY[1:]}
    assert by["question_lang"]["difference"][:4].to_numpy() == pytest.approx([0, 40, 0, 40])
    assert by["context_lang"]["difference"][:4].to_numpy() == pytest.approx([0, 40, 40, 0])
    assert by["question_lang"]["p_wilcoxon"][0] == 1.0


def test_rows_do_not_depend_on_the_order_of_the_scores():
    scores = system_scores() | {("ce", 0): {key: 0.01 * rank for rank, key in enumerate(KEYS)}}
    table = pd.concat([long_table(scores, name) for name in ("xquad", "mlqa")])
    expected = compare_systems(table, "base", resamples=99)
    rows = [(name, system) for name in ("mlqa", "xquad") for _ in range(3) for system in ("ce", "skd")]
    assert list(zip(expected["set"], expected["system"], strict=True)) == rows
    # Holm's family is one set: two systems in three tasks
    pd.testing.assert_series_equal(expected["p_holm"][:6], holm(expected["p"][:6]), check_names=False)
    pd.testing.assert_frame_equal(compare_systems(table.sample(frac=1, random_state=0), "base", resamples=99), expected)
    categories = {name: "category" for name in ("system", "set", *KEY)}
    result = compare_systems(table.astype(categories), "base", resamples=99)
    pd.testing.assert_frame_equal(result, expected, check_dtype=False)


def test_set_with_same_language_pairs_only():
    same = [key for key in KEYS if key[1] == key[2]]
    scores = {("base", 0): dict.fromkeys(same, 0.5), ("skd", 0): dict.fromkeys(same, 0.6)}
    assert compare_systems(long_table(scores, "tydiqa"), "base", resamples=99)["task"].tolist() == ["xlt"]


def changed(**columns):
    return long_table(system_scores()).assign(**columns)


CE = changed(system="ce", seed=lambda table: 2 * table["seed"])[20:]


@pytest.mark.parametrize(
    ("table", "baseline", "options", "message"),
    [
        (changed(), "base", {"value": "f2"}, "value must be 'f1' or 'em', got 'f2'"),
        (changed(), "base", {"by": "id"}, "by must be None, 'question_lang' or 'context_lang', got 'id'"),
        (changed().drop(columns="set"), "base", {}, "scores lacks the column(s) set; found system, seed, id, "),
        (changed(), "ce", {}, "the baseline 'ce' is not one of the systems 'base', 'skd'"),
        (changed(system="base", seed=range(60)), "base", {}, "the baseline 'base' is the only system in scores"),
        (changed(f1=50.0), "base", {}, "f1 must lie in 0..1, got 50.0 in row 0; divide points by 100"),
        (changed(set=None), "base", {}, "scores has empty cells in the column(s) set; every row needs its key"),
        (pd.concat([changed(), changed()[:1]]), "base", {}, "one row for system base, seed 0, set mlqa, id q0"),
        (changed()[:-1], "base", {}, "system 'skd': 2 seeds, but 1 of them scored ('q4', 'de', 'de'); every seed must"),
        (changed()[1:], "base", {}, "the same keys; 1 only in system 'skd' on set 'mlqa': ('q0', 'en', 'en')"),
        (
            pd.concat([changed(), CE]),
            "ce",
            {},
            "found system 'skd' on set 'mlqa' seeds 0, 1 and system 'ce' on set 'mlqa",
        ),
        (pd.concat([changed(), changed(set="x")[20:]]), "base", {}, "set 'x' has no scores of 'base'; evaluate them"),
    ],
)
def test_wrong_tables(table, baseline, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        compare_systems(table, baseline, resamples=9, **options)


def test_unknown_language():
    with pytest.raises(DataError, match=r"^unknown language 'EN': expected a code such as "):
        compare_systems(changed().replace({"question_lang": {"en": "EN"}}), "base", by="question_lang", resamples=9)
