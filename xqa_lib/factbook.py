"""factbook: a parallel extractive-QA corpus that the project generates itself, in 17 languages.

A paragraph presents one invented entity and states 5 to 9 facts about it. Facts come in groups whose answers are of one
kind (three places, two dates), so that the type of an answer never tells which one is asked for: the words of question
and statement must. The same paragraphs and questions exist in all languages with the same ids.

One YAML file per language (`factbook_languages/<code>.yaml`) holds every word; a native reader can correct it without
reading code. `python -m xqa_lib.factbook check FILE ...` lists all problems of such files, and
`python -m xqa_lib.factbook sample LANG` prints paragraphs for review.
"""

import argparse
import functools
import hashlib
import itertools
import math
import operator
import random
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pandas as pd
import yaml

from .errors import DataError
from .languages import LANGUAGES
from .squad_format import Answer, Example

FOLDER = Path(__file__).parent / "factbook_languages"

# Entity type -> relation -> kind of its answer. Relations of one kind form a group, stated together or not at all.
RELATIONS = {
    "person": {
        "birth_place": "place",
        "study_place": "place",
        "home_place": "place",
        "teacher": "person",
        "spouse": "person",
        "rival": "person",
        "birth_date": "date",
        "wedding_date": "date",
    },
    "town": {
        "founder": "person",
        "mayor": "person",
        "population": "number",
        "bridges": "number",
        "schools": "number",
        "founding_date": "date",
        "fire_date": "date",
    },
    "river": {
        "source_place": "place",
        "mouth_place": "place",
        "dam_place": "place",
        "explorer": "person",
        "painter": "person",
        "width": "metre",
        "depth": "metre",
    },
    "company": {
        "founder": "person",
        "director": "person",
        "seat": "place",
        "factory": "place",
        "first_product": "goods",
        "main_product": "goods",
        "newest_product": "goods",
    },
    "book": {
        "author": "person",
        "translator": "person",
        "illustrator": "person",
        "pages": "number",
        "chapters": "number",
        "cover_colour": "colour",
        "title_colour": "colour",
    },
    "animal": {
        "habitat": "place",
        "museum": "place",
        "head_colour": "colour",
        "wing_colour": "colour",
        "tail_colour": "colour",
        "summer_food": "food",
        "winter_food": "food",
        "male_weight": "kilogram",
        "female_weight": "kilogram",
    },
}
GROUPS = {
    entity: {
        kind: tuple(relation for relation, its_kind in relations.items() if its_kind == kind)
        for kind in dict.fromkeys(relations.values())
    }
    for entity, relations in RELATIONS.items()
}
LEXICON = {
    "colour": ("red", "blue", "green", "yellow", "white", "black", "brown", "grey", "pink", "orange"),
    "goods": (
        *("clocks", "shoes", "carpets", "bicycles", "candles", "umbrellas"),
        *("pianos", "knives", "hats", "bells", "mirrors", "lamps"),
    ),
    "food": (
        *("grass", "berries", "insects", "fish", "seeds", "honey"),
        *("nuts", "mushrooms", "leaves", "worms", "fruit", "eggs"),
    ),
}
QUANTITIES = ("metre", "kilogram")
SYLLABLES = tuple(onset + vowel for onset in "bdfgklmnprstvz" for vowel in "aeiou")
FINALS = tuple("nrsl")
WORDINGS = 3  # per list; the last one is for evaluation data only

CASED_SCRIPTS = ("Latn", "Grek", "Cyrl")
# Apostrophes inside a word are no quotation marks ({subject}'s, Swahili ng').
APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


# ---------------------------------------------------------------------------------------------- language files


@dataclass(frozen=True, slots=True)
class LanguageData:
    """The checked content of one language file: read-only mappings; wordings are tuples of 3, the last for evaluation.

    introductions: entity type -> wordings. statements, questions: entity type -> relation -> wordings.
    syllables, finals: piece -> spelling, complete for every language (Latin spelling where the file leaves them empty).
    """

    code: str
    sentence_separator: str
    name_joiner: str
    digits: str
    thousands_separator: str
    thousands_from: int
    date: str
    months: tuple[str, ...]
    quantities: Mapping[str, str]
    syllables: Mapping[str, str]
    finals: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    introductions: Mapping[str, tuple[str, ...]]
    statements: Mapping[str, Mapping[str, tuple[str, ...]]]
    questions: Mapping[str, Mapping[str, tuple[str, ...]]]


def available_languages():
    """Codes of the languages that have a file, in the order of `languages.LANGUAGES`."""
    return tuple(code for code in LANGUAGES if (FOLDER / f"{code}.yaml").is_file())


def load_language(code_or_path):
    """The checked `LanguageData` of a language code ("en") or of a file (a path that ends in .yaml).

    Raises:
        DataError: unknown code, missing file, or a file that breaks a rule; names file, key path, what was expected and
            what was found (the first problem; `language_problems` lists all).
    """
    name = str(code_or_path)
    if name.endswith((".yaml", ".yml")):
        return _load(Path(name))
    if name not in LANGUAGES:
        raise DataError(
            f"unknown language {name!r}: expected one of {', '.join(LANGUAGES)}, or the path of a .yaml file"
        )
    return _load_packaged(name)


@functools.cache
def _load_packaged(code):
    return _load(FOLDER / f"{code}.yaml")


def _load(path):
    data, problems = _parse(path)
    problems = problems or _check(data, path.stem)
    if problems:
        more = len(problems) - 1
        hint = f" (and {more} more: python -m xqa_lib.factbook check {path.name} lists all)" if more else ""
        raise DataError(f"{path}: {problems[0]}{hint}")
    text, names, entities = data["text"], data["names"], data["entities"]
    return LanguageData(
        code=data["language"],
        **text,
        months=tuple(data["months"]),
        quantities=MappingProxyType(data["quantities"]),
        syllables=MappingProxyType(names["syllables"] or {piece: piece for piece in SYLLABLES}),
        finals=MappingProxyType(names["finals"] or {piece: piece for piece in FINALS}),
        words=MappingProxyType({category: MappingProxyType(words) for category, words in data["words"].items()}),
        introductions=MappingProxyType({entity: tuple(entities[entity]["introductions"]) for entity in RELATIONS}),
        statements=_wordings(entities, "statements"),
        questions=_wordings(entities, "questions"),
    )


def _wordings(entities, what):
    return MappingProxyType(
        {
            entity: MappingProxyType(
                {name: tuple(entities[entity]["relations"][name][what]) for name in RELATIONS[entity]}
            )
            for entity in RELATIONS
        }
    )


def language_problems(path):
    """Every problem of one language file, as lines `FILE: KEY PATH: expected ..., found ...`; empty if fine."""
    path = Path(path)
    data, problems = _parse(path)
    return [f"{path}: {problem}" for problem in problems or _check(data, path.stem)]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Safe loader that refuses a key given twice, and reads `no` (a syllable of the names) as a word, not as false."""

    yaml_implicit_resolvers: ClassVar[dict] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _parse(path):
    """(content, problems): at most one problem, of the file as a whole."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader), []
    except FileNotFoundError:
        return None, ["expected a language file, found none"]
    except UnicodeDecodeError as error:
        return None, [f"expected UTF-8, found byte {error.object[error.start]:#04x} at position {error.start}"]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        return None, [f"{line}expected valid YAML, found: {getattr(error, 'problem', None) or error}"]


def _check(data, stem):
    """All problems of the content of a language file, in the order of the file."""
    found = []
    top = ("language", "text", "months", "quantities", "names", "words", "entities")
    if not _keys(found, "top level", data, top):
        return found
    code = data["language"]
    if not isinstance(code, str) or code not in LANGUAGES:
        found.append(f"language: expected one of {', '.join(LANGUAGES)}, found {code!r}")
        return found
    if code != stem:
        found.append(f"language: expected {stem!r} as in the file name, found {code!r}")
    language = LANGUAGES[code]
    _check_text(found, data["text"], language)
    if _list(found, "months", data["months"], 12, language):
        _distinct(found, "months", data["months"])
        for index, month in enumerate(data["months"]):
            _placeholders(found, f"months[{index}]", month, {})
    if _keys(found, "quantities", data["quantities"], QUANTITIES):
        for name in QUANTITIES:
            if _string(found, f"quantities.{name}", data["quantities"][name], language):
                _placeholders(found, f"quantities.{name}", data["quantities"][name], {"number": (1, 1)})
    _check_names(found, data["names"], language)
    if _keys(found, "words", data["words"], tuple(LEXICON)):
        for category, keys in LEXICON.items():
            place, words = f"words.{category}", data["words"][category]
            if _keys(found, place, words, keys):
                fine = [key for key in keys if _string(found, f"{place}.{key}", words[key], language)]
                _distinct(found, place, [words[key] for key in fine])
                for key in fine:
                    _placeholders(found, f"{place}.{key}", words[key], {})
    if _keys(found, "entities", data["entities"], tuple(RELATIONS)):
        for entity in RELATIONS:
            _check_entity(found, entity, data["entities"][entity], language)
    return found


def _check_text(found, text, language):
    keys = ("sentence_separator", "name_joiner", "digits", "thousands_separator", "thousands_from", "date")
    if not _keys(found, "text", text, keys):
        return
    separator = " " if language.spaces else ""
    if text["sentence_separator"] != separator:
        found.append(f"text.sentence_separator: expected {separator!r}, found {text['sentence_separator']!r}")
    for key in ("name_joiner", "thousands_separator"):
        value = text[key]
        if not isinstance(value, str) or len(value) > 1:
            found.append(f"text.{key}: expected a string of at most one character, found {value!r}")
        elif not language.spaces and value.isspace():
            found.append(f"text.{key}: expected no space in {language.name}, found {value!r}")
    digits = text["digits"]
    if not isinstance(digits, str) or [unicodedata.decimal(digit, None) for digit in digits] != list(range(10)):
        found.append(f"text.digits: expected a quoted string of the ten digits from zero to nine, found {digits!r}")
    if text["thousands_from"] not in (1000, 10000) or isinstance(text["thousands_from"], bool):
        found.append(f"text.thousands_from: expected 1000 or 10000, found {text['thousands_from']!r}")
    if _string(found, "text.date", text["date"], language):
        _placeholders(found, "text.date", text["date"], {"month": (1, 1), "day": (1, 1), "year": (1, 1)})


def _check_names(found, names, language):
    if not _keys(found, "names", names, ("syllables", "finals")):
        return
    tables = {"syllables": SYLLABLES, "finals": FINALS}
    empty = [name for name in tables if names[name] == {}]
    if len(empty) == 2 and language.script == "Latn":
        return
    if language.script != "Latn":
        empty = []  # no excuse for an empty table: the keys are reported as missing below
    elif empty:
        found.append(f"names.{empty[0]}: expected both tables empty or both filled, found only this one empty")
    if not isinstance(names["syllables"], dict):
        tables.pop("finals")  # reported below; finals are joined to syllables
    for name, pieces in tables.items():
        if name in empty or not _keys(found, f"names.{name}", names[name], pieces, ordered=False):
            continue
        for piece in pieces:
            place, spelling = f"names.{name}.{piece}", names[name][piece]
            if not _string(found, place, spelling, language):
                continue
            _placeholders(found, place, spelling, {})
            if any(character.isspace() for character in spelling):
                found.append(f"{place}: expected no space, found {spelling!r}")
            joined = [other + spelling for other in names["syllables"].values() if isinstance(other, str)]
            changed = [word for word in joined if unicodedata.normalize("NFC", word) != word]
            if changed:
                found.append(f"{place}: expected text that stays NFC when syllables are joined, found {changed[0]!r}")


def _check_entity(found, entity, data, language):
    place = f"entities.{entity}"
    if not _keys(found, place, data, ("introductions", "relations")):
        return
    _check_sentences(found, f"{place}.introductions", data["introductions"], {"subject": (1, 1)}, language)
    relations = data["relations"]
    if not _keys(found, f"{place}.relations", relations, tuple(RELATIONS[entity])):
        return
    seen = {}
    for relation, kind in RELATIONS[entity].items():
        here = f"{place}.relations.{relation}"
        if not _keys(found, here, relations[relation], ("statements", "questions")):
            continue
        statements, questions = relations[relation]["statements"], relations[relation]["questions"]
        _check_sentences(found, f"{here}.statements", statements, {"subject": (0, 1), "answer": (1, 1)}, language)
        _check_sentences(found, f"{here}.questions", questions, {"subject": (1, 1)}, language)
        if kind in LEXICON and language.script in CASED_SCRIPTS and isinstance(statements, list):
            for index, sentence in enumerate(statements):
                if isinstance(sentence, str) and sentence.startswith("{answer}"):
                    found.append(
                        f"{here}.statements[{index}]: expected no {{answer}} at the start, because a word of {kind} "
                        f"would need a capital letter, found {sentence!r}"
                    )
        for what, sentences in (("statements", statements), ("questions", questions)):
            for index, sentence in enumerate(sentences if isinstance(sentences, list) else ()):
                first = seen.setdefault((what, str(sentence)), relation)
                if first != relation:
                    found.append(
                        f"{here}.{what}[{index}]: expected words that tell it apart from {first}, "
                        f"found the same sentence in both: {sentence!r}"
                    )


def _check_sentences(found, place, sentences, placeholders, language):
    if not _list(found, place, sentences, WORDINGS, language):
        return
    _distinct(found, place, sentences)
    for index, sentence in enumerate(sentences):
        here = f"{place}[{index}]"
        _placeholders(found, here, sentence, placeholders)
        bare = APOSTROPHE.sub("", PLACEHOLDER.sub("x", sentence))
        for wrong, what in (
            ([character for character in bare if unicodedata.category(character) == "Nd"], "digits"),
            ([character for character in bare if character in "\"'`´" or _is_quote(character)], "quotation marks"),
            ([character for character in bare if unicodedata.category(character) in ("Ps", "Pe")], "brackets"),
        ):
            if wrong:
                found.append(f"{here}: expected no {what}, found {wrong[0]!r} in {sentence!r}")
    if language.spaces and len(set(sentences)) == WORDINGS:
        words = [set(_words(sentence)) for sentence in sentences]
        if not words[-1] & set().union(*words[:-1]):
            found.append(
                f"{place}[{WORDINGS - 1}]: expected at least one word of the other wordings in the last one (used "
                f"in evaluation only), found none in {sentences[-1]!r}"
            )


def _is_quote(character):
    # Title marks and corner brackets are Ps/Pe in Unicode; „ and ‚ too.
    return unicodedata.category(character) in ("Pi", "Pf") or character in "„‚《》〈〉「」『』〝〞"


def _words(sentence):
    """Words of a sentence with spaces, in lower case, without placeholders and punctuation."""
    parts = (part for part in PLACEHOLDER.sub(" ", sentence).casefold().split())
    stripped = ("".join(c for c in part if unicodedata.category(c)[0] in "LM") for part in parts)
    return [word for word in stripped if word]


def _keys(found, place, data, keys, *, ordered=True):
    """True if `data` is a mapping that has all `keys`; reports missing, unknown and misplaced ones."""
    if not isinstance(data, dict):
        found.append(f"{place}: expected a mapping with the keys {_some(keys)}, found {_shape(data)}")
        return False
    missing = [key for key in keys if key not in data]
    unknown = [key for key in data if key not in keys]
    if missing:
        found.append(f"{place}: expected the keys {_some(keys)}, found no {_some(missing)}")
    if unknown:
        found.append(f"{place}: expected only the keys {_some(keys)}, found also {_some(unknown)}")
    if ordered and not missing and not unknown and list(data) != list(keys):
        found.append(f"{place}: expected the keys in the order {_some(keys)}, found {_some(data)}")
    return not missing


def _list(found, place, data, length, language):
    """True if `data` is a list of `length` good strings."""
    if not isinstance(data, list) or len(data) != length:
        what = f"{len(data)} entries" if isinstance(data, list) else _shape(data)
        found.append(f"{place}: expected a list of {length} strings, found {what}")
        return False
    return all([_string(found, f"{place}[{index}]", item, language) for index, item in enumerate(data)])


def _string(found, place, value, language):
    """True if `value` is a non-empty string; reports what is not NFC, and spaces where none belong."""
    if not isinstance(value, str) or not value:
        found.append(f"{place}: expected a non-empty string, found {_shape(value)}")
        return False
    if unicodedata.normalize("NFC", value) != value:
        found.append(f"{place}: expected text in Unicode form NFC, found {value!r}, which is not")
    spaces = [character for character in value if character.isspace()]
    if spaces and not language.spaces:
        found.append(f"{place}: expected no space in {language.name}, found {value!r}")
    elif value != value.strip() or re.search(r"\s\s|[\n\r\t]", value):
        found.append(f"{place}: expected single spaces inside and none at the ends, found {value!r}")
    if any(unicodedata.category(c) in ("Cc", "Co", "Cn", "Cs") or c in "\ufeff\u200b\u200e\u200f\xad" for c in value):
        found.append(f"{place}: expected no invisible control characters, found {value!r}")
    return True


def _placeholders(found, place, text, allowed):
    """Report placeholders that `allowed` (name -> (least, most)) does not permit, and stray braces."""
    names = PLACEHOLDER.findall(text)
    for name, (least, most) in allowed.items():
        count = names.count(name)
        if not least <= count <= most:
            times = "exactly once" if least == most else "at most once"
            found.append(f"{place}: expected {{{name}}} {times}, found it {count} times in {text!r}")
    for name in dict.fromkeys(names):
        if name not in allowed:
            but = " but " + ", ".join(f"{{{name}}}" for name in allowed) if allowed else ""
            found.append(f"{place}: expected no placeholder{but}, found {{{name}}} in {text!r}")
    if set("{}") & set(PLACEHOLDER.sub("", text)):
        found.append(f"{place}: expected braces in pairs, found a single one in {text!r}")


def _distinct(found, place, values):
    repeated = [value for index, value in enumerate(values) if value in values[:index]]
    if repeated:
        found.append(f"{place}: expected distinct entries, found twice {repeated[0]!r}")


def _some(keys, most=12):
    keys = [str(key) for key in keys]
    return ", ".join(keys[:most]) + (f", ... ({len(keys)} in all)" if len(keys) > most else "")


def _shape(value):
    """A found value in words."""
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, str) else f"the {type(value).__name__} {value!r}"[:80]


# ---------------------------------------------------------------------------------------------- invented facts


SPLITS = ("text", "train", "parallel", "development", "test", "zero_shot")
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
    """The split that may use a name word with these syllables (its final does not count): SHA-256 modulo 6."""
    digest = hashlib.sha256("".join(syllables).encode()).digest()
    return SPLITS[int.from_bytes(digest[:8], "big") % len(SPLITS)]


def _draw_word(stream, counts, split, language, taken):
    """A new name word, as (syllables, final), of this split (and language, in split "text").

    `taken` holds the folded syllables of the paragraph's other words; the new one neither contains nor is contained.
    """
    for attempt in itertools.count():
        # One syllable more after every 100 failures, so that the names never run out.
        count = stream.between(*counts) + attempt // 100
        syllables = [stream.choice(SYLLABLES) for _ in range(count)]
        if language is not None:
            # In "text" every language has its own share of the names, so that entities differ: the last syllable is
            # drawn from those that the syllables before it leave to the language.
            digest = hashlib.sha256("".join(syllables[:-1]).encode()).digest()
            share = (list(LANGUAGES).index(language) + digest[0]) % len(LANGUAGES)
            syllables[-1] = stream.choice(SYLLABLES[share :: len(LANGUAGES)])
        if split_of(syllables) != split:
            continue
        plain, final = "".join(syllables), stream.choice(("", "", "", *FINALS))
        folded = plain.translate(FOLD)
        if not RESERVED.search(plain + final) and not any(folded in other or other in folded for other in taken):
            taken.append(folded)
            return tuple(syllables), final


def _draw_name(stream, kind, split, language, taken):
    """A name as a tuple of words: given and family name of a person, else one word."""
    parts = ("given", "family") if kind == "person" else (kind,)
    return tuple(_draw_word(stream, SYLLABLE_COUNTS.get(part, (3, 3)), split, language, taken) for part in parts)


def _draw_number(stream, low, high):
    """A number that takes the same plural form in all languages: it ends in 0 or 5 to 9, but not in 11 to 19."""
    while True:
        number = stream.between(low, high)
        if number % 10 in (0, 5, 6, 7, 8, 9) and not 11 <= number % 100 <= 19:
            return number


def _draw_values(stream, entity, kinds, split, language, taken):
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
                values[relation] = _draw_name(stream, kind, split, language, taken)
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
    introduced: bool = True  # does a sentence present the subject first?


def _draw(*, paragraphs, seed, split, language=None, short=False):
    """Yield `paragraphs` `_Drawn`s with distinct subjects; the first n do not depend on how many are asked for."""
    used = set()
    for number in range(paragraphs):
        stream = _Stream("facts", seed, split, language or "", number, *(["short"] if short else []))
        entity = stream.weighted([(weight, name) for name, weight in ENTITY_WEIGHTS.items()])
        kinds = (stream.choice(sorted(GROUPS[entity])),) if short else stream.weighted(PLANS[entity])
        taken = []
        for attempt in itertools.count():
            del taken[:]
            counts = SYLLABLE_COUNTS.get(entity, (3, 3))
            if entity == "person":
                subject = _draw_name(stream, "person", split, language, taken)
            else:
                counts = (counts[0] + attempt // 50, counts[1] + attempt // 50)
                subject = (_draw_word(stream, counts, split, language, taken),)
            if subject not in used:
                break
        used.add(subject)
        values = _draw_values(stream, entity, kinds, split, language, taken)
        relations = tuple(stream.shuffled(values))
        if short:
            relations = relations[:2]
        yield _Drawn(split, number, entity, subject, relations, values, introduced=not short)


# ---------------------------------------------------------------------------------------------- paragraphs


@dataclass(frozen=True, slots=True)
class Fact:
    """One stated fact: its relation, the kind of its answer, and the answer in the paragraph's language."""

    relation: str
    kind: str
    answer: Answer


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
    words = []
    for syllables, final in name:
        word = "".join([data.syllables[syllable] for syllable in syllables]) + (data.finals[final] if final else "")
        words.append(word[0].upper() + word[1:])
    return data.name_joiner.join(words)


def _number(data, number):
    text = str(number)
    if number >= data.thousands_from:
        text = text[:-3] + data.thousands_separator + text[-3:]
    return text.translate(str.maketrans("0123456789", data.digits))


def _answer_text(data, kind, value):
    """The answer as the language writes it."""
    if kind in ("place", "person"):
        return _spell(data, value)
    if kind in LEXICON:
        return data.words[kind][value]
    if kind == "date":
        year, month, day = value
        digits = str.maketrans("0123456789", data.digits)
        return data.date.format(
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
    subject = _spell(data, drawn.subject)
    introduction = choose(data.introductions[drawn.entity]).replace("{subject}", subject)
    pieces = [introduction] if drawn.introduced else []
    length = len(introduction) if drawn.introduced else -len(data.sentence_separator)
    facts, questions = [], []
    for relation in drawn.relations:
        kind = RELATIONS[drawn.entity][relation]
        text = _answer_text(data, kind, drawn.values[relation])
        statement = choose(data.statements[drawn.entity][relation])
        before, after = (part.replace("{subject}", subject) for part in statement.split("{answer}"))
        start = length + len(data.sentence_separator) + len(before)
        pieces.append(before + text + after)
        length += len(data.sentence_separator) + len(pieces[-1])
        facts.append(Fact(relation, kind, Answer(text, start)))
        # Drawn for questions that are not asked, too, so that asking fewer does not change the others.
        questions.append(choose(data.questions[drawn.entity][relation]).replace("{subject}", subject))
    context = data.sentence_separator.join(pieces)
    examples = tuple(
        Example(
            id=f"{drawn.split}-{drawn.number:05d}-{fact.relation}",
            question=question,
            context=context,
            answers=(fact.answer,),
            title=f"{drawn.entity} {drawn.number:05d}",
            question_lang=data.code,
            context_lang=data.code,
        )
        for fact, question in zip(facts, questions, strict=True)
        if fact.relation in asked
    )
    return Paragraph(drawn.split, drawn.number, data.code, drawn.entity, subject, context, tuple(facts), examples)


def generate(*, paragraphs, languages, seed, split, wordings="training", questions_per_paragraph=None, short=False):
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
        short: paragraphs of two facts of one kind and nothing else, instead of five to nine facts: the first part of a
            curriculum, in which nothing but the words of question and statement tells the answer.
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
    data = {loaded.code: loaded for loaded in map(load_language, languages)}
    found = {language: [] for language in data}
    for drawn in _draw(paragraphs=paragraphs, seed=seed, split=split, short=short):
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


def monolingual_text(language, *, paragraphs, seed, with_questions=True):
    """Paragraphs for pre-training: one string each, training wordings, no parallel text.

    The names are those of split "text", of which every language has its own share, so that no entity is in two
    languages and none is in a question answering split.

    Args:
        with_questions: put a question of the paragraph (no answer) and a space before about half of the paragraphs, so
            that the words of questions are seen in pre-training.
    """
    data = load_language(language)
    lines = []
    for drawn in _draw(paragraphs=paragraphs, seed=seed, split="text", language=data.code):
        stream = _Stream("text", seed, drawn.number, data.code)
        paragraph = _render(data, drawn, _chooser(stream, WORDINGS - 1), drawn.relations)
        question = stream.choice(paragraph.examples).question
        ask = with_questions and stream.below(2)
        lines.append(f"{question} {paragraph.context}" if ask else paragraph.context)
    return lines


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


# ---------------------------------------------------------------------------------------------- command line


def main(arguments=None):
    """`check FILE ...`: one line per problem, exit status 1 if any. `sample LANG`: paragraphs for a reviewer."""
    parser = argparse.ArgumentParser(prog="python -m xqa_lib.factbook", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="list the problems of language files")
    check.add_argument("files", nargs="+", metavar="FILE")
    sample = commands.add_parser("sample", help="print paragraphs with [marked] answers and their questions")
    sample.add_argument("language", metavar="LANG", help="a language code, or the path of a language file")
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--paragraphs", type=int, default=3, help="how many (default: 3)")
    sample.add_argument("--all", action="store_true", help="instead, every sentence of the file once")
    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            return _main_check(options.files)
        data = load_language(options.language)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n\n".join(_review(data, options.seed, None if options.all else options.paragraphs)))
    return 0


def _main_check(paths):
    problems = [problem for path in paths for problem in language_problems(path)]
    print("\n".join(problems) if problems else f"{len(paths)} files, no problems")
    return 1 if problems else 0


def _review(data, seed, paragraphs):
    """Paragraphs with marked answers and questions; `paragraphs` None: each wording of each entity type in turn."""
    if paragraphs is not None:
        drawn = _draw(paragraphs=paragraphs, seed=seed, split="test")
        choose = _chooser(_Stream("sample", seed, data.code), WORDINGS)
        return [_marked(_render(data, item, choose, item.relations)) for item in drawn]
    found = []
    for entity in RELATIONS:
        stream, taken = _Stream("sample", seed, entity), []
        subject = _draw_name(stream, entity, "test", None, taken)
        values = _draw_values(stream, entity, GROUPS[entity], "test", None, taken)
        drawn = _Drawn("test", 0, entity, subject, tuple(RELATIONS[entity]), values)
        for index in range(WORDINGS):
            paragraph = _render(data, drawn, operator.itemgetter(index), drawn.relations)
            found.append(f"{entity}, wording {index + 1}\n{_marked(paragraph)}")
    return found


def show_languages(*, seed):
    """One generated paragraph in every language: DataFrame with the index language and the column paragraph.

    Answers stand in brackets. Wordings as in evaluation data.
    """
    corpus = generate(paragraphs=1, languages=available_languages(), seed=seed, split="test", wordings="evaluation")
    rows = {language: _bracketed(paragraphs[0]) for language, paragraphs in corpus.items()}
    return pd.Series(rows, name="paragraph").rename_axis("language").to_frame()


def _bracketed(paragraph):
    """The paragraph's text with each fact's answer in brackets."""
    text, at = "", 0
    for fact in paragraph.facts:
        end = fact.answer.start + len(fact.answer.text)
        text += f"{paragraph.context[at : fact.answer.start]}[{fact.answer.text}]"
        at = end
    return text + paragraph.context[at:]


def _marked(paragraph):
    lines = [_bracketed(paragraph)]
    lines += [f"  {example.question}  [{example.answers[0].text}]" for example in paragraph.examples]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
