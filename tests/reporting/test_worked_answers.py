"""Which answers are shown, and what stands beside them."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from tests.reporting.test_passages import plain
from tests.study.test_stages import SMOKE
from xqa_lib.data import factbook, prepared
from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.decoding import Answer
from xqa_lib.reading import evaluation
from xqa_lib.reporting import worked_answers


def scored(*rows):
    named = [("dev", str(number), *row, 0, "") for number, row in enumerate(rows)]
    return pd.DataFrame(named, columns=evaluation.COLUMNS)


@pytest.mark.parametrize(
    ("em", "f1", "found"), [(1, 1, "right"), (0, 0.6, "near"), (0, 0.59, None), (0, 0, "wrong"), (1, 0, "right")]
)
def test_verdicts(em, f1, found):
    assert worked_answers.verdict(em, f1) == found


def test_other_scripts_and_pairs_of_two_languages_come_first():
    right = [("en", "en", 1, 1), ("es", "en", 1, 1), ("en", "ar", 1, 1)]
    found = worked_answers.drawn(scored(*right, ("de", "de", 0, 0), ("de", "ar", 0, 0), ("ar", "hi", 0, 0.3)))
    pairs = [(verdict, row.question_lang, row.context_lang) for verdict, row in found]
    # the third language of a right answer is left out, and what is neither near nor wrong
    assert sorted(pairs[:2]) == [("right", "en", "ar"), ("right", "es", "en")]
    assert pairs[2:] == [("wrong", "de", "ar"), ("wrong", "de", "de")]
    assert worked_answers.drawn(scored()) == []


def answer_in(example, text):
    start = example.context.index(text)
    return Answer(text, start, start + len(text), 0.0, 1.0)


def test_the_gloss_of_factbook_names_the_fact_that_was_answered():
    name = SMOKE.data.evaluation_sets[0]
    corpus = factbook.generate(
        paragraphs=SMOKE.data.evaluation_paragraphs,
        languages=["en", "ar"],
        seed=SMOKE.data.seed,
        split="development",
        wordings="evaluation",
        questions_per_paragraph=SMOKE.data.questions_per_paragraph,
    )
    arabic, english = corpus["ar"][0], corpus["en"][0]
    example = arabic.examples[0]
    gloss = worked_answers._english(SMOKE, name, [example])
    wrong = next(place for place, fact in enumerate(arabic.facts) if fact.answer != example.answers[0])
    (shown,) = gloss(example, answer_in(example, arabic.facts[wrong].answer.text))
    assert f"In English:{english.examples[0].question}{english.context}" == plain(shown)
    marked = re.findall(r"<mark[^>]*>(.*?)</mark><sub[^>]*> (.*?) </sub>", shown.data)
    assert set(marked) == {
        (english.facts[wrong].answer.text, "answer"),
        (english.examples[0].answers[0].text, "gold"),
    }
    # a piece that is no fact, and a passage that is English already
    assert "> answer <" not in gloss(example, Answer("", 0, 1, 0.0, 1.0))[0].data
    assert gloss(english.examples[0], None) == []


def test_the_gloss_of_other_data_is_the_version_of_the_same_id(monkeypatch):
    def version(question_lang, context_lang, example_id="a"):
        answer = GoldAnswer("A", 0)
        return Example(
            example_id, f"question {question_lang}", f"A {context_lang}", (answer,), "", question_lang, context_lang
        )

    read = [
        version("de", "ar"),
        version("en", "hi"),
        version("zh", "en"),
        version("en", "en", "b"),
        version("ar", "de", "c"),
    ]
    monkeypatch.setattr(prepared, "read_evaluation", lambda params, name: read)
    real = replace(SMOKE, data=replace(SMOKE.data, source="real"))
    gloss = worked_answers._english(real, "mlqa-dev", read)
    assert plain(gloss(read[0], None)[0]) == "In English:question enA en"
    assert plain(gloss(read[1], None)[0]) == "In English:A en"
    assert gloss(read[4], None) == []


def test_words_about_scores():
    scores = scored(("en", "en", 1, 1), ("de", "en", 0, 0.5)).assign(set=SMOKE.data.evaluation_sets[0])
    real = replace(SMOKE, data=replace(SMOKE.data, source="real"))
    name = SMOKE.data.evaluation_sets[0]
    assert re.findall("<li>(.*?)</li>", worked_answers.in_words(real, scores).data) == [
        f"{name}, same language (XLT): F1 100.0.",
        f"{name}, across languages (G-XLT off-diagonal): F1 50.0.",
        f"The best pair of {name}: question in English, passage in English, 100.0.",
        f"The worst pair of {name}: question in German, passage in English, 50.0.",
    ]
    assert "not known" in worked_answers.kinds_in_words(real, scores).data


@pytest.mark.parametrize(
    ("low", "text"),
    [
        (0.0, "does not show that the question was understood"),
        (45.0, "right (95% interval 45 to 60): more than a guess"),
    ],
)
def test_words_about_kinds(low, text, monkeypatch):
    row = ["s", "xlt", "", 80.0, 50.0, low, 60.0, 40.0, low > 40]
    table = pd.DataFrame([row], columns=worked_answers.kinds.SHARE_COLUMNS)
    monkeypatch.setattr(worked_answers.kinds, "shares", lambda scores, kinds: table)
    monkeypatch.setattr(prepared, "read_kinds", lambda params: table)
    assert text in worked_answers.kinds_in_words(SMOKE, scored()).data
