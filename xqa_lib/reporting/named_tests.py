"""The tests that a study names before its first student, and no others: all else in a report explores."""

import pandas as pd

from .. import significance
from ..data import prepared
from ..reading import evaluation
from ..study.layout import ZERO_SHOT
from .tables import f1_by_seed
from .words import LEVEL, interval, p_value, signed

COLUMNS = [
    *("method", "baseline", "n", "n_ids", "n_pairs", "seeds", "difference", "low", "high", "degrees_of_freedom", "p"),
    *("p_holm", "p_within_margin", "low_by_article", "high_by_article", "p_by_article"),
]


def table(params, scores):
    """The tests of `params.tests` of methods that the study trains.

    Each is `significance.seed_and_id_test` of F1 across languages (question and passage in different ones) on one set.

    Args:
        scores: columns system, seed and `evaluation.COLUMNS`.

    Returns:
        DataFrame with `COLUMNS`: difference (method - baseline), low and high (95%) in points of F1; p_holm: p, and
        p_within_margin: that of the test that the difference lies within ± `params.tests.margin`, both adjusted over
        the methods that are compared with one baseline; "_by_article": with articles resampled in place of ids. No rows
        without `params.tests`.
    """
    if params.tests is None:
        return pd.DataFrame(columns=COLUMNS)
    name, margin = params.tests.set, params.tests.margin
    across = evaluation.of_task(scores[scores["set"] == name], "gxlt_off_diagonal")
    runs = {system: f1_by_seed(part) for system, part in across.groupby("system")}
    articles = prepared.read_articles(params, name)
    rows = []
    for baseline, methods in params.tests.against.items():
        for method in methods:
            if method not in params.trained or baseline not in (ZERO_SHOT, *params.trained):
                continue
            effect = significance.seed_and_id_test(runs[method], runs[baseline])
            row = {"method": method, "baseline": baseline, **effect.in_points()}
            facts = [row[part] for part in ("difference", "standard_error", "degrees_of_freedom")]
            row["p_within_margin"] = significance.equivalence_p_value(*facts, margin)
            if articles:
                again = significance.seed_and_id_test(runs[method], runs[baseline], clusters=articles).in_points()
                row |= {f"{part}_by_article": again[part] for part in ("low", "high", "p")}
            rows.append(row)
    found = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    found["p_holm"] = found["p"]
    for column in ("p_holm", "p_within_margin"):
        found[column] = found.groupby("baseline", sort=False)[column].transform(significance.holm)
    return found[COLUMNS]


def readable(params, found):
    """The named tests as people read them: a row each, with a verdict."""
    pairs = zip(found["method"], found["baseline"], strict=True)
    labels = [[name if name == ZERO_SHOT else params.method(name).label for name in pair] for pair in pairs]
    margin = params.tests.margin if params.tests else 0
    return pd.DataFrame(
        {
            "test": [" - ".join(pair) for pair in labels],
            **{"seeds": found["seeds"], "rows": found["n"], "ids": found["n_ids"]},
            "F1 difference": found["difference"].map(signed),
            "95% interval": [interval(*ends) for ends in zip(found["low"], found["high"], strict=True)],
            "p (Holm)": found["p_holm"].map(p_value),
            "verdict": [_verdict(row, margin) for row in found.itertuples()],
        }
    )


def _verdict(row, margin):
    if row.p_holm < LEVEL:
        found = "higher" if row.difference > 0 else "lower"
        return f"{found}, but by less than {margin:g}" if row.p_within_margin < LEVEL else found
    return f"equal within ± {margin:g}" if row.p_within_margin < LEVEL else "not decided"
