"""Shared content is found by id and by context, and left out."""

from dataclasses import replace

import pytest

from xqa_lib.data import corpora
from xqa_lib.data.leakage import (
    near_duplicates,
    normalised_context,
    overlap,
    refuse_seen,
    report,
    without_near_duplicates,
    without_paragraphs,
)
from xqa_lib.data.squad_format import Example
from xqa_lib.errors import DataError


def example(identifier, context, title="", language="en"):
    return Example(identifier, "Who?", context, (), title, language, language)


def test_contexts_are_compared_after_normalisation():
    for text, same in (
        ("One  two\n three ", "one two three"),
        ("STRASSE", "straße"),
        ("cafe\u0301", "café"),
        ("a\u3000b", "a b"),
    ):
        assert normalised_context(text) == normalised_context(same)
    assert normalised_context("one, two") != normalised_context("one two")


def test_without_paragraphs_drops_by_id_and_by_context():
    kept = [example("1", "first"), example("2", "second")]
    examples = [kept[0], example("x", "translated", language="de"), kept[1], example("9", "The  SAME context")]
    others = [example("x", "original"), example("7", "the same context")]
    assert without_paragraphs(examples, iter(others)) == kept
    assert without_paragraphs(examples, []) == examples
    assert without_paragraphs([], others) == []


def test_overlap_counts_examples_of_the_first():
    a = [example("1", "P", "T"), example("2", "p ", "T"), example("3", "q", "U V"), example("4", "r", "")]
    b = [example("1", "P", "X"), example("8", "s", "U_V"), example("9", "s", "")]  # a title as in its address
    assert overlap(iter(a), iter(b)) == {"examples": 4, "id": 1, "context": 2, "title": 1, "near": 2}
    assert overlap(b, a) == {"examples": 3, "id": 1, "context": 1, "title": 1, "near": 1}
    assert overlap([], b) == {"examples": 0, "id": 0, "context": 0, "title": 0, "near": 0}


PARAGRAPH = (
    "The town lies on the river between two hills. It was founded by fishermen in the ninth century, and its bridge, "
    "built of stone in 1342, is the oldest of the country. Every spring the water rises to the steps of the church."
)


def test_an_edited_paragraph_is_nearly_the_same():
    edited = PARAGRAPH.replace("1342", "1344").replace("ninth", "tenth").upper()
    assert near_duplicates([PARAGRAPH], [edited, "Something else entirely, about ships."])[PARAGRAPH, edited] > 0.8
    assert near_duplicates([PARAGRAPH], [" ".join(PARAGRAPH.split(" "))])[PARAGRAPH, PARAGRAPH] == 1
    assert near_duplicates([PARAGRAPH], [PARAGRAPH[::-1], ""]) == {}


def test_a_text_is_found_in_a_longer_one_and_not_the_other_way_round():
    longer = f"{PARAGRAPH} {PARAGRAPH[::-1]} And so on."
    assert near_duplicates([PARAGRAPH], [longer])[PARAGRAPH, longer] == 1
    assert near_duplicates([longer], [PARAGRAPH]) == {}
    sentence = "Every spring the water rises to the steps of the church."
    assert near_duplicates([PARAGRAPH], [sentence]) == {}  # one sentence in common is not the paragraph


def test_the_share_is_about_the_share_of_pieces():
    half = PARAGRAPH[: len(PARAGRAPH) // 2]
    (share,) = near_duplicates([PARAGRAPH], [half], threshold=0.1).values()
    assert 0.35 < share < 0.6


def test_training_data_with_an_edited_evaluation_paragraph_are_refused():
    training = [example("r", PARAGRAPH.replace("stone", "brick"))]
    refuse_seen(training, {"dev": [example("d", "Something else entirely, about ships.")]})
    message = (
        r"^the reader's training data contain the paragraphs of 2 examples of dev, word for word or edited \('The "
    )
    with pytest.raises(DataError, match=message):
        refuse_seen(training, {"dev": [example("d", PARAGRAPH), example("e", PARAGRAPH), example("f", "ships")]})


def test_any_two_sets_are_compared_both_ways():
    sets = {"a": [example("1", "P", "T"), example("2", "q", "T")], "b": [example("1", "x", "T")]}
    rows = {(row["set"], row["shares_with"]): row for row in report(sets)}
    assert set(rows) == {("a", "b"), ("b", "a")}
    assert (rows["a", "b"]["examples"], rows["a", "b"]["id"], rows["a", "b"]["title"]) == (2, 1, 2)
    assert (rows["b", "a"]["examples"], rows["b", "a"]["id"], rows["b", "a"]["title"]) == (1, 1, 1)


def test_training_passages_that_hold_a_scored_one_are_left_out():
    passage = "Gymnastics events have been contested at every Summer Olympic Games since Olympic debut of the sport."
    longer = f"Before. {passage} And after, of which the scored set knows nothing at all, a few words more."
    examples = [example("1", longer), example("2", "Another passage, about rowing."), example("3", passage.upper())]
    assert [e.id for e in without_near_duplicates(examples, [passage])] == ["2"]
    # what is scored may hold the training's passage: most of it is unseen
    assert len(without_near_duplicates([example("1", passage[:30])], [longer])) == 1
    assert without_near_duplicates(examples, []) == examples


@pytest.mark.slow
@pytest.mark.real_data
def test_squad_dev_without_xquad(real_data_dir):
    squad = corpora.load("squad-dev", data_dir=real_data_dir)
    english = corpora.load("xquad", context_lang="en", data_dir=real_data_dir)
    every = dict.fromkeys(("examples", "id", "context", "title", "near"), 1190)
    assert overlap(english, squad) == every
    assert overlap(squad, english) == every | {"examples": 10570, "title": 10570}
    assert len(without_paragraphs(squad, english)) == 9380
    # Either way of telling is enough by itself.
    assert len(without_paragraphs(squad, [replace(other, id="x" + other.id) for other in english])) == 9380
    german = corpora.load("xquad", context_lang="de", data_dir=real_data_dir)
    assert len(without_paragraphs(squad, german)) == 9380
