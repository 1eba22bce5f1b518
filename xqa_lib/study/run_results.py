"""Where the results of the experiments lie, and how they are read: without the libraries that training needs."""

import json

import pandas as pd

from ..errors import DataError
from ..reading.evaluation import KEY
from . import experiments, layout

COLUMNS = ["setting", *KEY, "em", "f1", "rank"]
OTHER_COLUMNS = ["set", "setting", *KEY, "em", "f1"]


def folder(params, group, seed):
    """Where the results of a group and seed lie."""
    return params.runs_folder / "sweeps" / group / f"seed-{seed}"


def read_group(params, group, seed):
    """(scores, logs, record) of a group and seed as they were written.

    Raises:
        DataError: no such results, or of other settings than the parameters now name.
    """
    place = folder(params, group, seed)
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
    return _read(folder(params, group, seed) / "other-sets.csv")


def _read(path):
    # texts stay as they are: an id may look like a number
    texts = {name: str for name in ("set", "setting", *KEY)}
    # of a table without rows the types of its numbers cannot be guessed
    return pd.read_csv(path, dtype=texts | {"em": float, "f1": float}, keep_default_na=False)


def loss_terms(log):
    """The columns of a training log that are terms of the loss: ce, and kl and coefficient where it was distilled."""
    return [name for name in ("ce", "kl", "coefficient") if name in log]


def training_ids(params, method):
    """seed -> the ids that a method's student was trained on, as the run records list them.

    Raises:
        DataError: two seeds have the same ids, although each draws its own.
    """
    found = {}
    for seed in params.seeds:
        record = json.loads((layout.student_folder(params, method, seed) / "run.json").read_text(encoding="utf-8"))
        found[seed] = record["ids"]
    by_ids = {}
    for seed, ids in found.items():
        same = by_ids.setdefault(frozenset(ids), seed)
        if params.sampling.parallel_ids and same != seed:
            raise DataError(
                f"the students of {method} with seeds {same} and {seed} were trained on the same {len(ids)} ids, but "
                "each seed draws its own: are there more parallel ids than sampling.parallel_ids "
                f"({params.sampling.parallel_ids})? Then run `dvc repro`, which trains them again"
            )
    return found


def generation_table(params, method, seed):
    """Teacher and student of each generation, as the first 12 digits of the hash of their weights."""
    record = json.loads((layout.student_folder(params, method, seed) / "run.json").read_text(encoding="utf-8"))
    table = pd.DataFrame(record["generations"]).set_index("generation")
    return table.apply(lambda column: column.str[:12])


def teachers_are_former_students(params, method, seed):
    """Is each teacher the student at the end of the generation before, and the first one the English reader?

    For a method without distillation: is there no teacher?
    """
    record = json.loads((layout.student_folder(params, method, seed) / "run.json").read_text(encoding="utf-8"))
    students = [record["start_weights"]] + [entry["student_weights"] for entry in record["generations"]]
    teachers = [entry["teacher_weights"] for entry in record["generations"]]
    if record["method"]["coefficient"] is None:
        return not any(teachers)
    return teachers == students[:-1]
