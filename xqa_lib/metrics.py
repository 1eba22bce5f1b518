"""Exact match and F1 of one predicted answer: the SQuAD v1.1 metric and the MLQA metric, with their quirks.

Both normalise prediction and gold answer to a list of words, compare the lists (exact match) and the bags of words
(F1), and take the best value over the gold answers, exact match and F1 each by itself. They reproduce the official
evaluation programs value for value, also where these are odd:

- SQuAD removes English articles and ASCII punctuation whatever the language, and words are what white space separates:
  most Chinese and Thai answers are one word, so F1 is nearly exact match there.
- MLQA depends on the language of the *context* (answers are spans of it). It removes that language's articles and all
  Unicode punctuation, and takes each Chinese character as a word. Other languages than its seven get general rules.
- If both texts are empty after normalisation ("The" and "a"), exact match is 1 but F1 is 0: no word is shared.

The scores are pure functions of their arguments and lie in 0..1; percentages are made where they are averaged.
"""

import re
import string
import unicodedata
from collections import Counter

from .errors import DataError
from .languages import is_word_by_itself, language_of, primary

# What the MLQA evaluation removes, by language of the context; None: the language has no articles.
_ARTICLES = {
    "en": r"\b(?:a|an|the)\b",
    "es": r"\b(?:un|una|unos|unas|el|la|los|las)\b",
    "hi": None,
    "vi": r"\b(?:của|là|cái|chiếc|những)\b",
    "de": r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    # The official pattern has a first branch that asks for "ال" before the start of the text, which never matches, and
    # a second that is just "ال". So the letters go wherever they stand, also inside a word; a space takes their place.
    "ar": "ال",
    "zh": None,
}
MLQA_LANGUAGES = tuple(_ARTICLES)
_ASCII_PUNCTUATION = frozenset(string.punctuation)
# The official range for "Chinese character": the first 20,902 CJK ideographs. Later blocks and "〇" are not in it.
_CHINESE_CHARACTER = re.compile("([\u4e00-\u9fa5])")


def squad_em_f1(prediction, answers):
    """Exact match and F1 as in the official SQuAD v1.1 evaluation (Rajpurkar et al. 2016).

    Normalisation, in this order: lower case; ASCII punctuation deleted (words around it join: "well-known" becomes
    "wellknown"); a, an, the replaced by a space; split at white space.

    Args:
        prediction: the predicted text; an empty one scores 0 unless a gold answer also normalises to nothing.
        answers: list or tuple of gold texts, at least one.
    Returns:
        (exact match, F1), each in 0..1 and each the best over `answers`.
    Raises:
        TypeError, ValueError: `answers` is a single string, empty, or holds something other than text.
    """
    return _best(prediction, answers, _squad_words)


def mlqa_em_f1(prediction, answers, context_language):
    """Exact match and F1 as in the official MLQA evaluation, version 1 (Lewis et al. 2020).

    Normalisation, in this order: lower case; punctuation deleted, that is every character of a Unicode category P* and
    all of ASCII's (also "$", "+", "<" ..., which Unicode calls symbols); articles of the context's language replaced by
    a space; split into words. Quirks kept on purpose:

    - ar: the letters "ال" are removed anywhere, not only as a prefix: "خالد" becomes the two words "خ" and "د".
    - vi: the classifiers and the words "của" (of) and "là" (is) count as articles; text is not Unicode-normalised, so
      that decomposed "là" stays.
    - de, es: only the listed forms; German "kein" and Spanish "lo", "al", "del" stay.
    - hi, zh: no articles.
    - zh: each character in U+4E00..U+9FA5 is a word, white space between them does not matter; what stands between
      them (Latin letters, digits, kana) is split at white space.
    - Which characters are punctuation depends on the Unicode tables of the running Python, as in the official program.

    Other languages, which the official program refuses, get general rules: the same punctuation, no articles, and words
    by script: a letter of a script without spaces between words (Han, kana, Thai, Lao, Khmer, Burmese, Tibetan) is a
    word with the marks after it, the rest is split at white space. Variants have the rules of their language ("de-AT").

    Args:
        prediction: the predicted text.
        answers: list or tuple of gold texts, at least one.
        context_language: code of the context's language, not of the question's; `MLQA_LANGUAGES` have official rules.
    Returns:
        (exact match, F1), each in 0..1 and each the best over `answers`.
    Raises:
        DataError: no language code.
        TypeError, ValueError: as `squad_em_f1`.
    """
    rules = primary(language_of(context_language).code)
    return _best(prediction, answers, lambda text: _mlqa_words(text, rules))


def best_metric(name):
    """The metric of this name as a function (prediction, answers, context_language) -> (em, f1), best over the answers.

    "squad" ignores the language, "mlqa" needs it: callers can treat both alike.

    Raises:
        DataError: an unknown name.
    """
    metrics = {
        "squad": lambda prediction, answers, context_language: squad_em_f1(prediction, answers),
        "mlqa": mlqa_em_f1,
    }
    if name not in metrics:
        raise DataError(f"unknown metric {name!r}: expected one of {', '.join(metrics)}")
    return metrics[name]


def _best(prediction, answers, words_of):
    if not isinstance(prediction, str):
        raise TypeError(f"prediction must be a string, got {type(prediction).__name__}")
    if isinstance(answers, str):
        raise TypeError("answers must be a list of strings, got one string; put it in a list")
    if len(answers) == 0:
        raise ValueError("answers must hold at least one gold text, got none; does the file have gold answers?")
    predicted = words_of(prediction)
    golds = []
    for answer in answers:
        if not isinstance(answer, str):
            raise TypeError(f"answers must be strings, got {type(answer).__name__}; pass the texts of the answers")
        golds.append(words_of(answer))
    exact_match = float(any(predicted == gold for gold in golds))
    return exact_match, max(_word_f1(predicted, gold) for gold in golds)


def _word_f1(predicted, gold):
    """F1 of two bags of words; 0 without a common word, also if both are empty (so the official programs)."""
    common = sum((Counter(predicted) & Counter(gold)).values())
    if common == 0:
        return 0.0
    precision = common / len(predicted)
    recall = common / len(gold)
    # Not 2 * common / (m + n): the official programs round in this order, and scores are compared at full precision.
    return (2 * precision * recall) / (precision + recall)


def _squad_words(text):
    text = "".join(c for c in text.lower() if c not in _ASCII_PUNCTUATION)
    return re.sub(_ARTICLES["en"], " ", text).split()


def _mlqa_words(text, language):
    text = "".join(c for c in text.lower() if not _is_punctuation(c))
    if language not in _ARTICLES:
        return _general_words(text)
    if _ARTICLES[language]:
        text = re.sub(_ARTICLES[language], " ", text)
    if language == "zh":
        # Punctuation is gone already, so isolating the characters and splitting at white space gives the official
        # segmentation (a word tokeniser in place of the split would find nothing more to cut off).
        text = _CHINESE_CHARACTER.sub(r" \1 ", text)
    return text.split()


def _is_punctuation(character):
    return character in _ASCII_PUNCTUATION or unicodedata.category(character).startswith("P")


def _general_words(text):
    """Words of a language without rules of its own: by white space, and letters of scripts without it one by one."""
    words, joins = [], ""  # what may still join the last word: "" nothing, "marks" alone, or "all"
    for character in text:
        if character.isspace():
            joins = ""
        elif is_word_by_itself(character):
            words.append(character)
            joins = "marks"
        elif joins == "all" or (joins and unicodedata.category(character).startswith("M")):
            words[-1] += character
        else:
            words.append(character)
            joins = "all"
    return words
