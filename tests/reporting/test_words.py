"""Verdicts and numbers in words, and the environment of the templates."""

import jinja2
import pandas as pd
import pytest

from xqa_lib.reporting import words

COLUMNS = ["name", "difference", "low", "high", "p_holm"]
CLEAR = ("SKD - CE", 5.0, 2.0, 8.0, 0.01)
OPEN = ("mAP - CE", 0.2, -0.41, 0.3, 0.05)
WIDE = ("other - CE", 0.2, -0.3, 1.31, 0.9)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "Nothing was compared."),
        ([OPEN], "No significant difference (one comparison); effects above 0.5 F1 are ruled out."),
        ([OPEN, WIDE], "No significant difference (2 comparisons); effects above 1.4 F1 are ruled out."),
        (
            [("mAP - CE", 0.2, -7.2, 7.6, 0.9)],
            "No significant difference (one comparison); this test cannot tell effects up to 7.6 F1 from none.",
        ),
        ([CLEAR], "The one comparison is significant: SKD - CE +5.0 [+2.0, +8.0]."),
        (
            [CLEAR, OPEN],
            "1 of 2 comparisons is significant: SKD - CE +5.0 [+2.0, +8.0]; in the rest, effects above 0.5 F1 "
            "are ruled out.",
        ),
        (
            [CLEAR, CLEAR],
            "2 of 2 comparisons are significant: SKD - CE +5.0 [+2.0, +8.0]; SKD - CE +5.0 [+2.0, +8.0].",
        ),
    ],
)
def test_verdicts(rows, sentence):
    assert words.verdict(pd.DataFrame(rows, columns=COLUMNS)) == sentence


def test_what_is_ruled_out_is_rounded_up_and_no_further():
    assert words.ruled_out(pd.DataFrame({"low": [-0.8], "high": [0.1]})) == 0.8
    assert words.ruled_out(pd.DataFrame({"low": [-0.1], "high": [0.801]})) == 0.9


def test_numbers():
    assert [words.signed(x) for x in (1.25, -0.04, 0.0, -3.0)] == ["+1.2", "0.0", "0.0", "-3.0"]
    assert words.interval(-0.06, 0.7) == "[-0.1, +0.7]"
    assert words.interval(float("nan"), float("nan")) == ""
    assert [words.p_value(p) for p in (0.0, 0.0009, 0.001, 0.25, 1.0)] == [
        "< 0.001",
        "< 0.001",
        "0.001",
        "0.250",
        "1.000",
    ]
    assert [words.with_sd(1.0, sd) for sd in (0.5, float("nan"))] == ["1.0 ± 0.5", "1.0"]
    assert [words.count(n, "seed") for n in (0, 1, 1200)] == ["0 seeds", "one seed", "1,200 seeds"]
    assert [words.names(texts) for texts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [words.language(code) for code in ("es", "x-mine")] == ["Spanish (es)", "x-mine"]


def test_a_name_that_a_page_lacks_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="params"):
        words.page("README.md.j2")
    template = words.environment().from_string("{{ 3 | count('seed') }}, {{ 'de' | language }}\n")
    assert template.render() == "3 seeds, German (de)\n"
