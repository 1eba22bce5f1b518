"""Trainings that are killed, stopped or find damaged checkpoints: they end with the bits of one left alone."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests import faults
from xqa_lib.errors import DataError
from xqa_lib.training import checkpoints, models, trainer
from xqa_lib.training.checkpoints import RunCheckpoints, TrainingStopped, damage, data_hash, fingerprint, kept

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def calm(one_thread, tmp_path_factory):
    """The outcome of a training that was left alone and kept no checkpoint but the last."""
    faults.tokenizer()
    folder = tmp_path_factory.mktemp("calm")
    assert faults.in_process(lambda f: faults.distil(f, minutes=1000), folder) == 0
    return faults.outcome(folder)


def before_each_batch(monkeypatch, act):
    original = trainer.DistillationTrainer.compute_loss

    def compute_loss(self, *arguments, **options):
        act(self)
        return original(self, *arguments, **options)

    monkeypatch.setattr(trainer.DistillationTrainer, "compute_loss", compute_loss)


def stop_after(monkeypatch, step, *, number=signal.SIGTERM):
    """The process gets a signal within the step after `step`."""
    before_each_batch(monkeypatch, lambda run: run.state.global_step == step and os.kill(os.getpid(), number))


@pytest.mark.parametrize(
    "moment",
    [("inside a step (backward pass)", 5), ("generation boundary", 2), ("writing a checkpoint (sums)", 14)],
    ids=lambda moment: moment[0],
)
def test_killed_and_started_again(calm, tmp_path, moment):
    assert faults.in_process(faults.distil, tmp_path, moment) == signal.SIGKILL
    assert not (tmp_path / "result").exists()
    assert faults.in_process(faults.distil, tmp_path) == 0
    assert faults.outcome(tmp_path) == calm
    # nothing is left but the result
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result", "trainer"]


def test_every_moment_of_the_survey_is_one_that_a_training_comes_to(tmp_path, monkeypatch):
    came = []
    for point, (owner, name) in faults.POINTS.items():
        original = getattr(owner, name)

        def noting(*arguments, original=original, point=point, **options):
            came.append(point)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, noting)
    faults.distil(tmp_path)
    counts = {point: came.count(point) for point in faults.POINTS}
    assert all(counts[point] >= n for point, n in faults.moments(100, seed=1)), counts


def test_a_run_that_goes_on_does_not_start_over(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(TrainingStopped):
            faults.distil(tmp_path)
    seen = []
    before_each_batch(monkeypatch, lambda run: seen.append((run.state.global_step, len(run.generations))))
    faults.distil(tmp_path)
    # 8 batches an epoch, 2 a step: 4 steps a generation; step 7 was finished
    assert seen[0] == (7, 2)
    assert len(seen) == 2 * 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_writes_a_checkpoint(calm, tmp_path, monkeypatch, capfd, number):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    with monkeypatch.context() as patch:
        stop_after(patch, 5, number=number)
        with pytest.raises(
            TrainingStopped, match=r"^stopped as asked after step 6 of 12; a checkpoint was written: run"
        ):
            faults.distil(tmp_path, minutes=1000)
    assert "stopping after this step, with a checkpoint" in capfd.readouterr().err
    assert {each: signal.getsignal(each) for each in before} == before
    assert not (tmp_path / "result").exists()
    faults.distil(tmp_path, minutes=1000)
    assert "going on from step-00000006" in capfd.readouterr().err
    assert faults.outcome(tmp_path) == calm


def test_a_training_notes_its_process_while_it_runs(tmp_path, monkeypatch):
    file, seen = tmp_path / "process", []
    monkeypatch.setenv("XQA_TRAINING_PROCESS", str(file))
    before_each_batch(monkeypatch, lambda run: seen.append(file.read_text()))
    faults.distil(tmp_path / "run", minutes=1000)
    assert set(seen) == {str(os.getpid())}
    assert not file.exists()


# ---- what a checkpoint is --------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """The folder of a training that stopped after step 7, in its second generation, with checkpoints 6 and 7."""
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(TrainingStopped):
            faults.distil(tmp_path)
    return tmp_path


def checkpoints_of(folder):
    (run,) = (folder / "checkpoints" / "training").iterdir()
    return RunCheckpoints(run)


def test_what_is_kept(stopped):
    found = checkpoints_of(stopped)
    assert [step for step, _ in found.steps()] == [7, 6]
    last = found.last_good()
    assert last.name == "step-00000007"
    names = {path.name for path in last.iterdir()}
    assert {"model.safetensors", "teacher.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"} < names
    assert {"trainer_state.json", "run.json", "manifest.json"} < names
    assert "training_args.bin" not in names
    assert set(json.loads((last / "manifest.json").read_text())) == names - {"manifest.json"}
    assert not found.scratch.exists()
    # no path of this machine
    for path in last.glob("*.json"):
        assert str(stopped) not in path.read_text(encoding="utf-8")
    state = json.loads((last / "run.json").read_text())
    assert [entry["generation"] for entry in state["generations"]] == [1, 2]
    # the teacher is the student at the end of generation 1, not the student of today
    teacher = checkpoints.load_weights(faults.reader(), last, "teacher")
    student = checkpoints.load_weights(faults.reader(), last, "model")
    assert models.weights_hash(teacher) == state["generations"][1]["teacher_weights"]
    assert models.weights_hash(student) != models.weights_hash(teacher)


@pytest.mark.parametrize("name", ["model.safetensors", "teacher.safetensors", "optimizer.pt", "manifest.json"])
@pytest.mark.parametrize("fault", ["cut off", "one bit", "missing"])
def test_a_damaged_file_is_noticed(stopped, name, fault):
    last = checkpoints_of(stopped).last_good()
    path = last / name
    content = bytearray(path.read_bytes())
    if fault == "missing":
        path.unlink()
    elif fault == "cut off":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert damage(last)
    assert checkpoints_of(stopped).last_good().name == "step-00000006"


def test_a_damaged_checkpoint_is_passed_over(calm, stopped, tmp_path, capfd):
    shutil.copytree(stopped, tmp_path / "all")
    (checkpoints_of(stopped).last_good() / "teacher.safetensors").write_bytes(b"")
    faults.distil(stopped)
    err = capfd.readouterr().err
    assert "step-00000007: passed over, teacher.safetensors is not what was written" in err
    assert "going on from step-00000006" in err
    assert faults.outcome(stopped) == calm
    for _, path in checkpoints_of(tmp_path / "all").steps():  # without a good one it begins anew
        (path / "manifest.json").write_text("{}")
    faults.distil(tmp_path / "all")
    assert faults.outcome(tmp_path / "all") == calm


def test_checkpoints_of_another_run_are_not_taken_up(stopped, tmp_path, capfd):
    other = faults.distil(stopped, seed=4)
    err = capfd.readouterr().err
    assert "of another run (parameters, data or versions changed); removed" in err
    assert "going on" not in err
    assert other == faults.distil(tmp_path / "fresh", seed=4)


def test_the_last_step_is_kept_until_the_result_is_written(calm, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(faults, "save_file", lambda *_: (_ for _ in ()).throw(RuntimeError("no result")))
        with pytest.raises(RuntimeError, match="no result"):
            faults.distil(tmp_path, minutes=1000)
    assert [step for step, _ in checkpoints_of(tmp_path).steps()] == [12]
    seen = []
    monkeypatch.setattr(trainer.DistillationTrainer, "compute_loss", lambda *_, **__: seen.append(1))
    faults.distil(tmp_path, minutes=1000)
    assert seen == []  # nothing is trained again
    assert faults.outcome(tmp_path) == calm


def test_the_fingerprint():
    facts = {"method": faults.METHOD, "data": data_hash(faults.examples()), "seed": 1}
    assert fingerprint(facts) == fingerprint(dict(reversed(facts.items())))
    for changed in (
        {"seed": 2},
        {"method": replace(faults.METHOD, temperature=2.5)},
        {"data": data_hash(faults.examples()[::-1])},
        {"data": data_hash(faults.examples()[1:])},
    ):
        assert fingerprint({**facts, **changed}) != fingerprint(facts)


def test_the_code_of_a_fingerprint_is_that_of_whole_rooms(tmp_path, monkeypatch):
    library = tmp_path / "xqa_lib"
    shutil.copytree(Path(checkpoints.__file__).parent.parent, library)
    monkeypatch.setattr(checkpoints, "__file__", str(library / "training" / "checkpoints.py"))
    before = fingerprint({})
    for place, counts in {"losses.py": True, "training/batching.py": True, "study/sweeps.py": False}.items():
        with open(library / place, "a") as file:
            file.write("# edited\n")
        assert (fingerprint({}) != before) == counts
        before = fingerprint({})


def test_data_hash_tells_rows_apart():
    assert data_hash(["ab", "c"]) != data_hash(["a", "bc"])
    assert data_hash([]) != data_hash([""])
    assert data_hash(["\ud800"])  # half a surrogate pair is no error here


def _hold(folder, ready):
    with kept(folder, minutes=1):
        ready.set()
        time.sleep(60)


def test_two_trainings_of_the_same_result(tmp_path):
    folder = tmp_path / "checkpoints" / "x"
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    other = context.Process(target=_hold, args=(folder, ready))
    other.start()
    assert ready.wait(30)
    try:
        message = f"^{folder}: another process is training the same result; wait until it has finished, or end it$"
        with pytest.raises(DataError, match=message), kept(folder, minutes=1, wait_s=0):
            pass
    finally:
        other.kill()
        other.join()
    with kept(folder, minutes=1, wait_s=5):  # a killed process holds nothing
        pass
    assert not (tmp_path / "checkpoints").exists()


def test_a_failure_keeps_the_folder(tmp_path):
    folder = tmp_path / "checkpoints" / "x"
    with pytest.raises(RuntimeError), kept(folder, minutes=1):  # noqa: PT012
        (folder / "training").mkdir()
        raise RuntimeError("out of memory")
    assert (folder / "training").is_dir()


def test_a_checkpoint_that_cannot_be_written(calm, tmp_path, monkeypatch):
    original = torch.save
    calls = []

    def save(*arguments, **options):
        calls.append(1)
        if len(calls) == 3 * 4 + 2:  # optimiser, schedule, generators of each checkpoint: the schedule of the fifth
            raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file")
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", save)
        # Trainer's own arguments are pickled by torch.save, too
        patch.setattr(trainer.DistillationTrainer, "_save", _save_without_arguments)
        with pytest.raises(DataError) as error:
            faults.distil(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{checkpoints_of(tmp_path).folder}: the checkpoint of step 5 could not be written (")
    assert message.endswith("; the last good one, of step 4, is intact: make room and run the same command again")
    assert [step for step, _ in checkpoints_of(tmp_path).steps()] == [4, 3]
    faults.distil(tmp_path)
    assert faults.outcome(tmp_path) == calm


def _save_without_arguments(self, output_dir=None, state_dict=None):
    self.model.save_pretrained(output_dir, state_dict=state_dict)
