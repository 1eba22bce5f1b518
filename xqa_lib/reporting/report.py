"""The report of a study: tables, figures and metrics, all computed from the files that the stages left.

Nothing here is typed in: a number in `reports/` is read from a score file, a training log or a run record.
"""

import json
import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd

from .. import significance
from ..data import prepared
from ..languages import in_order
from ..reading import evaluation, kinds
from ..reading.kinds import GUESS
from ..running.files import atomic_folder, write_json, write_text
from ..study import layout
from ..study.layout import CEILING, RANDOM_SPAN, ZERO_SHOT
from . import experiments_section, figures, named_tests, published, records, trainings
from .tables import GUESS_NAME, TASK_NAMES, markdown

LABELS = {ZERO_SHOT: "zero-shot", RANDOM_SPAN: "random span", GUESS: GUESS_NAME, CEILING: "perfect logits (ceiling)"}
NOT_TRAINED = (RANDOM_SPAN, GUESS, CEILING)


@dataclass(frozen=True)
class Report:
    """What a report is made of.

    Attributes:
        params: `params.Params`.
        scores: a row per question, language pair and run: columns system, seed and `evaluation.COLUMNS`.
        table: mean and standard deviation over seeds of each set, task and system, in points.
        against_zero_shot, against_ce: paired comparisons (`significance.compare_systems`).
        by_language: XLT scores per language.
        minutes: training minutes and examples of each run.
        logs: (method, seed) -> training log.
        leakage: overlap of training and evaluation data.
        by_question_language: each method against zero-shot per question language, Holm over the languages.
        by_question_language_against_ce: the same against cross-entropy; empty where that is not to be compared.
        published: our same-language scores beside published ones, where they are of the same questions.
        kinds: how often each system's answer is of the right kind, and right if so (`kinds.shares`); no rows where the
            kinds of answers are not known.
        named: the tests that the study names, see `named_tests.table`.
        choice: what chose settings before the study, see `experiments_section.choice_table`.
        ablations: `experiments_section.Results`.
    """

    params: object
    scores: pd.DataFrame
    table: pd.DataFrame
    against_zero_shot: pd.DataFrame
    against_ce: pd.DataFrame
    by_language: pd.DataFrame
    minutes: pd.DataFrame
    logs: dict
    leakage: pd.DataFrame
    by_question_language: pd.DataFrame
    by_question_language_against_ce: pd.DataFrame
    published: pd.DataFrame
    kinds: pd.DataFrame
    named: pd.DataFrame
    choice: pd.DataFrame
    ablations: object


def label(params, system):
    """How a system is named in figures and tables."""
    return LABELS.get(system) or params.methods[system].label


def load_scores(params):
    """All score files of a study in one table, with floors and ceiling: columns system, seed, `evaluation.COLUMNS`."""
    trained = [(method, seed) for method in params.trained for seed in params.seeds]
    files = {(ZERO_SHOT, 0): ZERO_SHOT} | {run: layout.system_name(*run) for run in trained}
    files |= {(RANDOM_SPAN, 0): RANDOM_SPAN, (CEILING, 0): CEILING}
    tables = {run: evaluation.read_scores(layout.scores_file(params, name)) for run, name in files.items()}
    guess = kinds.guess_scores(tables[ZERO_SHOT, 0], prepared.read_kinds(params))
    if len(guess):  # between floor and ceiling
        tables = tables | {(GUESS, 0): guess, (CEILING, 0): tables.pop((CEILING, 0))}
    named = [table.assign(system=system, seed=seed) for (system, seed), table in tables.items()]
    return pd.concat(named, ignore_index=True)


def build(params):
    """Compute everything that a report shows.

    Args:
        params: `params.Params` of a study whose stages have run.

    Returns:
        `Report`.
    """
    scores = load_scores(params)
    trained = scores[~scores["system"].isin(NOT_TRAINED) & scores["set"].isin(params.data.evaluation_sets)]
    by_language = language_table(params, scores[scores["system"] != RANDOM_SPAN])
    against_zero_shot = _labelled(params, significance.compare_systems(trained, ZERO_SHOT))
    compared = trained[trained["system"] != ZERO_SHOT]
    with_ce = "ce" in params.trained and len(params.trained) > 1
    by_question_language = _labelled(
        params, significance.compare_systems(trained, ZERO_SHOT, by="question_lang", resamples=2000)
    )
    return Report(
        params=params,
        scores=scores,
        table=score_table(params, scores),
        against_zero_shot=against_zero_shot,
        against_ce=_labelled(params, significance.compare_systems(compared, "ce"))
        if with_ce
        else against_zero_shot.iloc[:0],
        by_language=by_language,
        minutes=run_table(params),
        logs={
            (method, seed): pd.read_csv(layout.log_file(params, layout.system_name(method, seed)))
            for method in params.trained
            for seed in params.seeds
        },
        leakage=prepared.read_leakage(params),
        by_question_language=by_question_language,
        by_question_language_against_ce=_labelled(
            params, significance.compare_systems(compared, "ce", by="question_lang", resamples=2000)
        )
        if with_ce
        else by_question_language.iloc[:0],
        published=published.beside(
            by_language[~by_language["system"].isin(NOT_TRAINED)], whole=prepared.whole_sets(params)
        ),
        kinds=_labelled(params, kinds.shares(trained, prepared.read_kinds(params))),
        named=named_tests.table(params, trained),
        choice=experiments_section.choice_table(params),
        ablations=experiments_section.read_results(params),
    )


def _seeds(params):
    """How many seeds, in words."""
    return f"{len(params.seeds)} seeds" if len(params.seeds) > 1 else "one seed"


def _labelled(params, table):
    return table.assign(label=[label(params, system) for system in table["system"]])


def score_table(params, scores):
    """Mean and standard deviation over seeds: set, task, system, label, em, em_sd, f1, f1_sd, seeds, pairs, questions.

    The standard deviation (n - 1) is over seeds and missing where there is one run only.
    """
    rows = []
    for (system, seed), part in scores.groupby(["system", "seed"], sort=False):
        rows.append(evaluation.summary(part).assign(system=system, seed=seed))
    runs = pd.concat(rows, ignore_index=True)
    table = runs.groupby(["set", "task", "system"], sort=False).agg(
        em=("em", "mean"),
        em_sd=("em", "std"),
        f1=("f1", "mean"),
        f1_sd=("f1", "std"),
        seeds=("seed", "size"),
        pairs=("pairs", "first"),
        questions=("questions", "first"),
    )
    return _labelled(params, table.reset_index())


def language_table(params, scores):
    """XLT scores per language, mean over seeds: set, language, system, label, em, f1 (points), questions."""
    same = evaluation.of_task(scores, "xlt")
    grouped = same.groupby(["set", "context_lang", "system", "seed"], sort=False)[["em", "f1"]].mean() * 100
    table = grouped.groupby(["set", "context_lang", "system"], sort=False).mean().reset_index()
    return _labelled(params, table.rename(columns={"context_lang": "language"}))


def run_table(params):
    """Each trained model: its seed, parallel ids, examples, optimiser steps, minutes, TFLOP, weights (12 digits)."""
    runs = [("reader (English)", params.reader.seed, 0, "reader")]
    for method in params.trained:
        for seed, ids in trainings.training_ids(params, method).items():
            runs.append((label(params, method), seed, len(ids), layout.system_name(method, seed)))
    rows = []
    for name, seed, ids, run in runs:
        record = json.loads(layout.record_file(params, run).read_text(encoding="utf-8"))
        steps = len(pd.read_csv(layout.log_file(params, run)))
        facts = [record[key] for key in ("examples", "minutes", "tflop", "weights")]
        rows.append((name, seed, ids, facts[0], steps, *facts[1:3], facts[3][:12]))
    return pd.DataFrame(rows, columns=["model", "seed", "ids", "examples", "steps", "minutes", "TFLOP", "weights"])


def metrics(report):
    """The numbers that DVC compares between commits: set -> task -> system -> EM and F1 in points, mean over seeds."""
    tree = {}
    for row in report.table.itertuples():
        entry = tree.setdefault(row.set, {}).setdefault(row.task, {})
        entry[row.system] = {"em": round(row.em, 4), "f1": round(row.f1, 4)}
    return tree


def floor(report, name, *, value="f1"):
    """What a guess by kind scores on a set: task -> points; nothing where the kinds of answers are not known."""
    part = report.table[(report.table["set"] == name) & (report.table["system"] == GUESS)]
    return dict(zip(part["task"], part[value], strict=True))


def mean_matrix(report, name, system, *, value="f1"):
    """The language matrix of one set and system, mean over seeds, in points."""
    part = report.scores[(report.scores["system"] == system) & (report.scores["set"] == name)]
    # every seed has the same questions, so that the mean over all rows is the mean of the seeds' means
    return evaluation.matrix(part, name, value=value)


def figures_of(report):
    """All figures of a report: name -> matplotlib figure."""
    params = report.params
    drawn = {}
    for name in params.data.evaluation_sets:
        table = report.table[report.table["set"] == name]
        if (table["task"] == "gxlt_off_diagonal").any():
            drawn[f"{name}-heatmaps"] = _heatmaps(report, name, "f1")
            drawn[f"{name}-heatmaps-em"] = _heatmaps(report, name, "em")
        drawn[f"{name}-methods"] = _methods(report, name)
        drawn[f"{name}-languages"] = _languages(report, name)
    drawn["training-curves"] = _curves(report)
    return drawn | experiments_section.figures_of(report.ablations)


def _heatmaps(report, name, value):
    systems, metric = report.params.trained, value.upper()
    zero_shot = mean_matrix(report, name, ZERO_SHOT, value=value)
    figure, axes = plt.subplots(1, 1 + len(systems), figsize=(5.8 * (1 + len(systems)), 4.4))
    figure.subplots_adjust(wspace=0.25, top=0.85)
    figures.gxlt_heatmap(zero_shot, ax=axes[0], metric=metric)
    axes[0].set_title("zero-shot")
    changes = {system: mean_matrix(report, name, system, value=value) - zero_shot for system in systems}
    # one scale for all, or equal colours would mean unequal differences
    largest = max(1, math.ceil(max(change.abs().max(axis=None) for change in changes.values())))
    for ax, (system, change) in zip(axes[1:], changes.items(), strict=True):
        figures.gxlt_heatmap(change, ax=ax, difference=True, vmax=largest, metric=metric)
        ax.set_title(f"{label(report.params, system)}: change from zero-shot")
    least = floor(report, name, value=value)
    figure.suptitle(
        f"{name}: {metric} by question and context language, mean over {_seeds(report.params)}"
        + (f" ({GUESS_NAME}: {least['gxlt']:.1f})" if least else "")
    )
    return figure


def _methods(report, name):
    rows = []
    part = report.scores[(report.scores["set"] == name) & ~report.scores["system"].isin(NOT_TRAINED)]
    for (system, seed), scores in part.groupby(["system", "seed"], sort=False):
        for row in evaluation.summary(scores).itertuples():
            rows.append({"label": label(report.params, system), "task": row.task, "seed": seed, "f1": row.f1})
    runs = pd.DataFrame(rows)
    runs = runs[runs["task"] != "gxlt"]
    differences = report.against_zero_shot
    tasks = [task for task in ("xlt", "gxlt_off_diagonal") if (runs["task"] == task).any()]
    figure, axes = plt.subplots(1, 1 + len(tasks), figsize=(5.4 * (1 + len(tasks)), 3.4))
    figure.subplots_adjust(wspace=0.45)
    figures.scores_by_method(runs, ax=axes[0], floor=floor(report, name))
    for ax, task in zip(axes[1:], tasks, strict=True):
        figures.method_intervals(differences[(differences["set"] == name) & (differences["task"] == task)], ax=ax)
        ax.set_title(f"change from zero-shot\n{TASK_NAMES[task]}", fontsize="medium")
    figure.suptitle(name, y=1.12)
    return figure


def _languages(report, name):
    figure, ax = plt.subplots(figsize=(7, 3.6))
    part = report.by_language[(report.by_language["set"] == name) & (report.by_language["system"] != CEILING)]
    figures.xlt_by_language(part, ax=ax)
    figure.suptitle(f"{name}: question and context in the same language", y=1.08)
    return figure


def _curves(report):
    first = report.params.seeds[0]
    methods = [m for m in report.params.trained if report.params.methods[m].coefficient] or report.params.trained[:1]
    figure, axes = plt.subplots(len(methods), 3, figsize=(14, 3.4 * len(methods)), squeeze=False)
    figure.subplots_adjust(wspace=0.4, hspace=0.6)
    for row, method in zip(axes, methods, strict=True):
        log = report.logs[method, first]
        columns = trainings.loss_terms(log)
        figures.training_curves(log, columns=columns, axes=row[: len(columns)])
        for ax in row[len(columns) :]:
            ax.set_axis_off()
        row[0].set_title(f"{label(report.params, method)}, seed {first}", loc="left", pad=24, fontweight="bold")
    return figure


def write(report, drawn):
    """Write metrics.json, tables/ (CSV and Markdown), figures/ (SVG and PNG) and README.md to the report's folder.

    Args:
        report: `Report`.
        drawn: name -> figure, as `figures_of` returns.
    """
    folder = report.params.reports_folder
    tables = {
        "scores": report.table,
        "against-zero-shot": report.against_zero_shot,
        "against-ce": report.against_ce,
        "by-language": report.by_language,
        "runs": report.minutes,
        "records": records.table(report.params),
        "leakage": report.leakage,
        "by-question-language": report.by_question_language,
        "by-question-language-against-ce": report.by_question_language_against_ce,
        "published": report.published,
        "named-tests": report.named,
        "choice": report.choice,
        **({"kinds": report.kinds} if len(report.kinds) else {}),
        **experiments_section.tables(report.ablations),
    }
    with atomic_folder(folder / "tables") as out:
        for name, table in tables.items():
            write_text(out / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
            write_text(out / f"{name}.md", markdown(table, digits=3) + "\n")
    with atomic_folder(folder / "figures") as out:
        for name, figure in drawn.items():
            figures.save(figure, out / name)
            plt.close(figure)
    write_json(folder / "metrics.json", metrics(report))
    write_text(folder / "README.md", page(report, drawn))


def page(report, drawn):
    """The text of the report's README: every table and figure with what it shows."""
    params = report.params
    development = params.data.evaluation_sets[0]
    deviation = "; ± is the standard deviation over seeds" if len(params.seeds) > 1 else ""
    lines = [
        f"# Results of the study `{params.study}`",
        "",
        "Generated by the stage `report`; do not edit. Scores are in points (0 to 100), means over the language pairs "
        f"of a set, then over {_seeds(params)} ({', '.join(map(str, params.seeds))}){deviation}. `{development}` is "
        "the development set; how the settings were chosen, and which scores were seen on the way, is told in the "
        "repository's README. "
        "*Random span* is a reader that understands nothing, *perfect logits* one that knows every answer: what "
        "tokenizer, windows and decoding leave of it."
        + (
            " *Guess by kind*, the floor, knows what kind of answer is asked for (a place, a date), finds all that the "
            "passage states, and picks any one of them: what it scores says nothing of having understood a question."
            if len(report.kinds)
            else ""
        ),
        "",
    ]
    lines += named_tests.section(params, report.named)
    for name in params.data.all_sets:
        part = report.table[report.table["set"] == name]
        first = part.iloc[0]
        metric = "MLQA" if prepared.metric_of(name) == "mlqa" else "SQuAD v1.1"
        languages = part.loc[part["task"] == "xlt", "pairs"].iloc[0]
        questions = (
            f"{first['questions']:,} questions with question and context in one language, of {languages} "
            f"language{'s' if languages > 1 else ''}; metric: {metric}."
        )
        lines += [f"## {name}", "", questions]
        lines += ["", markdown_scores(part), ""]
        for kind, caption in (
            ("heatmaps", "F1. Rows: language of the question; columns: language of the passage."),
            ("heatmaps-em", "Exact match. Rows: language of the question; columns: language of the passage."),
            (
                "methods",
                "Dots: seeds. Intervals: 95%, over "
                f"{'seeds and ' if len(params.seeds) > 1 else ''}questions, all language pairs of an id together.",
            ),
            ("languages", "Same-language scores by language, mean over seeds."),
        ):
            if f"{name}-{kind}" in drawn:
                lines += [f"![{caption}](figures/{name}-{kind}.png)", "", caption, ""]
        lines += ["F1 by language, question and passage in the same one:", "", markdown_languages(report, name), ""]
    if len(report.kinds):
        lines += [
            "## More than the kind of the answer?",
            "",
            "An answer is right if it is of the right kind, and then the right one of its kind: exact match is the "
            "product of these two shares. Chance is what a guess by kind would be right in, of the same answers. "
            "Transfer is claimed only where the share of right ones is above chance with its 95% interval "
            f"(over {'seeds and ' if len(params.seeds) > 1 else ''}questions, all language pairs of an id together).",
            "",
            *(line for name in dict.fromkeys(report.kinds["set"]) for line in (transfer(report.kinds, name), "")),
            markdown_kinds(report.kinds),
            "",
        ]
    lines += ["## Are the differences real?", ""]
    lines += [
        "Answers are matched by seed, question id and both languages, language pairs weigh alike, and the 95% interval "
        "and p are read from one t distribution, whose variance is that of the seeds' differences, over their number, "
        "plus that of questions (ids resampled whole, with all their language pairs). p is adjusted by Holm within a "
        "set, and a difference *holds* where it is then below 0.05; `p_wilcoxon` in the tables is the paper's test, "
        "which takes the language pairs of one id as independent and decides nothing here."
        + (" One seed says nothing of how another would do." if len(params.seeds) == 1 else ""),
        "",
        markdown_comparison(report.against_zero_shot, "zero-shot"),
        "",
    ]
    if len(report.against_ce):
        lines += [markdown_comparison(report.against_ce, "CE"), ""]
    lines += [
        languages_that_differ(report.by_question_language, "zero-shot", "by-question-language"),
        "",
    ]
    if len(report.by_question_language_against_ce):
        lines += [
            languages_that_differ(
                report.by_question_language_against_ce, "cross-entropy", "by-question-language-against-ce"
            ),
            "",
        ]
    lines += [
        "## Beside published scores",
        "",
        *_published(report),
        "",
        *experiments_section.choice_section(params, report.choice),
        *experiments_section.section(report.ablations),
    ]
    lines += [
        "## Training",
        "",
        "![Loss terms and coefficient over training; dashed lines: a new generation](figures/training-curves.png)",
        "",
        markdown(report.minutes),
        "",
        "## What the training data have seen of the evaluation data",
        "",
        markdown(report.leakage),
        "",
        "Tables as CSV: [`tables/`](tables)."
        + (" Executed notebooks: [`notebooks/`](notebooks)." if (params.reports_folder / "notebooks").is_dir() else ""),
        "",
    ]
    return "\n".join(lines)


def markdown_scores(part):
    """One set's score table as Markdown: a row per system, EM and F1 of each task as mean ± standard deviation."""
    rows = []
    for name in dict.fromkeys(part["label"]):
        row = {"": name}
        for task in evaluation.TASKS:
            found = part[(part["label"] == name) & (part["task"] == task)]
            for value in ("em", "f1") if len(found) else ():
                mean, deviation = found.iloc[0][value], found.iloc[0][f"{value}_sd"]
                row[f"{TASK_NAMES[task]} {value.upper()}"] = f"{mean:.1f}" + (
                    f" ± {deviation:.1f}" if deviation == deviation else ""
                )
        rows.append(row)
    return markdown(pd.DataFrame(rows).fillna(""))


def transfer(table, name):
    """A sentence on one set: for which systems it shows transfer, to other languages than the question's if it has any.

    Args:
        table: as `kinds.shares`, with labels.
    """
    part = table[table["set"] == name]
    across = part[part["task"] == "gxlt_off_diagonal"]
    part, task = (across, "gxlt_off_diagonal") if len(across) else (part[part["task"] == "xlt"], "xlt")
    above = part.loc[part["above_chance"], "label"]
    if not len(above):
        return f"On `{name}`, {TASK_NAMES[task]}: no system is above chance."
    others = part.loc[~part["above_chance"], "label"]
    text = f"On `{name}`, {TASK_NAMES[task]}: above chance are {', '.join(above)}"
    return f"{text}; not above it: {', '.join(others)}." if len(others) else f"{text}, that is all systems."


def markdown_kinds(table):
    """`Report.kinds` as Markdown; all numbers in percent."""
    shown = pd.DataFrame(
        {
            "set": table["set"],
            "task": [TASK_NAMES[task] for task in table["task"]],
            "": table["label"],
            "of the right kind": table["right_kind"],
            "of these right": table["right_given_kind"],
            "95% interval": [
                f"[{low:.1f}, {high:.1f}]" if low == low else ""
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
            "chance": table["chance"],
        }
    )
    return markdown(shown)


def markdown_languages(report, name):
    """One set's same-language F1 as Markdown: a row per system, a column per language, mean over seeds."""
    part = report.by_language[report.by_language["set"] == name]
    table = part.pivot_table(index="label", columns="language", values="f1", sort=False)
    return markdown(table[in_order(table.columns)].reset_index().rename(columns={"label": ""}))


def languages_that_differ(table, baseline, file):
    """A sentence: for which question languages a method differs from a baseline after Holm over the languages.

    Args:
        table: as `significance.compare_systems` by question language, with labels.
        baseline: what it is compared with, as the sentence names it.
        file: name of the table that has all rows, without ending.
    """
    part = table[table["task"] == "gxlt"]
    holds = part[part["p_holm"] < 0.05]
    text = (
        f"By question language (all passages; Holm over the languages of a set and method): {len(holds)} of "
        f"{len(part)} differences from {baseline} hold"
    )
    lower = holds[holds["difference"] < 0]
    named = ", ".join(f"{row.label} on {row.set} in {row.question_lang}" for row in lower.itertuples())
    if len(holds):
        text += f", {len(lower)} of them losses: {named}" if len(lower) else ", none of them a loss"
    text += "."
    return f"{text} All rows: [`{file}.csv`](tables/{file}.csv)."


def _published(report):
    table = report.published
    if not len(table):
        return [
            "No evaluation set of this study has the questions of a published score (`xqa_lib/published_scores.csv`, "
            "from the READMEs of XQuAD and MLQA)."
        ]
    shown = table.pivot_table(index=["set", "model", "source"], columns="language", values="f1", sort=False)
    leakage = report.leakage[(report.leakage["training"] == "parallel") & (report.leakage["id"] > 0)]
    seen = [
        f"{row.id} of the {row.examples} questions of `{row.set}` in {row.language} are among the parallel data: the "
        "students were trained on them, zero-shot was not."
        for row in leakage[leakage["set"].isin(table["set"])].itertuples()
    ]
    return [" ".join(["F1, question and passage in the same language.", *seen]), "", markdown(shown.reset_index())]


def markdown_comparison(table, baseline):
    """Paired comparisons as Markdown; difference and interval in points of F1."""
    shown = pd.DataFrame(
        {
            "set": table["set"],
            "task": [TASK_NAMES[task] for task in table["task"]],
            f"against {baseline}": table["label"],
            "n": table["n"],
            "ids": table["n_ids"],
            "seeds": table["seeds"],
            "F1 difference": [f"{value:+.1f}" for value in table["difference"]],
            "95% interval": [f"[{a:+.1f}, {b:+.1f}]" for a, b in zip(table["low"], table["high"], strict=True)],
            "p (Holm)": ["< 0.001" if p < 0.001 else f"{p:.3f}" for p in table["p_holm"]],
        }
    )
    return markdown(shown)


def summary_with_guess(params, scores):
    """`evaluation.summary` of one system; with em_guess and f1_guess, of a guess by kind, where kinds are known."""
    table, guess = evaluation.summary(scores), kinds.guess_scores(scores, prepared.read_kinds(params))
    if not len(guess):
        return table
    guess = evaluation.summary(guess)[["set", "task", "em", "f1"]]
    return table.merge(guess, on=["set", "task"], how="left", suffixes=("", "_guess"))


def shown_kinds(report):
    """`Report.kinds` as the notebook shows it; None where no kinds are known."""
    if not len(report.kinds):
        return None
    table = report.kinds.assign(task=[TASK_NAMES[task] for task in report.kinds["task"]])
    return table.set_index(["set", "task", "label"]).drop(columns="system").round(1)


def score_overview(report):
    """The score table as people read it: rows set, task, system; columns EM and F1 with their deviations over seeds."""
    table = report.table.assign(task=[TASK_NAMES[task] for task in report.table["task"]])
    shown = table.set_index(["set", "task", "label"])[["em", "em_sd", "f1", "f1_sd", "seeds", "pairs"]]
    return shown.round(1)


def shown(comparison):
    """The columns of a comparison that people read: difference and interval in points of F1, adjusted p; Wilcoxon's."""
    if not len(comparison):
        return comparison
    columns = ["n", "n_ids", "seeds", "difference", "low", "high", "p_holm", "p_wilcoxon"]
    table = comparison.set_index(["set", "task", "label"])[columns]
    return table.round({"difference": 1, "low": 1, "high": 1, "p_holm": 4, "p_wilcoxon": 4})
