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
    assert ticks(ax.xaxis) == ["en", "ar", "zh"]
    assert ticks(ax.yaxis) == ["English (en)", "Arabic (ar)", "Chinese (zh)"]
    shown = ax.collections[0].get_array()
    assert shown.filled(-1).ravel().tolist() == [40, 61.26, 50, 70, 9, 8, 10.04, -1, 20]
    assert texts(ax) == ["40.0", "61.3", "50.0", "70.0", "9.0", "8.0", "10.0", "20.0"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("language of the passage", "language of the question")
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
        assert ticks(ax.xaxis) == ["en", "es", "zh"]
        assert ticks(ax.yaxis) == ["English (en)", "Spanish (es)", "Chinese (zh)"]
        assert ax.collections[0].get_array().filled(0).tolist() == [[1, 0, 0], [0, 1200, 0], [2, 0, 0]]
        assert texts(ax) == ["1", "1,200", "2"]
        assert colour_bar(ax).ax.get_ylabel() == "sampled examples"
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("language of the passage", "language of the question")


def test_pair_counts_of_nothing():
    with pytest.raises(ValueError, match=r"^pairs is empty; there is nothing to draw$"):
        figures.pair_counts([])


# Methods


TABLE = pd.DataFrame(
    [
        ("set one\n12 ids", "SKD", 2.0, 1.0, 3.5),
        ("set two", "SKD", 0.5, -0.5, 1.5),
        ("set two", "CE", 1.0, -900.0, 80.0),
    ],
    columns=["row", "label", "difference", "low", "high"],
)


def test_a_forest_has_a_row_per_comparison_and_the_methods_side_by_side():
    ax = figures.forest(TABLE, title="Which?")
    assert ticks(ax.yaxis) == ["set one\n12 ids", "set two"]
    assert ax.yaxis_inverted()  # the first row on top
    marks = {tuple(line.get_xdata()): line for line in ax.lines if len(line.get_xdata())}
    assert set(marks) == {(0, 0), (1.0, 3.5), (2.0,), (-0.5, 1.5), (0.5,), (-900.0, 80.0), (1.0,)}
    # alone in the middle of its row; two beside each other
    assert [marks[x].get_ydata()[0] for x in ((2.0,), (0.5,), (1.0,))] == pytest.approx([0, 0.85, 1.15])
    assert marks[1.0, 3.5].get_ydata()[0] == marks[(2.0,)].get_ydata()[0]
    # hollow where the interval holds 0, or, where p is known, where it is not small
    tested = figures.forest(TABLE.assign(p_holm=[0.2, None, 0.01]))
    faces = {tuple(line.get_xdata()): line.get_markerfacecolor() for line in tested.lines}
    assert [faces[x] for x in ((2.0,), (0.5,))] == ["white", "white"]
    assert faces[(1.0,)] != "white"
    assert marks[(2.0,)].get_markerfacecolor() == marks[(2.0,)].get_color()
    assert marks[(0.5,)].get_markerfacecolor() == "white"
    assert (legend(ax), ax.get_title(loc="left")) == (["SKD", "CE"], "Which?")
    # intervals of few seeds are cut where differences end
    left, right = ax.get_xlim()
    assert left == -105
    assert 80 < right <= 105
    assert figures.forest(TABLE[:1]).get_legend() is None


def test_a_method_looks_alike_everywhere_and_no_two_do():
    shown = figures.looks([*figures.METHODS, "another", "a third"])
    assert {name: shown[name] for name in figures.METHODS} == figures.METHODS
    assert figures.looks(["a third", "CE"])["CE"] == figures.METHODS["CE"]
    assert len({marker for _, marker in shown.values()}) == len({colour for colour, _ in shown.values()}) == len(shown)
    assert len(figures.looks(range(40))) == 40  # more than there are colours


def runs(*rows, column):
    return pd.DataFrame(rows, columns=["label", column, "seed", "f1"])


def means(ax):
    """label -> [(x, y)] of the marks."""
    handles, labels = ax.get_legend_handles_labels()
    found = {to_rgba(handle.get_color()): label for handle, label in zip(handles, labels, strict=True)}
    lines = [line for line in ax.lines if line.get_marker() not in ("None", "", None) and len(line.get_xdata())]
    return {found[to_rgba(line.get_color())]: list(zip(*line.get_data(), strict=True)) for line in lines}


def test_xlt_by_language():
    table = runs(
        *[("SKD", code, seed, f1 + seed) for seed in (-1, 1) for code, f1 in (("th", 30.0), ("en", 70.0))],
        *[("zero-shot", code, 0, f1) for code, f1 in (("en", 65.0), ("th", 40.0))],
        column="language",
    )
    ax = figures.xlt_by_language(table)
    assert ticks(ax.xaxis) == ["English\n(en)", "Thai\n(th)"]
    found = means(ax)
    assert legend(ax) == ["SKD", "zero-shot"]
    assert [y for _, y in found["SKD"]] == [70, 30]  # the mean over seeds
    assert [y for _, y in found["zero-shot"]] == [65, 40]
    assert all(a[0] < b[0] for a, b in zip(found["SKD"], found["zero-shot"], strict=True))  # side by side
    bars = [line.get_ydata() for line in ax.lines if line.get_marker() == "None" and line.get_color() != "0.9"]
    assert next(bar for bar in map(tuple, bars) if bar[0] == bar[0]) == pytest.approx((70 - 2**0.5, 70 + 2**0.5))
    assert ax.get_ylabel() == "F1 (points)"


def test_setting_curves_stand_at_their_numbers():
    table = runs(
        *[(label, value, seed, 10 * value + seed) for label in ("CE", "SKD") for value in (2, 5, 8) for seed in (1, 2)],
        column="value",
    )
    ax = figures.setting_curves(table, axis="parallel ids", levels={"zero-shot": 12.0, "guess by kind": 3.0})
    assert ticks(ax.xaxis) == ["2", "5", "8"]
    assert legend(ax) == ["zero-shot", "guess by kind", "CE", "SKD"]
    assert [line.get_ydata()[0] for line in ax.lines[:2]] == [12, 3]
    found = means(ax)
    assert found["CE"] == [(pytest.approx(x, abs=0.5), 10 * x + 1.5) for x in (2, 5, 8)]
    assert ax.get_xscale() == "linear"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("parallel ids", "F1 (points)")
    wide = table.assign(value=table["value"].replace({8: 800}))
    assert figures.setting_curves(wide, axis="parallel ids").get_xscale() == "log"


def test_heat_maps_of_several_systems_share_one_scale():
    both = {"zero-shot": MATRIX, "CE": MATRIX + 5, "SKD": MATRIX + 6}
    panels = [ax for ax in figures.heatmap_panels(both, title="Which?").axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == list(both)
    assert {ax.collections[0].get_clim() for ax in panels} == {(0, 100)}
    figure = figures.heatmap_panels({"CE": MATRIX - 30, "SKD": MATRIX * 0}, title="Which?", difference=True)
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert {ax.collections[0].get_clim() for ax in panels} == {(-40, 40)}
    assert figure._suptitle.get_text() == "Which?"


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
    "forest": (figures.forest, TABLE),
    "setting_curves": (
        functools.partial(figures.setting_curves, axis="ids"),
        pd.DataFrame({"label": "CE", "value": [1, 2], "seed": 1, "f1": 1.0}),
    ),
    "xlt_by_language": (
        figures.xlt_by_language,
        pd.DataFrame({"label": "a", "language": PARALLEL, "seed": 1, "f1": 1.0}),
    ),
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
        ("forest", "low"),
        ("setting_curves", "value"),
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


def test_top_k_is_a_panel_per_system_and_a_line_per_question_language():
    rows = [
        (system, code, k, 10.0 * k + shift)
        for system in ("zero-shot", "CE")
        for code, shift in (("zh", 0), ("en", 30))
        for k in (1, 2, 3)
    ]
    table = pd.DataFrame(rows, columns=["system", "language", "k", "em"])
    figure = figures.top_k_by_language(table, title="How often?")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["zero-shot", "CE"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["English (en)", "Chinese (zh)"]
    assert [line.get_ydata().tolist() for line in figure.axes[1].lines[:2]] == [[40, 50, 60], [10, 20, 30]]
    assert figure.axes[0].get_ylim()[0] == 0
    with pytest.raises(DataError, match="unknown language 'EN'"):
        figures.top_k_by_language(table.assign(language="EN"), title="")


def test_translation_retrieval_is_a_line_per_language_over_the_layers():
    table = pd.DataFrame({"zh": [10.0, 50.0, 90.0], "de": [30.0, 70.0, 100.0]}, index=range(3)).rename_axis("layer")
    ax = figures.translation_retrieval(table, chance=12.5)
    guess, *lines = ax.lines
    assert set(guess.get_ydata()) == {12.5}
    assert [(line.get_label(), list(line.get_xdata()), list(line.get_ydata())) for line in lines] == [
        ("German (de)", [0, 1, 2], [30.0, 70.0, 100.0]),  # in the order of languages
        ("Chinese (zh)", [0, 1, 2], [10.0, 50.0, 90.0]),
    ]
    assert legend(ax) == ["guess", "German (de)", "Chinese (zh)"]
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
