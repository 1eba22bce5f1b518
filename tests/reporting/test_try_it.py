"""One question, several readers: what is marked, and what the fields do."""

import re
from dataclasses import replace

import pytest

from tests.reading.test_side_by_side import EVALUATION, FEATURES, folders  # noqa: F401
from tests.study.test_stages import SMOKE
from xqa_lib.data import prepared
from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.decoding import Answer
from xqa_lib.reading.side_by_side import Readers
from xqa_lib.reporting import try_it
from xqa_lib.study.params import load_params

CONTEXT = "the town was founded by Rimul near the sea"
EXAMPLE = Example("a", "who founded it", CONTEXT, (GoldAnswer("Rimul", 24),), "", "es", "en")
FOUND = [("by Rimul", 21, 0.5), ("Rimul", 24, 0.3), ("the sea", 35, 0.1), ("town", 4, 0.06), ("was", 9, 0.04)]


class Told:
    """Readers that say what they are told."""

    tokenizer = None

    def answers(self, examples):
        found = [Answer(text, start, start + len(text), 0.0, p) for text, start, p in FOUND]
        return {"zero-shot": [found for _ in examples], "CE": [[found[1]] for _ in examples]}


@pytest.fixture(autouse=True)
def one_example(monkeypatch):
    monkeypatch.setattr(prepared, "read_evaluation", lambda params, name: [EXAMPLE])


def test_the_best_answers_that_do_not_overlap_are_marked():
    shown = try_it.compared(SMOKE, Told(), EXAMPLE).data
    assert re.findall("<b>(.*?)</b>", shown) == ["question", "zero-shot: by Rimul (F1 67)", "CE: Rimul (F1 100)"]
    assert re.findall(r"<sub[^>]*> (.*?) </sub>", shown) == ["3. 6%", "gold · 1. 50%", "2. 10%", "gold · 1. 30%"]


def test_nothing_typed_is_no_question():
    assert "Type a question" in try_it.compared(SMOKE, Told(), try_it.typed("who?", " ")).data


def test_what_a_typed_text_has_that_the_readers_do_not_know(folders):  # noqa: F811
    readers = Readers(folders, features=FEATURES, evaluation=EVALUATION)
    shown = try_it.compared(SMOKE, readers, try_it.typed("who is Qxv", "Qxv Q 🌍 of Xyzzy")).data
    assert "Unknown to the readers, which take each of them for one and the same sign: Q, x, v, 🌍" in shown
    assert "cut finer" in shown
    part, whole = "the pieces of this study's texts alone are kept", "the whole vocabulary of their encoder"
    assert part in shown.replace("&#x27;", "'")
    every = replace(SMOKE, encoder=replace(SMOKE.encoder, vocabulary="all"))
    shown = try_it.compared(every, readers, try_it.typed("who is Qxv", "Qxv")).data
    assert (whole in shown, "are kept" in shown) == (True, False)
    assert (
        "No passage of the study is in this script" in try_it.compared(SMOKE, readers, try_it.typed("Ж", "Ж ЖЖ")).data
    )
    assert "script" not in try_it.compared(SMOKE, readers, EXAMPLE).data


def test_how_often_and_how_sure():
    said = re.findall("<li>(.*?)</li>", try_it.in_words(SMOKE, Told(), "es", "en").data)
    assert said == [
        "zero-shot answers 0 of 1 questions in this pair of languages exactly; where it is wrong its probability is "
        "50% on average.",
        "CE answers 1 of 1 questions in this pair of languages exactly; where it is right its probability is 30% on "
        "average.",
    ]


def test_the_fields_fill_in_the_example_and_read_what_is_typed(monkeypatch):
    asked = []
    monkeypatch.setattr(try_it, "compared", lambda params, readers, example: asked.append(example))
    languages, chosen, question, context, ask, _ = try_it.controls(SMOKE, Told(), "es", "en").children
    assert (question.value, context.value) == (EXAMPLE.question, CONTEXT)
    ask.click()
    question.value = "where?"
    ask.click()
    assert asked == [EXAMPLE, try_it.typed("where?", CONTEXT)]
    languages.children[1].value = "ar"  # a pair without examples: what is typed stays
    assert (chosen.options, question.value) == ((), "where?")
    ask.click()
    assert asked[2:] == asked[1:2]


def test_a_study_without_the_pair_shows_its_first_across_languages():
    own = load_params("own")
    own = replace(own, sampling=replace(own.sampling, languages=["en", "x-mine"]))
    assert try_it.pair_of(own, "es", "en") == ("x-mine", "en")
    assert try_it.pair_of(own, "en", "x-mine") == ("en", "x-mine")
    assert try_it.pair_of(load_params("embedded"), "es", "en") == ("es", "en")
