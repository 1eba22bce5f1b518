"""Broken and hostile input: a clear line or a correct result, never a traceback, a hang or a wrong score.

A corpus of mutated files, drawn from seeds, and properties checked by hypothesis.
"""

import contextlib
import json
import os
import random
import re
import signal
import zipfile

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import faults
from xqa_lib import metrics
from xqa_lib.__main__ import main
from xqa_lib.data import corpora, squad_format
from xqa_lib.errors import DataError
from xqa_lib.features import encode_pairs, label_windows
from xqa_lib.running import files
from xqa_lib.study import params

SECONDS = 60  # after which a case counts as hanging; they take milliseconds
NASTY = [
    *("", " ", "\x00", "\ufeff", "\ud800", "\udfff\ud800", "e\u0301", "\u202eabc\u202c", "\u200f", "\u200d"),
    *("../../etc/passwd", "/dev/zero", "C:\\x", "%s%n", "{0}", "NaN", "北京", "👩\u200d🚀", "\r\n", "\t", "\u2028"),
    "a" * 1000,
]
INFINITE = [float("nan"), float("inf")]
VALUES = [*NASTY, *INFINITE, None, True, 0, -1, 1.5, 10**40, [], {}, [[[[]]]], {"a": {"b": []}}, "1e400"]


@contextlib.contextmanager
def watched():
    """Turn a hang into a failure."""

    def late(number, frame):
        raise TimeoutError(f"no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refusal(call):
    """The message of the DataError that `call` raises, or None."""
    try:
        call()
    except DataError as error:
        return str(error)
    return None


def gold():
    """A good file with articles, paragraphs, questions and answers in several scripts."""
    texts = {
        "Anna was born in Rome on 3 May.": "Rome",
        "北京是中国的首都。": "首都",
        "القاهرة عاصمة مصر": "مصر",
        "cafe\u0301 👩\u200d🚀 Rome": "👩\u200d🚀",
    }
    paragraphs = []
    for number, (context, answer) in enumerate(texts.items()):
        answers = [{"text": answer, "answer_start": context.index(answer)}]
        questions = [{"id": f"{number}-{n}", "question": f"Which one, {n}?", "answers": answers} for n in range(2)]
        paragraphs.append({"context": context, "qas": questions})
    halves = [{"title": f"T{half}", "paragraphs": paragraphs[2 * half : 2 * half + 2]} for half in range(2)]
    return json.loads(json.dumps({"version": "1.1", "data": halves}))  # without shared parts


def predictions():
    return {f"{number}-{copy}": text for number, text in enumerate(["Rome", "首", "", "x"]) for copy in range(2)}


def places(tree, path=()):
    """Paths of all values in a JSON tree."""
    yield path
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def mutate(tree, rng):
    """One to three changes of a JSON tree: a value replaced, a key removed, renamed or added, a list grown."""
    for _ in range(rng.randint(1, 3)):
        *path, last = rng.choice([place for place in places(tree) if place])
        parent = tree
        for key in path:
            parent = parent[key]
        kind = rng.randrange(5)
        if kind == 0 or isinstance(parent, list):
            parent[last] = rng.choice(VALUES)
        elif kind == 1:
            del parent[last]
        elif kind == 2:
            parent[rng.choice(NASTY)] = parent.pop(last)
        elif kind == 3:
            parent[rng.choice(NASTY)] = rng.choice(VALUES)
        elif isinstance(parent[last], list):
            parent[last] = parent[last] * 2
        if not [place for place in places(tree) if place]:
            break
    return tree


def spoil(raw, rng):
    """A byte string with bytes changed, cut out, doubled or put in."""
    raw = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(raw) or 1), rng.randint(1, 30)
        kind = rng.randrange(5)
        if kind == 0 and raw:
            raw[at % len(raw)] = rng.randrange(256)
        elif kind == 1:
            del raw[at : at + length]
        elif kind == 2:
            raw[at:at] = raw[at : at + length]
        elif kind == 3:
            bits = [b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b'"', b"{", b"[" * 5000, b"\\ud800", b"&a *a"]
            raw[at:at] = rng.choice(bits)
        else:
            del raw[at:]
    return bytes(raw)


def corrupted(tree, rng):
    raw = json.dumps(mutate(tree, rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return spoil(raw, rng) if rng.random() < 0.3 else raw


def run(capsys, *arguments):
    """(status, lines of standard output, lines of standard error) of a command that must neither hang nor raise."""
    with watched():
        status = main([os.fspath(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    # splitlines would also split at separators inside a quoted text
    return status, captured.out.rstrip("\n").split("\n"), captured.err.rstrip("\n").split("\n")


def oracle(gold_raw, predictions_raw):
    """Exact match and F1 of files that were accepted, without the library's reader."""
    document, texts = (json.loads(raw.decode("utf-8-sig")) for raw in (gold_raw, predictions_raw))
    scores = []
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                text = texts.get(question["id"], "")
                golds = [answer["text"] for answer in question["answers"]]
                scores.append(metrics.squad_em_f1(text, golds) if text.strip() else (0.0, 0.0))
    return [100 * sum(values) / len(scores) for values in zip(*scores, strict=True)]


@pytest.mark.parametrize("block", range(4))
def test_squad_files(block, tmp_path, capsys):
    accepted = 0
    for seed in range(50 * block, 50 * block + 50):
        rng = random.Random(seed)
        path = tmp_path / f"{seed}.json"
        path.write_bytes(corrupted(gold(), rng))
        status, out, err = run(capsys, "check", path)
        assert status in (0, 1)
        assert err == [""]
        if status:
            assert all(line.startswith(f"{path}: ") for line in out), out
        else:
            accepted += 1
            assert out[0].startswith(f"{path}: good: ")
            # what was accepted holds what it says
            for example in squad_format.read_squad(path, question_lang="", context_lang=""):
                for answer in example.answers:
                    assert example.context[answer.start :].startswith(answer.text)
    assert 0 < accepted < 50


@pytest.mark.parametrize("block", range(4))
def test_scores_of_mutated_files(block, tmp_path, capsys):
    scored = 0
    for seed in range(1000 + 40 * block, 1000 + 40 * block + 40):
        rng = random.Random(seed)
        raw_gold = corrupted(gold(), rng) if rng.random() < 0.4 else json.dumps(gold()).encode()
        if rng.random() < 0.5:  # texts for texts, which must be scored
            texts = {key: rng.choice([value, rng.choice(NASTY)]) for key, value in predictions().items()}
            raw = json.dumps(texts).encode()
        else:
            raw = corrupted(predictions(), rng)
        paths = tmp_path / f"{seed}-gold.json", tmp_path / f"{seed}.json"
        for path, content in zip(paths, (raw_gold, raw), strict=True):
            path.write_bytes(content)
        options = ("--gold", paths[0], "--predictions", paths[1], "--metric", "squad", "--json")
        status, out, err = run(capsys, "evaluate", *options)
        if status == 0:
            scored += 1
            score = json.loads(out[0])
            assert [score["exact_match"], score["f1"]] == pytest.approx(oracle(raw_gold, raw), abs=1e-9)
        else:
            assert status == 1
            assert len(err) == 1
            assert err[0].startswith(f"error: {tmp_path}")
    assert 5 < scored < 40


@pytest.mark.slow
def test_parameter_files(tmp_path):
    good = yaml.safe_load(params.compose("embedded", "smoke"))
    accepted = 0
    for seed in range(2000, 2120):
        rng = random.Random(seed)
        tree = mutate(json.loads(json.dumps(good)), rng)
        path = tmp_path / f"{seed}.yaml"
        raw = yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")
        path.write_bytes(spoil(raw, rng) if rng.random() < 0.3 else raw)
        with watched():
            message = refusal(lambda path=path: params.load_params(path))
        accepted += message is None
        if message is not None:
            assert message.startswith(f"{path}: ")
            assert len(message) < 2000
    assert accepted < 60


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "reader"
    faults.reader().save_pretrained(folder)
    faults.tokenizer().save_pretrained(folder)
    return folder


ANSWER = ("--question", "Where was Anna born?", "--context", "Anna was born in Rome.", "--json")


@pytest.mark.slow
def test_model_folders(model, tmp_path, capsys):
    answered = 0
    for seed in range(3000, 3080):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        spoilt = rng.choice(sorted(path.name for path in model.iterdir()))
        for path in model.iterdir():
            raw = path.read_bytes()
            if path.name == spoilt:
                tree = path.suffix == ".json" and rng.random() < 0.6
                raw = json.dumps(mutate(json.loads(raw), rng)).encode() if tree else spoil(raw, rng)
            (folder / path.name).write_bytes(raw)
        status, out, err = run(capsys, "answer", "--model", folder, *ANSWER)
        if status == 0:
            answered += 1
            for answer in json.loads(out[-1])["answers"]:
                assert answer["text"] == "Anna was born in Rome."[answer["start"] : answer["end"]]
                assert 0 <= answer["probability"] <= 1
        else:
            assert status == 1
            assert err[-1].startswith("error: "), err
    assert 0 < answered < 80


def test_a_file_of_2_gb_is_refused_before_it_is_read(tmp_path, capsys):
    path = tmp_path / "large.json"
    with open(path, "wb") as file:
        file.truncate(2**31)  # takes no room
    for command in (("check", path), ("evaluate", "--gold", path, "--predictions", path, "--metric", "squad")):
        status, out, err = run(capsys, *command)
        assert status == 1
        assert f"{path}: 2,147,483,648 bytes, expected at most 536,870,912; is this the right file? " in "".join(
            out + err
        )


def test_a_device_without_end_is_refused():
    with pytest.raises(DataError, match=r"^/dev/zero: 1,001 bytes, expected at most 1,000;"):
        files.read_whole("/dev/zero", limit=1000)


def test_a_bomb_of_aliases_is_refused_in_a_line(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines) + "\nseeds: *a11\n" + params.compose("embedded").replace("seeds:", "other:"))
    with watched(), pytest.raises(DataError) as error:
        params.load_params(path)
    assert len(str(error.value)) < 2000
    text = params.compose("embedded").replace("profile: embedded", "profile: *a11", 1)
    path.write_text("\n".join(lines) + "\n" + text)
    with watched(), pytest.raises(DataError):
        params.load_params(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("threads: 2", "threads: 2\nthreads: 2", "found duplicate key threads"),
        ("learning_rate: 0.0002", "learning_rate: .inf", "reader.learning_rate: expected a finite number, found inf"),
        ("temperature: 2.0", "temperature: 0.0", "methods.ce.temperature: expected > 0, found 0.0"),
        ("  ce:  ", "  ../../ce:  ", "methods.../../ce: expected letters, for it names a folder, found '../../ce'"),
    ],
)
def test_parameters_that_would_go_wrong_later(tmp_path, old, new, message):
    path = tmp_path / "p.yaml"
    text = params.compose("embedded")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=re.escape(message)):
        params.load_params(path)


def test_a_key_that_stands_twice_is_no_score(tmp_path, capsys):
    text = json.dumps(gold())
    doubled = text.replace('"text": "Rome"', '"text": "Paris", "text": "Rome"', 1)
    path = tmp_path / "gold.json"
    path.write_text(doubled)
    status, out, _ = run(capsys, "check", path)
    assert status == 1
    assert out == [f'{path}: expected each key once in an object, found "text" more than once; keep one of them']


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_a_model_is_never_run(model, tmp_path, capsys, name):
    for path in model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    asked = json.loads((model / name).read_text()) | {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}
    (tmp_path / name).write_text(json.dumps(asked))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    status, _, err = run(capsys, "answer", "--model", tmp_path, *ANSWER)
    assert status == 1
    assert f"{tmp_path / name}: the model asks for code of its own (auto_map), which is never run" in err[-1]
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_no_numbers(tmp_path, capsys):
    reader = faults.reader()
    with torch.no_grad():
        reader.qa_outputs.weight[0, 0] = float("nan")
    reader.save_pretrained(tmp_path)
    faults.tokenizer().save_pretrained(tmp_path)
    status, _, err = run(capsys, "answer", "--model", tmp_path, *ANSWER)
    assert status == 1
    assert "the weights qa_outputs.weight are non-finite" in err[-1]


def test_an_archive_does_not_explode(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST", 10**6)
    with zipfile.ZipFile(tmp_path / "MLQA_V1.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("dev-context-en-question-en.json", b" " * 10**6 + b"{}")
    with pytest.raises(DataError, match=r"unpacks to 1,000,002 bytes, expected at most 1,000,000"):
        corpora.load("mlqa-dev", context_lang="en", data_dir=tmp_path)


TEXT = st.text(alphabet=st.characters(), max_size=40) | st.sampled_from(NASTY)
QUIET = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@QUIET
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw):
    message = refusal(lambda: squad_format.parse_squad(raw, "file", question_lang="", context_lang=""))
    assert message.startswith("file: ")


@QUIET
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), st.integers(12, 40), st.integers(1, 4))
def test_every_token_of_any_context_is_in_a_window(pairs, max_length, stride):
    pairs = [tuple("".join(c for c in text if not 0xD800 <= ord(c) <= 0xDFFF) for text in pair) for pair in pairs]
    questions, contexts = zip(*pairs, strict=True)
    options = {"max_length": max_length, "stride": stride, "max_question_length": 5}
    windows = encode_pairs(faults.tokenizer(), questions, contexts, **options)
    assert sorted(set(windows.example_index.tolist())) == list(range(len(pairs)))
    assert windows.input_ids.shape[1] <= max_length
    for number, context in enumerate(contexts):
        spans = windows.offsets[windows.example_index == number].reshape(-1, 2).tolist()
        assert all(0 <= start < end <= len(context) for start, end in spans if start >= 0)
    starts, ends = label_windows(windows, [(0, len(context)) for context in contexts])
    assert ((starts >= 0) & (starts <= ends)).all()


@QUIET
@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), st.sampled_from(metrics.MLQA_LANGUAGES))
def test_scores_are_shares_and_a_gold_answer_is_exact(prediction, golds, language):
    for em, f1 in (metrics.squad_em_f1(prediction, golds), metrics.mlqa_em_f1(prediction, golds, language)):
        assert em in (0.0, 1.0)
        assert 0.0 <= f1 <= 1.0
    assert metrics.squad_em_f1(golds[0], golds)[0] == 1.0
    assert metrics.mlqa_em_f1(golds[-1], golds, language)[0] == 1.0


def test_a_question_and_a_context_of_a_megabyte(model, capsys):
    words = "Anna was born in Rome. " * 45_000
    status, out, _ = run(capsys, "answer", "--model", model, "--question", words, "--context", "Anna " * 50, "--json")
    assert status == 0
    assert json.loads(out[-1])["answers"]
