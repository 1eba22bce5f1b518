"""The 17 languages of the study, the roles that the paper's data sets give them, and any other language by its code."""

import functools
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

from .errors import DataError


@dataclass(frozen=True, slots=True)
class Language:
    """One language: ISO 639-1 code, names, script (ISO 15924 code), writing direction, words separated by spaces."""

    code: str
    name: str
    native_name: str
    script: str
    right_to_left: bool = False
    spaces: bool = True


LANGUAGES = {
    language.code: language
    for language in (
        Language("en", "English", "English", "Latn"),
        Language("es", "Spanish", "español", "Latn"),
        Language("de", "German", "Deutsch", "Latn"),
        Language("ar", "Arabic", "العربية", "Arab", right_to_left=True),
        Language("hi", "Hindi", "हिन्दी", "Deva"),
        Language("vi", "Vietnamese", "Tiếng Việt", "Latn"),
        Language("zh", "Chinese", "中文", "Hans", spaces=False),
        Language("el", "Greek", "Ελληνικά", "Grek"),
        Language("ru", "Russian", "русский", "Cyrl"),
        Language("tr", "Turkish", "Türkçe", "Latn"),
        Language("th", "Thai", "ไทย", "Thai", spaces=False),
        Language("bn", "Bengali", "বাংলা", "Beng"),
        Language("fi", "Finnish", "suomi", "Latn"),
        Language("id", "Indonesian", "Bahasa Indonesia", "Latn"),
        Language("ko", "Korean", "한국어", "Hang"),
        Language("sw", "Swahili", "Kiswahili", "Latn"),
        Language("te", "Telugu", "తెలుగు", "Telu"),
    )
}
PARALLEL = ("en", "es", "de", "ar", "hi", "vi", "zh")  # MLQA's seven: training and the 7 x 7 matrix
ZERO_SHOT_XQUAD = ("el", "ru", "tr", "th")  # in XQuAD, never trained on
ZERO_SHOT_TYDIQA = ("bn", "fi", "id", "ko", "sw", "te")  # in TyDiQA-GoldP alone, which also has ru; never trained on


# A language code as in BCP 47, in its one usual spelling: sw, pt-BR, sr-Cyrl, zh-Hant-TW, x-mine. It names files, too.
CODE = (
    r"(?:[a-z]{2,3}(?:-[a-z]{3})?(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?"
    r"(?:-(?:[0-9a-z]{5,8}|[0-9][0-9a-z]{3}))*(?:-x(?:-[0-9a-z]{1,8})+)?|x(?:-[0-9a-z]{1,8})+)"
)
# first word of the Unicode names of a script's letters -> its ISO 15924 code
_SCRIPTS = dict(
    re.findall(
        r"(\w+):(\w+)",
        "LATIN:Latn CYRILLIC:Cyrl GREEK:Grek ARMENIAN:Armn GEORGIAN:Geor ARABIC:Arab HEBREW:Hebr SYRIAC:Syrc "
        "THAANA:Thaa NKO:Nkoo ADLAM:Adlm DEVANAGARI:Deva BENGALI:Beng GURMUKHI:Guru GUJARATI:Gujr ORIYA:Orya "
        "TAMIL:Taml TELUGU:Telu KANNADA:Knda MALAYALAM:Mlym SINHALA:Sinh HANGUL:Hang CJK:Hani IDEOGRAPHIC:Hani "
        "HIRAGANA:Jpan KATAKANA:Jpan THAI:Thai LAO:Laoo KHMER:Khmr MYANMAR:Mymr TIBETAN:Tibt ETHIOPIC:Ethi "
        "MONGOLIAN:Mong TIFINAGH:Tfng CHEROKEE:Cher",
    )
)
_WITHOUT_SPACES = {"Hani", "Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
_RIGHT_TO_LEFT = {"Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm"}
_UNDETERMINED = "Zyyy"


def language_of(code, text=""):
    """The `Language` with this code: one of `LANGUAGES`, or one made from the code.

    A made one is named by its code. Its script is the one in the code ("sr-Cyrl"), else that of the language without
    its region ("zh-TW" has the data of "zh"), else the script of most letters of `text`, else "Zyyy" (undetermined).
    Direction and spaces follow from the script.

    Args:
        code: as in BCP 47, in the usual spelling.
        text: in the language, as long as there is.
    Raises:
        DataError: no language code, or another spelling of one ("EN").
    """
    if code in LANGUAGES:
        return LANGUAGES[code]
    if not isinstance(code, str) or not re.fullmatch(CODE, code):
        raise DataError(
            f"unknown language {code!r}: expected a code such as sw, pt-BR or sr-Cyrl (BCP 47), written like these"
        )
    subtag = re.search("-([A-Z][a-z]{3})", code)
    known = LANGUAGES.get(primary(code))
    script = subtag[1] if subtag else known.script if known else _script_of_most(text)
    if known and script == known.script:
        return replace(known, code=code, name=code, native_name=code)
    return Language(code, code, code, script, script in _RIGHT_TO_LEFT, script not in _WITHOUT_SPACES)


def primary(code):
    """The language of a code without script, region or variant: "pt" of "pt-BR"."""
    return code.partition("-")[0]


def in_order(codes):
    """The distinct codes: those of `LANGUAGES` in its order, then others by the alphabet; raises as `language_of`."""
    known = {code: place for place, code in enumerate(LANGUAGES)}
    return sorted({language_of(code).code for code in codes}, key=lambda code: (known.get(code, len(known)), code))


def is_word_by_itself(character):
    """Whether a character is a letter of a script that is written without spaces between words."""
    return unicodedata.category(character) in ("Lo", "Lm", "Nl") and _script_of(character) in _WITHOUT_SPACES


@functools.lru_cache(maxsize=2**16)
def _script_of(letter):
    words = re.split("[ -]", unicodedata.name(letter, ""))
    return _SCRIPTS.get(words[1] if words[0] in ("HALFWIDTH", "FULLWIDTH") else words[0])


def _script_of_most(text):
    scripts = Counter(_script_of(character) for character in text if character.isalpha())
    del scripts[None]
    if 4 * scripts["Jpan"] > scripts["Hani"]:  # Japanese has both
        scripts["Jpan"] += scripts["Hani"]
    return max(scripts, key=scripts.get, default=_UNDETERMINED)
