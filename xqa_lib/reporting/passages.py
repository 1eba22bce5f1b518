"""Passages as a page shows them: answers marked in the text, in its own writing direction, tokens shaded by a weight.

What is marked is told three times, by colour, by its kind of line and by a label, because hosts of notebooks drop the
colours: a label stays. The colours are blue and orange (Okabe and Ito 2008, to be told apart by all), half transparent
and under text of the theme's own colour, so that light and dark pages can be read.
"""

import itertools
import unicodedata
from html import escape
from typing import NamedTuple

from IPython.display import HTML

from ..languages import language_of

GOLD, ANSWER = "gold", "answer"
_LINE = "border-bottom:3px solid rgb(230,159,0)"
_FILL = "background:rgba(86,180,233,{:.2f})"
_WEIGHT = "background:rgba(86,180,233,{:.3f})"
_SHOWN_WEIGHT = 0.05  # from which share a token's weight is written beside it


class Span(NamedTuple):
    """A piece of a passage: characters [start, end), what is written behind it, and which of the two colours it has."""

    start: int
    end: int
    label: str = ""
    kind: str = ANSWER  # or GOLD, a line below the text: it can be seen where both are


def marked(text, spans=(), lang="en", weights=()):
    """A passage with pieces of it marked.

    Args:
        text: the passage (or question).
        spans: `Span`s or tuples that begin like one; they may overlap.
        lang: language code of the text, whose direction it is set in.
        weights: (start, end, weight) of tokens, weights in [0, 1], such as a start distribution: a token is the bluer,
            the larger its weight (its root, so that small ones are seen), and those of at least 5% are written behind
            it. The scale is the same in every passage, so that two can be compared.

    Returns:
        `IPython.display.HTML`, the same for the same arguments.

    Raises:
        ValueError: a span or token that is empty or reaches beyond the text, a weight outside [0, 1].
    """
    spans = [Span(*span) for span in spans]
    weights = [tuple(weight) for weight in weights]
    for start, end, *_ in [*spans, *weights]:
        if not 0 <= start < end <= len(text):
            raise ValueError(f"expected a piece of a text of {len(text)} characters, got [{start}, {end})")
    if not all(0 <= weight <= 1 for *_, weight in weights):
        raise ValueError(f"expected weights in [0, 1], got {min(w[2] for w in weights)}")
    spans = [span._replace(start=_edge(text, span.start), end=_edge(text, span.end)) for span in spans]
    weights = [(_edge(text, start), _edge(text, end), weight) for start, end, weight in weights]
    edges = sorted({0, len(text), *(edge for start, end, *_ in [*spans, *weights] for edge in (start, end))})
    pieces = []
    for start, end in itertools.pairwise(edges):
        inside = [span for span in spans if span.start <= start and end <= span.end]
        shade = max((weight for first, last, weight in weights if first <= start and end <= last), default=0)
        styles = [_LINE] if any(span.kind == GOLD for span in inside) else []
        if any(span.kind != GOLD for span in inside):
            styles.append(_FILL.format(0.45))
        elif shade >= 0.005:
            styles.append(_WEIGHT.format(0.8 * shade**0.5))
        part = escape(text[start:end])
        # mark: what it shows stays visible where styles are dropped
        style = ";".join(["color:inherit", "background:none", *styles])
        pieces.append(f'<mark style="{style}">{part}</mark>' if styles else part)
        labels = [span.label for span in spans if span.end == end and span.label]
        labels += [f"{weight:.0%}" for _, last, weight in weights if last == end and weight >= _SHOWN_WEIGHT]
        pieces += [f'<sub dir="ltr"> {escape(" · ".join(labels))} </sub>'] if labels else []
    return HTML(_block(text, lang, "".join(pieces)))


def listed(blocks):
    """Marked passages under each other, each below a line of text about it.

    Args:
        blocks: pairs (heading, what is below it): a text, and an `HTML` such as `marked` gives, or a list of them.
    """
    rows = []
    for heading, below in blocks:
        parts = below if isinstance(below, list | tuple) else [below]
        rows.append(f"<p><b>{escape(heading)}</b></p>" + "".join(part.data for part in parts))
    return HTML("<hr>".join(rows))


def _block(text, lang, inner):
    direction = "rtl" if language_of(lang, text).right_to_left else "ltr"
    style = (
        f"text-align:{'right' if direction == 'rtl' else 'left'};line-height:1.9;max-width:60em;white-space:pre-line"
    )
    return f'<p lang="{escape(lang)}" dir="{direction}" style="{style}">{inner}</p>'


def _edge(text, index):
    """The first place from `index` on where a text can be parted without tearing a written sign from its marks."""
    while 0 < index < len(text) and (
        unicodedata.category(text[index]).startswith("M")
        or "\u200d" in text[index - 1 : index + 1]
        or unicodedata.combining(text[index - 1]) == 9  # a virama joins the letters beside it
    ):
        index += 1
    return index
