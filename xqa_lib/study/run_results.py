"""The results of the experiments, read without the libraries that training needs."""

import json

import pandas as pd

from ..errors import DataError
from ..sampling import KEY
from . import experiments, layout

COLUMNS = ["setting", *KEY, "em", "f1", "rank"]
OTHER_COLUMNS = ["set", "setting", *KEY, "em", "f1"]


def read_group(params, group, seed):
    """(scores, logs, record) of a group and seed as they were written.

    Raises:
        DataError: no such results, or of other settings than the parameters now name.
    """
    place = layout.experiments_folder(params, group, seed)
    if not (place / "run.json").is_file():
        raise DataError(f"{place} is missing: run `dvc repro`, which makes it")
    record = json.loads((place / "run.json").read_text(encoding="utf-8"))
    lacking = set(experiments.assigned(params, group)) - set(record["settings"])
    if lacking:
        raise DataError(
            f"{place}: {len(lacking)} settings of the parameters were not run ({min(lacking)}, ...): run `dvc repro`, "
            "which runs them"
        )
    scores = _read(place / "scores.csv")
    logs = pd.read_csv(place / "logs.csv", dtype={"setting": str}) if (place / "logs.csv").is_file() else pd.DataFrame()
    return scores, logs, record


def read_other_sets(params, group, seed):
    """Scores of a group and seed on the sets that choose nothing, with `OTHER_COLUMNS`: of what may be chosen alone."""
    return _read(layout.experiments_folder(params, group, seed) / "other-sets.csv")


def _read(path):
    # texts stay as they are: an id may look like a number
    texts = {name: str for name in ("set", "setting", *KEY)}
    # of a table without rows the types of its numbers cannot be guessed
    return pd.read_csv(path, dtype=texts | {"em": float, "f1": float}, keep_default_na=False)
