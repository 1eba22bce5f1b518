"""Whole programs that are stopped, starved of disk or started twice, and the same bits in other processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests import faults
from xqa_lib.running import notebooks
from xqa_lib.study.params import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}
TRAIN = "import sys, torch; torch.set_num_threads(1); from pathlib import Path; from tests import faults; "

pytestmark = pytest.mark.usefixtures("one_thread")


def program(folder, code="faults.distil(Path(sys.argv[1]), minutes=1000)", **environment):
    return subprocess.run(
        [sys.executable, "-c", TRAIN + code, str(folder)],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.slow
def test_the_same_bits_with_another_hash_seed(tmp_path):
    outcomes = []
    for seed in ("1", "2"):
        done = program(tmp_path / seed, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr[-2000:]
        outcomes.append(faults.outcome(tmp_path / seed))
    assert outcomes[0] == outcomes[1]


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        # about 160 kB a checkpoint; most of the disk is taken at once when the sixth is written
        code = (
            "original = faults.checkpoints.RunCheckpoints.begin\n"
            "def begin(self):\n"
            "    if [step for step, _ in self.steps()][:1] == [5]:\n"
            "        try:\n"
            "            with open(Path(sys.argv[1]) / 'others', 'wb') as file:\n"
            "                while True: file.write(bytes(4096)); file.flush()\n"
            "        except OSError: pass\n"
            "    return original(self)\n"
            "faults.checkpoints.RunCheckpoints.begin = begin\n"
            "faults.distil(Path(sys.argv[1]))"
        )
        done = program(disk, "exec(" + repr(code) + ")")
        assert done.returncode != 0
        assert "the checkpoint of step 6 could not be written" in done.stderr
        assert "the disk is full" in done.stderr
        assert "the last good one, of step 5, is intact: make room and run the same command again" in done.stderr
        (disk / "others").unlink()
        done = program(disk, "faults.distil(Path(sys.argv[1]))")
        assert done.returncode == 0, done.stderr[-2000:]
        assert "going on from step-00000005" in done.stderr
        assert faults.in_process(faults.distil, tmp_path / "calm") == 0
        assert faults.outcome(disk) == faults.outcome(tmp_path / "calm")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


NOTEBOOK_CODE = """\
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests import faults
from xqa_lib.training import trainer
original = trainer.DistillationTrainer.compute_loss
def slow(self, *arguments, **options):
    Path({folder!r}, "training").touch()
    time.sleep({pause})
    return original(self, *arguments, **options)
trainer.DistillationTrainer.compute_loss = slow
faults.distil(Path({folder!r}), minutes=1000)
"""


def notebook(path, folder, pause):
    import nbformat

    page = nbformat.v4.new_notebook()
    source = NOTEBOOK_CODE.format(root=str(ROOT), folder=str(folder), pause=pause)
    page.cells = [
        nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(source),
    ]
    page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(page, path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_notebook_that_is_stopped_goes_on(tmp_path, number):
    notebook(tmp_path / "page.ipynb", tmp_path, 0.3)
    command = [sys.executable, "-m", "xqa_lib", "notebook", str(tmp_path / "page.ipynb"), str(tmp_path / "out.ipynb")]
    running = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    for _ in range(600):
        if (tmp_path / "training").exists() or running.poll() is not None:
            break
        time.sleep(0.2)
    running.send_signal(number)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith(
        "error: page.ipynb, cell 1: TrainingStopped: stopped as asked after step 1 of 12; a checkpoint"
    )
    assert "run the same command again to go on from it" in last
    assert not (tmp_path / "out.ipynb").exists()
    notebook(tmp_path / "page.ipynb", tmp_path, 0)
    notebooks.execute(str(tmp_path / "page.ipynb"), tmp_path / "out.ipynb", {})
    assert faults.in_process(faults.distil, tmp_path / "calm") == 0
    assert faults.outcome(tmp_path) == faults.outcome(tmp_path / "calm")


@pytest.mark.slow
def test_dvc_goes_on_from_the_checkpoint_and_locks(tmp_path):
    """A stage that is killed, `dvc repro` beside it, and `dvc repro` again."""
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run([sys.executable, "-m", *command] if command[0] == "dvc" else command, cwd=tmp_path, check=True)
    (tmp_path / "stage.py").write_text(NOTEBOOK_CODE.format(root=str(ROOT), folder=str(tmp_path), pause=0.4))
    (tmp_path / "dvc.yaml").write_text(
        json.dumps({"stages": {"train": {"cmd": f"exec {sys.executable} stage.py", "outs": ["result"]}}})
    )
    repro = [sys.executable, "-m", "dvc", "repro"]
    (tmp_path / "result").mkdir()  # an old one, which DVC removes
    first = subprocess.Popen(repro, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if (tmp_path / "training").exists():
            break
        time.sleep(0.2)
    second = subprocess.run(repro, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert second.returncode != 0
    assert "is busy" in second.stderr or "lock" in second.stderr, second.stderr
    (child,) = (int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _is_stage(entry, tmp_path))
    os.kill(child, signal.SIGTERM)
    _, errors = first.communicate(timeout=300)
    assert first.returncode != 0
    assert "run the same command again to go on from it" in errors
    assert not (tmp_path / "result").exists()
    done = subprocess.run(repro, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "going on from step-" in done.stderr
    assert faults.in_process(faults.distil, tmp_path / "calm") == 0
    assert faults.outcome(tmp_path) == faults.outcome(tmp_path / "calm")
    shutil.rmtree(tmp_path / ".dvc")


def _is_stage(entry, folder):
    try:
        with open(f"/proc/{entry}/cmdline", "rb") as file:
            command = file.read().split(b"\0")
        return b"stage.py" in command[1:2] and os.readlink(f"/proc/{entry}/cwd") == str(folder)
    except OSError:
        return False
