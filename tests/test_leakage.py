"""Shared content is found by id and by context, and left out."""

from dataclasses import replace

import pytest

from xqa_lib import corpora
from xqa_lib.leakage import normalised_context, overlap, without_paragraphs
from xqa_lib.squad_format import Example


def example(identifier, context, title="", language="en"):
    return Example(identifier, "Who?", context, (), title, language, language)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("One  two\n three ", "one two three"),
        ("STRASSE", "straße"),
        ("cafe\u0301", "café"),
        ("a\u3000b", "a b"),
    ],
    ids=["white space", "case", "normal form", "ideographic space"],
)
def test_contexts_are_compared_after_normalisation(text, same):
    assert normalised_context(text) == normalised_context(same)


def test_other_differences_stay():
    assert normalised_context("one, two") != normalised_context("one two")


def test_without_paragraphs_drops_by_id_and_by_context():
    kept = [example("1", "first"), example("2", "second")]
    examples = [kept[0], example("x", "translated", language="de"), kept[1], example("9", "The  SAME context")]
    others = [example("x", "original"), example("7", "the same context")]
    assert without_paragraphs(examples, iter(others)) == kept
    assert without_paragraphs(examples, []) == examples
    assert without_paragraphs([], others) == []


def test_overlap_counts_examples_of_the_first():
    a = [example("1", "P", "T"), example("2", "p ", "T"), example("3", "q", "U"), example("4", "r", "")]
    b = [example("1", "P", "X"), example("8", "s", "U"), example("9", "s", "")]
    assert overlap(iter(a), iter(b)) == {"examples": 4, "id": 1, "context": 2, "title": 1}
    assert overlap(b, a) == {"examples": 3, "id": 1, "context": 1, "title": 1}
    assert overlap([], b) == {"examples": 0, "id": 0, "context": 0, "title": 0}


@pytest.mark.real_data
def test_squad_dev_without_xquad(real_data_dir):
    squad = corpora.load("squad-dev", data_dir=real_data_dir)
    english = corpora.load("xquad", context_lang="en", data_dir=real_data_dir)
    assert overlap(english, squad) == {"examples": 1190, "id": 1190, "context": 1190, "title": 1190}
    assert overlap(squad, english) == {"examples": 10570, "id": 1190, "context": 1190, "title": 10570}
    assert len(without_paragraphs(squad, english)) == 9380
    # Either way of telling is enough by itself.
    assert len(without_paragraphs(squad, [replace(other, id="x" + other.id) for other in english])) == 9380
    german = corpora.load("xquad", context_lang="de", data_dir=real_data_dir)
    assert len(without_paragraphs(squad, german)) == 9380
