"""What notebook 06 says of one group of experiments with one seed: what is compared with what, and how it came out."""

from html import escape

import pandas as pd
from IPython.display import HTML

from ..study import experiments
from ..study.layout import ZERO_SHOT

_AGAINST = {
    "first": "the first setting",
    "series": "the first setting of its series",
    "value": "the first series at the same value",
    ZERO_SHOT: "the English reader (zero-shot)",
}


def plan(params, group):
    """The experiments of a group: DataFrame experiment, question, compared with, settings, new, examples.

    `new` are the settings that no experiment before has; `examples` what these are trained on with one seed, passes
    counted.
    """
    counted = experiments.plan(params).set_index("experiment")
    ours = [e for e in experiments.all_experiments(params).values() if e.group == group]
    table = pd.DataFrame(
        [(e.name, e.question, _AGAINST[e.against]) for e in ours],
        columns=["experiment", "question", "each compared with"],
    )
    return table.set_index("experiment").join(counted.drop(columns="group"))


def differences(params, group, scores):
    """Each setting beside what it is compared with: F1 and the difference, in points, of one seed.

    Args:
        scores: DataFrame setting, f1 (points), as `sweeps.run_group` returns it.

    Returns:
        DataFrame experiment, setting, F1, compared with, difference; the last is missing at a baseline.
    """
    f1 = scores.set_index("setting")["f1"]
    rows = []
    for experiment in experiments.all_experiments(params).values():
        for point in experiment.points if experiment.group == group else ():
            if point.setting.key not in f1:
                continue
            key, name = experiment.baseline(point) or (None, "")
            difference = f1[point.setting.key] - f1[key] if key in f1 else None
            rows.append((experiment.name, f"{point.series}: {point.value}", f1[point.setting.key], name, difference))
    columns = ["experiment", "setting", "F1", "compared with", "difference"]
    return pd.DataFrame(rows, columns=columns).astype({"difference": float})


def in_words(table, seed, minutes):
    """What the differences say, and what they do not: `HTML`.

    Args:
        table: as `differences`.
        minutes: of the run, by its record.
    """
    compared = table.dropna(subset=["difference"])
    sentences = []
    if len(compared):
        for word, row in (
            ("largest gain", compared.loc[compared["difference"].idxmax()]),
            ("largest loss", compared.loc[compared["difference"].idxmin()]),
        ):
            if (row["difference"] > 0) == (word == "largest gain") and round(row["difference"], 1):
                where = f"{row['experiment']}, {row['setting']} against {row['compared with']}"
                sentences.append(f"The {word} in F1 is {row['difference']:+.1f} points ({where}).")
        small = (compared["difference"].abs() < 1).sum()
        sentences.append(f"{small} of {len(compared)} differences are below one point.")
    sentences.append(
        f"This is seed {seed} alone ({minutes:.1f} minutes of training and reading): which differences are real is "
        "tested over all seeds, in the report."
    )
    return HTML("<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>")
