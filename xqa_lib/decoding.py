"""From start and end logits to answers: the n best spans of each context, by character offsets.

The classic SQuAD post-processing (best starts x best ends, start <= end, at most 30 tokens, best window wins) without a
Python loop over candidates. Answers are slices of the original context: nothing is joined, so no script is damaged.
"""

import contextlib
import gc
import itertools
from typing import NamedTuple

import numpy as np

from .features import as_arrays

_CELLS = 2**21  # start-end combinations that are looked at together: what bounds the memory


class Answer(NamedTuple):
    """One candidate. A named tuple, because decoding makes hundreds of thousands of them."""

    text: str  # context[start:end]
    start: int  # in characters
    end: int
    score: float  # start + end logit
    probability: float  # softmax of the scores over the candidates that were returned for the example


def best_answers(windows, start_logits, end_logits, contexts, *, n_best=20, max_answer_tokens=30):
    """The n best answers of each example.

    In each window the 20 (or `n_best`, if larger) best start and as many best end tokens of the context are combined;
    spans of more than `max_answer_tokens` tokens are dropped. If that leaves an example nothing, all its tokens are
    combined. The best spans of all windows of an example are kept, each character span once, at its best score; equal
    scores are ordered by position.

    Args:
        windows: W `features.Windows` over N examples.
        start_logits, end_logits: (W, L) numbers (array or tensor).
        contexts: N strings.
        n_best: answers returned at most. Fewer than 20 do not narrow the search, so that the best answer is the same.
        max_answer_tokens: longest answer.

    Returns:
        N lists of `Answer`, best first; empty where the context has no token.

    Raises:
        ValueError: logits that do not fit the windows, not finite logits, n_best or max_answer_tokens < 1.
    """
    windows = as_arrays(windows)
    start_logits, end_logits = _as_floats(start_logits), _as_floats(end_logits)
    shape = windows.input_ids.shape
    if start_logits.shape != shape or end_logits.shape != shape:
        raise ValueError(f"expected logits {shape}, got start {start_logits.shape} and end {end_logits.shape}")
    if n_best < 1 or max_answer_tokens < 1:
        raise ValueError(f"n_best and max_answer_tokens must be >= 1, got {n_best} and {max_answer_tokens}")
    if not len(windows):
        return [[] for _ in contexts]
    in_context = windows.offsets[..., 0] >= 0
    if not (np.isfinite(start_logits[in_context]).all() and np.isfinite(end_logits[in_context]).all()):
        raise ValueError("logits of context tokens are not finite; did the training diverge?")
    start_logits = np.where(in_context, start_logits, -np.inf)
    end_logits = np.where(in_context, end_logits, -np.inf)

    def spans(rows, width):
        return _spans(windows, start_logits, end_logits, rows, width, max_answer_tokens, n_best)

    every = np.arange(len(windows))
    found = spans(every, max(n_best, 20))
    # In a long context the best starts may all lie after the best ends: then every token is a candidate.
    without = every[in_context.any(-1) & ~np.isin(windows.example_index, found[0])]
    if len(without):
        found = [np.concatenate(both) for both in zip(found, spans(without, shape[1]), strict=True)]
    example, start, end, score = _best_of_examples(*found, n_best)

    first = np.flatnonzero(np.diff(example, prepend=-1))  # of each example that has an answer
    rows_of = np.diff(first, append=len(example))
    if len(first):
        weight = np.exp(score - np.repeat(np.maximum.reduceat(score, first), rows_of))
        probability = weight / np.repeat(np.add.reduceat(weight, first), rows_of)
    else:
        probability = score
    example, start, end = example.tolist(), start.tolist(), end.tolist()
    bounds = np.searchsorted(example, np.arange(len(contexts) + 1)).tolist()
    # Each few hundred new tuples let the garbage collector look for cycles, at last through all objects of the process.
    with _no_garbage_collection():
        text = [contexts[index][s:e] for index, s, e in zip(example, start, end, strict=True)]
        answers = list(map(Answer._make, zip(text, start, end, score.tolist(), probability.tolist(), strict=True)))
        return [answers[a:b] for a, b in itertools.pairwise(bounds)]


@contextlib.contextmanager
def _no_garbage_collection():
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _as_floats(logits):
    # A tensor may have a gradient, sit on a device or be of a type that NumPy does not know.
    if hasattr(logits, "detach"):
        logits = logits.detach().cpu()
        logits = logits.numpy() if str(logits.dtype) == "torch.float32" else logits.double().numpy()
    logits = np.asarray(logits)
    return logits if logits.dtype == np.float32 else logits.astype(np.float64)


def _spans(windows, start_logits, end_logits, rows, width, max_answer_tokens, n_best):
    """The candidates of the windows `rows`: all that can be among the `n_best` of their example, and some more.

    Args:
        start_logits, end_logits: (W, L), -inf where a token is not of the context.
        rows: indices of windows.
        width: how many best starts and best ends are combined.

    Returns:
        [example (C,), start (C,), end (C,) in characters, score (C,) float64].
    """
    length = start_logits.shape[1]
    width = min(width, length)
    step = max(1, _CELLS // width**2)
    parts = []
    for block in range(0, len(rows), step):
        here = rows[block : block + step]
        row = here[:, None]
        first, last = _top(start_logits[here], width), _top(end_logits[here], width)  # (R, width) tokens
        first_logit, last_logit = start_logits[row, first], end_logits[row, last]
        start, end = windows.offsets[row, first, 0], windows.offsets[row, last, 1]
        score = first_logit[:, :, None].astype(np.float64) + last_logit[:, None, :]  # (R, width, width)
        tokens = last[:, None, :] - first[:, :, None] + 1
        score[(tokens < 1) | (tokens > max_answer_tokens)] = -np.inf
        least = np.full(len(here), -np.inf)
        if width**2 > n_best:
            # No more than n_best different spans of a window can be among the best of its example; equal scores stay.
            flat = np.partition(score.reshape(len(here), -1), width**2 - n_best, axis=-1)
            least = np.where(_distinct(start) & _distinct(end), flat[:, width**2 - n_best], -np.inf)
        r, i, j = np.nonzero((score >= least[:, None, None]) & (score > -np.inf))
        parts.append((windows.example_index[here][r], start[r, i], end[r, j], score[r, i, j]))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _distinct(places):
    """(R,) bool: do the tokens of each row stand at different characters? Several tokens may share one."""
    places = np.sort(places, axis=-1)
    return ~((places[:, 1:] == places[:, :-1]) & (places[:, 1:] >= 0)).any(-1)


def _best_of_examples(example, start, end, score, n_best):
    """The n best spans of each example, best first, equal scores by position; each span once, at its best score."""
    if not _ascends(example, start, end).all():  # several windows of one example, or tokens that share characters
        order = np.lexsort((-score, end, start, example))
        example, start, end, score = example[order], start[order], end[order], score[order]
        # Two windows that overlap offer the same span twice: the first in this order, the better one, stays.
        new = np.append(True, _ascends(example, start, end))[: len(example)]
        example, start, end, score = example[new], start[new], end[new], score[new]
    order = np.lexsort((-score, example))  # stable: by position among equal scores
    example, start, end, score = example[order], start[order], end[order], score[order]
    rank = np.arange(len(example)) - np.searchsorted(example, example)
    keep = rank < n_best
    return example[keep], start[keep], end[keep], score[keep]


def _ascends(example, start, end):
    """(C - 1,) bool: is each span after the one before it, by example, start and end?"""
    after = np.diff(end) > 0
    after = (np.diff(start) > 0) | (np.diff(start) == 0) & after
    return (np.diff(example) > 0) | (np.diff(example) == 0) & after


def _top(logits, n):
    """(R, n) positions of the n highest of each row, ascending; of equal ones the earlier are taken.

    Positions at -inf fill up where a row has fewer than n others.
    """
    length = logits.shape[1]
    if n >= length:
        return np.broadcast_to(np.arange(length), logits.shape)
    top = np.argpartition(logits, length - n, axis=-1)[:, length - n :]
    least = np.take_along_axis(logits, top, axis=-1).min(-1)
    # which of several equal ones a partition takes is left open
    tied = np.flatnonzero(((logits >= least[:, None]).sum(-1) > n) & (least > -np.inf))
    top[tied] = np.argsort(-logits[tied], axis=-1, kind="stable")[:, :n]
    return np.sort(top, axis=-1)
