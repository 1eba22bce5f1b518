"""Wrong answers are wrong, nested, drawn by id and language, and as many as asked for."""

from xqa_lib.data.label_noise import corrupt
from xqa_lib.data.squad_format import Example, GoldAnswer

WORDS = "Anna was born in Rome and died in Oslo last year"


def parallel(count=400):
    english = [Example(f"q{n}", "Where?", WORDS, (GoldAnswer("Rome", 17),), "T", "en", "en") for n in range(count)]
    chinese = [
        Example(f"q{n}", "哪里?", "安娜生于罗马城死于北京。", (GoldAnswer("罗马", 4),), "T", "zh", "zh")
        for n in range(count)
    ]
    return {"en": english, "zh": chinese}


def wrong(before, after):
    return {
        (language, old.id)
        for language in before
        for old, new in zip(before[language], after[language], strict=True)
        if old.answers != new.answers
    }


def test_the_share_and_the_spans():
    clean = parallel()
    noisy, corrupted = corrupt(clean, rate=0.25, seed=1)
    changed = wrong(clean, noisy)
    assert corrupted == len(changed)
    assert 150 < corrupted < 250  # 200 expected of 800, standard deviation 12
    for language, examples in noisy.items():
        for old, new in zip(clean[language], examples, strict=True):
            (answer,) = new.answers
            assert new.context[answer.start : answer.start + len(answer.text)] == answer.text
            assert (new.id, new.question, new.context) == (old.id, old.question, old.context)
            if (language, old.id) in changed:
                gold = old.answers[0]
                assert answer.start >= gold.start + len(gold.text) or answer.start + len(answer.text) <= gold.start
                assert len(answer.text.split()) == 1 if language == "en" else len(answer.text) == 2


def test_rates_are_nested_and_languages_drawn_apart():
    clean = parallel()
    some, more = (wrong(clean, corrupt(clean, rate=rate, seed=1)[0]) for rate in (0.2, 0.4))
    assert some < more
    ids = {language: {i for code, i in more if code == language} for language in clean}
    assert ids["en"] != ids["zh"]
    assert corrupt(clean, rate=0.2, seed=1) == corrupt(clean, rate=0.2, seed=1)
    assert wrong(clean, corrupt(clean, rate=0.2, seed=2)[0]) != some
    assert corrupt(clean, rate=0.0, seed=1) == (clean, 0)


def test_languages_of_the_user_s_own_files():
    """Units are words or characters, as the passage's script has it."""
    clean = {
        "x-mine": [
            Example(f"q{n}", "?", "ร้านหนังสือในเมือง", (GoldAnswer("ใน", 11),), "", "", "x-mine") for n in range(99)
        ],
        "fr": [Example(f"q{n}", "?", "né à Rome en mai", (GoldAnswer("à Rome", 3),), "", "", "fr") for n in range(99)],
    }
    noisy, corrupted = corrupt(clean, rate=0.9, seed=1)
    assert 100 < corrupted < 198
    changed = {
        language: {new.answers[0].text for old, new in zip(clean[language], noisy[language], strict=True) if old != new}
        for language in clean
    }
    assert changed["fr"] == {"en mai"}
    assert {len(text) for text in changed["x-mine"]} == {2}


def test_an_answer_without_another_place_stays():
    whole = {"en": [Example(f"q{n}", "Who?", "Rome", (GoldAnswer("Rome", 0),), "T", "en", "en") for n in range(9)]}
    assert corrupt(whole, rate=0.99, seed=1) == (whole, 0)
