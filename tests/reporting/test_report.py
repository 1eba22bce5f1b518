"""The report from small made-up results: every number by hand, every figure and link, one seed or several."""

import dataclasses
import itertools
import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xqa_lib import significance
from xqa_lib.data import prepared
from xqa_lib.reading import evaluation
from xqa_lib.reporting import experiments_section, figures, report
from xqa_lib.running.files import write_json, write_text
from xqa_lib.study import layout
from xqa_lib.study.params import load_params

SMOKE = load_params("embedded/smoke")
DEV = [("en", "en"), ("de", "en"), ("en", "de"), ("de", "de")]  # (question, context)
SETS = {"factbook-dev": ("development", DEV), "factbook-zero-shot": ("zero_shot", [("ko", "ko")])}
IDS = {"factbook-dev": ["q1", "q2", "q3"], "factbook-zero-shot": ["k1", "k2"]}
# F1 of each id, in every language pair; EM is 1 where F1 is
F1 = {
    ("ce", 1): ([1.0, 0.0, 0.0], [1.0, 0.0]),
    ("ce", 2): ([1.0, 1.0, 0.0], [1.0, 0.0]),
    ("skd", 1): ([1.0, 1.0, 1.0], [1.0, 1.0]),
    ("skd", 2): ([1.0, 0.5, 0.0], [0.0, 0.0]),
}
ZERO_SHOT = {("en", "en"): [1.0, 0.5, 0.0], ("ko", "ko"): [0.0, 0.5]}  # 0 in the other pairs
HASH = "0123456789abcdef" * 4


def study(folder, **changes):
    paths = replace(SMOKE.paths, **{name: str(folder / name) for name in ("data", "runs", "results", "reports")})
    params = replace(SMOKE, paths=paths, data=replace(SMOKE.data, evaluation_sets=list(SETS)))
    return replace(params, **({"trained": ["ce", "skd"], "seeds": [1, 2]} | changes))


def write_scores(params, system, f1_of):
    rows = []
    for name, (_, pairs) in SETS.items():
        for pair in pairs:
            for example_id, f1 in zip(IDS[name], f1_of(name, pair), strict=True):
                # half right: another answer of the right kind
                text = {1.0: f"{pair[1]}{example_id}", 0.5: "Bamak"}.get(f1, "Numi Fas")
                rows.append((name, example_id, *pair, float(f1 == 1), f1, int(f1 == 1), text))
    evaluation.write_scores(layout.scores_file(params, system), pd.DataFrame(rows, columns=evaluation.COLUMNS))


def write_run(params, name, *, examples, seed, minutes, tflop, columns):
    log = pd.DataFrame(
        {"step": range(1, 7), "generation": [1, 1, 2, 2, 3, 3], "loss": 1.5} | dict.fromkeys(columns, 0.5)
    )
    write_text(layout.log_file(params, name), log.to_csv(index=False))
    facts = {"seed": seed, "examples": examples, "minutes": minutes, "tflop": tflop, "weights": HASH}
    facts |= {"machine": {"cores": 2}, "versions": {"torch": "2.13.0"}}
    facts["ids"] = [f"{seed}-a", f"{seed}-b"]  # each seed draws its own
    write_json(layout.record_file(params, name), facts)


def write_kinds(params):
    """What the passages state: two places, three for q1, one of them with the answer in it for k1 and k2; a person."""
    rows = [
        (name, example_id, context, kind, answer, int(answer == gold))
        for name, (_, pairs) in SETS.items()
        for context in dict.fromkeys(context for _, context in pairs)
        for example_id in IDS[name]
        for gold in [f"{context}{example_id}"]
        for kind, answer in [
            *(("place", gold), ("person", "Numi Fas")),
            ("place", "Bamak" if name == "factbook-dev" else f"{gold} Bamak"),
            *([("place", "Kori")] if example_id == "q1" else []),
        ]
    ]
    kinds = pd.DataFrame(rows, columns=prepared.KIND_COLUMNS)
    write_text(params.results_folder / "data" / "kinds.csv", kinds.to_csv(index=False))


def write_results(params):
    """What the stages leave, for the made-up scores."""
    write_kinds(params)
    leaks = pd.DataFrame(
        [("factbook-dev", "en", "reader", 3, 0, 0, 0), ("factbook-dev", "de", "parallel", 3, 1, 0, 0)],
        columns=["set", "language", "training", "examples", "id", "context", "title"],
    )
    write_text(params.results_folder / "data" / "leakage.csv", leaks.to_csv(index=False))
    write_scores(params, "zero-shot", lambda name, pair: ZERO_SHOT.get(pair, [0.0] * len(IDS[name])))
    for (method, seed), values in F1.items():
        write_scores(params, f"{method}-seed-{seed}", lambda name, pair, v=values: v[list(SETS).index(name)])
        columns = ["ce"] if method == "ce" else ["ce", "kl", "coefficient"]
        write_run(params, f"{method}-seed-{seed}", examples=24, seed=seed, minutes=0.25, tflop=0.5, columns=columns)
    write_scores(params, "random-span", lambda name, pair: [1.0] * len(IDS[name]))
    # everything right but the first answer
    write_scores(params, "ceiling", lambda name, pair: [0.0] + [1.0] * (len(IDS[name]) - 1))
    write_run(params, "reader", examples=30, seed=1, minutes=2.0, tflop=16.25, columns=["ce"])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of made-up results of a study with two methods and two seeds; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "EVALUATION_SETS", SETS)
        # what it makes of results is tested in a file of its own
        patch.setattr(experiments_section, "read_results", lambda params: None)
        patch.setattr(experiments_section, "figures_of", lambda results: {})
        patch.setattr(experiments_section, "tables", lambda results: {"ablations": pd.DataFrame({"experiment": ["x"]})})
        patch.setattr(experiments_section, "section", lambda results: ["## Experiments", ""])
        folder = tmp_path_factory.mktemp("results")
        write_results(study(folder))
        yield folder


@pytest.fixture(scope="module")
def written(results):
    """(report, figures) of that study, written to its folder."""
    built = report.build(study(results))
    drawn = report.figures_of(built)
    report.write(built, drawn)
    yield SimpleNamespace(built=built, drawn=drawn, folder=results / "reports")
    plt.close("all")


def row_of(table, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


# ------------------------------------------------------------------------------------------------ numbers

# (EM, F1) in points, mean over two seeds; pairs of a set weigh the same
BY_HAND = {
    "factbook-dev": {
        "xlt": {
            # zero-shot: 50 in en-en, 0 in de-de; only q1 is exact
            "zero-shot": (100 / 6, 25.0),
            "ce": (50.0, 50.0),  # 1/3 and 2/3
            "skd": ((100 + 100 / 3) / 2, 75.0),  # 100 and 50
            "random-span": (100.0, 100.0),
            "guess-by-kind": (400 / 9, 400 / 9),  # 1/3, 1/2 and 1/2
            "ceiling": (200 / 3, 200 / 3),
        },
        "gxlt": {
            "zero-shot": (100 / 12, 12.5),
            "ce": (50.0, 50.0),
            "skd": ((100 + 100 / 3) / 2, 75.0),
            "random-span": (100.0, 100.0),
            "guess-by-kind": (400 / 9, 400 / 9),  # 1/3, 1/2 and 1/2
            "ceiling": (200 / 3, 200 / 3),
        },
        "gxlt_off_diagonal": {
            "zero-shot": (0.0, 0.0),
            "ce": (50.0, 50.0),
            "skd": ((100 + 100 / 3) / 2, 75.0),
            "random-span": (100.0, 100.0),
            "guess-by-kind": (400 / 9, 400 / 9),  # 1/3, 1/2 and 1/2
            "ceiling": (200 / 3, 200 / 3),
        },
    },
    "factbook-zero-shot": {
        task: {
            "zero-shot": (0.0, 25.0),
            "ce": (50.0, 50.0),
            "skd": (50.0, 50.0),  # 100 and 0
            "random-span": (100.0, 100.0),
            "guess-by-kind": (50.0, 250 / 3),  # the other place has one word of two in common: 1 and 2/3
            "ceiling": (50.0, 50.0),
        }
        for task in ("xlt", "gxlt")
    },
}


def test_the_metrics_by_hand(written):
    found = json.loads((written.folder / "metrics.json").read_text(encoding="utf-8"))
    assert found == {
        name: {
            task: {system: {"em": round(em, 4), "f1": round(f1, 4)} for system, (em, f1) in systems.items()}
            for task, systems in tasks.items()
        }
        for name, tasks in BY_HAND.items()
    }


def test_deviations_are_over_seeds(written):
    table = written.built.table
    skd = row_of(table, set="factbook-dev", task="xlt", system="skd")
    assert skd["f1_sd"] == pytest.approx(50 / 2**0.5)  # of 100 and 50, n - 1
    assert skd["em_sd"] == pytest.approx((200 / 3) / 2**0.5)
    assert (skd["label"], skd["seeds"], skd["pairs"], skd["questions"]) == ("SKD", 2, 2, 6)
    gxlt = row_of(table, set="factbook-dev", task="gxlt", system="ce")
    assert (gxlt["label"], gxlt["pairs"], gxlt["questions"]) == ("CE", 4, 12)
    zero_shot = row_of(table, set="factbook-dev", task="xlt", system="zero-shot")
    assert (zero_shot["label"], zero_shot["seeds"]) == ("zero-shot", 1)
    assert pd.isna(zero_shot["f1_sd"])
    assert row_of(table, set="factbook-dev", task="xlt", system="random-span")["label"] == "random span"
    assert row_of(table, set="factbook-dev", task="xlt", system="guess-by-kind")["label"] == "guess by kind"


def test_scores_by_language(written):
    by_language = written.built.by_language
    assert set(by_language["system"]) == {"zero-shot", "ce", "skd", "guess-by-kind", "ceiling"}
    assert row_of(by_language, set="factbook-dev", language="de", system="guess-by-kind")["f1"] == pytest.approx(
        400 / 9
    )
    assert row_of(by_language, set="factbook-dev", language="de", system="ceiling")["f1"] == pytest.approx(200 / 3)
    assert row_of(by_language, set="factbook-dev", language="en", system="zero-shot")["f1"] == 50
    assert row_of(by_language, set="factbook-dev", language="de", system="zero-shot")["f1"] == 0
    assert row_of(by_language, set="factbook-dev", language="de", system="skd")["f1"] == 75
    assert row_of(by_language, set="factbook-zero-shot", language="ko", system="ce")["em"] == 50
    assert len(by_language) == 5 * 3


def test_how_often_a_system_knows_more_than_the_kind(written):
    table = written.built.kinds
    assert [len(table), *table[["set", "task", "label"]].iloc[0]] == [3 * 3 + 3, "factbook-dev", "xlt", "zero-shot"]
    zero_shot = row_of(table, set="factbook-dev", task="xlt", system="zero-shot")
    # of six answers one is right, and one of its kind
    assert zero_shot["right_kind"] == pytest.approx(100 / 3)
    assert zero_shot["right_given_kind"] == pytest.approx(50)
    assert zero_shot["chance"] == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)
    skd = row_of(table, set="factbook-dev", task="gxlt_off_diagonal", system="skd")
    # 3 and 1 of 3 right, 3 and 2 of 3 of the kind
    assert (skd["right_kind"], skd["right_given_kind"]) == pytest.approx((500 / 6, 80))
    assert (skd["low"], skd["high"], skd["above_chance"]) == (0, 100, False)  # two seeds that differ
    shown = report.shown_kinds(written.built)
    assert shown.loc[("factbook-dev", "across languages (G-XLT off-diagonal)", "SKD"), "right_given_kind"] == 80.0
    assert list(shown.columns) == ["right_kind", "right_given_kind", "low", "high", "chance", "above_chance"]


@pytest.mark.parametrize(
    ("above", "words"),
    [
        ([True, False, True], "above chance are CE, SKD; not above it: zero-shot."),
        ([False, False, False], "no system is above chance."),
        ([True, True, True], "above chance are CE, zero-shot, SKD, that is all systems."),
    ],
)
def test_transfer_is_claimed_where_it_is_above_chance(above, words):
    systems = pd.DataFrame({"set": "s", "label": ["CE", "zero-shot", "SKD"], "above_chance": above})
    others = systems.assign(above_chance=[not value for value in above])
    table = pd.concat([others.assign(task="xlt"), others.assign(task="gxlt"), systems.assign(task="gxlt_off_diagonal")])
    assert report.transfer(table, "s") == f"On `s`, across languages (G-XLT off-diagonal): {words}"
    # a set without pairs of languages shows whether a language that was not trained on is understood
    alone = pd.concat([systems.assign(task="xlt"), others.assign(set="other", task="xlt")])
    assert report.transfer(alone, "s") == f"On `s`, same language (XLT): {words}"


def test_one_system_s_scores_stand_beside_the_guess(written):
    params = written.built.params
    scores = evaluation.read_scores(layout.scores_file(params, "zero-shot"))
    row = row_of(report.summary_with_guess(params, scores), set="factbook-dev", task="xlt")
    assert (row["em"], row["f1"]) == pytest.approx((100 / 6, 25))
    assert (row["em_guess"], row["f1_guess"]) == pytest.approx((400 / 9, 400 / 9))
    real = replace(params, data=replace(params.data, source="real"))
    pd.testing.assert_frame_equal(report.summary_with_guess(real, scores), evaluation.summary(scores))


def test_comparisons(written):
    built = written.built
    row = row_of(built.against_zero_shot, set="factbook-dev", task="xlt", system="skd")
    # means over seeds: 1, .75, .5 in both pairs, against 1, .5, 0 in en-en and 0, 0, 0 in de-de
    assert row["difference"] == pytest.approx(50.0)
    assert (row["n"], row["n_ids"], row["label"], row["baseline"]) == (6, 3, "SKD", "zero-shot")
    # the seeds' differences are 75 and 25, those of the ids, over both pairs, all 50: one degree of freedom (Cauchy)
    assert (row["n_pairs"], row["seeds"], row["standard_error"]) == (2, 2, pytest.approx(25))
    assert row["p"] == pytest.approx(1 - 2 / math.pi * math.atan(50 / 25))
    assert row["high"] == pytest.approx(50 + 25 * math.tan(0.95 * math.pi / 2))
    assert set(built.against_zero_shot["system"]) == {"ce", "skd"}
    row = row_of(built.against_ce, set="factbook-zero-shot", task="xlt", system="skd")
    assert row["difference"] == pytest.approx(0.0)
    assert set(built.against_ce["system"]) == {"skd"}
    assert len(built.against_ce) == 4


def test_runs(written):
    weights = HASH[:12]
    assert written.built.minutes.values.tolist() == [
        ["reader (English)", 1, 0, 30, 6, 2.0, 16.25, weights],
        ["CE", 1, 2, 24, 6, 0.25, 0.5, weights],
        ["CE", 2, 2, 24, 6, 0.25, 0.5, weights],
        ["SKD", 1, 2, 24, 6, 0.25, 0.5, weights],
        ["SKD", 2, 2, 24, 6, 0.25, 0.5, weights],
    ]


def test_the_mean_matrix(written):
    matrix = report.mean_matrix(written.built, "factbook-dev", "skd")
    assert matrix.to_dict() == {"en": {"en": 75.0, "de": 75.0}, "de": {"en": 75.0, "de": 75.0}}
    matrix = report.mean_matrix(written.built, "factbook-dev", "zero-shot")
    assert matrix.to_dict() == {"en": {"en": 50.0, "de": 0.0}, "de": {"en": 0.0, "de": 0.0}}


def test_what_the_notebook_shows(written):
    overview = report.score_overview(written.built)
    shown = overview.loc[("factbook-dev", "across languages (G-XLT off-diagonal)", "SKD")]
    assert shown.to_dict() == {"em": 66.7, "em_sd": 47.1, "f1": 75.0, "f1_sd": 35.4, "seeds": 2, "pairs": 2}
    comparison = report.shown(written.built.against_zero_shot)
    assert comparison.loc[("factbook-dev", "xlt", "SKD"), "difference"] == 50.0
    assert list(comparison.columns) == ["n", "n_ids", "seeds", "difference", "low", "high", "p_holm", "p_wilcoxon"]


def test_comparisons_by_question_language(written):
    table = written.built.by_question_language
    row = row_of(table, set="factbook-dev", task="gxlt", question_lang="de", system="skd")
    # 1, .75, .5 over seeds in both passages, against 0 everywhere
    assert row["difference"] == pytest.approx(75.0)
    family = table[(table["set"] == "factbook-dev") & (table["task"] == "gxlt") & (table["system"] == "skd")]
    assert sorted(family["question_lang"]) == ["de", "en"]
    assert family["p_holm"].tolist() == pytest.approx(significance.holm(family["p"]).tolist())
    # two seeds are not enough, whatever Wilcoxon's test says of the questions
    assert " 0 of 2 differences from zero-shot hold. " in report.languages_that_differ(
        family.assign(p_wilcoxon=0.001), "zero-shot", "by-question-language"
    )
    losses = family.assign(p_holm=0.01, difference=-5.0)
    assert report.languages_that_differ(losses, "zero-shot", "by-question-language").startswith(
        "By question language (all passages; Holm over the languages of a set and method): 2 of 2 differences from "
        "zero-shot hold, 2 of them losses: SKD on factbook-dev in en, SKD on factbook-dev in de. All rows:"
    )
    against_ce = written.built.by_question_language_against_ce
    assert set(against_ce["system"]) == {"skd"}
    row = row_of(against_ce, set="factbook-dev", task="gxlt", question_lang="de")
    ce = row_of(table, set="factbook-dev", task="gxlt", question_lang="de", system="ce")
    assert row["difference"] == pytest.approx(75.0 - ce["difference"])


def test_tables_are_there_for_machines_and_for_people(written):
    found = {path.name for path in (written.folder / "tables").iterdir()}
    names = {path.rsplit(".", 1)[0] for path in found}
    assert found == {f"{name}.{ending}" for name in names for ending in ("csv", "md")}
    assert {"scores", "by-question-language", "published", "leakage", "ablations", "kinds"} <= names


# ------------------------------------------------------------------------------------------------ figures


def test_heat_maps_of_exact_match(written):
    absolute, *_ = [ax for ax in written.drawn["factbook-dev-heatmaps-em"].axes if ax.get_title()]
    assert absolute.collections[0].get_array().data.ravel().tolist() == pytest.approx([100 / 3, 0, 0, 0])
    assert absolute.collections[0].colorbar.ax.get_ylabel() == "EM (points)"


def test_figures_of_every_set(written):
    names = {
        *("factbook-dev-heatmaps", "factbook-dev-heatmaps-em", "factbook-dev-methods", "factbook-dev-languages"),
        *("factbook-zero-shot-methods", "factbook-zero-shot-languages"),  # one language each: no matrix
        "training-curves",
    }
    assert set(written.drawn) == names
    saved = {path.name: path.stat().st_size for path in (written.folder / "figures").iterdir()}
    assert set(saved) == {f"{name}.{ending}" for name in names for ending in ("png", "svg")}
    assert min(saved.values()) > 5000


def test_heat_maps_of_differences_share_one_scale(written):
    panels = [ax for ax in written.drawn["factbook-dev-heatmaps"].axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == [
        "zero-shot",
        "CE: change from zero-shot",
        "SKD: change from zero-shot",
    ]
    absolute, *differences = [ax.collections[0] for ax in panels]
    assert absolute.get_array().data.ravel().tolist() == [50, 0, 0, 0]
    assert differences[0].get_array().data.ravel().tolist() == [0, 50, 50, 50]
    assert differences[1].get_array().data.ravel().tolist() == [25, 75, 75, 75]
    assert [mesh.get_clim() for mesh in differences] == [(-75, 75)] * 2


def test_figures_show_the_guess_by_kind(written):
    for name, metric in (("heatmaps", "F1"), ("heatmaps-em", "EM")):
        assert written.drawn[f"factbook-dev-{name}"]._suptitle.get_text() == (
            f"factbook-dev: {metric} by question and context language, mean over 2 seeds (guess by kind: 44.4)"
        )
    dotted = [line for line in written.drawn["factbook-zero-shot-methods"].axes[0].lines if line.get_linestyle() == ":"]
    assert [(line.get_label(), line.get_xdata()[0]) for line in dotted] == [("guess by kind", pytest.approx(250 / 3))]
    labels = written.drawn["factbook-dev-languages"].axes[0].get_legend_handles_labels()[1]
    assert labels == ["zero-shot", "CE", "SKD", "guess by kind"]


def test_written_figures_are_closed(written):
    # pyplot keeps what is not closed, and warns of more than twenty
    assert written.drawn
    assert not {id(plt.figure(number)) for number in plt.get_fignums()} & {id(f) for f in written.drawn.values()}


def test_intervals_are_those_of_the_comparison(written):
    panels = written.drawn["factbook-dev-methods"].axes
    assert [ax.get_title() for ax in panels[1:]] == [
        "change from zero-shot\nsame language (XLT)",
        "change from zero-shot\nacross languages (G-XLT off-diagonal)",
    ]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["zero-shot", "CE", "SKD"]
    assert [text.get_text() for text in panels[1].get_yticklabels()] == ["CE", "SKD"]
    assert len(written.drawn["factbook-zero-shot-methods"].axes) == 2


def test_no_text_lies_on_another(written):
    """Titles, labels, legends and numbers of a figure keep apart."""
    for name, figure in written.drawn.items():
        FigureCanvasAgg(figure).draw()  # `report.write` closed it, and with it the canvas that pyplot had given it
        pieces = [figure._suptitle] if figure._suptitle else []
        for ax in figure.axes:
            if ax.axison:
                pieces += [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, ax.get_legend()]
                pieces += [
                    text for text in [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels()] if text.get_text()
                ]
        boxes = [
            (piece, piece.get_window_extent())
            for piece in pieces
            if piece is not None and piece.get_visible() and getattr(piece, "get_text", lambda: "legend")()
        ]
        for (first, one), (second, other) in itertools.combinations(boxes, 2):
            assert not one.padded(-1).overlaps(other.padded(-1)), (name, first, second)


def test_training_curves_are_of_the_methods_that_distil(written):
    axes = written.drawn["training-curves"].axes
    assert len(axes) == 3
    assert axes[0].get_title(loc="left") == "SKD, seed 1"
    assert [ax.get_ylabel() for ax in axes] == [figures.COLUMN_NAMES[name] for name in ("ce", "kl", "coefficient")]


# ------------------------------------------------------------------------------------------------ the page


def page_of(written):
    return (written.folder / "README.md").read_text(encoding="utf-8")


def test_the_page_mentions_every_figure_and_every_link_exists(written):
    page = page_of(written)
    linked = re.findall(r"\]\(([^)]+)\)", page)
    assert {f"figures/{path.name}" for path in (written.folder / "figures").glob("*.png")} == {
        link for link in linked if link.endswith(".png")
    }
    assert [link for link in linked if not (written.folder / link).exists()] == []
    assert "tables" in linked
    (written.folder / "notebooks").mkdir()
    assert "(notebooks)" in report.page(written.built, written.drawn)
    (written.folder / "notebooks").rmdir()


def test_the_page_s_numbers(written):
    page = page_of(written)
    assert "# Results of the study `smoke-embedded`" in page
    assert "over 2 seeds (1, 2)" in page
    assert "`factbook-dev` is the development set" in page
    assert "how the settings were chosen" in page
    assert "6 questions with question and context in one language, of 2 languages; metric: MLQA." in page
    assert "2 questions with question and context in one language, of 1 language; metric: SQuAD v1.1." in page
    dev, zero_shot = page.split("## factbook-zero-shot")
    assert "| zero-shot | 16.7 | 25.0 | 8.3 | 12.5 | 0.0 | 0.0 |" in dev
    assert "| SKD | 66.7 ± 47.1 | 75.0 ± 35.4 | 66.7 ± 47.1 | 75.0 ± 35.4 | 66.7 ± 47.1 | 75.0 ± 35.4 |" in dev
    assert "| CE | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 0.0 |" in zero_shot
    assert "| factbook-dev | same language (XLT) | SKD | 6 | 3 | 2 | +50.0 | [-267.7, +367.7] | 1.000 |" in page
    assert "One seed says nothing" not in page
    assert "against zero-shot" in page
    assert "against CE" in page
    assert "| reader (English) | 1 | 0 | 30 | 6 | 2.0 | 16.2 | 0123456789ab |" in page
    assert "| factbook-dev | de | parallel | 3 | 1 | 0 | 0 |" in page
    assert "| perfect logits (ceiling) | 66.7 | 66.7 |" in dev
    assert "| guess by kind | 44.4 | 44.4 | 44.4 | 44.4 | 44.4 | 44.4 |" in dev
    assert "| guess by kind | 44.4 | 44.4 |" in dev  # by language
    assert "*Guess by kind*, the floor, knows what kind of answer is asked for" in page
    assert "| factbook-dev | same language (XLT) | SKD | 83.3 | 80.0 | [0.0, 100.0] | 43.3 |" in page
    # one answer of the right kind, and right, claims nothing
    assert "| factbook-zero-shot | same language (XLT) | CE | 50.0 | 100.0 | [2.5, 100.0] | 50.0 |" in page
    assert "On `factbook-zero-shot`, same language (XLT): no system is above chance." in page
    assert "| SKD | 75.0 | 75.0 |" in dev  # by language
    assert "By question language (all passages; Holm over the languages of a set and method): " in page
    assert "No evaluation set of this study has the questions of a published score" in page
    assert "## Experiments" in page
    assert "nan" not in page.lower()
    assert page.endswith("\n")
    # every table is whole: as many cells in each row as in its head
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_tables_as_files(written):
    tables = {path.stem: pd.read_csv(path) for path in (written.folder / "tables").glob("*.csv")}
    assert set(tables) == {
        *("scores", "against-zero-shot", "against-ce", "by-language", "by-question-language", "runs", "records"),
        *("by-question-language-against-ce", "leakage"),
        *("published", "ablations", "kinds", "choice", "named-tests"),
    }
    pd.testing.assert_frame_equal(tables["kinds"], written.built.kinds, check_dtype=False)
    pd.testing.assert_frame_equal(tables["scores"], written.built.table, check_dtype=False)
    pd.testing.assert_frame_equal(tables["against-ce"], written.built.against_ce, check_dtype=False)
    assert len(tables["runs"]) == len(tables["records"]) == 5


@pytest.mark.slow
def test_the_same_results_give_the_same_report(written, results, tmp_path):
    params = study(results)
    params = replace(params, paths=replace(params.paths, reports=str(tmp_path)))
    built = report.build(params)
    report.write(built, {"training-curves": report._curves(built)})
    for name in ("metrics.json", "tables/scores.csv", "tables/against-zero-shot.csv", "figures/training-curves.svg"):
        assert (tmp_path / name).read_bytes() == (written.folder / name).read_bytes()
    plt.close("all")


# ------------------------------------------------------------------------------------------------ smaller studies


@pytest.mark.slow
def test_one_seed_has_no_deviation(results, tmp_path):
    params = study(results, seeds=[1])
    params = replace(params, paths=replace(params.paths, reports=str(tmp_path)))
    built = report.build(params)
    drawn = report.figures_of(built)
    report.write(built, {"training-curves": drawn["training-curves"]})
    assert built.table["f1_sd"].isna().all()
    assert report.metrics(built)["factbook-dev"]["xlt"]["skd"] == {"em": 100.0, "f1": 100.0}
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "±" not in page
    assert "one seed (1)" in page
    assert "One seed says nothing of how another would do." in page
    assert set(built.against_zero_shot["seeds"]) == {1}
    assert "nan" not in page.lower()
    assert "| SKD | 100.0 | 100.0 |" in page
    plt.close("all")


@pytest.mark.parametrize("trained", [["ce"], ["skd"]])
def test_one_method(trained, results, tmp_path):
    params = study(results, trained=trained)
    params = replace(params, paths=replace(params.paths, reports=str(tmp_path)))
    built = report.build(params)
    assert set(built.against_zero_shot["system"]) == set(trained)
    assert len(built.against_ce) == len(report.shown(built.against_ce)) == 0
    drawn = {"training-curves": report._curves(built)}
    report.write(built, drawn)
    assert pd.read_csv(tmp_path / "tables" / "against-ce.csv").columns.tolist() == list(built.against_zero_shot.columns)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "against CE" not in page
    # without a method that distils, the curve is that of the cross-entropy
    visible = [ax for ax in drawn["training-curves"].axes if ax.axison]
    assert len(visible) == (1 if trained == ["ce"] else 3)
    plt.close("all")


@pytest.mark.slow
def test_where_kinds_are_not_known_nothing_is_said_of_them(results, tmp_path):
    params = study(results)
    params = replace(params, paths=replace(params.paths, reports=str(tmp_path)))
    params = replace(params, data=replace(params.data, source="real"))
    built = report.build(params)
    drawn = report.figures_of(built)
    report.write(built, drawn)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    for word in ("guess", "kind", "chance", "nan"):
        assert word not in page.lower()
    assert report.shown_kinds(built) is None
    assert not list((tmp_path / "tables").glob("kinds.*"))
    assert "guess-by-kind" not in report.metrics(built)["factbook-dev"]["xlt"]
    assert drawn["factbook-dev-heatmaps"]._suptitle.get_text().endswith("mean over 2 seeds")
    assert not [line for line in drawn["factbook-dev-methods"].axes[0].lines if line.get_linestyle() == ":"]
    plt.close("all")


def test_a_missing_score_file_is_named(results):
    params = study(results, seeds=[1, 2, 3])
    with pytest.raises(FileNotFoundError) as error:
        report.build(params)
    assert str(error.value.filename) == str(layout.scores_file(params, "ce-seed-3"))


def test_labels(results):
    params = study(results)
    assert [report.label(params, name) for name in ("zero-shot", "random-span", "ce", "skd")] == [
        *("zero-shot", "random span", "CE"),
        "SKD",
    ]
    renamed = replace(
        params, methods={**params.methods, "skd": dataclasses.replace(params.methods["skd"], label="T=4")}
    )
    assert report.label(renamed, "skd") == "T=4"
