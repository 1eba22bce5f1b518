"""factbook: a parallel extractive-QA corpus that the project generates itself, in 17 languages.

A paragraph presents one invented entity and states 5 to 9 facts about it. Facts come in groups whose answers are of one
kind (three places, two dates), so that the type of an answer never tells which one is asked for: the words of question
and statement must. The same paragraphs and questions exist in all languages with the same ids.

One YAML file per language (`<code>.yaml` beside this module) holds every word; a native reader can correct it without
reading code. `python -m xqa_lib.data.factbook check FILE ...` lists all problems of such files, and
`python -m xqa_lib.data.factbook sample LANG` prints paragraphs for review.
"""

import hashlib
import itertools
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...errors import DataError
from ..squad_format import Example, GoldAnswer
from .language_files import FINALS, GROUPS, LEXICON, QUANTITIES, RELATIONS, SYLLABLES, WORDINGS, load_language

# ---------------------------------------------------------------------------------------------- invented facts


SPLITS = ("train", "parallel", "development", "test", "zero_shot")
# What a paragraph of an entity type states: (weight, groups). Only whole groups, so that at least two answers share a
# kind, 5 to 9 facts in all. Few groups and many facts keep the guess by answer type low (`type_guess_baseline`); groups
# whose numbers can be told apart by size (population, pages) are rarer where there is a choice.
PLANS = {
    "person": (
        *((2, ("place", "person")), (2, ("place", "date")), (2, ("person", "date"))),
        (1, ("place", "person", "date")),
    ),
    "town": ((2, ("number", "date")), (2, ("person", "number")), (1, ("person", "number", "date"))),
    "river": ((3, ("place", "person")), (3, ("place", "metre")), (1, ("place", "person", "metre"))),
    "company": ((3, ("person", "goods")), (3, ("place", "goods")), (1, ("person", "place", "goods"))),
    "book": ((4, ("person", "colour")), (2, ("person", "number")), (1, ("person", "number", "colour"))),
    "animal": (
        *((3, ("colour", "place")), (3, ("colour", "food")), (3, ("colour", "kilogram"))),
        *((1, ("place", "colour", "food")), (1, ("place", "colour", "kilogram"))),
    ),
}
ENTITY_WEIGHTS = {"person": 3, "town": 2, "river": 3, "company": 3, "book": 3, "animal": 3}
NUMBER_RANGES = {  # both ends included
    "population": (1000, 90000),
    "bridges": (15, 99),
    "schools": (15, 99),
    "chapters": (15, 99),
    "pages": (115, 990),
    "width": (25, 950),
    "depth": (25, 950),
    "male_weight": (25, 190),
    "female_weight": (25, 190),
}
# Years of the first event, and years from it to the second: lives and histories that are possible.
DATE_RANGES = {
    "birth_date": (1700, 1940),
    "wedding_date": ("birth_date", 20, 40),
    "founding_date": (1100, 1700),
    "fire_date": ("founding_date", 30, 250),
}
SYLLABLE_COUNTS = {"place": (2, 3), "given": (2, 3), "family": (2, 3), "town": (2, 3)}  # (3, 3) for all others
# Sound-alikes that share a letter in some of the scripts: names that differ only in them do not meet in a paragraph.
FOLD = str.maketrans("bpvfdtgklrszieou", "bbbbddggllsseeoo")
# Syllables of well-known names and of words that are rude somewhere; no invented name contains them.
RESERVED = re.compile(
    "lima|roma|riga|mali|bali|peru|togo|kobe|nara|baku|pisa|fidel|nero|zulu|sudan|milan|paris|"
    "niga|nige|puta|puto|kaka|fuku|fuka|faku|pene|pisi|pipi|popo|nazi|kike|rape|pedo"
)


class _Stream:
    """Random draws that are the same on every Python version, platform and PYTHONHASHSEED.

    Keyed by any strings and integers. Built upon `random.Random(int).random()` only, whose sequence Python promises to
    keep; it does not promise that for choice, sample and shuffle.
    """

    def __init__(self, *key):
        digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big")).random

    def below(self, n):
        """A whole number from 0 to n - 1."""
        return int(self._random() * n)

    def between(self, low, high):
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items):
        return items[self.below(len(items))]

    def shuffled(self, items):
        """A new list in random order (Fisher-Yates)."""
        items = list(items)
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items

    def weighted(self, pairs):
        """One of the items of [(whole-number weight, item), ...]."""
        at = self.below(sum(weight for weight, _ in pairs))
        for weight, item in pairs:
            if at < weight:
                return item
            at -= weight


def split_of(syllables):
    """The split that may use a name word with these syllables (its final does not count): SHA-256 modulo 5."""
    digest = hashlib.sha256("".join(syllables).encode()).digest()
    return SPLITS[int.from_bytes(digest[:8], "big") % len(SPLITS)]


def _draw_word(stream, counts, split, taken):
    """A new name word, as (syllables, final), of this split.

    `taken` holds the folded syllables of the paragraph's other words; the new one neither contains nor is contained.
    """
    for attempt in itertools.count():
        # One syllable more after every 100 failures, so that the names never run out.
        count = stream.between(*counts) + attempt // 100
        syllables = [stream.choice(SYLLABLES) for _ in range(count)]
        if split_of(syllables) != split:
            continue
        plain, final = "".join(syllables), stream.choice(("", "", "", *FINALS))
        folded = plain.translate(FOLD)
        if not RESERVED.search(plain + final) and not any(folded in other or other in folded for other in taken):
            taken.append(folded)
            return tuple(syllables), final


def _draw_name(stream, kind, split, taken):
    """A name as a tuple of words: given and family name of a person, else one word."""
    parts = ("given", "family") if kind == "person" else (kind,)
    return tuple(_draw_word(stream, SYLLABLE_COUNTS.get(part, (3, 3)), split, taken) for part in parts)


def _draw_number(stream, low, high):
    """A number that takes the same plural form in all languages: it ends in 0 or 5 to 9, but not in 11 to 19."""
    while True:
        number = stream.between(low, high)
        if number % 10 in (0, 5, 6, 7, 8, 9) and not 11 <= number % 100 <= 19:
            return number


def _draw_values(stream, entity, kinds, split, taken):
    """Relation -> value for all relations of the kinds; values of one kind are distinct.

    A value is a name (tuple of words), a number, a date (year, month, day) or the key of a word, by kind.
    """
    values = {}
    for kind in kinds:
        relations = GROUPS[entity][kind]
        if kind in LEXICON:
            values.update(zip(relations, stream.shuffled(LEXICON[kind]), strict=False))
            continue
        for relation in relations:
            if kind in ("place", "person"):
                values[relation] = _draw_name(stream, kind, split, taken)
            elif kind == "date":
                *first, low, high = DATE_RANGES[relation]
                start = values[first[0]][0] if first else 0
                values[relation] = (start + stream.between(low, high), stream.between(1, 12), stream.between(1, 28))
            else:
                while relation not in values:
                    number = _draw_number(stream, *NUMBER_RANGES[relation])
                    if number not in values.values():
                        values[relation] = number
    return values


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a paragraph says, in no language: subject (a name), relations in their order, relation -> value."""

    split: str
    number: int
    entity: str
    subject: tuple
    relations: tuple[str, ...]
    values: Mapping[str, object]


def _draw(*, paragraphs, seed, split):
    """Yield `paragraphs` `_Drawn`s with distinct subjects; the first n do not depend on how many are asked for."""
    used = set()
    for number in range(paragraphs):
        stream = _Stream("facts", seed, split, number)
        entity = stream.weighted([(weight, name) for name, weight in ENTITY_WEIGHTS.items()])
        kinds = stream.weighted(PLANS[entity])
        taken = []
        for attempt in itertools.count():
            del taken[:]
            counts = SYLLABLE_COUNTS.get(entity, (3, 3))
            if entity == "person":
                subject = _draw_name(stream, "person", split, taken)
            else:
                counts = (counts[0] + attempt // 50, counts[1] + attempt // 50)
                subject = (_draw_word(stream, counts, split, taken),)
            if subject not in used:
                break
        used.add(subject)
        values = _draw_values(stream, entity, kinds, split, taken)
        yield _Drawn(split, number, entity, subject, tuple(stream.shuffled(values)), values)


# ---------------------------------------------------------------------------------------------- paragraphs


@dataclass(frozen=True, slots=True)
class Fact:
    """One stated fact: its relation, the kind of its answer, and the answer in the paragraph's language."""

    relation: str
    kind: str
    answer: GoldAnswer


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph in one language: facts in the order of the text, and its questions as examples."""

    split: str
    number: int
    language: str
    entity: str
    subject: str
    context: str
    facts: tuple[Fact, ...]
    examples: tuple[Example, ...]


def _spell(data, name):
    words, spelling = [], data.names
    for syllables, final in name:
        word = "".join([spelling.syllables[syllable] for syllable in syllables])
        word += spelling.finals[final] if final else ""
        words.append(word[0].upper() + word[1:])
    return data.text.name_joiner.join(words)


def _number(data, number):
    text = str(number)
    if number >= data.text.thousands_from:
        text = text[:-3] + data.text.thousands_separator + text[-3:]
    return text.translate(str.maketrans("0123456789", data.text.digits))


def _answer_text(data, kind, value):
    """The answer as the language writes it."""
    if kind in ("place", "person"):
        return _spell(data, value)
    if kind in LEXICON:
        return data.words[kind][value]
    if kind == "date":
        year, month, day = value
        digits = str.maketrans("0123456789", data.text.digits)
        return data.text.date.format(
            month=data.months[month - 1], day=str(day).translate(digits), year=str(year).translate(digits)
        )
    number = _number(data, value)
    return data.quantities[kind].format(number=number) if kind in QUANTITIES else number


def _render(data, drawn, choose, asked):
    """The `Paragraph` of what was drawn, in the language of `data`.

    Args:
        choose: picks one of three wordings.
        asked: relations whose questions become examples.
    """
    subject, sentences = _spell(data, drawn.subject), data.entities[drawn.entity]
    introduction = choose(sentences.introductions).replace("{subject}", subject)
    pieces = [introduction]
    length = len(introduction)
    facts, questions = [], []
    for relation in drawn.relations:
        kind = RELATIONS[drawn.entity][relation]
        text = _answer_text(data, kind, drawn.values[relation])
        statement = choose(sentences.relations[relation].statements)
        before, after = (part.replace("{subject}", subject) for part in statement.split("{answer}"))
        start = length + len(data.text.sentence_separator) + len(before)
        pieces.append(before + text + after)
        length += len(data.text.sentence_separator) + len(pieces[-1])
        facts.append(Fact(relation, kind, GoldAnswer(text, start)))
        # Drawn for questions that are not asked, too, so that asking fewer does not change the others.
        questions.append(choose(sentences.relations[relation].questions).replace("{subject}", subject))
    context = data.text.sentence_separator.join(pieces)
    examples = tuple(
        Example(
            id=f"{drawn.split}-{drawn.number:05d}-{fact.relation}",
            question=question,
            context=context,
            answers=(fact.answer,),
            title=f"{drawn.entity} {drawn.number:05d}",
            question_lang=data.language,
            context_lang=data.language,
        )
        for fact, question in zip(facts, questions, strict=True)
        if fact.relation in asked
    )
    return Paragraph(drawn.split, drawn.number, data.language, drawn.entity, subject, context, tuple(facts), examples)


def generate(*, paragraphs, languages, seed, split, wordings="training", questions_per_paragraph=None):
    """The same paragraphs and questions in every language.

    Facts depend on (seed, split, number of the paragraph) only, wordings on these and the language: other languages or
    more paragraphs do not change a paragraph. Names of different splits are disjoint, in every word; the paragraphs'
    subjects are distinct within a split.

    Args:
        paragraphs: how many.
        languages: codes (see `available_languages`).
        seed: whole number or text.
        split: one of SPLITS.
        wordings: "training" draws from the first two wordings of every list, "evaluation" from all three.
        questions_per_paragraph: at most so many questions, the same ones in all languages; None for all.
    Returns:
        dict language -> list of `Paragraph`, in the order of `languages`.
    Raises:
        DataError: unknown language, or one whose file has a problem.
        ValueError: any other argument.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    if questions_per_paragraph is not None and questions_per_paragraph < 1:
        raise ValueError(f"questions_per_paragraph must be at least 1, or None for all, got {questions_per_paragraph}")
    count = _wording_count(wordings)
    data = {loaded.language: loaded for loaded in map(load_language, languages)}
    found = {language: [] for language in data}
    for drawn in _draw(paragraphs=paragraphs, seed=seed, split=split):
        key = (seed, split, drawn.number)
        asked = _Stream("questions", *key).shuffled(drawn.relations)[:questions_per_paragraph]
        for language in data:
            choose = _chooser(_Stream("wordings", *key, language), count)
            found[language].append(_render(data[language], drawn, choose, asked))
    return found


def _wording_count(wordings):
    counts = {"training": WORDINGS - 1, "evaluation": WORDINGS}
    if wordings not in counts:
        raise ValueError(f"wordings must be one of {', '.join(counts)}, got {wordings!r}")
    return counts[wordings]


def _chooser(stream, count):
    return lambda options: options[stream.below(count)]


def examples_of(paragraphs):
    """The examples of a list of paragraphs, in order."""
    return [example for paragraph in paragraphs for example in paragraph.examples]


def stated_answers(paragraphs):
    """What each question could be answered with: every answer that its paragraph states, in the order of the text.

    Args:
        paragraphs: list of `Paragraph`.
    Returns:
        list of (id of the question, language of the paragraph, kind of the answer, answer, is it the right one?).
    """
    return [
        (example.id, paragraph.language, fact.kind, fact.answer.text, fact.answer == example.answers[0])
        for paragraph in paragraphs
        for example in paragraph.examples
        for fact in paragraph.facts
    ]


def cross_lingual(examples_by_language, question_lang, context_lang):
    """Examples with the question in one language and the context and answers in another, paired by id.

    Args:
        examples_by_language: language -> list of `Example` whose question and context are in that language.
    Returns:
        list of `Example` in the order of the context language.
    Raises:
        DataError: a language is missing, or the two do not have the same ids.
    """
    for language in (question_lang, context_lang):
        if language not in examples_by_language:
            have = ", ".join(examples_by_language)
            raise DataError(f"expected examples in {language!r}, found only {have}; generate that language too")
    contexts = examples_by_language[context_lang]
    questions = {example.id: example.question for example in examples_by_language[question_lang]}
    different = sorted(questions.keys() ^ {example.id for example in contexts})
    if different:
        raise DataError(
            f"expected the same question ids in {question_lang} and {context_lang}, found {len(different)} in only one "
            f"of them (first: {different[0]}); generate both with the same arguments"
        )
    return [replace(example, question=questions[example.id], question_lang=question_lang) for example in contexts]


def type_guess_baseline(examples, *, by_size=False):
    """Exact match, in percent, to expect from a guess among the paragraph's answers of the right type.

    A paragraph states whole groups, with distinct answers, so the guess is right once in the size of the group.

    Args:
        examples: of this module; entity type and relation are read from title and id.
        by_size: the guess also tells a population from bridges and schools, and pages from chapters, by their size.
    Raises:
        DataError: no examples, or some that are not of this module.
    """
    examples = list(examples)
    if not examples:
        raise DataError("expected factbook examples, found none")
    large = ("population", "pages") if by_size else ()
    expected = []
    for example in examples:
        entity, relation = example.title.split(" ")[0], example.id.split("-")[-1]
        if relation not in RELATIONS.get(entity, {}):
            raise DataError(f"expected factbook examples, found id {example.id!r} with title {example.title!r}")
        others = GROUPS[entity][RELATIONS[entity][relation]]
        expected.append(1 / sum((other in large) == (relation in large) for other in others))
    return 100 * math.fsum(expected) / len(expected)
