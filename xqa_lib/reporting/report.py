"""The report of a study: tables, figures and metrics, all computed from the files that the stages left.

Nothing here is typed in: a number in `reports/` is read from a score file, a training log or a run record. Words are in
`templates/`: README.md of two pages, and appendix.md.
"""

import json
import os
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd

from .. import significance
from ..data import prepared
from ..languages import in_order
from ..reading import evaluation, kinds
from ..reading.kinds import GUESS
from ..running.files import ROOT, atomic_folder, write_json, write_text
from ..study import experiments, layout
from ..study.layout import CEILING, RANDOM_SPAN, ZERO_SHOT
from ..study.params import load_params
from . import experiments_section, figures, named_tests, published, records, scorecard, trainings, words
from .tables import GUESS_NAME, SHORT_TASKS, over_runs

LABELS = {ZERO_SHOT: "zero-shot", RANDOM_SPAN: "random span", GUESS: GUESS_NAME, CEILING: "perfect logits (ceiling)"}
NOT_TRAINED = (RANDOM_SPAN, GUESS, CEILING)
IN_WORDS = {"xlt": "same language", "gxlt_off_diagonal": "across languages"}
# The studies whose reports are in git: each one's first figure shows the others, too. No dependency in dvc.yaml, for
# each would make the others out of date.
IN_GIT = ("embedded", "xquad", "xquad-two-cores")


@dataclass(frozen=True)
class Report:
    """What a report is made of.

    Attributes:
        params: `params.Params`.
        scores: a row per question, language pair and run: columns system, seed and `evaluation.COLUMNS`.
        logs: (method, seed) -> training log.
        tables: name of the file -> DataFrame: scores (`score_table`), by-pair (`pair_table`), by-language (mean
            over seeds of the pairs of one language), against-zero-shot and against-ce
            (`significance.compare_systems`, without rows where there is nothing to compare), the same
            by-question-language, runs (`run_table`), records and cost (`records`), leakage, published, kinds
            (`kinds.shares`, where the kinds of answers are known), named-tests, choice, and those of
            `experiments_section.tables` and `curves`.
        ablations: `experiments_section.Results`.
    """

    params: object
    scores: pd.DataFrame
    logs: dict
    tables: dict
    ablations: object

    @property
    def headline(self):
        """The set of the first sentences: that of the named tests, else the first that is not the development set."""
        sets = self.params.data.evaluation_sets
        return self.params.tests.set if self.params.tests else sets[min(1, len(sets) - 1)]


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
    """Compute everything that a report shows: `Report` of a study (`params.Params`) whose stages have run."""
    scores = load_scores(params)
    trained = scores[~scores["system"].isin(NOT_TRAINED) & scores["set"].isin(params.data.evaluation_sets)]
    students = trained[trained["system"] != ZERO_SHOT]
    ablations = experiments_section.read_results(params)
    known_kinds, made = prepared.read_kinds(params), records.table(params)
    by_pair = pair_table(scores)
    tables = {"scores": score_table(scores), "by-pair": by_pair}
    tables["by-language"] = (
        language_runs(by_pair).groupby(["set", "language", "system"], sort=False)[["em", "f1"]].mean()
    )
    tables["by-language"] = tables["by-language"].reset_index().query("system != @RANDOM_SPAN")
    for suffix, options in (("", {}), ("by-question-language-", {"by": "question_lang", "resamples": 2000})):
        found = significance.compare_systems(trained, ZERO_SHOT, **options)
        with_ce = "ce" in params.trained and len(params.trained) > 1
        tables[f"{suffix}against-zero-shot"] = found
        tables[f"{suffix}against-ce"] = (
            significance.compare_systems(students, "ce", **options) if with_ce else found.iloc[:0]
        )
    tables["by-question-language"] = tables.pop("by-question-language-against-zero-shot")
    if len(known_kinds):
        tables["kinds"] = kinds.shares(trained, known_kinds)
    tables = {name: table.assign(label=[label(params, s) for s in table["system"]]) for name, table in tables.items()}
    ours = tables["by-language"].query("system not in @NOT_TRAINED")
    tables |= {
        "runs": run_table(params),
        "records": made,
        "cost": records.cost(made),
        "leakage": prepared.read_leakage(params),
        "published": published.beside(ours, whole=prepared.whole_sets(params)),
        "named-tests": named_tests.table(params, trained),
        "choice": experiments_section.choice_table(params),
        **experiments_section.tables(ablations),
    }
    logs = {
        (method, seed): pd.read_csv(layout.log_file(params, layout.system_name(method, seed)))
        for method in params.trained
        for seed in params.seeds
    }
    return Report(params, scores, logs, tables | curves(params, logs, ablations), ablations)


def curves(params, logs, ablations):
    """The tables that `dvc plots` draws, a column for each method by its name in the parameters, means over seeds.

    curve-loss has a row per step, curve-few-resource (F1 over all pairs of the development set) one per number of ids.
    """
    steps = pd.concat([log.assign(method=method) for (method, _), log in logs.items()])
    few = ablations.table.query("experiment == 'few-resource' and task == 'gxlt'")
    few = few.pivot_table(index="value", columns="series", values="f1").rename_axis("ids")
    few = few.rename(columns={params.method(method).label: method for method in params.sweeps.methods})
    return {
        "curve-loss": steps.pivot_table(index="step", columns="method", values="loss")[params.trained].reset_index(),
        "curve-few-resource": few.reindex(columns=params.sweeps.methods).reset_index(),
    }


def score_table(scores):
    """Mean and standard deviation over seeds: set, task, system, em, em_sd, f1, f1_sd, seeds, pairs, questions, ids.

    The standard deviation (n - 1) is over seeds and missing where there is one run only.
    """
    runs = [
        evaluation.summary(part).assign(system=system, seed=seed)
        for (system, seed), part in scores.groupby(["system", "seed"], sort=False)
    ]
    table = over_runs(pd.concat(runs, ignore_index=True), ["set", "task", "system"], "pairs", "questions")
    ids = [evaluation.of_task(scores, task).groupby("set")["id"].nunique() for task in evaluation.TASKS]
    ids = dict(zip(evaluation.TASKS, ids, strict=True))
    return table.assign(ids=[ids[row.task][row.set] for row in table.itertuples()])


def pair_table(scores):
    """Means of each language pair and run: set, system, seed, question_lang, context_lang, em, f1 (points)."""
    keys = ["set", "system", "seed", "question_lang", "context_lang"]
    return (scores.groupby(keys, sort=False)[["em", "f1"]].mean() * 100).reset_index()


def language_runs(by_pair):
    """`pair_table` of the pairs of one language, as the column language."""
    return evaluation.of_task(by_pair, "xlt").drop(columns="question_lang").rename(columns={"context_lang": "language"})


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
    for row in report.tables["scores"].itertuples():
        entry = tree.setdefault(row.set, {}).setdefault(row.task, {})
        entry[row.system] = {"em": round(row.em, 4), "f1": round(row.f1, 4)}
    return tree


# ------------------------------------------------------------------------------------------------ figures


def mean_matrix(report, name, system):
    """The language matrix of F1 of one set and system, mean over seeds, in points."""
    part = report.tables["by-pair"].query("set == @name and system == @system")
    table = part.pivot_table(index="question_lang", columns="context_lang", values="f1")
    return table.reindex(index=in_order(table.index), columns=in_order(table.columns))


def forest_table(report):
    """What the first figure shows: each method against CE on the sets that chose nothing, of all studies in git.

    Returns:
        DataFrame row (what is compared), label, difference, low, high; no rows without a comparison with CE.
    """
    params = report.params
    studies = [(params, report.tables["against-ce"])]
    others = [name for name in IN_GIT if name != params.study] if params.study in IN_GIT else []
    for other in map(load_params, others):
        file = other.reports_folder / "tables" / "against-ce.csv"
        studies += [(other, pd.read_csv(file))] if file.is_file() else []
    parts = []
    for study, table in studies:
        part = table[table["task"].isin(IN_WORDS) & (table["set"] != study.data.evaluation_sets[0])]
        part = part[part["system"].isin(["skd", "skd-map"])]
        rows = [
            f"{study.study}: {row.set}\n{IN_WORDS[row.task]}, {row.n_ids:,} ids, {words.count(row.seeds, 'seed')}"
            for row in part.itertuples()
        ]
        order = part["task"].map(list(IN_WORDS)[::-1].index)
        parts.append(part.assign(row=rows, order=order).sort_values("order", kind="stable"))
    return pd.concat(parts)[["row", "label", "difference", "low", "high", "p_holm"]]


def figures_of(report):
    """All figures of a report: name -> matplotlib figure."""
    params, drawn = report.params, {}
    seeds = words.count(len(params.seeds), "seed")
    forest = forest_table(report)
    if len(forest):
        title = "Does self-distillation add to cross-entropy? F1 of SKD and SKD-mAP minus CE"
        drawn["forest"] = figures.forest(forest, title=title).get_figure()
    before = report.tables["against-zero-shot"]
    before = before[before["task"].isin(IN_WORDS)].sort_values(
        "set", key=lambda c: c.map(_sets(params).index), kind="stable"
    )
    rows = [f"{row.set}, {IN_WORDS[row.task]}" for row in before.itertuples()]
    title = f"What does training on parallel questions change? {params.study}, F1 minus zero-shot, {seeds}"
    drawn["against-zero-shot"] = figures.forest(before.assign(row=rows), title=title).get_figure()
    for name in _sets(params):
        part = report.scores[report.scores["set"] == name]
        if (part["question_lang"] != part["context_lang"]).any():
            matrices = {s: mean_matrix(report, name, s) for s in (ZERO_SHOT, *params.trained)}
            titles = {system: label(params, system) for system in matrices}
            title = f"Which language pairs does each reader understand? {name}, F1, mean over {seeds}"
            shown = {titles[system]: matrix for system, matrix in matrices.items()}
            drawn[f"{name}-heatmaps"] = figures.heatmap_panels(shown, title=title)
            base = "ce" if "ce" in params.trained else ZERO_SHOT
            minus = [(base, ZERO_SHOT)] * (base != ZERO_SHOT)
            minus += [(system, base) for system in matrices if system not in (base, ZERO_SHOT)]
            shown = {f"{titles[one]} - {titles[other]}": matrices[one] - matrices[other] for one, other in minus}
            title = f"Which language pairs does training change? {name}, F1, mean over {seeds}"
            drawn[f"{name}-differences"] = figures.heatmap_panels(shown, title=title, difference=True)
        part = language_runs(report.tables["by-pair"]).query("set == @name and system not in [@CEILING, @RANDOM_SPAN]")
        if part["language"].nunique() > 2:  # fewer are read off the table
            title = f"How well is each language read, question and passage in it? {name}"
            drawn[f"{name}-languages"] = figures.xlt_by_language(part, title=title).get_figure()
    drawn["training-curves"] = _curves(report)
    if params.data.source == "own":
        drawn |= scorecard.figures_of(report)
    return drawn | experiments_section.figures_of(report.ablations)


def _sets(params):
    """The sets that every system is scored on, the development set last."""
    development, *others = params.data.evaluation_sets
    return [*others, development]


@figures.styled
def _curves(report):
    """What each method's loss is made of over training: a row of panels per method that distils, else one of all."""
    params, first = report.params, report.params.seeds[0]
    methods = [m for m in params.trained if params.methods[m].coefficient] or params.trained[:1]
    columns = {
        method: [
            name
            for name in trainings.loss_terms(report.logs[method, first])
            if name != "coefficient" or len(set(report.logs[method, first][name])) > 1  # a constant is no curve
        ]
        for method in methods
    }
    width = max(map(len, columns.values()))
    figure, axes = plt.subplots(len(methods), width, figsize=(4.4 * width, 2.6 * len(methods)), squeeze=False)
    figure.subplots_adjust(wspace=0.4, hspace=0.75, top=1 - 0.8 / (2.6 * len(methods)))
    for row, method in zip(axes, methods, strict=True):
        figures.training_curves(report.logs[method, first], columns=columns[method], axes=row[: len(columns[method])])
        for ax in row[len(columns[method]) :]:
            ax.set_axis_off()
        row[0].set_title(label(params, method), loc="left", pad=18, fontweight="bold")
    figure.suptitle(f"How do the terms of the loss move over training? {params.study}, seed {first}", y=1)
    return figure


# ------------------------------------------------------------------------------------------------ pages


def write(report, drawn):
    """Write metrics.json, tables/ (CSV), figures/ (SVG and PNG), README.md and appendix.md to the report's folder.

    Args:
        report: `Report`.
        drawn: name -> figure, as `figures_of` returns.
    """
    folder = report.params.reports_folder
    with atomic_folder(folder / "tables") as out:
        for name, table in report.tables.items():
            write_text(out / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    with atomic_folder(folder / "figures") as out:
        for name, figure in drawn.items():
            figures.save(figure, out / name)
            plt.close(figure)
    write_json(folder / "metrics.json", metrics(report))
    for name in ("README.md", "appendix.md"):
        write_text(folder / name, page(report, drawn, name))


def page(report, drawn, name="README.md"):
    """The text of a page of the report, "README.md" (of a user's own language its scorecard) or "appendix.md"."""
    if name == "README.md" and report.params.data.source == "own":
        return scorecard.page(report)
    params, tables = report.params, report.tables
    results = report.ablations
    return words.page(
        f"{name}.j2",
        **{"params": params, "tables": tables, "drawn": drawn, "report": report, "results": results},
        development=params.data.evaluation_sets[0],
        sets=_sets(params),
        reference=experiments.reference(params),
        experiments=experiments.all_experiments(params),
        experiment_findings=experiments_section.findings(results),
        experiment_scores=experiments_section.readable_scores,
        selected=experiments_section.readable_selection(results) if experiments_section.is_choice(results) else None,
        findings=findings(report),
        machines=records.machines(tables["records"]),
        named=named_tests.readable(params, tables["named-tests"]),
        protocol=os.path.relpath(ROOT / "docs" / "protocol.md", params.reports_folder),
        claims=os.path.relpath(ROOT / "docs" / "claims.md", params.reports_folder),
        in_git=params.study in IN_GIT,
        notebooks=(params.reports_folder / "notebooks").is_dir(),
        **{function.__name__: function for function in (readable_scores, readable_sets, readable_differences)},
        **{function.__name__: function for function in (readable_languages, readable_comparisons)},
    )


def findings(report):
    """The report in three sentences: what training does across languages, self-distillation, and where else."""
    params, name = report.params, report.headline
    found = []
    f1 = report.tables["scores"].set_index(["set", "task", "system"])["f1"]
    first = "ce" if "ce" in params.trained else params.trained[0]
    trained, task = label(params, first), "gxlt_off_diagonal"
    if (name, task, first) in f1:
        ids = report.tables["runs"].query("model == @trained")["ids"].iloc[0]
        row = comparisons(report, "zero-shot", name, task, [first]).iloc[0]
        found.append(
            f"Training on {ids} parallel ids (questions with their translations) takes F1 with question and passage in "
            f"different languages from {f1[name, task, ZERO_SHOT]:.1f} (*zero-shot*: the English reader alone) to "
            f"{f1[name, task, first]:.1f} (*{trained}*{': cross-entropy on the marked answers' * (first == 'ce')}) on "
            f"`{name}`: {words.signed(row['difference'])} {words.interval(row['low'], row['high'])}, "
            f"{'significant' if row['p_holm'] < words.LEVEL else 'not significant'} (p {words.p_value(row['p_holm'])})."
        )
    others = [method for method in ("skd", "skd-map") if method in params.trained]
    tests = report.tables["named-tests"]
    tests = tests[(tests["baseline"] == "ce") & tests["method"].isin(others)] if len(tests) else tests
    if len(tests):
        tests = tests.assign(name=[f"{label(params, method)} - CE" for method in tests["method"]])
    elif len(report.tables["against-ce"]) and (name, task, first) in f1:
        tests = comparisons(report, "ce", name, task, others)
    if len(tests):
        taught = "the student also learns from a frozen copy of itself, that of the generation before"
        ranks = "weighted by how well that teacher ranks the truth"
        explained = {
            ("skd",): f"*SKD*: {taught}",
            ("skd-map",): f"*SKD-mAP*: {taught}, {ranks}",
            ("skd", "skd-map"): f"*SKD*: {taught}; *SKD-mAP*: {ranks}",
        }[tuple(others)]
        verdict = _lower(words.verdict(tests))
        found.append(f"Against CE on these pairs, self-knowledge distillation ({explained}): {verdict}")
    parts = [
        f"{words.signed(row['difference'])} {words.interval(row['low'], row['high'])} on `{other}`"
        for other in dict.fromkeys([name, *_sets(params)[:-1]])
        for _, row in comparisons(report, "zero-shot", other, "xlt", [first]).iterrows()
    ]
    if parts:
        changed = f"{trained} changes F1 of zero-shot by {words.names(parts)}"
        found.append(f"With question and passage in the same language (*XLT*), {changed}.")
    return found


def _lower(sentence):
    return sentence[0].lower() + sentence[1:]


def comparisons(report, baseline, name, task, systems=None):
    """The rows of `against-<baseline>` of a set and task, with the names that `words.verdict` needs."""
    table = report.tables[f"against-{baseline}"].query("set == @name and task == @task")
    table = table if systems is None else table[table["system"].isin(systems)]
    return table.assign(name=[f"{text} - {label(report.params, baseline)}" for text in table["label"]])


def readable_scores(report):
    """The score table of the first pages: a row per set and system, F1 of each task with its deviation over seeds."""
    params, rows = report.params, []
    table = report.tables["scores"]
    for name in [*_sets(params), *params.data.zero_shot_sets]:
        part = table[(table["set"] == name) & ~table["system"].isin(NOT_TRAINED)]
        for place, (system, found) in enumerate(part.groupby("label", sort=False)):
            cells = {row.task: words.with_sd(row.f1, row.f1_sd) for row in found.itertuples()}
            if "gxlt_off_diagonal" not in cells:  # "gxlt" would only repeat "xlt"
                cells = {"xlt": cells["xlt"]}
            texts = {short: cells.get(task, "") for task, short in SHORT_TASKS.items()}
            rows.append({"set": "" if place else f"`{name}`", "": system, **texts})
    return pd.DataFrame(rows)


def readable_sets(report):
    """What each set holds, and what floors and ceiling score on all its pairs (F1)."""
    params, table, rows = report.params, report.tables["scores"], []
    for name in [*_sets(params), *params.data.zero_shot_sets]:
        part = table[(table["set"] == name) & (table["task"] == "gxlt")].set_index("system")
        first = part.iloc[0]
        scores = {LABELS[system]: f"{part.loc[system, 'f1']:.1f}" for system in NOT_TRAINED if system in part.index}
        metric = "MLQA" if prepared.metric_of(name) == "mlqa" else "SQuAD v1.1"
        facts = {"language pairs": first["pairs"], "ids": first["ids"], "rows": first["questions"], "metric": metric}
        rows.append({"set": f"`{name}`", **facts, **scores})
    return pd.DataFrame(rows).fillna("")


def readable_languages(report, name):
    """One set's same-language F1: a row per system, a column per language, mean over seeds."""
    part = report.tables["by-language"].query("set == @name")
    table = part.pivot_table(index="label", columns="language", values="f1", sort=False)
    table = table[in_order(table.columns)].rename(columns=words.language)
    return table.reset_index().rename(columns={"label": ""})


def readable_differences(report):
    """The verdicts on the sets that chose nothing: a row per set and task, against CE in words, against zero-shot."""
    rows = []
    for name in _sets(report.params)[:-1]:
        for task in ("gxlt_off_diagonal", "xlt"):
            before, ce = (comparisons(report, baseline, name, task) for baseline in (ZERO_SHOT, "ce"))
            if len(before):
                low, high = (words.signed(end(before["difference"])) for end in (min, max))
                holds = f"{(before['p_holm'] < words.LEVEL).sum()} of {len(before)} hold: {low} to {high}"
                facts = {"set": f"`{name}`", "": IN_WORDS[task], "ids": before["n_ids"].iloc[0], "zero-shot": holds}
                rows.append(facts | {"CE": words.verdict(ce)})
    return pd.DataFrame(rows)


def readable_comparisons(report, baseline):
    """Paired comparisons as people read them; difference and interval in points of F1."""
    table = report.tables[f"against-{baseline}"]
    table = table.sort_values("set", key=lambda column: column.map(_sets(report.params).index), kind="stable")
    return pd.DataFrame(
        {
            "set": table["set"],
            "task": table["task"].map(SHORT_TASKS),
            f"against {label(report.params, baseline)}": table["label"],
            **{"rows": table["n"], "ids": table["n_ids"], "seeds": table["seeds"]},
            "F1 difference": table["difference"].map(words.signed),
            "95% interval": [words.interval(*ends) for ends in zip(table["low"], table["high"], strict=True)],
            "p (Holm)": table["p_holm"].map(words.p_value),
        }
    )


def summary_with_guess(params, scores):
    """`evaluation.summary` of one system; with em_guess and f1_guess, of a guess by kind, where kinds are known."""
    table, guess = evaluation.summary(scores), kinds.guess_scores(scores, prepared.read_kinds(params))
    if not len(guess):
        return table
    guess = evaluation.summary(guess)[["set", "task", "em", "f1"]]
    return table.merge(guess, on=["set", "task"], how="left", suffixes=("", "_guess"))
