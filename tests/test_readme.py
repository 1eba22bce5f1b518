from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("table", "report", "section"),
    [(0, "reports/README.md", "## factbook-test"), (1, "reports/xquad/README.md", "## mlqa-dev")],
)
def test_scores_in_the_readme_are_those_of_the_reports(table, report, section):
    text = (ROOT / report).read_text(encoding="utf-8")
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if " ± " in line]
    assert len(rows) == 6  # CE, SKD, SKD-mAP@k of two studies
    part = text[text.index(section) :]
    assert all(row in part for row in rows[3 * table : 3 * table + 3])


def test_links_of_the_readme_lead_somewhere():
    import re

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
