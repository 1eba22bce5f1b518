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


PARTS = {  # of a study -> names of their run records; of several that fit the last
    "students": ".*",
    "encoder and English reader": "encoder|reader",
    "reading of all sets": "scores-.*",
    "experiments": "sweeps/.*",
    "choice before the study": "sweeps/choice/.*",
}


def machines(found):
    """Each machine of `table` in words, with the rate of its matrix products where that was noted."""
    units = {"processor": "", "accelerator": "", "cores": " cores", "threads": " threads", "memory_gib": " GiB"}
    facts = [name for name in units if name in found]
    rates = found["matrix_gflops"] if "matrix_gflops" in found else pd.Series(index=found.index, dtype=float)
    texts = []
    for values, rate in rates.groupby([found[name].fillna("") for name in facts], sort=False):
        named = ", ".join(f"{value}{units[name]}" for name, value in zip(facts, values, strict=True) if value != "")
        texts.append(
            f"{named}: {rate.median():,.0f} GFLOP/s"
            if rate.notna().any()
            else f"{named} (accelerator and rate not noted)"
        )
    return texts


def cost(found):
    """What the parts of a study took: DataFrame part, runs, minutes, TFLOP, and GFLOP/s, the rate that they make.

    Args:
        found: as `table`.
    """
    part = pd.Series("", index=found.index)
    for name, runs in PARTS.items():
        part[found["run"].str.fullmatch(runs)] = name
    table = found.assign(runs=1).groupby(part)[["runs", "minutes", "TFLOP"]].sum()
    table = table.loc[[name for name in PARTS if name in table.index]]
    table.loc["all"] = table.sum()
    table = table.rename_axis("part").reset_index().astype({"runs": int})
    return table.assign(**{"GFLOP/s": 1000 * table["TFLOP"] / (60 * table["minutes"])})
