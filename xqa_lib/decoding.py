"""From start and end logits to answers: the n best spans of each context, by character offsets.

The classic SQuAD post-processing (best starts x best ends, start <= end, at most 30 tokens, a start counts only in the
window where its token has most context, best window wins) without a Python loop over candidates. Answers are slices of
the original context: nothing is joined, so no script is damaged.
"""

import contextlib
import gc
import itertools
import operator
from functools import partial
from typing import NamedTuple

import numpy as np

from .features import as_arrays

_CELLS = 2**19  # start-end combinations that are looked at together: what bounds the memory, and fits a cache


class Answer(NamedTuple):
    """One candidate. A named tuple, because decoding makes hundreds of thousands of them."""

    text: str  # context[start:end]
    start: int  # in characters
    end: int
    score: float  # start + end logit
    probability: float  # softmax of the scores over the candidates that were returned for the example


def best_answers(windows, start_logits, end_logits, contexts, *, n_best=20, max_answer_tokens=30, max_context=True):
    """The n best answers of each example.

    In each window the 20 (or `n_best`, if larger) best start and as many best end tokens of the context are combined;
    spans of more than `max_answer_tokens` tokens are dropped, and so are those whose first token has more context in
    another window (`maximum_context`). If that leaves an example nothing, all its tokens are combined. The best spans
    of all windows of an example are kept, each character span once, at its best score; equal scores are ordered by
    position.

    Args:
        windows: W `features.Windows` over N examples.
        start_logits, end_logits: (W, L) numbers (array or tensor).
        contexts: N strings.
        n_best: answers returned at most. Fewer than 20 do not narrow the search, so that the best answer is the same.
        max_answer_tokens: longest answer.
        max_context: False lets a start count in every window that holds its token.

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

    counts = maximum_context(windows) if max_context else None

    def spans(rows, width):
        return _spans(windows, start_logits, end_logits, counts, rows, width, max_answer_tokens, n_best)

    every = np.arange(len(windows))
    found = spans(every, max(n_best, 20))
    # In a long context the best starts may all lie after the best ends: then every token is a candidate.
    without = every[~np.isin(windows.example_index, found[0])]
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
        text = map(operator.getitem, map(contexts.__getitem__, example), map(slice, start, end))
        columns = zip(text, start, end, score.tolist(), probability.tolist(), strict=True)
        answers = list(map(partial(tuple.__new__, Answer), columns))  # as Answer._make does, without a call in Python
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


def maximum_context(windows):
    """(W, L) bool: is this the window in which the token has maximum context? False outside the context.

    Of the windows of an example that hold the token, it is the one with the highest min(tokens to its left, tokens to
    its right) + 0.01 * (tokens of the window), of the context's tokens alone; of equal ones the first. So does
    `_check_is_max_context` of the SQuAD script that was released with BERT (Devlin et al. 2019).

    Args:
        windows: W `features.Windows`; those of an example are pieces of one row of tokens.
    """
    windows = as_arrays(windows)
    begin = windows.offsets[..., 0]
    counts = begin >= 0
    # nothing to decide where an example has one window, as most have
    several = np.bincount(windows.example_index, minlength=1)[windows.example_index] > 1
    rows = np.flatnonzero(several & counts.any(-1))
    if not len(rows):
        return counts
    first_begin = begin[rows, counts[rows].argmax(-1)]
    order = np.lexsort((rows, first_begin, windows.example_index[rows]))  # as they stand in the text
    rows, first_begin = rows[order], first_begin[order]
    begin, inside, example = begin[rows], counts[rows], windows.example_index[rows]
    length = inside.shape[1]
    first, last = inside.argmax(-1), length - 1 - inside[:, ::-1].argmax(-1)

    # A token's place among all of its example: of its window's first one, and the tokens from there. A window shares
    # with the one before it the tokens that begin behind its first, and those of the first's character that it has.
    where, before = first_begin[1:, None], begin[:-1]
    shared = (before > where).sum(-1) + np.minimum((before == where).sum(-1), (begin[1:] == where).sum(-1))
    follows = example[1:] == example[:-1]
    steps = np.where(follows, inside[:-1].sum(-1) - shared, length)  # the examples apart
    place = np.append(0, np.cumsum(steps))[:, None] + inside.cumsum(-1, dtype=np.int32) - 1  # (R, L)

    context = np.minimum(np.arange(length) - first[:, None], last[:, None] - np.arange(length))
    score = context + 0.01 * (last - first + 1)[:, None]
    best = np.full(place.max() + 1, -np.inf)
    winner = np.zeros(len(best), dtype=np.int64)
    turn = np.arange(len(rows)) - np.searchsorted(example, example)  # of the window among its example's
    for number in range(turn.max() + 1):
        row, column = np.nonzero(inside & (turn == number)[:, None])
        better = score[row, column] > best[place[row, column]]
        row, column = row[better], column[better]
        best[place[row, column]], winner[place[row, column]] = score[row, column], row
    counts[rows] = inside & (winner[place] == np.arange(len(rows))[:, None])
    return counts


def _spans(windows, start_logits, end_logits, counts, rows, width, max_answer_tokens, n_best):
    """The candidates of the windows `rows`: all that can be among the `n_best` of their example, and some more.

    Args:
        start_logits, end_logits: (W, L), of any value where a token is not of the context.
        counts: (W, L) bool, may an answer begin at the token in this window? None: at any.
        rows: indices of windows.
        width: how many best starts and best ends are combined.

    Returns:
        [example (C,), start (C,), end (C,) in characters, score (C,) float64].
    """
    length = start_logits.shape[1]
    width = min(width, length)
    step = max(1, _CELLS // max(width**2, length))
    parts = []
    for block in range(0, len(rows), step):
        here = rows[block : block + step]
        row = here[:, None]
        inside = windows.offsets[here, :, 0] >= 0
        if not ((np.isfinite(start_logits[here]) & np.isfinite(end_logits[here])) | ~inside).all():
            raise ValueError("logits of context tokens are not finite; did the training diverge?")
        first, first_logit = _top(np.where(inside, start_logits[here], -np.inf), width)  # (R, width)
        last, last_logit = _top(np.where(inside, end_logits[here], -np.inf), width)
        start, end = windows.offsets[row, first, 0], windows.offsets[row, last, 1]
        # In the logits' own type, half the memory of float64: rounding keeps the order, or makes two scores equal, so
        # that what is among the best exactly is among them here. The largest float32 have no sum.
        if any(np.abs(logit[logit > -np.inf]).max(initial=0) > 1e38 for logit in (first_logit, last_logit)):
            first_logit = first_logit.astype(np.float64)
        score = first_logit[:, :, None] + last_logit[:, None, :]  # (R, width, width)
        tokens = last[:, None, :] - first[:, :, None] + 1
        score[(tokens < 1) | (tokens > max_answer_tokens)] = -np.inf
        if counts is not None:
            score[~counts[row, first]] = -np.inf
        score = score.reshape(len(here), -1)
        least = np.full(len(here), -np.inf, score.dtype)
        if width**2 > n_best:
            # No more than n_best different spans of a window can be among the best of its example; equal scores stay.
            best = score.max(-1) if n_best == 1 else np.partition(score, width**2 - n_best, axis=-1)[:, -n_best]
            least = np.where(_distinct(start) & _distinct(end), best, -np.inf)
        r, cell = np.nonzero((score >= least[:, None]) & (score > -np.inf))
        i, j = np.divmod(cell, width)
        exact = first_logit[r, i].astype(np.float64) + last_logit[r, j]
        parts.append((windows.example_index[here][r], start[r, i], end[r, j], exact))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _distinct(places):
    """(R,) bool: do the tokens of each row stand at different characters? Several tokens may share one."""
    places = np.sort(places, axis=-1)
    return ~((places[:, 1:] == places[:, :-1]) & (places[:, 1:] >= 0)).any(-1)


def _best_of_examples(example, start, end, score, n_best):
    """The n best spans of each example, best first, equal scores by position; each span once, at its best score."""
    # one number for each span, in the order of example, start and end; 63 bits hold it for any text that fits a memory
    size = int(end.max(initial=0)) + 1
    span = (example * size + start) * size + end
    if not (np.diff(span) > 0).all():  # several windows of one example, or tokens that share characters
        order = np.argsort(span, kind="stable")
        first = np.flatnonzero(np.diff(span[order], prepend=-1))
        # Two windows that overlap offer the same span twice.
        score = np.maximum.reduceat(score[order], first)
        example, start, end = (part[order[first]] for part in (example, start, end))
    order = np.lexsort((-score, example))  # stable: by position among equal scores
    example, start, end, score = example[order], start[order], end[order], score[order]
    rank = np.arange(len(example)) - np.searchsorted(example, example)
    keep = rank < n_best
    return example[keep], start[keep], end[keep], score[keep]


def _top(logits, n):
    """(positions (R, n), their logits) of the n highest of each row, by position; of equal ones the earlier are taken.

    Positions at -inf fill up where a row has fewer than n others.
    """
    length = logits.shape[1]
    if n >= length:
        return np.broadcast_to(np.arange(length), logits.shape), logits
    least = np.partition(logits, length - n, axis=-1)[:, length - n, None]
    chosen = logits >= least
    many = np.flatnonzero(chosen.sum(-1) > n)
    if len(many):
        equal = logits[many] == least[many]
        above = chosen[many] & ~equal
        chosen[many] = above | equal & (equal.cumsum(-1) <= n - above.sum(-1, keepdims=True))
    return np.nonzero(chosen)[1].reshape(-1, n), logits[chosen].reshape(-1, n)
