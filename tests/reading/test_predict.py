"""Logits and answers of a tiny model: the same whatever the batches, in the right order, always slices."""

import json
import math
import re
import weakref

import numpy as np
import pytest
import torch

from tests.builders import tiny_reader
from xqa_lib.__main__ import main
from xqa_lib.data.squad_format import Example
from xqa_lib.errors import DataError
from xqa_lib.features import encode_pairs
from xqa_lib.reading import predict
from xqa_lib.reading.predict import answer, answers, window_logits
from xqa_lib.reading.score_file import score_files
from xqa_lib.study.params import Features
from xqa_lib.training.models import weights_hash
from xqa_lib.training.tiny_encoder import train_tokenizer

CONTEXTS = [
    "Anna was born in Rome in 1950. " * 6,
    "北京是中华人民共和国的首都。",
    "Rome",
    "",
    "القاهرة هي عاصمة مصر. " * 3,
    "กรุงเทพฯ เป็นเมืองหลวงของประเทศไทย",
    "The cafe\u0301 of Nun\u0303ez flies 👩\u200d🚀.",
]
QUESTIONS = ["Where was Anna born?", "Where?", "什么是首都", "Who was it that was born?", "Where?", "?", "Where?"]
EXAMPLES = [
    Example(str(number), question, context, (), "", "en", "en")
    for number, (question, context) in enumerate(zip(QUESTIONS, CONTEXTS, strict=True))
]
TOKENIZER = train_tokenizer(CONTEXTS + QUESTIONS, vocabulary_size=200, max_length=48)
FEATURES = Features(max_length=40, stride=9, max_question_length=10)
LOWEST = np.finfo(np.float32).min


def tiny_model():
    return tiny_reader(len(TOKENIZER), num_hidden_layers=2, max_position_embeddings=48, initializer_range=0.4).eval()


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def windows():
    return encode_pairs(TOKENIZER, QUESTIONS, CONTEXTS, max_length=40, stride=9, max_question_length=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reader")
    tiny_model().save_pretrained(path)
    TOKENIZER.save_pretrained(path)
    return path


def test_logits_are_those_of_each_window_alone(model, windows):
    start, end = window_logits(model, windows, batch_size=4)
    assert start.shape == end.shape == windows.input_ids.shape
    assert start.dtype == end.dtype == np.float32
    assert len(set(windows.lengths().tolist())) > 3
    for row, length in enumerate(windows.lengths()):
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = {name: getattr(windows, name)[row : row + 1, :length] for name in names}
        with torch.no_grad():
            alone = model(**inputs)
        np.testing.assert_allclose(start[row, :length], alone.start_logits[0].numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(end[row, :length], alone.end_logits[0].numpy(), rtol=0, atol=1e-4)
        assert (start[row, length:] == LOWEST).all()
        assert (end[row, length:] == LOWEST).all()


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_logits_depend_neither_on_the_batch_size_nor_on_the_order(model, windows, batch_size):
    expected = window_logits(model, windows, batch_size=5)
    backwards = windows.select(np.arange(len(windows))[::-1])
    for found, logits in zip(window_logits(model, backwards, batch_size=batch_size), expected, strict=True):
        np.testing.assert_allclose(found[::-1], logits, rtol=0, atol=1e-4)
    assert np.abs(np.diff(expected[0][:, 0])).min() > 1e-4  # no two windows look alike


def test_bfloat16_reads_the_same_but_for_rounding(model, windows):
    exact = window_logits(model, windows, batch_size=4)[0]
    rounded = window_logits(model, windows, batch_size=4, bf16=True)[0]
    assert rounded.dtype == np.float32
    real = windows.attention_mask.numpy() == 1
    assert not np.array_equal(rounded, exact)
    np.testing.assert_allclose(rounded[real], exact[real], rtol=0, atol=0.03 * np.abs(exact[real]).max())
    assert (rounded[~real] == LOWEST).all()


def test_the_models_mode_is_restored_and_dropout_is_off(windows):
    model = tiny_model()
    expected = window_logits(model, windows, batch_size=4)[0]
    model.train()
    before = weights_hash(model)
    np.testing.assert_array_equal(window_logits(model, windows, batch_size=4)[0], expected)
    assert model.training
    model.eval()
    window_logits(model, windows, batch_size=4)
    assert not model.training
    assert weights_hash(model) == before


def as_tuples(lists):
    return [[(a.text, a.start, a.end, pytest.approx(a.score, abs=1e-4)) for a in found] for found in lists]


def test_answers_are_slices_in_the_order_of_the_examples(model):
    found = answers(model, TOKENIZER, EXAMPLES, features=FEATURES, batch_size=4)
    assert len(found) == len(EXAMPLES)
    for example, candidates in zip(EXAMPLES, found, strict=True):
        assert all(a.text == example.context[a.start : a.end] != "" for a in candidates)
        assert [a.score for a in candidates] == sorted((a.score for a in candidates), reverse=True)
    assert [bool(candidates) for candidates in found] == [True, True, True, False, True, True, True]
    assert [a.text for a in found[2]] == ["Rome"]
    alone = [answers(model, TOKENIZER, [example], features=FEATURES, batch_size=1)[0] for example in EXAMPLES]
    assert as_tuples(alone) == [[(a.text, a.start, a.end, a.score) for a in candidates] for candidates in found]


def test_answers_respect_their_limits(model):
    found = answers(model, TOKENIZER, EXAMPLES, features=FEATURES, batch_size=4, n_best=3, max_answer_tokens=1)
    assert max(map(len, found)) == 3
    assert all(len(TOKENIZER.tokenize(a.text)) == 1 for candidates in found for a in candidates)


def test_blocks_of_examples_join_without_a_seam(model, monkeypatch):
    whole = answers(model, TOKENIZER, EXAMPLES * 2, features=FEATURES, batch_size=4, n_best=2)
    source = predict.encode_pairs
    sizes = []

    def spy(tokenizer, questions, contexts, **settings):
        sizes.append(len(questions))
        return source(tokenizer, questions, contexts, **settings)

    monkeypatch.setattr(predict, "encode_pairs", spy)
    many = answers(model, TOKENIZER, [EXAMPLES[1], EXAMPLES[2]] * 2049, features=FEATURES, batch_size=512, n_best=2)
    assert sizes == [4096, 2]
    assert as_tuples(many[:2]) == as_tuples(many[-2:]) == as_tuples(whole[1:3])
    assert len(many) == 4098


def test_windows_held_at_a_time_do_not_grow_with_the_examples(model, monkeypatch):
    """Of all blocks read so far, only the last two (the one that is left, and the next) may be in memory."""
    made, most = [], 0

    def encode(*arguments, **options):
        nonlocal most
        windows = encode_pairs(*arguments, **options)
        made.append((weakref.ref(windows), len(windows)))
        most = max(most, sum(size for block, size in made if block() is not None))
        return windows

    monkeypatch.setattr(predict, "encode_pairs", encode)
    monkeypatch.setattr(predict, "window_logits", lambda model, windows, **_: np.zeros((2, *windows.input_ids.shape)))
    # a context of one window each
    options = {"features": FEATURES, "batch_size": 64, "n_best": 1}
    found = predict.stream_answers(model, TOKENIZER, [EXAMPLES[2]] * 15000, **options)
    assert sum(1 for _ in found) == sum(size for _, size in made) == 15000
    assert most <= 2 * 4096
    assert len(made) > 1


@pytest.mark.parametrize("number", [0, 1, 2, 4, 5, 6])
def test_answer_from_a_folder(folder, number):
    question, context = QUESTIONS[number], CONTEXTS[number]
    found = answer(folder, question, context, n_best=5)
    assert 1 <= len(found) <= 5
    assert all(a.text == context[a.start : a.end] != "" for a in found)
    assert [a.score for a in found] == sorted((a.score for a in found), reverse=True)
    assert math.isfinite(found[0].score)
    assert all(0 < a.probability <= 1 for a in found)
    (best,) = answer(str(folder), question, context)
    assert best[:4] == found[0][:4]


def test_answer_reads_a_context_longer_than_the_model(folder):
    # the model has 48 positions: were the context cut, nothing after them could be an answer
    context = "Anna was born in Rome. " * 40
    ends = {a.end for a in answer(folder, "Where?", context, n_best=500)}
    assert max(ends) > 0.9 * len(context)


def rows_without_answers():
    """Three questions in the flat form: without the key, with empty answers, with one that is not at its offset."""
    answers = (None, {"text": [], "answer_start": []}, {"text": ["no"], "answer_start": [99]})
    return [
        {"id": f"q{n}", "question": QUESTIONS[n], "context": CONTEXTS[n], "answers": found}
        for n, found in zip((0, 1, 4), answers, strict=True)
    ]


def test_a_file_is_answered_question_by_question(folder, tmp_path, capfd):
    path = tmp_path / "inputs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows_without_answers())))
    found = list(predict.answer_file(folder, path))
    assert [example.id for example, _ in found] == ["q0", "q1", "q4"]
    for example, candidates in found:
        assert 1 <= len(candidates) <= 20
        alone = answer(folder, example.question, example.context, n_best=20)
        assert as_tuples([candidates]) == as_tuples([alone])
    assert re.search(r"reading: +\d+%", capfd.readouterr().err)
    short = list(predict.answer_file(folder, path, max_answer_tokens=1))
    assert all(len(TOKENIZER.tokenize(a.text)) == 1 for _, candidates in short for a in candidates)


def test_predictions_of_a_file_are_what_evaluate_reads(folder, tmp_path, capsys):
    """The whole way on the command line: gold answers that are the reader's own are matched exactly."""
    inputs, output, n_best = (tmp_path / name for name in ("inputs.json", "predictions.json", "n-best.json"))
    inputs.write_text(json.dumps(rows_without_answers()))
    command = ["predict", "--model", folder, "--data", inputs, "--output", output, "--n-best", n_best]
    assert main(list(map(str, command))) == 0
    assert capsys.readouterr().out == f"{output}: 3 questions, 3 answered\n"
    texts, best = json.loads(output.read_text()), json.loads(n_best.read_text())
    assert texts == {identifier: answers[0]["text"] for identifier, answers in best.items()}
    rows = rows_without_answers()
    for row in rows:
        first = best[row["id"]][0]
        row["answers"] = {"text": [first["text"]], "answer_start": [first["start"]]}
    gold = tmp_path / "gold.json"
    gold.write_text(json.dumps(rows))
    assert main(["check", str(gold)]) == 0
    for predictions in (output, n_best):
        score = score_files(gold, predictions, metric="squad")
        assert (score.exact_match, score.questions, score.answered) == (100.0, 3, 3)


@pytest.mark.parametrize(("examples", "names"), [(1, ["x"]), (4098, ["x 1-4,096 of 4,098", "x 4,097-4,098 of 4,098"])])
def test_progress_names_the_block_where_there_are_several(model, monkeypatch, examples, names):
    told = []

    def logits(model, windows, *, progress, **options):
        told.append(progress)
        return np.zeros((2, *windows.input_ids.shape))

    monkeypatch.setattr(predict, "window_logits", logits)
    answers(model, TOKENIZER, [EXAMPLES[2]] * examples, features=FEATURES, batch_size=64, progress="x")
    assert told == names


def test_a_model_that_cannot_read_is_one_line(folder, monkeypatch):
    monkeypatch.setattr(predict.WindowSizes, "of", lambda *arguments: predict.WindowSizes(4, 1, 1))
    with pytest.raises(DataError, match=r": cannot read with this model: max_length 4 leaves "):
        answer(folder, "Where?", "Rome was not built")


def test_answer_without_a_token_is_none(folder):
    assert answer(folder, "Where?", "\u200b\u200d") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"question": " \n"}, "the question is empty; expected a text"),
        ({"context": ""}, "the context is empty; expected a text"),
        ({"context": "\t \u3000"}, "the context is empty; expected a text"),
        ({"question": "a\ud800"}, "the question holds a lone surrogate, which is no character; is its encoding UTF-8?"),
        ({"context": "\udc80"}, "the context holds a lone surrogate, which is no character; is its encoding UTF-8?"),
        ({"n_best": 0}, "n_best must be >= 1, got 0"),
        ({"max_answer_tokens": 0}, "max_answer_tokens must be >= 1, got 0"),
        ({"model": "/no/such/folder"}, "/no/such/folder: no such model folder; expected a folder with config.json and"),
    ],
)
def test_answer_errors(folder, arguments, message):
    good = {"model": folder, "question": "Where?", "context": "Rome"}
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        answer(**(good | arguments))
