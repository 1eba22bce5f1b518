"""Wrong answers on purpose: does a method notice that a part of its parallel data is mistaken?"""

import re
from dataclasses import replace

from ..languages import language_of
from ..sampling import pseudo_random_key
from .squad_format import GoldAnswer


def corrupt(parallel, *, rate, seed):
    """Replace a share of the answers by other spans of their own passages.

    Every pair of id and passage language is drawn by itself, so that a passage in one language may be mistaken and its
    translation right; all questions about a mistaken passage are. The draw depends on seed, id and language alone,
    and what is wrong at one rate is wrong at every higher one. The wrong span has as many words as the right one
    (characters where a script has no spaces) and shares no character with it.

    Args:
        parallel: language -> list of `squad_format.Example` with answers.
        rate: expected share of wrong answers, in [0, 1).
        seed: integer.

    Returns:
        (parallel, corrupted): the same with some answers replaced, each by one answer, and how many there are. An
        answer that its passage offers no other place for stays as it is and is not counted.
    """
    corrupted = 0
    noisy = {}
    for language, examples in parallel.items():
        noisy[language] = list(examples)
        for index, example in enumerate(examples):
            key = pseudo_random_key(seed, "label noise", example.id, language)
            if int.from_bytes(key[:8], "big") / 2**64 >= rate:
                continue
            wrong = _other_span(example, int.from_bytes(key[8:16], "big"))
            if wrong is not None:
                noisy[language][index] = replace(example, answers=(wrong,))
                corrupted += 1
    return noisy, corrupted


def _other_span(example, draw):
    """A span of as many units as the first answer that touches no answer; None if the passage has none."""
    spaced = language_of(example.context_lang, example.context).spaces
    units = [match.span() for match in re.finditer(r"\S+" if spaced else r"\S", example.context)]
    taken = [(answer.start, answer.start + len(answer.text)) for answer in example.answers]
    first_start, first_end = taken[0]
    size = max(1, sum(start < first_end and end > first_start for start, end in units))
    free = [
        (units[i][0], units[i + size - 1][1])
        for i in range(len(units) - size + 1)
        if all(units[i][0] >= end or units[i + size - 1][1] <= start for start, end in taken)
    ]
    if not free:
        return None
    start, end = free[draw % len(free)]
    return GoldAnswer(example.context[start:end], start)
