"""Tables as Markdown, and the names that tables and figures share."""

from ..sampling import KEY

GUESS_NAME = "guess by kind"  # of what `reading.kinds` is about

TASK_NAMES = {
    "xlt": "same language (XLT)",
    "gxlt": "all pairs (G-XLT)",
    "gxlt_off_diagonal": "across languages (G-XLT off-diagonal)",
}
SHORT_TASKS = {"xlt": "XLT", "gxlt_off_diagonal": "off-diagonal", "gxlt": "G-XLT"}


def f1_by_seed(scores):
    """{seed: Series of F1 by `KEY`} of the answers of one system to one set, as `significance` compares them."""
    return {seed: run.set_index(list(KEY))["f1"] for seed, run in scores.groupby("seed")}


def markdown(table):
    """A DataFrame as a Markdown table; numbers with one decimal, whole numbers without, small ones in full."""
    if not len(table):
        return "(none)"

    def cell(value):
        if isinstance(value, float):
            return "" if value != value else f"{value:,.1f}" if abs(value) >= 0.05 or not value else f"{value:g}"
        return str(value)

    head = "| " + " | ".join(map(str, table.columns)) + " |"
    rule = "|" + "---|" * len(table.columns)
    body = ["| " + " | ".join(map(cell, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join([head, rule, *body])


def over_runs(table, keys, *first):
    """Means over the rows of equal keys: em, em_sd, f1, f1_sd (n - 1; missing where there is one), seeds: how many.

    Of the columns `first`, which are equal in all of them, the first.
    """
    measured = {"em": ("em", "mean"), "em_sd": ("em", "std"), "f1": ("f1", "mean"), "f1_sd": ("f1", "std")}
    more = {name: (name, "first") for name in first}
    return table.groupby(keys, sort=False).agg(**measured, seeds=("f1", "size"), **more).reset_index()
