"""From start and end logits to answers: the n best spans of each context, by character offsets.

The classic SQuAD post-processing (best starts x best ends, start <= end, at most 30 tokens, best window wins) without a
Python loop over candidates. Answers are slices of the original context: nothing is joined, so no script is damaged.
"""

from dataclasses import dataclass

import numpy as np

from .features import as_arrays


@dataclass(frozen=True, slots=True)
class Answer:
    """One candidate: `text` = context[start:end] (characters), `score` = start + end logit, `probability` = softmax of
    the scores over the candidates that were returned for the example."""

    text: str
    start: int
    end: int
    score: float
    probability: float


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
    start_logits, end_logits = _as_float64(start_logits), _as_float64(end_logits)
    shape = windows.input_ids.shape
    if start_logits.shape != shape or end_logits.shape != shape:
        raise ValueError(f"expected logits {shape}, got start {start_logits.shape} and end {end_logits.shape}")
    if n_best < 1 or max_answer_tokens < 1:
        raise ValueError(f"n_best and max_answer_tokens must be >= 1, got {n_best} and {max_answer_tokens}")
    best = [[] for _ in contexts]
    if not len(windows):
        return best
    in_context = windows.offsets[..., 0] >= 0
    if not (np.isfinite(start_logits[in_context]).all() and np.isfinite(end_logits[in_context]).all()):
        raise ValueError("logits of context tokens are not finite; did the training diverge?")

    every = np.arange(len(windows))
    window, first, last = _spans(start_logits, end_logits, in_context, every, max(n_best, 20), max_answer_tokens)
    # In a long context the best starts may all lie after the best ends: then every token is a candidate.
    without = every[in_context.any(-1) & ~np.isin(windows.example_index, windows.example_index[window])]
    more = _spans(start_logits, end_logits, in_context, without, windows.input_ids.shape[1], max_answer_tokens)
    window, first, last = (np.concatenate(both) for both in zip((window, first, last), more, strict=True))

    score = start_logits[window, first] + end_logits[window, last]
    start = windows.offsets[window, first, 0]
    end = windows.offsets[window, last, 1]
    example = windows.example_index[window]
    order = np.lexsort((end, start, -score, example))
    example, start, end, score = example[order], start[order], end[order], score[order]

    # Two windows that overlap offer the same span twice: the first in this order, the better one, stays.
    span = np.stack([example, start, end])
    _, unique = np.unique(span, axis=1, return_index=True)
    keep = np.sort(unique)
    example, start, end, score = example[keep], start[keep], end[keep], score[keep]
    bounds = np.searchsorted(example, np.arange(len(contexts) + 1))
    for index, context in enumerate(contexts):
        here = slice(bounds[index], min(bounds[index] + n_best, bounds[index + 1]))
        weight = np.exp(score[here] - score[here].max(initial=-np.inf)) if here.start < here.stop else score[here]
        probability = weight / weight.sum() if len(weight) else weight
        best[index] = [
            Answer(context[s:e], s, e, value, p)
            for s, e, value, p in zip(
                start[here].tolist(), end[here].tolist(), score[here].tolist(), probability.tolist(), strict=True
            )
        ]
    return best


def _as_float64(logits):
    # A tensor may have a gradient, sit on a device or be of a type that NumPy does not know.
    if hasattr(logits, "detach"):
        logits = logits.detach().cpu().double()
    return np.asarray(logits, dtype=np.float64)


def _spans(start_logits, end_logits, in_context, rows, n, max_answer_tokens):
    """(window, first token, last token) of all valid spans between the n best starts and ends of the windows `rows`."""
    starts = _top(np.where(in_context[rows], start_logits[rows], -np.inf), n)  # (R, n)
    ends = _top(np.where(in_context[rows], end_logits[rows], -np.inf), n)
    tokens = ends[:, None, :] - starts[:, :, None] + 1  # (R, n, n)
    valid = (tokens >= 1) & (tokens <= max_answer_tokens)
    row = rows[:, None]
    valid &= in_context[row, starts][:, :, None] & in_context[row, ends][:, None, :]
    r, i, j = np.nonzero(valid)
    return rows[r], starts[r, i], ends[r, j]


def _top(logits, n):
    """(W, min(n, L)) token positions of the n highest logits; of equal ones the earlier first."""
    return np.argsort(-logits, axis=-1, kind="stable")[:, :n]
