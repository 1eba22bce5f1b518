"""What the log and the record of a training show."""

import json

import pandas as pd

from ..errors import DataError
from ..study import experiments, layout


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
        record = json.loads(layout.record_file(params, layout.system_name(method, seed)).read_text(encoding="utf-8"))
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
    record = json.loads(layout.record_file(params, layout.system_name(method, seed)).read_text(encoding="utf-8"))
    table = pd.DataFrame(record["generations"]).set_index("generation")
    return table.apply(lambda column: column.str[:12])


def teachers_are_former_students(params, method, seed):
    """Is each teacher the student at the end of the generation before, and the first one the English reader?

    For a method without distillation: is there no teacher?
    """
    record = json.loads(layout.record_file(params, layout.system_name(method, seed)).read_text(encoding="utf-8"))
    students = [record["start_weights"]] + [entry["student_weights"] for entry in record["generations"]]
    teachers = [entry["teacher_weights"] for entry in record["generations"]]
    if record["method"]["coefficient"] is None:
        return not any(teachers)
    return teachers == students[:-1]


def cost(params):
    """What the study took, by the run records: DataFrame part, runs, minutes, TFLOP, of trainings and readings alike.

    Raises:
        FileNotFoundError: a record is missing.
    """
    students = [layout.system_name(method, seed) for method in params.trained for seed in params.seeds]
    records = {
        "encoder and English reader": ["encoder", "reader"],
        "students": students,
        "reading of all sets": [f"scores-{name}" for name in (layout.ZERO_SHOT, *students)],
    }
    parts = {
        part: [json.loads(layout.record_file(params, name).read_text(encoding="utf-8")) for name in names]
        for part, names in records.items()
    }
    groups = {"choice before the study": ([experiments.CHOICE], params.sweeps.choice_seeds)}
    groups["experiments"] = (params.sweeps.groups, params.seeds)
    for part, (names, seeds) in groups.items():
        files = [layout.experiments_folder(params, name, seed) / "run.json" for name in names for seed in seeds]
        runs = [json.loads(file.read_text(encoding="utf-8"))["settings"].values() for file in files]
        parts |= {part: [run for settings in runs for run in settings]} if runs else {}
    rows = [
        (part, len(runs), sum(run["minutes"] for run in runs), sum(run.get("tflop", 0.0) for run in runs))
        for part, runs in parts.items()
    ]
    table = pd.DataFrame(rows, columns=["part", "runs", "minutes", "TFLOP"])
    table.loc[len(table)] = ["all", *table[["runs", "minutes", "TFLOP"]].sum()]
    return table.assign(**{"GFLOP/s": 1000 * table["TFLOP"] / (60 * table["minutes"])}).astype({"runs": int})
