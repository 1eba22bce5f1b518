"""Training shared out among processes: shares by hand, and two processes against one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file

from tests import faults
from xqa_lib.errors import DataError
from xqa_lib.study.params import ROOT
from xqa_lib.training import processes
from xqa_lib.training.processes import ShareOut


def collate(rows):
    return {"rows": list(rows)}


@pytest.mark.parametrize(
    ("rows", "shares"),
    [
        ([1, 2, 3, 4], [([1, 3], 1.0), ([2, 4], 1.0)]),
        ([1, 2, 3], [([1, 3], 4 / 3), ([2], 2 / 3)]),
        ([1], [([1], 2.0), ([1], 0.0)]),  # a process without a row takes part, and counts for nothing
    ],
)
def test_shares(rows, shares):
    for rank, (mine, share) in enumerate(shares):
        batch = ShareOut(collate, rank=rank, count=2)(rows)
        assert batch["rows"] == mine
        assert batch["share"].item() == pytest.approx(share)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_mean_of_the_shares_is_the_mean_of_the_batch(count):
    rows = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0][:4]
    total = 0.0
    for rank in range(count):
        batch = ShareOut(collate, rank=rank, count=count)(rows)
        total += batch["share"].item() * sum(batch["rows"]) / len(batch["rows"])
    assert total / count == pytest.approx(sum(rows) / len(rows), abs=1e-6)


def test_who_is_first(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (processes.count(), processes.is_first()) == (1, True)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert (processes.count(), processes.is_first()) == (4, False)


def test_a_failed_hand_over_says_so(monkeypatch):
    commands = []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DataError, match=r"^the training in 3 processes failed \(exit status 7\); "):
        processes.train_in(3, ["--method", "ce"])
    (command,) = commands
    assert command[:5] == [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    assert command[5:] == ["-m", "xqa_lib", "train", "--method", "ce"]


def shared_out(folder, *options):
    """Train `tests.faults.distil` in two processes without dropout; returns the exit status."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(Path(faults.__file__).with_name("two_processes.py")), str(folder), *options],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
    )
    return done.returncode, done.stderr


def outcome_of(folder):
    return json.loads((folder / "outcome.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    # the tokenizer, too, is made once
    one = outcome_of(faults.without_dropout(tmp_path / "one"))
    status, errors = shared_out(tmp_path / "two")
    assert status == 0, errors[-3000:]
    two = outcome_of(tmp_path / "two")
    assert [row["step"] for row in two["log"]] == [row["step"] for row in one["log"]] == list(range(1, 13))
    for first, second in zip(one["log"], two["log"], strict=True):
        for name in ("loss", "ce", "kl", "coefficient", "grad_norm"):
            assert second[name] == pytest.approx(first[name], abs=1e-5)
    # the same generations: the first teacher to the bit, later ones as chains of their own
    assert two["generations"][0]["teacher_weights"] == one["generations"][0]["teacher_weights"]
    assert [entry["generation"] for entry in two["generations"]] == [1, 2, 3]
    teachers = [entry["teacher_weights"] for entry in two["generations"]]
    assert teachers[1:] == [entry["student_weights"] for entry in two["generations"]][:-1]
    # stopped within the second generation, it goes on to the same bits
    status, errors = shared_out(tmp_path / "stopped", "stop")
    assert status != 0
    assert "stopped as asked after step 6 of 12" in errors
    status, errors = shared_out(tmp_path / "stopped")
    assert status == 0, errors[-3000:]
    assert "going on from step-00000006" in errors
    assert outcome_of(tmp_path / "stopped") == two


@pytest.mark.parametrize(("name", "machines", "number"), [("one-node", 1, 4), ("several-nodes", 2, 8)])
def test_accelerate_reads_the_examples(name, machines, number):
    path = ROOT / "conf" / "accelerate" / f"{name}.yaml"
    found = load_config_from_file(str(path))
    assert (found.num_machines, found.num_processes) == (machines, number)
    assert str(found.distributed_type).endswith("MULTI_GPU")
    known = set(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert known <= set(vars(found))  # none is ignored


def test_the_slurm_script():
    path = ROOT / "conf" / "accelerate" / "slurm.sh"
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text(encoding="utf-8")
    settings = yaml.safe_load((path.parent / "several-nodes.yaml").read_text(encoding="utf-8"))
    assert f"--nodes={settings['num_machines']}\n" in text
    assert f"--gpus-per-node={settings['num_processes'] // settings['num_machines']}\n" in text
    assert "--config_file conf/accelerate/several-nodes.yaml" in text
    assert "#SBATCH --signal=TERM@" in text
