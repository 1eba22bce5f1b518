"""The guess by kind, and the two shares of an exact match, by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xqa_lib.data import factbook
from xqa_lib.data.prepared import KIND_COLUMNS
from xqa_lib.errors import DataError
from xqa_lib.reading import evaluation, kinds

# question -> (kind, answer) of all facts of its passage; the first is the one that is asked for
STATED = {
    "place": [
        *(("place", "Kori"), ("person", "Numi Fas"), ("place", "Bamak"), ("person", "Tari Pol")),
        ("place", "Lomidu"),
    ],
    "date": [("date", "20 May 1875"), ("number", "20"), ("date", "7 June 1901"), ("number", "36"), ("number", "980")],
    "width": [("metre", "25 metres"), ("person", "Numi Fas"), ("metre", "40 metres"), ("person", "Tari Pol")],
}


def stated(*questions, name="factbook-dev", language="en"):
    """The table of kinds of some questions."""
    rows = [
        (name, question, language, kind, answer, int(place == 0))
        for question in questions
        for place, (kind, answer) in enumerate(STATED[question])
    ]
    return pd.DataFrame(rows, columns=KIND_COLUMNS)


def answered(rows, *, name="factbook-dev", system="one", seed=1):
    """Scores of (question, question language, prediction) with passages in English."""
    table = pd.DataFrame(
        [(name, i, lang, "en", float(text == STATED[i][0][1]), 0.5, 0, text) for i, lang, text in rows],
        columns=evaluation.COLUMNS,
    )
    return table.assign(system=system, seed=seed)


ALL = stated(*STATED)


def test_the_guess_is_the_mean_over_all_answers_of_the_kind():
    scores = answered([("place", "en", "x"), ("place", "de", "y"), ("width", "en", "z"), ("date", "en", "")])
    guess = kinds.guess_scores(pd.concat([scores, scores]), ALL)
    assert list(guess.columns) == evaluation.COLUMNS
    assert guess[["id", "question_lang", "rank", "prediction"]].values.tolist() == [
        *(["place", "en", 0, ""], ["place", "de", 0, ""]),
        *(["width", "en", 0, ""], ["date", "en", 0, ""]),
    ]
    # "40 metres" shares one word of two with "25 metres"
    assert guess["em"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 2, 1 / 2])
    assert guess["f1"].tolist() == pytest.approx([1 / 3, 1 / 3, 3 / 4, 1 / 2])


def test_the_guess_is_scored_by_the_metric_of_the_set():
    # of one word for SQuAD's metric, of two characters for MLQA's
    answers = [("place", "北京"), ("place", "南京")]
    rows = [(answer, int(place == 0)) for place, answer in enumerate(answers)]
    for name, f1 in (("factbook-dev", 0.75), ("factbook-zero-shot", 0.5)):
        table = pd.DataFrame([(name, "q", "zh", *answer, right) for answer, right in rows], columns=KIND_COLUMNS)
        keys = pd.DataFrame([(name, "q", "zh", "zh")], columns=["set", *evaluation.KEY])
        assert kinds.guess_scores(keys, table)[["em", "f1"]].values.tolist() == [[0.5, f1]]


def test_the_guess_scores_what_the_baseline_of_the_corpus_says():
    paragraphs = factbook.generate(paragraphs=60, languages=["en"], seed=3, split="test", questions_per_paragraph=2)
    examples = factbook.examples_of(paragraphs["en"])
    rows = [("factbook-test", *row) for row in factbook.stated_answers(paragraphs["en"])]
    table = pd.DataFrame(rows, columns=KIND_COLUMNS)
    scores = evaluation.score(examples, [e.answers[0].text for e in examples], metric="mlqa", name="factbook-test")
    guess = kinds.guess_scores(scores, table)
    assert len(guess) == 120
    assert 100 * guess["em"].mean() == pytest.approx(factbook.type_guess_baseline(examples))
    assert kinds.right_kinds(scores, table) == [1] * 120


@pytest.mark.parametrize(
    ("question", "prediction", "right"),
    [
        ("place", "Kori", 1),
        ("place", "Lomidu", 1),
        ("place", "the bamak.", 1),  # by the metric: no articles, no punctuation
        ("place", "Bamak in", 1),
        ("place", "lives in the town of Bamak", 0),  # one word of five (without the article), one of one: F1 1/3
        ("place", "Tari Pol", 0),
        ("place", "Pol", 0),
        ("place", "Kori and Tari Pol", 0),  # 1 of 4 and 1: F1 0.4; with the person 2 of 4 and 2: 2/3
        ("place", "Ko", 0),
        ("place", "", 0),
        ("place", " ", 0),
        ("date", "7 June", 1),
        ("date", "May 1875", 1),
        ("date", "980", 0),
        ("date", "20", 0),  # half of the date, but all of the number
        ("width", "40 metres", 1),
        ("width", "metres", 1),
        ("width", "wide 40 high and", 0),  # 1 of 4 and 1 of 2: F1 1/3
    ],
)
def test_an_answer_is_of_the_kind_that_it_shares_most_with(question, prediction, right):
    assert kinds.right_kinds(answered([(question, "en", prediction)]), ALL) == [right]


def test_of_two_kinds_that_share_equally_much_the_right_one_counts():
    table = ALL[ALL["answer"] != "Tari Pol"].replace({"answer": {"Numi Fas": "Numi"}})
    scores = answered([("place", "en", "Numi Kori"), ("place", "en", "Numi Fas Kori")])
    assert kinds.right_kinds(scores, table) == [1, 1]  # 2/3 and 1/2 with each of them


def test_answers_stay_in_their_rows():
    rows = [("place", "en", "Kori"), ("date", "en", "980"), ("place", "de", "Kori"), ("place", "en", "980")]
    assert kinds.right_kinds(answered(rows).iloc[::-1], ALL) == [0, 1, 0, 1]


def test_scores_of_other_data_are_refused():
    scores = answered([("place", "en", "Kori")])
    message = (
        "no kinds of the question 'place' of factbook-dev with a passage in en: are scores and kinds.csv of the same "
        "data? Run the data stage again, and score again"
    )
    for function in (kinds.guess_scores, kinds.right_kinds, kinds.shares):
        with pytest.raises(DataError) as error:
            function(scores, stated("date"))
        assert str(error.value) == message


def row_of(table, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def test_the_shares_by_hand():
    rows = [
        # right, of the kind, neither: asked in English
        *(("place", "en", "Kori"), ("date", "en", "7 June 1901"), ("width", "en", "Tari Pol")),
        # right, right, of the kind: asked in German
        *(("place", "de", "Kori"), ("date", "de", "20 May 1875"), ("width", "de", "40 metres")),
    ]
    scores = answered(rows)
    table = kinds.shares(scores, ALL)
    assert list(table.columns) == kinds.SHARE_COLUMNS
    assert table[["set", "task", "system"]].values.tolist() == [
        ["factbook-dev", task, "one"] for task in ("xlt", "gxlt", "gxlt_off_diagonal")
    ]
    same, everything, across = table.to_dict("records")
    assert (same["right_kind"], same["right_given_kind"]) == pytest.approx((200 / 3, 50))
    assert (everything["right_kind"], everything["right_given_kind"]) == pytest.approx((500 / 6, 60))
    assert (across["right_kind"], across["right_given_kind"]) == pytest.approx((100, 200 / 3))
    # of a place (1/3) and a date (1/2); of all three questions
    assert same["chance"] == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)
    assert across["chance"] == pytest.approx(100 * (1 / 3 + 1 / 2 + 1 / 2) / 3)
    # the product is the exact match
    em = evaluation.summary(scores)["em"]
    assert (table["right_kind"] * table["right_given_kind"] / 100).tolist() == pytest.approx(em.tolist())


def test_language_pairs_weigh_alike():
    rows = [("place", "en", "Kori"), ("date", "en", "20 May 1875"), ("width", "en", "25 metres")]
    rows += [("place", "de", "Bamak"), ("date", "de", "7 June 1901")]
    everything = row_of(kinds.shares(answered(rows), ALL), task="gxlt")
    # all of the kind, 3 of 3 and 0 of 2 right: not 3 of 5
    assert (everything["right_kind"], everything["right_given_kind"]) == (100, 50)
    # of one language pair, "gxlt" would only repeat "xlt"
    assert kinds.shares(answered(rows[:3]), ALL)["task"].tolist() == ["xlt"]


def test_chance_is_that_of_the_kinds_that_are_recognised():
    # dates alone, of which there are two: to be right in half of them is no sign of understanding
    rows = [("place", "en", "980"), ("date", "en", "20 May 1875"), ("width", "en", "Tari Pol")]
    found = row_of(kinds.shares(answered(rows), ALL), task="xlt")
    assert (found["right_kind"], found["chance"]) == pytest.approx((100 / 3, 50))


def many(n, *, right, of_kind):
    """(scores, kinds) of n questions of one kind: so many answers right, so many more of the right kind."""
    ids = [f"q{place}" for place in range(n)]
    texts = ["Kori"] * right + ["Bamak"] * of_kind + ["Tari Pol"] * (n - right - of_kind)
    scores = answered([("place", "en", text) for text in texts]).assign(id=ids)
    return scores, pd.concat([stated("place").assign(id=i) for i in ids])


def test_the_interval_is_at_least_that_of_a_share_of_ids():
    scores, table = many(60, right=30, of_kind=20)
    found = row_of(kinds.shares(scores, table), task="xlt")
    assert (found["right_given_kind"], found["chance"]) == pytest.approx((60, 100 / 3))
    assert found["low"] == pytest.approx(45.18, abs=0.005)  # Clopper and Pearson, 30 of 50
    assert found["above_chance"]
    scores, table = many(60, right=20, of_kind=30)
    found = row_of(kinds.shares(scores, table), task="xlt")
    assert found["low"] < found["chance"] < found["right_given_kind"] == pytest.approx(40)
    assert not found["above_chance"]


@pytest.mark.parametrize(("n", "above"), [(1, False), (3, False), (4, True)])
def test_few_answers_of_the_right_kind_claim_nothing_though_all_are_right(n, above):
    scores, table = many(20, right=n, of_kind=0)
    found = row_of(kinds.shares(scores, table), task="xlt")
    assert (found["right_given_kind"], found["high"]) == (100, 100)
    # so many of so many: the share of which this happens once in forty times
    assert found["low"] == pytest.approx(100 * 0.025 ** (1 / n))
    assert found["above_chance"] == above
    scores, table = many(20, right=0, of_kind=n)
    found = row_of(kinds.shares(scores, table), task="xlt")
    assert (found["right_given_kind"], found["low"]) == (0, 0)
    assert found["high"] == pytest.approx(100 * (1 - 0.025 ** (1 / n)))


def test_the_interval_counts_seeds():
    # right: 20, 25, 30 and 35 of 50 that are of the right kind, which in every seed are the same ids
    right = [20, 25, 30, 35]
    runs = [many(60, right=n, of_kind=50 - n)[0].assign(seed=seed) for seed, n in enumerate(right)]
    table = many(60, right=0, of_kind=0)[1]
    found = row_of(kinds.shares(pd.concat(runs), table, resamples=20_000), task="xlt")
    ratio = 27.5 / 50
    assert found["right_given_kind"] == pytest.approx(100 * ratio)
    of_seeds = np.var([n / 50 for n in right], ddof=1) / 4
    # the linear part of the ratio, averaged over the seeds
    linear = np.mean([[1.0] * n + [0.0] * (60 - n) for n in right], axis=0) - np.r_[[ratio] * 50, [0.0] * 10]
    of_ids = np.var(linear, ddof=1) / 60 / (50 / 60) ** 2
    degrees = (of_seeds + of_ids) ** 2 / (of_seeds**2 / 3 + of_ids**2 / 59)
    half = 100 * (of_seeds + of_ids) ** 0.5 * stats.t.isf(0.025, degrees)
    assert (found["low"], found["high"]) == pytest.approx((55 - half, 55 + half), rel=0.01)
    # seeds that are alike, and the interval of one of them
    one, alike = runs[2], pd.concat([runs[2].assign(seed=seed) for seed in range(4)])
    pd.testing.assert_frame_equal(kinds.shares(alike, table), kinds.shares(one, table))
    # two seeds have one degree of freedom: the interval ends where a share does
    apart = row_of(kinds.shares(pd.concat([runs[0], runs[3]]), table), task="xlt")
    assert (apart["low"], apart["high"], apart["above_chance"]) == (0, 100, False)


def test_systems_are_told_apart():
    right, table = many(10, right=10, of_kind=0)
    wrong = many(10, right=0, of_kind=0)[0].assign(system="two")
    found = kinds.shares(pd.concat([right, wrong]), table)
    one, two = (row_of(found, system=system, task="xlt") for system in ("one", "two"))
    assert (one["right_kind"], one["right_given_kind"], one["high"]) == (100, 100, 100)
    assert one["above_chance"]
    # nothing to be right or wrong in
    assert two["right_kind"] == 0
    assert np.isnan([two["right_given_kind"], two["low"], two["high"], two["chance"]]).all()
    assert not two["above_chance"]


def test_of_unknown_kinds_nothing_is_said():
    scores = pd.concat([answered([("place", "en", "Kori")]), answered([("x", "en", "y")][:0], name="mlqa-dev")])
    nothing = ALL.iloc[:0]
    assert len(kinds.guess_scores(scores, nothing)) == len(kinds.shares(scores, nothing)) == 0
    assert list(kinds.shares(scores, nothing).columns) == kinds.SHARE_COLUMNS
    other = scores.assign(set="mlqa-dev")
    assert kinds.guess_scores(pd.concat([scores, other]), ALL)["set"].tolist() == ["factbook-dev"]
