from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_scores_in_the_readme_are_those_of_the_report():
    text = (ROOT / "reports/README.md").read_text(encoding="utf-8")
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if " ± " in line]
    assert len(rows) == 3  # CE, SKD, SKD-mAP@k
    part = text[text.index("## factbook-test") :]
    assert all(row in part for row in rows)


def test_links_of_the_readme_lead_somewhere():
    import re

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
