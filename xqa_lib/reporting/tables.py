"""Tables as Markdown, and the names that tables and figures share."""

GUESS_NAME = "guess by kind"  # of what `reading.kinds` is about

TASK_NAMES = {
    "xlt": "same language (XLT)",
    "gxlt": "all pairs (G-XLT)",
    "gxlt_off_diagonal": "across languages (G-XLT off-diagonal)",
}


def markdown(table):
    """A DataFrame as a Markdown table; numbers with one decimal, whole numbers without."""
    if not len(table):
        return "(none)"

    def cell(value):
        if isinstance(value, float):
            return "" if value != value else f"{value:,.1f}"
        return str(value)

    head = "| " + " | ".join(map(str, table.columns)) + " |"
    rule = "|" + "---|" * len(table.columns)
    body = ["| " + " | ".join(map(cell, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join([head, rule, *body])
