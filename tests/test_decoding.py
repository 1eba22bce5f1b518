"""From logits to answers, against a brute-force reading of the classic post-processing."""

import math
import random
import re

import numpy as np
import pytest
import torch

from xqa_lib.decoding import Answer, best_answers, maximum_context
from xqa_lib.features import Windows

HUGE = 1e6


def make_windows(layouts):
    """`Windows` from rows (example, [span or None for each token], place of the first context token in the text).

    None: question, special token or white space. The ids are the places of the tokens, from the row's or 0.
    """
    layouts = [(*layout, 0)[:3] for layout in layouts]
    length = max(len(spans) for _, spans, _ in layouts)
    shape = (len(layouts), length)
    windows = Windows(
        example_index=np.array([example for example, _, _ in layouts]),
        input_ids=np.zeros(shape, dtype=np.int64),
        attention_mask=np.zeros(shape, dtype=np.int64),
        token_type_ids=np.zeros(shape, dtype=np.int64),
        offsets=np.full((*shape, 2), -1, dtype=np.int64),
    )
    for row, (_, spans, place) in enumerate(layouts):
        windows.attention_mask[row, : len(spans)] = 1
        first = next((token for token, span in enumerate(spans) if span is not None), 0)
        windows.input_ids[row] = np.arange(length) - first + place
        for token, span in enumerate(spans):
            if span is not None:
                windows.offsets[row, token] = span
    return windows


def one_window(text, before=2):
    """(windows, context): one window, a token for each letter of `text`; `before` other tokens, and one after."""
    return make_windows([(0, [None] * before + [(i, i + 1) for i in range(len(text))] + [None])]), [text]


def has_maximum_context(pieces, number, place):
    """Is `number` the piece in which the token at `place` has maximum context? As SQuAD scripts since BERT's check it.

    Args:
        pieces: (first place, tokens) of each window of an example, in order.
    """
    best_score, best_number = None, None
    for index, (first, length) in enumerate(pieces):
        end = first + length - 1
        if place < first or place > end:
            continue
        score = min(place - first, end - place) + 0.01 * length
        if best_score is None or score > best_score:
            best_score, best_number = score, index
    return best_number == number


def pieces_of(windows, example):
    """(rows of the example, `pieces` for `has_maximum_context`); the input ids are the places of the tokens."""
    rows = [row for row in range(len(windows)) if windows.example_index[row] == example]
    pieces = []
    for row in rows:
        places = [int(windows.input_ids[row][i]) for i, (start, _) in enumerate(windows.offsets[row]) if start >= 0]
        pieces.append((places[0], places[-1] - places[0] + 1) if places else (0, 0))
    return rows, pieces


def brute_force(
    windows, start_logits, end_logits, contexts, n_best=20, max_answer_tokens=30, max_context=True, classic=False
):
    """The same as `best_answers`, candidate by candidate.

    `classic`: as the SQuAD scripts, which pair the best starts and ends of all tokens, of the question and special ones
    too, and then check each pair.
    """
    lists = []
    for example, context in enumerate(contexts):
        rows, pieces = pieces_of(windows, example)
        for widest in (max(20, n_best), windows.offsets.shape[1]):
            found = {}
            for number, row in enumerate(rows):
                inside = [i for i, (start, _) in enumerate(windows.offsets[row]) if start >= 0]
                tokens = range(int(windows.attention_mask[row].sum())) if classic else inside
                starts = sorted(tokens, key=lambda i: -start_logits[row][i])[:widest]
                ends = sorted(tokens, key=lambda i: -end_logits[row][i])[:widest]
                for i in set(starts) & set(inside):
                    if max_context and not has_maximum_context(pieces, number, int(windows.input_ids[row][i])):
                        continue
                    for j in set(ends) & set(inside):
                        if i <= j < i + max_answer_tokens:
                            span = (int(windows.offsets[row][i][0]), int(windows.offsets[row][j][1]))
                            score = float(start_logits[row][i]) + float(end_logits[row][j])
                            found[span] = max(score, found.get(span, -math.inf))
            if found:
                break
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:n_best]
        total = math.fsum(math.exp(score - ordered[0][1]) for _, score in ordered)
        lists.append(
            [Answer(context[a:b], a, b, score, math.exp(score - ordered[0][1]) / total) for (a, b), score in ordered]
        )
    return lists


def random_case(seed):
    """(windows, start logits, end logits, contexts) with overlapping windows, gaps, shared spans and empty contexts."""
    rng = random.Random(seed)
    layouts, contexts = [], []
    for example in range(rng.randint(1, 4)):
        room, step = rng.choice([(70, 10), (30, 10), (8, 8), (5, 1)])
        spans, position = [], 0
        for _ in range(rng.choice([0, 1, 5, 60])):
            width = rng.randint(1, 4)
            kind = rng.random()
            if kind < 0.1:
                spans.append(None)  # white space of its own
            elif kind < 0.2 and room > step:
                spans += [(position, position + width)] * 2  # two tokens of one character
            else:
                spans.append((position, position + width))
            position += width + (rng.random() < 0.3)
        contexts.append("".join(rng.choice("ab字ไ ") for _ in range(position)))
        before = rng.randint(1, 6)
        for first in range(0, max(1, len(spans) - room + step), step):
            part = spans[first : first + room]
            place = first + next((token for token, span in enumerate(part) if span is not None), 0)
            layouts.append((example, [None] * before + part + [None], place))
    windows = make_windows(layouts)
    generator = np.random.default_rng(seed)
    # whole numbers make ties
    scale, digits = (3, 0) if seed % 2 else (5, 6)
    start_logits, end_logits = (
        np.round(generator.normal(size=windows.input_ids.shape) * scale, digits) for _ in range(2)
    )
    # what is no context must never win
    outside = windows.offsets[..., 0] < 0
    start_logits[outside] = end_logits[outside] = HUGE
    return windows, start_logits, end_logits, contexts


@pytest.mark.parametrize("scale", [1.0, 1e-3, 3e38])
@pytest.mark.parametrize("seed", range(6))
def test_float32_logits_are_added_exactly(seed, scale):
    """Sums that float32 would round to equal ones, or that it cannot hold, are ordered as float64 orders them."""
    windows, start_logits, end_logits, contexts = random_case(seed)
    rng = np.random.default_rng(seed)
    start_logits = (rng.choice([1.0, 0.5, -1.0], np.shape(start_logits)) * scale).astype(np.float32)
    end_logits = (rng.uniform(-1, 1, np.shape(end_logits)) * scale * 1e-7).astype(np.float32)
    if scale > 1e38:
        end_logits = start_logits[:, ::-1].copy()
    for n_best in (1, 3, 20):
        found = best_answers(windows, start_logits, end_logits, contexts, n_best=n_best)
        expected = brute_force(windows, start_logits, end_logits, contexts, n_best)
        assert [[a[:4] for a in answers] for answers in found] == [[a[:4] for a in answers] for answers in expected]


@pytest.mark.parametrize("seed", range(40))
def test_against_brute_force(seed):
    windows, start_logits, end_logits, contexts = random_case(seed)
    for n_best, max_answer_tokens in ((20, 30), (1, 30), (3, 1), (50, 4)):
        arguments = {"n_best": n_best, "max_answer_tokens": max_answer_tokens}
        found = best_answers(windows, start_logits, end_logits, contexts, **arguments)
        expected = brute_force(windows, start_logits, end_logits, contexts, **arguments)
        for answers, wanted in zip(found, expected, strict=True):
            assert [a[:4] for a in answers] == [a[:4] for a in wanted]
            assert [a.probability for a in answers] == pytest.approx([a.probability for a in wanted], abs=1e-12)


def test_by_hand():
    windows, contexts = one_window("abc")
    start = np.array([[9.0, 9.0, 2.0, 0.0, 1.0, 9.0]])
    end = np.array([[9.0, 9.0, -1.0, 0.5, 0.0, 9.0]])
    (answers,) = best_answers(windows, start, end, contexts, n_best=3)
    total = 1 + math.exp(-0.5) + math.exp(-1.5)
    assert answers == [
        Answer("ab", 0, 2, 2.5, pytest.approx(1 / total)),
        Answer("abc", 0, 3, 2.0, pytest.approx(math.exp(-0.5) / total)),
        # "a" (2 - 1) and "c" (1 + 0) tie: the earlier one stands first
        Answer("a", 0, 1, 1.0, pytest.approx(math.exp(-1.5) / total)),
    ]


@pytest.mark.parametrize(("options", "longest"), [({}, 30), ({"max_answer_tokens": 100}, 40)])
def test_answers_are_not_longer_than_the_limit(options, longest):
    windows, contexts = one_window("x" * 40)
    start = np.zeros((1, 43))
    end = np.zeros((1, 43))
    start[0, 2] = 50.0  # the first letter
    end[0, 1 + longest] = 40.0
    end[0, 2 + longest] = 60.0  # one too long, or the token after the context
    (answers,) = best_answers(windows, start, end, contexts, **options)
    assert (answers[0].start, answers[0].end, answers[0].score) == (0, longest, 90.0)
    assert max(answer.end - answer.start for answer in answers) == longest


def test_only_the_best_twenty_starts_and_ends_are_combined():
    # 40 letters; the best 20 starts are letters 10...29, the best 20 ends 20...39
    windows, contexts = one_window("x" * 40)
    start, end = np.zeros((2, 1, 43))
    start[0, 12:32] = 1.0
    end[0, 22:42] = 1.0
    (answers,) = best_answers(windows, start, end, contexts, n_best=20, max_answer_tokens=1)
    # of 40 letters only those that are among both
    assert [a.start for a in answers] == list(range(20, 30))
    (answers,) = best_answers(windows, start, end, contexts, n_best=40, max_answer_tokens=1)
    # more answers widen the search
    assert [a.start for a in answers] == [*range(20, 30), *range(10, 20), *range(30, 40), *range(10)]


def test_of_equal_logits_the_earlier_are_candidates():
    windows, contexts = one_window("x" * 300)
    (answers,) = best_answers(windows, np.zeros((1, 303)), np.zeros((1, 303)), contexts, max_answer_tokens=1)
    assert [a.start for a in answers] == list(range(20))


def test_no_candidate_among_the_best_falls_back_to_all():
    # the best 20 ends all stand before the best 20 starts
    windows, contexts = one_window("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN")
    start, end = np.zeros((2, 1, 43))
    start[0, 22:42] = 10.0 + np.arange(20)
    end[0, 2:22] = 10.0 + np.arange(20)
    (answers,) = best_answers(windows, start, end, contexts, n_best=2)
    # best: the last start alone (29 + 0) or, equal, the last end alone (0 + 29), which stands earlier in longer spans
    assert answers == brute_force(windows, start, end, contexts, n_best=2)[0]
    assert answers[0].score == 29.0
    assert (answers[0].start, answers[0].end) == (0, 20)


def test_overlapping_windows_offer_a_span_once_at_its_best_score():
    spans = [(i, i + 1) for i in range(4)]
    windows = make_windows([(0, [None, *spans[:3]]), (0, [None, *spans[1:]])])
    start = np.array([[9.0, 0, 3, 0], [9.0, 5, 0, 0]])
    end = np.array([[9.0, 0, 0, 3], [9.0, 0, 1, 0]])
    (answers,) = best_answers(windows, start, end, ["abcd"], max_context=False)
    # "bc": 3 + 3 in the first window, 5 + 1 in the second; "b": 3 + 0 and 5 + 0
    assert [(a.text, a.score) for a in answers if a.text in ("bc", "b")] == [("bc", 6.0), ("b", 5.0)]
    assert len(answers) == len({(a.start, a.end) for a in answers}) == 9  # all spans but "abcd", in no window whole
    assert math.fsum(a.probability for a in answers) == pytest.approx(1.0)


def test_a_start_counts_where_its_token_has_maximum_context():
    spans = [(i, i + 1) for i in range(5)]
    windows = make_windows([(0, [None, *spans[:4]]), (0, [None, *spans[1:]], 1)])
    # "a" and "b" have more context in the first, "d" and "e" in the second; "c" as much in both, the first counts
    expected = [[False, True, True, True, False], [False, False, False, True, True]]
    assert maximum_context(windows).tolist() == expected
    start = np.array([[9.0, 0, 0, 0, 7], [9.0, 8, 6, 1, 0]])
    end = np.array([[9.0, 0, 0, 0, 2], [9.0, 2, 2, 5, 0]])
    (answers,) = best_answers(windows, start, end, ["abcde"], n_best=2)
    # not "bcd" (8 + 5) and "cd" (6 + 5) of the second window, nor "d" (7 + 2) of the first
    assert [(a.text, a.score) for a in answers] == [("d", 6.0), ("abcd", 2.0)]
    (answers,) = best_answers(windows, start, end, ["abcde"], n_best=2, max_context=False)
    assert [(a.text, a.score) for a in answers] == [("bcd", 13.0), ("cd", 11.0)]


def test_of_equal_context_the_longer_window_has_more():
    spans = [(i, i + 1) for i in range(7)]
    windows = make_windows([(0, spans[:4]), (0, spans[1:], 1), (1, spans)])
    # the third token has one token to its right in the first window, one to its left in the other, which is longer
    found = ["".join("x" if counts else "-" for counts in row) for row in maximum_context(windows)]
    assert found == ["xx-----", "-xxxxx-", "xxxxxxx"]


@pytest.mark.parametrize("seed", range(20))
def test_maximum_context_against_the_classic_check(seed):
    windows = random_case(seed)[0]
    found = maximum_context(windows)
    for example in range(windows.example_index.max() + 1):
        rows, pieces = pieces_of(windows, example)
        for number, row in enumerate(rows):
            places = windows.input_ids[row].tolist()
            assert found[row].tolist() == [
                begin >= 0 and has_maximum_context(pieces, number, place)
                for begin, place in zip(windows.offsets[row, :, 0].tolist(), places, strict=True)
            ]
    inside = windows.offsets[..., 0] >= 0
    tokens, kept = (
        list(zip(windows.example_index[np.nonzero(mask)[0]].tolist(), windows.input_ids[mask].tolist(), strict=True))
        for mask in (inside, found)
    )
    assert sorted(kept) == sorted(set(tokens))  # each counts once


@pytest.mark.slow
def test_the_best_answer_is_that_of_the_classic_scripts():
    """400 examples of several windows, with logits like a reader's: hills at two places, and noise."""
    without = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        layouts, contexts = [], []
        for example in range(4):
            tokens, before = int(generator.integers(60, 400)), int(generator.integers(5, 20))
            spans = [(2 * i, 2 * i + 1) for i in range(tokens)]
            contexts.append("ab" * tokens)
            for first in range(0, max(1, tokens - 100 + 40), 40):
                layouts.append((example, [None] * before + spans[first : first + 100] + [None], first))
        windows = make_windows(layouts)
        start_logits, end_logits = generator.normal(size=(2, *windows.input_ids.shape)) * 2
        for row in range(len(windows)):
            for place in generator.integers(0, windows.attention_mask[row].sum(), 2):
                start_logits[row, place : place + 3] += 6 * generator.random()
                end_logits[row, place + 1 : place + 6] += 6 * generator.random()
        # readers have learned where no answer lies; the scripts would take their 20 best there, too
        outside = windows.offsets[..., 0] < 0
        start_logits[outside] -= 30
        end_logits[outside] -= 30
        bests = []
        for rule in (True, False):
            found = best_answers(windows, start_logits, end_logits, contexts, max_context=rule)
            expected = brute_force(windows, start_logits, end_logits, contexts, max_context=rule, classic=True)
            assert [a[0][:4] for a in found] == [a[0][:4] for a in expected]
            bests.append([a[0][:3] for a in found])
        without += sum(one != other for one, other in zip(*bests, strict=True))
    assert without > 20  # as many best answers were others without the rule


def test_no_windows():
    empty = Windows(
        np.zeros(0, dtype=np.int64), *(np.zeros((0, 1), dtype=np.int64) for _ in range(3)), np.zeros((0, 1, 2))
    )
    assert best_answers(empty, np.zeros((0, 1)), np.zeros((0, 1)), []) == []


def test_huge_scores_keep_their_probabilities():
    windows, contexts = one_window("ab")
    start = np.array([[0.0, 0, 3e38, 3e38, 0]])
    (answers,) = best_answers(windows, start, start, contexts)
    assert [a.probability for a in answers] == pytest.approx([1 / 3] * 3)


def test_padding_may_hold_anything_but_context_must_be_finite():
    windows, contexts = one_window("ab")
    good = np.array([[math.nan, -math.inf, 1.0, 2.0, math.inf]])
    assert [a.score for a in best_answers(windows, good, good, contexts)[0]] == [4.0, 3.0, 2.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_are_taken_as_they_come_from_a_model(dtype):
    tensor = torch.tensor([[0.0, 0.0, 2.0, 1.0, 0.0]], dtype=dtype, requires_grad=True)
    windows, contexts = one_window("ab")
    (answers,) = best_answers(windows, tensor, tensor, contexts)
    assert [(a.text, a.score) for a in answers] == [("a", 4.0), ("ab", 3.0), ("b", 2.0)]
    assert {type(value) for a in answers for value in (a.start, a.end)} == {int}
    assert {type(value) for a in answers for value in (a.score, a.probability)} == {float}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"end_logits": np.zeros((1, 4))}, "expected logits (1, 5), got start (1, 5) and end (1, 4)"),
        ({"start_logits": np.zeros((2, 5))}, "expected logits (1, 5), got start (2, 5) and end (1, 5)"),
        ({"n_best": 0}, "n_best and max_answer_tokens must be >= 1, got 0 and 30"),
        ({"max_answer_tokens": 0}, "n_best and max_answer_tokens must be >= 1, got 20 and 0"),
        ({"start_logits": np.array([[0, 0, math.nan, 0, 0]])}, "logits of context tokens are not finite; did the"),
        ({"end_logits": np.array([[0, 0, 0, math.inf, 0]])}, "logits of context tokens are not finite; did the"),
    ],
)
def test_errors(arguments, message):
    windows, contexts = one_window("ab")
    good = {"start_logits": np.zeros((1, 5)), "end_logits": np.zeros((1, 5)), "contexts": contexts}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        best_answers(windows, **(good | arguments))
