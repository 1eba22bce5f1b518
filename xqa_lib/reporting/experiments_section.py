"""What the experiments found: tables, tests and figures, all from the files that the sweeps left."""

from dataclasses import dataclass
from functools import cached_property

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from .. import significance
from ..data import prepared
from ..errors import DataError
from ..languages import in_order
from ..reading import evaluation, kinds
from ..reading.kinds import GUESS
from ..study import experiments, layout, run_results
from ..study.layout import ZERO_SHOT
from . import figures
from .tables import GUESS_NAME, markdown

TASKS = ("xlt", "gxlt")
# the experiments whose values are numbers
CURVES = ("temperature", "k", "window", "generations", "ntl", "ntl-steps", "few-resource", "label-noise")
# those of them whose ends are compared: what do methods gain from data, and lose to wrong answers?
CHANGES = ("few-resource", "label-noise")


@dataclass(frozen=True)
class Results:
    """The results of all groups and seeds of a study's sweeps.

    Attributes:
        params: `params.Params`.
        scores: seed and `run_results.COLUMNS`, a row per setting, seed, question and language pair; with the guess by
            kind as the setting `GUESS` where kinds of answers are known.
        other_scores: seed and `run_results.OTHER_COLUMNS`: the settings that may be chosen, on the other sets.
        logs: seed, setting and a row per optimiser step.
        facts: setting, seed, examples, ids, corrupted, steps, minutes: a row per trained student.
        table: scores of each experiment's points, see `score_table`.
        tests: paired comparisons, see `comparison_table`.
        start_distribution: as `sweeps.start_distribution`, of the first seed.
    """

    params: object
    scores: pd.DataFrame
    other_scores: pd.DataFrame
    logs: pd.DataFrame
    facts: pd.DataFrame
    table: pd.DataFrame
    tests: pd.DataFrame
    start_distribution: pd.DataFrame

    @cached_property
    def changes(self):
        """`change_table`, once: its intervals take seconds."""
        return change_table(self)

    @cached_property
    def selection(self):
        return selection_table(self)

    @cached_property
    def selected(self):
        return selected_scores(self)

    @cached_property
    def selected_by_language(self):
        return selected_languages(self)


def read_results(params):
    """`Results` of a study whose sweeps have run; raises DataError where one has not."""
    scores, others, logs, facts = [], [], [], []
    for group in params.sweeps.groups:
        for seed in params.seeds:
            found, log, record = run_results.read_group(params, group, seed)
            scores.append(found.assign(seed=seed))
            others.append(run_results.read_other_sets(params, group, seed).assign(seed=seed))
            logs.append(log.assign(seed=seed))
            facts += [
                {"setting": key, "seed": seed, "group": group, **{n: v for n, v in entry.items() if n != "setting"}}
                for key, entry in record["settings"].items()
            ]
    scores, others = (_zero_shot_once(pd.concat(tables, ignore_index=True), params) for tables in (scores, others))
    scores, others = (_with_guess(params, table) for table in (scores, others))
    logs, facts = pd.concat(logs, ignore_index=True), pd.DataFrame(facts)
    return Results(
        params=params,
        scores=scores,
        other_scores=others,
        logs=logs,
        facts=facts,
        table=score_table(params, scores, facts),
        tests=comparison_table(params, scores),
        start_distribution=read_start_distribution(params, params.sweeps.groups[0], params.seeds[0]),
    )


def _zero_shot_once(scores, params):
    """Without the copies of the zero-shot reader: every seed scores it, but it is one reader, of no deviation."""
    return scores[(scores["setting"] != ZERO_SHOT) | (scores["seed"] == params.seeds[0])]


def _with_guess(params, scores):
    """Scores of settings, with what a guess by kind scores on the same questions where their kinds are known."""
    sets = {} if "set" in scores else {"set": params.data.evaluation_sets[0]}
    guess = kinds.guess_scores(scores.assign(**sets), prepared.read_kinds(params))
    return (
        pd.concat([scores, guess.assign(setting=GUESS, seed=params.seeds[0])[scores.columns]]) if len(guess) else scores
    )


def read_start_distribution(params, group, seed):
    """The table of `sweeps.start_distribution` as a group's run wrote it."""
    # a token may be the word "null"
    path = layout.experiments_folder(params, group, seed) / "start-distribution.csv"
    return pd.read_csv(path, keep_default_na=False)


def named(params, group, seed, table):
    """The rows of `sweeps.run_group` under the names of their experiments: a row for each point of the group.

    Before them the guess by kind on the same questions, where kinds are known, and the zero-shot reader if it was read.
    """
    by_key = table.set_index("setting")
    scores, _, _ = run_results.read_group(params, group, seed)
    scores = _with_guess(params, scores.assign(seed=seed))
    guess = _means((GUESS, "", ""), scores[scores["setting"] == GUESS])
    rows = [(*names, em, f1) for *names, task, em, _, f1, _, _ in guess if task == "gxlt"]
    if ZERO_SHOT in by_key.index:
        rows.append((ZERO_SHOT, "", "", *by_key.loc[ZERO_SHOT, ["em", "f1"]]))
    for experiment in experiments.all_experiments(params).values():
        for point in experiment.points:
            if experiment.group == group and point.setting.key in by_key.index:
                found = by_key.loc[point.setting.key]
                rows.append((experiment.name, point.series, point.value, found["em"], found["f1"]))
    columns = ["experiment", "series", "value", "em", "f1"]
    return pd.DataFrame(rows, columns=columns).round(1).set_index("experiment")


def choice_table(params):
    """What chose settings before the study (`experiments.study_of`): F1 in points, mean over `sweeps.choice_seeds`.

    Returns:
        DataFrame experiment, series, value, F1 of each of `evaluation.TASKS`, best: is it the highest of its series
        across languages (all pairs of two)? Without such experiments no rows.
    """
    columns = ["experiment", "series", "value", *evaluation.TASKS, "best"]
    if not params.sweeps.choice_seeds:
        return pd.DataFrame(columns=columns)
    study = experiments.study_of(params, experiments.CHOICE)
    read = [run_results.read_group(study, experiments.CHOICE, seed)[0].assign(seed=seed) for seed in study.seeds]
    runs = pd.concat(read, ignore_index=True).assign(set=study.data.evaluation_sets[0])
    means = pd.concat(
        evaluation.summary(run).assign(setting=key) for (key, _), run in runs.groupby(["setting", "seed"])
    )
    f1 = means.pivot_table(index="setting", columns="task", values="f1")
    rows = [
        {"experiment": experiment.name, "series": p.series, "value": p.value, **f1.loc[p.setting.key]}
        for experiment in experiments.all_experiments(study).values()
        for p in experiment.points
    ]
    table = pd.DataFrame(rows)
    highest = table.groupby(["experiment", "series"])["gxlt_off_diagonal"].transform("max")
    return table.assign(best=table["gxlt_off_diagonal"] == highest)[columns]


def choice_section(params, table):
    """The report's lines on what was chosen before the study's students were trained; none if nothing was."""
    if not len(table):
        return []
    seeds = params.sweeps.choice_seeds
    return [
        "## What was chosen before the study's students were trained",
        "",
        f"F1 on `{params.data.evaluation_sets[0]}`, of students with the seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))}, which the study's students have not; *best*: the highest across languages.",
        "",
        markdown(table.assign(value=table["value"].map(str), best=table["best"].map({True: "best", False: ""}))),
        "",
    ]


def _of_point(part, experiment, point):
    """The rows that an experiment scores a setting on: all, or the pairs that a language is part of."""
    if experiment.name != "left-out":
        return part
    return part[(part["question_lang"] == point.value) | (part["context_lang"] == point.value)]


def score_table(params, scores, facts):
    """Mean and standard deviation over seeds of every point, in points.

    Args:
        scores: as `Results.scores`.
        facts: as `Results.facts`, for the number of ids that "all" stands for.

    Returns:
        DataFrame experiment, series, value, setting, task ("xlt" or "gxlt"), em, em_sd, f1, f1_sd, seeds; the zero-shot
        reader as the experiment "zero-shot", and the guess by kind as "guess-by-kind" where it is among the scores. In
        "left-out", the pairs that the language takes part in are scored.
    """
    ids = facts.drop_duplicates("setting").set_index("setting")["ids"] if len(facts) else {}
    by_key = dict(iter(scores.groupby("setting", sort=False)))
    rows = []
    for name in (GUESS, ZERO_SHOT):
        if name in by_key:
            rows += _means((name, name, "", name), by_key[name])
    for experiment in experiments.all_experiments(params).values():
        for point in experiment.points:
            key = point.setting.key
            if key not in by_key:
                raise DataError(f"the sweeps have no scores of the setting {key} of {experiment.name}: run `dvc repro`")
            value = int(ids[key]) if point.value == "all" else point.value
            rows += _means((experiment.name, point.series, value, key), _of_point(by_key[key], experiment, point))
    columns = ["experiment", "series", "value", "setting", "task", "em", "em_sd", "f1", "f1_sd", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def _means(names, part):
    rows = []
    for task in TASKS:
        chosen = evaluation.of_task(part, task)
        if not len(chosen):
            continue
        pairs = chosen.groupby(["seed", "question_lang", "context_lang"])[["em", "f1"]].mean() * 100
        seeds = pairs.groupby("seed").mean()
        mean, deviation = seeds.mean(), seeds.std()
        rows.append((*names, task, mean["em"], deviation["em"], mean["f1"], deviation["f1"], len(seeds)))
    return rows


def comparison_table(params, scores, *, seed=0, resamples=10_000):
    """Every point against the one that its experiment compares it with, over all language pairs.

    Scores are matched by seed, id, question language and context language; rows are filtered before anything is tested
    (`significance.seed_and_id_test`). Holm's correction is over the comparisons of one experiment.

    Returns:
        DataFrame experiment, series, value, against, the columns of `significance.Effect.in_points`, p_wilcoxon (the
        paper's test on the scores averaged over seeds), p_holm (of p).
    """
    by_setting = dict(iter(scores.groupby("setting", sort=False)))
    rows = []
    for experiment in experiments.all_experiments(params).values():
        compared = []
        for point in experiment.points:
            baseline = experiment.baseline(point)
            if baseline is None:
                continue
            key, against = baseline
            a, b = (_of_point(by_setting[setting], experiment, point) for setting in (point.setting.key, key))
            effect = significance.seed_and_id_test(_by_seed(a), _by_seed(b), resamples=resamples, seed=seed)
            means = [part.groupby(evaluation.KEY)["f1"].mean() for part in (a, b)]
            compared.append(
                {
                    "experiment": experiment.name,
                    "series": point.series,
                    "value": point.value,
                    "against": against,
                    **effect.in_points(),
                    "p_wilcoxon": significance.paired_wilcoxon(*means).p_value,
                }
            )
        adjusted = significance.holm([row["p"] for row in compared])
        rows += [row | {"p_holm": p} for row, p in zip(compared, adjusted, strict=True)]
    return pd.DataFrame(rows)


def _by_seed(scores):
    """{seed: Series of F1 by `evaluation.KEY`} of the rows of one setting."""
    return {seed: run.set_index(evaluation.KEY)["f1"] for seed, run in scores.groupby("seed")}


def selection_table(results):
    """The setting of each method that the development set chooses among those that were run, beside the study's own.

    What may be chosen is `experiments.selectable`; the highest mean F1 over all language pairs of the development set,
    mean over the seeds, is chosen (the first of equal ones). No other set is looked at: the order is to train, to
    choose here, and only then to read `selected_scores`.

    Returns:
        DataFrame method (label), settings (how many there were), setting (key), ntl, temperature, otherwise (the other
        options that differ from the method's reference), F1, F1 sd (points), study's ntl, study's temperature.
    """
    params = results.params
    # of the experiment that leaves a language out the rows are of a part of the pairs
    whole = results.table[(results.table["task"] == "gxlt") & (results.table["experiment"] != "left-out")]
    scored = whole.drop_duplicates("setting").set_index("setting")
    rows = []
    for name, candidates in experiments.selectable(params).items():
        key = max(candidates, key=lambda candidate: scored.loc[candidate, "f1"])
        best, own = candidates[key].method, params.method(name)
        rows.append(
            (
                own.label,
                len(candidates),
                key,
                best.ntl,
                best.temperature if own.coefficient else None,
                _differences(candidates[key], experiments.reference(params, name)),
                scored.loc[key, "f1"],
                scored.loc[key, "f1_sd"],
                own.ntl,
                own.temperature if own.coefficient else None,
            )
        )
    columns = ["method", "settings", "setting", "ntl", "temperature", "otherwise", "F1", "F1 sd"]
    return pd.DataFrame(rows, columns=[*columns, "study's ntl", "study's temperature"])


def _differences(setting, other):
    """The options of the loss, ntl and temperature aside, in which a setting differs from another, as words."""
    mine, theirs = setting.as_dict()["method"], other.as_dict()["method"]
    named = [
        f"{name} {value}"
        for name, value in mine.items()
        if value != theirs[name] and value is not None and name not in ("ntl", "temperature")
    ]
    return ", ".join(named)


def _selected(results):
    """Scores of the chosen settings, and of nothing else, on the sets that did not choose; with a column system."""
    chosen = results.selection[["setting", "method"]].rename(columns={"method": "system"})
    beside = pd.DataFrame([(GUESS, GUESS_NAME), (ZERO_SHOT, ZERO_SHOT)], columns=["setting", "system"])
    # a row for each system: two of them may have chosen the same setting
    return results.other_scores.merge(pd.concat([beside, chosen]), on="setting")


def selected_scores(results):
    """What the chosen settings score on the sets that did not choose them; beside them the guess by kind and zero-shot.

    Returns:
        DataFrame set, task (of `evaluation.TASKS`), system (a method's label), setting, em, em_sd, f1, f1_sd (points,
        over seeds), seeds, pairs, questions.
    """
    runs = [
        evaluation.summary(part).assign(system=system, setting=key)
        for (system, key, _), part in _selected(results).groupby(["system", "setting", "seed"], sort=False)
    ]
    if not runs:
        return pd.DataFrame(columns=["set", "task", "system", "setting", *_MEASURED])
    grouped = pd.concat(runs, ignore_index=True).groupby(["set", "task", "system", "setting"], sort=False)
    return _in_order(results, _over_runs(grouped, pairs=("pairs", "first"), questions=("questions", "first")))


def selected_languages(results):
    """The same per language, question and passage in the same one: DataFrame set, language, system, em ... seeds."""
    same = evaluation.of_task(_selected(results), "xlt")
    if not len(same):
        return pd.DataFrame(columns=["set", "language", "system", *_MEASURED])
    runs = same.groupby(["set", "context_lang", "system", "seed"], sort=False)[["em", "f1"]].mean() * 100
    table = _over_runs(runs.reset_index().groupby(["set", "context_lang", "system"], sort=False))
    return _in_order(results, table.rename(columns={"context_lang": "language"}))


_MEASURED = ["em", "em_sd", "f1", "f1_sd", "seeds"]


def _over_runs(grouped, **more):
    """Mean and standard deviation of grouped runs, with the columns `_MEASURED`."""
    return grouped.agg(
        **{"em": ("em", "mean"), "em_sd": ("em", "std"), "f1": ("f1", "mean"), "f1_sd": ("f1", "std")},
        **{"seeds": ("f1", "size"), **more},
    ).reset_index()


def _in_order(results, table):
    """Rows by set, then task or language, then system, each in the order of the study."""
    params = results.params
    orders = {
        "set": params.data.evaluation_sets,
        "task": list(evaluation.TASKS),
        "language": in_order(table.get("language", [])),
        "system": [GUESS_NAME, ZERO_SHOT, *(method.label for method in params.methods.values())],
    }
    return table.sort_values(
        [name for name in orders if name in table], key=lambda column: column.map(orders[column.name].index)
    ).reset_index(drop=True)


def top_k_table(results):
    """Exact match among the k best answers: DataFrame system, language (of the question), k, em (points)."""
    systems = {ZERO_SHOT: ZERO_SHOT}
    systems |= {
        experiments.reference(results.params, method).key: results.params.method(method).label
        for method in ("ce", "skd", "skd-map")
    }
    rows = []
    for key, label in systems.items():
        part = results.scores[results.scores["setting"] == key]
        for language, answers in part.groupby("question_lang", sort=False):
            for k in range(1, evaluation.RANKS + 1):
                hit = answers["rank"].between(1, k)
                # pairs weigh the same, as in all tables
                by_pair = hit.groupby([answers["seed"], answers["context_lang"]]).mean()
                rows.append((label, language, k, 100 * by_pair.mean()))
    return pd.DataFrame(rows, columns=["system", "language", "k", "em"])


# ------------------------------------------------------------------------------------------------ figures


def figures_of(results):
    """All figures of the experiments: name -> matplotlib figure, closed for pyplot: notebooks do not show them."""
    drawn = {}
    for name, figure in _figures(results):
        # so many open figures would fill memory and the notebook that draws them; closed ones can be saved all the same
        plt.close(figure)
        drawn[name] = figure
    return drawn


def _figures(results):
    """Pairs of name and figure, each drawn when it is asked for."""
    for experiment in experiments.all_experiments(results.params).values():
        part = results.table[results.table["experiment"] == experiment.name]
        yield f"ablation-{experiment.name}", _experiment(experiment, part, levels(results))
        if experiment.name == "temperature" and _is_grid(experiment):
            ax = figures.grid_heatmap(part[part["task"] == "gxlt"], axis=experiment.axis)
            ax.set_title(", ".join(f"{name}: {points:.1f}" for name, points in levels(results)["gxlt"].items()))
            yield "ablation-temperature-grid", ax.get_figure()
    yield "ablation-coefficient-curves", _coefficient_curves(results)
    yield "ablation-top-k", _top_k(results)
    figure, ax = plt.subplots(figsize=(7.5, 2.8))
    figures.start_distribution(results.start_distribution, ax=ax)
    yield "ablation-start-distribution", figure
    languages = results.selected_by_language
    if len(languages) and _is_choice(results):
        yield "ablation-selected-languages", _selected_languages(languages)


def _is_choice(results):
    """Is there a method with more than one setting to choose from?"""
    return results.selection["settings"].max() > 1


def _selected_languages(table):
    parts = list(table.rename(columns={"system": "label"}).groupby("set", sort=False))
    figure, axes = plt.subplots(len(parts), 1, figsize=(7, 4.2 * len(parts)), squeeze=False)
    figure.subplots_adjust(hspace=0.6)
    for ax, (name, part) in zip(axes[:, 0], parts, strict=True):
        figures.xlt_by_language(part, ax=ax)
        ax.set_title(name, pad=30)  # above the legend
    return figure


def _is_grid(experiment):
    """Does it vary two things?"""
    return len({p.series for p in experiment.points}) > 1 < len({p.value for p in experiment.points})


BESIDE = {GUESS: GUESS_NAME, ZERO_SHOT: "zero-shot"}  # what stands beside the scores of all experiments


def levels(results):
    """F1 in points of the guess by kind, where kinds are known, and of the zero-shot reader: task -> name -> points."""
    found = {task: {} for task in TASKS}
    for experiment, name in BESIDE.items():
        for row in results.table[results.table["experiment"] == experiment].itertuples():
            found[row.task][name] = row.f1
    return found


def _experiment(experiment, part, levels):
    tasks = [task for task in TASKS if (part["task"] == task).any()]
    curve = experiment.name in CURVES
    height = 3.0 if curve else 0.9 + 0.32 * len(experiment.points)
    figure, axes = plt.subplots(1, len(tasks), figsize=((4.6 if curve else 5.6) * len(tasks), height), squeeze=False)
    figure.subplots_adjust(wspace=0.3 if curve else 0.9)
    for ax, task in zip(axes[0], tasks, strict=True):
        chosen, lines = part[part["task"] == task], levels[task]
        if (
            experiment.name == "left-out"
        ):  # its points are of some pairs each, where the zero-shot reader scores otherwise
            lines = {name: points for name, points in lines.items() if name == GUESS_NAME}
        if curve:
            figures.setting_curves(chosen, axis=experiment.axis, ax=ax, levels=lines)
        else:
            figures.setting_dots(chosen, ax=ax, levels=lines)
        # above the legend, whatever its height
        named = len(lines) + (chosen["series"].nunique() if curve else 0)
        ax.set_title(figures.TASK_NAMES[task], pad=12 + 14 * ((named + 1) // 2))
    return figure


def _coefficient_curves(results):
    params = results.params
    base = experiments.reference(params)
    settings = {"with CE": base, "without CE": experiments.with_method(base, alpha_ce=0.0)}
    first = results.logs[results.logs["seed"] == params.seeds[0]]
    logs = {
        label: first[first["setting"] == setting.key].sort_values("step")
        for label, setting in settings.items()
        if (first["setting"] == setting.key).any()
    }
    figure, ax = plt.subplots(figsize=(6.5, 3))
    figures.coefficient_curves(logs, ax=ax)
    return figure


def _top_k(results):
    table = top_k_table(results)
    systems = list(dict.fromkeys(table["system"]))
    figure, axes = plt.subplots(1, len(systems), figsize=(4.2 * len(systems), 3.2), sharey=True, squeeze=False)
    figure.subplots_adjust(wspace=0.12)
    for ax, system in zip(axes[0], systems, strict=True):
        figures.top_k_by_language(table[table["system"] == system], ax=ax)
        ax.set_title(system)
        if ax is not axes[0][-1]:
            ax.get_legend().remove()
            ax.figure.canvas.draw_idle()
        if ax is not axes[0][0]:
            ax.set_ylabel("")
    return figure


# ------------------------------------------------------------------------------------------------ words


def verdict(tests):
    """One sentence for one experiment: which differences hold after the correction, or that none does."""
    if not len(tests):
        return "Nothing was compared."
    holds = tests[tests["p_holm"] < 0.05]
    if not len(holds):
        return (
            f"None of {len(tests)} differences holds; the intervals reach {tests['ruled_out'].max():.1f} points, so "
            "that smaller effects may be there unseen."
        )
    found = "; ".join(
        f"{row.series}, {row.value} against {row.against}: {row.difference:+.1f} [{row.low:+.1f}, {row.high:+.1f}]"
        for row in holds.itertuples()
    )
    return f"{len(holds)} of {len(tests)} differences hold: {found}."


def change_table(results, *, seed=0, resamples=10_000):
    """How far each series' F1 moves along the curves of `CHANGES`, and whether as far as that of the first series.

    What a method loses to wrong answers cannot be read off its scores beside another method's: they may differ without
    any. Scores are matched and tested as in `comparison_table`: their changes from end to end are what is compared.

    Returns:
        DataFrame experiment, series, start, end (values of the axis, "all" last), change (points, from start to end),
        difference (from the first series' change), low, high (95%); NaN for the first series.
    """
    runs = {key: _by_seed(part) for key, part in results.scores.groupby("setting", sort=False)}
    columns = ["experiment", "series", "start", "end", "change", "difference", "low", "high"]
    rows = []
    for name, experiment in experiments.all_experiments(results.params).items():
        if name not in CHANGES:
            continue
        values = sorted({p.value for p in experiment.points}, key=lambda value: np.inf if value == "all" else value)
        if len(values) < 2:
            continue
        start, end = values[0], values[-1]
        keys = {(p.series, p.value): p.setting.key for p in experiment.points}
        first = experiment.points[0].series
        changes = {
            series: {
                run_seed: runs[keys[series, end]][run_seed] - run for run_seed, run in runs[keys[series, start]].items()
            }
            for series in dict.fromkeys(p.series for p in experiment.points)
        }
        for series, change in changes.items():
            against = (np.nan,) * 3
            if series != first:
                effect = significance.seed_and_id_test(change, changes[first], resamples=resamples, seed=seed)
                against = tuple(100 * value for value in (effect.difference, effect.low, effect.high))
            of_pairs = pd.concat(change).groupby(level=evaluation.KEY[1:]).mean()
            rows.append((name, series, start, end, 100 * of_pairs.mean(), *against))
    return pd.DataFrame(rows, columns=columns)


def changes_in_words(table):
    """A sentence on one experiment's rows of `change_table`: what each series gains or loses, and how that differs."""
    if not len(table):
        return ""
    first, others = table.iloc[0], table.iloc[1:]
    start, end = (value if isinstance(value, str) else f"{value:g}" for value in (first["start"], first["end"]))
    text = f"From {start} to {end}, F1 moves by {first['change']:+.1f} with {first['series']}"
    for row in others.itertuples():
        interval = f"[{row.low:+.1f}, {row.high:+.1f}]"
        text += f"; by {row.change:+.1f} with {row.series}, a difference of {row.difference:+.1f} {interval}"
    if len(others) and ((others["low"] <= 0) & (others["high"] >= 0)).all():
        text += "; all these intervals hold 0"
    return f"{text}."


def caption(params):
    """What all tables of the experiments have in common, a sentence or three."""
    size = params.sweeps
    ids = f"{experiments.reference(params).parallel_ids or 'all'} parallel ids"
    ntl = "each method's own ntl" if size.reference_ntl is None else f"ntl {size.reference_ntl}"
    questions = f"{size.evaluation_questions} questions" if size.evaluation_questions else "all questions"
    return (
        f"Unless an experiment varies it, a student is trained on {ids} drawn by the seed, with {ntl}, and otherwise "
        f"as the study's own. Scores are on {questions} per language pair of `{params.data.evaluation_sets[0]}`, the "
        f"development set, mean over pairs, then over {len(params.seeds)} seed{'s' if len(params.seeds) > 1 else ''} "
        "(bars and ±: standard deviation over seeds). No hyper-parameter of an experiment was tuned: all but the one "
        "on its axis are the study's. Differences are of F1 over all language pairs, matched by seed, id and both "
        "languages; interval (95%) and p are from one t test that counts seeds and takes ids as clusters, p adjusted "
        "by Holm within the experiment. A difference *holds* where that p < 0.05"
        + ("; one seed says nothing of how another would do." if len(params.seeds) == 1 else ".")
    )


NOTES = {
    "dropout": "Without dropout and masked tokens a fresh teacher and its student are the same function: the KL "
    "divergence starts at 0 up to rounding, and Adam, which divides by the size of the gradient, turns rounding into "
    "steps.",
    "view": "The divergence runs over [CLS] and the passage, the positions that both have; same-language pairs have "
    "one view only.",
    "no-ce": "Without cross-entropy one weight for the whole batch only scales the gradient, and clipping its norm at "
    "1 takes the scale back: wherever the norm is above 1, the coefficient then changes nothing.",
    "ntl": "At equal epochs a larger ntl also trains longer.",
    "ntl-steps": "As many optimiser steps as the study's ntl has.",
    "left-out": "Both are scored on the pairs that have the language in the question or the passage.",
    "label-noise": "Wrong answers are drawn per id and passage language; each rate contains the lower ones. One "
    "weight for a whole batch cannot spare the wrong answers in it; a weight per example could.",
    "generations": "Fixed teacher: the English reader for as many epochs. Born again: every generation starts from the "
    "English reader with a learning-rate schedule of its own.",
}


def section(results):
    """The experiments as lines of Markdown: question, figure, verdict and table of each."""
    params = results.params
    lines = ["## Experiments", "", caption(params), ""]
    changes = results.changes
    for row in results.table[results.table["experiment"].isin(BESIDE)].itertuples():
        name = BESIDE[row.experiment].capitalize()
        lines += [f"{name}, {figures.TASK_NAMES[row.task]}: EM {row.em:.1f}, F1 {row.f1:.1f}.", ""]
    for experiment in experiments.all_experiments(params).values():
        name = f"ablation-{experiment.name}"
        lines += [f"### {experiment.question}", "", f"![{experiment.question}](figures/{name}.png)", ""]
        if experiment.name == "temperature" and _is_grid(experiment):
            lines += ["![F1 over the grid](figures/ablation-temperature-grid.png)", ""]
        if NOTES.get(experiment.name):
            lines += [NOTES[experiment.name], ""]
        lines += [verdict(results.tests[results.tests["experiment"] == experiment.name]), ""]
        if experiment.name in CHANGES:
            lines += [changes_in_words(changes[changes["experiment"] == experiment.name]), ""]
        lines += [markdown(readable_scores(results, experiment.name)), ""]
    lines += [
        "### What the coefficient does over training",
        "",
        "![Coefficient of the windowed 1/rank with and without cross-entropy](figures/ablation-coefficient-curves.png)",
        "",
        f"Seed {params.seeds[0]}; dashed lines: a new teacher.",
        "",
        "### Exact match among the k best answers, by question language",
        "",
        "![Exact match against k](figures/ablation-top-k.png)",
        "",
        "How often the truth is among the k best answers of a reader: what a better ranking could gain."
        + (
            " (The other reading of the paper's figure, training with another k in the coefficient, is an experiment "
            "above.)"
            if "k" in experiments.all_experiments(params)
            else ""
        ),
        "",
        "### What a teacher says",
        "",
        "![Start probabilities of the English reader](figures/ablation-start-distribution.png)",
        "",
        _words_of(results.start_distribution),
        "",
        *_selection(results),
        "Tables: [`ablations.csv`](tables/ablations.csv), [`ablation-tests.csv`](tables/ablation-tests.csv), "
        "[`ablation-changes.csv`](tables/ablation-changes.csv), "
        "[`ablation-runs.csv`](tables/ablation-runs.csv), [`top-k.csv`](tables/top-k.csv), "
        "[`selection.csv`](tables/selection.csv), [`selected-scores.csv`](tables/selected-scores.csv), "
        "[`selected-by-language.csv`](tables/selected-by-language.csv).",
        "",
    ]
    return lines


def _selection(results):
    """What the development set chooses, and what the chosen settings score elsewhere, as lines of Markdown."""
    if not _is_choice(results):
        return ["Each method was run in one setting, so that the development set had nothing to choose.", ""]
    params = results.params
    development, *others = params.data.evaluation_sets
    lines = [
        "### What the development set chooses, and how that does on the other sets",
        "",
        f"Chosen for each method: the highest F1 over all pairs of `{development}`, mean over the seeds, among "
        "the settings above that differ from the method's own in ntl or in options of its loss (*settings*: how many). "
        "No score of another set took part, and the study's own settings were not changed after it. The F1 that chose "
        "is that of the best of several, and therefore too high on average; no choice was made by the scores on the "
        "other sets.",
        "",
        markdown(results.selection.drop(columns="setting")),
        "",
    ]
    scores, languages = results.selected, results.selected_by_language
    if not len(scores):
        return lines
    size = params.sweeps.evaluation_questions
    lines += [
        f"The chosen settings, and no others, on {', '.join(f'`{name}`' for name in others)} "
        f"(questions per language pair: {size or 'all'}), trained on "
        f"{experiments.reference(params).parallel_ids or 'all'} parallel ids; chosen on `{development}` alone; ± is "
        "the standard deviation over seeds:",
        "",
        markdown(_side_by_side(scores)),
        "",
        f"By language, question and passage in the same one (F1, mean over seeds); chosen on `{development}` alone:",
        "",
        "![Same-language F1 of the chosen settings by language](figures/ablation-selected-languages.png)",
        "",
    ]
    for name, part in languages.groupby("set", sort=False):
        table = part.pivot_table(index="system", columns="language", values="f1", sort=False)
        shown = table[list(dict.fromkeys(part["language"]))].reset_index().rename(columns={"system": name})
        lines += [markdown(shown), ""]
    return lines


def _side_by_side(scores):
    """`selected_scores` as people read them: a row per set and system, EM and F1 of each task with their deviations."""
    rows = []
    for (name, system), found in scores.groupby(["set", "system"], sort=False):
        row = {"set": name, "": system}
        for entry in found.itertuples():
            for measure in ("em", "f1"):
                row[f"{SHORT_NAMES[entry.task]} {measure.upper()}"] = _with_deviation(entry, measure)
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


SHORT_NAMES = {"xlt": "XLT", "gxlt": "G-XLT", "gxlt_off_diagonal": "off-diagonal"}


def _with_deviation(entry, measure):
    mean, deviation = getattr(entry, measure), getattr(entry, f"{measure}_sd")
    return f"{mean:.1f}" + (f" ± {deviation:.1f}" if deviation == deviation else "")


def _words_of(table):
    gold, languages = table[table["gold"]].iloc[0], table.iloc[0]
    best = table[table["right"]]["rank"].min()
    return (
        f"The English reader on a training example (question {languages['question_lang']}, passage "
        f"{languages['context_lang']}); numbers are the ranks of the ten best positions. The truth is at rank "
        f"{gold['rank']}, the best position in the window at rank {best}: the windowed coefficient is "
        + (f"1/{best}." if best <= 10 else "0.")
    )


def readable_scores(results, name):
    """One experiment's scores as people read them: a row per point; EM and F1 of both tasks with their deviations."""
    part = results.table[results.table["experiment"] == name]
    rows = []
    for (series, value, _), found in part.groupby(["series", "value", "setting"], sort=False):
        row = {"": series, "value": value}
        for entry in found.itertuples():
            for measure in ("em", "f1"):
                row[f"{SHORT_NAMES[entry.task]} {measure.upper()}"] = _with_deviation(entry, measure)
        rows.append(row)
    return pd.DataFrame(rows)


def shown(results):
    """The comparisons as a notebook shows them."""
    columns = ["series", "value", "against", "n", "seeds", "difference", "low", "high", "p_holm"]
    table = results.tests.set_index("experiment")[columns]
    return table.round({"difference": 1, "low": 1, "high": 1, "p_holm": 4})


def tables(results):
    """name -> DataFrame of all tables that the report writes for the experiments."""
    return {
        "ablations": results.table,
        "ablation-tests": results.tests,
        "ablation-changes": results.changes,
        "ablation-runs": results.facts,
        "selection": results.selection,
        "selected-scores": results.selected,
        "selected-by-language": results.selected_by_language,
        "top-k": top_k_table(results),
    }


def comparison(params):
    """The table of what has run, for the command `compare`: a row per point of every experiment with results.

    Returns:
        (table, missing): DataFrame experiment, series, value, em, f1, f1_sd (all pairs, points), seeds; and a list of
        "group, seed n" whose results are not there or are of other settings.
    """
    scores, missing = [], []
    for group in params.sweeps.groups:
        for seed in params.seeds:
            try:
                scores.append(run_results.read_group(params, group, seed)[0].assign(seed=seed))
            except DataError as error:
                missing.append(f"{group}, seed {seed}: {error}")
    columns = ["experiment", "series", "value", "em", "f1", "f1_sd", "seeds"]
    if not scores:
        return pd.DataFrame(columns=columns), missing
    by_key = dict(iter(_with_guess(params, pd.concat(scores, ignore_index=True)).groupby("setting")))
    parts = [((GUESS, "", ""), by_key[GUESS])] if GUESS in by_key else []
    for experiment in experiments.all_experiments(params).values():
        for point in experiment.points:
            if point.setting.key in by_key:
                part = _of_point(by_key[point.setting.key], experiment, point)
                parts.append(((experiment.name, point.series, point.value), part))
    rows = []
    for names, part in parts:
        *_, (*_, em, _, f1, f1_sd, seeds) = _means((), part)
        rows.append((*names, em, f1, f1_sd, seeds))
    return pd.DataFrame(rows, columns=columns), missing
