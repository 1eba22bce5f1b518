"""The table of languages against the names and scripts that Unicode knows, and the sets against the data's."""

import re
import unicodedata

import pytest

from xqa_lib.errors import DataError
from xqa_lib.languages import LANGUAGES, PARALLEL, ZERO_SHOT_TYDIQA, ZERO_SHOT_XQUAD, Language, require

SCRIPTS = {
    "Latn": "LATIN",
    "Arab": "ARABIC",
    "Deva": "DEVANAGARI",
    "Hans": "CJK",
    "Grek": "GREEK",
    "Cyrl": "CYRILLIC",
    "Thai": "THAI",
    "Beng": "BENGALI",
    "Hang": "HANGUL",
    "Telu": "TELUGU",
}


def test_the_sets_of_the_paper():
    assert PARALLEL == ("en", "es", "de", "ar", "hi", "vi", "zh")
    assert ZERO_SHOT_XQUAD == ("el", "ru", "tr", "th")
    assert {*PARALLEL, *ZERO_SHOT_XQUAD, *ZERO_SHOT_TYDIQA} == set(LANGUAGES)
    assert not set(PARALLEL) & {*ZERO_SHOT_XQUAD, *ZERO_SHOT_TYDIQA}


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=list(LANGUAGES))
def test_native_names_are_written_in_the_script(language):
    letters = [c for c in language.native_name if unicodedata.category(c).startswith("L")]
    assert letters
    assert {unicodedata.name(c).split()[0] for c in letters} == {SCRIPTS[language.script]}
    right_to_left = unicodedata.bidirectional(letters[0]) in ("R", "AL")
    assert language.right_to_left == right_to_left


def test_require():
    assert require("th") == Language("th", "Thai", "ไทย", "Thai", spaces=False)
    for code in ("fr", "EN", "", None):
        message = (
            f"unknown language {code!r}: expected one of en, es, de, ar, hi, vi, zh, el, ru, tr, th, bn, fi, id, ko, "
            "sw, te"
        )
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            require(code)
