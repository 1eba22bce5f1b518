"""Content that two sets of questions share, and leaving it out.

XQuAD is a part of SQuAD's development set and all its languages hold the same questions, so a model that is trained on
one and tested on the other has seen the paragraphs. Ids tell the versions of one question in several languages;
contexts are compared after normalisation, because copies differ in white space, case and Unicode form.
"""

import unicodedata


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


def overlap(a, b):
    """How many examples of `a` share something with any example of `b`.

    Returns:
        dict: "examples" (how many `a` has), and of these: "id", "context" (normalised) and "title" (examples without a
        title are not counted), each a number of examples of `a`.
    """
    a, b = list(a), list(b)
    ids = {example.id for example in b}
    contexts = {normalised_context(example.context) for example in b}
    titles = {example.title for example in b if example.title}
    return {
        "examples": len(a),
        "id": sum(example.id in ids for example in a),
        "context": sum(normalised_context(example.context) in contexts for example in a),
        "title": sum(example.title in titles for example in a),
    }
