"""The 17 languages of the study and the roles that the paper's data sets give them."""

from dataclasses import dataclass

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


def require(code):
    """The `Language` with this code; raises DataError naming the known codes."""
    if code not in LANGUAGES:
        raise DataError(f"unknown language {code!r}: expected one of {', '.join(LANGUAGES)}")
    return LANGUAGES[code]
