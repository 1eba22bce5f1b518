"""What perfect logits score: the truth where a window and its tokens hold it, less where they do not."""

from dataclasses import replace

from tests.training.test_distillation import EXAMPLES, FEATURES, TOKENIZER
from xqa_lib.data.squad_format import GoldAnswer
from xqa_lib.reading.ceiling import perfect_answers


def answers(examples, features=FEATURES, most=30):
    return perfect_answers(TOKENIZER, examples, features=features, max_answer_tokens=most)


def test_answers_of_whole_tokens_come_back_whole():
    assert answers(EXAMPLES) == [example.answers[0].text for example in EXAMPLES]


def test_a_small_window_still_finds_the_answer_that_fits_into_one():
    tight = replace(FEATURES, max_length=16, max_question_length=8, stride=3)
    assert answers(EXAMPLES[:6], tight) == [example.answers[0].text for example in EXAMPLES[:6]]


def test_an_answer_inside_a_token_brings_the_whole_token():
    inside = replace(EXAMPLES[0], answers=(GoldAnswer("om", 18),))
    (text,) = answers([inside])
    assert "om" in text
    pieces = [(s, e) for s, e in TOKENIZER(inside.context, return_offsets_mapping=True)["offset_mapping"] if e > s]
    first = next(s for s, e in pieces if e > 18)
    last = next(e for s, e in reversed(pieces) if s < 20)
    assert text == inside.context[first:last]


def test_answers_that_decoding_or_windows_cut_off():
    long = replace(EXAMPLES[2], answers=(GoldAnswer(EXAMPLES[2].context, 0),))
    assert answers([long]) == [EXAMPLES[2].context]
    assert answers([long], most=2) != [EXAMPLES[2].context]
    # no window holds all of it: there is no truth to point at
    tight = replace(FEATURES, max_length=16, max_question_length=8, stride=3)
    assert answers([long], tight) == [""]


def test_many_examples_are_read_in_blocks(monkeypatch):
    from xqa_lib.reading import ceiling

    whole = answers(EXAMPLES)
    monkeypatch.setattr(ceiling, "_BLOCK", 5)
    assert answers(EXAMPLES) == whole
