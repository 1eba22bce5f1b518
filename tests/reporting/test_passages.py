"""Marked passages: what stands where, in which direction, escaped."""

import re

import pytest

from xqa_lib.reporting import passages


def plain(html):
    """What is read where all tags are dropped, labels too."""
    return re.sub(r"<[^>]*>", "", re.sub(r"<sub.*?</sub>", "", html.data))


def pieces(html):
    """(style, text) of each marked piece."""
    return re.findall(r'<mark style="([^"]*)">(.*?)</mark>', html.data)


def test_overlapping_spans_show_both():
    shown = passages.marked("in Rome, Italy", [(3, 7, "0.9"), (3, 14, "<gold>", passages.GOLD)])
    assert [text for _, text in pieces(shown)] == ["Rome", ", Italy"]
    (both, _), (gold, _) = pieces(shown)
    assert ("rgba(86,180,233" in both, "border-bottom" in both) == (True, True)
    assert ("rgba(86,180,233" in gold, "border-bottom" in gold) == (False, True)
    assert re.findall(r"<sub[^>]*> (.*?) </sub>", shown.data) == ["0.9", "&lt;gold&gt;"]
    assert plain(shown) == "in Rome, Italy"


@pytest.mark.parametrize(("lang", "direction"), [("ar", "rtl"), ("he", "rtl"), ("hi", "ltr"), ("en", "ltr")])
def test_the_writing_direction_is_the_language_s(lang, direction):
    text = "שלום" if lang == "he" else "a"
    assert f'<p lang="{lang}" dir="{direction}"' in passages.marked(text, lang=lang).data


def test_texts_are_escaped():
    shown = passages.marked("<b>a & b</b>", [(3, 4)])
    assert plain(shown) == "a &amp; b".join(["&lt;b&gt;", "&lt;/b&gt;"])


def test_tokens_are_the_bluer_the_larger_their_weight():
    shown = passages.marked("ab cd ef", weights=[(0, 2, 0.64), (3, 5, 0.25), (6, 8, 0.002)])
    assert [(style.rpartition(",")[2], text) for style, text in pieces(shown)] == [("0.640)", "ab"), ("0.400)", "cd")]
    assert re.findall(r"<sub[^>]*> (.*?) </sub>", shown.data) == ["64%", "25%"]


def test_signs_are_not_torn_from_their_marks():
    word = "हिन्दी"  # ह ि न ् द ी
    shown = passages.marked(word, [(0, 1), (2, 4)], lang="hi")
    assert [text for _, text in pieces(shown)] == [word[:2], word[2:]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spans": [(2, 2)]}, r"^expected a piece of a text of 3 characters, got \[2, 2\)$"),
        ({"weights": [(0, 4, 1.0)]}, r"^expected a piece of a text of 3 characters, got \[0, 4\)$"),
        ({"weights": [(0, 1, 1.5)]}, r"^expected weights in \[0, 1\], got 1.5$"),
    ],
)
def test_what_is_not_in_the_text_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        passages.marked("abc", **arguments)


def test_listed_escapes_headings_and_keeps_the_order():
    shown = passages.listed([("Q <1>", passages.marked("a")), ("Q 2", [passages.marked("b"), passages.marked("c")])])
    assert re.findall(r"<b>(.*?)</b>|<p lang[^>]*>(.*?)</p>", shown.data) == [
        ("Q &lt;1&gt;", ""),
        ("", "a"),
        ("Q 2", ""),
        ("", "b"),
        ("", "c"),
    ]
