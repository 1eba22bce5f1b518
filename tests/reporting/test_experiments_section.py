"""The experiments' tables, tests and words from made-up results: every number by hand."""

import warnings
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from xqa_lib import significance
from xqa_lib.data import prepared
from xqa_lib.errors import DataError
from xqa_lib.reading import evaluation
from xqa_lib.reading.evaluation import KEY
from xqa_lib.reporting import experiments_section, figures, words
from xqa_lib.running.files import write_json, write_text
from xqa_lib.study import experiments, layout, run_results, sweeps
from xqa_lib.study.params import load_params

SMOKE = load_params("embedded/smoke")
NOTHING = {
    **{"ntl": [], "equal_steps_ntl": [], "temperatures": [], "temperature_ntl": [], "directions": [], "k": []},
    **{"coefficients": [], "windows": [], "few_ids": [], "label_noise": [], "generations": [], "left_out": []},
}
PAIRS = [("en", "en"), ("de", "de"), ("zh", "zh"), ("en", "zh"), ("de", "en")]
IDS = [f"q{number}" for number in range(12)]


def study(folder, **changes):
    paths = replace(SMOKE.paths, **{name: str(folder / name) for name in ("data", "runs", "results", "reports")})
    sizes = {"groups": ["objective", "data"], "methods": ["ce", "skd-map"], "parallel_ids": 3, "reference_ntl": 1}
    return replace(SMOKE, paths=paths, seeds=[1, 2], sweeps=replace(SMOKE.sweeps, **NOTHING | sizes | changes))


def scored(key, f1_of):
    """Rows of one setting; f1_of(number of the id, question language, context language)."""
    rows = [
        (key, name, q, c, float(f1_of(n, q, c) == 1), f1_of(n, q, c), 1 if f1_of(n, q, c) == 1 else (n % 3) * 2)
        for q, c in PAIRS
        for n, name in enumerate(IDS)
    ]
    return pd.DataFrame(rows, columns=sweeps.COLUMNS)


def others(params, settings, seed, f1_of):
    """Rows of the settings that may be chosen on the sets that choose nothing; f1_of(set, setting or None, ...)."""
    selectable = {key for found in experiments.selectable(params).values() for key in found}
    parts = [
        scored(key, lambda n, q, c, name=name, s=setting: f1_of(name, s, seed, n, q, c)).assign(set=name)
        for key, setting in settings.items()
        if setting is None or key in selectable
        for name in params.data.evaluation_sets[1:]
    ]
    return pd.concat([*parts, pd.DataFrame(columns=run_results.OTHER_COLUMNS)])[run_results.OTHER_COLUMNS]


def write_kinds(params):
    """What the passages state: every other question's two answers of a kind, the others' four; one of another kind."""
    rows = [
        (name, question, language, "place" if answer != "Numi" else "person", answer, int(answer == "Kori"))
        for name in params.data.evaluation_sets
        for language in ("en", "de", "zh")
        for n, question in enumerate(IDS)
        for answer in ["Kori", "Numi", "Bamak", *(["Lomi", "Fasu"] if n % 2 else [])]
    ]
    kinds = pd.DataFrame(rows, columns=prepared.KIND_COLUMNS)
    write_text(params.results_folder / "data" / "kinds.csv", kinds.to_csv(index=False))


def write_results(params, f1_of, other_f1_of=lambda name, *rest: 0.5):
    """What the sweeps leave: f1_of(setting or None, seed, number of the id, question, context) -> F1."""
    write_kinds(params)
    for group in params.sweeps.groups:
        for seed in params.seeds:
            settings = experiments.assigned(params, group)
            first = {layout.ZERO_SHOT: None} if group == params.sweeps.groups[0] else {}
            parts = [
                scored(key, lambda n, q, c, s=setting, seed=seed: f1_of(s, seed, n, q, c))
                # each file in an order of its own: nothing may pair by it
                .sample(frac=1, random_state=10 * place + seed)
                for place, (key, setting) in enumerate((first | settings).items())
            ]
            place = layout.experiments_folder(params, group, seed)
            write_text(place / "scores.csv", pd.concat(parts).to_csv(index=False))
            write_text(
                place / "other-sets.csv", others(params, first | settings, seed, other_f1_of).to_csv(index=False)
            )
            logs = [
                pd.DataFrame(
                    {"setting": key, "step": range(1, 7), "generation": [1, 1, 2, 2, 3, 3], "coefficient": 0.5}
                )
                for key in settings
            ]
            write_text(place / "logs.csv", pd.concat(logs).to_csv(index=False))
            entries = {
                key: {"setting": s.as_dict(), "examples": 12, "ids": 3, "corrupted": 0, "steps": 6, "minutes": 0.1}
                for key, s in settings.items()
            }
            write_json(place / "run.json", {"settings": entries})
            table = pd.DataFrame(
                {
                    "position": range(12),
                    "token": ["null", *"abcdefghijk"],
                    "probability": [0.3, 0.2, 0.1, 0.08, 0.08, 0.06, 0.05, 0.04, 0.03, 0.03, 0.02, 0.01],
                    "softened": 1 / 12,
                    "gold": [n == 6 for n in range(12)],
                    "right": [5 <= n < 7 for n in range(12)],
                    "rank": range(1, 13),
                    "question_lang": "es",
                    "context_lang": "en",
                }
            )
            write_text(place / "start-distribution.csv", table.to_csv(index=False))


def by_hand(setting, seed, n, question, context):
    """CE 1/2, 1/4 across languages; the others what the tests name."""
    if setting is None:
        return 0.0
    if setting.left_out:
        return 0.0 if setting.left_out in (question, context) else 1.0
    if setting.method.coefficient == "constant":
        return 1.0 if n < 6 + 2 * seed else 0.0
    if setting.method.coefficient is None:
        return 0.5 if question == context else 0.25
    return 0.75 if question == context else 0.5


@pytest.fixture
def results(tmp_path):
    params = study(tmp_path, left_out=["zh"], few_ids=[0])
    write_results(params, by_hand)
    yield experiments_section.read_results(params)
    plt.close("all")


def row_of(table, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def test_scores_by_hand(results):
    ce = row_of(results.table, experiment="methods", series="CE", task="gxlt")
    assert ce["f1"] == pytest.approx(100 * (3 * 0.5 + 2 * 0.25) / 5)
    assert (ce["f1_sd"], ce["em"], ce["seeds"]) == (0.0, 0.0, 2)
    skd = row_of(results.table, experiment="methods", series="SKD", task="xlt")
    # 8 of 12 and 10 of 12 right
    assert skd["f1"] == skd["em"] == pytest.approx(75.0)
    assert skd["f1_sd"] == pytest.approx((100 / 6) / 2**0.5)
    zero_shot = row_of(results.table, experiment="zero-shot", task="xlt")
    assert (zero_shot["f1"], zero_shot["seeds"]) == (0, 1)
    assert np.isnan(zero_shot["f1_sd"])  # one reader, although every seed's run has scored it
    few = results.table[(results.table["experiment"] == "few-resource") & (results.table["series"] == "CE")]
    assert set(few["value"]) == {3}  # "all" is as many as the data have


def test_a_language_that_is_left_out_is_scored_on_its_pairs(results):
    out = row_of(results.table, experiment="left-out", series="left out", task="gxlt")
    assert out["f1"] == 0  # over all pairs it would be 60
    base = row_of(results.table, experiment="left-out", series="trained on", task="gxlt")
    assert base["f1"] == pytest.approx(100 * (0.75 + 0.5) / 2)  # zh-zh and en-zh
    test = row_of(results.tests, experiment="left-out", series="left out")
    assert (test["n"], test["n_ids"]) == (24, 12)
    assert test["difference"] == pytest.approx(-62.5)
    assert test["seeds"] == 2


def test_the_unfiltered_or_misaligned_test_would_give_another_answer(results):
    """Filter first, then pair by key: each of the two mistakes of the paper's code changes the verdict here."""
    params = results.params
    experiment = experiments.all_experiments(params)["left-out"]
    base, out = experiment.points
    means = results.scores.groupby(["setting", *KEY])["f1"].mean()
    unfiltered = significance.paired_wilcoxon(means[out.setting.key], means[base.setting.key])
    right = row_of(results.tests, experiment="left-out", series="left out")
    assert unfiltered.difference == pytest.approx(1.0 * 0.6 - (3 * 0.75 + 2 * 0.5) / 5, abs=1e-9)
    assert unfiltered.n == 60 != right["n"]
    assert right["p_wilcoxon"] < 0.001 < unfiltered.p_value
    # SKD against CE, whose differences have both signs: in the order of the files other questions are paired
    skd, ce = (experiments.reference(params, method).key for method in ("skd", "ce"))
    files = results.scores[results.scores["seed"] == 1]
    keyed = {key: files[files["setting"] == key].set_index(KEY)["f1"] for key in (skd, ce)}
    by_key = significance.paired_wilcoxon(keyed[skd], keyed[ce])
    by_order = significance.paired_wilcoxon(pd.Series(keyed[skd].to_numpy(), keyed[ce].index), keyed[ce])
    assert by_key.difference == pytest.approx(by_order.difference)  # the means cannot tell
    assert by_key.p_value != pytest.approx(by_order.p_value, rel=1e-3)


def test_comparisons_and_their_correction(results):
    part = results.tests[results.tests["experiment"] == "methods"].set_index("series")
    assert list(part.index) == ["SKD", "SKD, mAP@10"]
    assert set(part["against"]) == {"CE: as in the study"}
    assert part.loc["SKD, mAP@10", "difference"] == pytest.approx(25.0)
    assert part.loc["SKD, mAP@10", ["low", "high"]].tolist() == pytest.approx([25.0, 25.0])
    assert part[["n", "n_ids", "n_pairs", "seeds"]].to_numpy().tolist() == [[60, 12, 5, 2]] * 2
    assert part["p_holm"].tolist() == significance.holm(part["p"].tolist())
    # SKD answers 8 and 10 of 12 ids; CE has 40 with both seeds
    skd = part.loc["SKD"]
    assert skd["difference"] == pytest.approx(75 - 40)
    of_ids = np.var([1.0] * 8 + [0.5] * 2 + [0.0] * 2, ddof=1) / 12
    of_seeds = (1 / 6) ** 2 / 2 / 2
    assert skd["standard_error"] == pytest.approx(100 * (of_ids + of_seeds) ** 0.5, rel=0.02)
    assert (skd["low"], skd["high"]) == pytest.approx((35 - skd["ruled_out"] + 35, skd["ruled_out"]))
    assert (skd["p"] < 0.05) == (skd["low"] > 0)


def test_students_without_labels_are_compared_with_the_one_zero_shot_reader(tmp_path):
    params = study(tmp_path, groups=["teacher"], experiments=["label-free"])

    def f1_of(setting, seed, n, question, context):
        if setting is None:
            return 0.25
        return 0.75 if setting.method.alpha_ce else 0.5 + (n % 2) / 4 if setting.generations == 1 else 0.25

    write_results(params, f1_of)
    tests = experiments_section.read_results(params).tests
    assert set(tests["experiment"]) == {"label-free"}
    assert set(tests["against"]) == {"zero-shot"}
    found = tests.set_index("value")
    assert found["difference"].to_dict() == pytest.approx(
        {"labels": 50.0, "renewed teacher": 0.0, "fixed teacher": 37.5}
    )
    # a run of its own for each of two seeds, against the one reader that both have begun as
    assert set(found["seeds"]) == {2}
    assert found.loc["fixed teacher", "low"] > 0
    assert found["p_holm"].to_dict() == pytest.approx(
        dict(zip(found.index, significance.holm(found["p"].tolist()), strict=True))
    )


def test_what_wrong_answers_cost_is_compared_from_end_to_end(tmp_path):
    params = study(tmp_path, label_noise=[0.2, 0.4], few_ids=[0, 1])

    def f1_of(setting, seed, n, question, context):
        if setting is None:
            return 0.0
        if setting.method.coefficient is None:
            return 0.6 - setting.label_noise + 0.1 * (setting.parallel_ids == 0)
        # lower scores than cross-entropy's at every rate, and yet it loses less; per example on one half of the ids
        part = {"batch": 0.5, "example": 2.0 * (n % 2)}[setting.method.weighting]
        return 0.2 - part * setting.label_noise / 4 + 0.4 * (setting.parallel_ids == 0)

    write_results(params, f1_of)
    results = experiments_section.read_results(params)
    table = experiments_section.change_table(results)
    rows = table[table["experiment"] == "label-noise"].set_index("series")
    assert rows["change"].tolist() == pytest.approx([-40.0, -5.0, -10.0])
    assert (set(rows["start"]), set(rows["end"])) == ({0.0}, {0.4})
    assert rows.loc["SKD, mAP@10", ["difference", "low", "high"]].tolist() == pytest.approx([35.0] * 3)
    wide = rows.loc["windowed 1/rank, per example"]
    assert wide["difference"] == pytest.approx(30.0)
    assert 20 <= wide["low"] < 30 < wide["high"] <= 40
    few = table[table["experiment"] == "few-resource"]
    assert few[["start", "end"]].drop_duplicates().values.tolist() == [[1, "all"]]
    assert few["change"].tolist() == pytest.approx([10.0, 40.0])


def test_what_the_development_set_would_choose(tmp_path):
    params = study(tmp_path, temperatures=[4], ntl=[2], groups=["objective", "data"])

    def f1_of(setting, seed, n, question, context):
        return 0.0 if setting is None else setting.method.temperature / 10 + (setting.method.ntl == 2) * 0.05

    write_results(params, f1_of)
    table = experiments_section.selection_table(experiments_section.read_results(params)).set_index("method")
    # the reference, another temperature, another ntl, no cross-entropy, one weight per example
    assert table.loc["SKD, mAP@10", ["settings", "ntl", "temperature", "otherwise"]].tolist() == [5, 1, 4, ""]
    assert table.loc["SKD, mAP@10", "F1"] == pytest.approx(40.0)
    assert table.loc["CE", ["settings", "ntl"]].tolist() == [2, 2]
    assert table.loc["SKD, mAP@10", "study's temperature"] == 2.0


def test_without_a_choice_none_is_reported(tmp_path):
    empty = ("temperatures", "directions", "coefficients", "weighted_otherwise", "k", "windows")
    params = study(tmp_path, methods=["ce"], groups=["objective"], **{key: [] for key in empty})
    write_results(params, lambda setting, seed, n, question, context: 0.25)
    results = experiments_section.read_results(params)
    assert not experiments_section.is_choice(results)


def test_two_methods_may_choose_the_same_setting(tmp_path):
    params = study(tmp_path, coefficients=["average_precision_at_k"], weighted_otherwise=[])
    twin = replace(params.methods["skd-map"], label="SKD, AP@10", coefficient="average_precision_at_k")
    params = replace(params, methods=params.methods | {"skd-ap": twin})

    def f1_of(setting, seed, n, question, context):
        return 0.5 if setting and setting.method.coefficient == "average_precision_at_k" else 0.25

    write_results(params, f1_of)
    results = experiments_section.read_results(params)
    chosen = results.selection.set_index("method")["setting"]
    assert chosen["SKD, AP@10"] == chosen["SKD, mAP@10"] != chosen["SKD"]
    assert list(dict.fromkeys(experiments_section.selected_scores(results)["system"])) == [
        *("guess by kind", "zero-shot", "CE", "SKD", "SKD, mAP@10"),
        "SKD, AP@10",
    ]


@pytest.mark.slow
def test_what_is_best_on_another_set_alone_is_neither_chosen_nor_shown(tmp_path):
    """On the development set k 1 is best, on the test set temperature 4: only the first may be seen there."""
    params = study(tmp_path, temperatures=[4], k=[1])
    test, last = params.data.evaluation_sets[1:]

    def f1_of(setting, seed, n, question, context):
        if setting is None or setting.method.coefficient in (None, "constant"):
            return 0.25
        return 0.5 if setting.method.k == 1 else 0.4 if setting.method.temperature == 4 else 0.3

    def other_f1_of(name, setting, seed, n, question, context):
        if setting is None:
            return 0.0
        if setting.method.temperature == 4:
            return 1.0
        if setting.method.k != 1:
            return 0.9
        # 40 + 4 x seed in the same language, 20 across languages, half of both on the last set
        return (0.4 + 0.04 * seed if question == context else 0.2) / (1 if name == test else 2)

    write_results(params, f1_of, other_f1_of)
    results = experiments_section.read_results(params)
    chosen = row_of(experiments_section.selection_table(results), method="SKD, mAP@10")
    assert (chosen["otherwise"], chosen["temperature"], chosen["F1"]) == ("k 1", 2.0, pytest.approx(50.0))
    scores = experiments_section.selected_scores(results)
    assert list(dict.fromkeys(scores["set"])) == [test, last]
    assert list(dict.fromkeys(scores["system"])) == ["guess by kind", "zero-shot", "CE", "SKD", "SKD, mAP@10"]
    guess = row_of(scores, set=last, system="guess by kind", task="gxlt")
    assert (guess["em"], guess["f1"], guess["seeds"]) == (pytest.approx(37.5), pytest.approx(37.5), 1)
    xlt = row_of(scores, set=test, system="SKD, mAP@10", task="xlt")
    assert (xlt["f1"], xlt["f1_sd"], xlt["seeds"]) == (pytest.approx(46.0), pytest.approx(4 / 2**0.5), 2)
    across = row_of(scores, set=test, system="SKD, mAP@10", task="gxlt_off_diagonal")
    assert (across["f1"], across["f1_sd"]) == (pytest.approx(20.0), pytest.approx(0.0))
    every = row_of(scores, set=test, system="SKD, mAP@10", task="gxlt")
    assert every["f1"] == pytest.approx((3 * 46 + 2 * 20) / 5)
    # the setting that is best on the test set is in no table of it
    shown = {row["setting"] for row in scores.to_dict("records")} - {"zero-shot", "guess-by-kind"}
    assert shown == set(experiments_section.selection_table(results)["setting"])
    hidden = experiments.with_method(experiments.reference(params), temperature=4).key
    assert hidden in set(results.other_scores["setting"]) - shown
    assert scores.loc[scores["system"] == "SKD, mAP@10", "f1"].max() < 60
    assert experiments_section.is_choice(results)
    shown = experiments_section.readable_selection(results).set_index(["set", ""])
    assert shown.loc[(test, "SKD, mAP@10")].tolist() == ["46.0 ± 2.8", "35.6 ± 1.7", "20.0 ± 0.0"]
    assert shown.loc[(test, "zero-shot")].tolist() == ["0.0"] * 3
    # other scores of the other sets would choose the same
    write_results(params, f1_of)
    again = experiments_section.selection_table(experiments_section.read_results(params))
    assert again.equals(experiments_section.selection_table(results))


def test_exact_match_among_the_k_best(results):
    table = experiments_section.top_k_table(results)
    skd = table[(table["system"] == "SKD") & (table["language"] == "zh")].set_index("k")["em"]
    # right at once: 8 and 10 of 12; of the others every id with n % 3 == 1 is second, n % 3 == 2 fourth
    right = [[1 if n < 6 + 2 * seed else (n % 3) * 2 for n in range(12)] for seed in (1, 2)]
    for k in (1, 2, 4, 10):
        expected = sum(0 < rank <= k for ranks in right for rank in ranks) / 24 * 100
        assert skd[k] == pytest.approx(expected)
    assert set(table["system"]) == {"zero-shot", "CE", "SKD", "SKD, mAP@10"}


@pytest.mark.slow
def test_figures(tmp_path):
    """Curves of three values and more; all differences in one forest; nothing of one category or two points."""
    params = study(tmp_path, few_ids=[1, 2, 0], temperatures=[4], left_out=["zh"])
    write_results(params, by_hand)
    results = experiments_section.read_results(params)
    plt.close("all")
    with plt.rc_context({"figure.max_open_warning": 1}), warnings.catch_warnings():
        warnings.simplefilter("error")  # a second open figure is one
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        drawn = experiments_section.figures_of(results)
    assert set(drawn) == {"experiments", "ablation-few-resource", "ablation-top-k", "ablation-start-distribution"}
    assert not plt.get_fignums()
    curves = drawn["ablation-few-resource"].axes[0]
    lines = {line.get_label(): line.get_ydata()[0] for line in curves.lines if line.get_color() == "0.35"}
    assert lines == {"zero-shot": 0.0, "guess by kind": pytest.approx(37.5)}
    assert [label.get_text() for label in curves.get_xticklabels()] == ["1", "2", "3"]  # all ids are three
    assert curves.get_title(loc="left") == (
        "How many parallel ids does each method need?\nall language pairs of factbook-dev, 2 seeds"
    )
    rows = [label.get_text() for label in drawn["experiments"].axes[0].get_yticklabels()]
    assert rows[:1] == ["methods, against CE"]
    assert "left-out: zh, against trained on: zh" in rows
    for name, figure in drawn.items():
        figures.save(figure, tmp_path / name)


def test_what_the_pages_say(results):
    table = experiments_section.findings(results).set_index("experiment")
    assert table.loc["left-out", "holds"] == "1 of 1"
    assert table.loc["left-out", "finding"].startswith(
        "The one comparison is significant: left out: zh - trained on: zh -62.5 [-62.5, -62.5]"
    )
    tests = results.tests[results.tests["experiment"] == "methods"]
    holds = (tests["p_holm"] < 0.05).sum()
    assert table.loc["methods", "holds"] == f"{holds} of 2"
    assert "SKD, mAP@10 - CE +25.0 [+25.0, +25.0]" in table.loc["methods", "finding"]
    scores = experiments_section.readable_scores(results, "methods").set_index("")
    assert scores.loc["CE"].tolist() == ["as in the study", "50.0 ± 0.0", "40.0 ± 0.0"]
    text = words.page("appendix.md.j2", **page_values(results))
    assert "on 3 parallel ids drawn by the seed, with ntl 1" in text
    for experiment in experiments.all_experiments(results.params).values():
        assert f"### {experiment.question}" in text
    assert "nan" not in text


def page_values(results):
    """What `report.page` hands to the appendix, without the sets."""
    params, empty = results.params, pd.DataFrame(columns=["set", "language", "training", "examples"])
    names = ("against-ce", "against-zero-shot", "by-question-language", "by-question-language-against-ce")
    return {
        "params": params,
        "tables": dict.fromkeys([*names, "published", "choice", "runs", "leakage"], empty),
        "drawn": {},
        "sets": [],
        "development": "factbook-dev",
        "results": results,
        "reference": experiments.reference(params),
        "experiments": experiments.all_experiments(params),
        "experiment_scores": experiments_section.readable_scores,
        "selected": experiments_section.readable_selection(results),
    }


@pytest.mark.slow
def test_where_kinds_are_not_known_nothing_is_said_of_them(tmp_path):
    params = study(tmp_path, few_ids=[0])
    write_results(params, by_hand)
    real = replace(params, data=replace(params.data, source="real"))
    results = experiments_section.read_results(real)
    tables = experiments_section.tables(results)
    assert not [name for name, table in tables.items() if "guess" in table.to_csv().lower()]
    assert "guess-by-kind" not in set(experiments_section.comparison(real)[0]["experiment"])


def test_missing_results_are_an_error_and_the_comparison_says_so(tmp_path):
    params = study(tmp_path)
    write_results(params, by_hand)
    table, missing = experiments_section.comparison(params)
    assert missing == []
    assert table[table["experiment"] == "methods"]["f1"].tolist()[0] == pytest.approx(40.0)
    assert table.iloc[0][["experiment", "em", "seeds"]].tolist() == ["guess-by-kind", pytest.approx(37.5), 1]
    more = replace(params, seeds=[1, 2, 3])
    with pytest.raises(DataError, match="objective/seed-3 is missing: run `dvc repro`"):
        experiments_section.read_results(more)
    table, missing = experiments_section.comparison(more)
    assert len(missing) == 2
    assert missing[0].startswith("objective, seed 3: ")
    assert table["experiment"].tolist()[:2] == ["guess-by-kind", "zero-shot"]  # one reader each
    assert set(table["seeds"][2:]) == {2}
    empty, missing = experiments_section.comparison(study(tmp_path / "nowhere"))
    assert (len(empty), len(missing)) == (0, 4)


def test_the_command_compares_what_has_run(tmp_path, monkeypatch, capsys):
    from xqa_lib import __main__ as command_line
    from xqa_lib.study import params as parameters

    params = study(tmp_path)
    monkeypatch.setattr(parameters, "load_params", lambda source: params)
    assert command_line.main(["compare"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert sum(line.startswith("missing: ") for line in output.err.splitlines()) == 4
    assert "error: params.yaml: no experiment has run yet" in output.err
    write_results(params, by_hand)
    assert command_line.main(["compare"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert "| methods | CE | as in the study | 0.0 | 40.0 | 0.0 | 2 |" in output.out
    assert command_line.main(["compare", "--output", str(tmp_path / "table.csv")]) == 0
    assert capsys.readouterr().out == ""
    assert len(pd.read_csv(tmp_path / "table.csv")) == len(experiments_section.comparison(params)[0])


def test_what_chose_the_learning_rates(tmp_path):
    params = study(tmp_path, choice_seeds=[7, 8], learning_rates=[0.1, 0.2])
    choice = experiments.study_of(params, experiments.CHOICE)

    def f1_of(setting, seed, n, q, c):
        """CE is best at 0.2 over all pairs, and at 0.1 across languages; the other method the other way round."""
        if setting is None:
            return 0.0
        high = (setting.learning_rate == 0.2) == (setting.method.coefficient is None)
        same = 0.9 if high else 0.1
        return (same if q == c else 0.4 - 0.2 * high) + (0.02 if seed == 8 else 0.0)

    write_results(choice, f1_of)
    table = experiments_section.choice_table(params)
    assert table[["experiment", "series", "value", "best"]].values.tolist() == [
        ["learning-rate", "CE", 0.1, True],
        ["learning-rate", "CE", 0.2, False],
        ["learning-rate", "SKD, mAP@10", 0.1, False],
        ["learning-rate", "SKD, mAP@10", 0.2, True],
    ]
    # points of F1, three pairs in one language and two across, mean over both seeds
    assert table.loc[1, list(evaluation.TASKS)].tolist() == pytest.approx([91, 100 * (3 * 0.91 + 2 * 0.21) / 5, 21])
    assert len(experiments_section.choice_table(study(tmp_path))) == 0
