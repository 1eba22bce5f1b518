"""The record of a run: its facts, the hashes of its inputs, versions, commit; nothing at all after an error."""

import datetime
import hashlib
import json
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from xqa_lib.running import run_record
from xqa_lib.running.run_record import recorded
from xqa_lib.study.params import ROOT


def test_a_record_holds_what_the_run_was_made_from(tmp_path):
    outside, inside = tmp_path / "a.csv", ROOT / "conf" / "base.yaml"
    outside.write_text("a", encoding="utf-8")
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    path = tmp_path / "deep" / "run.json"
    with recorded(path, inputs=[outside, inside], seed=3, method={"label": "CE", "coefficient": None}) as record:
        record["weights"] = "abc"
        record |= {"generations": []}
        assert not path.exists()
    found = json.loads(path.read_text(encoding="utf-8"))
    keys = ["seed", "method", "weights", "generations", "inputs", "versions", "git_commit", "machine", "started"]
    assert list(found) == [*keys, "minutes"]
    assert (found["seed"], found["method"], found["weights"]) == (3, {"label": "CE", "coefficient": None}, "abc")
    # a record is sent to others: of files outside the repository the name alone, whose folders may tell who ran this
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (outside, inside)]
    assert found["inputs"] == dict(zip(("a.csv", "conf/base.yaml"), hashes, strict=True))
    assert str(ROOT) not in json.dumps(found)
    assert found["versions"]["python"] == platform.python_version()
    for name in ("torch", "transformers", "tokenizers"):
        assert found["versions"][name] == version(name)
    assert found["machine"]["threads"] == torch.get_num_threads()
    assert found["machine"]["accelerator"] == (torch.cuda.get_device_name() if torch.cuda.is_available() else None)
    if Path("/proc/meminfo").exists():
        total = re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8"))
        assert found["machine"]["memory_gib"] == pytest.approx(int(total[1]) / 2**20, abs=0.1)
    assert before <= datetime.datetime.fromisoformat(found["started"]) <= datetime.datetime.now(datetime.UTC)
    assert 0 <= found["minutes"] < 1


def test_a_failed_run_leaves_no_record(tmp_path):
    with pytest.raises(RuntimeError, match="out of memory"), recorded(tmp_path / "run.json", seed=1):
        raise RuntimeError("out of memory")
    assert list(tmp_path.iterdir()) == []


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_tells_whether_the_sources_were_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(run_record, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert run_record._git_commit() is None  # no git checkout
    git(tmp_path, "init", "--quiet")
    assert run_record._git_commit() is None  # no commit
    source = tmp_path / "xqa_lib" / "losses.py"
    source.parent.mkdir()
    source.write_text("1\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "First")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert run_record._git_commit() == commit
    (tmp_path / "README.md").write_text("no source\n", encoding="utf-8")
    with recorded(tmp_path / "run.json"):
        source.write_text("2\n", encoding="utf-8")
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["git_commit"] == commit  # what it began with
    assert run_record._git_commit() == commit + "+"
    source.write_text("1\n", encoding="utf-8")
    source.with_name("new.py").write_text("3\n", encoding="utf-8")
    assert run_record._git_commit() == commit + "+"


def test_without_git_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_record._git_commit() is None
