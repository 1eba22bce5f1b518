"""Numbers and links of README.md, numbers of docs/claims.md: each one that is drawn from a report is the report's.

The reports are those of the commit: `make reproduce` makes them anew, with minutes of this machine.
"""

import io
import posixpath
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xqa_lib.reporting import words
from xqa_lib.study.params import load_params

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLAIMS = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
# the parts of docs/claims.md
STUDIES = {
    "Generated text": "embedded",
    "Real text": "xquad",
    "Real text again, on two cores": "xquad-two-cores",
}


def committed(path):
    """A table of the commit that is checked out: DataFrame."""
    shown = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, text=True, check=True)
    return pd.read_csv(io.StringIO(shown.stdout))


def scores_of(folder, name):
    """label -> all that a report's table tells of it on one set: EM and F1 of each task, ± standard deviation."""
    found = committed(f"{folder}/tables/scores.csv").query("set == @name")
    cells = {}
    for row in found.itertuples():
        for mean, deviation in ((row.em, row.em_sd), (row.f1, row.f1_sd)):
            cells.setdefault(row.label, []).append(f"{mean:.1f}" + (f" ± {deviation:.1f}" if deviation >= 0 else ""))
    return cells


def test_scores_in_the_readme_are_those_of_the_reports():
    reported = [scores_of("reports", "factbook-test"), scores_of("reports/xquad", "mlqa-dev-reporting")]
    rows = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("|")]
    scores = [(label, cells) for label, *cells in rows if any(label in report for report in reported)]
    assert len(scores) > 3
    for label, cells in scores:
        assert any(set(cells) <= set(report.get(label, [])) for report in reported), (label, cells)


def table_of(path):
    """The table that a link of docs/claims.md leads to."""
    return committed(posixpath.normpath(f"docs/{path}"))


def claims():
    """Lines of docs/claims.md with a cell: number, study, path of the table, query and column, runs, minutes."""
    found = []
    for part in CLAIMS.split("\n## "):
        study = STUDIES.get(part.partition("\n")[0])
        for line in part.splitlines():
            if ".csv) `" in line:
                claim, number, cell, _, runs, minutes = line.strip("| ").split(" | ")
                (path,) = re.findall(r"\]\((.*?)\)", cell)
                cell, runs = (re.findall("`(.*?)`", text) for text in (cell, runs))
                found.append(pytest.param(number, study, path, cell, runs, minutes, id=f"{study}: {claim}"))
    return found


def shown(rows, column=None):
    """A cell as claims show it: by default a difference with its interval; several in the order of their settings."""
    if column is None:
        (row,) = rows.itertuples()
        return f"{words.signed(row.difference)} {words.interval(row.low, row.high)}"
    if "value" in rows:
        rows = rows.sort_values("value", key=pd.to_numeric)
    values = np.atleast_1d(rows.eval(column)).astype(float)
    if column.startswith("p_"):
        return ", ".join(map(words.p_value, values))
    return ", ".join(f"{value:{'g' if column == 'value' else '.1f'}}" for value in values)


def records_of(study):
    """The run records of a study, as its report shows them, by their names below the folder of results."""
    folder = load_params(study).reports_folder.relative_to(ROOT).as_posix()
    return committed(f"{folder}/tables/records.csv").set_index("run")


@pytest.mark.parametrize(("number", "study", "path", "cell", "runs", "minutes"), claims())
def test_a_claim_is_its_cell_of_a_table_and_its_minutes_those_of_its_runs(number, study, path, cell, runs, minutes):
    query, *column = cell
    assert number == shown(table_of(path).query(query), *column)
    made = records_of(study)["minutes"]
    found = [made[[fnmatch(name, pattern) for name in made.index]] for pattern in runs]
    assert all(map(len, found))
    assert minutes == f"{sum(part.sum() for part in found):.1f}"


def took(made):
    return f"{len(made)} run records, {made['minutes'].sum():.1f} minutes, {made['TFLOP'].sum():,.0f} TFLOP"


@pytest.mark.parametrize("study", STUDIES.values())
def test_claims_tell_what_a_study_took(study):
    assert f"{took(records_of(study))} (records below `results/{study}/`" in CLAIMS


def test_numbers_in_the_prose_of_the_readme_are_claims():
    prose = re.sub(r"```.*?```|^\|.*?$|`[^`]*`|\]\([^)]*\)", "", README, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"(arXiv|Python|Apache|CC BY-SA)[ -][\d.]+", "", " ".join(prose.split()))
    claimed = [parameters.values[0] for parameters in claims()]
    interval = re.compile(r"(\d+\.\d)[^\d]{0,10}\[[+-]?(\d+\.\d), [+-]?(\d+\.\d)\]")

    def intervals(text):  # a loss of 8.9 [2.4, 15.4] is a difference of -8.9 [-15.4, -2.4]
        return {(middle, *sorted((low, high), key=float)) for middle, low, high in interval.findall(text)}

    assert len(intervals(prose)) > 3
    assert intervals(prose) - intervals(", ".join(claimed)) == set()
    numbers = [float(number) for text in claimed for number in re.findall(r"\d+\.\d+", text)]
    loose = [
        number
        for number in re.findall(r"(?<![\d.])\d+\.\d+", interval.sub("", prose))
        if not any(abs(float(number) - other) <= 0.501 / 10 ** len(number.split(".")[1]) for other in numbers)
    ]
    assert loose == []


def test_links_of_the_readme_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []
