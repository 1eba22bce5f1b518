"""The scorecard of a user's own language: pairs, answers to read, curve and advice, from made-up scores."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from xqa_lib.data import prepared
from xqa_lib.reading.evaluation import COLUMNS
from xqa_lib.reporting import scorecard
from xqa_lib.study.params import load_params

PARAMS = load_params("own/smoke")
LANGUAGES = ["en", "x-mine"]
PAIRS = [(q, c) for c in LANGUAGES for q in LANGUAGES]


def scores(f1, ids=12):
    """A score table: f1(system, seed, set, id number, question language, context language) of every answer."""
    rows = []
    for system, seed in [("zero-shot", 0), ("ce", 1), ("ce", 2), ("skd-map", 1), ("skd-map", 2)]:
        for name in ("own-dev", "own-test"):
            for number in range(ids):
                for pair in PAIRS:
                    value = f1(system, seed, name, number, *pair)
                    key = (name, f"q{number}", *pair)
                    rows.append((*key, float(value == 1), value, 0, f"answer {value}", system, seed))
    return pd.DataFrame(rows, columns=[*COLUMNS, "system", "seed"])


def gain(system, seed, name, number, question, context):
    """Zero-shot 0.5; outside English CE gains 0.2, SKD-mAP 0.1, seed 2 a little more; in English both lose 0.3."""
    if system == "zero-shot":
        return 0.5
    if question == context == "en":
        return 0.2
    return 0.5 + {"ce": 0.2, "skd-map": 0.1}[system] + 0.01 * (seed - 1) + 0.05 * (number % 3)


@pytest.fixture
def report(monkeypatch):
    """A function: what gives each answer's F1 -> a report with these scores, and a curve of three points."""
    sampling = SimpleNamespace(languages=LANGUAGES)
    params = SimpleNamespace(sampling=sampling, trained=["ce", "skd-map"], methods=PARAMS.methods)

    def make(f1=gain, ids=12, rise=(2.0, 1.0, 3.0)):
        asked = [
            (name, f"q{n}", q, c, f"question {n}", "gold")
            for name in ("own-dev", "own-test")
            for n in range(ids)
            for q, c in PAIRS
        ]
        asked = pd.DataFrame(asked, columns=["set", "id", "question_lang", "context_lang", "question", "answer"])
        monkeypatch.setattr(prepared, "read_questions", lambda _: asked)
        curve = [("few-resource", value, "gxlt", f1, 1.0) for value, f1 in (("36", 46.0), ("9", 42.0), ("18", 44.0))]
        tests = [("few-resource", "9", -4.0, -6.0, -2.0), ("few-resource", "18", -rise[0], -rise[2], -rise[1])]
        tables = {
            "ablations": pd.DataFrame(curve, columns=["experiment", "value", "task", "f1", "f1_sd"]),
            "ablation-tests": pd.DataFrame(tests, columns=["experiment", "value", "difference", "low", "high"]),
            "runs": pd.DataFrame({"ids": [0, 36]}),
        }
        return SimpleNamespace(params=params, scores=scores(f1, ids), tables=tables)

    return make


def test_the_pairs_are_those_of_the_chosen_method(report):
    made = report()
    assert scorecard.choose(made.params, made.scores) == ("ce", 2)
    table = scorecard.pair_table(made).set_index("row")
    means, across = list(table.index[:4]), list(table.index[4:])
    assert means == ["all pairs but English alone", "across languages", "English", "x-mine alone"]
    assert across == ["en question, x-mine passage", "x-mine question, en passage"]
    first = table.loc["all pairs but English alone"]
    # 0.2, half of 0.01 for the second seed, and 0.05 on average for the ids
    assert (first["before"], first["after"]) == (pytest.approx(50), pytest.approx(75.5))
    assert first["difference"] == pytest.approx(25.5)
    assert first["low"] < 25.5 < first["high"]
    english = table.loc["English"]
    assert (english["difference"], english["ids"]) == (pytest.approx(-30), 12)
    assert table["p_holm"].notna().sum() == 4  # the language pairs, not their means


def test_answers_to_read_are_of_all_verdicts_and_of_no_english_alone(report):
    made = report(lambda *key: (0.0, 0.4, 1.0)[key[3] % 3], ids=18)
    found = scorecard.answers(made)
    assert found["verdict"].value_counts().to_dict() == scorecard.SHOWN
    assert {"right": {"answer 1.0"}, "partly": {"answer 0.4"}, "wrong": {"answer 0.0"}} == {
        verdict: set(part["prediction"]) for verdict, part in found.groupby("verdict")
    }
    assert not ((found["question_lang"] == "en") & (found["context_lang"] == "en")).any()
    pd.testing.assert_frame_equal(found, scorecard.answers(made))


def test_answers_are_escaped_and_keep_their_direction():
    table = pd.DataFrame(
        [("partly", "a", "x-mine", "en", "<b>\n", "a|b", "")],
        columns=["verdict", "id", "question_lang", "context_lang", "question", "answer", "prediction"],
    )
    (row,) = scorecard.readable_answers(table).to_dict("records")
    assert row == {
        "": "partly",
        "languages": "x-mine → en",
        "question": '<span dir="auto">&lt;b&gt; </span>',
        "expected": '<span dir="auto">a&#124;b</span>',
        "found": '<span dir="auto">(none)</span>',
    }


def test_the_curve_is_in_the_order_of_the_ids_with_what_all_of_them_add(report):
    found = scorecard.curve(report())
    assert found["ids"].tolist() == [9, 18, 36]
    assert found["f1"].tolist() == [42, 44, 46]
    assert found[["gain", "low", "high"]].values[:2].tolist() == [[4, 2, 6], [2, 1, 3]]
    assert found["gain"].isna().tolist() == [False, False, True]


def flat(system, *key):
    return 0.5


def worse(system, seed, name, number, question, context):
    """Better on the development set, worse on the test."""
    return 0.5 if system == "zero-shot" else (0.6 if name == "own-dev" else 0.3) + 0.01 * (number % 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ["Take the trained model: your questions gain +25.5 F1 [", "English was lost: -30.0 [", "still rises"]),
        (
            {"f1": flat},
            [
                "Keep the English reader: in development no method was better, mean of its seeds",
                "0.0 [0.0, 0.0]",
            ],
        ),
        ({"f1": worse}, ["on the test it loses, -19.0 F1 [", "English was lost: -19.0 ["]),
        ({"rise": (1.0, -1.0, 3.0)}, ["would help is not shown (all 36 ids against 18: +1.0 F1 [-1.0, +3.0], dev"]),
        ({"f1": lambda *key: 0.6 * gain(*key)}, ["The English reader is weak: F1 30.0 in English"]),
    ],
)
def test_the_advice_follows_from_the_scores(report, options, said):
    made = report(**options)
    text = " ".join(scorecard.advice(made, scorecard.pair_table(made), scorecard.curve(made)))
    assert [words for words in said if words not in text] == []


def test_the_size_of_the_test_is_judged_by_its_own_intervals(report):
    made = report()
    pairs = scorecard.pair_table(made)

    def said(*half_widths):
        single = pairs["context_lang"] != ""
        width = pd.Series(half_widths, index=pairs.index[single])
        table = pairs.assign(low=pairs["difference"] - width, high=pairs["difference"] + width)
        return [line for line in scorecard.advice(made, table, scorecard.curve(made)) if "test is small" in line]

    assert said(9, 10, 10, 30) == [
        "The test is small: with 12 questions a language pair's gain is known to about ± 10 points; ± 5 would take "
        "about 48."
    ]
    assert said(4, 4, 5, 30) == []


def test_the_page_says_what_was_trained_and_what_came_out(report, tmp_path):
    made = report()
    sampling = replace(PARAMS.sampling, languages=LANGUAGES)
    paths = replace(PARAMS.paths, results=str(tmp_path), reports=str(tmp_path / "reports"))
    made.params = replace(PARAMS, sampling=sampling, paths=paths, seeds=[1, 2])
    made.tables["cost"] = pd.DataFrame({"part": ["all"], "TFLOP": [1.5]})
    (tmp_path / "data").mkdir()
    rows = ["role,questions", "reader,9000", "parallel,36", "evaluation,12"]
    (tmp_path / "data" / "summary.csv").write_text("\n".join(rows), encoding="utf-8")
    text = scorecard.page(made)
    assert text.startswith("# Scorecard: x-mine\n\n1. Take the trained model: your questions gain +25.5 F1 [")
    assert (
        "9,000 English questions taught the reader (*zero-shot*: it alone). 36 of your questions, in 2 languages"
        in text
    )
    assert "2 methods with 2 seeds each" in text
    assert "The development set chose *CE*, seed 2: [`runs/smoke/own/best`]" in text
    assert "| English | 12 | 50.0 | 20.0 | -30.0 | [" in text
    assert "| 18 | 44.0 ± 1.0 | +2.0 [+1.0, +3.0] |" in text
    assert "| all | 1.5 |" in text
    made = report(flat)
    made.params = replace(PARAMS, sampling=sampling, paths=paths, seeds=[1, 2])
    made.tables["cost"] = pd.DataFrame({"part": ["all"], "TFLOP": [1.5]})
    text = scorecard.page(made)
    assert "chose *zero-shot*: [" in text
    assert "mean over seeds; the trained method is CE, though zero-shot was chosen" in text
