"""The named tests: which are made, over which scores, adjusted over which family, and what they say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xqa_lib import significance
from xqa_lib.reporting import named_tests
from xqa_lib.study.params import NamedTests, load_params

SMOKE = load_params("embedded/smoke")
PAIRS = [("en", "en"), ("en", "de"), ("de", "en")]
IDS = [f"q{number}" for number in range(60)]
GAIN = {"ce": 0.0, "skd": 0.3, "skd-map": 0.002, "zero-shot": -0.3}  # of F1, across languages


def study(folder, **changes):
    tests = NamedTests(set="factbook-test", against={"ce": ["skd-map", "skd"], "zero-shot": ["skd"]}, margin=1.0)
    paths = replace(SMOKE.paths, results=str(folder))
    return replace(SMOKE, paths=paths, **({"tests": tests} | changes))


def made_up_scores():
    """Two seeds of three methods and the zero-shot reader; on the other set, and in one language, all is reversed."""
    rng = np.random.default_rng(1)
    level = {(i, pair): rng.uniform(0.3, 0.6) for i in IDS for pair in PAIRS}
    rows = []
    for system, gain in GAIN.items():
        for seed in (1, 2) if system != "zero-shot" else (0,):
            for name in ("factbook-dev", "factbook-test"):
                for i in IDS:
                    for pair in PAIRS:
                        right = name == "factbook-test" and pair[0] != pair[1]
                        noise = rng.normal(0, 0.01)
                        f1 = level[i, pair] + (gain if right else -gain) + noise
                        rows.append((name, i, *pair, f1, system, seed))
    columns = ["set", "id", "question_lang", "context_lang", "f1", "system", "seed"]
    return pd.DataFrame(rows, columns=columns).assign(f1=lambda table: table["f1"].clip(0, 1))


def write_articles(folder, titles):
    (folder / "data").mkdir()
    rows = [f"factbook-test,{i},{title}" for i, title in titles.items()]
    (folder / "data" / "articles.csv").write_text("\n".join(["set,id,title", *rows]), encoding="utf-8")


def test_the_named_tests_and_no_others(tmp_path):
    write_articles(tmp_path, {i: f"article {number // 3}" for number, i in enumerate(IDS)})
    scores = made_up_scores()
    found = named_tests.table(study(tmp_path), scores)
    assert found.columns.tolist() == named_tests.COLUMNS
    assert found[["method", "baseline"]].values.tolist() == [["skd-map", "ce"], ["skd", "ce"], ["skd", "zero-shot"]]
    assert found[["n_ids", "n_pairs", "seeds"]].values.tolist() == [[60, 2, 2]] * 3  # across languages alone
    assert found["difference"].tolist() == pytest.approx([0.2, 30, 60], abs=0.4)
    # each is the test of the library on these scores
    part = scores[(scores["set"] == "factbook-test") & (scores["question_lang"] != scores["context_lang"])]
    runs = {
        system: {
            seed: part[(part["system"] == system) & (part["seed"] == seed)].set_index(list(significance.KEY))["f1"]
            for seed in (1, 2)
        }
        for system in ("ce", "skd-map")
    }
    effect = significance.seed_and_id_test(runs["skd-map"], runs["ce"]).in_points()
    assert found.loc[0, ["difference", "low", "high", "p"]].tolist() == pytest.approx(
        [effect[name] for name in ("difference", "low", "high", "p")]
    )
    # Holm over the two methods that are compared with CE; the third test is a family of its own
    assert found.loc[:1, "p_holm"].tolist() == pytest.approx(significance.holm(found.loc[:1, "p"]).tolist())
    assert found.loc[2, "p_holm"] == found.loc[2, "p"]
    within = [
        significance.equivalence_p_value(
            effect["difference"], effect["standard_error"], effect["degrees_of_freedom"], 1.0
        ),
        1.0,
    ]
    assert found.loc[:1, "p_within_margin"].tolist() == pytest.approx(significance.holm(within), abs=1e-6)
    # articles of three ids
    assert found["low_by_article"].notna().all()
    assert found.loc[0, "low_by_article"] != found.loc[0, "low"]


def test_methods_that_are_not_trained_are_left_out(tmp_path):
    write_articles(tmp_path, {})
    params = study(tmp_path, trained=["ce", "skd-map"])
    scores = made_up_scores()
    found = named_tests.table(params, scores[scores["system"].isin(["ce", "skd-map", "zero-shot"])])
    assert found[["method", "baseline"]].values.tolist() == [["skd-map", "ce"]]
    assert found.loc[0, "p_holm"] == found.loc[0, "p"]
    assert found["low_by_article"].isna().all()  # no titles, no clusters
    assert len(named_tests.table(replace(params, tests=None), scores)) == 0
    assert len(named_tests.readable(replace(params, tests=None), found.iloc[:0])) == 0


def test_what_they_say(tmp_path):
    write_articles(tmp_path, {i: "one" if i < "q3" else "other" for i in IDS})
    params = study(tmp_path)
    shown = named_tests.readable(params, named_tests.table(params, made_up_scores()))
    assert shown["test"].tolist() == ["SKD, mAP@10 - CE", "SKD - CE", "SKD - zero-shot"]
    assert shown.loc[1, ["rows", "ids", "p (Holm)", "verdict"]].tolist() == [120, 60, "< 0.001", "higher"]


@pytest.mark.parametrize(
    ("difference", "p_holm", "p_within_margin", "verdict"),
    [
        (2.0, 0.01, 0.9, "higher"),
        (-2.0, 0.01, 0.9, "lower"),
        (0.5, 0.01, 0.01, "higher, but by less than 1"),
        (0.5, 0.3, 0.01, "equal within ± 1"),
        (0.5, 0.3, 0.3, "not decided"),
    ],
)
def test_verdicts(difference, p_holm, p_within_margin, verdict):
    row = pd.Series({"difference": difference, "p_holm": p_holm, "p_within_margin": p_within_margin})
    assert named_tests._verdict(row, 1.0) == verdict
