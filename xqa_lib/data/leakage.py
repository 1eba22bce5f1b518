"""Content that two sets of questions share, and leaving it out.

XQuAD is a part of SQuAD's development set and all its languages hold the same questions, so a model that is trained on
one and tested on the other has seen the paragraphs. Ids tell the versions of one question in several languages;
contexts are compared after normalisation, because copies differ in white space, case and Unicode form.
"""

import functools
import hashlib
import unicodedata

from ..errors import DataError

SHINGLE = 12  # characters
NEAR = 0.8  # share of a text's sampled shingles from which another text holds it, perhaps edited


def normalised_context(text):
    """A context as it is compared: NFC, case folded (then NFC again, which folding can undo), white space collapsed."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def without_paragraphs(examples, others):
    """The examples, in their order, whose normalised context and whose id both do not occur in `others`.

    Args:
        examples, others: iterables of `squad_format.Example`; languages may differ (ids still match).
    Returns:
        list of examples.
    """
    others = list(others)
    ids = {other.id for other in others}
    contexts = {normalised_context(other.context) for other in others}
    return [
        example for example in examples if example.id not in ids and normalised_context(example.context) not in contexts
    ]


def without_near_duplicates(examples, texts):
    """The examples, in their order, whose context holds none of the texts, word for word or edited (`NEAR`).

    Args:
        examples: iterable of `squad_format.Example`.
        texts: passages in the language of the contexts.

    Returns:
        list of examples.
    """
    examples = list(examples)
    held = {context for _, context in near_duplicates(texts, [example.context for example in examples])}
    return [example for example in examples if example.context not in held]


def overlap(a, b):
    """How many examples of `a` share something with any example of `b`.

    Returns:
        dict: "examples" (how many `a` has), and of these: "id", "context" (normalised) and "title" (examples without a
        title are not counted), "near" (a near-duplicate of its context, exact ones included: `near_duplicates`), each a
        number of examples of `a`.
    """
    a, b = list(a), list(b)
    ids = {example.id for example in b}
    contexts = {normalised_context(example.context) for example in b}
    titles = {_title(example) for example in b if example.title}
    near = {pair[0] for pair in near_duplicates([e.context for e in a], [e.context for e in b])}
    return {
        "examples": len(a),
        "id": sum(example.id in ids for example in a),
        "context": sum(normalised_context(example.context) in contexts for example in a),
        "title": sum(_title(example) in titles for example in a),
        "near": sum(example.context in near for example in a),
    }


def _title(example):
    """An article's title as it is compared: SQuAD and XQuAD write it as in its address."""
    return example.title.replace("_", " ")


@functools.lru_cache(maxsize=2**15)  # of all training passages, which are compared with one set after the other
def _sampled_shingles(text):
    """Hashes of those character n-grams of a text that a fixed rule samples: one of four, the same in every text."""
    text = normalised_context(text)
    pieces = {text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))}
    hashes = {
        int.from_bytes(hashlib.blake2b(p.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        for p in pieces
    }
    # a short text may have none that the rule takes
    return {value for value in hashes if value % 4 == 0} or hashes


def near_duplicates(texts, others, *, threshold=NEAR):
    """Pairs of a text and another one that holds most of its pieces: the same text, edited, or a longer one around it.

    The share is that of the first text's pieces, so that a sentence that a paragraph shares with a long text does not
    count against the long one. It is estimated from a fourth of the overlapping pieces of 12 characters, so that it is
    off by a few hundredths for a paragraph; identical texts (after normalisation) have share 1. Translations share no
    pieces: across languages, ids tell them.

    Args:
        texts, others: iterables of strings.
        threshold: least share, in (0, 1].

    Returns:
        dict (text, other) -> share; every distinct text once.
    """
    others = {other: _sampled_shingles(other) for other in dict.fromkeys(others)}
    index = {}
    for other, shingles in others.items():
        for value in shingles:
            index.setdefault(value, []).append(other)
    found = {}
    for text in dict.fromkeys(texts):
        shingles = _sampled_shingles(text)
        shared = {}
        for value in shingles:
            for other in index.get(value, ()):
                shared[other] = shared.get(other, 0) + 1
        for other, count in shared.items():
            share = count / len(shingles)
            if share >= threshold:
                found[text, other] = share
    return found


def report(sets):
    """What any two sets share, both ways.

    Args:
        sets: mapping name -> list of `squad_format.Example`.

    Returns:
        list of dicts: "set", "shares_with" and the counts of `overlap`, for each ordered pair of different sets.
    """
    return [
        {"set": name, "shares_with": other, **overlap(examples, sets[other])}
        for name, examples in sets.items()
        for other in sets
        if other != name
    ]


def refuse_seen(training, evaluation):
    """Refuse English training data that hold a paragraph of an evaluation set, word for word or edited.

    Args:
        training: examples that a reader is trained on.
        evaluation: mapping name -> examples of an evaluation set in the same language.

    Raises:
        DataError: names the set, how many of its examples are concerned, and how the first paragraph begins.
    """
    contexts = [example.context for example in training]
    for name, examples in evaluation.items():
        seen = near_duplicates([example.context for example in examples], contexts)
        if seen:
            texts = {text for text, _ in seen}
            count = sum(example.context in texts for example in examples)
            raise DataError(
                f"the reader's training data contain the paragraphs of {count} examples of {name}, word for word or "
                f"edited ({next(iter(texts))[:40]!r}...): scores on it would not be zero-shot; leave them out of "
                "data.reader_train"
            )
