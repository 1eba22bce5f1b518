"""Reading, checking and writing question answering data in the JSON format of SQuAD v1.1.

    {"version": "1.1", "data": [{"title": "...", "paragraphs": [{"context": "...", "qas": [
        {"id": "...", "question": "...", "answers": [{"text": "...", "answer_start": 0}]}]}]}]}

`answer_start` counts Unicode code points from 0, so that `context[answer_start : answer_start + len(text)] == text`.
`title` is optional (MLQA test and TyDiQA-GoldP have none); other keys are ignored. The format does not say which
languages a file is in: the reader is told, and every record carries them.
"""

import itertools
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from ..errors import DataError
from ..running import files


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer: `text` starts at code point `start` of the context."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Example:
    """One question about one paragraph in one pair of languages.

    `answers` are in the context's language; it is empty where a file has no gold answers. `title` is "" where the file
    has none. Parallel versions of a question share the `id`.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    title: str
    question_lang: str
    context_lang: str


NO_GOLD_HINT = (
    "a copy without gold answers (such as MLQA test or TyDiQA dev prepared for XTREME) holds only inputs: read it with "
    "require_answers=False (check --no-answers) and do not score on it, or use the official file"
)

# key -> type, what the messages call it
_FIELDS = {
    "data": (list, "a list of articles"),
    "title": (str, "a string"),
    "paragraphs": (list, "a list of paragraphs"),
    "context": (str, "a string"),
    "qas": (list, "a list of questions"),
    "id": (str, "a string"),
    "question": (str, "a string"),
    "answers": (list, "a list of answers"),
    "text": (str, "a string"),
    "answer_start": (int, "a whole number"),
}
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_squad(path, *, question_lang, context_lang, require_answers=True, unique_ids=True, check_offsets=True):
    """The examples of a file in their order there.

    Args:
        path: a JSON file in UTF-8, with or without a byte order mark.
        question_lang, context_lang: language codes that the examples get; the file does not name them.
        require_answers: refuse questions without a gold answer. If False, empty answers are left out and the examples'
            `answers` may be empty; answers that are there must still be right.
        unique_ids: refuse a repeated question id.
        check_offsets: refuse an answer that does not stand at its `answer_start`.
    Raises:
        DataError: the first problem, with the file and the place in it.
    """
    return parse_squad(
        _read_bytes(path),
        str(path),
        question_lang=question_lang,
        context_lang=context_lang,
        require_answers=require_answers,
        unique_ids=unique_ids,
        check_offsets=check_offsets,
    )


def parse_squad(
    raw,
    source,
    *,
    question_lang,
    context_lang,
    require_answers=True,
    unique_ids=True,
    check_offsets=True,
    on_problem=None,
):
    """`read_squad` for bytes that are already in memory, for instance a member of an archive.

    Args:
        raw: bytes of the JSON file; `source` is its name in messages.
        on_problem: if given, called with each problem of a question (a line of text); the question is left out instead
            of the file being refused. JSON that cannot be read is refused all the same.
    Raises:
        DataError: as `read_squad`.
    """
    examples = []
    document = parse_json(raw, source, object_pairs_hook=unique_keys)
    for item in _walk(
        document,
        question_lang=question_lang,
        context_lang=context_lang,
        require_answers=require_answers,
        unique_ids=unique_ids,
        check_offsets=check_offsets,
    ):
        if isinstance(item, Example):
            examples.append(item)
        elif on_problem is not None:
            on_problem(f"{source}: {item}")
        else:
            raise DataError(f"{source}: {item}")
    return examples


def problems(path, *, require_answers=True):
    """Yield every problem of a file, one line each, in the order of the file; nothing if it is good."""
    try:
        document = parse_json(_read_bytes(path), str(path), object_pairs_hook=unique_keys)
    except DataError as error:
        yield str(error)
        return
    for item in _walk(document, question_lang="", context_lang="", require_answers=require_answers):
        if not isinstance(item, Example):
            yield f"{path}: {item}"


def write_squad(path, examples, *, version):
    """Write examples so that `read_squad` reads them back; atomic, and the same bytes for the same input.

    Articles are grouped by title and paragraphs by context, both in the order in which they first appear. Examples that
    come back to an earlier paragraph therefore move up to it.

    Args:
        version: string for the key `version` of the file.
    Raises:
        DataError: what `read_squad` would refuse in the file (repeated ids, misplaced answers, no examples at all), or
            more than one pair of languages, which the format cannot tell apart. Nothing is written then.
    """
    examples = list(examples)
    pairs = sorted({(example.question_lang, example.context_lang) for example in examples})
    if len(pairs) > 1:
        found = ", ".join(f"{question}/{context}" for question, context in pairs[:5])
        raise DataError(
            f"{path}: expected examples of one pair of question and context language, found {len(pairs)} "
            f"({found}{', ...' if len(pairs) > 5 else ''}); the format has no place for languages: write one file for "
            "each pair"
        )
    articles = {}
    for example in examples:
        questions = articles.setdefault(example.title, {}).setdefault(example.context, [])
        answers = [{"text": answer.text, "answer_start": answer.start} for answer in example.answers]
        questions.append({"id": example.id, "question": example.question, "answers": answers})
    data = [
        {"title": title, "paragraphs": [{"context": context, "qas": qas} for context, qas in paragraphs.items()]}
        for title, paragraphs in articles.items()
    ]
    document = {"version": version, "data": data}
    for item in _walk(document, question_lang="", context_lang="", require_answers=False):
        if not isinstance(item, Example):
            raise DataError(f"{path}: not written: {item}")
    files.write_json(path, document)


def parse_json(raw, source, *, object_pairs_hook=None):
    """The value of a JSON document given as bytes in UTF-8 (a byte order mark is skipped).

    Args:
        source: the file's name in messages.
        object_pairs_hook: as in `json.loads`; a DataError that it raises gets the file's name.
    Raises:
        DataError: not UTF-8, not JSON (with line and column), or nested too deeply.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source}: line {line}: expected UTF-8, found the byte 0x{raw[error.start]:02x} at offset {error.start}; "
            f"{_content_hint(raw) or 'save the file as UTF-8'}"
        ) from None
    try:
        return json.loads(text, object_pairs_hook=object_pairs_hook)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()):
            hint = "the file ends too early: was its download or copy cut off?"
        elif error.msg == "Extra data":
            hint = "a second value follows the first: is this JSON Lines? Expected one object for the whole file"
        else:
            hint = "correct the text there, or fetch the file again"
        raise DataError(
            f"{source}: line {error.lineno}, column {error.colno}: expected JSON, found an error ({error.msg}); "
            f"{_content_hint(raw) or hint}"
        ) from None
    except RecursionError:
        raise DataError(
            f"{source}: lists and objects are nested too deeply to read; expected at most about a dozen levels: is "
            "this the right file?"
        ) from None
    except DataError as error:  # from the hook
        raise DataError(f"{source}: {error}") from None
    except ValueError as error:  # for instance a number with thousands of digits
        raise DataError(f"{source}: expected JSON, found a value that cannot be read ({error})") from None


def unique_keys(pairs):
    """A hook for `parse_json` that refuses a repeated key, of which JSON would silently take the last."""
    seen = dict(pairs)
    if len(seen) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = next(key for key, count in counts.items() if count > 1)
        raise DataError(
            f"expected each key once in an object, found {quote(repeated)} more than once; keep one of them"
        )
    return seen


def quote(text, limit=60):
    """A text for a message: in double quotes on one line, cut to `limit` characters, unprintable ones escaped."""
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in quoted)


def _read_bytes(path):
    try:
        return files.read_whole(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None


def _content_hint(raw):
    """What a file that is not JSON probably is instead, or None."""
    start = raw.lstrip()[:40].lower()
    if not start:
        return "the file is empty"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "this looks like UTF-16: save the file as UTF-8"
    if raw[:2] in (b"\x1f\x8b", b"PK"):
        return "this looks like a compressed file: unpack it first"
    if start.startswith(b"<"):
        return "this looks like a web page: download the raw file"
    if start.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, not the data: run git lfs pull"
    return None


def _walk(document, *, question_lang, context_lang, require_answers=True, unique_ids=True, check_offsets=True):
    """Yield an Example for every good question and a line of text for every problem, in the order of the document.

    The one place that knows the format: strict reading, `check` and reading with omissions all consume it.
    """
    found = []  # problems since the last yield
    report = found.append
    first_place = {}  # id -> where it was seen first
    questions = 0
    for article_place, article in _children(document, "data", "", report):
        has_title = isinstance(article, dict) and "title" in article  # optional: nothing to report without it
        title = _take(article, "title", article_place, report) if has_title else ""
        for paragraph_place, paragraph in _children(article, "paragraphs", article_place, report):
            context = _take(paragraph, "context", paragraph_place, report)
            for place, question in _children(paragraph, "qas", paragraph_place, report):
                questions += 1
                yield from _flush(found)
                identifier = _take(question, "id", place, report)
                text = _take(question, "question", place, report)
                name = f"{place} (id {quote(identifier)})" if identifier is not None else place
                if identifier is not None and unique_ids:
                    if identifier in first_place:
                        report(
                            f"{place}.id: the id {quote(identifier)} is already used at {first_place[identifier]}; "
                            "ids must be unique in a file: rename one of the questions"
                        )
                    first_place.setdefault(identifier, place)
                answers = _answers(question, context, name, place, report, require_answers, check_offsets)
                if found or title is None or context is None:
                    yield from _flush(found)
                else:
                    yield Example(identifier, text, context, tuple(answers), title, question_lang, context_lang)
    yield from _flush(found)
    if not questions and isinstance(document, dict) and isinstance(document.get("data"), list):
        yield "data: expected at least one question, found none; is this the right file?"


def _flush(found):
    lines = found[:]
    found.clear()
    return lines


def _answers(question, context, name, place, report, require_answers, check_offsets):
    """The gold answers of one question; what is wrong with them is reported."""
    if not require_answers and isinstance(question, dict) and "answers" not in question:
        return []
    listed = _take(question, "answers", place, report)
    if listed is None:
        return []
    if not listed and require_answers:
        report(f"{name}.answers: expected at least one gold answer, found none; {NO_GOLD_HINT}")
    answers = []
    for index, answer in enumerate(listed):
        here = f"{place}.answers[{index}]"
        if not isinstance(answer, dict):
            report(f"{here}: expected an object with the keys text and answer_start, found {describe(answer)}")
            continue
        text = _take(answer, "text", here, report, may_be_empty=True)
        start = _take(answer, "answer_start", here, report)
        if text is None or start is None:
            continue
        if not text.strip():
            if require_answers:
                report(f"{name}.answers[{index}]: expected a gold answer, found an empty text; {NO_GOLD_HINT}")
            continue
        if check_offsets and context is not None and (start < 0 or not context.startswith(text, start)):
            report(f"{name}.answers[{index}]: {_misplaced(text, start, context)}")
            continue
        answers.append(Answer(text, start))
    return answers


def _misplaced(text, start, context):
    """Why an answer is not at its offset: what stands there, and where the text does stand."""
    stands = context[start : start + len(text)] if start >= 0 else ""
    if stands:
        found = f"there stands {quote(stands)}"
    elif start < 0:
        found = "offsets start at 0"
    else:
        found = f"the context has only {len(context)} code points"
    places = [match.start() for match in itertools.islice(re.finditer(re.escape(text), context), 4)]
    if places:
        listed = ", ".join(map(str, places[:3])) + (", ..." if len(places) > 3 else "")
        fix = f"it occurs at {listed}; correct answer_start{_unit_hint(text, start, context)}"
    elif unicodedata.normalize("NFC", text) in unicodedata.normalize("NFC", context):
        fix = "it occurs only in another Unicode normalisation form: normalise context and answer alike (NFC)"
    else:
        fix = "it does not occur in the context: correct the answer or the context"
    return f"expected the answer {quote(text)} at answer_start {start}, but {found}; {fix}"


def _unit_hint(text, start, context):
    """A hint if `start` fits when counted in bytes or UTF-16 units instead of code points."""
    for encoding, width, unit in (("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "bytes")):
        before = context.encode(encoding, "surrogatepass")[: max(start, 0) * width]
        position = len(before.decode(encoding, "ignore"))
        if position != start and context.startswith(text, position):
            return f" (it seems to count {unit}, expected code points)"
    return ""


def _children(parent, key, place, report):
    """(place, child) for each element of the list `parent[key]`; elements that are not objects are reported."""
    path = f"{place}.{key}" if place else key
    for index, child in enumerate(_take(parent, key, place, report) or ()):
        yield f"{path}[{index}]", child


def _take(parent, key, place, report, *, may_be_empty=False):
    """`parent[key]` if it is there and right in itself, else None after a report."""
    kind, expected = _FIELDS[key]
    path = f"{place}.{key}" if place else key
    if not isinstance(parent, dict):
        report(f"{place or 'top level'}: expected an object with the key {key}, found {describe(parent)}")
        return None
    if key not in parent:
        keys = ", ".join(map(quote, itertools.islice(parent, 6))) or "none"
        report(f"{path}: missing; expected {expected}, found the keys {keys}; is this SQuAD v1.1 format?")
        return None
    value = parent[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        fix = "; write it in quotes" if key == "id" and isinstance(value, int) else ""
        report(f"{path}: expected {expected}, found {describe(value)}{fix}")
        return None
    if kind is not str:
        return value
    if surrogate := _SURROGATE.search(value):
        report(
            f"{path}: expected valid Unicode, found half of a surrogate pair (\\u{ord(surrogate[0]):04x}) at code "
            f"point {surrogate.start()}; repair the text with the program that wrote it"
        )
        return None
    if key != "title" and not may_be_empty and not value.strip():
        report(f"{path}: expected text, found {'only white space' if value else 'an empty string'}; fill it in")
        return None
    return value


def describe(value):
    """A JSON value for a message: its type, and the value itself if it is short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the string {quote(value, 30)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return "a very large number" if isinstance(value, int) and abs(value) >= 10**18 else f"the number {value}"
