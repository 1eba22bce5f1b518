"""The command line: output, messages, exit status; what it hands to the modules behind it."""

import importlib
import json
import os
import subprocess
import sys
import types
from collections import namedtuple
from pathlib import Path

import pytest

from tests import own_folder
from xqa_lib.__main__ import main
from xqa_lib.data.squad_format import NO_GOLD_HINT
from xqa_lib.errors import DataError

ROOT = Path(__file__).resolve().parent.parent
CONTEXT = "Die Stadt Prag liegt an der Moldau."


def gold(*ids, **changes):
    answer = {"text": "Prag", "answer_start": 10, **changes}
    questions = [{"id": i, "question": "Wo?", "answers": [answer]} for i in ids]
    return {"version": "1", "data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": questions}]}]}


@pytest.fixture
def save(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def run(capsys):
    """A function that runs a command in this process: (exit status, standard output, standard error)."""

    def call(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:  # how argparse ends
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def module(monkeypatch):
    """A function that puts a stand-in for a module of the library in place."""

    def put(name, **functions):
        room, _, module = name.rpartition(".")
        package = importlib.import_module(f"xqa_lib.{room}")
        stand_in = types.ModuleType(f"xqa_lib.{name}")
        for key, value in functions.items():
            setattr(stand_in, key, value)
        monkeypatch.setitem(sys.modules, f"xqa_lib.{name}", stand_in)
        monkeypatch.setattr(package, module, stand_in, raising=False)

    return put


ANSWER = ("answer", "--model", "m", "--question", "Wo?")
EVALUATE = ("evaluate", "--gold", "g", "--predictions", "p")
PREDICT = ("predict", "--model", "m", "--data", "d", "--output", "o.json")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fit"], "invalid choice: 'fit'"),
        (["check"], "the following arguments are required: FILE"),
        (["evaluate", "--gold", "g", "--metric", "squad"], "the following arguments are required: --predictions"),
        ([*EVALUATE, "--metric", "f1"], "argument --metric: invalid choice: 'f1'"),
        ([*EVALUATE, "--metric", "mlqa"], "--metric mlqa needs --context-language (or a gold file named"),
        ([*ANSWER, "--context", "c", "--n-best", "0"], "--n-best: expected a whole number of at least 1, found '0'"),
        ([*ANSWER, "--context", "c", "--n-best", "two"], "--n-best: expected a whole number of at least 1, found"),
        (ANSWER, "one of the arguments --context --context-file is required"),
        ([*ANSWER, "--context", "c", "--context-file", "f"], "argument --context-file: not allowed with argument --co"),
        ([*PREDICT, "--n-best", "./o.json"], "--output and --n-best name the same file"),
        (["check", "a", "b", "--answerable-only", "o"], "--answerable-only takes one FILE, with answers"),
        (["check", "a", "--no-answers", "--answerable-only", "o"], "--answerable-only takes one FILE, with answers"),
        (["params", "--profile", "paper", "--size", "big"], "argument --size: invalid choice: 'big'"),
        (["notebook", "n", "o", "-p", "a"], "argument -p/--parameter: expected 2 arguments"),
        (["notebook", "n", "o", "-p", "a", "1", "-p", "a", "2"], "parameter a is given more than once"),
    ],
)
def test_wrong_usage_exits_with_2(run, arguments, expected):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert expected in err
    assert err.startswith("usage: python -m xqa_lib")


def test_evaluate(run, save):
    predictions = save("p.json", {"a": "Prag!", "b": "in Prag", "c": ""})
    command = "evaluate", "--gold", save("g.json", gold("a", "b", "c")), "--predictions", predictions
    status, out, err = run(*command, "--metric", "squad", "--json")
    assert (status, err, out.count("\n")) == (0, "", 1)
    f1 = 100.0 * (1.0 + 2 / 3) / 3
    assert json.loads(out) == {"exact_match": 100 / 3, "f1": f1, "questions": 3, "answered": 2}
    line = "exact match 33.33, F1 55.56 over 3 questions (2 answered), squad metric\n"
    assert run(*command, "--metric", "squad") == (0, line, "")


def test_evaluate_mlqa_with_the_language_given_or_in_the_name(run, save):
    predictions = save("p.json", {"a": "die Prag"})
    for name, more in (("g.json", ("--context-language", "de")), ("test-context-de-question-ar.json", ())):
        paths = "--gold", save(name, gold("a")), "--predictions", predictions
        status, out, err = run("evaluate", *paths, "--metric", "mlqa", "--json", *more)
        assert (status, err) == (0, "")
        assert json.loads(out) == {"exact_match": 100.0, "f1": 100.0, "questions": 1, "answered": 1}


def test_evaluate_warns_of_missing_ids_and_scores_them_0(run, save):
    predictions = save("p.json", {"a": "Prag"})
    command = "evaluate", "--gold", save("g.json", gold("a", "b")), "--predictions", predictions, "--metric", "squad"
    status, out, err = run(*command, "--json")
    assert (status, json.loads(out)["exact_match"]) == (0, 50.0)
    assert err == f'warning: {predictions}: no prediction for 1 of 2 questions, they score 0 ("b")\n'


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ({"z": "x"}, 'found none of its 1 ids but 1 others ("z"); are these predictions for another file?'),
        ({}, "found none of its 1 ids"),
        ({"a": 1}, "expected the predicted text as a string, found the number 1"),
    ],
)
def test_evaluate_bad_predictions(run, save, predictions, expected):
    path = save("p.json", predictions)
    status, out, err = run("evaluate", "--gold", save("g.json", gold("a")), "--predictions", path, "--metric", "squad")
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {path}: ")
    assert expected in err
    assert err.count("\n") == 1


def test_check_prints_every_problem_of_every_file(run, save, tmp_path):
    bad, good = save("bad.json", gold("a", "a", answer_start=9)), save("good.json", gold("c", "d"))
    status, out, err = run("check", bad, good, tmp_path / "none.json")
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        'data[0].paragraphs[0].qas[0] (id "a").answers[0]',
        "data[0].paragraphs[0].qas[1].id",
        'data[0].paragraphs[0].qas[1] (id "a").answers[0]',
        "good",
        "cannot be read",
    ]
    assert lines[3] == f"{good}: good: 2 questions, 1 different contexts, 2 answers"


def test_check_no_answers(run, save):
    path = save("inputs.json", gold("a", text="", answer_start=0))
    good = f"{path}: good: 1 questions, 1 different contexts, 0 answers\n"
    assert run("check", "--no-answers", path) == (0, good, "")
    assert run("check", path)[0] == 1


def test_check_says_a_repeated_hint_once_with_its_count(run, save):
    """One line a problem all the same."""
    path = save("inputs.json", gold("a", "b", "c", text="", answer_start=0))
    status, out, _ = run("check", path)
    assert status == 1
    where = f"{path}: data[0].paragraphs[0].qas"
    assert out.splitlines() == [
        f'{where}[0] (id "a").answers[0]: expected a gold answer, found an empty text; {NO_GOLD_HINT} (holds for 3 '
        "problems of this file)",
        f'{where}[1] (id "b").answers[0]: expected a gold answer, found an empty text',
        f'{where}[2] (id "c").answers[0]: expected a gold answer, found an empty text',
    ]
    # a hint that only one has stays as it is, and so does what no hint goes with
    other = save("other.json", gold("a", "a", answer_start=9))
    assert [line.split("; ")[1:] for line in run("check", other)[1].splitlines()] == [
        ["it occurs at 10", "correct answer_start"],
        ["ids must be unique in a file: rename one of the questions"],
        ["it occurs at 10", "correct answer_start"],
    ]


def unanswerable(*ids):
    document = gold("a", *ids)
    for question in document["data"][0]["paragraphs"][0]["qas"][1:]:
        question |= {"answers": [], "is_impossible": True}
    return document


def test_check_names_unanswerable_questions_and_writes_a_file_without_them(run, save, tmp_path):
    path, out_path = save("v2.json", unanswerable("b", "c")), tmp_path / "new" / "answerable.json"
    status, out, err = run("check", path)
    assert (status, err, out.count("\n")) == (1, "", 1)
    assert "found 2 of 3 unanswerable (as in SQuAD 2.0); write a file without them: python -m xqa_lib check FILE" in out
    good = f"{out_path}: good: 1 questions, 1 different contexts, 1 answers\n"
    assert run("check", path, "--answerable-only", out_path) == (0, good, "")
    assert run("check", out_path) == (0, good, "")


def test_check_writes_nothing_where_there_are_other_problems(run, save, tmp_path):
    document = unanswerable("b", "c")
    document["data"][0]["paragraphs"][0]["qas"][1]["is_impossible"] = False
    path, out_path = save("v2.json", document), tmp_path / "answerable.json"
    status, out, _ = run("check", path, "--answerable-only", out_path)
    assert status == 1
    assert 'qas[1] (id "b").answers: expected at least one gold answer, found none' in out
    assert not out_path.exists()
    status, out, err = run("check", save("none.json", {"data": []}), "--answerable-only", out_path)
    assert (status, err) == (1, "")


def test_check_reads_the_flat_form(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"id": "a", "context": CONTEXT, "question": "Wo?", "answers": {"text": ["Prag"], "answer_start": [10]}}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"id": "b"}) + "\n")
    assert run("check", path) == (0, f"{path}: good: 2 questions, 1 different contexts, 2 answers\n", "")


Candidate = namedtuple("Candidate", "text start end score probability")  # as `decoding.Answer`, which imports torch
AS_JSON = {"text": "براغ", "start": 10, "end": 14, "score": 3.5, "probability": 0.75}


def test_answer(run, module):
    calls, found = [], [Candidate(**AS_JSON)]

    def answer(model, question, context, *, n_best, max_answer_tokens):
        calls.append((model, question, context, n_best, max_answer_tokens))
        return found

    module("reading.predict", answer=answer)
    status, out, err = run(*ANSWER, "--context", "C", "--n-best", "2", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {"answers": [AS_JSON]}
    found[:] = [Candidate("Prag\nOst", 10, 18, 3.5, 1.0)]
    table = "probability   score  characters  answer\n      1.000    3.50  10-18       Prag Ost\n"
    assert run(*ANSWER, "--context", "C", "--max-answer-tokens", "5") == (0, table, "")
    assert calls == [("m", "Wo?", "C", 2, 30), ("m", "Wo?", "C", 1, 5)]
    found.clear()
    assert run(*ANSWER, "--context", "C") == (0, "no answer found\n", "")
    assert run(*ANSWER, "--context", "C", "--json") == (0, '{"answers": []}\n', "")


def test_answer_takes_the_passage_from_a_file(run, module, tmp_path):
    passages = []
    module("reading.predict", answer=lambda model, question, context, **options: passages.append(context) or [])
    path = tmp_path / "passage.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "Zürich\r\nliegt".encode())
    assert run(*ANSWER, "--context-file", path)[0] == 0
    assert passages == ["Zürich\r\nliegt"]  # every character counts in the offsets
    path.write_bytes("Zürich".encode("latin-1"))
    message = f"error: {path}: expected UTF-8, found another byte at offset 1\n"
    assert run(*ANSWER, "--context-file", path) == (1, "", message)
    missing = tmp_path / "none.txt"
    assert run(*ANSWER, "--context-file", missing) == (1, "", f"error: {missing}: No such file or directory\n")


def test_predict_writes_what_evaluate_reads(run, module, save, tmp_path):
    def answer_file(model, path, *, max_answer_tokens):
        assert (model, path, max_answer_tokens) == ("m", gold_path, 7)
        yield types.SimpleNamespace(id="a"), [Candidate(**AS_JSON), Candidate("Die", 0, 3, 1.0, 0.25)]
        yield types.SimpleNamespace(id="ب"), []

    module("reading.predict", answer_file=answer_file)
    gold_path = save("g.json", gold("a", "ب"))
    output, n_best = tmp_path / "new" / "predictions.json", tmp_path / "other" / "n-best.json"
    more = ("--output", output, "--n-best", n_best, "--max-answer-tokens", "7")
    assert run("predict", "--model", "m", "--data", gold_path, *more) == (0, f"{output}: 2 questions, 1 answered\n", "")
    assert json.loads(output.read_text(encoding="utf-8")) == {"a": "براغ", "ب": ""}
    second = {"text": "Die", "start": 0, "end": 3, "score": 1.0, "probability": 0.25}
    assert json.loads(n_best.read_text(encoding="utf-8")) == {"a": [AS_JSON, second], "ب": []}
    for predictions in (output, n_best):
        command = "evaluate", "--gold", gold_path, "--predictions", predictions, "--metric", "squad", "--json"
        status, out, err = run(*command)
        assert (status, err) == (0, "")
        assert json.loads(out) == {"exact_match": 0.0, "f1": 0.0, "questions": 2, "answered": 1}


def test_predict_says_before_reading_that_it_could_not_write(run, module, tmp_path):
    module("reading.predict", answer_file=lambda *arguments, **options: pytest.fail("the model was asked"))
    message = f"error: {tmp_path}: is a folder, expected a file to write\n"
    assert run("predict", "--model", "m", "--data", "d", "--output", tmp_path) == (1, "", message)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("m: no model here;\n  train one"), 1, "m: no model here; train one"),
        (NotADirectoryError(20, "Not a directory", "file/x"), 1, "file/x: Not a directory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_one_line(run, module, error, status, message):
    def answer(*arguments, **options):
        raise error

    module("reading.predict", answer=answer)
    assert run(*ANSWER, "--context", "C") == (status, "", f"error: {message}\n")


def test_params_prints_or_writes(run, module, tmp_path):
    calls = []

    def compose(profile, size):
        calls.append((profile, size))
        return "a: é\n"

    module("study.params", compose=compose)
    assert run("params", "--profile", "paper") == (0, "a: é\n", "")
    path = tmp_path / "new" / "params.yaml"
    assert run("params", "--profile", "embedded", "--size", "smoke", "--output", path) == (0, "", "")
    assert path.read_text(encoding="utf-8") == "a: é\n"
    assert calls == [("paper", "full"), ("embedded", "smoke")]
    os.utime(path, (1, 1))  # an unchanged file is left alone
    assert run("params", "--profile", "embedded", "--output", path) == (0, "", "")
    assert path.stat().st_mtime == 1


def test_params_of_a_user_s_own_folder(run, tmp_path):
    folder, path = own_folder.write(tmp_path / "mine"), tmp_path / "params.yaml"
    status, out, err = run("params", "--profile", "own", "--size", "smoke", "--data", folder, "--output", path)
    assert (status, out) == (0, "")
    assert err.splitlines()[0].startswith("Languages: en, x-sahra. Split by passage (seed 13): 12 questions about 4")
    before = path.read_bytes()
    (folder / "parallel" / "en.csv").rename(folder / "parallel" / "EN.csv")
    (folder / "parallel" / "notes.txt").touch()
    status, out, err = run("params", "--profile", "own", "--data", folder, "--output", path)
    *problems, last = err.splitlines()
    assert (status, out, last) == (1, "", f"error: {folder}: 2 problem(s), see above; nothing was changed")
    assert [line.partition("found ")[2] for line in problems] == [
        "notes.txt: save it as one of these, or take it away",
        "EN.csv: rename it to en",
    ]
    assert path.read_bytes() == before
    assert run("params", "--profile", "own")[2].endswith(
        "docs/your-language.md): make reproduce PROFILE=own DATA=FOLDER\n"
    )
    assert "read by the profile own alone, found xquad" in run("params", "--profile", "xquad", "--data", folder)[2]


def test_check_notes_answers_that_occur_twice(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,context,question,answer\n1,10 men and 10 women,How many?,10\n", encoding="utf-8")
    status, out, _ = run("check", path)
    note, good = out.splitlines()
    assert (status, good) == (0, f"{path}: good: 1 questions, 1 different contexts, 1 answers")
    assert note.startswith(f'note: {path}: line 2 (id "1"): the answer "10" occurs at 0, 11: the first is taken')


def test_export_names_the_folder(run, module, tmp_path):
    calls = []
    module("study.params", load_params=lambda source: source)
    module("reporting.take_away", write=lambda study, onnx: calls.append((study, onnx)) or (tmp_path, ["one"]))
    assert run("export")[1].startswith(f"note: one\n{tmp_path}: the model to take away")
    assert run("export", "--study", "own/full", "--onnx")[0] == 0
    assert calls == [("params.yaml", False), ("own/full", True)]


def test_notebook_passes_parameters_as_text(run, module):
    calls = []
    module("running.notebooks", execute=lambda name, output, parameters: calls.append((name, output, parameters)))
    assert run("notebook", "01_data", "out.ipynb") == (0, "", "")
    assert run("notebook", "01_data", "out.ipynb", "-p", "seed", "-1", "-p", "sizes", "[1, 2]") == (0, "", "")
    assert calls == [("01_data", "out.ipynb", {}), ("01_data", "out.ipynb", {"seed": "-1", "sizes": "[1, 2]"})]


def test_evaluate_and_check_import_nothing_heavy(save):
    paths = save("g.json", gold("a")), save("p.json", {"a": "Prag"})
    code = (
        "import sys\n"
        "from xqa_lib.__main__ import main\n"
        f"main(['evaluate', '--gold', {paths[0]!r}, '--predictions', {paths[1]!r}, '--metric', 'squad'])\n"
        f"main(['check', {paths[0]!r}])\n"
        "print(sorted({'torch', 'transformers', 'numpy', 'pandas', 'pooch', 'hydra'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_file_names_that_the_locale_or_unicode_lacks(tmp_path):
    name = tmp_path / "سؤال.json"
    name.write_text(json.dumps(gold("a")), encoding="utf-8")
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "xqa_lib", "check", name, bad], capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (1, b"")
    first, second = done.stdout.splitlines()
    assert first.decode("utf-8").startswith(f"{name}: good: 1 questions")
    assert second.endswith(b"\\udcff.json: cannot be read: No such file or directory; check the path")


def test_closed_pipe_is_quiet(save):
    path = save("many.json", gold(*map(str, range(3000)), answer_start=9))  # more output than a pipe holds
    command = [sys.executable, "-m", "xqa_lib", "check", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1


@pytest.mark.real_data
def test_check_real_data(run, real_data_dir):
    paths = [real_data_dir / "xquad" / f"xquad.{code}.json" for code in ("ar", "th", "zh")]
    good = "".join(f"{path}: good: 1190 questions, 240 different contexts, 1190 answers\n" for path in paths)
    assert run("check", *paths) == (0, good, "")
