"""Published scores beside ours, where evaluation set, task (same language) and metric agree.

The numbers lie in one file with their source, `published_scores.csv`: em and f1 in points, empty where the source gives
none. XQuAD's rows are scored by the SQuAD v1.1 metric, MLQA's by its own, as ours are. The rows of the paper that this
project implements are there without numbers, for whoever has its tables at hand; empty rows are never shown.
"""

from pathlib import Path

import pandas as pd

from .. import languages
from ..errors import DataError

FILE = Path(__file__).with_name("published_scores.csv")
COLUMNS = ["source", "set", "training", "model", "language", "em", "f1"]
# our evaluation set -> the published one with the same questions; a subset of a set is not the same
SAME_QUESTIONS = {
    "mlqa-test": "mlqa-test",
    "xquad-zero-shot": "xquad",
    "xquad-xlt": "xquad",
    "tydiqa-dev": "tydiqa-dev",
}


def load(path=FILE):
    """The table of published scores, checked.

    Raises:
        DataError: other columns, an unknown language, a score outside 0 to 100, a repeated row, a row without source.
    """
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    if list(table.columns) != COLUMNS:
        raise DataError(f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(table.columns)}")
    for row, language in enumerate(table["language"], 2):
        if language not in languages.LANGUAGES:
            raise DataError(f"{path}, line {row}: unknown language {language!r}")
    if (table["source"].str.strip() == "").any():
        raise DataError(f"{path}: a row has no source; say where its number is from")
    repeated = table[table.duplicated(["set", "model", "language"])]
    if len(repeated):
        raise DataError(f"{path}: more than one row for {tuple(repeated.iloc[0][['set', 'model', 'language']])}")
    for name in ("em", "f1"):
        values = pd.to_numeric(table[name].replace("", None), errors="coerce")
        wrong = table[((table[name] != "") & values.isna()) | (values < 0) | (values > 100)]
        if len(wrong):
            raise DataError(f"{path}: {name} must be points in 0 to 100 or empty, got {wrong.iloc[0][name]!r}")
        table[name] = values
    return table


def beside(by_language, *, whole=None, table=None):
    """Our same-language scores and the published ones on the same questions.

    Args:
        by_language: DataFrame set, language, label, em, f1 (points), as `report.language_table` makes it.
        whole: the sets of which ours cover all questions: no other is comparable. None: all of them.
        table: published scores; default: those of the file.

    Returns:
        DataFrame set, model, source, language, em, f1: ours (source "this study") and the published ones, of the sets
        and languages that both have. Rows of the source without any number are left out.
    """
    table = load() if table is None else table
    parts = []
    for name in dict.fromkeys(by_language["set"]) if whole is None else whole:
        ours = by_language[by_language["set"] == name]
        # the paper's own rows go by our names of the sets
        theirs = table[table["set"].isin([name, SAME_QUESTIONS.get(name)]) & table["language"].isin(ours["language"])]
        theirs = theirs[theirs[["em", "f1"]].notna().any(axis=1)]
        if name in SAME_QUESTIONS and len(theirs):
            parts.append(ours.assign(model=ours["label"], source="this study"))
            parts.append(theirs.assign(set=name))
    columns = ["set", "model", "source", "language", "em", "f1"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
