"""The table of run records: every record of the published studies, minutes and TFLOP of experiments added up."""

import json

import pandas as pd
import pytest

from xqa_lib.reporting import records
from xqa_lib.running.files import ROOT


class Study:
    def __init__(self, folder):
        self.results_folder = folder


def test_a_row_tells_how_a_run_was_made(tmp_path):
    made = {"git_commit": "abc+", "started": "2026-01-02T03:04:05+00:00", "versions": {"torch": "2.13.0"}}
    machine = {"machine": {"processor": "x86_64", "cores": 2, "threads": 1}}
    settings = {"a": {"minutes": 0.25, "tflop": 1.5}, "b": {"minutes": 0.5, "tflop": 2.0}, "c": {"minutes": 0.125}}
    for name, record in {
        "records/encoder.json": {"minutes": 0.1},
        "records/ce-seed-1.json": {"minutes": 2.0, "tflop": 7.0, "precision": "float32"},
        "sweeps/data/seed-1/run.json": {"settings": settings, "minutes": 0.01},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(record | made | machine), encoding="utf-8")
    table = records.table(Study(tmp_path))
    assert list(table["run"]) == ["ce-seed-1", "encoder", "sweeps/data/seed-1"]
    assert list(table["minutes"]) == [2.0, 0.1, 0.875]
    assert list(table["TFLOP"].fillna(-1)) == [7.0, -1, 3.5]
    assert list(table["precision"].fillna("")) == ["float32", "", ""]
    assert list(table.columns[4:]) == ["git_commit", "started", "processor", "cores", "threads", "torch"]
    assert table.iloc[0, 4:].tolist() == ["abc+", "2026-01-02T03:04:05+00:00", "x86_64", 2, 1, "2.13.0"]


def test_what_the_parts_of_a_study_took():
    runs = ["encoder", "reader", "skd-seed-1", "scores-skd-seed-1", "sweeps/data/seed-1", "sweeps/choice/seed-1"]
    found = pd.DataFrame(
        {"run": runs, "minutes": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], "TFLOP": [None, 3.0, 6.0, 0.6, 0.0, 9.0]}
    )
    cost = records.cost(found)
    assert cost.values.tolist() == [
        ["students", 1, 4.0, 6.0, 25.0],
        ["encoder and English reader", 2, 3.0, 3.0, pytest.approx(3000 / 180)],
        ["reading of all sets", 1, 8.0, 0.6, 1.25],
        ["experiments", 1, 16.0, 0.0, 0.0],
        ["choice before the study", 1, 32.0, 9.0, 4.6875],
        ["all", 6, 63.0, 18.6, pytest.approx(18600 / 3780)],
    ]
    assert records.cost(found[:2])["part"].tolist() == ["encoder and English reader", "all"]


def test_machines_in_words():
    found = pd.DataFrame({"processor": ["a", "a", "b"], "cores": [2, 2, 16], "matrix_gflops": [100.0, 110.0, None]})
    assert records.machines(found) == ["a, 2 cores: 105 GFLOP/s", "b, 16 cores (accelerator and rate not noted)"]
    assert records.machines(found[["processor"]]) == [
        "a (accelerator and rate not noted)",
        "b (accelerator and rate not noted)",
    ]


@pytest.mark.parametrize("study", ["embedded", "xquad"])
def test_every_published_score_has_a_record(study):
    folder = ROOT / "results" / study
    runs = set(records.table(Study(folder))["run"])
    scored = {path.stem for path in folder.glob("scores/*.csv")} - {"random-span", "ceiling"}
    assert {f"scores-{name}" for name in scored} <= runs
    assert scored - {"zero-shot"} <= runs
