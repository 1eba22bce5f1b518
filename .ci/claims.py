"""Write into docs/claims.md what its cells hold now, after a study was run again: `python .ci/claims.py`.

Numbers that changed are printed: the README and the claims' own words are to be read again then.
"""

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import test_readme as held  # noqa: E402


def line_now(line, study):
    """A line of the page with the numbers and minutes of the commit that is checked out."""
    if study is None:
        return line
    made = held.records_of(study)
    if "run records, " in line:
        return re.sub(r"\d+ run records, [\d.,]+ minutes, [\d,]+ TFLOP", held.took(made), line)
    if ".csv) `" not in line:
        return line
    claim, number, cell, stage, runs, _ = line.strip("| ").split(" | ")
    (path,) = re.findall(r"\]\((.*?)\)", cell)
    query, *column = re.findall("`(.*?)`", cell)
    now = held.shown(held.table_of(path).query(query), *column)
    if now != number:
        print(f"{claim}: {number} -> {now}")
    minutes = sum(
        made["minutes"][[fnmatch(name, pattern) for name in made.index]].sum()
        for pattern in re.findall("`(.*?)`", runs)
    )
    return f"| {' | '.join([claim, now, cell, stage, runs, f'{minutes:.1f}'])} |"


study, lines = None, []
for line in held.CLAIMS.split("\n"):
    if line.startswith("## "):
        study = held.STUDIES.get(line.removeprefix("## "))
    lines.append(line_now(line, study))
(ROOT / "docs" / "claims.md").write_text("\n".join(lines), encoding="utf-8")
