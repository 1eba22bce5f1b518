import numpy as np

from xqa_lib.training.batching import ShuffledLengthGroups, cut

LENGTHS = np.random.default_rng(0).integers(10, 200, 1003)


def batches(sampler, size):
    order = list(sampler)
    return [order[i : i + size] for i in range(0, len(order), size)]


def test_every_feature_once():
    sampler = ShuffledLengthGroups(LENGTHS, batch_size=8, seed=1)
    assert len(sampler) == 1003
    assert sorted(sampler) == list(range(1003))


def test_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        sampler = ShuffledLengthGroups(LENGTHS, batch_size=8, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_batches_hold_similar_lengths():
    grouped = [np.ptp(LENGTHS[batch]) for batch in batches(ShuffledLengthGroups(LENGTHS, batch_size=8, seed=1), 8)]
    assert np.mean(grouped) < np.ptp(LENGTHS) / 5


def test_long_and_short_batches_are_mixed():
    means = [LENGTHS[batch].mean() for batch in batches(ShuffledLengthGroups(LENGTHS, batch_size=8, seed=1), 8)]
    # neighbours would be alike if a block went from long to short
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.25


def test_the_incomplete_batch_is_last():
    order = batches(ShuffledLengthGroups([5] * 19, batch_size=8, seed=1), 8)
    assert [len(batch) for batch in order] == [8, 8, 3]


def test_few_or_no_features():
    assert list(ShuffledLengthGroups([7], batch_size=8, seed=1)) == [0]
    assert list(ShuffledLengthGroups([], batch_size=8, seed=1)) == []


def test_batches_keep_to_their_size_and_to_their_tokens():
    lengths = np.array([3, 9, 9, 2, 1, 1])
    order = np.array([1, 2, 0, 3, 4, 5])
    assert [rows.tolist() for rows in cut(order, lengths, rows=2)] == [[1, 2], [0, 3], [4, 5]]
    assert [rows.tolist() for rows in cut(order, lengths, rows=3, tokens=12)] == [[1], [2], [0, 3, 4], [5]]
    assert [rows.tolist() for rows in cut(order[:2], lengths, rows=3, tokens=1)] == [[1], [2]]
    assert list(cut(order[:0], lengths, rows=3, tokens=12)) == []


def test_shorter_features_wait_once_a_batch_is_large_enough():
    lengths = np.array([*[200] * 4, *[180] * 3, *[179] * 3, *[90] * 20])
    sizes = [len(rows) for rows in cut(np.arange(30), lengths, tokens=10**6)]
    assert sizes == [7, 5, 18]  # 200 to 180; then 179, with 90 up to 1,024 tokens: 5 rows; the rest
    assert [len(rows) for rows in cut(np.arange(30), lengths, rows=3)] == [3] * 10
