"""The guide for a language of one's own: its numbers are those of the studies, its messages those of the check."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests import own_folder
from xqa_lib.data import own, squad_format
from xqa_lib.study import own_study

ROOT = Path(__file__).resolve().parent.parent
GUIDE = " ".join((ROOT / "docs" / "your-language.md").read_text(encoding="utf-8").split())


def test_the_curve_is_that_of_the_real_study():
    table = pd.read_csv(ROOT / "reports" / "xquad" / "tables" / "ablations.csv").query("task == 'gxlt'")
    first = table.query("experiment == 'zero-shot'")["f1"].iloc[0]
    curve = table.query("experiment == 'few-resource' and series == 'CE'").astype({"value": int}).sort_values("value")
    *most, last = curve["f1"].map("{:.1f}".format)
    assert list(curve["value"]) == [10, 20, 40, 60]
    assert f"from {first:.1f} to {', '.join(most)} and {last} (cross-entropy, eight seeds)" in GUIDE
    assert set(curve["seeds"]) == {8}
    assert "from 10 questions on, each step adds less than a point, no more than seeds differ by" in GUIDE
    assert (curve["f1"].diff().dropna() < curve["f1_sd"].rolling(2).max().dropna()).all()  # standard deviations
    assert curve["f1"].diff().max() < 1


def test_the_gains_are_those_of_the_real_study():
    tables = ROOT / "reports" / "xquad" / "tables"
    rows = pd.read_csv(tables / "against-zero-shot.csv").query("set == 'mlqa-dev-reporting' and system == 'ce'")
    rows = rows.set_index("task")
    assert f"{rows.loc['gxlt_off_diagonal', 'difference']:+.1f} with 60 questions" in GUIDE
    assert rows.loc["xlt", "low"] < 0 < rows.loc["xlt", "high"]
    tests = pd.read_csv(tables / "named-tests.csv").query("baseline == 'ce'")
    assert (tests["difference"].abs() < 1).all()


def test_the_sizes_are_those_of_the_code():
    assert f"± {own.half_width(20):.0f} points with 20 test questions, ± {own.half_width(100):.0f} with 100" in GUIDE
    assert f"Fewer than {own.LEAST_IDS} questions about {own.LEAST_PASSAGES} passages are refused" in GUIDE
    assert "A fifth of your questions tests" in GUIDE
    assert own.HELD_OUT == 1 / 5
    record = json.loads((ROOT / own_study.SQUAD_RECORD).read_text(encoding="utf-8"))
    speed = json.loads((ROOT / own_study.SPEED_RECORD).read_text(encoding="utf-8"))
    tflop = own.READER_QUESTIONS * record["tflop"] / record["examples"]  # both had two epochs
    assert f"takes {tflop:,.0f} TFLOP" in GUIDE
    assert "half an hour to an hour on two cores as fast as those of the default study" in GUIDE
    assert 30 <= tflop * speed["minutes"] / speed["tflop"] <= 60


def test_the_messages_are_those_of_the_check(tmp_path):
    """What the guide quotes of a message, up to its ellipses, is what the message says."""
    folder = own_folder.write(tmp_path / "mine")
    rows = {code: own_folder.rows(code) for code in own_folder.TEMPLATES}

    def found(**changed):
        for code, of_code in (rows | changed).items():
            path = folder / "parallel" / f"{code}.csv"
            path.write_text(own_folder.table(of_code), encoding="utf-8")
        return own.examine(folder)[1]

    first = rows["en"][0]
    lines = found(en=rows["en"][1:])
    lines += found(en=[(*first[:4], "Mondy"), *rows["en"][1:]])
    lines += found(en=[("e", "", "Cafe\u0301 nero", "What?", "Caf\u00e9"), *rows["en"]])
    lines += found(**{code: of_code[:3] for code, of_code in rows.items()})
    (folder / "parallel" / "pt-BR.csv").write_text("", encoding="utf-8")
    (folder / "parallel" / "pt_br.csv").write_text("", encoding="utf-8")
    lines += found()
    (folder / "parallel" / "pt-BR.csv").unlink()
    lines += found()
    (folder / "parallel" / "pt_br.csv").unlink()
    (folder / "parallel" / "en.csv").unlink()
    lines += own.examine(folder)[1]
    path = tmp_path / "a.csv"
    path.write_bytes("id,context,question,answer\n1,é,b,c\n".encode("latin-1"))
    with pytest.raises(Exception, match="expected UTF-8") as error:
        squad_format.read_squad(path, question_lang="en", context_lang="en")
    lines.append(str(error.value))
    header = ("id", "context", "question", "answer", "answer_start")
    path.write_text(own_folder.table([("1", "10 men, 10 women", "?", "10", "3")], header), encoding="utf-8")
    lines += [f"{path}: {problem}" for problem in squad_format.examine(path)[1]]
    path.write_text(own_folder.table([("1", "10 men and 10 women", "?", "10")], header[:4]), encoding="utf-8")
    lines += [f"note: {line}" for line in squad_format.repeated_answers(path)]
    quoted = re.findall(
        r"^\| `(.*?)` \|", (ROOT / "docs" / "your-language.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(quoted) == 10
    for text in quoted:
        # numbers, names and answers are of the example
        pattern = re.sub(r'\\"[^"]*?\\"|"[^"]*?"', '"[^"]*"', re.escape(text))
        pattern = re.sub(r"\b(\d+|ro)\b", r"\\S+", pattern).replace("…", ".*").replace("note:\\ the", "note: .*the")
        assert any(re.search(pattern, line) for line in lines), text
