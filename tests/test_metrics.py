"""The two metrics: values worked out by hand for each rule and quirk, and identity on real answers."""

import re

import pytest

from xqa_lib.data.squad_format import read_squad
from xqa_lib.errors import DataError
from xqa_lib.metrics import MLQA_LANGUAGES, best_metric, mlqa_em_f1, squad_em_f1


@pytest.mark.parametrize(
    ("prediction", "answers", "em", "f1"),
    [
        ("Denver Broncos", ["Denver Broncos"], 1, 1),
        ("the Denver, Broncos!", ["denver  broncos"], 1, 1),  # article, punctuation, white space, case
        ("Denver", ["Denver Broncos"], 0, 2 / 3),  # precision 1, recall 1/2
        ("Denver Broncos team", ["Denver Broncos"], 0, 0.8),  # precision 2/3, recall 1
        ("no no yes", ["no yes yes"], 0, 2 / 3),  # bags: one "no" and one "yes" in common of 3 and 3
        ("well-known", ["wellknown"], 1, 1),  # punctuation is deleted, not replaced by a space
        ("well known", ["well-known"], 0, 0),
        ("$5", ["5"], 1, 1),
        ("5 €", ["5"], 0, 2 / 3),  # "€" is no ASCII punctuation
        ("«Rome»", ["Rome"], 0, 0),  # nor are guillemets
        ("theatre", ["atre"], 0, 0),  # articles only as whole words
        ("die Stadt", ["Stadt"], 0, 2 / 3),  # only English articles
        ("Brno", ["Prague", "Brno", "Brno city"], 1, 1),  # best answer
        ("x y", ["x z w", "x y z"], 0, 0.8),  # best F1 without a match
        ("黑豹队", ["黑豹"], 0, 0),  # Chinese is one word
        ("", ["x"], 0, 0),
        ("   ", ["x"], 0, 0),
        ("", ["The"], 1, 0),  # both normalise to nothing: exact match without F1
        ("An", ["the", "x"], 1, 0),
    ],
)
def test_squad_values(prediction, answers, em, f1):
    assert squad_em_f1(prediction, answers) == (em, pytest.approx(f1, abs=1e-15))


@pytest.mark.parametrize(
    ("language", "prediction", "answer", "em", "f1"),
    [
        ("en", "The Beatles", "beatles", 1, 1),
        ("en", "“Rome”—city", "romecity", 1, 1),  # Unicode punctuation, deleted without a space
        ("en", "5 $ + 3", "5 3", 1, 1),  # ASCII symbols count as punctuation
        ("en", "5 €", "5", 0, 2 / 3),  # other symbols do not
        ("en", "die Stadt", "Stadt", 0, 2 / 3),  # articles of the context's language only
        ("es", "Los Ángeles", "ángeles", 1, 1),
        ("es", "¿Una casa?", "unas casa", 1, 1),
        ("es", "lo bueno", "bueno", 0, 2 / 3),  # "lo" is not in the list
        ("es", "del rey", "rey", 0, 2 / 3),
        ("es", "una", "una", 1, 0),  # a real answer of MLQA dev
        ("de", "Der Große Preis", "große Preis", 1, 1),
        ("de", "einem den dem des", "Eine", 1, 0),
        ("de", "kein Preis", "Preis", 0, 2 / 3),
        ("de", "„Eins“", "eins", 1, 1),  # "ein" only as a whole word
        ("hi", "यह एक घर है।", "यह एक घर है", 1, 1),  # the danda is punctuation; no articles
        ("hi", "एक घर", "घर", 0, 2 / 3),
        ("hi", "हिन्दी", "हिनदी", 0, 0),  # vowel signs and virama are marks, not punctuation
        ("vi", "những ngôi nhà của tôi", "ngôi nhà tôi", 1, 1),
        ("vi", "Cái chiếc nhà là", "nhà", 1, 1),
        ("vi", "la\u0300 nhà", "nhà", 0, 2 / 3),  # decomposed: not the article
        ("ar", "القاهرة", "قاهرة", 1, 1),
        ("ar", "، القاهرة؟", "القاهرة", 1, 1),  # Arabic punctuation
        ("ar", "في القاهرة", "القاهرة", 0, 2 / 3),
        ("ar", "خالد", "خ د", 1, 1),  # the letters go inside a word, too, and split it
        ("ar", "بالقاهرة", "القاهرة", 0, 2 / 3),  # "b" and "qahira" against "qahira"
        ("ar", "ال", "القاهرة", 0, 0),
        ("zh", "黑豹队", "黑豹", 0, 0.8),  # 2 of 3 and 2 of 2 characters
        ("zh", "308 分", "308分", 1, 1),  # white space beside Chinese characters does not matter
        # words iphone, 6s, 手, 机 against iphone6s, 手, 机: precision 2/4, recall 2/3
        ("zh", "iPhone 6s手机", "iphone6s 手机", 0, 4 / 7),
        ("zh", "《红楼梦》。", "红楼梦", 1, 1),
        ("zh", "the 书", "书", 0, 2 / 3),  # no articles
        ("zh", "カナ", "カ ナ", 0, 0),  # kana are not cut into characters
        ("zh", "二〇〇八", "二〇八", 0, 2 / 3),  # "〇〇" is one run: 2 of 3 words in common
        ("zh", "\u9fc3\u9fc4", "\u9fc3", 0, 0),  # ideographs after U+9FA5 are not, either
        ("zh", "\u9fa5\u9fa5", "\u9fa5", 0, 2 / 3),  # but U+9FA5 is
        ("en", "", "x", 0, 0),
        ("zh", "", "，", 1, 0),
    ],
)
def test_mlqa_values(language, prediction, answer, em, f1):
    assert mlqa_em_f1(prediction, [answer], language) == (em, pytest.approx(f1, abs=1e-15))


def test_mlqa_takes_the_best_answer():
    assert mlqa_em_f1("Stadt", ("Dorf", "die Stadt"), "de") == (1.0, 1.0)


def test_f1_rounds_as_the_official_programs_do():
    # precision 1/3, recall 1/7: the order of operations decides the last digit
    expected = (2 * (1 / 3) * (1 / 7)) / (1 / 3 + 1 / 7)
    assert squad_em_f1("x b c", ["x q r s t u v"]) == (0.0, expected)


@pytest.mark.parametrize(
    ("language", "prediction", "answer", "em", "f1"),
    [
        ("sw", "Jiji la Nairobi!", "jiji la nairobi", 1, 1),  # case and punctuation, as everywhere
        ("sw", "the a Nairobi", "Nairobi", 0, 0.5),  # no articles
        ("el", "«Αθήνα»", "αθήνα", 1, 1),  # all Unicode punctuation
        ("ko", "서울 특별시", "서울특별시", 0, 0),  # words are what white space separates
        ("th", "ประเทศไทย", "ไทย", 0, 0.5),  # letters: 3 of 9, and 3 of 3
        ("th", "กรุง เทพ", "กรุงเทพ", 1, 1),  # white space beside them does not matter
        ("ja", "東京都 2020年", "東京 2020 年", 0, 8 / 9),  # 東 京 都 2020 年 against 4 of them
        ("ja", "がか\u3099", "がが", 0, 0.5),  # a mark belongs to its letter: not composed, not the same
        ("my", "ရန်ကုန်", "ရန်", 0, 2 / 3),  # 2 of 4 letters with their marks
        ("x-mine", "中文 abc", "中", 0, 0.5),  # by script, whatever the code
        ("de-AT", "die Stadt", "Stadt", 1, 1),  # a variant has the rules of its language
        ("zh-Hant", "黑豹隊", "黑豹", 0, 0.8),
        ("ar-EG", "القاهرة", "قاهرة", 1, 1),
        ("sw", "", "Nairobi", 0, 0),
    ],
)
def test_general_values(language, prediction, answer, em, f1):
    assert mlqa_em_f1(prediction, [answer], language) == (em, pytest.approx(f1, abs=1e-15))


@pytest.mark.parametrize("language", ["", None, "EN", "english"])
def test_mlqa_refuses_what_is_no_language(language):
    with pytest.raises(DataError, match=f"^unknown language {language!r}: expected a code such as "):
        mlqa_em_f1("x", ["x"], language)


@pytest.mark.parametrize(
    ("prediction", "answers", "error", "message"),
    [
        ("x", "x", TypeError, "answers must be a list of strings, got one string; put it in a list"),
        ("x", [], ValueError, "answers must hold at least one gold text, got none; does the file have gold answers?"),
        ("x", [3], TypeError, "answers must be strings, got int; pass the texts of the answers"),
        (None, ["x"], TypeError, "prediction must be a string, got NoneType"),
    ],
)
def test_wrong_arguments(prediction, answers, error, message):
    for score in (squad_em_f1, lambda *arguments: mlqa_em_f1(*arguments, "en")):
        with pytest.raises(error, match=re.escape(message)):
            score(prediction, answers)


def test_best_metric_gives_one_interface():
    assert best_metric("squad")("die Stadt", ["Stadt"], "de") == (0.0, pytest.approx(2 / 3))
    assert best_metric("squad")("Stadt", ["Stadt"], None) == (1.0, 1.0)
    assert best_metric("mlqa")("die Stadt", ["Stadt"], "de") == (1.0, 1.0)
    with pytest.raises(DataError, match=r"^unknown metric 'f1': expected one of squad, mlqa$"):
        best_metric("f1")


@pytest.mark.real_data
@pytest.mark.parametrize("language", MLQA_LANGUAGES)
def test_identity_on_mlqa_dev(real_data_dir, language):
    path = real_data_dir / "mlqa" / "dev" / f"dev-context-{language}-question-{language}.json"
    scores = [
        mlqa_em_f1(answer.text, [answer.text], language)
        for example in read_squad(path, question_lang=language, context_lang=language)
        for answer in example.answers
    ]
    assert all(em == 1.0 for em, _ in scores)
    # One Spanish answer is "una", an article: nothing is left to share a word.
    assert sum(f1 != 1.0 for _, f1 in scores) == (language == "es")


@pytest.mark.real_data
@pytest.mark.parametrize("language", ["en", "zh", "ar", "th", "ru"])
def test_identity_on_xquad(real_data_dir, language):
    path = real_data_dir / "xquad" / f"xquad.{language}.json"
    for example in read_squad(path, question_lang=language, context_lang=language):
        text = example.answers[0].text
        assert squad_em_f1(text, [text]) == (1.0, 1.0)
