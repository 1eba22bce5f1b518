"""The language files of factbook: loaded, checked, and every problem of a broken one listed."""

import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import yaml

from ...errors import DataError
from ...languages import LANGUAGES

FOLDER = Path(__file__).parent


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
        hint = f" (and {more} more: python -m xqa_lib.data.factbook check {path.name} lists all)" if more else ""
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
