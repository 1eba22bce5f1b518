"""The language files of factbook as pydantic models: loaded, checked, and every problem of a broken one listed."""

import functools
import re
import unicodedata
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from ...errors import DataError, problems_of
from ...languages import LANGUAGES

FOLDER = Path(__file__).with_name("languages")

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


# ---------------------------------------------------------------------------------------------- kinds of text
# The context of a validation is the file's `languages.Language`: its script, and whether it has spaces.


def _refuse(expected, found):
    raise DataError(f"expected {expected}, found {found}")


def _phrase(text, info):
    """Refuse what is empty or not NFC, spaces where none belong, and what cannot be seen."""
    language = info.context
    if not text:
        _refuse("a non-empty string", "''")
    if unicodedata.normalize("NFC", text) != text:
        _refuse("text in Unicode form NFC", f"{text!r}, which is not")
    if not language.spaces and any(character.isspace() for character in text):
        _refuse(f"no space in {language.name}", repr(text))
    if text != text.strip() or re.search(r"\s\s|[\n\r\t]", text):
        _refuse("single spaces inside and none at the ends", repr(text))
    if any(unicodedata.category(c) in ("Cc", "Co", "Cn", "Cs") or c in "\ufeff\u200b\u200e\u200f\xad" for c in text):
        _refuse("no invisible control characters", repr(text))
    return text


def _template(**placeholders):
    """A phrase with these placeholders and no others: name -> (least, most) times that it occurs."""

    def check(text):
        found = PLACEHOLDER.findall(text)
        for name, (least, most) in placeholders.items():
            count = found.count(name)
            if not least <= count <= most:
                times = "exactly once" if least == most else "at most once"
                _refuse(f"{{{name}}} {times}", f"it {count} times in {text!r}")
        for name in found:
            if name not in placeholders:
                but = " but " + ", ".join(f"{{{known}}}" for known in placeholders) if placeholders else ""
                _refuse(f"no placeholder{but}", f"{{{name}}} in {text!r}")
        if set("{}") & set(PLACEHOLDER.sub("", text)):
            _refuse("braces in pairs", f"a single one in {text!r}")
        return text

    return Annotated[str, AfterValidator(_phrase), AfterValidator(check)]


def _sentence(text):
    """Refuse what reading marks or answers could be mistaken for."""
    bare = APOSTROPHE.sub("", PLACEHOLDER.sub("x", text))
    for character in bare:
        category = unicodedata.category(character)
        if category == "Nd":
            _refuse("no digits", f"{character!r} in {text!r}")
        # title marks and corner brackets are Ps/Pe in Unicode; „ and ‚ too
        if character in "\"'`´„‚《》〈〉「」『』〝〞" or category in ("Pi", "Pf"):
            _refuse("no quotation marks", f"{character!r} in {text!r}")
        if category in ("Ps", "Pe"):
            _refuse("no brackets", f"{character!r} in {text!r}")
    return text


def _no_lexicon_word_first(text, info):
    if info.context.script in CASED_SCRIPTS and text.startswith("{answer}"):
        _refuse("no {answer} at the start, where a word of the lexicon would need a capital letter", repr(text))
    return text


def _distinct(values):
    listed = list(values) if isinstance(values, list) else [value for _, value in values]
    repeated = next((value for value in listed if listed.count(value) > 1), None)
    if repeated is not None:
        _refuse("distinct entries", f"twice {repeated!r}")
    return values


def _words(sentence):
    """Words of a sentence with spaces, in lower case, without placeholders and punctuation."""
    parts = PLACEHOLDER.sub(" ", sentence).casefold().split()
    return {"".join(c for c in part if unicodedata.category(c)[0] in "LM") for part in parts} - {""}


def _last_like_the_others(sentences, info):
    words = [_words(sentence) for sentence in sentences]
    if info.context.spaces and not words[-1] & set().union(*words[:-1]):
        _refuse(
            "at least one word of the other wordings in the last one (used in evaluation only)",
            f"none in {sentences[-1]!r}",
        )
    return sentences


def _wordings(sentence):
    return Annotated[
        list[sentence],
        Field(min_length=WORDINGS, max_length=WORDINGS),
        AfterValidator(_distinct),
        AfterValidator(_last_like_the_others),
    ]


WORD = _template()
ABOUT_SUBJECT = Annotated[_template(subject=(1, 1)), AfterValidator(_sentence)]
STATEMENT = Annotated[_template(subject=(0, 1), answer=(1, 1)), AfterValidator(_sentence)]
LEXICON_STATEMENT = Annotated[STATEMENT, AfterValidator(_no_lexicon_word_first)]


def _one_word(text):
    if any(character.isspace() for character in text):
        _refuse("no space", repr(text))
    return text


def _character(text, info):
    if len(text) > 1:
        _refuse("a string of at most one character", repr(text))
    if not info.context.spaces and text.isspace():
        _refuse(f"no space in {info.context.name}", repr(text))
    return text


def _ten_digits(text):
    if [unicodedata.decimal(digit, None) for digit in text] != list(range(10)):
        _refuse("the ten digits from zero to nine", repr(text))
    return text


def _separator(text, info):
    expected = " " if info.context.spaces else ""
    if text != expected:
        _refuse(repr(expected), repr(text))
    return text


# ---------------------------------------------------------------------------------------------- the file


class _Record(BaseModel):
    """Fields of which none may lack and no other may stand; read by attribute, or by key as a mapping."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # 0.2 s where a file is read

    def __getitem__(self, key):
        return getattr(self, key)


def _record(name, fields):
    """A `_Record` with these fields: key -> kind."""
    return create_model(name, __base__=_Record, **{key: (kind, ...) for key, kind in fields.items()})


class Text(_Record):
    """How sentences, names, numbers and dates are put together."""

    sentence_separator: Annotated[str, AfterValidator(_separator)]
    name_joiner: Annotated[str, AfterValidator(_character)]
    digits: Annotated[str, AfterValidator(_ten_digits)]
    thousands_separator: Annotated[str, AfterValidator(_character)]
    thousands_from: Literal[1000, 10000]
    date: _template(month=(1, 1), day=(1, 1), year=(1, 1))


PIECE = Annotated[WORD, AfterValidator(_one_word)]


class Names(_Record):
    """Piece of an invented name -> its spelling. In Latin script both tables may be empty: the pieces as they stand."""

    syllables: _record("Syllables", dict.fromkeys(SYLLABLES, PIECE))
    finals: _record("Finals", dict.fromkeys(FINALS, PIECE))

    @model_validator(mode="before")
    @classmethod
    def _latin_as_it_stands(cls, tables, info):
        if info.context.script == "Latn" and tables == {"syllables": {}, "finals": {}}:
            return {"syllables": {piece: piece for piece in SYLLABLES}, "finals": {piece: piece for piece in FINALS}}
        return tables

    @model_validator(mode="after")
    def _nfc_when_joined(self):
        syllables = [spelling for _, spelling in self.syllables]
        for key, piece in (*self.syllables, *self.finals):
            for word in (syllable + piece for syllable in syllables):
                if unicodedata.normalize("NFC", word) != word:
                    _refuse(f"text that stays NFC when syllables are joined to {key}", repr(word))
        return self


class _Entity(_Record):
    introductions: _wordings(ABOUT_SUBJECT)
    relations: _Record

    @model_validator(mode="after")
    def _told_apart(self):
        for what in ("statements", "questions"):
            first = {}
            for relation, wordings in self.relations:
                for sentence in wordings[what]:
                    if first.setdefault(sentence, relation) != relation:
                        _refuse(
                            f"{what} of {relation} that tell it apart from {first[sentence]}",
                            f"the same sentence in both: {sentence!r}",
                        )
        return self


def _entity(name):
    relations = {
        relation: _record(
            relation,
            {
                "statements": _wordings(LEXICON_STATEMENT if kind in LEXICON else STATEMENT),
                "questions": _wordings(ABOUT_SUBJECT),
            },
        )
        for relation, kind in RELATIONS[name].items()
    }
    return create_model(name, __base__=_Entity, relations=(_record("Relations", relations), ...))


def _lexicon(category):
    return Annotated[_record(category, dict.fromkeys(LEXICON[category], WORD)), AfterValidator(_distinct)]


class LanguageData(_Record):
    """The content of one language file; of every list of sentences the last one is for evaluation data only."""

    language: str
    text: Text
    months: Annotated[list[WORD], Field(min_length=12, max_length=12), AfterValidator(_distinct)]
    quantities: _record("Quantities", dict.fromkeys(QUANTITIES, _template(number=(1, 1))))
    names: Names
    words: _record("Words", {category: _lexicon(category) for category in LEXICON})
    entities: _record("Entities", {name: _entity(name) for name in RELATIONS})


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
    data, problems = _read(path)
    if problems:
        more = len(problems) - 1
        hint = f" (and {more} more: python -m xqa_lib.data.factbook check {path.name} lists all)" if more else ""
        raise DataError(f"{path}: {problems[0]}{hint}")
    return data


def language_problems(path):
    """Every problem of one language file, as lines `FILE: KEY PATH: expected ..., found ...`; empty if fine."""
    return [f"{path}: {problem}" for problem in _read(Path(path))[1]]


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


def _read(path):
    """(`LanguageData` or None, problems)."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        return None, ["expected a language file, found none"]
    except UnicodeDecodeError as error:
        return None, [f"expected UTF-8, found byte {error.object[error.start]:#04x} at position {error.start}"]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        return None, [f"{line}expected valid YAML, found: {getattr(error, 'problem', None) or error}"]
    code = data.get("language") if isinstance(data, dict) else None
    if not isinstance(code, str) or code not in LANGUAGES:
        return None, [f"language: expected one of {', '.join(LANGUAGES)}, found {code!r}"]
    if code != path.stem:
        return None, [f"language: expected {path.stem!r} as in the file name, found {code!r}"]
    try:
        return LanguageData.model_validate(data, context=LANGUAGES[code]), []
    except ValidationError as error:
        return None, problems_of(error, LanguageData)
