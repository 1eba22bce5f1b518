"""The SQuAD format: what is read, what is refused and how it is said, what is written."""

import contextlib
import json
import pickle
import re

import datasets
import hypothesis
import pyarrow
import pytest
from hypothesis import strategies as st

from xqa_lib.data.squad_format import (
    NO_GOLD_HINT,
    Example,
    GoldAnswer,
    examine,
    parse_squad,
    quote,
    read_squad,
    write_squad,
)
from xqa_lib.errors import DataError

CONTEXT = "Nikola Tesla lived in Prague, then in Prague again. 東京 is far."


def question(**changes):
    value = {"id": "q1", "question": "Where?", "answers": [{"text": "Prague", "answer_start": 22}]}
    value.update(changes)
    return {key: item for key, item in value.items() if item is not ...}  # ... removes a key


def document(*questions, context=CONTEXT, title="Tesla"):
    paragraph = {"context": context, "qas": list(questions) or [question()]}
    return {"version": "1.1", "data": [{"title": title, "paragraphs": [paragraph]}]}


@pytest.fixture
def save(tmp_path):
    def write(content):
        path = tmp_path / "file.json"
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        path.write_bytes(content)
        return path

    return write


def read(path, **options):
    return read_squad(path, question_lang="de", context_lang="en", **options)


def refusal(path, **options):
    """The message, without the file name that must start it; `examine` must say the same."""
    with pytest.raises(DataError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert problems(path, **options)[0] == message
    return message.removeprefix(f"{path}: ")


def problems(path, **options):
    """The problems that `examine` finds, as lines of text."""
    try:
        return [f"{path}: {problem}" for problem in examine(path, **options)[1]]
    except DataError as error:
        return [str(error)]


def test_read_gives_records_in_order_with_the_languages(save):
    second = question(
        id="q2",
        question="Wie weit?",
        answers=[{"text": "far", "answer_start": 58}, {"text": "東京", "answer_start": 52}],
    )
    assert read(save(document(question(), second))) == [
        Example("q1", "Where?", CONTEXT, (GoldAnswer("Prague", 22),), "Tesla", "de", "en"),
        Example("q2", "Wie weit?", CONTEXT, (GoldAnswer("far", 58), GoldAnswer("東京", 52)), "Tesla", "de", "en"),
    ]


def test_offsets_count_code_points(save):
    data = document(question(answers=[{"text": "b", "answer_start": 2}]), context="a\U0001f600b")
    del data["data"][0]["title"]  # optional, like the byte order mark
    (example,) = read(save(b"\xef\xbb\xbf" + json.dumps(data).encode()))
    assert (example.answers, example.title) == ((GoldAnswer("b", 2),), "")


@pytest.mark.parametrize(
    ("content", "place", "found"),
    [
        (b'{"data": [\n  {"title": oops}]}', "line 2, column 13", "(Expecting value); correct the text there"),
        (b'{"data": [{"title": "x", ', "line 1, column 26", "the file ends too early: was its download or copy cut"),
        (b"", "line 1, column 1", "found an error (Expecting value); the file is empty"),
        (b"<!DOCTYPE html>", "line 1, column 1", "this looks like a web page: download the raw file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "line 1, column 1", "this is a Git LFS pointer, not the"),
        (b'{"data": []}\n{"data": []}', "line 1.context", "missing; expected a string, found the keys"),
        (b'{"id": "a"}\n{\n"id": "b"}', "line 2, column 2", "of several values (JSON Lines), each must be whole"),
        (b'{"data": []} x', "line 1, column 14", "of several values (JSON Lines), each must be whole and alone"),
        (b'{\n"data": "caf\xe9"}', "line 2", "expected UTF-8, found the byte 0xe9 at offset 14; save the file as"),
        ('{"data": []}'.encode("utf-16"), "line 1", "this looks like UTF-16: save the file as UTF-8"),
        (b"\x1f\x8b\x08\x00rest", "line 1", "this looks like a compressed file: unpack it first"),
        (
            b"[" * 200_000,
            "lists and objects are nested too deeply to read; expected at most",
            "is this the right file?",
        ),
        (b'{"data": ' + b"9" * 5000 + b"}", "expected JSON, found a value that cannot be read (", ""),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value[:20]),
)
def test_unreadable_json(save, content, place, found):
    message = refusal(save(content))
    assert message.startswith(place)
    assert found in message


def test_neither_file_nor_saved_dataset(tmp_path):
    assert refusal(tmp_path / "none.json") == "cannot be read: No such file or directory; check the path"
    assert refusal(tmp_path).startswith("expected a file, or a folder that Dataset.save_to_disk wrote")


FIRST = "data[0].paragraphs[0].qas[0]"


def answers(*values):
    return document(question(answers=list(values)))


@pytest.mark.parametrize(
    ("content", "place", "found"),
    [
        ([], "top level", "expected at least one question, found none; is this the right file?"),
        (["x"], "[0]", 'expected an object with the keys id, title, context, question, answers, found the string "x"'),
        ("x", "top level", 'expected an object with the key data, found the string "x"'),
        ({"dat": []}, "data", 'missing; expected a list of articles, found the keys "dat"; is this SQuAD v1.1 format?'),
        ({"data": {}}, "data", "expected a list of articles, found an object"),
        ({"data": []}, "data", "expected at least one question, found none; is this the right file?"),
        ({"data": ["x"]}, "data[0]", 'expected an object with the key paragraphs, found the string "x"'),
        (document(context=None), "data[0].paragraphs[0].context", "expected a string, found null"),
        (document(context=""), "data[0].paragraphs[0].context", "expected text, found an empty string; fill it in"),
        (document(context=" \n"), "data[0].paragraphs[0].context", "expected text, found only white space; fill it in"),
        (document(question(question=True)), f"{FIRST}.question", "expected a string, found true"),
        (document(question(id=7)), f"{FIRST}.id", "expected a string, found the number 7; write it in quotes"),
        (document(question(answers=...)), f"{FIRST}.answers", "missing; expected a list of answers, found the keys"),
        (document(question(answers={"text": []})), f"{FIRST}.answers", "expected a list of answers, found an object"),
        (answers("Prague"), f"{FIRST}.answers[0]", "expected an object with the keys text and answer_start"),
        (answers({"text": "x", "answer_start": "2"}), f"{FIRST}.answers[0].answer_start", "expected a whole number"),
        (answers({"text": "x", "answer_start": 2.0}), f"{FIRST}.answers[0].answer_start", "expected a whole number"),
        (
            answers({"text": "x", "answer_start": True}),
            f"{FIRST}.answers[0].answer_start",
            "a whole number, found true",
        ),
        (answers({"text": None, "answer_start": 2}), f"{FIRST}.answers[0].text", "expected a string, found null"),
        (
            document(question(), question()),
            "data[0].paragraphs[0].qas[1].id",
            f'the id "q1" is already used at {FIRST}; ids must be unique in a file',
        ),
        (
            document(question(question="Where\ud800?")),
            f"{FIRST}.question",
            "half of a surrogate pair (\\ud800) at code point 5",
        ),
        (answers(), f'{FIRST} (id "q1").answers', f"expected at least one gold answer, found none; {NO_GOLD_HINT}"),
        (
            answers({"text": " ", "answer_start": 6}),
            f'{FIRST} (id "q1").answers[0]',
            f"expected a gold answer, found an empty text; {NO_GOLD_HINT}",
        ),
    ],
)
def test_wrong_structure(save, content, place, found):
    message = refusal(save(content))
    assert message.startswith(f"{place}: ")
    assert found in message


@pytest.mark.parametrize(
    ("answer", "start", "context", "expected"),
    [
        ("Prague", 21, CONTEXT, 'there stands " Pragu"; it occurs at 22, 38; correct answer_start'),
        ("a", 0, "bananas and apes", 'there stands "b"; it occurs at 1, 3, 5, ...; correct answer_start'),
        ("Vienna", 22, CONTEXT, 'there stands "Prague"; it does not occur in the context'),
        ("far", 999, CONTEXT, "the context has only 62 code points; it occurs at 58; correct answer_start"),
        # a negative index would find it from the end
        ("far.", -4, CONTEXT, "offsets start at 0; it occurs at 58; correct answer_start"),
        ("far", 62, CONTEXT, "it occurs at 58; correct answer_start; it seems to count bytes, expected code points"),
        ("b", 3, "a\U0001f600b", "it occurs at 2; correct answer_start; it seems to count UTF-16 units, "),
        ("caf\u00e9", 0, "cafe\u0301", 'there stands "cafe"; it occurs only in another Unicode normalisation form'),
    ],
)
def test_answer_not_at_its_offset(save, answer, start, context, expected):
    data = document(question(answers=[{"text": answer, "answer_start": start}]), context=context)
    beginning, _, found = refusal(save(data)).partition(", but ")
    assert beginning == f'{FIRST} (id "q1").answers[0]: expected the answer "{answer}" at answer_start {start}'
    assert found.startswith(expected) or expected in found.partition("; ")[2]


def test_less_is_asked_for_on_request(save):
    path = save(document(question(answers=[{"text": "Prague", "answer_start": 3}])))
    assert read(path, check_offsets=False)[0].answers == (GoldAnswer("Prague", 3),)
    assert [e.id for e in read(save(document(question(), question())), unique_ids=False)] == ["q1", "q1"]


@pytest.mark.parametrize("answers", [..., [], [{"text": "", "answer_start": 0}]], ids=["no key", "none", "empty"])
def test_inputs_without_gold_answers(save, answers):
    path = save(document(question(answers=answers)))
    assert read(path, require_answers=False)[0].answers == ()
    assert list(problems(path, require_answers=False)) == []


def test_answers_that_are_there_must_be_right_even_if_not_required(save):
    path = save(document(question(answers=[{"text": "Prague", "answer_start": 1}])))
    assert "it occurs at 22, 38" in refusal(path, require_answers=False)


def test_problems_lists_all_in_order(save):
    bad = document(
        question(id=1, question=""),
        question(id="good"),
        question(id="good", answers=[{"text": "", "answer_start": 0}, {"text": "x", "answer_start": 0}]),
    )
    bad["data"].append({"title": None, "paragraphs": [{"qas": [question(id="q9")]}, 5]})
    places = [line.split(": ")[1] for line in problems(save(bad))]
    assert places == [
        f"{FIRST}.id",
        f"{FIRST}.question",
        "data[0].paragraphs[0].qas[2].id",
        'data[0].paragraphs[0].qas[2] (id "good").answers[0]',
        'data[0].paragraphs[0].qas[2] (id "good").answers[1]',
        "data[1].title",
        "data[1].paragraphs[0].context",
        "data[1].paragraphs[1]",
        "data[1].paragraphs[1]",
    ]


def test_parse_can_leave_bad_questions_out():
    raw = json.dumps(document(question(id="bad", answers=[]), question(id="good"))).encode()
    told = []
    examples = parse_squad(raw, "archive/x.json", question_lang="de", context_lang="de", on_problem=told.append)
    assert [example.id for example in examples] == ["good"]
    assert len(told) == 1
    assert told[0].startswith(f'archive/x.json: {FIRST} (id "bad").answers: expected at least one gold answer')


def row(**changes):
    value = {"id": "q1", "title": "Tesla", "context": CONTEXT, "question": "Where?"}
    value |= {"answers": {"text": ["Prague"], "answer_start": [22]}} | changes
    return {key: item for key, item in value.items() if item is not ...}


TWO_ANSWERS = {"text": ["far", "東京"], "answer_start": [58, 52]}
ROWS = [row(), row(id="q2", answers=TWO_ANSWERS), row(id="q3", title=...)]
OF_ROWS = [
    Example("q1", "Where?", CONTEXT, (GoldAnswer("Prague", 22),), "Tesla", "de", "en"),
    Example("q2", "Where?", CONTEXT, (GoldAnswer("far", 58), GoldAnswer("東京", 52)), "Tesla", "de", "en"),
    Example("q3", "Where?", CONTEXT, (GoldAnswer("Prague", 22),), "", "de", "en"),
]


NO_ANSWER = {"text": [], "answer_start": []}


def json_lines(rows):
    return "\r\n\n".join(json.dumps(one, ensure_ascii=False) for one in rows).encode()


@pytest.mark.parametrize(
    "content",
    [ROWS, {"version": "1", "data": ROWS}, json_lines(ROWS), json_lines(ROWS) + b"\n"],
    ids=["list", "under data", "lines", "lines with an end"],
)
def test_flat_files(save, content):
    assert read(save(content)) == OF_ROWS


def test_a_single_line_with_a_separator_that_ends_no_line(save):
    (example,) = read(save(json_lines([row(context="a\u2028b Prague", answers=[{"text": "b", "answer_start": 2}])])))
    assert example.context == "a\u2028b Prague"


def test_flat_answers_may_be_absent(save):
    inputs = [row(answers=...), row(id="q2", answers=None), row(id="q3", answers={"text": [], "answer_start": []})]
    assert [e.answers for e in read(save(inputs), require_answers=False)] == [(), (), ()]


def saved_dataset(folder, rows):
    dataset = datasets.Dataset.from_list(rows) if isinstance(rows, list) else datasets.DatasetDict(rows)
    dataset.save_to_disk(folder)
    return folder


@pytest.fixture
def no_bars():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.mark.usefixtures("no_bars")
def test_saved_datasets(tmp_path):
    extra = [one | {"title": one.get("title"), "score": 1.5} for one in ROWS]  # null titles, a column of another kind
    folder = saved_dataset(tmp_path / "one", extra)
    assert read(folder) == OF_ROWS
    assert read(str(folder)) == OF_ROWS
    splits = {name: datasets.Dataset.from_list(rows) for name, rows in (("train", extra), ("test", extra[:1]))}
    assert read(saved_dataset(tmp_path / "alone", {"test": splits["test"]})) == OF_ROWS[:1]
    several = saved_dataset(tmp_path / "several", splits)
    assert refusal(several) == "expected one dataset, found the splits test, train; give the folder of one of them"
    assert read(several / "train") == OF_ROWS
    bad = saved_dataset(tmp_path / "bad", [row(), row(id="q2", answers={"text": ["far"], "answer_start": [57]})])
    assert refusal(bad).startswith(
        'row 1 (id "q2").answers[0]: expected the answer "far" at answer_start 57, but there '
    )


@pytest.mark.usefixtures("no_bars")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", b"{"),
        ("state.json", b"[]"),
        ("state.json", json.dumps({"_data_files": [{"filename": "none.arrow"}]}).encode()),
        ("dataset_info.json", b"{}{}"),
        ("dataset_info.json", json.dumps({"features": {"id": {"_type": "os.system"}}}).encode()),
        ("data-00000-of-00001.arrow", b"no arrow"),
    ],
)
def test_a_broken_saved_dataset_is_one_line(tmp_path, name, content):
    folder = saved_dataset(tmp_path / "d", ROWS)
    (folder / name).write_bytes(content)
    message = refusal(folder)
    assert message.startswith("this saved dataset cannot be read (")
    assert message.endswith("); save it again")


@pytest.mark.usefixtures("no_bars")
def test_no_code_of_a_saved_dataset_runs(tmp_path):
    """Neither a script beside it nor a pickled Arrow type, which pyarrow once loaded."""
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return open, (str(ran), "w")

    folder = saved_dataset(tmp_path / "d", ROWS)
    for name in ("d.py", "dataset_infos.py"):
        (folder / name).write_text(f"open({str(ran)!r}, 'w')")
    (arrow,) = folder.glob("*.arrow")
    with pyarrow.memory_map(str(arrow)) as file:
        table = pyarrow.ipc.open_stream(file).read_all()
    types = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Evil())}
    fields = [field.with_metadata(types) if field.name == "context" else field for field in table.schema]
    with pyarrow.OSFile(str(arrow) + ".new", "wb") as file:
        schema = pyarrow.schema(fields)
        with pyarrow.ipc.new_stream(file, schema) as writer:
            writer.write_table(pyarrow.Table.from_arrays(table.columns, schema=schema))
    (folder / (arrow.name + ".new")).replace(arrow)
    with contextlib.suppress(DataError):
        assert read(folder) == OF_ROWS
    assert not ran.exists()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(answers={"text": ["Prague"], "answer_start": [21]})], '[0] (id "q1").answers[0]: expected the answer'),
        (
            [row(answers={"text": ["Prague"], "answer_start": []})],
            "[0].answers: expected text and answer_start as two lists of the same length, found a list of 1 and a list",
        ),
        ([row(answers={"text": "x"})], "[0].answers: expected text and answer_start as two lists of the same length, "),
        ([row(), row()], '[1].id: the id "q1" is already used at [0]; ids must be unique in a file'),
        ([row(context=...)], '[0].context: missing; expected a string, found the keys "id", "title", "question", '),
        ([row(title=3)], "[0].title: expected a string, found the number 3"),
        ([row(answers=...)], "[0].answers: missing; expected a list of answers, found the keys "),
        ([row(answers=NO_ANSWER)] * 2, '[0] (id "q1").answers: expected at least one gold answer, found none'),
        # the place in JSON Lines is the line
        (b"\n\n\n".join(map(json_lines, ([row()], [row(question="")]))), "line 4.question: expected text, found an"),
    ],
)
def test_wrong_rows(save, rows, expected):
    assert refusal(save(rows)).startswith(expected)


IMPOSSIBLE = {"answers": [], "is_impossible": True, "plausible_answers": [{"text": "Prague", "answer_start": 22}]}
UNANSWERABLE = (
    "expected questions with an answer in their passage, found 2 of 3 unanswerable (as in SQuAD 2.0); write a file "
    "without them: python -m xqa_lib check FILE --answerable-only OUT"
)


@pytest.mark.parametrize(
    "content",
    [
        document(question(is_impossible=False), question(id="u1", **IMPOSSIBLE), question(id="u2", **IMPOSSIBLE)),
        [row(), row(id="u1", answers=NO_ANSWER), row(id="u2", answers=NO_ANSWER)],
        [row(), row(id="u1", answers=[]), row(id="u2", answers=NO_ANSWER | {"text": [""], "answer_start": [0]})],
    ],
    ids=["SQuAD 2.0", "flat", "flat with empty texts"],
)
def test_unanswerable_questions_are_named_counted_and_left_out(save, content):
    path = save(content)
    assert refusal(path) == UNANSWERABLE
    assert problems(path) == [f"{path}: {UNANSWERABLE}"]
    assert [example.id for example in read(path, answerable_only=True)] == ["q1"]
    examples, found = examine(path, answerable_only=True)
    assert ([example.id for example in examples], found) == (["q1"], [])
    # as inputs they are questions like others
    assert [len(example.answers) for example in read(path, require_answers=False)] == [1, 0, 0]


def test_other_problems_of_a_file_with_unanswerable_questions_stay(save):
    path = save(document(question(id="u", **IMPOSSIBLE), question(id=7), question(id="w", answers=[])))
    first, second = problems(path, answerable_only=True)
    assert first.startswith(f"{path}: data[0].paragraphs[0].qas[1].id: expected a string, found the number 7")
    assert second.startswith(
        f'{path}: data[0].paragraphs[0].qas[2] (id "w").answers: expected at least one gold answer'
    )
    assert len(problems(path)) == 3


def test_an_answer_goes_before_the_flag(save):
    """As in the official SQuAD 2.0 evaluation, which looks at the answers alone."""
    assert len(read(save(document(question(is_impossible=True))))) == 1


KEYS = ["data", "title", "paragraphs", "context", "qas", "id", "question", "answers", "text", "answer_start"]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=3)


@hypothesis.given(
    st.recursive(
        LEAVES,
        lambda deeper: st.lists(deeper, max_size=2) | st.dictionaries(st.sampled_from(KEYS), deeper),
        max_leaves=30,
    )
)
@hypothesis.settings(max_examples=200, deadline=None, derandomize=True)
def test_any_json_is_read_or_refused(value):
    """No JSON value leads to another error, in the whole document or in place of each part of a good one."""
    documents = [value, {"data": value}]
    for key in ("paragraphs", "qas", "answers", "answer_start"):
        documents.append(document())
        part = documents[-1]["data"][0]
        while key not in part:
            part = next(child[0] for child in part.values() if isinstance(child, list))
        part[key] = value
    for data in documents:
        with contextlib.suppress(DataError):
            parse_squad(json.dumps(data).encode(), "x", question_lang="", context_lang="")


def test_quote_stays_on_one_line_and_short():
    assert quote('a"b\n') == '"a\\"b\\n"'
    assert quote("x" * 100, 10) == '"xxxxxxx..."'
    assert quote("\u200fم\ud800") == '"\\u200fم\\ud800"'


TWO = (GoldAnswer("two", 4),)


def example(identifier, context="one two", title="T", answers=TWO, languages=("en", "en")):
    return Example(identifier, "Was?", context, answers, title, *languages)


def test_write_groups_by_title_and_context(tmp_path):
    path = tmp_path / "new" / "out.json"
    examples = [example("1"), example("2", title="U"), example("3"), example("4", context="zwei two", answers=())]
    write_squad(path, examples, version="x1")
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["version"] == "x1"
    assert [article["title"] for article in written["data"]] == ["T", "U"]
    ids = [[[q["id"] for q in p["qas"]] for p in a["paragraphs"]] for a in written["data"]]
    assert ids == [[["1", "3"], ["4"]], [["2"]]]
    back = read_squad(path, question_lang="en", context_lang="en", require_answers=False)
    assert back == [examples[0], examples[2], examples[3], examples[1]]


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ([example("1"), example("1")], "not written: data[0].paragraphs[0].qas[1].id: the id"),
        ([example("1", answers=(GoldAnswer("two", 5),))], 'not written: data[0].paragraphs[0].qas[0] (id "1").answers'),
        ([], "not written: data: expected at least one question, found none"),
        ([example("1"), example("2", languages=("de", "en"))], "expected examples of one pair of question and"),
    ],
)
def test_write_refuses_what_read_would_refuse(tmp_path, examples, expected):
    path = tmp_path / "out.json"
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {expected}')}"):
        write_squad(path, examples, version="1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_data
@pytest.mark.parametrize("language", ["zh", "ar"])
def test_real_file_survives_writing(real_data_dir, tmp_path, language):
    languages = {"question_lang": language, "context_lang": language}
    examples = read_squad(real_data_dir / "xquad" / f"xquad.{language}.json", **languages)
    for name in "ab":
        write_squad(tmp_path / name, iter(examples), version="1.1")
    assert read_squad(tmp_path / "a", **languages) == examples
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert examples[0].question in (tmp_path / "a").read_text(encoding="utf-8")  # not escaped


@pytest.mark.real_data
def test_real_file_without_gold_is_refused_with_the_hint(real_data_dir):
    path = real_data_dir / "mlqa" / "test" / "test-context-es-question-de.json"
    assert refusal(path).endswith(f"expected a gold answer, found an empty text; {NO_GOLD_HINT}")
    assert len(list(problems(path))) == 1776
    assert list(problems(path, require_answers=False)) == []
