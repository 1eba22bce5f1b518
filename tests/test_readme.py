"""Numbers and links of the README: each number that it draws from a report is the report's."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rows", "report", "section"),
    [
        (slice(0, 3), "reports/README.md", "## factbook-test"),
        (slice(3, 7), "reports/xquad/README.md", "## mlqa-dev-rep"),
    ],
)
def test_scores_in_the_readme_are_those_of_the_reports(rows, report, section):
    text = (ROOT / report).read_text(encoding="utf-8")
    lines = [line for line in README.splitlines() if " ± " in line]
    assert len(lines) == 7  # three methods of the default study, four of the real one
    part = text[text.index(section) :]
    assert all(line in part for line in lines[rows])


def difference(row):
    return f"{row.difference:+.1f} [{row.low:+.1f}, {row.high:+.1f}]"


def test_differences_in_the_readme_are_those_of_the_tables():
    text = " ".join(README.split())
    for row in pd.read_csv(ROOT / "reports/xquad/tables/named-tests.csv").itertuples():
        assert difference(row) in text, row.method
    ours = "task == 'gxlt_off_diagonal' and system in @systems"
    for folder, table, name, systems in (
        ("reports", "against-zero-shot", "factbook-test", ["ce"]),
        ("reports", "against-ce", "factbook-test", ["skd", "skd-map"]),
        ("reports/xquad", "against-zero-shot", "mlqa-dev-reporting", ["ce"]),
    ):
        found = pd.read_csv(ROOT / folder / "tables" / f"{table}.csv").query("set == @name").query(ours)
        assert len(found) == len(systems)
        for row in found.itertuples():
            assert difference(row) in text, (name, row.system)


def test_links_of_the_readme_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
