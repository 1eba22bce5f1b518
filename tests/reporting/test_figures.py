"""The figures show the numbers they are given, in the order and under the labels that the text promises."""

import functools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from xqa_lib.errors import DataError
from xqa_lib.languages import PARALLEL
from xqa_lib.reporting import figures


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def colour_bar(ax):
    return ax.collections[0].colorbar


MATRIX = pd.DataFrame([[10.04, 20, np.nan], [40, 50, 61.26], [70, 8, 9]], ["zh", "en", "ar"], ["en", "zh", "ar"])


# Heat maps


def test_gxlt_heatmap_orders_languages_and_annotates():
    ax = figures.gxlt_heatmap(MATRIX)
    assert ticks(ax.yaxis) == ticks(ax.xaxis) == ["en", "ar", "zh"]
    shown = ax.collections[0].get_array()
    assert shown.filled(-1).ravel().tolist() == [40, 61.26, 50, 70, 9, 8, 10.04, -1, 20]
    assert texts(ax) == ["40.0", "61.3", "50.0", "70.0", "9.0", "8.0", "10.0", "20.0"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("context language", "question language")
    assert colour_bar(ax).ax.get_ylabel() == "F1 (points)"
    assert ax.collections[0].get_clim() == (0, 70)
    # a cell without a value lets the grey background through
    assert ax.get_facecolor() == to_rgba("0.82")
    assert ax.yaxis_inverted()  # first row on top


def test_gxlt_heatmap_limits_and_metric():
    ax = figures.gxlt_heatmap(MATRIX + 0.5, metric="EM")
    assert ax.collections[0].get_clim() == (0, 71)
    assert colour_bar(ax).ax.get_ylabel() == "EM (points)"
    assert figures.gxlt_heatmap(MATRIX, vmax=80).collections[0].get_clim() == (0, 80)


def test_gxlt_heatmap_of_differences_is_centred_at_zero():
    difference = pd.DataFrame([[1.26, -3.4], [-0.04, 0.0]], ["en", "es"], ["en", "es"])
    ax = figures.gxlt_heatmap(difference, difference=True)
    assert texts(ax) == ["+1.3", "−3.4", "0.0", "0.0"]
    assert ax.collections[0].get_clim() == (-4, 4)
    assert colour_bar(ax).ax.get_ylabel() == "difference in F1 (points)"
    mesh = ax.collections[0]
    red, _, blue = mesh.cmap(mesh.norm(4.0))[:3]
    assert blue > red
    assert mesh.cmap(mesh.norm(0.0))[:3] == pytest.approx((0.97, 0.97, 0.97), abs=0.01)
    assert figures.gxlt_heatmap(difference, difference=True, vmax=10).collections[0].get_clim() == (-10, 10)


def test_heatmap_texts_are_readable():
    ax = figures.gxlt_heatmap(pd.DataFrame([[0.0, 100.0]], ["en"], ["en", "es"]))
    assert [text.get_color() for text in ax.texts] == ["black", "white"]


def test_gxlt_heatmap_of_nothing_but_gaps():
    ax = figures.gxlt_heatmap(pd.DataFrame(np.nan, ["en", "es"], ["en", "es"]))
    assert texts(ax) == []
    assert ax.collections[0].get_clim() == (0, 1)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (
            pd.DataFrame([[-1.5]], ["en"], ["en"]),
            r"^scores must be points in 0\.\.100, got -1\.5; draw differences with difference=True$",
        ),
        (
            pd.DataFrame([[1.0], [2.0]], ["en", "en"], ["en"]),
            r"^matrix names row 'en' twice; one language, one row$",
        ),
        (
            pd.DataFrame([[1.0, 2.0]], ["en"], ["de", "de"]),
            r"^matrix names column 'de' twice; one language, one column$",
        ),
    ],
)
def test_gxlt_heatmap_wrong_matrix(matrix, message):
    with pytest.raises(ValueError, match=message):
        figures.gxlt_heatmap(matrix)


def test_other_languages_come_after_those_of_the_study():
    ax = figures.gxlt_heatmap(pd.DataFrame([[1.0, 2.0, 3.0]], ["x-mine"], ["fr", "en", "ca"]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["en", "ca", "fr"]
    assert texts(ax) == ["2.0", "3.0", "1.0"]


def test_gxlt_heatmap_unknown_language():
    with pytest.raises(DataError, match=r"^unknown language 'EN': expected a code such as "):
        figures.gxlt_heatmap(pd.DataFrame([[1.0]], ["EN"], ["en"]))


def test_pair_counts():
    pairs = [("a", "zh", "en"), ("b", "zh", "en"), ("a", "en", "en"), *[(str(i), "es", "es") for i in range(1200)]]
    for given in (pairs, pd.DataFrame(pairs, columns=["id", "question_lang", "context_lang"])):
        ax = figures.pair_counts(given)
        assert ticks(ax.yaxis) == ticks(ax.xaxis) == ["en", "es", "zh"]
        assert ax.collections[0].get_array().filled(0).tolist() == [[1, 0, 0], [0, 1200, 0], [2, 0, 0]]
        assert texts(ax) == ["1", "1,200", "2"]
        assert colour_bar(ax).ax.get_ylabel() == "sampled examples"
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("context language", "question language")


def test_pair_counts_of_nothing():
    with pytest.raises(ValueError, match=r"^pairs is empty; there is nothing to draw$"):
        figures.pair_counts([])


# Methods


def test_method_intervals():
    table = pd.DataFrame({"label": ["SKD", "CE"], "difference": [2.0, 0.5], "low": [1.0, -0.5], "high": [3.5, 1.5]})
    ax = figures.method_intervals(table)
    zero, *marks = ax.lines
    assert zero.get_xdata() == [0, 0]
    assert [mark.get_xydata().tolist() for mark in marks] == [
        [[1.0, 0], [3.5, 0]],
        [[2.0, 0]],
        [[-0.5, 1], [1.5, 1]],
        [[0.5, 1]],
    ]
    assert ticks(ax.yaxis) == ["SKD", "CE"]
    assert ax.yaxis_inverted()  # the first row on top
    assert ax.get_xlabel() == "difference in F1 (points)"
    # hollow where the interval holds 0
    assert marks[1].get_markerfacecolor() == marks[1].get_color()
    assert marks[3].get_markerfacecolor() == "white"


def test_method_intervals_end_where_differences_do():
    table = pd.DataFrame({"label": ["SKD", "CE"], "difference": [2.0, 0.5], "low": [-900.0, -0.5], "high": [80.0, 1.5]})
    left, right = figures.method_intervals(table).get_xlim()
    assert left == -105
    assert 80 < right <= 105


def test_scores_by_method():
    table = pd.DataFrame(
        [
            ("SKD", "gxlt_off_diagonal", 0, 50.0),
            ("SKD", "gxlt_off_diagonal", 1, 53.0),
            ("SKD", "xlt", 0, 60.0),
            ("SKD", "xlt", 1, 61.0),
            ("base", "xlt", 0, 40.0),
        ],
        columns=["label", "task", "seed", "f1"],
    )
    ax = figures.scores_by_method(table)
    assert legend(ax) == ["same language (XLT)", "across languages (G-XLT off-diagonal)"]
    assert ticks(ax.yaxis) == ["SKD", "base"]
    seeds_xlt, mean_xlt, seeds_gxlt, mean_gxlt = ax.lines
    assert seeds_xlt.get_xdata().tolist() == [60, 61, 40]
    assert mean_xlt.get_xdata().tolist() == [60.5, 40]
    assert seeds_gxlt.get_xdata().tolist() == [50, 53]
    assert mean_gxlt.get_xdata().tolist() == [51.5]
    assert seeds_xlt.get_ydata() == pytest.approx([-0.15, -0.15, 0.85])
    assert mean_gxlt.get_ydata() == pytest.approx([0.15])
    assert seeds_xlt.get_marker() != seeds_gxlt.get_marker()
    assert ax.get_xlabel() == "F1 (points; large: mean over seeds, small: one seed)"


def test_scores_by_method_with_a_floor():
    table = pd.DataFrame({"label": "SKD", "task": ["xlt", "gxlt_off_diagonal"], "seed": 1, "f1": [60.0, 40.0]})
    ax = figures.scores_by_method(table, floor={"xlt": 41.0, "gxlt": 44.0, "gxlt_off_diagonal": 42.0})
    lines = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in lines] == [41.0, 42.0]
    # in the colours of the tasks, and named once
    assert [line.get_color() for line in lines] == [ax.lines[n].get_color() for n in (0, 2)]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == [figures.TASK_NAMES["xlt"], figures.TASK_NAMES["gxlt_off_diagonal"], "guess by kind"]
    assert not [line for line in figures.scores_by_method(table, floor={}).lines if line.get_linestyle() == ":"]


def test_scores_by_method_unknown_task():
    table = pd.DataFrame({"label": ["SKD"], "task": ["XLT"], "seed": [0], "f1": [1.0]})
    with pytest.raises(ValueError, match=r"^unknown task 'XLT': expected xlt, gxlt_off_diagonal, gxlt$"):
        figures.scores_by_method(table)


def test_xlt_by_language():
    table = pd.DataFrame(
        [("SKD", "th", 30.0), ("SKD", "en", 70.0), ("base", "en", 65.0), ("base", "zh", 40.0), ("SKD", "zh", 45.0)],
        columns=["label", "language", "f1"],
    )
    ax = figures.xlt_by_language(table)
    assert ticks(ax.xaxis) == ["en", "zh", "th"]
    marks = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert legend(ax) == list(marks) == ["SKD", "base"]
    assert marks["SKD"].get_ydata().tolist() == [30, 70, 45]
    assert marks["SKD"].get_xdata().round().tolist() == [2, 0, 1]
    assert marks["base"].get_ydata().tolist() == [65, 40]
    assert (marks["base"].get_xdata() > [0, 1]).all()  # beside SKD, not on top of it
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("language of question and context", "F1 (points)")


def test_xlt_by_language_refuses_seeds():
    table = pd.DataFrame({"label": ["SKD"] * 2, "language": ["en"] * 2, "f1": [1.0, 2.0]})
    message = r"^table has more than one row for 'SKD', 'en'; average over the seeds first$"
    with pytest.raises(ValueError, match=message):
        figures.xlt_by_language(table)


# Curves

LOG = pd.DataFrame(
    {
        "step": np.arange(1, 121),
        "generation": np.repeat([1, 2, 3], 40),
        "ce": np.tile([1.0, 3.0], 60),
        "kl": np.repeat([0.0, 6.0, 12.0], 40),
        "loss": np.linspace(3, 1, 120),
    }
)


def test_training_curves():
    axes = figures.training_curves(LOG)
    assert [ax.get_ylabel() for ax in axes] == ["cross-entropy\n(nats)", "KL × T²\n(nats)"]  # no coefficient in the log
    for ax, column in zip(axes, ["ce", "kl"], strict=True):
        raw, smooth, *borders = ax.lines
        assert raw.get_xydata().tolist() == LOG[["step", column]].to_numpy().tolist()
        assert smooth.get_label() == f"{column}, rolling mean"
        assert [border.get_xdata() for border in borders] == [[41, 41], [81, 81]]
        assert {border.get_linestyle() for border in borders} == {"--"}
    assert texts(axes[0]) == ["generation 2", "generation 3"]
    assert [label.xy[0] for label in axes[0].texts] == [41, 81]
    assert axes[-1].get_xlabel() == "optimiser step (bold: mean over 3 steps)"


def test_rolling_mean_stays_within_a_generation():
    ce, kl = figures.training_curves(LOG)
    smooth = np.asarray(ce.lines[1].get_ydata())
    assert smooth[:3] == pytest.approx([2, 5 / 3, 7 / 3])  # (1 + 3) / 2, (1 + 3 + 1) / 3, (3 + 1 + 3) / 3
    values = np.asarray(kl.lines[1].get_ydata())
    assert set(values[~np.isnan(values)]) == {0, 6, 12}
    assert np.flatnonzero(np.isnan(values)).tolist() == [40, 80]  # the line is broken there


def test_training_curves_of_a_short_run():
    (ax,) = figures.training_curves(LOG.iloc[:20], columns=["loss"])
    raw, smooth = ax.lines
    assert smooth.get_ydata().tolist() == raw.get_ydata().tolist()
    assert ax.get_xlabel() == "optimiser step"
    assert texts(ax) == []


def test_training_curves_into_given_axes():
    _, given = plt.subplots(1, 2)
    assert list(figures.training_curves(LOG, axes=given)) == list(given)
    _, single = plt.subplots()
    assert list(figures.training_curves(LOG, columns=["kl"], axes=single)) == [single]
    with pytest.raises(ValueError, match=r"^expected 2 axes, one for each of ce, kl, got 1$"):
        figures.training_curves(LOG, axes=single)


def test_loss_curve():
    ax = figures.loss_curve(LOG)
    raw, smooth = ax.lines
    assert raw.get_xydata().tolist() == LOG[["step", "loss"]].to_numpy().tolist()
    assert smooth.get_ydata()[1:-1] == pytest.approx(LOG["loss"][1:-1])  # the mean of three on a straight line
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("optimiser step (bold: mean over 3 steps)", "loss (nats)")


# All of them


DRAW = {
    "gxlt_heatmap": (figures.gxlt_heatmap, MATRIX),
    "method_intervals": (
        figures.method_intervals,
        pd.DataFrame({"label": ["a"], "difference": [1.0], "low": [0.0], "high": [2.0]}),
    ),
    "scores_by_method": (
        figures.scores_by_method,
        pd.DataFrame({"label": ["a"], "task": ["xlt"], "seed": [0], "f1": [1.0]}),
    ),
    "xlt_by_language": (figures.xlt_by_language, pd.DataFrame({"label": "a", "language": PARALLEL, "f1": 1.0})),
    "loss_curve": (figures.loss_curve, LOG),
    "translation_retrieval": (
        functools.partial(figures.translation_retrieval, chance=5.0),
        pd.DataFrame({"de": [1.0]}),
    ),
    "pair_counts": (figures.pair_counts, [("a", "en", "en")]),
}


@pytest.mark.parametrize("name", DRAW)
def test_draws_into_given_axes_and_changes_no_setting(name):
    draw, data = DRAW[name]
    before = dict(plt.rcParams)
    _, given = plt.subplots()
    assert draw(data, ax=given) is given
    assert len(plt.get_fignums()) == 1
    assert draw(data) is not given
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("method_intervals", "low"),
        ("scores_by_method", "task"),
        ("xlt_by_language", "language"),
        ("loss_curve", "loss"),
    ],
)
def test_names_the_missing_column(name, column):
    draw, data = DRAW[name]
    with pytest.raises(ValueError, match=rf"^(table|log) lacks the column\(s\) {column}; found "):
        draw(data.drop(columns=column))


def test_training_curves_names_missing_columns():
    message = r"^log lacks the column\(s\) coefficient; found step, generation, ce, kl, loss$"
    with pytest.raises(ValueError, match=message):
        figures.training_curves(LOG, columns=["coefficient"])
    with pytest.raises(ValueError, match=r"^log lacks the column\(s\) generation; found step, ce$"):
        figures.training_curves(LOG[["step", "ce"]])


# Files


def test_save_is_deterministic(tmp_path):
    first = figures.gxlt_heatmap(MATRIX)
    paths = figures.save(first, tmp_path / "deep" / "skd-T2.0")
    assert paths == [tmp_path / "deep" / "skd-T2.0.svg", tmp_path / "deep" / "skd-T2.0.png"]
    again = figures.save(first, tmp_path / "again")
    anew = figures.save(figures.gxlt_heatmap(MATRIX).figure, tmp_path / "anew")
    for path, *others in zip(paths, again, anew, strict=True):
        assert {other.read_bytes() for other in others} == {path.read_bytes()}
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
        *("again.png", "again.svg", "anew.png", "anew.svg", "skd-T2.0.png", "skd-T2.0.svg"),
    ]
    assert b"<dc:date>" not in paths[0].read_bytes()
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert plt.fignum_exists(first.figure.number)


def test_save_takes_an_array_of_axes(tmp_path):
    before = dict(plt.rcParams)
    svg, png = figures.save(figures.training_curves(LOG), tmp_path / "curves")
    assert svg.stat().st_size > 10_000
    assert png.stat().st_size > 10_000
    assert dict(plt.rcParams) == before


# Experiments


POINTS = pd.DataFrame(
    [("A", 2, 50.0, 1.0), ("A", 18, 52.0, 2.0), ("B", 2, 40.0, np.nan), ("B", 8, 41.0, 0.5)],
    columns=["series", "value", "f1", "f1_sd"],
)


def test_setting_curves_are_a_line_per_series_over_the_steps_of_the_grid():
    ax = figures.setting_curves(POINTS, axis="temperature T")
    assert ticks(ax.xaxis) == ["2", "8", "18"]  # evenly spaced, whatever the numbers
    assert legend(ax) == ["A", "B"]
    lines = [container.lines[0] for container in ax.containers]
    assert [line.get_ydata().tolist() for line in lines] == [[50, 52], [40, 41]]
    assert [[round(x) for x in line.get_xdata()] for line in lines] == [[0, 2], [0, 1]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("temperature T", "F1 (points)")
    # a deviation that one seed does not have is drawn as none
    (bars,) = ax.containers[1].lines[2]
    assert [abs(a[1] - b[1]) for a, b in bars.get_segments()] == [0.0, 1.0]


def test_setting_dots_are_rows_under_the_names_that_tell_them_apart():
    names = POINTS.assign(value=["x", "y", "x", "z"])
    ax = figures.setting_dots(names)
    assert ticks(ax.yaxis) == ["A: x", "A: y", "B: x", "B: z"]
    assert ax.yaxis_inverted()
    positions = [(x, y) for c in ax.containers for x, y in zip(*c.lines[0].get_data(), strict=True)]
    assert positions == [(50, 0), (52, 1), (40, 2), (41, 3)]
    assert ticks(figures.setting_dots(names[:2]).yaxis) == ["x", "y"]
    assert ticks(figures.setting_dots(names.assign(value="same")[1:3]).yaxis) == ["A", "B"]


def test_grid_heatmap_leaves_what_was_not_run_grey():
    ax = figures.grid_heatmap(POINTS, axis="temperature T")
    assert (ticks(ax.xaxis), ticks(ax.yaxis)) == (["2", "8", "18"], ["A", "B"])
    assert ax.collections[0].get_array().filled(-1).tolist() == [[50, -1, 52], [40, 41, -1]]
    assert texts(ax) == ["50.0", "52.0", "40.0", "41.0"]


def test_coefficient_curves_mark_the_generations():
    log = pd.DataFrame(
        {"step": range(1, 7), "generation": [1, 1, 2, 2, 3, 3], "coefficient": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    )
    ax = figures.coefficient_curves({"with CE": log, "without CE": log.assign(coefficient=0.1)})
    assert legend(ax) == ["with CE", "without CE"]
    assert ax.lines[0].get_ydata().tolist() == log["coefficient"].tolist()
    assert [line.get_xdata()[0] for line in ax.lines[2:]] == [3, 5]
    assert texts(ax) == ["generation 2", "generation 3"]
    with pytest.raises(ValueError, match=r"^the log of 'x' lacks the column\(s\) coefficient"):
        figures.coefficient_curves({"x": log[["step", "generation"]]})
    with pytest.raises(ValueError, match=r"^logs is empty"):
        figures.coefficient_curves({})


def test_top_k_is_a_line_per_question_language_and_nothing_is_cut_off():
    rows = [(code, k, 10.0 * k + shift) for code, shift in (("zh", 0), ("en", 30)) for k in (1, 2, 3)]
    table = pd.DataFrame(rows, columns=["language", "k", "em"])
    _, axes = plt.subplots(1, 2, sharey=True)
    for ax, part in zip(axes, (table.assign(em=1.0), table), strict=True):
        figures.top_k_by_language(part, ax=ax)
    assert legend(axes[1]) == ["en", "zh"]
    assert [line.get_ydata().tolist() for line in axes[1].lines] == [[40, 50, 60], [10, 20, 30]]
    assert axes[0].get_ylim()[1] > 60
    with pytest.raises(DataError, match="unknown language 'EN'"):
        figures.top_k_by_language(table.assign(language="EN"))


def test_translation_retrieval_is_a_line_per_language_over_the_layers():
    table = pd.DataFrame({"zh": [10.0, 50.0, 90.0], "de": [30.0, 70.0, 100.0]}, index=range(3)).rename_axis("layer")
    ax = figures.translation_retrieval(table, chance=12.5)
    guess, *lines = ax.lines
    assert set(guess.get_ydata()) == {12.5}
    assert [(line.get_label(), list(line.get_xdata()), list(line.get_ydata())) for line in lines] == [
        ("de", [0, 1, 2], [30.0, 70.0, 100.0]),  # in the order of languages
        ("zh", [0, 1, 2], [10.0, 50.0, 90.0]),
    ]
    assert legend(ax) == ["guess", "de", "zh"]
    assert ticks(ax.xaxis) == ["0", "1", "2"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layer (0: word embeddings)", "translations found (%)")
    assert ax.get_ylim()[1] > 100
    with pytest.raises(ValueError, match=r"^table is empty; there is nothing to draw$"):
        figures.translation_retrieval(table.iloc[:0], chance=12.5)


def test_start_distribution_shows_truth_window_and_ranks():
    table = pd.DataFrame({"position": range(40), "probability": [2.0 ** -(n + 1) for n in range(40)]})
    table = table.assign(softened=1 / 40, gold=table["position"] == 12, right=table["position"].between(7, 16))
    table["rank"] = range(1, 41)
    ax = figures.start_distribution(table, around=5)
    bars = ax.containers[0]
    assert [bar.get_height() for bar in bars] == table["probability"].tolist()[: 16 + 4]
    assert texts(ax) == [str(rank) for rank in range(1, 11)]
    (window,) = [patch for patch in ax.patches if patch.get_label() == "counts as right"]
    assert (window.get_x(), window.get_x() + window.get_width()) == (6.5, 16.5)
    (truth,) = [line for line in ax.lines if line.get_label() == "truth"]
    assert truth.get_xdata()[0] == 12
