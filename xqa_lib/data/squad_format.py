"""Reading and checking question answering data in SQuAD's JSON format or its flat form; writing the former.

    {"version": "1.1", "data": [{"title": "...", "paragraphs": [{"context": "...", "qas": [
        {"id": "...", "question": "...", "answers": [{"text": "...", "answer_start": 0}]}]}]}]}

`answer_start` counts Unicode code points from 0, so that `context[answer_start : answer_start + len(text)] == text`.
`title` is optional (MLQA test and TyDiQA-GoldP have none); other keys are ignored. The format does not say which
languages a file is in: the reader is told, and every record carries them.

The flat form is that of the library `datasets`, a row for each question:

    {"id": "...", "title": "...", "context": "...", "question": "...",
        "answers": {"text": ["..."], "answer_start": [0]}}

as a JSON list, under the key "data", as JSON Lines, or as a folder that `Dataset.save_to_disk` wrote.

A table (`.csv`, in UTF-8, separated by commas, semicolons or tabs) has the columns id, title, context, question and
answer; title may be missing. An answer is looked for in its context. Where it occurs more than once, the first place
is taken (`repeated_answers` lists these), unless a column answer_start names another.

*Unanswerable* questions are those of SQuAD 2.0: `is_impossible` and no answer, or in the flat form (which has no such
key) no answer where other rows have one. Neither the readers nor the metrics here know them, so they are refused with
their count, or left out on request.
"""

import csv
import io
import itertools
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..running import files


@dataclass(frozen=True, slots=True)
class GoldAnswer:
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
    answers: tuple[GoldAnswer, ...]
    title: str
    question_lang: str
    context_lang: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of a file: where, expected, found; `hint`: advice that may hold for many places."""

    text: str
    hint: str = ""

    def __str__(self):
        return f"{self.text}; {self.hint}" if self.hint else self.text


class Rows(dict):
    """Rows of the flat form, or lines of JSON Lines: place in the source ("line 3") -> value."""


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
_FLAT = ("id", "title", "context", "question", "answers", "is_impossible")  # what is read of a row
_COLUMNS = ("id", "context", "question", "answer")  # that a table must have
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_squad(
    path,
    *,
    question_lang,
    context_lang,
    require_answers=True,
    answerable_only=False,
    unique_ids=True,
    check_offsets=True,
):
    """The examples of a file in their order there.

    Args:
        path: a JSON, JSON Lines or CSV file in UTF-8, with or without a byte order mark, or the folder of a saved
            dataset.
        question_lang, context_lang: language codes that the examples get; the file does not name them.
        require_answers: refuse questions without a gold answer. If False, empty answers are left out and the examples'
            `answers` may be empty; answers that are there must still be right.
        answerable_only: leave out unanswerable questions instead of refusing the file.
        unique_ids: refuse a repeated question id.
        check_offsets: refuse an answer that does not stand at its `answer_start`.
    Raises:
        DataError: the first problem, with the file and the place in it.
    """
    document = _read_document(path)
    options = {"require_answers": require_answers, "answerable_only": answerable_only}
    options |= {"unique_ids": unique_ids, "check_offsets": check_offsets}
    return _strict(_walk(document, question_lang=question_lang, context_lang=context_lang, **options), path)


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
    document = parse_json(raw, source, object_pairs_hook=unique_keys)
    options = {"require_answers": require_answers, "unique_ids": unique_ids, "check_offsets": check_offsets}
    found = _walk(document, question_lang=question_lang, context_lang=context_lang, **options)
    return _strict(found, source, on_problem)


def _strict(found, source, on_problem=None):
    """The examples that `_walk` found; a problem is a DataError, or goes to `on_problem` as a line of text."""
    examples = []
    for item in found:
        if isinstance(item, Example):
            examples.append(item)
        elif on_problem is not None:
            on_problem(f"{source}: {item}")
        else:
            raise DataError(f"{source}: {item}")
    return examples


def examine(path, *, require_answers=True, answerable_only=False):
    """(examples, problems): the good questions of a file, and a `Problem` for all that is wrong, in the file's order.

    Args:
        path, require_answers, answerable_only: as `read_squad`.
    Raises:
        DataError: the file cannot be read at all.
    """
    options = {"require_answers": require_answers, "answerable_only": answerable_only}
    found = list(_walk(_read_document(path), question_lang="", context_lang="", **options))
    return [item for item in found if isinstance(item, Example)], [item for item in found if isinstance(item, Problem)]


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


def read_json(path):
    """The value of a JSON file, or `Rows` of a JSON Lines file; DataError as `parse_json`, or if it cannot be read."""
    try:
        raw = files.read_whole(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None
    return parse_json(raw, str(path), object_pairs_hook=unique_keys)


def parse_json(raw, source, *, object_pairs_hook=None):
    """The value of a JSON document given as bytes in UTF-8 (a byte order mark is skipped).

    Args:
        source: the file's name in messages.
        object_pairs_hook: as in `json.loads`; a DataError that it raises gets the file's name.
    Returns:
        The value; `Rows` if there is more than one, each on a line of its own (JSON Lines).
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
    number = 0  # of the line, in JSON Lines
    try:
        try:
            return json.loads(text, object_pairs_hook=object_pairs_hook)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
        rows = Rows()
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                rows[f"line {number}"] = json.loads(line, object_pairs_hook=object_pairs_hook)
        return rows
    except json.JSONDecodeError as error:
        if number:
            hint = "of several values (JSON Lines), each must be whole and alone on its line"
        elif error.pos >= len(text.rstrip()):
            hint = "the file ends too early: was its download or copy cut off?"
        else:
            hint = "correct the text there, or fetch the file again"
        raise DataError(
            f"{source}: line {number or error.lineno}, column {error.colno}: expected JSON, found an error "
            f"({error.msg}); {_content_hint(raw) or hint}"
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


def _read_document(path):
    if Path(path).is_dir():
        return _read_saved_dataset(Path(path))
    return read_table(path) if Path(path).suffix.lower() == ".csv" else read_json(path)


def read_table(path):
    """`Rows` of a CSV file, answers with the places at which they were found; DataError if it cannot be read at all."""
    try:
        raw = files.read_whole(path)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected UTF-8, found the byte 0x{raw[error.start]:02x} at offset {error.start}; "
            f"{_content_hint(raw) or 'save it as CSV UTF-8, as spreadsheets call it'}"
        ) from None
    head = text.partition("\n")[0]
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    rows = Rows()
    try:
        # a table of one column, or with a column for nothing, has names that are None
        table.fieldnames = [(name or "").strip().lower() for name in table.fieldnames or ()]
        missing = [name for name in _COLUMNS if name not in table.fieldnames]
        if missing:
            raise DataError(
                f"{path}: expected a first line with the columns {', '.join(_COLUMNS)} (title may be missing), found "
                f"{', '.join(map(quote, filter(None, table.fieldnames))) or 'none'}: add {', '.join(missing)}"
            )
        for row in table:
            place = f"line {table.line_num}"
            if None in row or None in row.values():
                raise DataError(
                    f"{path}: {place}: expected {len(table.fieldnames)} cells, found "
                    f"{'more' if None in row else 'fewer'}; put texts with separators or line breaks in double quotes"
                )
            if any(row[name].strip() for name in _COLUMNS):
                rows[place] = _of_table(row)
    except csv.Error as error:
        raise DataError(f"{path}: line {table.line_num + 1}: not a table: {error}; save it as CSV again") from None
    return rows


def _of_table(row):
    """The flat form of a row of a CSV file, and `places`: where its answer occurs, if the row does not tell where."""
    text, context, start = row["answer"].strip(), row["context"], row.get("answer_start", "").strip()
    places = [match.start() for match in re.finditer(re.escape(text), context)] if text and not start else []
    at = int(start) if re.fullmatch("[0-9]{1,9}", start) else start or (places or [-1])[0]
    flat = {name: row[name].strip() if name == "id" else row[name] for name in _FLAT if name in row}
    return flat | {"answers": [{"text": text, "answer_start": at}] if text else [], "places": places}


def repeated_answers(path):
    """A line for each answer of a CSV file that its context holds more than once, and no column says which is meant."""
    rows = read_table(path) if Path(path).suffix.lower() == ".csv" else {}
    return [
        f"{path}: {place} (id {quote(row['id'])}): the answer {quote(row['answers'][0]['text'])} occurs at "
        f"{', '.join(map(str, row['places'][:5]))}: the first is taken; a column answer_start names another"
        for place, row in rows.items()
        if len(row["places"]) > 1
    ]


def _read_saved_dataset(folder):
    """`Rows` of a dataset that `save_to_disk` wrote. The Arrow table is read as it is: no feature decodes anything."""
    if not (folder / "state.json").is_file() and not (folder / "dataset_dict.json").is_file():
        raise DataError(
            f"{folder}: expected a file, or a folder that Dataset.save_to_disk wrote (with state.json); check the path"
        )
    import datasets  # only here: it takes a second, and other formats do without

    try:
        loaded = datasets.load_from_disk(str(folder.absolute()))
    except Exception as error:  # of many kinds: JSON, Arrow, missing keys and files
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise DataError(f"{folder}: this saved dataset cannot be read ({reason}); save it again") from None
    if isinstance(loaded, datasets.DatasetDict):
        if len(loaded) != 1:
            names = ", ".join(sorted(loaded))
            raise DataError(f"{folder}: expected one dataset, found the splits {names}; give the folder of one of them")
        (loaded,) = loaded.values()
    table = loaded.data.select([name for name in loaded.column_names if name in _FLAT])
    return Rows((f"row {number}", row) for number, row in enumerate(table.to_pylist()))


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


def _walk(
    document,
    *,
    question_lang,
    context_lang,
    require_answers=True,
    answerable_only=False,
    unique_ids=True,
    check_offsets=True,
):
    """Yield an Example for every good question and a Problem for everything wrong, in the order of the document.

    The one place that knows the formats: strict reading, `check` and reading with omissions all consume it.
    """
    found = []  # problems since the last yield

    def report(text, hint=""):
        found.append(Problem(text, hint))

    first_place = {}  # id -> where it was seen first
    questions = unanswerable = 0
    rows = _rows(document)
    # a row without an answer is unanswerable if others have one; if none has, the gold answers are missing
    others_have = any(not _is_empty(text) for row in (rows or {}).values() for text in _answer_texts(row) or ())
    for place, title, context, question in _nested(document, report) if rows is None else _flat(rows, report):
        questions += 1
        yield from _flush(found)
        texts = _answer_texts(question)
        without = require_answers and texts is not None and all(map(_is_empty, texts))
        if without and (others_have or question.get("is_impossible") is True):
            unanswerable += 1
            continue
        identifier = _take(question, "id", place, report)
        text = _take(question, "question", place, report)
        name = f"{place} (id {quote(identifier)})" if identifier is not None else place
        if identifier is not None and unique_ids:
            if identifier in first_place:
                report(
                    f"{place}.id: the id {quote(identifier)} is already used at {first_place[identifier]}",
                    "ids must be unique in a file: rename one of the questions",
                )
            first_place.setdefault(identifier, place)
        answers = _answers(question, context, name, place, report, require_answers, check_offsets)
        if found or title is None or context is None:
            yield from _flush(found)
        else:
            yield Example(identifier, text, context, tuple(answers), title, question_lang, context_lang)
    yield from _flush(found)
    if unanswerable and not answerable_only:
        yield Problem(
            f"expected questions with an answer in their passage, found {unanswerable} of {questions} unanswerable (as "
            "in SQuAD 2.0)",
            "write a file without them: python -m xqa_lib check FILE --answerable-only OUT",
        )
    listed = document.get("data") if isinstance(document, dict) and rows is None else rows
    if not questions and isinstance(listed, list | Rows):
        place = "top level" if rows is not None else "data"
        yield Problem(f"{place}: expected at least one question, found none", "is this the right file?")


def _flush(found):
    lines = found[:]
    found.clear()
    return lines


def _nested(document, report):
    """(place, title, context, question) of every question of SQuAD's form; of a title or context None was reported."""
    for article_place, article in _children(document, "data", "", report):
        has_title = isinstance(article, dict) and "title" in article  # optional: nothing to report without it
        title = _take(article, "title", article_place, report) if has_title else ""
        for paragraph_place, paragraph in _children(article, "paragraphs", article_place, report):
            context = _take(paragraph, "context", paragraph_place, report)
            for place, question in _children(paragraph, "qas", paragraph_place, report):
                yield place, title, context, question


def _flat(rows, report):
    """As `_nested` for rows, whose answers become a list of objects as there."""
    for place, row in rows.items():
        if not isinstance(row, dict):
            report(f"{place}: expected an object with the keys {', '.join(_FLAT[:-1])}, found {describe(row)}")
            continue
        # a column may hold null where a row has no value
        row = {key: value for key, value in row.items() if key not in ("title", "answers") or value is not None}
        title = _take(row, "title", place, report) if "title" in row else ""
        context = _take(row, "context", place, report)
        answers = row.get("answers")
        if isinstance(answers, dict):
            lists = answers.get("text"), answers.get("answer_start")
            if all(isinstance(values, list) for values in lists) and len(lists[0]) == len(lists[1]):
                row["answers"] = [{"text": text, "answer_start": start} for text, start in zip(*lists, strict=True)]
            else:
                report(
                    f"{place}.answers: expected text and answer_start as two lists of the same length, found "
                    f"{' and '.join(map(_length, lists))}"
                )
                row["answers"] = []
        yield place, title, context, row


def _length(value):
    return f"a list of {len(value)}" if isinstance(value, list) else describe(value)


def _rows(document):
    """The `Rows` of a document in the flat form; None for SQuAD's."""
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        first = next(iter(document["data"]), None)
        is_flat = isinstance(first, dict) and "context" in first and "paragraphs" not in first
        return rows_of(document["data"], (), "data") if is_flat else None
    return rows_of(document, {"context", "question"})


def rows_of(document, keys, place=""):
    """`Rows` of a JSON list or JSON Lines (a single line is an object with these `keys`); None for anything else."""
    if isinstance(document, Rows):
        return document
    if isinstance(document, list):
        return Rows((f"{place}[{index}]", row) for index, row in enumerate(document))
    return Rows({"line 1": document}) if isinstance(document, dict) and set(keys) <= set(document) else None


def _answer_texts(question):
    """What stands as the texts of a question's answers, in either form, right or not; None without a list of them."""
    answers = question.get("answers") if isinstance(question, dict) else None
    if isinstance(answers, list):
        return [answer.get("text") if isinstance(answer, dict) else answer for answer in answers]
    texts = answers.get("text") if isinstance(answers, dict) else None
    return texts if isinstance(texts, list) else None


def _is_empty(text):
    return isinstance(text, str) and not text.strip()


def _answers(question, context, name, place, report, require_answers, check_offsets):
    """The gold answers of one question; what is wrong with them is reported."""
    if not require_answers and isinstance(question, dict) and "answers" not in question:
        return []
    listed = _take(question, "answers", place, report)
    if listed is None:
        return []
    if not listed and require_answers:
        report(f"{name}.answers: expected at least one gold answer, found none", NO_GOLD_HINT)
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
                report(f"{name}.answers[{index}]: expected a gold answer, found an empty text", NO_GOLD_HINT)
            continue
        if check_offsets and context is not None and (start < 0 or not context.startswith(text, start)):
            found, hint = _misplaced(text, start, context)
            report(f"{name}.answers[{index}]: {found}", hint)
            continue
        answers.append(GoldAnswer(text, start))
    return answers


def _misplaced(text, start, context):
    """(text, hint): why an answer is not at its offset: what stands there, and where the text does stand."""
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
        found, fix = f"{found}; it occurs at {listed}; correct answer_start", _unit_hint(text, start, context)
    elif unicodedata.normalize("NFC", text) in unicodedata.normalize("NFC", context):
        fix = "it occurs only in another Unicode normalisation form: normalise context and answer alike (NFC)"
    else:
        fix = "it does not occur in the context: correct the answer or the context"
    if start == -1 and not places:  # of a table, which names no place
        return f"expected the answer {quote(text)} in its context, found it nowhere", fix
    return f"expected the answer {quote(text)} at answer_start {start}, but {found}", fix


def _unit_hint(text, start, context):
    """A hint if `start` fits when counted in bytes or UTF-16 units instead of code points."""
    for encoding, width, unit in (("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "bytes")):
        before = context.encode(encoding, "surrogatepass")[: max(start, 0) * width]
        position = len(before.decode(encoding, "ignore"))
        if position != start and context.startswith(text, position):
            return f"it seems to count {unit}, expected code points"
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
        report(f"{path}: missing; expected {expected}, found the keys {keys}", "is this SQuAD v1.1 format?")
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
            f"point {surrogate.start()}",
            "repair the text with the program that wrote it",
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
