"""The decoding ceiling: what a reader that knows every answer would score, given tokenizer, windows and decoding.

It is below 100 where an answer begins or ends inside a token, where it is longer than decoding allows, or where no
window holds all of it. No training can go beyond it, so that it stands beside every table of scores.
"""

import numpy as np

from ..decoding import best_answers
from ..features import encode_pairs, label_windows

_BLOCK = 2048  # examples decoded at once


def perfect_answers(tokenizer, examples, *, features, max_answer_tokens):
    """The decoded answer of each example where start and end logits are 1 at the truth and 0 elsewhere.

    Args:
        tokenizer: a fast tokenizer.
        examples: list of `squad_format.Example` with answers; the first one is the truth.
        features: `params.Features`.

    Returns:
        One string per example; "" where no window holds the whole answer.
    """
    texts = []
    for first in range(0, len(examples), _BLOCK):
        part = examples[first : first + _BLOCK]
        contexts = [example.context for example in part]
        windows = encode_pairs(
            tokenizer,
            [example.question for example in part],
            contexts,
            max_length=features.max_length,
            stride=features.stride,
            max_question_length=features.max_question_length,
        )
        spans = [(e.answers[0].start, e.answers[0].start + len(e.answers[0].text)) for e in part]
        starts, ends = label_windows(windows, spans)
        shape = windows.input_ids.shape
        logits = [np.zeros(shape, np.float32), np.zeros(shape, np.float32)]
        rows = np.nonzero(starts > 0)[0]
        for values, positions in zip(logits, (starts, ends), strict=True):
            values[rows, positions[rows]] = 1.0
        found = best_answers(windows, *logits, contexts, n_best=1, max_answer_tokens=max_answer_tokens)
        whole = set(windows.example_index.numpy()[rows].tolist())
        texts += [answers[0].text if answers and index in whole else "" for index, answers in enumerate(found)]
    return texts
