"""What every run of a study was made with, for who wants to repeat or to doubt it."""

import json

import pandas as pd


def table(params):
    """The run records of a study, a row each: of encoder, reader, students, readings, and experiments of one seed.

    Args:
        params: `params.Params` of a study whose stages have run.

    Returns:
        DataFrame: run, minutes, TFLOP (missing where none were counted), precision, git_commit ("+": the sources were
        changed since), started, then all of machine (memory_gib: of the whole machine; missing in records of before it
        was noted) and all versions.
    """
    folder = params.results_folder
    rows = []
    for path in sorted([*folder.glob("records/*.json"), *folder.glob("sweeps/*/*/run.json")]):
        record = json.loads(path.read_text(encoding="utf-8"))
        # a record of experiments tells the minutes of its last start; each setting its own
        parts = record.get("settings", {"": record}).values()
        counted = [part["tflop"] for part in parts if part.get("tflop") is not None]
        rows.append(
            {
                "run": path.relative_to(folder)
                .as_posix()
                .removeprefix("records/")
                .removesuffix(".json")
                .removesuffix("/run"),
                "minutes": sum(part["minutes"] for part in parts),
                "TFLOP": sum(counted) if counted else None,
                **{name: record.get(name) for name in ("precision", "git_commit", "started")},
                **record["machine"],
                **record["versions"],
            }
        )
    return pd.DataFrame(rows).round({"minutes": 3, "TFLOP": 4})


PARTS = {  # of a study, by the names of their run records
    "encoder and English reader": "(en|rea)(co)?der",
    "reading of all sets": "scores-.*",
    "choice before the study": "sweeps/choice/.*",
    "experiments": "sweeps/(?!choice/).*",
}


def cost(found):
    """What the parts of a study took: DataFrame part, runs, minutes, TFLOP, and GFLOP/s, the rate that they make.

    Args:
        found: as `table`. What has no other name is a student.
    """
    parts = pd.Series("students", index=found.index)
    for part, names in PARTS.items():
        parts[found["run"].str.fullmatch(names)] = part
    parts = parts.astype(pd.CategoricalDtype(["encoder and English reader", "students", *list(PARTS)[1:]]))
    sums = found.assign(runs=1).groupby(parts, observed=True)[["runs", "minutes", "TFLOP"]].sum()
    sums.loc["all"] = sums.sum() if len(sums.index.add_categories("all")) else 0
    return sums
