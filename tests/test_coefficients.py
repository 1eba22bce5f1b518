"""The teacher's scores: cases by hand, and any batch against a plain-Python reading of their definitions."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xqa_lib.coefficients import (
    COEFFICIENTS,
    average_precision_at_k,
    constant,
    reciprocal_rank_at_k,
    windowed_reciprocal_rank,
)

LOWEST = torch.finfo(torch.float32).min
SCORES = (windowed_reciprocal_rank, average_precision_at_k)


def ranked(order, length):
    """(1, length) logits whose best positions are `order`, best first; the others follow from left to right."""
    order = [*order, *(position for position in range(length) if position not in order)]
    logits = torch.empty(1, length)
    logits[0, order] = torch.arange(length, 0, -1, dtype=torch.float32)
    return logits


def gold(*positions):
    return torch.tensor(positions)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([20], 1.0),
        ([15], 1.0),  # gold - 5 is right
        ([24], 1.0),  # gold + 4 is right
        ([14, 25, 20], 1 / 3),  # gold - 6 and gold + 5 are not
        ([25, 15], 1 / 2),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 20], 1 / 10),  # the tenth still counts
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20], 0.0),  # the eleventh does not
        ([30, 21, 22, 23], 1 / 2),  # only the first right one counts
    ],
)
def test_windowed_reciprocal_rank_by_hand(order, expected):
    assert windowed_reciprocal_rank(ranked(order, 40), gold(20)).tolist() == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("position", "order", "expected"),
    [
        (2, [7, 0], 1 / 2),  # the window is cut at 0: positions 0...6
        (2, [7, 39], 1 / 3),  # and does not wrap around; then comes 0, the first of the others
        (38, [32, 39], 1 / 2),  # and at the end: 33...39
        (0, [5, 4], 1 / 2),
        (39, [33, 34], 1 / 2),
    ],
)
def test_window_is_clipped_at_the_borders(position, order, expected):
    assert windowed_reciprocal_rank(ranked(order, 40), gold(position)).tolist() == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("order", "k", "window", "expected"),
    [
        # right: 15...24, ten positions
        ([15, 16, 17, 18, 19, 20, 21, 22, 23, 24], 10, 5, 1.0),
        ([20, 0, 21, 1, 2, 3, 4, 5, 6, 7], 10, 5, (1 / 1 + 2 / 3) / 10),
        ([0, 20, 21, 1, 22, 2, 3, 4, 5, 6], 10, 5, (1 / 2 + 2 / 3 + 3 / 5) / 10),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 24], 10, 5, (1 / 10) / 10),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10, 5, 0.0),
        ([20, 0, 21], 3, 5, (1 / 1 + 2 / 3) / 3),  # three ranks cannot hold ten: divide by k
        ([20, 21, 22], 3, 5, 1.0),
        ([19, 20, 0, 1], 4, 1, 1.0),  # right: 19 and 20; all of them first
        ([19, 0, 1, 20], 4, 1, (1 / 1 + 2 / 4) / 2),
        ([19, 0, 1, 2, 20], 4, 1, (1 / 1) / 2),
    ],
)
def test_average_precision_by_hand(order, k, window, expected):
    found = average_precision_at_k(ranked(order, 40), gold(20), k=k, window=window)
    assert found.tolist() == [pytest.approx(expected)]


def test_average_precision_divides_by_the_right_positions_there_are():
    # gold 0: right are 0...4, the five best ranks: perfect, although k = 10
    assert average_precision_at_k(ranked([4, 3, 2, 1, 0], 40), gold(0)).tolist() == [1.0]
    found = average_precision_at_k(ranked([4, 3, 2, 39, 1, 0], 40), gold(0))
    assert found.tolist() == [pytest.approx((1 + 1 + 1 + 4 / 5 + 5 / 6) / 5)]
    # masked positions cannot be ranked, so they are not missed either: right and real are 3 and 4
    logits = torch.tensor([[0.0, 0.0, 0.0, 5.0, 6.0, LOWEST, LOWEST]])
    # right: 2, 3, 4 (5 is masked); two ranks, both right
    assert average_precision_at_k(logits, gold(4), window=2, k=2).tolist() == [pytest.approx(1.0)]
    assert average_precision_at_k(logits, gold(4), window=1, k=7).tolist() == [1.0]  # right: 3, 4


@pytest.mark.parametrize(
    ("order", "k", "expected"),
    [([20], 10, 1.0), ([19, 21, 20], 10, 1 / 3), ([19, 21, 20], 2, 0.0), ([19, 20], 2, 1 / 2)],
)
def test_reciprocal_rank_wants_the_exact_position(order, k, expected):
    assert reciprocal_rank_at_k(ranked(order, 40), gold(20), k=k).tolist() == [pytest.approx(expected)]


def test_window_0_is_the_exact_position():
    logits = ranked([19, 20], 40)
    assert windowed_reciprocal_rank(logits, gold(20), window=0).tolist() == [0.5]
    assert average_precision_at_k(logits, gold(20), window=0).tolist() == [0.5]


def test_constant():
    assert constant(torch.randn(3, 5), gold(0, 1, 2)).tolist() == [1.0, 1.0, 1.0]


def test_ties_are_broken_by_position():
    equal = torch.zeros(1, 1000)
    assert windowed_reciprocal_rank(equal, gold(0)).tolist() == [1.0]
    assert windowed_reciprocal_rank(equal, gold(12)).tolist() == [pytest.approx(1 / 8)]  # 7 is the eighth of 0, 1, ...
    assert windowed_reciprocal_rank(equal, gold(500)).tolist() == [0.0]


@pytest.mark.parametrize("mask", [-math.inf, LOWEST])
def test_a_masked_position_in_the_window_is_not_right(mask):
    # three real positions, then padding that the window around 2 covers; k reaches into it
    logits = torch.tensor([[3.0, 2.0, 1.0, mask, mask]])
    assert windowed_reciprocal_rank(logits, gold(2), k=5, window=1).tolist() == [0.5]
    assert average_precision_at_k(logits, gold(2), k=5, window=2).tolist() == [1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", COEFFICIENTS)
def test_other_precisions(dtype, name):
    logits = torch.tensor([[1, 3, 2, 0, torch.finfo(dtype).min]], dtype=dtype)
    score = COEFFICIENTS[name](logits, gold(2), k=5, window=1)
    assert score.dtype == torch.float32
    expected = {"reciprocal_rank_at_k": 0.5}.get(name, 1.0)
    assert score.tolist() == [expected]


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_no_gradient(name):
    logits = torch.randn(2, 20, requires_grad=True)
    assert not COEFFICIENTS[name](logits, gold(3, 4), k=10, window=5).requires_grad


def test_the_names_that_parameters_may_use():

    logits = ranked([19, 20, 21], 40)
    found = {name: score(logits, gold(20), k=10, window=1).item() for name, score in COEFFICIENTS.items()}
    assert found == {
        "constant": 1.0,
        "windowed_reciprocal_rank": 1.0,  # 19 is near enough
        "average_precision_at_k": 1.0,  # 19 and 20 are all that is right
        "reciprocal_rank_at_k": 0.5,  # 20 is second
    }


def oracle(logits, position, k, window):
    """(windowed reciprocal rank, average precision, reciprocal rank) of one example, by the definitions."""
    real = [i for i, value in enumerate(logits) if value > -1e30]
    best = sorted(real, key=lambda i: (-logits[i], i))[:k]
    right = [i for i in real if position - window <= i < position + window]
    first = next((1 / rank for rank, i in enumerate(best, 1) if i in right), 0.0)
    precisions = [sum(j in right for j in best[:rank]) / rank for rank, i in enumerate(best, 1) if i in right]
    average = sum(precisions) / max(1, min(k, len(right)))
    exact = next((1 / rank for rank, i in enumerate(best, 1) if i == position), 0.0)
    return first, average, exact


@st.composite
def batches(draw):
    length = draw(st.integers(1, 30))
    real = draw(st.integers(1, length))
    mask = draw(st.sampled_from([-math.inf, LOWEST]))
    # few different values, so that ties are common
    value = st.integers(-4, 4).map(float)
    rows = draw(st.lists(st.lists(value, min_size=real, max_size=real), min_size=1, max_size=4))
    positions = draw(st.lists(st.integers(0, real - 1), min_size=len(rows), max_size=len(rows)))
    return [row + [mask] * (length - real) for row in rows], positions


@settings(max_examples=200, deadline=None)
@given(batches(), st.integers(1, 35), st.integers(1, 8))
def test_against_plain_python(batch, k, window):
    rows, positions = batch
    expected = [oracle(row, position, k, window) for row, position in zip(rows, positions, strict=True)]
    logits, labels = torch.tensor(rows), torch.tensor(positions)
    found = (
        windowed_reciprocal_rank(logits, labels, k=k, window=window),
        average_precision_at_k(logits, labels, k=k, window=window),
        reciprocal_rank_at_k(logits, labels, k=k),
    )
    for scores, values in zip(found, zip(*expected, strict=True), strict=True):
        assert scores.shape == labels.shape
        assert scores.min() >= 0
        assert scores.max() <= 1
        assert scores.tolist() == pytest.approx(list(values), abs=1e-6)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("logits", "positions", "arguments", "message"),
    [
        ((2, 9), [0], {}, "expected teacher logits (B, L) and positions (B,), got (2, 9) and (1,)"),
        ((9,), [0], {}, "expected teacher logits (B, L) and positions (B,), got (9,) and (1,)"),
        ((1, 9), [[0]], {}, "expected teacher logits (B, L) and positions (B,), got (1, 9) and (1, 1)"),
        ((1, 9), [0], {"k": 0}, "expected k >= 1 and window >= 0, got k = 0, window = 5"),
        ((1, 9), [0], {"window": -1}, "expected k >= 1 and window >= 0, got k = 10, window = -1"),
        ((1, 9), [9], {}, "positions must lie in [0, 9), got [9]"),
        ((1, 9), [-1], {}, "positions must lie in [0, 9), got [-1]"),
    ],
)
def test_errors(score, logits, positions, arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        score(torch.zeros(logits), torch.tensor(positions), **arguments)
