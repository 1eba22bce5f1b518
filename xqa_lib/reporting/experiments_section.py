"""What the experiments found: tables, tests and figures, all from the files that the sweeps left."""

from dataclasses import dataclass
from functools import cached_property

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from .. import significance
from ..data import prepared
from ..errors import DataError
from ..reading import evaluation, kinds
from ..reading.kinds import GUESS
from ..study import experiments, layout, run_results
from ..study.layout import ZERO_SHOT
from . import figures
from .tables import GUESS_NAME, SHORT_TASKS, f1_by_seed, over_runs
from .words import LEVEL, count, verdict, with_sd

TASKS = ("xlt", "gxlt")
# the experiments whose values are numbers
CURVES = ("temperature", "k", "window", "generations", "ntl", "ntl-steps", "few-resource", "label-noise")
# those of them whose ends are compared: what do methods gain from data, and lose to wrong answers?
CHANGES = ("few-resource", "label-noise")
POINT = ["experiment", "series", "value", "setting"]


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
        runs: scores of each experiment's points with each seed, see `score_runs`.
        tests: paired comparisons, see `comparison_table`.
        start_distribution: as `sweeps.start_distribution`, of the first seed.
    """

    params: object
    scores: pd.DataFrame
    other_scores: pd.DataFrame
    logs: pd.DataFrame
    facts: pd.DataFrame
    runs: pd.DataFrame
    tests: pd.DataFrame
    start_distribution: pd.DataFrame

    @cached_property
    def table(self):
        return over_seeds(self.runs)

    @cached_property
    def changes(self):
        """`change_table`, once: its intervals take seconds."""
        return change_table(self)

    @cached_property
    def selection(self):
        return selection_table(self)


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
    facts = pd.DataFrame(facts)
    return Results(
        params=params,
        scores=scores,
        other_scores=others,
        logs=pd.concat(logs, ignore_index=True),
        facts=facts,
        runs=score_runs(params, scores, ids=facts.drop_duplicates("setting").set_index("setting")["ids"]),
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


def _of_point(part, experiment, point):
    """The rows that an experiment scores a setting on: all, or the pairs that a language is part of."""
    if experiment.name != "left-out":
        return part
    return part[(part["question_lang"] == point.value) | (part["context_lang"] == point.value)]


def score_runs(params, scores, *, ids=None):
    """Every point's scores with each seed, in points, language pairs weighing alike.

    Args:
        scores: as `Results.scores`; points whose setting has none are left out.
        ids: setting -> the number of ids that "all" stands for.

    Returns:
        DataFrame experiment, series, value, setting, task ("xlt" or "gxlt"), seed, em, f1; first the guess by kind and
        the zero-shot reader, as the experiments `GUESS` and `ZERO_SHOT`. In "left-out", the pairs that the language
        takes part in are scored.
    """
    pairs = scores.groupby(["setting", "seed", *evaluation.KEY[1:]], sort=False)[["em", "f1"]].mean() * 100
    by_key = dict(iter(pairs.reset_index().groupby("setting", sort=False)))
    parts = [((name, name, "", name), by_key[name]) for name in (GUESS, ZERO_SHOT) if name in by_key]
    for experiment in experiments.all_experiments(params).values():
        for point in experiment.points:
            key = point.setting.key
            value = int(ids[key]) if point.value == "all" and ids is not None else point.value
            if key in by_key:
                parts.append(((experiment.name, point.series, value, key), _of_point(by_key[key], experiment, point)))
    rows = [
        (*names, task, seed, run["em"].mean(), run["f1"].mean())
        for names, part in parts
        for task in TASKS
        for seed, run in evaluation.of_task(part, task).groupby("seed")
    ]
    return pd.DataFrame(rows, columns=[*POINT, "task", "seed", "em", "f1"])


def over_seeds(runs):
    """`score_runs` as mean and standard deviation over seeds: em, em_sd, f1, f1_sd, seeds in place of seed, em, f1."""
    return over_runs(runs, [*POINT, "task"])


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
            effect = significance.seed_and_id_test(f1_by_seed(a), f1_by_seed(b), resamples=resamples, seed=seed)
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


def change_table(results, *, seed=0, resamples=10_000):
    """How far each series' F1 moves along the curves of `CHANGES`, and whether as far as that of the first series.

    What a method loses to wrong answers cannot be read off its scores beside another method's: they may differ without
    any. Scores are matched and tested as in `comparison_table`: their changes from end to end are what is compared.

    Returns:
        DataFrame experiment, series, start, end (values of the axis, "all" last), change (points, from start to end),
        difference (from the first series' change), low, high (95%); NaN for the first series.
    """
    runs = {key: f1_by_seed(part) for key, part in results.scores.groupby("setting", sort=False)}
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


def selected_scores(results):
    """What the chosen settings score on the sets that did not choose them; before them the guess by kind and zero-shot.

    Returns:
        DataFrame set, task (of `evaluation.TASKS`), system (a method's label), setting, em, em_sd, f1, f1_sd (points,
        over seeds), seeds, pairs, questions.
    """
    chosen = [(GUESS_NAME, GUESS), (ZERO_SHOT, ZERO_SHOT), *results.selection[["method", "setting"]].to_numpy()]
    runs = [
        evaluation.summary(run).assign(system=system, setting=key)
        for system, key in chosen
        for _, run in results.other_scores[results.other_scores["setting"] == key].groupby("seed")
    ]
    if not runs:
        return pd.DataFrame(columns=["set", "task", "system"])
    table = over_runs(pd.concat(runs, ignore_index=True), ["set", "task", "system", "setting"], "pairs", "questions")
    order = results.params.data.evaluation_sets.index
    return table.sort_values("set", key=lambda column: column.map(order), kind="stable", ignore_index=True)


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


# ------------------------------------------------------------------------------------------------ for the report


def label_of(row):
    """What a row of the tests compares, "SKD, mAP@10: 60 - CE: 60", without what all of them share."""
    return f"{row.series}: {row.value} - {row.against}".replace(_OWN, "")


_OWN = ": as in the study"


def findings(results):
    """What each experiment found: DataFrame experiment, question, holds ("0 of 3"), finding (`words.verdict`)."""
    rows = []
    for experiment in experiments.all_experiments(results.params).values():
        tests = _tests_of(results, experiment.name)
        holds = f"{(tests['p_holm'] < LEVEL).sum() if len(tests) else 0} of {len(tests)}"
        rows.append((experiment.name, experiment.question, holds, verdict(tests)))
    return pd.DataFrame(rows, columns=["experiment", "question", "holds", "finding"])


def _tests_of(results, name):
    part = results.tests[results.tests["experiment"] == name] if len(results.tests) else results.tests
    return part.assign(name=[label_of(row) for row in part.itertuples()])


def readable_scores(results, name):
    """One experiment's F1 as people read it: a row per point, XLT and G-XLT with their deviations over seeds."""
    part = results.table[results.table["experiment"] == name]
    rows = [
        {"": series, "value": value}
        | {f"{SHORT_TASKS[row.task]} F1": with_sd(row.f1, row.f1_sd) for row in found.itertuples()}
        for (series, value, _), found in part.groupby(["series", "value", "setting"], sort=False)
    ]
    return pd.DataFrame(rows)


def readable_selection(results):
    """What the chosen settings score on the other sets: a row per set and system, F1 of each task."""
    rows = [
        {"set": name, "": system}
        | {f"{SHORT_TASKS[row.task]} F1": with_sd(row.f1, row.f1_sd) for row in found.itertuples()}
        for (name, system), found in selected_scores(results).groupby(["set", "system"], sort=False)
    ]
    return pd.DataFrame(rows).fillna("")


def is_choice(results):
    """Is there a method with more than one setting to choose from?"""
    return results.selection["settings"].max() > 1


def tables(results):
    """name -> DataFrame of all tables that the report writes for the experiments."""
    return {
        "ablations": results.table,
        "ablation-tests": results.tests,
        "ablation-changes": results.changes,
        "ablation-runs": results.facts,
        "selection": results.selection,
        "selected-scores": selected_scores(results),
        "top-k": top_k_table(results),
    }


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
    params = results.params
    where = f"{params.data.evaluation_sets[0]}, {count(len(params.seeds), 'seed')}"
    if len(results.tests):
        rows = results.tests.assign(
            row=[
                f"{t.experiment}: {t.value}, against {t.against}".replace(_OWN, "") for t in results.tests.itertuples()
            ],
            label=results.tests["series"],
        )
        title = f"Which settings change F1 over all language pairs? {where}"
        yield "experiments", figures.forest(rows, title=title).get_figure()
    beside = results.table[(results.table["task"] == "gxlt") & results.table["experiment"].isin([GUESS, ZERO_SHOT])]
    levels = {GUESS_NAME if row.experiment == GUESS else ZERO_SHOT: row.f1 for row in beside[::-1].itertuples()}
    for experiment in experiments.all_experiments(params).values():
        part = results.runs[(results.runs["experiment"] == experiment.name) & (results.runs["task"] == "gxlt")]
        if experiment.name in CURVES and part["value"].nunique() > 2:  # two points are a row of the table
            title = f"{experiment.question}\nall language pairs of {where}"
            drawn = part.rename(columns={"series": "label"})
            ax = figures.setting_curves(drawn, axis=experiment.axis, levels=levels, title=title)
            yield f"ablation-{experiment.name}", ax.get_figure()
    title = f"How often is the truth among a reader's k best answers? {where}"
    yield "ablation-top-k", figures.top_k_by_language(top_k_table(results), title=title)
    languages = results.start_distribution.iloc[0]
    title = (
        "Where does the English reader see the answer's start? One training example,\nquestion "
        f"{languages['question_lang']}, passage {languages['context_lang']}"
    )
    yield (
        "ablation-start-distribution",
        figures.start_distribution(results.start_distribution, title=title).get_figure(),
    )


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
    found = _with_guess(params, _zero_shot_once(pd.concat(scores, ignore_index=True), params))
    table = over_seeds(score_runs(params, found))
    return table.loc[table["task"] == "gxlt", columns].reset_index(drop=True), missing
