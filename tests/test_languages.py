"""The table of languages against the names and scripts that Unicode knows, and the sets against the data's."""

import re
import unicodedata

import pytest

from xqa_lib.errors import DataError
from xqa_lib.languages import (
    LANGUAGES,
    PARALLEL,
    ZERO_SHOT_TYDIQA,
    ZERO_SHOT_XQUAD,
    Language,
    in_order,
    is_word_by_itself,
    language_of,
)

SCRIPTS = {"Latn": "LATIN", "Arab": "ARABIC", "Deva": "DEVANAGARI", "Hans": "CJK", "Grek": "GREEK"}
SCRIPTS |= {"Cyrl": "CYRILLIC", "Thai": "THAI", "Beng": "BENGALI", "Hang": "HANGUL", "Telu": "TELUGU"}


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


def test_known_languages_keep_their_data():
    assert language_of("th") == Language("th", "Thai", "ไทย", "Thai", spaces=False)
    # whatever the text
    assert language_of("en", "กรุงเทพ") is LANGUAGES["en"]


@pytest.mark.parametrize(
    ("code", "text", "script", "right_to_left", "spaces"),
    [
        ("ja", "東京は日本の首都です。", "Jpan", False, False),
        ("he", "ירושלים בישראל (Jerusalem)", "Hebr", True, True),
        ("wuu", "上海「の」東京北京", "Hani", False, False),
        ("my", "ရန်ကုန် ", "Mymr", False, False),
        ("qaa", "Kito la mbali, 2024", "Latn", False, True),
        ("fa", "", "Zyyy", False, True),  # no text to tell
        ("xx", "12 €", "Zyyy", False, True),  # nor here a letter
        ("sr-Cyrl", "Beograd", "Cyrl", False, True),  # the code goes before the text
        ("az-Arab", "", "Arab", True, True),
        ("zh-TW", "", "Hans", False, False),  # the data of zh
        ("zh-Hant-HK", "", "Hant", False, False),
        ("ar-EG", "", "Arab", True, True),
        ("ar-Latn", "", "Latn", False, True),
        ("x-mine", "ไทย", "Thai", False, False),
    ],
)
def test_other_languages_are_made_from_code_and_text(code, text, script, right_to_left, spaces):
    assert language_of(code, text) == Language(code, code, code, script, right_to_left, spaces)


def test_codes():
    for code in ("sw", "yue", "pt-BR", "es-419", "zh-yue-Hant", "de-1996", "sl-rozaj-biske", "qaa-x-a"):
        assert language_of(code).code == code
    for code in ("", None, 7, "EN", "En", "pt-br", "pt_BR", "english", "e", "en-", "../en", "en\n"):
        with pytest.raises(
            DataError, match=re.escape(f"unknown language {code!r}: expected a code such as sw, pt-BR ")
        ):
            language_of(code)


def test_order():
    assert in_order(["xx", "th", "en", "fr", "th", "en"]) == ["en", "th", "fr", "xx"]
    assert in_order(reversed(LANGUAGES)) == list(LANGUAGES)
    with pytest.raises(DataError, match=r"^unknown language 'EN': "):
        in_order(["en", "EN"])


def test_letters_that_are_words():
    assert [c for c in "a1é서Жא中か゠ｶー々〇กกำ๑ั。" if is_word_by_itself(c)] == list("中かｶー々〇กกำ")
