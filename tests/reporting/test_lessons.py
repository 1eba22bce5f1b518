"""What notebooks show of one example: tables that add up to the losses, sentences with their numbers."""

import math
import re
from dataclasses import replace

import pandas as pd
import pytest
import torch

from tests.study.test_stages import SMOKE, in_folder
from xqa_lib import coefficients, losses
from xqa_lib.data import prepared, roles
from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.reporting import lessons

METHOD = replace(SMOKE.method("skd-map"), temperature=2.0, k=3, window=1)
CONTEXT = "In <1905> he left"
#          0  3     8   10
OFFSETS = [(-1, -1), (-1, -1), (0, 2), (3, 9), (10, 12), (13, 17)]
TOKENS = ["(<s>)", "(when)", "In", "<1905>", "he", "left"]


def example(**changes):
    answers = (GoldAnswer("<1905>", 3),)
    return replace(Example("q1", "Wann?", CONTEXT, answers, "", "de", "en"), **changes)


def worked(method=METHOD, **changes):
    logits = {
        "teacher": [[0.0, 0.0, 4.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 5.0, 1.0, 0.0]],
        "student": [[0.0, 0.0, 2.0, 3.0, 0.0, 1.0], [0.0, 0.0, 0.0, 4.0, 1.0, 2.0]],
    }
    facts = {
        "example": example(),
        "translation": "When?",
        "tokens": TOKENS,
        "offsets": torch.tensor(OFFSETS),
        "truth": torch.tensor([3, 3]),
        "method": method,
        "compared": None,
        **{name: torch.tensor(rows) for name, rows in logits.items()},
    }
    return lessons.Worked(**facts | changes)


def test_the_truth_s_probabilities_give_the_cross_entropy():
    one = worked()
    table = one.truth_table()
    # by hand: the start's softmax is e^3 over 3 + e^2 + e^3 + e, the end's e^4 over 3 + e^4 + e + e^2
    e = math.e
    start, end = e**3 / (3 + e**2 + e**3 + e), e**4 / (3 + e**4 + e + e**2)
    assert table["student p"].tolist()[:2] == pytest.approx([start, end])
    assert table["−ln p"].tolist() == pytest.approx([-math.log(start), -math.log(end), -math.log(start * end) / 2])
    ce = losses.span_cross_entropy(*one.student[:, None], *one.truth[:, None])
    assert table["−ln p"]["mean"] == pytest.approx(ce.item())
    # a token that looks like HTML is written, not lost
    assert "&lt;1905&gt;" in lessons.written(one.truth_table()).data


@pytest.mark.parametrize("direction", losses.DIRECTIONS)
def test_the_parts_of_the_tokens_add_up_to_the_divergence(direction):
    one = worked(replace(METHOD, direction=direction))
    table = one.divergence_table(most=2)
    kl = losses.kd_kl(one.compared_student, one.teacher, temperature=2.0, direction=direction)
    for index, boundary in enumerate(("start", "end")):
        part = table[boundary]
        terms = part.iloc[:, 3]
        assert list(table.index) == [1, 2, "rest", "sum", "sum × T²"]
        assert terms[[1, 2, "rest"]].sum() == pytest.approx(terms["sum"])
        assert terms["sum × T²"] == pytest.approx(kl[index].item())
        assert part.loc[[1, 2, "rest"], "teacher t"].sum() == pytest.approx(1)
    assert table["start"]["token"].tolist()[:3] == ["In", "left", "the other 4"]
    if direction == "forward":
        t = math.e**2 / (3 + math.e**2 + math.e + math.e**1.5)  # at T = 2
        s = math.e / (3 - 1 + 1 + math.e + math.e**1.5 + math.e**0.5)
        assert table["start"].loc[1].tolist()[1:] == pytest.approx([t, s, t * math.log(t / s)])


def test_ranks_and_what_counts_as_right():
    one = worked()
    start, end = (one.rank_table()[boundary] for boundary in ("start", "end"))
    assert start.to_numpy().tolist() == [["In", "-1", "✓"], ["left", "+2", ""], ["<1905>", "0", "✓"]]
    # the window of half-width 1 is [-1, +1); equal scores keep their order
    assert end.to_numpy().tolist() == [["<1905>", "0", "✓"], ["he", "+1", ""], ["(<s>)", "-3", ""]]
    ranks = coefficients.windowed_reciprocal_rank(one.teacher, one.truth, k=3, window=1)
    assert ranks.tolist() == [1.0, 1.0]
    shown = one.around_the_truth().data
    # e^4, e^2, e^3 of 85.1
    assert re.findall(r"<sub[^>]*> (.*?) </sub>", shown) == ["64%", "counts as right · 9%", "24%"]


@pytest.mark.parametrize(
    ("changes", "alpha"),
    [
        ({}, 1.0),
        ({"coefficient": "reciprocal_rank_at_k"}, (1 / 3 + 1) / 2),
        ({"coefficient": "constant"}, 1.0),
        ({"coefficient": None}, 0.0),
    ],
)
def test_the_sum_is_the_loss_of_the_training(changes, alpha):
    one = worked(replace(METHOD, **changes))
    assert one.alpha().item() == pytest.approx(alpha)
    ce = losses.span_cross_entropy(*one.student[:, None], *one.truth[:, None])
    kl = losses.kd_kl(one.compared_student, one.teacher, temperature=2.0)
    assert one.loss().item() == pytest.approx((ce + alpha * kl.mean()).item())


def test_what_a_teacher_with_a_view_of_its_own_does_not_read_is_not_compared():
    compared = torch.tensor([[True, False, True, True, True, True]])
    lowest = torch.finfo(torch.float32).min
    teacher = worked().teacher.masked_fill(~compared, lowest)
    one = worked(replace(METHOD, coefficient="constant", alpha_ce=0.0), teacher=teacher, compared=compared)
    table = one.divergence_table()["start"]
    assert "(when)" not in table["token"].tolist()
    kl = losses.kd_kl(one.compared_student, one.teacher, temperature=2.0)
    assert [table.iloc[-1, 3], one.loss().item()] == pytest.approx([kl[0].item(), kl.mean().item()])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "with k = 3, Δ = 1"),
        ({"coefficient": "constant"}, "whatever the teacher says"),
        ({"coefficient": None}, "learns from the label alone"),
        ({"coefficient": "average_precision_at_k"}, "is the average precision at k, not 1/rank"),
        ({"direction": "reverse", "view": "parallel"}, "KL(student ‖ teacher) at T = 2"),
    ],
)
def test_the_settings_in_words(changes, said):
    assert said in lessons.settings_in_words(replace(METHOD, **changes))


def test_where_a_reader_sees_the_start():
    seen = lessons.StartSeen(example(), [(0, 2, 0.01), (3, 9, 0.9)], truth=0.9, rank=1, tokens=6)
    assert "90.0%, rank 1 of 6 tokens (spread evenly, each would have 16.7%)" in seen.in_words()
    assert re.findall(r"<sub[^>]*> (.*?) </sub>", seen.shown().data) == ["answer · 90%"]


SAMPLE = pd.DataFrame(
    [
        ("a", "en", "en", 1),
        ("a", "en", "de", 1),
        ("a", "de", "en", 1),
        ("a", "de", "de", 1),
        ("a", "de", "zh", 2),
        ("b", "en", "en", 1),
        ("b", "zh", "zh", 2),
    ],
    columns=["id", "question_lang", "context_lang", "ntl"],
)


def test_the_grid_of_the_first_id():
    shown = lessons.language_grid(SAMPLE, ntl=1).data
    cells = re.findall(r'<td id="(\S+)".*?>(.*?)</td>', shown)  # rows en, de; columns en, de, zh
    assert [text for _, text in cells] == ["1", "1", "", "1", "1", "2"]
    (bold,) = re.findall(r"([^}]*)\{[^}]*bold[^}]*\}", shown)
    assert re.findall(r"#(\S+?),? ", bold + " ") == [cells[index][0] for index in (0, 1, 3, 4)]


def test_pairs_in_words():
    assert lessons.pairs_in_words(SAMPLE, SMOKE, 2) == (
        "With ntl = 2, 2 ids give 7 examples; of the 3 with two languages, 2 have en as one of them."
    )
    without = replace(SMOKE, sampling=replace(SMOKE.sampling, pivot=None))
    assert lessons.pairs_in_words(SAMPLE, without, 2) == "With ntl = 2, 2 ids give 7 examples."


def test_layers_in_words():
    right = pd.DataFrame({"de": [50.0, 90.0, 80.0], "ar": [10.0, 70.0, 60.0]}).rename_axis("layer")
    assert lessons.layers_in_words(right) == (
        "Layer 0, the pieces by themselves, finds 30%. At layer 1 the language found best is de (90%), the one found "
        "least ar (70%)."
    )


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    params = in_folder(SMOKE, tmp_path_factory.mktemp("lessons"))
    roles.prepare(params)
    return params


def marks(html):
    return re.findall(r"<mark[^>]*>(.*?)</mark>", html)


def test_one_question_in_all_training_languages(params):
    shown = lessons.parallel_question(params).data
    assert [entry.split(")")[0] for entry in re.findall(r"<b>.*?\((.*?)</b>", shown)] == params.sampling.languages
    assert marks(shown) == [found[0].answers[0].text for found in prepared.read_parallel(params).values()]
    others = lessons.untrained_languages(params).data
    assert len(re.findall("<b>", others)) == 10
    assert "Greek (el)" in others
    assert "English" not in others


def test_a_guess_by_kind(params, monkeypatch):
    shown = lessons.guess_by_kind(params).data
    (size,) = re.findall(r"right once in (\d+)\.", shown)
    assert len(marks(shown)) == int(size) > 1
    assert f"right in {roles.type_guess(params)}%" in shown
    monkeypatch.setattr(prepared, "read_kinds", lambda params: pd.DataFrame(columns=prepared.KIND_COLUMNS))
    assert "no guess by kind" in lessons.guess_by_kind(params).data


def test_the_question_is_one_that_no_reader_was_trained_on(params):
    found = lessons.unseen_question(params)
    assert (found.question_lang, found.context_lang) == ("en", "en")
    assert found.context not in {e.context for e in prepared.read_reader_training(params)}
