"""The first page of a study of a user's own language: which model to take, what it gained, what to do next.

All numbers are of the test set, which chose nothing; the development set chose the model.
"""

import html
import math

import pandas as pd

from .. import significance
from ..data import prepared
from ..sampling import KEY, pseudo_random_key
from ..study.layout import ZERO_SHOT
from . import figures, words
from .tables import f1_by_seed

DEV, TEST = "own-dev", "own-test"
SHOWN = {"right": 7, "partly": 7, "wrong": 6}  # answers to read
WEAK = 50.0  # points of F1 in English below which the reader, not the language, is the limit


def choose(params, scores):
    """(method, seed) of the model with the highest F1 on the development set, mean over its language pairs.

    First the method, by the mean over its seeds, the English reader (`ZERO_SHOT`) among them; then its best seed.

    Args:
        scores: columns system, seed and `evaluation.COLUMNS`.
    """
    part = scores[(scores["set"] == DEV) & scores["system"].isin([ZERO_SHOT, *params.trained])]
    pairs = part.groupby(["system", "seed", "question_lang", "context_lang"], sort=False)["f1"].mean()
    runs = pairs.groupby(level=["system", "seed"], sort=False).mean()
    method = runs.groupby(level="system", sort=False).mean().idxmax()
    return method, int(runs[method].idxmax())


def _runs(scores, system):
    return f1_by_seed(scores[(scores["system"] == system) & (scores["set"] == TEST)])


def pair_table(report):
    """The chosen method against zero-shot on the test, a row for each language pair and for the means of several.

    Returns:
        DataFrame question_lang, context_lang ("" in the rows of means), row (in words), ids, before, after (F1, points,
        mean over seeds), difference, low, high (95%), p_holm (over the language pairs; NaN for the means).
    """
    scores = report.scores
    method, _ = choose(report.params, scores)
    method = report.params.trained[0] if method == ZERO_SHOT else method
    before, after = _runs(scores, ZERO_SHOT), _runs(scores, method)
    languages = report.params.sampling.languages
    across = [(q, c) for q in languages for c in languages if q != c]
    own_ones = [(c, c) for c in languages if c != "en"]
    groups = {("", "", "all pairs but English alone"): [*across, *own_ones]}
    groups |= {("", "", "across languages"): across, ("en", "en", "English"): [("en", "en")]}
    groups |= {(*pair, _in_words(*pair)): [pair] for pair in [*own_ones, *across]}
    rows = []
    for (question, context, name), pairs in groups.items():
        parts = [{seed: _of_pairs(run, pairs) for seed, run in runs.items()} for runs in (after, before)]
        effect = significance.seed_and_id_test(*parts)
        means = [100 * pd.concat(part).groupby(level=KEY[1:]).mean().mean() for part in parts[::-1]]
        ids = len(parts[1][next(iter(before))].index.unique("id"))
        found = {key: value for key, value in effect.in_points().items() if key in ("difference", "low", "high", "p")}
        rows.append({"question_lang": question, "context_lang": context, "row": name, "ids": ids})
        rows[-1] |= {"before": means[0], "after": means[1], **found}
    table = pd.DataFrame(rows)
    single = table["context_lang"] != ""
    table["p_holm"] = math.nan
    table.loc[single, "p_holm"] = significance.holm(table.loc[single, "p"].tolist())
    return table.drop(columns="p")


def _of_pairs(run, pairs):
    return run[run.index.droplevel("id").isin(pairs)]


def _in_words(question, context):
    return f"{question} alone" if question == context else f"{question} question, {context} passage"


def figures_of(report):
    """The figure of the page: what training changes in each language pair."""
    table = pair_table(report)
    table["label"] = "trained - zero-shot"
    title = "What did training change? F1 of the test, trained minus zero-shot"
    return {"own-pairs": figures.forest(table, title=title).get_figure()}


def answers(report):
    """Answers of the chosen model to read: verdict, question, passage (languages), expected, found, of other languages.

    Drawn by id and languages from the test, of each verdict as many as `SHOWN` or as there are: *right* matches
    exactly, *partly* shares words, *wrong* none. English alone is left out.
    """
    method, seed = choose(report.params, report.scores)
    scores, asked = report.scores, prepared.read_questions(report.params)
    chosen = scores[(scores["system"] == method) & (scores["seed"] == seed) & (scores["set"] == TEST)]
    chosen = chosen.merge(asked, on=["set", *KEY])
    chosen = chosen[(chosen["question_lang"] != "en") | (chosen["context_lang"] != "en")]
    chosen["verdict"] = [
        "right" if em == 1 else "partly" if f1 else "wrong" for em, f1 in zip(chosen["em"], chosen["f1"], strict=True)
    ]
    order = [pseudo_random_key("answers", *key) for key in chosen[KEY].itertuples(index=False)]
    chosen = chosen.assign(order=order).sort_values("order")
    parts = [chosen[chosen["verdict"] == verdict].head(count) for verdict, count in SHOWN.items()]
    return pd.concat(parts)[["verdict", *KEY, "question", "answer", "prediction"]]


def readable_answers(table):
    """`answers` for Markdown: each text in its own writing direction."""

    def text(value):
        return f'<span dir="auto">{html.escape(value or "(none)").replace("|", "&#124;")}</span>'.replace("\n", " ")

    columns = {
        "": table["verdict"],
        "languages": [f"{q} → {c}" for q, c in zip(table["question_lang"], table["context_lang"], strict=True)],
        "question": table["question"].map(text),
        "expected": table["answer"].map(text),
        "found": table["prediction"].map(text),
    }
    return pd.DataFrame(columns)


def curve(report):
    """The curve over the ids: ids, f1, sd (development set, all pairs), gain of all ids over these, low, high (95%)."""
    names = {"f1_sd": "sd", "difference": "gain", "high": "low", "low": "high"}  # all against fewer: the signs turn
    points = report.tables["ablations"].query("experiment == 'few-resource' and task == 'gxlt'")[
        ["value", "f1", "f1_sd"]
    ]
    tests = report.tables["ablation-tests"].query("experiment == 'few-resource'")
    tests = tests[["value"]].astype(str).join(-tests[["difference", "low", "high"]])
    table = points.astype({"value": str}).merge(tests, on="value", how="left").rename(columns=names)
    return table.assign(ids=table.pop("value").astype(int)).sort_values("ids", ignore_index=True)


def advice(report, pairs, points):
    """What to do next, as sentences: of the reader, the gain, English, more data and the size of the test.

    Args:
        pairs: as `pair_table`.
        points: as `curve`.
    """
    first, english = pairs.iloc[0], pairs[pairs["row"] == "English"].iloc[0]
    found = []
    method, _ = choose(report.params, report.scores)
    if english["before"] < WEAK:
        found.append(
            f"The English reader is weak: F1 {english['before']:.1f} in English, before any of your data. Give it more "
            "questions (`reader/`, or SQuAD) before you translate more: it is the limit."
        )
    gain = f"{words.signed(first['difference'])} F1 {words.interval(first['low'], first['high'])}"
    if method == ZERO_SHOT:
        found.append(f"Keep the English reader: in development no method was better, mean of its seeds (test: {gain}).")
    elif first["low"] > 0:
        found.append(f"Take the trained model: your questions gain {gain} outside English alone.")
    elif first["high"] < 0:
        found.append(f"Do not take the trained model for granted: on the test it loses, {gain}.")
    else:
        found.append(f"Whether training helped cannot be told from this test: {gain} holds 0.")
    change = f"{words.signed(english['difference'])} {words.interval(english['low'], english['high'])}"
    if english["high"] < 0:
        found.append(f"English was lost: {change} F1 with question and passage in English; keep the reader for it.")
    else:
        lost = f"a loss above {max(0, -english['low']):.1f} is ruled out"
        found.append(f"English was kept as far as the test can tell: {change} F1 ({lost}).")
    if len(points) > 1:
        half = points.iloc[-2]
        more = f"all {points['ids'].iloc[-1]} ids against {half['ids']:.0f}: {words.signed(half['gain'])} F1 "
        more += words.interval(half["low"], half["high"])
        if half["low"] > 0:
            found.append(f"More questions will probably help: the curve still rises ({more}, development set).")
        else:
            found.append(f"That more questions of this kind would help is not shown ({more}, development set).")
    single = pairs[pairs["context_lang"] != ""]
    ids, half_width = int(single["ids"].max()), ((single["high"] - single["low"]) / 2).median()
    if half_width > 5:
        found.append(
            f"The test is small: with {ids} questions a language pair's gain is known to about ± {half_width:.0f} "
            f"points; ± 5 would take about {math.ceil(ids * (half_width / 5) ** 2)}."
        )
    return found


def page(report):
    """The text of the scorecard."""
    params = report.params
    pairs, points = pair_table(report), curve(report)
    method, seed = choose(params, report.scores)
    summary = pd.read_csv(params.results_folder / "data" / "summary.csv", keep_default_na=False)
    counts = {role: found["questions"].max() for role, found in summary.groupby("role")}
    return words.page(
        "scorecard.md.j2",
        **{"params": params, "method": method, "seed": seed},
        languages=[code for code in params.sampling.languages if code != "en"],
        label=ZERO_SHOT if method == ZERO_SHOT else params.methods[method].label,
        ids=int(report.tables["runs"]["ids"].max()),
        reader=counts["reader"],
        cost=report.tables["cost"],
        advice=advice(report, pairs, points),
        answers=readable_answers(answers(report)),
        pairs=_readable_pairs(pairs),
        curve=_readable_curve(points),
        notebooks=(params.reports_folder / "notebooks").is_dir(),
    )


def _readable_pairs(table):
    return pd.DataFrame(
        {
            "": table["row"],
            "ids": table["ids"],
            "zero-shot": table["before"],
            "trained": table["after"],
            "gain": table["difference"].map(words.signed),
            "95% interval": [words.interval(*ends) for ends in zip(table["low"], table["high"], strict=True)],
            "p (Holm)": ["" if p != p else words.p_value(p) for p in table["p_holm"]],
        }
    )


def _readable_curve(table):
    return pd.DataFrame(
        {
            "ids": table["ids"],
            "F1": [words.with_sd(*found) for found in zip(table["f1"], table["sd"], strict=True)],
            "what all ids add": [
                "" if row.gain != row.gain else f"{words.signed(row.gain)} {words.interval(row.low, row.high)}"
                for row in table.itertuples()
            ],
        }
    )
