"""One group of experiments with one seed: each setting beside what it is compared with."""

import re

import pandas as pd
import pytest

from tests.study.test_stages import SMOKE
from xqa_lib.reporting import group_of_experiments
from xqa_lib.study import experiments


def scores(f1):
    """As `sweeps.run_group` returns them: what `f1` maps (experiment, series, value) to, else 10 points."""
    found = {}
    for experiment in experiments.all_experiments(SMOKE).values():
        for point in experiment.points:
            found[point.setting.key] = f1.get((experiment.name, point.value), found.get(point.setting.key, 10.0))
    return pd.DataFrame({"setting": list(found), "f1": list(found.values())})


def test_the_plan_of_a_group_names_what_is_compared():
    table = group_of_experiments.plan(SMOKE, "objective")
    assert list(table.index[:3]) == ["methods", "temperature", "no-ce"]
    assert set(table.columns) == {"question", "each compared with", "settings", "new", "examples"}
    assert table["each compared with"].isin(group_of_experiments._AGAINST.values()).all()
    assert set(group_of_experiments._AGAINST) >= {e.against for e in experiments.all_experiments(SMOKE).values()}


def test_differences_are_from_the_baseline():
    table = group_of_experiments.differences(SMOKE, "objective", scores({("temperature", 8.0): 14.0}))
    part = table[table["experiment"] == "temperature"]
    assert list(part["F1"]) == [10.0, 14.0]
    assert list(part["compared with"]) == ["", part["setting"].iloc[0]]
    assert list(part["difference"].dropna()) == [4.0]


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        (
            [4.0, -2.0, 0.5],
            ["largest gain in F1 is +4.0 points (e, b against a)", "largest loss in F1 is -2.0", "1 of 3"],
        ),
        ([0.0, 0.0], ["2 of 2 differences are below one point"]),
        ([-3.0], ["largest loss", "0 of 1"]),
        ([], []),
    ],
)
def test_in_words(differences, said):
    rows = [("e", "a", 1.0, None, float("nan")), *(("e", "b", 1.0, "a", value) for value in differences)]
    table = pd.DataFrame(rows, columns=["experiment", "setting", "F1", "compared with", "difference"])
    sentences = re.findall("<li>(.*?)</li>", group_of_experiments.in_words(table, 3, 1.25).data)
    assert len(sentences) == len(said) + 1
    assert all(part in sentence for part, sentence in zip(said, sentences, strict=False))
    assert "seed 3 alone (1.2 minutes" in sentences[-1]
