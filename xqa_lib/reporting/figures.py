"""The figures of notebooks and report: labelled tables in, matplotlib axes out.

Every function draws into `ax`, or into a new figure if it is None, and returns the axes. Numbers are points (0..100)
unless the docstring says otherwise. Languages are always in the order of `languages.in_order` and shown by code, since
few machines have fonts for all 17 scripts. The palettes are safe for colour-blind readers, and whatever colour tells
apart, marker or position does, too. The style holds while a function draws and changes no global setting.
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

TASK_NAMES = {
    "xlt": "same language (XLT)",
    "gxlt_off_diagonal": "across languages (G-XLT off-diagonal)",
    "gxlt": "all language pairs (G-XLT)",
}
COLUMN_NAMES = {
    "loss": "loss (nats)",
    "ce": "cross-entropy\n(nats)",
    "kl": "KL × T²\n(nats)",
    "coefficient": "coefficient α\n(0 to 1)",
}
_SEQUENTIAL = "YlGnBu"
_MISSING = "0.82"  # grey of cells without a value
_MARKERS = "osD^vPX*<>"
_STYLE = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that text has the same size everywhere
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "legend.frameon": False,
    "figure.dpi": 110,
}


def _styled(draw):
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


def _need(table, columns, name):
    missing = [column for column in columns if column not in table.columns]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise ValueError(f"{name} lacks the column(s) {', '.join(missing)}; found {found}")
    if table.empty:
        raise ValueError(f"{name} is empty; there is nothing to draw")


def _by_language(matrix):
    """`matrix` with rows and columns in the order of languages."""
    for axis, index in (("row", matrix.index), ("column", matrix.columns)):
        if not index.is_unique:
            raise ValueError(f"matrix names {axis} {index[index.duplicated()][0]!r} twice; one language, one {axis}")
    return matrix.loc[in_order(matrix.index), in_order(matrix.columns)]


def _looks(labels):
    """[(label, colour, marker)] in order of appearance."""
    labels = list(dict.fromkeys(labels))
    palette = sns.color_palette("colorblind", len(labels))
    markers = [_MARKERS[i % len(_MARKERS)] for i in range(len(labels))]
    return list(zip(labels, palette, markers, strict=True))


def _offsets(n, width):
    """Positions of n marks side by side, around 0."""
    return (np.arange(n) - (n - 1) / 2) * width / max(n, 1)


def _draw_levels(line, levels):
    """Scores that belong to no place of an axis, as grey lines: `line` is `ax.axhline` or `ax.axvline`."""
    for (label, points), style in zip(levels.items(), (":", "--"), strict=False):
        line(points, color="0.35", linestyle=style, linewidth=1.2, zorder=0, label=label)


def _legend_above(ax, columns):
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, handletextpad=0.4)


def _readable_on(colour):
    """Black or white, whichever has the higher contrast (seaborn turns to black too late for middling colours)."""
    return "black" if sns.utils.relative_luminance(colour) > 0.179 else "white"  # WCAG 2.1: equal contrast there


def _language_heatmap(matrix, texts, ax, label, **colours):
    """Rows question language, columns context language; a cell without a value is grey and has no text."""
    size = 1.6 + 0.46 * max(matrix.shape)
    ax = _axes(ax, size + 1, size)
    sns.heatmap(
        matrix,
        ax=ax,
        annot=texts,
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
    ax.set(xlabel="context language", ylabel="question language")
    ax.tick_params(length=0, rotation=0)
    return ax


def _signed(value):
    """One decimal with its sign; no sign for what rounds to zero."""
    rounded = round(value, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


@_styled
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
    matrix = _by_language(matrix).astype(float)
    values = matrix.to_numpy()[matrix.notna().to_numpy()]
    if not difference and ((values < 0) | (values > 100)).any():
        raise ValueError(
            f"scores must be points in 0..100, got {values[(values < 0) | (values > 100)][0]:g}; draw differences with "
            "difference=True"
        )
    if vmax is None:
        vmax = max(1, math.ceil(np.abs(values).max(initial=0)))
    if difference:
        texts = matrix.map(lambda value: "" if pd.isna(value) else _signed(value))
        return _language_heatmap(
            matrix, texts, ax, f"difference in {metric} (points)", cmap="RdBu", center=0, vmin=-vmax, vmax=vmax
        )
    texts = matrix.map(lambda value: "" if pd.isna(value) else f"{value:.1f}")
    return _language_heatmap(matrix, texts, ax, f"{metric} (points)", cmap=_SEQUENTIAL, vmin=0, vmax=vmax)


@_styled
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
    counts = counts.where(counts > 0)
    texts = counts.map(lambda count: "" if pd.isna(count) else f"{int(count):,}")
    return _language_heatmap(counts, texts, ax, "sampled examples", cmap=_SEQUENTIAL, vmin=0)


@_styled
def method_intervals(table, *, ax=None, metric="F1"):
    """Differences with their intervals, one row per label from top to bottom, and a line at 0.

    Args:
        table: columns label, difference, low, high (points), as from `significance.compare_systems`. A hollow dot
            marks an interval that holds 0. Those of few seeds can leave -100..100: cut there, where differences end.
        metric: its name, for the label of the axis.
    """
    _need(table, ["label", "difference", "low", "high"], "table")
    ax = _axes(ax, 5.5, 0.9 + 0.32 * len(table))
    colour = sns.color_palette("colorblind")[0]
    ax.axvline(0, color="0.5", linewidth=0.9, zorder=0)
    for row, (_, entry) in enumerate(table.iterrows()):
        ax.plot([entry["low"], entry["high"]], [row, row], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=1)
        filled = not entry["low"] <= 0 <= entry["high"]
        ax.plot(
            entry["difference"], row, "o", color=colour, markersize=6, markerfacecolor=colour if filled else "white"
        )
    left, right = ax.get_xlim()
    ax.set_xlim(max(left, -105), min(right, 105))
    ax.set_yticks(range(len(table)), table["label"])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"difference in {metric} (points)")
    return ax


@_styled
def scores_by_method(table, *, ax=None, metric="F1", floor=None):
    """Scores of methods, one row per label from top to bottom: the mean over the seeds large, each seed small.

    Args:
        table: columns label, task ("xlt", "gxlt_off_diagonal", "gxlt"), seed, f1 (points), one row per run and task.
        metric: its name, for the label of the axis; the values are in the column f1 whatever it is.
        floor: task -> points of a guess by kind, drawn as dotted lines in the colours of the tasks.

    Raises:
        ValueError: a missing column, an empty table, an unknown task.
    """
    _need(table, ["label", "task", "seed", "f1"], "table")
    unknown = sorted(set(table["task"]) - set(TASK_NAMES))
    if unknown:
        raise ValueError(f"unknown task {unknown[0]!r}: expected {', '.join(TASK_NAMES)}")
    labels = list(dict.fromkeys(table["label"]))
    tasks = [task for task in TASK_NAMES if task in set(table["task"])]
    ax = _axes(ax, 6, 1.1 + (0.22 + 0.16 * len(tasks)) * len(labels))
    rows = {label: row for row, label in enumerate(labels)}
    for (task, colour, marker), offset in zip(_looks(tasks), _offsets(len(tasks), 0.6), strict=True):
        part = table[table["task"] == task]
        style = {"color": colour, "marker": marker, "linestyle": "none"}
        ax.plot(part["f1"], part["label"].map(rows) + offset, markersize=3.5, alpha=0.45, markeredgewidth=0, **style)
        means = part.groupby("label", sort=False, observed=True)["f1"].mean()
        positions = [rows[label] + offset for label in means.index]
        ax.plot(means, positions, markersize=7, markeredgecolor="white", label=TASK_NAMES[task], **style)
    floors = [(floor[task], colour) for task, colour, _ in _looks(tasks) if floor and task in floor]
    for place, (points, colour) in enumerate(floors):
        ax.axvline(points, color=colour, linestyle=":", linewidth=1.2, zorder=0, label=None if place else GUESS_NAME)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"{metric} (points; large: mean over seeds, small: one seed)")
    _legend_above(ax, columns=1)
    return ax


@_styled
def xlt_by_language(table, *, ax=None, metric="F1"):
    """Scores per language, the methods side by side.

    Args:
        table: columns label, language, f1 (points, mean over seeds), one row per label and language.
        metric: its name, for the label of the axis; the values are in the column f1 whatever it is.

    Raises:
        DataError: an unknown language.
        ValueError: a missing column, an empty table, a repeated label and language.
    """
    _need(table, ["label", "language", "f1"], "table")
    repeated = table[table.duplicated(["label", "language"])]
    if len(repeated):
        label, language = repeated.iloc[0][["label", "language"]]
        raise ValueError(f"table has more than one row for {label!r}, {language!r}; average over the seeds first")
    languages = in_order(table["language"])
    place = {language: column for column, language in enumerate(languages)}
    looks = _looks(table["label"])
    ax = _axes(ax, max(6, 1.2 + len(languages) * (0.25 + 0.08 * len(looks))), 3.2)
    for border in range(1, len(languages)):
        ax.axvline(border - 0.5, color="0.9", linewidth=0.8, zorder=0)
    for (label, colour, marker), offset in zip(looks, _offsets(len(looks), 0.75), strict=True):
        part = table[table["label"] == label]
        ax.plot(
            part["language"].map(place) + offset,
            part["f1"],
            color=colour,
            marker=marker,
            markersize=6.5,
            markeredgecolor="white",
            linestyle="none",
            label=label,
        )
    ax.set_xticks(range(len(languages)), languages)
    ax.set_xlim(-0.5, len(languages) - 0.5)
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set(xlabel="language of question and context", ylabel=f"{metric} (points)")
    _legend_above(ax, columns=4 if len(languages) > 10 else 2)
    return ax


def _window(n):
    """Steps that a rolling mean takes in: a fortieth of the run."""
    return max(1, round(n / 40))


def _curve(ax, steps, values, smooth, name):
    """The raw values faint, their rolling mean on top."""
    colour = sns.color_palette("colorblind")[0]
    ax.plot(steps, values, color=colour, alpha=0.25, linewidth=0.7, label=name)
    ax.plot(steps, smooth, color=colour, linewidth=1.5, label=f"{name}, rolling mean")
    ax.set_ylabel(COLUMN_NAMES.get(name, name))
    ax.margins(x=0.01)


def _step_label(window):
    return "optimiser step" if window == 1 else f"optimiser step (bold: mean over {window} steps)"


@_styled
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
        axes[0].annotate(
            f"generation {generation:g}",
            (step, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize="small",
        )
    axes[-1].set_xlabel(_step_label(window))
    axes[0].figure.align_ylabels(axes)
    return axes


@_styled
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


@_styled
def setting_curves(table, *, axis, ax=None, metric="F1", levels=None):
    """Scores along a numeric axis, one line per series, with the standard deviation over seeds as error bars.

    Args:
        table: columns series, value (numbers), f1, f1_sd (points), one row per series and value. The values are drawn
            as equally spaced steps, each under its number: grids are rarely even.
        axis: what the values are.
        metric: its name, for the label of the axis.
        levels: label -> points, one or two: scores to compare with, drawn as grey lines across.
    """
    _need(table, ["series", "value", "f1", "f1_sd"], "table")
    ax = _axes(ax, 5, 3)
    _draw_levels(ax.axhline, levels or {})
    values = sorted(set(table["value"]))
    looks = _looks(table["series"])
    for (series, colour, marker), offset in zip(looks, _offsets(len(looks), 0.25), strict=True):
        part = table[table["series"] == series].sort_values("value")
        ax.errorbar(
            [values.index(value) + offset for value in part["value"]],
            part["f1"],
            yerr=part["f1_sd"].fillna(0),
            color=colour,
            marker=marker,
            markeredgecolor="white",
            markersize=6.5,
            linewidth=1.3,
            elinewidth=0.8,
            capsize=2,
            label=series,
        )
    ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    ax.set_xlim(-0.5, len(values) - 0.5)
    ax.set(xlabel=axis, ylabel=f"{metric} (points)")
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    _legend_above(ax, columns=2)
    return ax


@_styled
def setting_dots(table, *, ax=None, metric="F1", levels=None):
    """Scores of named settings, one row each from top to bottom, with the standard deviation over seeds as bars.

    Args:
        table: columns series, value (names), f1, f1_sd (points), one row per setting.
        metric: its name, for the label of the axis.
        levels: as in `setting_curves`.
    """
    _need(table, ["series", "value", "f1", "f1_sd"], "table")
    # what all rows share need not stand at each of them
    told = [name for name in ("series", "value") if len(set(table[name])) > 1] or ["value"]
    names = [": ".join(str(getattr(row, name)) for name in told) for row in table.itertuples()]
    ax = _axes(ax, 5.5, 0.9 + 0.32 * len(table))
    _draw_levels(ax.axvline, levels or {})
    rows = list(table.itertuples())
    for series, colour, marker in _looks(table["series"]):
        here = [place for place, row in enumerate(rows) if row.series == series]
        part = table[table["series"] == series]
        ax.errorbar(
            part["f1"],
            here,
            xerr=part["f1_sd"].fillna(0),
            color=colour,
            marker=marker,
            markersize=6.5,
            linestyle="none",
            elinewidth=0.8,
            capsize=2,
        )
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"{metric} (points; bar: standard deviation over seeds)")
    if levels:
        _legend_above(ax, columns=2)
    return ax


@_styled
def grid_heatmap(table, *, axis, ax=None, metric="F1"):
    """Heat map of a grid of two parameters: rows the series, columns the values, both in their order.

    Args:
        table: columns series, value, f1 (points), one row per cell; what is missing is grey.
        axis: what the values are.
    """
    _need(table, ["series", "value", "f1"], "table")
    grid = table.pivot_table(index="series", columns="value", values="f1", sort=True)
    texts = grid.map(lambda value: "" if pd.isna(value) else f"{value:.1f}")
    ax = _axes(ax, 1.8 + 0.7 * grid.shape[1], 1.2 + 0.46 * grid.shape[0])
    sns.heatmap(
        grid,
        ax=ax,
        annot=texts,
        fmt="",
        linewidths=0.6,
        linecolor="white",
        cmap=_SEQUENTIAL,
        cbar_kws={"label": f"{metric} (points)", "pad": 0.03},
    )
    mesh, values = ax.collections[0], grid.to_numpy()
    for cell in ax.texts:
        column, row = (int(position) for position in cell.get_position())
        cell.set_color(_readable_on(mesh.cmap(mesh.norm(values[row, column]))))
    ax.set_facecolor(_MISSING)
    ax.set(xlabel=axis, ylabel="")
    ax.tick_params(length=0, rotation=0)
    return ax


@_styled
def coefficient_curves(logs, *, ax=None):
    """The coefficient over training of several runs, with a dashed line where a generation begins.

    Args:
        logs: label -> DataFrame with columns step, generation and coefficient, one row per optimiser step. The lines
            are those of the first run.
    """
    if not logs:
        raise ValueError("logs is empty; there is nothing to draw")
    ax = _axes(ax, 6.5, 3)
    for (label, colour, marker), log in zip(_looks(logs), logs.values(), strict=True):
        _need(log, ["step", "generation", "coefficient"], f"the log of {label!r}")
        every = max(1, len(log) // 12)
        ax.plot(
            log["step"], log["coefficient"], color=colour, marker=marker, markevery=every, linewidth=1.3, label=label
        )
    first = next(iter(logs.values()))
    for generation, step in first.groupby("generation")["step"].min().sort_index().iloc[1:].items():
        ax.axvline(step, color="0.35", linewidth=0.9, linestyle="--", zorder=0)
        ax.annotate(
            f"generation {generation:g}",
            (step, 0),
            xycoords=("data", "axes fraction"),
            xytext=(2, 2),
            textcoords="offset points",
            fontsize="small",
        )
    ax.set(xlabel="optimiser step", ylabel="coefficient α (0 to 1)")
    ax.set_ylim(0, 1.02)
    ax.margins(x=0.02)
    _legend_above(ax, columns=2)
    return ax


@_styled
def top_k_by_language(table, *, ax=None):
    """Exact match among the k best answers against k, one line per question language.

    Args:
        table: columns language, k, em (points), one row per language and k.

    Raises:
        DataError: an unknown language.
    """
    _need(table, ["language", "k", "em"], "table")
    ax = _axes(ax, 4.5, 3.2)
    languages = in_order(table["language"])
    for language, colour, marker in _looks(languages):
        part = table[table["language"] == language].sort_values("k")
        ax.plot(part["k"], part["em"], color=colour, marker=marker, markersize=4.5, linewidth=1.2, label=language)
    ax.set_xticks(sorted(set(table["k"])))
    ax.set(xlabel="k best answers", ylabel="exact match among them (points)")
    # panels that share the axis keep room for the largest of them
    lines = [line.get_ydata().max() for panel in ax.get_figure().axes for line in panel.lines]
    ax.set_ylim(0, max(1, *(1.06 * top for top in lines)))
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(title="question", loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return ax


@_styled
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
    _draw_levels(ax.axhline, {"guess": chance})
    for language, colour, marker in _looks(in_order(table.columns)):
        ax.plot(
            table.index, table[language], color=colour, marker=marker, markersize=4.5, linewidth=1.2, label=language
        )
    ax.set_xticks(table.index)
    ax.set(xlabel="layer (0: word embeddings)", ylabel="translations found (%)", ylim=(0, 104))
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return ax


@_styled
def start_distribution(table, *, ax=None, around=20):
    """A teacher's start probabilities by position on one example, and the window in which it counts as right.

    Args:
        table: columns position, probability, softened, gold, right, rank, as `sweeps.start_distribution` makes it.
            Tokens are numbered, not written: few machines have fonts for all scripts.
        around: the ten most probable positions carry their rank; so many of the best decide what part is drawn.
    """
    _need(table, ["position", "probability", "softened", "gold", "right", "rank"], "table")
    ax = _axes(ax, 7.5, 2.8)
    shown = table[(table["rank"] <= around) | table["right"]]["position"]
    part = table[table["position"].between(max(0, shown.min() - 3), shown.max() + 3)]
    colours = sns.color_palette("colorblind", 3)
    ax.bar(part["position"], part["probability"], color=colours[0], width=0.8, label="T = 1")
    ax.step(part["position"], part["softened"], where="mid", color=colours[1], linewidth=1.2, label="softened")
    right = table[table["right"]]["position"]
    ax.axvspan(right.min() - 0.5, right.max() + 0.5, color="0.88", zorder=0, label="counts as right")
    ax.axvline(table.loc[table["gold"], "position"].item(), color="0.25", linestyle="--", linewidth=1, label="truth")
    for row in part[part["rank"] <= 10].itertuples():
        ax.annotate(
            str(row.rank),
            (row.position, row.probability),
            xytext=(0, 1.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize="x-small",
        )
    ax.set(xlabel="token position ([CLS] is 0)", ylabel="start probability")
    ax.set_ylim(0, 1.12 * part["probability"].max())
    ax.set_xlim(part["position"].min() - 0.7, part["position"].max() + 0.7)
    _legend_above(ax, columns=4)
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
