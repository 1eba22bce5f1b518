"""Files of predictions scored against files of gold answers: values, warnings, and what is refused."""

import json
import math

import datasets
import pytest

from xqa_lib.data.squad_format import read_squad
from xqa_lib.errors import DataError
from xqa_lib.reading.score_file import language_in_name, read_predictions, score_files

CONTEXT = "Die Stadt Prag liegt an der Moldau, die Elbe ist nah."


def gold_questions(**answers):
    return [
        {"id": i, "question": "Wo?", "answers": [{"text": t, "answer_start": CONTEXT.index(t)} for t in texts]}
        for i, texts in answers.items()
    ]


@pytest.fixture
def files(tmp_path):
    """A function that writes gold answers and predictions and returns both paths."""

    def write(predictions, gold=None, name="gold.json"):
        questions = gold or gold_questions(a=["Prag"], b=["der Moldau", "Moldau"], c=["Elbe"], d=["Stadt Prag"])
        data = {"version": "1", "data": [{"paragraphs": [{"context": CONTEXT, "qas": questions}]}]}
        (tmp_path / name).write_text(json.dumps(data), encoding="utf-8")
        if not isinstance(predictions, bytes):
            predictions = json.dumps(predictions).encode()
        (tmp_path / "predictions.json").write_bytes(predictions)
        return tmp_path / name, tmp_path / "predictions.json"

    return write


def refusal(gold, predictions, **options):
    with pytest.raises(DataError) as caught:
        score_files(gold, predictions, **{"metric": "squad", **options})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_squad_values(files):
    paths = files({"a": "Prag.", "b": "die Moldau", "c": "Rhein", "d": "die Stadt Prag"})
    score = score_files(*paths, metric="squad")
    # F1: 1; 2/3 with "Moldau" (1/2 with "der Moldau"); 0; 0.8 ("die" is no English article)
    f1 = pytest.approx(100 * (1 + 2 / 3 + 0 + 0.8) / 4, abs=1e-12)
    assert score.as_dict() == {"exact_match": 25.0, "f1": f1, "questions": 4, "answered": 4}
    assert list(score.as_dict()) == ["exact_match", "f1", "questions", "answered"]
    assert score.warnings == ()
    other = score_files(*paths, metric="squad", context_language="de")
    assert other.warnings == ("the context language has no effect on the squad metric",)


def test_mlqa_values(files):
    predictions = {"a": "Prag.", "b": "die Moldau", "c": "Rhein", "d": "die Stadt Prag"}
    score = score_files(*files(predictions), metric="mlqa", context_language="de")
    assert score.as_dict() == {"exact_match": 75.0, "f1": 75.0, "questions": 4, "answered": 4}


def test_mlqa_language_from_the_file_name(files):
    paths = files({"a": "die Prag", "b": "", "c": "", "d": ""}, name="dev-context-de-question-hi.json")
    assert score_files(*paths, metric="mlqa").exact_match == 25.0
    other = score_files(*paths, metric="mlqa", context_language="en")
    assert other.exact_match == 0.0
    assert other.warnings == (f"{paths[0]}: the file name says context language de, scoring with en as asked",)


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("dev-context-ar-question-de.json", "ar"),
        ("test-context-zh-question-zh", "zh"),
        ("/a/context-es-question-en/gold.json", None),  # only the file's own name
        ("dev-context-pt-BR-question-yue.json", "pt-BR"),
        ("dev-context-en-question-sr-Cyrl", "en"),
        ("context-de-question-en-gold.json", "de"),
        ("context-english-question-de.json", None),
        ("context-en-question-german.json", None),
        ("gold.json", None),
    ],
)
def test_language_in_name(name, language):
    assert language_in_name(name) == language


def test_unanswered_questions_score_zero(files):
    gold, predictions = files({"a": "Prag", "b": "", "c": " \n"})
    score = score_files(gold, predictions, metric="squad")
    assert score.as_dict() == {"exact_match": 25.0, "f1": 25.0, "questions": 4, "answered": 1}
    assert score.warnings == (f'{predictions}: no prediction for 1 of 4 questions, they score 0 ("d")',)


def test_misplaced_gold_answers_score_with_a_warning(files):
    gold = gold_questions(a=["Prag"])
    gold[0]["answers"][0]["answer_start"] = 0
    paths = files({"a": "Prag"}, gold=gold)
    score = score_files(*paths, metric="squad")
    assert score.exact_match == 100.0
    assert score.warnings[0].startswith(f"{paths[0]}: 1 gold answers are not at their answer_start; scores use the")


def test_ids_that_the_gold_file_lacks_are_left_out_with_a_warning(files):
    """As in the official programs, which go through the gold questions: a sample of a predicted set can be scored."""
    gold, path = files({"a": "Prag", "b": "Prag", "c": "x", "d": "x", "e": "Prag", "f": "x", "g": "x", "h": "x"})
    score = score_files(gold, path, metric="squad")
    assert score.as_dict() == {"exact_match": 25.0, "f1": 25.0, "questions": 4, "answered": 4}
    assert score.warnings == (f'{path}: 4 ids are not in {gold}, they are left out ("e", "f", "g", ...)',)


@pytest.mark.parametrize(
    "predictions",
    [
        [
            {"id": "a", "prediction_text": "Prag"},
            {"id": "b", "prediction_text": "Moldau", "no_answer_probability": 0.0},
        ],
        b'{"id": "a", "prediction_text": "Prag"}\n\n{"id": "b", "prediction_text": "Moldau"}\n',
        {
            "a": [{"text": "Prag", "probability": 0.6, "start_logit": 1.5}, {"text": "Elbe", "probability": 0.4}],
            # the most probable, wherever it stands; a string may stand beside lists
            "b": [{"text": "Elbe", "probability": 0.1}, {"text": "Moldau", "probability": 0.9}],
            "c": [],
        },
        {"a": [{"text": "Prag"}, {"text": "Elbe"}], "b": "Moldau", "d": [{"text": "", "probability": 1}]},
    ],
    ids=["list", "lines", "n best", "n best without probabilities"],
)
def test_forms_of_predictions(files, predictions):
    score = score_files(*files(predictions), metric="squad")
    assert score.as_dict() == {"exact_match": 50.0, "f1": 50.0, "questions": 4, "answered": 2}


def test_gold_answers_in_the_flat_form(files, tmp_path):
    """The same scores whatever the form: JSON list, JSON Lines, saved dataset."""
    gold, path = files({"a": "Prag", "b": "die Moldau", "c": "Rhein"})
    expected = score_files(gold, path, metric="squad").as_dict()
    assert expected["f1"] == pytest.approx(100 * (1 + 2 / 3) / 4, abs=1e-12)
    rows = []
    for example in read_squad(gold, question_lang="", context_lang=""):
        texts, starts = [answer.text for answer in example.answers], [answer.start for answer in example.answers]
        row = {"id": example.id, "context": example.context, "question": example.question}
        rows.append(row | {"answers": {"text": texts, "answer_start": starts}})
    (tmp_path / "list.json").write_text(json.dumps(rows))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)))
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    for name in ("list.json", "lines.jsonl", "saved"):
        assert score_files(tmp_path / name, path, metric="squad").as_dict() == expected


def test_a_language_without_rules_of_its_own_gets_general_ones(files):
    paths = files({"a": "Prag!", "b": "die Moldau", "c": "x", "d": "x"}, name="dev-context-sw-question-en.json")
    score = score_files(*paths, metric="mlqa")
    assert (score.exact_match, score.f1) == (25.0, pytest.approx(100 * (1 + 2 / 3) / 4))
    assert score.warnings[0].startswith("the mlqa metric has no rules of its own for sw (only for en, es, hi, vi, de, ")
    assert score_files(*paths, metric="mlqa", context_language="de-AT").exact_match == 50.0


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (
            dict.fromkeys("efgh", "x"),
            "expected predictions for the questions of {gold}, found none of its 4 ids but 4 others "
            '("e", "f", "g", ...); are these predictions for another file?',
        ),
        ({}, "expected predictions for the questions of {gold}, found none of its 4 ids"),
        (["Prag"], '[0]: expected an object with the strings id and prediction_text, found the string "Prag"'),
        ([{"id": 3, "prediction_text": "x"}], "[0]: expected an object with the strings id and prediction_text, found"),
        ([{"id": "a"}], "[0].prediction_text: expected the predicted text as a string, found null; write one text for"),
        ([{"id": "a", "prediction_text": "x"}] * 2, '[1]: the id "a" occurs twice; keep one prediction for each'),
        ("Prag", 'expected a JSON object with a text for each question id, found the string "Prag"; write'),
        ({"a": None}, 'key "a": expected the predicted text as a string, found null; write one text for each id'),
        ({"a": ["Prag"]}, 'key "a"[0]: expected an answer as an object with the key text, found the string "Prag"'),
        ({"a": [{"text": "x", "probability": 1}, {"txt": "y"}]}, 'key "a"[1].text: expected the predicted text as a '),
        ({"a": [{"text": "x", "probability": "1"}]}, 'key "a"[0].probability: expected a number, found the string "1"'),
        ({"a": [{"text": "x", "probability": math.nan}]}, 'key "a"[0].probability: expected a number, found the'),
        (b'{"a": "x", "b": "y", "a": "x"}', 'expected each key once in an object, found "a" more than once'),
        (b'{"a": "x",\n "b" "y"}', "line 2, column 6: expected JSON, found an error (Expecting ':' delimiter)"),
    ],
)
def test_wrong_predictions(files, predictions, expected):
    gold, path = files(predictions)
    assert refusal(gold, path).startswith(f"{path}: {expected.format(gold=gold)}")


def test_repeated_key_is_found_fast(tmp_path):
    path = tmp_path / "p.json"
    path.write_text("{" + ", ".join(f'"{i}": ""' for i in range(50_000)) + ', "49999": ""}')
    with pytest.raises(DataError, match='found "49999" more than once'):
        read_predictions(path)


@pytest.mark.parametrize("which", ["gold", "predictions"])
def test_missing_file(files, tmp_path, which):
    paths = dict(zip(("gold", "predictions"), files({"a": "x"}), strict=True))
    paths[which] = tmp_path / "none.json"
    assert refusal(**paths) == f"{paths[which]}: cannot be read: No such file or directory; check the path"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"metric": "bleu"}, "unknown metric 'bleu': expected one of squad, mlqa"),
        ({"metric": "mlqa"}, "{gold}: the mlqa metric needs the language of the contexts; expected it in the file"),
        ({"metric": "mlqa", "context_language": "EN"}, "unknown language 'EN': expected a code such as sw, pt-BR or"),
    ],
)
def test_wrong_metric_or_language(files, options, expected):
    gold, predictions = files({"a": "x"})
    assert refusal(gold, predictions, **options).startswith(expected.format(gold=gold))


@pytest.mark.real_data
@pytest.mark.parametrize("language", ["en", "es", "de", "ar", "hi", "vi", "zh"])
def test_gold_as_prediction_on_mlqa_dev(real_data_dir, tmp_path, language):
    gold = real_data_dir / "mlqa" / "dev" / f"dev-context-{language}-question-{language}.json"
    examples = read_squad(gold, question_lang=language, context_lang=language)
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps({example.id: example.answers[0].text for example in examples}))
    score = score_files(gold, path, metric="mlqa")
    assert score.exact_match == 100.0
    # One of the 500 Spanish answers is an article, "una", and shares no word with itself.
    assert score.f1 == (99.8 if language == "es" else 100.0)
    assert score.questions == score.answered == len(examples)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "metric", "exact_match", "f1"),
    [
        ("xquad/xquad.en.json", "squad", 0.5042016806722689, 2.3389052590733272),
        ("mlqa/dev/dev-context-zh-question-zh.json", "mlqa", 0.1984126984126984, 10.808786596480825),
        ("mlqa/dev/dev-context-ar-question-ar.json", "mlqa", 0.38684719535783363, 3.839649619374274),
        ("mlqa/dev/dev-context-de-question-de.json", "mlqa", 0.390625, 4.052531669719169),
    ],
)
def test_official_scores_to_the_last_digit(real_data_dir, tmp_path, name, metric, exact_match, f1):
    """Prediction: the first twelve characters of the context. Expected: a separate program after the official rules."""
    examples = read_squad(real_data_dir / name, question_lang="", context_lang="")
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps({example.id: example.context[:12] for example in examples}))
    score = score_files(real_data_dir / name, path, metric=metric)
    assert (score.exact_match, score.f1) == (exact_match, f1)
