"""The figures of notebooks and report: labelled tables in, matplotlib axes out.

Every function draws into `ax`, or into a new figure if it is None, and returns the axes. Numbers are points (0..100)
unless the docstring says otherwise. Languages are always in the order of `languages.in_order`, by name and code: few
machines have fonts for all 17 scripts. A method has one colour and one marker in all figures (`METHODS`), and whatever
colour tells apart, marker or position does, too. The style holds while a function draws and changes no global setting.
"""

import functools
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from ..languages import in_order
from ..running.files import atomic_path
from .tables import GUESS_NAME
from .words import LEVEL, language, signed

COLUMN_NAMES = {
    "loss": "loss (nats)",
    "ce": "cross-entropy\n(nats)",
    "kl": "KL × T²\n(nats)",
    "coefficient": "coefficient α\n(0 to 1)",
}
_BLIND_SAFE = sns.color_palette("colorblind")
# label -> (colour, marker) of what stands in many figures; others get the colours that are left
METHODS = {
    "zero-shot": ((0.35, 0.35, 0.35), "o"),
    "CE": (_BLIND_SAFE[0], "s"),
    "SKD": (_BLIND_SAFE[1], "^"),
    "SKD, mAP@10": (_BLIND_SAFE[2], "D"),
    "no labels": (_BLIND_SAFE[4], "X"),
    GUESS_NAME: ((0.6, 0.6, 0.6), "d"),
}
_OTHERS = list(zip([_BLIND_SAFE[n] for n in (3, 5, 6, 8, 9, 7)], "PvX*<>", strict=True))
_SEQUENTIAL = "YlGnBu"
_MISSING = "0.82"  # grey of cells without a value
_STYLE = {
    **sns.axes_style("ticks", {"grid.color": "0.9"}),
    **sns.plotting_context("paper", font_scale=1.15),
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that text has the same size everywhere
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "legend.frameon": False,
    "figure.dpi": 110,
}


def styled(draw):
    """Run `draw` under the style of this module; matplotlib's settings are as before afterwards."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        with plt.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def _axes(ax, width, height):
    # No layout engine: `save` and notebooks crop to what is drawn, and a layout that is solved anew at every drawing
    # moves a little each time, so that the same figure saved twice had other bytes.
    return plt.subplots(figsize=(width, height))[1] if ax is None else ax


def _need(table, columns, name="table"):
    missing = [column for column in columns if column not in table.columns]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise ValueError(f"{name} lacks the column(s) {', '.join(missing)}; found {found}")
    if table.empty:
        raise ValueError(f"{name} is empty; there is nothing to draw")


def looks(labels):
    """label -> (colour, marker), those of `METHODS` where it is in there, in order of appearance."""
    left = iter(_OTHERS * (1 + len(labels) // len(_OTHERS)))
    return {label: METHODS.get(label) or next(left) for label in dict.fromkeys(labels)}


def _legend_beside(ax, **more):
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, **more)


def _readable_on(colour):
    """Black or white, whichever has the higher contrast (seaborn turns to black too late for middling colours)."""
    return "black" if sns.utils.relative_luminance(colour) > 0.179 else "white"  # WCAG 2.1: equal contrast there


def _language_heatmap(matrix, text, ax, label, **colours):
    """Rows question language, columns context language; a cell without a value is grey and has no text."""
    size = 1.6 + 0.54 * max(matrix.shape)
    ax = _axes(ax, size + 1, size)
    sns.heatmap(
        matrix,
        ax=ax,
        annot=matrix.map(lambda value: "" if pd.isna(value) else text(value)),
        fmt="",
        annot_kws={"size": "medium"},
        square=True,
        linewidths=0.6,
        linecolor="white",
        cbar_kws={"label": label, "shrink": 0.8, "pad": 0.03},
        **colours,
    )
    mesh, values = ax.collections[0], matrix.to_numpy()
    for cell in ax.texts:
        column, row = (int(position) for position in cell.get_position())
        cell.set_color(_readable_on(mesh.cmap(mesh.norm(values[row, column]))))
    ax.set_facecolor(_MISSING)
    ax.set_yticklabels([language(code) for code in matrix.index])
    ax.set(xlabel="language of the passage", ylabel="language of the question")
    ax.tick_params(length=0, rotation=0)
    return ax


@styled
def gxlt_heatmap(matrix, *, ax=None, metric="F1", difference=False, vmax=None):
    """Heat map of scores, or differences of scores, per pair of languages.

    Args:
        matrix: DataFrame in points, rows question language, columns context language, in any order; NaN: no value.
        metric: its name, for the label of the colour bar.
        difference: colours centred at 0 (blue: better, red: worse) and texts with a sign.
        vmax: score of the last colour, or the largest difference that the colours tell apart; None: the largest of the
            matrix, rounded up. Give panels that are compared the same one.

    Raises:
        DataError: an unknown language.
        ValueError: a repeated language, scores outside 0..100.
    """
    for axis, index in (("row", matrix.index), ("column", matrix.columns)):
        if not index.is_unique:
            raise ValueError(f"matrix names {axis} {index[index.duplicated()][0]!r} twice; one language, one {axis}")
    matrix = matrix.loc[in_order(matrix.index), in_order(matrix.columns)].astype(float)
    values = matrix.to_numpy()[matrix.notna().to_numpy()]
    if not difference and ((values < 0) | (values > 100)).any():
        raise ValueError(
            f"scores must be points in 0..100, got {values[(values < 0) | (values > 100)][0]:g}; draw differences with "
            "difference=True"
        )
    if vmax is None:
        vmax = max(1, math.ceil(np.abs(values).max(initial=0)))
    if difference:
        label, colours = f"difference in {metric} (points)", {"cmap": "RdBu", "center": 0, "vmin": -vmax, "vmax": vmax}
        return _language_heatmap(matrix, lambda value: signed(value).replace("-", "−"), ax, label, **colours)
    return _language_heatmap(matrix, "{:.1f}".format, ax, f"{metric} (points)", cmap=_SEQUENTIAL, vmin=0, vmax=vmax)


@styled
def heatmap_panels(matrices, *, title, metric="F1", difference=False):
    """Heat maps on one scale, two in a row: a figure.

    Args:
        matrices: title -> matrix, as `gxlt_heatmap` takes it.
        title: of the whole figure: the question that it answers, and of which data.
        difference: as in `gxlt_heatmap`.
    """
    rows, side = math.ceil(len(matrices) / 2), 0.54 * max(4, *(max(m.shape) for m in matrices.values()))
    width, gap = 1.25 * side, 1.9  # of a panel with its colour bar; for names of languages
    figure, axes = plt.subplots(rows, 2, figsize=(2 * width + gap, rows * (side + 0.9)), squeeze=False)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=gap / width, hspace=0.9 / side)
    largest = max(m.abs().max(axis=None) for m in matrices.values())
    vmax = max(1, math.ceil(largest)) if difference else 100
    for ax, (name, matrix) in zip(axes.flat, matrices.items(), strict=False):
        gxlt_heatmap(matrix, ax=ax, metric=metric, difference=difference, vmax=vmax)
        ax.set_title(name, fontweight="bold")
    for ax in axes.flat[len(matrices) :]:
        ax.set_axis_off()
    figure.suptitle(title, x=-0.12, y=1 + 0.5 / (rows * (side + 0.9)), ha="left")
    return figure


@styled
def pair_counts(pairs, *, ax=None):
    """Heat map of how often each pair of languages was sampled; a pair that never was is grey.

    Args:
        pairs: list of (id, question_lang, context_lang) as `sampling.sample_pairs` returns it, or a DataFrame with
            columns question_lang and context_lang, one row per example.
    """
    if not isinstance(pairs, pd.DataFrame):
        pairs = pd.DataFrame(pairs, columns=["id", "question_lang", "context_lang"])
    _need(pairs, ["question_lang", "context_lang"], "pairs")
    languages = in_order(pd.concat([pairs["question_lang"], pairs["context_lang"]]).unique())
    counts = pd.crosstab(pairs["question_lang"], pairs["context_lang"]).reindex(index=languages, columns=languages)
    label = "sampled examples"
    return _language_heatmap(counts.where(counts > 0), "{:,.0f}".format, ax, label, cmap=_SEQUENTIAL, vmin=0)


@styled
def forest(table, *, ax=None, metric="F1", title=None):
    """Differences with their 95% intervals, the methods of a row side by side, and a line at 0.

    Args:
        table: columns row (what is compared, from top to bottom), label (of the method: colour and marker), difference,
            low, high (points), one row per row and label; p_holm, if there. A hollow mark: not significant by p_holm,
            or, without it, an interval around 0. Intervals of few seeds can
            leave -100..100: cut there, where differences end.
        metric: its name, for the label of the axis.
        title: the question that the figure answers, and of which data.
    """
    _need(table, ["row", "label", "difference", "low", "high"])
    rows, shown = list(dict.fromkeys(table["row"])), looks(table["label"])
    lines, tested = table.groupby("row")["label"].nunique().max(), "p_holm" in table
    ax = _axes(ax, 6.5, 0.9 + len(rows) * max(0.3, 0.2 * lines, 0.17 * (1 + max(row.count("\n") for row in rows))))
    ax.axvline(0, color="0.5", linewidth=0.9, zorder=0)
    for label, (colour, marker) in shown.items():
        for entry in table[table["label"] == label].itertuples():
            here = [other for other in shown if ((table["row"] == entry.row) & (table["label"] == other)).any()]
            place = rows.index(entry.row) + (here.index(label) - (len(here) - 1) / 2) * 0.6 / len(here)
            ax.plot([entry.low, entry.high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
            p = entry.p_holm if tested else math.nan
            holds = p < LEVEL if p == p else not entry.low <= 0 <= entry.high
            face = colour if holds else "white"
            ax.plot(entry.difference, place, marker, color=colour, markerfacecolor=face, markersize=6)
        ax.plot([], [], marker=marker, color=colour, label=label)
    left, right = ax.get_xlim()
    ax.set_xlim(max(left, -105), min(right, 105))
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    hollow = "not significant after Holm" if tested else "it lies around 0"
    ax.set_xlabel(f"difference in {metric} (points; line: 95% interval; hollow: {hollow})")
    if len(shown) > 1:
        _legend_beside(ax)
    if title:
        ax.set_title(title)
    return ax


def _points(table, looks_of, *, dodge, **options):
    """Means of methods with the standard deviation over seeds, side by side: what the two figures below share."""
    sns.pointplot(
        table,
        hue="label",
        hue_order=list(looks_of),
        palette=[colour for colour, _ in looks_of.values()],
        markers=[marker for _, marker in looks_of.values()],
        errorbar="sd" if len(set(table["seed"])) > 1 else None,
        err_kws={"linewidth": 1},
        markersize=5.5,
        dodge=dodge if len(looks_of) > 1 else False,  # alone, there is nothing to divide by
        **{"linewidth": 1.4} | options,
    )


@styled
def xlt_by_language(table, *, ax=None, metric="F1", title=None):
    """Scores per language, the methods side by side; bars: standard deviation over seeds.

    Args:
        table: columns label, language, seed, f1 (points), one row per label, language and seed.
        metric: its name, for the label of the axis; the values are in the column f1 whatever it is.
        title: the question that the figure answers, and of which data.

    Raises:
        DataError: an unknown language.
        ValueError: a missing column, an empty table.
    """
    _need(table, ["label", "language", "seed", "f1"])
    languages = in_order(table["language"])
    shown = looks(table["label"])
    ax = _axes(ax, max(5, 1.2 + len(languages) * (0.5 + 0.1 * len(shown))), 3.2)
    for border in range(1, len(languages)):
        ax.axvline(border - 0.5, color="0.9", linewidth=0.8, zorder=0)
    _points(table, shown, x="language", y="f1", order=languages, dodge=0.6, linestyle="none", ax=ax)
    ax.set_xticks(range(len(languages)), [language(code).replace(" (", "\n(") for code in languages])
    ax.set_xlim(-0.5, len(languages) - 0.5)
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="y")
    ax.set(xlabel="", ylabel=f"{metric} (points)")
    _legend_beside(ax)
    if title:
        ax.set_title(title)
    return ax


@styled
def setting_curves(table, *, axis, ax=None, metric="F1", levels=None, title=None):
    """Scores along a numeric axis, one line per method; bars: standard deviation over seeds.

    Args:
        table: columns label, value (numbers), seed, f1 (points), one row per label, value and seed.
        axis: what the values are.
        metric: its name, for the label of the axis.
        levels: label -> points: scores to compare with, such as the zero-shot reader's, drawn as grey lines across.
        title: the question that the figure answers, and of which data.
    """
    _need(table, ["label", "value", "seed", "f1"])
    ax = _axes(ax, 5.5, 3.2)
    for (label, points), style in zip((levels or {}).items(), ("--", ":"), strict=False):
        ax.axhline(points, color="0.35", linestyle=style, linewidth=1.2, zorder=0, label=label)
    values = sorted(set(table["value"].astype(float)))
    wide = values[0] > 0 and values[-1] > 20 * values[0]
    shown = table.assign(value=table["value"].astype(float))
    _points(
        shown, looks(shown["label"]), x="value", y="f1", native_scale=True, log_scale=(wide, False), dodge=True, ax=ax
    )
    ax.set_xticks(values, [f"{value:g}" for value in values])
    ax.minorticks_off()
    ax.set(xlabel=axis, ylabel=f"{metric} (points)")
    ax.grid(axis="y")
    _legend_beside(ax)
    if title:
        ax.set_title(title)
    return ax


def _window(n):
    """Steps that a rolling mean takes in: a fortieth of the run."""
    return max(1, round(n / 40))


def _curve(ax, steps, values, smooth, name):
    """The raw values faint, their rolling mean on top."""
    ax.plot(steps, values, color=_BLIND_SAFE[0], alpha=0.25, linewidth=0.7, label=name)
    ax.plot(steps, smooth, color=_BLIND_SAFE[0], linewidth=1.5, label=f"{name}, rolling mean")
    ax.set_ylabel(COLUMN_NAMES.get(name, name))
    ax.margins(x=0.01)


def _step_label(window):
    return "optimiser step" if window == 1 else f"optimiser step (bold: mean over {window} steps)"


@styled
def training_curves(log, *, columns=("ce", "kl", "coefficient"), axes=None):
    """Curves of a distillation run, one panel below the other, with a dashed line where a generation begins.

    Args:
        log: DataFrame with one row per optimiser step in order: step, generation (1, 2, ...) and some of `columns`.
            The rolling mean does not run across the border of two generations.
        columns: what to draw; a column that the log lacks (a run without a teacher has no kl) is left out.
        axes: one axes per drawn column, or None.

    Returns:
        Array of axes, one per drawn column.

    Raises:
        ValueError: no step or generation, none of the columns, another number of axes than of drawn columns.
    """
    _need(log, ["step", "generation"], "log")
    drawn = [column for column in columns if column in log.columns]
    if not drawn:
        _need(log, columns, "log")
    if axes is None:
        height = 0.7 + 1.3 * len(drawn)
        axes = plt.subplots(len(drawn), figsize=(6.5, height), sharex=True, squeeze=False)[1]
    axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(axes) != len(drawn):
        raise ValueError(f"expected {len(drawn)} axes, one for each of {', '.join(drawn)}, got {len(axes)}")
    window = _window(len(log))
    begins = log.groupby("generation")["step"].min().sort_index().iloc[1:]
    for ax, column in zip(axes, drawn, strict=True):
        smooth = log.groupby("generation")[column].transform(
            lambda part: part.rolling(window, center=True, min_periods=1).mean()
        )
        # lines broken at the borders as well
        gap = log["generation"].ne(log["generation"].shift()) & (np.arange(len(log)) > 0)
        _curve(ax, log["step"], log[column], smooth.mask(gap) if window > 1 else smooth, column)
        for step in begins:
            ax.axvline(step, color="0.35", linewidth=0.9, linestyle="--")
    for generation, step in begins.items():
        above = {"xycoords": ("data", "axes fraction"), "xytext": (0, 2), "textcoords": "offset points"}
        axes[0].annotate(f"generation {generation:g}", (step, 1), ha="center", va="bottom", fontsize="small", **above)
    axes[-1].set_xlabel(_step_label(window))
    axes[0].figure.align_ylabels(axes)
    return axes


@styled
def loss_curve(log, *, ax=None):
    """Loss over the steps of a training run: every step faint, a rolling mean over a fortieth of the run bold.

    Args:
        log: DataFrame with columns step and loss, one row per logged step in order.
    """
    _need(log, ["step", "loss"], "log")
    ax = _axes(ax, 6, 2.8)
    window = _window(len(log))
    _curve(ax, log["step"], log["loss"], log["loss"].rolling(window, center=True, min_periods=1).mean(), "loss")
    ax.set_xlabel(_step_label(window))
    return ax


@styled
def top_k_by_language(table, *, title):
    """Exact match among the k best answers against k, a line per question language, a panel per system: a figure.

    Args:
        table: columns system, language, k, em (points), one row each.
        title: the question that the figure answers, and of which data.
    """
    _need(table, ["system", "language", "k", "em"])
    languages = in_order(table["language"])
    named = table.assign(question=table["language"].map(language))
    grid = sns.relplot(
        named,
        x="k",
        y="em",
        hue="question",
        style="question",
        hue_order=[language(code) for code in languages],
        style_order=[language(code) for code in languages],
        palette="colorblind" if len(languages) <= 10 else "husl",
        col="system",
        col_wrap=min(2, table["system"].nunique()),
        kind="line",
        markers=True,
        dashes=False,
        height=2.9,
        aspect=1.2,
    )
    grid.set_titles("{col_name}", fontweight="bold").set_axis_labels("k best answers", "exact match (%)")
    grid.set(ylim=(0, None), xticks=sorted(set(table["k"])))
    grid.figure.suptitle(title, y=1.04)
    return grid.figure


@styled
def translation_retrieval(table, *, chance, ax=None):
    """How often an encoder finds a question's translation, by layer, one line per language.

    Args:
        table: as `reading.encoder_probe.translation_retrieval` gives it: percent, index layer, a column per language.
        chance: what a guess finds, percent.

    Raises:
        ValueError: no layer or no language.
    """
    if table.empty:
        raise ValueError("table is empty; there is nothing to draw")
    ax = _axes(ax, 5.5, 3.2)
    ax.axhline(chance, color="0.35", linestyle=":", linewidth=1.2, zorder=0, label="guess")
    for code, (colour, marker) in looks(in_order(table.columns)).items():
        style = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.2}
        ax.plot(table.index, table[code], label=language(code), **style)
    ax.set_xticks(table.index)
    ax.set(xlabel="layer (0: word embeddings)", ylabel="translations found (%)", ylim=(0, 104))
    ax.grid(axis="y")
    _legend_beside(ax)
    return ax


@styled
def start_distribution(table, *, ax=None, around=20, title=None):
    """A teacher's start probabilities by position on one example, and the window in which it counts as right.

    Args:
        table: columns position, probability, softened, gold, right, rank, as `sweeps.start_distribution` makes it.
            Tokens are numbered, not written: few machines have fonts for all scripts.
        around: the ten most probable positions carry their rank; so many of the best decide what part is drawn.
        title: the question that the figure answers, and of which data.
    """
    _need(table, ["position", "probability", "softened", "gold", "right", "rank"])
    ax = _axes(ax, 7.5, 2.8)
    shown = table[(table["rank"] <= around) | table["right"]]["position"]
    part = table[table["position"].between(max(0, shown.min() - 3), shown.max() + 3)]
    ax.bar(part["position"], part["probability"], color=_BLIND_SAFE[0], width=0.8, label="T = 1")
    ax.step(part["position"], part["softened"], where="mid", color=_BLIND_SAFE[1], linewidth=1.2, label="softened")
    right = table[table["right"]]["position"]
    ax.axvspan(right.min() - 0.5, right.max() + 0.5, color="0.88", zorder=0, label="counts as right")
    ax.axvline(table.loc[table["gold"], "position"].item(), color="0.25", linestyle="--", linewidth=1, label="truth")
    for row in part[part["rank"] <= 10].itertuples():
        above = {"xytext": (0, 1.5), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        ax.annotate(str(row.rank), (row.position, row.probability), fontsize="x-small", **above)
    ax.set(xlabel="token position ([CLS] is 0)", ylabel="start probability")
    ax.set_ylim(0, 1.12 * part["probability"].max())
    ax.set_xlim(part["position"].min() - 0.7, part["position"].max() + 0.7)
    _legend_beside(ax)
    if title:
        ax.set_title(title)
    return ax


def save(figure_or_ax, path_without_suffix):
    """Write a figure as `<path>.svg` and `<path>.png` (200 dots per inch), each complete or not at all.

    The bytes depend on the figure and the versions of matplotlib and its libraries alone: no date, no random ids. (A
    figure with a layout engine moves a little at every drawing; those of this module have none.) The figure stays open.

    Args:
        figure_or_ax: a figure, axes, or array of axes of one figure.
        path_without_suffix: path to which the suffixes are added; dots in it are kept ("skd-T2.0").

    Returns:
        [path of the SVG, path of the PNG].
    """
    figure = figure_or_ax
    if isinstance(figure, np.ndarray):
        figure = figure.flat[0]
    if not hasattr(figure, "savefig"):
        figure = figure.get_figure(root=True)
    paths = [Path(f"{path_without_suffix}{suffix}") for suffix in (".svg", ".png")]
    settings = {"svg.hashsalt": "xqa_lib", "svg.fonttype": "path", "savefig.facecolor": "white"}
    with plt.rc_context(settings):
        for path, metadata in zip(paths, ({"Date": None}, {"Software": None}), strict=True):
            with atomic_path(path) as temporary:
                figure.savefig(temporary, dpi=200, bbox_inches="tight", metadata=metadata)
    return paths
