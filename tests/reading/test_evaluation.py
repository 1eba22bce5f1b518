"""Scores, their files, their summaries worked out by hand, and the random spans that they are measured against."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.decoding import Answer
from xqa_lib.errors import DataError
from xqa_lib.reading import evaluation, predict
from xqa_lib.study.params import load_params


def example(example_id="a", *, answer="Prague", context="It is Prague.", question_lang="en", context_lang="en"):
    start = context.find(answer)
    return Example(example_id, "Where?", context, (GoldAnswer(answer, start),), "T", question_lang, context_lang)


def table(*rows, name="s"):
    """Scores of rows (id, question language, context language, em, f1)."""
    return pd.DataFrame([(name, *row, int(row[3] == 1), "text") for row in rows], columns=evaluation.COLUMNS)


# en-en has three questions, the other pairs one each: a mean over questions would be another number
SCORES = table(
    ("a", "en", "en", 1.0, 1.0),
    ("b", "en", "en", 0.0, 0.5),
    ("c", "en", "en", 0.0, 0.0),
    ("a", "en", "de", 1.0, 1.0),
    ("a", "de", "en", 0.0, 0.25),
    ("a", "de", "de", 0.0, 0.75),
)


def test_scores_of_predictions():
    city = example("c", answer="New York City", context="New York City")
    examples = [example("a"), example("b", question_lang="de"), city]
    scores = evaluation.score(examples, ["the Prague!", "Paris", "York"], metric="squad", name="test")
    assert list(scores.columns) == ["set", "id", "question_lang", "context_lang", "em", "f1", "rank", "prediction"]
    assert scores.values.tolist() == [
        ["test", "a", "en", "en", 1.0, 1.0, 1, "the Prague!"],
        ["test", "b", "de", "en", 0.0, 0.0, 0, "Paris"],
        ["test", "c", "en", "en", 0.0, 0.5, 0, "York"],  # precision 1, recall 1/3
    ]


def test_the_rank_is_the_place_of_the_first_exact_answer():
    predictions = {
        ("Prague", "Prague"): 1,
        ("It", "is Prague", "the Prague.", "Prague"): 3,
        ("It", "is"): 0,
        (*"abcdefghi", "Prague"): 10,  # the last place that is looked at
        (*"abcdefghij", "Prague"): 0,
        ("", "Prague"): 2,
        (): 0,
    }
    examples = [example(str(number)) for number in range(len(predictions))]
    scores = evaluation.score(examples, [list(texts) for texts in predictions], metric="squad", name="test")
    assert scores["rank"].tolist() == list(predictions.values())
    # all else is of the best answer alone
    assert scores["prediction"].tolist() == [next(iter(texts), "") for texts in predictions]
    assert scores["em"].tolist() == [1.0, *[0.0] * 6]
    assert scores["f1"].tolist() == [1.0, *[0.0] * 6]


def test_the_mlqa_metric_is_that_of_the_context_language():
    german = example(answer="der Turm", context="Es ist der Turm.", question_lang="en", context_lang="de")
    spanish = example(answer="der Turm", context="Es ist der Turm.", question_lang="de", context_lang="es")
    scores = evaluation.score([german, spanish], ["Turm", "Turm"], metric="mlqa", name="test")
    assert scores["em"].tolist() == [1.0, 0.0]  # "der" is an article in German only


@pytest.mark.parametrize("text", ["", "\n"])
@pytest.mark.parametrize("answer", ["Prague", "the"])
def test_no_answer_scores_zero(text, answer):
    # "the" normalises to nothing, as an empty prediction does; the official metric would call them equal
    asked = example(answer=answer, context="It is the Prague.")
    scores = evaluation.score([asked], [text], metric="squad", name="test")
    assert scores[["em", "f1"]].values.tolist() == [[0.0, 0.0]]


def test_reading_and_scoring_several_sets(monkeypatch):
    settings = load_params("embedded/smoke")
    asked = []

    def answers(model, tokenizer, examples, **options):
        asked.append((model, tokenizer, [e.id for e in examples], options))
        return [[Answer("Prague", 0, 6, 2.0, 0.9), Answer("It", 0, 2, 1.0, 0.1)], []][: len(examples)]

    monkeypatch.setattr(predict, "stream_answers", answers)
    sets = {"dev": ("squad", [example("a"), example("b")]), "test": ("mlqa", [example("a")])}
    scores = evaluation.evaluate_reader(
        "model", "tokenizer", sets, features=settings.features, evaluation=settings.evaluation
    )
    assert scores[["set", "id", "em", "rank", "prediction"]].values.tolist() == [
        ["dev", "a", 1.0, 1, "Prague"],
        ["dev", "b", 0.0, 0, ""],
        ["test", "a", 1.0, 1, "Prague"],
    ]
    assert scores.index.tolist() == [0, 1, 2]
    few = replace(settings.evaluation, n_best=3)
    evaluation.evaluate_reader("model", "tokenizer", sets, features=settings.features, evaluation=few, bf16=True)
    # never fewer than the rank looks through
    assert [(options["n_best"], options["bf16"]) for *_, options in asked[2:]] == [(10, True)] * 2
    del asked[2:]
    options = {"features": settings.features, "batch_size": 64, "n_best": 20, "max_answer_tokens": 30, "bf16": False}
    assert asked == [
        ("model", "tokenizer", ["a", "b"], options | {"progress": "dev"}),
        ("model", "tokenizer", ["a"], options | {"progress": "test"}),
    ]


TEXTS = [
    *("NA", "", "1.0", "007", "nan", "None", "true", 'the "old" town, they say', "two\nlines", "two\r\nlines"),
    *("carriage\rreturn", " space around ", "مدينة براغ", "北京，中国", "กรุงเทพฯ", "\u2028separator\ufeff"),
    "'single' \\ backslash\ttab",
]


def test_scores_read_back_as_they_were_written(tmp_path):
    rows = [
        ("factbook-test", "NA" if i == 0 else f"{i:04}", "en", "ar", float(i % 2), 2 * i / (i + 7), i % 11, text)
        for i, text in enumerate(TEXTS)
    ]
    scores = pd.DataFrame(rows, columns=evaluation.COLUMNS)
    file = tmp_path / "deep" / "scores.csv"
    evaluation.write_scores(file, scores)
    back = evaluation.read_scores(file)
    assert back.values.tolist() == scores.values.tolist()  # every text, id and float, to the last bit
    assert back["em"].dtype == back["f1"].dtype == float
    assert back["rank"].dtype == int
    written = file.read_bytes()
    assert written.startswith(b"set,id,question_lang,context_lang,em,f1,rank,prediction\nfactbook-test,NA,en,ar,0.0")
    evaluation.write_scores(file, back)
    assert file.read_bytes() == written


HEAD = "set,id,question_lang,context_lang,em,f1,rank,prediction\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("set,id,em,f1\ns,a,1.0,1.0\n", "expected the columns set, id, question_lang, context_lang, em, f1, rank"),
        ("", "not a table of scores: No columns to parse from file; run the evaluation stage again"),
        (HEAD + "s,a,en,en,right,1.0,1,x\n", "em, f1 and rank must be numbers: could not convert string to float: "),
        (HEAD + "s,a,en,en,1.0,,1,x\n", "em, f1 and rank must be numbers: could not convert string to float: ''"),
        (HEAD + "s,a,en,en,1.0,1.0,first,x\n", "em, f1 and rank must be numbers: invalid literal for int() with base"),
    ],
)
def test_files_that_are_no_scores(content, message, tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=f"^{re.escape(f'{file}: {message}')}"):
        evaluation.read_scores(file)


def test_means_of_pairs_are_points():
    means = evaluation.pair_means(SCORES)
    assert means.round(6).values.tolist() == [
        ["s", "en", "en", 33.333333, 50.0, 3],
        ["s", "en", "de", 100.0, 100.0, 1],
        ["s", "de", "en", 0.0, 25.0, 1],
        ["s", "de", "de", 0.0, 75.0, 1],
    ]


def test_a_set_s_score_is_the_mean_over_its_pairs():
    zero_shot = table(("x", "ko", "ko", 1.0, 1.0), ("y", "sw", "sw", 0.0, 0.2), name="zero-shot")
    summary = evaluation.summary(pd.concat([SCORES, zero_shot]))
    assert list(summary.columns) == ["set", "task", "em", "f1", "pairs", "questions"]
    assert summary.round(6).values.tolist() == [
        ["s", "xlt", 16.666667, 62.5, 2, 4],  # (33.3 + 0) / 2, (50 + 75) / 2; over questions: 25, 56.25
        ["s", "gxlt", 33.333333, 62.5, 4, 6],  # (33.3 + 100 + 0 + 0) / 4, (50 + 100 + 25 + 75) / 4
        ["s", "gxlt_off_diagonal", 50.0, 62.5, 2, 2],  # (100 + 0) / 2, (100 + 25) / 2
        ["zero-shot", "xlt", 50.0, 60.0, 2, 2],
        ["zero-shot", "gxlt", 50.0, 60.0, 2, 2],
    ]


def test_tasks_pick_their_rows():
    pairs = [("en", "en"), ("en", "de"), ("de", "en"), ("de", "de")]
    rows = pd.DataFrame(pairs, columns=["question_lang", "context_lang"])
    assert evaluation.of_task(rows, "xlt").index.tolist() == [0, 3]
    assert evaluation.of_task(rows, "gxlt").index.tolist() == [0, 1, 2, 3]
    assert evaluation.of_task(rows, "gxlt_off_diagonal").index.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"^task must be one of xlt, gxlt, gxlt_off_diagonal, got 'XLT'$"):
        evaluation.of_task(rows, "XLT")


def test_the_language_matrix():
    other = table(("a", "en", "en", 0.0, 0.0), name="other")
    thai = table(("a", "th", "en", 0.5, 0.1))
    matrix = evaluation.matrix(pd.concat([thai, SCORES, other]), "s")
    assert matrix.index.tolist() == ["en", "de", "th"]  # in the order of languages.LANGUAGES
    assert matrix.columns.tolist() == ["en", "de"]
    assert (matrix.index.name, matrix.columns.name) == ("question_lang", "context_lang")
    assert matrix.loc["en", "de"] == 100.0
    assert matrix.loc["de", "en"] == 25.0  # rows are question languages
    assert matrix.loc["en", "en"] == pytest.approx(50.0)
    assert matrix.loc["th", "en"] == pytest.approx(10.0)
    assert matrix.isna().sum().sum() == 1
    assert evaluation.matrix(SCORES, "s", value="em").loc["en", "en"] == pytest.approx(100 / 3)


def test_languages_that_the_study_does_not_know_keep_their_place_in_the_matrix():
    own = table(("a", "x-mine", "fr", 0.0, 0.25), ("a", "en", "fr", 0.0, 0.5))
    matrix = evaluation.matrix(pd.concat([own, SCORES]), "s")
    assert matrix.index.tolist() == ["en", "de", "x-mine"]
    assert matrix.columns.tolist() == ["en", "de", "fr"]
    assert matrix["fr"].dropna().to_dict() == {"en": 50.0, "x-mine": 25.0}


CONTEXTS = {
    "en": "Prague  is the\ncapital of\tBohemia, and it lies on a river .",
    "de": "Berlin",
    "ar": "وُلِدَ أحمدُ في مدينةِ  القاهرة.",
    "hi": "प्राग बोहेमिया की राजधानी है।",
    "th": "กรุงเทพฯเป็นเมืองหลวง\nของประเทศไทย",
    "zh": "北京是中国的首都。\n它很大。",
    "ro": "Praga este un oraș.",  # no language of the study
}


def spans(seed, count=60):
    examples = [
        example(str(number), answer=context[:3], context=context, context_lang=language)
        for language, context in CONTEXTS.items()
        for number in range(count)
    ]
    return examples, evaluation.random_spans(examples, seed=seed)


def test_random_spans_are_slices_of_the_context():
    examples, found = spans(seed=1)
    assert len(found) == len(examples)
    for one, text in zip(examples, found, strict=True):
        assert text
        assert text in one.context
    lengths = {language: set() for language in CONTEXTS}
    for one, text in zip(examples, found, strict=True):
        lengths[one.context_lang].add(len(text) if one.context_lang in ("th", "zh") else len(text.split()))
    assert lengths["en"] == lengths["ar"] == lengths["hi"] == lengths["ro"] == {1, 2, 3}
    assert lengths["de"] == {1}
    assert lengths["th"] == lengths["zh"] == set(range(1, 9))
    # words are whole, and every place of the context is drawn
    english = {text for one, text in zip(examples, found, strict=True) if one.context_lang == "en"}
    assert {"Prague  is the", "river ."} & english
    assert {text.split()[0] for text in english} >= {"Prague", "capital", "Bohemia,"}
    assert all(set(text.split()) <= set(CONTEXTS["en"].split()) for text in english)


def test_random_spans_depend_on_seed_and_example_alone():
    examples, found = spans(seed=1)
    assert found == evaluation.random_spans(examples, seed=1)
    assert found != evaluation.random_spans(examples, seed=2)
    assert evaluation.random_spans(examples[::-1], seed=1) == found[::-1]  # not on their order
    # values of one machine, which every other must give
    chosen = [example("q1", context=CONTEXTS[language], context_lang=language) for language in ("en", "zh", "ar")]
    assert evaluation.random_spans(chosen, seed=13) == ["on a river", "国的首都。\n它很", "في مدينةِ  القاهرة."]
    asked = [example("a", context=" ".join(map(str, range(200))), question_lang=language) for language in ("en", "de")]
    assert len(set(evaluation.random_spans(asked, seed=1))) == 2
    blank = [example(context=" \n"), example(context="", context_lang="zh")]
    assert evaluation.random_spans(blank, seed=1) == ["", ""]


def test_random_spans_of_another_language_are_cut_by_its_script():
    """Japanese has no spaces: a span is 1 to 8 characters, not the whole passage."""
    examples = [Example(str(n), "?", "東京は日本の首都でとても大きな町です。", (), "", "ja", "ja") for n in range(50)]
    lengths = {len(span) for span in evaluation.random_spans(examples, seed=1)}
    assert lengths == set(range(1, 9))
