"""Numbers and verdicts as a reader needs them, and the pages that Jinja's templates make of them.

`page` fills a template of the folder `templates`, which has the filters `count`, `names`, `language` and `table`
(`tables.markdown`).
"""

import functools
import math
from pathlib import Path

from ..languages import language_of
from .tables import markdown

LEVEL = 0.05  # a difference holds where p, adjusted by Holm, lies below
UNSURE = 5  # points of F1, larger than what these methods gain: to rule out more says nothing


def signed(points):
    """One decimal with its sign; none for what rounds to zero."""
    return f"{points:+.1f}" if round(points, 1) else "0.0"


def interval(low, high):
    """An interval in points, "[-0.1, +0.7]"; nothing where it is missing."""
    return "" if low != low else f"[{signed(low)}, {signed(high)}]"


def p_value(p):
    """Three decimals, and never "0.000"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def with_sd(mean, deviation):
    """A mean with its standard deviation, where there is one."""
    return f"{mean:.1f}" if deviation != deviation else f"{mean:.1f} ± {deviation:.1f}"


def count(number, noun):
    """How many: "one seed", "3 seeds"."""
    return f"one {noun}" if number == 1 else f"{number:,} {noun}s"


def names(texts):
    """Texts as a list in a sentence: "a, b and c"."""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


def language(code):
    """A language by name and code, "Spanish (es)"; by its code alone where no name is known."""
    name = language_of(code).name
    return code if name == code else f"{name} ({code})"


def ruled_out(table):
    """The size in points, rounded up, that all intervals of a table exclude; as `verdict` takes it."""
    return math.ceil(10 * max(table["low"].abs().max(), table["high"].abs().max()) - 1e-9) / 10


def verdict(table, *, metric="F1"):
    """One sentence on a family of comparisons: which differences hold, and how large the others can be.

    Args:
        table: DataFrame with a row per comparison: name ("SKD - CE"), difference, low, high (points, 95%), p_holm.
    """
    if not len(table):
        return "Nothing was compared."
    holds, others = table[table["p_holm"] < LEVEL], table[table["p_holm"] >= LEVEL]
    if not len(holds):
        text = f"No significant difference ({count(len(table), 'comparison')})"
    else:
        found = "; ".join(
            f"{row.name} {signed(row.difference)} {interval(row.low, row.high)}"
            for row in holds[["name", "difference", "low", "high"]].itertuples(index=False)
        )
        of_all = f"{len(holds)} of {len(table)} comparisons" if len(table) > 1 else "The one comparison"
        text = f"{of_all} {'is' if len(holds) == 1 else 'are'} significant: {found}"
    if len(others):
        size = ruled_out(others)
        rest = f"effects above {size:.1f} {metric} are ruled out"
        if size > UNSURE:
            rest = f"this test cannot tell effects up to {size:.1f} {metric} from none"
        text += f"; {'in the rest, ' if len(holds) else ''}{rest}"
    return f"{text}."


@functools.cache
def environment():
    """The Jinja environment of all pages: a name that a template lacks is an error, not an empty place."""
    import jinja2  # a tenth of a second, which a command that shows a table does not need

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    found.filters |= {"count": count, "names": names, "language": language, "table": markdown}
    return found


def page(template, **values):
    """The text of a page: `templates/<template>`, filled with values."""
    return environment().get_template(template).render(**values)
