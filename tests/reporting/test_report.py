"""The report from small made-up results: every number by hand, every figure and link, one seed or several."""

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
MADE_ON = {"machine": {"processor": "x86_64", "cores": 2, "matrix_gflops": 210.0}, "versions": {"torch": "2"}}


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
    facts["ids"] = [f"{seed}-a", f"{seed}-b"]  # each seed draws its own
    write_json(layout.record_file(params, name), facts | MADE_ON)


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
    write_json(layout.record_file(params, "encoder"), {"minutes": 0.5} | MADE_ON)
    for name in ["zero-shot", *(f"{method}-seed-{seed}" for method, seed in F1)]:
        write_json(layout.record_file(params, f"scores-{name}"), {"minutes": 0.5, "tflop": 2.0} | MADE_ON)
    for group in params.sweeps.groups:
        for seed in (1, 2):  # one trained, and one that is only read
            settings = {"a": {"minutes": 1.0, "tflop": 3.0}, "b": {"student": "ce", "minutes": 0.0}}
            write_json(layout.experiments_folder(params, group, seed) / "run.json", {"settings": settings} | MADE_ON)


def no_experiments(params):
    """What `experiments_section.read_results` returns where nothing has run: its own tests are in a file of its own."""
    columns = ["experiment", "series", "value", "setting", "task", "f1", "f1_sd"]
    empty, selection = pd.DataFrame(columns=columns), pd.DataFrame({"settings": [1]})
    return SimpleNamespace(params=params, table=empty, tests=empty, changes=empty, selection=selection)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of made-up results of a study with two methods and two seeds; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "EVALUATION_SETS", SETS)
        patch.setattr(experiments_section, "read_results", no_experiments)
        patch.setattr(experiments_section, "figures_of", lambda results: {})
        patch.setattr(experiments_section, "tables", lambda results: {"ablations": pd.DataFrame({"experiment": ["x"]})})
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
    table = written.built.tables["scores"]
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
    by_language = written.built.tables["by-language"]
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
    table = written.built.tables["kinds"]
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


def test_one_system_s_scores_stand_beside_the_guess(written):
    params = written.built.params
    scores = evaluation.read_scores(layout.scores_file(params, "zero-shot"))
    row = row_of(report.summary_with_guess(params, scores), set="factbook-dev", task="xlt")
    assert (row["em"], row["f1"]) == pytest.approx((100 / 6, 25))
    assert (row["em_guess"], row["f1_guess"]) == pytest.approx((400 / 9, 400 / 9))
    real = replace(params, data=replace(params.data, source="real"))
    pd.testing.assert_frame_equal(report.summary_with_guess(real, scores), evaluation.summary(scores))


def test_comparisons(written):
    against_zero_shot, against_ce = (written.built.tables[f"against-{name}"] for name in ("zero-shot", "ce"))
    row = row_of(against_zero_shot, set="factbook-dev", task="xlt", system="skd")
    # means over seeds: 1, .75, .5 in both pairs, against 1, .5, 0 in en-en and 0, 0, 0 in de-de
    assert row["difference"] == pytest.approx(50.0)
    assert (row["n"], row["n_ids"], row["label"], row["baseline"]) == (6, 3, "SKD", "zero-shot")
    # the seeds' differences are 75 and 25, those of the ids, over both pairs, all 50: one degree of freedom (Cauchy)
    assert (row["n_pairs"], row["seeds"], row["standard_error"]) == (2, 2, pytest.approx(25))
    assert row["p"] == pytest.approx(1 - 2 / math.pi * math.atan(50 / 25))
    assert row["high"] == pytest.approx(50 + 25 * math.tan(0.95 * math.pi / 2))
    assert set(against_zero_shot["system"]) == {"ce", "skd"}
    row = row_of(against_ce, set="factbook-zero-shot", task="xlt", system="skd")
    assert row["difference"] == pytest.approx(0.0)
    assert set(against_ce["system"]) == {"skd"}
    assert len(against_ce) == 4


def test_runs(written):
    weights = HASH[:12]
    assert written.built.tables["runs"].values.tolist() == [
        ["reader (English)", 1, 0, 30, 6, 2.0, 16.25, weights],
        ["CE", 1, 2, 24, 6, 0.25, 0.5, weights],
        ["CE", 2, 2, 24, 6, 0.25, 0.5, weights],
        ["SKD", 1, 2, 24, 6, 0.25, 0.5, weights],
        ["SKD", 2, 2, 24, 6, 0.25, 0.5, weights],
    ]


def test_the_curves_that_dvc_draws(written):
    loss = written.built.tables["curve-loss"]
    assert loss.columns.tolist() == ["step", "ce", "skd"]
    assert loss.values.tolist() == [[step, 1.5, 1.5] for step in range(1, 7)]


def test_the_mean_matrix(written):
    matrix = report.mean_matrix(written.built, "factbook-dev", "skd")
    assert matrix.to_dict() == {"en": {"en": 75.0, "de": 75.0}, "de": {"en": 75.0, "de": 75.0}}
    matrix = report.mean_matrix(written.built, "factbook-dev", "zero-shot")
    assert matrix.to_dict() == {"en": {"en": 50.0, "de": 0.0}, "de": {"en": 0.0, "de": 0.0}}


def test_comparisons_by_question_language(written):
    table = written.built.tables["by-question-language"]
    row = row_of(table, set="factbook-dev", task="gxlt", question_lang="de", system="skd")
    # 1, .75, .5 over seeds in both passages, against 0 everywhere
    assert row["difference"] == pytest.approx(75.0)
    family = table[(table["set"] == "factbook-dev") & (table["task"] == "gxlt") & (table["system"] == "skd")]
    assert sorted(family["question_lang"]) == ["de", "en"]
    assert family["p_holm"].tolist() == pytest.approx(significance.holm(family["p"]).tolist())
    against_ce = written.built.tables["by-question-language-against-ce"]
    assert set(against_ce["system"]) == {"skd"}
    row = row_of(against_ce, set="factbook-dev", task="gxlt", question_lang="de")
    ce = row_of(table, set="factbook-dev", task="gxlt", question_lang="de", system="ce")
    assert row["difference"] == pytest.approx(75.0 - ce["difference"])


# ------------------------------------------------------------------------------------------------ figures


def test_figures_of_every_set(written):
    names = {
        *("forest", "against-zero-shot", "training-curves"),
        *("factbook-dev-heatmaps", "factbook-dev-differences"),  # one or two languages: no figure of them
    }
    assert set(written.drawn) == names
    saved = {path.name: path.stat().st_size for path in (written.folder / "figures").iterdir()}
    assert set(saved) == {f"{name}.{ending}" for name in names for ending in ("png", "svg")}
    assert min(saved.values()) > 5000


def panels(figure):
    return {ax.get_title(loc="left"): ax.collections[0] for ax in figure.axes if ax.get_title(loc="left")}


def test_heat_maps_are_of_every_system_on_one_scale(written):
    absolute = panels(written.drawn["factbook-dev-heatmaps"])
    assert list(absolute) == ["zero-shot", "CE", "SKD"]
    assert absolute["zero-shot"].get_array().data.ravel().tolist() == [50, 0, 0, 0]
    assert {mesh.get_clim() for mesh in absolute.values()} == {(0, 100)}
    differences = panels(written.drawn["factbook-dev-differences"])
    assert differences["CE - zero-shot"].get_array().data.ravel().tolist() == pytest.approx([0, 50, 50, 50])
    assert differences["SKD - CE"].get_array().data.ravel().tolist() == pytest.approx([25] * 4)
    assert {mesh.get_clim() for mesh in differences.values()} == {(-50, 50)}


def test_figures_say_what_they_answer_and_of_which_data(written):
    for name, figure in written.drawn.items():
        title = (
            (figure._suptitle or figure.axes[0]).get_text if figure._suptitle else figure.axes[0]._left_title.get_text
        )
        assert "?" in title()
        assert name == "forest" or re.search("factbook-dev|smoke-embedded", title())


def test_written_figures_are_closed(written):
    # pyplot keeps what is not closed, and warns of more than twenty
    assert written.drawn
    assert not {id(plt.figure(number)) for number in plt.get_fignums()} & {id(f) for f in written.drawn.values()}


def test_the_forest_is_of_the_sets_that_chose_nothing(written, monkeypatch):
    forest = report.forest_table(written.built)
    assert forest[["row", "label"]].values.tolist() == [
        ["smoke-embedded: factbook-zero-shot\nsame language, 2 ids, 2 seeds", "SKD"]
    ]
    # other studies, where their reports are in git
    monkeypatch.setattr(report, "IN_GIT", ("smoke-embedded", "xquad"))
    both = report.forest_table(written.built)
    rows = [row for row in both["row"] if row.startswith("xquad: mlqa-dev-reporting\nacross languages, ")]
    assert len(rows) == 2
    assert not both["row"].str.contains("mlqa-dev-choosing").any()


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
    assert axes[0].get_title(loc="left") == "SKD"
    # a coefficient that never moves has no panel
    assert [ax.get_ylabel() for ax in axes] == [figures.COLUMN_NAMES[name] for name in ("ce", "kl")]


# ------------------------------------------------------------------------------------------------ the page


def page_of(written, name="README.md"):
    return (written.folder / name).read_text(encoding="utf-8")


def test_the_pages_mention_every_figure_and_every_link_exists(written):
    pages = page_of(written) + page_of(written, "appendix.md")
    linked = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", pages)]
    drawn = {f"figures/{path.name}" for path in (written.folder / "figures").glob("*.png")}
    # those of the experiments are not drawn here
    assert {link for link in linked if link.endswith(".png")} - {
        *("figures/ablation-top-k.png", "figures/ablation-start-distribution.png")
    } == drawn
    assert [link for link in linked if not link.startswith("figures/") and not (written.folder / link).exists()] == []
    assert {"tables", "appendix.md", "README.md", "tables/scores.csv"} <= set(linked)
    (written.folder / "notebooks").mkdir()
    assert "(notebooks)" in report.page(written.built, written.drawn)
    (written.folder / "notebooks").rmdir()


def test_the_first_page_by_hand(written):
    page = page_of(written)
    first = page.split("## Scores")[0]
    assert len(first) < 2000
    # without a pair of two languages outside the development set the third sentence is the only one
    sentence = r"1\. With question and passage in the same language \(\*XLT\*\), CE changes F1 of zero-shot by \+25\.0 "
    assert re.search(sentence + r"\[-9\d\d\.\d, \+9\d\d\.\d\] on `factbook-zero-shot`\.", first)
    assert page.index("| `factbook-zero-shot` |") < page.index("| `factbook-dev` |")  # the development set last
    assert "| `factbook-dev` | zero-shot | 25.0 | 0.0 | 12.5 |" in page
    assert "|  | SKD | 75.0 ± 35.4 | 75.0 ± 35.4 | 75.0 ± 35.4 |" in page
    assert "|  | CE | 50.0 ± 0.0 |  |  |" in page  # where "all pairs" would repeat the one
    # ids beside rows; floors and ceiling once
    assert "| `factbook-dev` | 4 | 3 | 12 | MLQA | 100.0 | 44.4 | 66.7 |" in page
    assert page.count("perfect logits (ceiling)") == page.count("random span |") == 1
    assert (
        "| `factbook-zero-shot` | same language | 2 | 0 of 2 hold: +25.0 to +25.0 | No significant difference" in page
    )
    assert "| all | 17 | 12.0 | 46.2 | 64.2 |" in page  # trainings and readings
    assert "over 2 seeds (± standard deviation)" in page
    assert "One seed says nothing" not in page


def test_both_pages_are_whole(written):
    for name in ("README.md", "appendix.md"):
        page = page_of(written, name)
        assert page.endswith("\n")
        for word in ("nan", "None", "0.000"):
            assert word not in page
        # every table is whole: as many cells in each row as in its head
        for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_appendix_by_hand(written):
    page = page_of(written, "appendix.md")
    assert "| factbook-dev | XLT | SKD | 6 | 3 | 2 | +50.0 | [-267.7, +367.7] | 1.000 |" in page
    assert "| reader (English) | 1 | 0 | 30 | 6 | 2.0 | 16.2 | 0123456789ab |" in page
    assert "| factbook-dev | de | parallel | 3 | 1 | 0 | 0 |" in page
    assert "| factbook-dev | en | reader | 3 |" not in page  # nothing was seen there
    assert "|  | English (en) | German (de) |" in page
    assert "| SKD | 75.0 | 75.0 |" in page
    assert "| factbook-dev | xlt | SKD | 83.3 | 80.0 | 0.0 | 100.0 | 43.3 | False |" in page
    assert "0 of 2 differences from CE hold" in page


def test_the_tables_as_files(written):
    tables = {path.stem: pd.read_csv(path) for path in (written.folder / "tables").iterdir()}
    assert set(tables) == {
        *(
            "scores",
            "by-pair",
            "against-zero-shot",
            "against-ce",
            "by-language",
            "by-question-language",
            "runs",
            "records",
            "cost",
        ),
        *("by-question-language-against-ce", "leakage", "curve-loss", "curve-few-resource"),
        *("published", "ablations", "kinds", "choice", "named-tests"),
    }
    for name in ("kinds", "scores", "against-ce"):
        pd.testing.assert_frame_equal(tables[name], written.built.tables[name], check_dtype=False)


@pytest.mark.slow
def test_the_same_results_give_the_same_report(written, results, tmp_path):
    params = study(results)
    params = replace(params, paths=replace(params.paths, reports=str(tmp_path)))
    built = report.build(params)
    report.write(built, {"training-curves": report._curves(built)})
    for name in ("metrics.json", "tables/scores.csv", "tables/against-zero-shot.csv", "figures/training-curves.svg"):
        assert (tmp_path / name).read_bytes() == (written.folder / name).read_bytes()
    plt.close("all")


# ------------------------------------------------------------------------------------------------ other studies


@pytest.mark.slow
def test_one_seed_has_no_deviation(results):
    built = report.build(study(results, seeds=[1]))
    assert built.tables["scores"]["f1_sd"].isna().all()
    assert report.metrics(built)["factbook-dev"]["xlt"]["skd"] == {"em": 100.0, "f1": 100.0}
    page = report.page(built, {})
    assert "±" not in page
    assert "over one seed." in page
    assert "One seed says nothing of how another would do." in page
    assert set(built.tables["against-zero-shot"]["seeds"]) == {1}
    assert "|  | SKD | 100.0 | 100.0 | 100.0 |" in page


@pytest.mark.parametrize("trained", [["ce"], ["skd"]])
def test_one_method(trained, results, tmp_path):
    params = study(results, trained=trained)
    params = replace(params, paths=replace(params.paths, reports=str(tmp_path)))
    built = report.build(params)
    assert set(built.tables["against-zero-shot"]["system"]) == set(trained)
    assert len(built.tables["against-ce"]) == len(report.forest_table(built)) == 0
    drawn = {"training-curves": report._curves(built)}
    report.write(built, drawn)
    columns = pd.read_csv(tmp_path / "tables" / "against-ce.csv").columns.tolist()
    assert columns == built.tables["against-zero-shot"].columns.tolist()
    assert "forest.png" not in (tmp_path / "README.md").read_text(encoding="utf-8")
    # without a method that distils, the curve is that of the cross-entropy
    assert len([ax for ax in drawn["training-curves"].axes if ax.axison]) == (1 if trained == ["ce"] else 2)
    plt.close("all")


@pytest.mark.slow
def test_where_kinds_are_not_known_nothing_is_said_of_them(results):
    params = study(results)
    built = report.build(replace(params, data=replace(params.data, source="real")))
    for name in ("README.md", "appendix.md"):
        page = report.page(built, {}, name).lower()
        for word in ("guess", "kind", "chance", "nan"):
            assert word not in page
    assert "kinds" not in built.tables
    assert "guess-by-kind" not in report.metrics(built)["factbook-dev"]["xlt"]


PAIRS_OF_TWO = ("gxlt_off_diagonal", "xlt")


def test_the_three_sentences(results):
    """Numbers of a made-up test set with pairs of two languages; the verdict is that of the comparisons."""
    built = report.build(study(results))
    rows = [
        ("factbook-zero-shot", task, name, f1) for task in PAIRS_OF_TWO for name, f1 in (("zero-shot", 40), ("ce", 45))
    ]
    scores = pd.DataFrame(rows, columns=["set", "task", "system", "f1"])
    tests = pd.DataFrame(
        {"set": "factbook-zero-shot", "task": PAIRS_OF_TWO, "difference": 5.0, "low": 2.0, "high": 8.0}
    )
    tests = tests.assign(system="ce", label="CE", p_holm=0.0002)
    against_ce = tests.assign(system="skd", label="SKD", low=-0.41, difference=0.1, high=0.2, p_holm=0.4)
    tables = built.tables | {"scores": scores, "against-zero-shot": tests, "against-ce": against_ce}
    first, second, third = report.findings(replace(built, tables=tables))
    assert first.startswith(
        "Training on 2 parallel ids (questions with their translations) takes F1 with question and "
    )
    assert "from 40.0 (*zero-shot*: the English reader alone) to 45.0 (*CE*: cross-entropy on the" in first
    assert first.endswith("on `factbook-zero-shot`: +5.0 [+2.0, +8.0], significant (p < 0.001).")
    assert second.endswith(": no significant difference (one comparison); effects above 0.5 F1 are ruled out.")
    assert third.endswith("CE changes F1 of zero-shot by +5.0 [+2.0, +8.0] on `factbook-zero-shot`.")


def test_a_missing_score_file_is_named(results):
    params = study(results, seeds=[1, 2, 3])
    with pytest.raises(FileNotFoundError) as error:
        report.build(params)
    assert str(error.value.filename) == str(layout.scores_file(params, "ce-seed-3"))
