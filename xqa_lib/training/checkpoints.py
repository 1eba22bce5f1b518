"""Checkpoints: a training that was killed goes on from the last one and ends with the same bits as one that was not.

A checkpoint holds model, optimiser, schedule, random number generators, position in the data (the number of steps),
the log so far, and what a trainer of ours adds (generations and their teacher). It is written beside its final name,
synced, given a manifest of SHA-256 sums and then renamed, so that a killed writer leaves no checkpoint at all; it is
checked against its manifest before it is used, and a damaged one is passed over for the one before.

    <folder>/<phase>/<fingerprint>/step-00000120/     the last two are kept

The fingerprint is that of everything that decides the bits of a run (parameters, data, start weights, code, versions,
threads, number of processes): a checkpoint of another run is never taken up.

Weights are safetensors. The state of optimiser, schedule and random generators are `Trainer`'s own files, read with
`torch.load(weights_only=True)`, which runs no code, and only after their sums were found to be the manifest's.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from importlib.metadata import version
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_model, save_model
from transformers import Trainer, TrainerCallback, TrainerState

from ..errors import DataError
from ..running import TRAINING
from ..running.files import check_space, sha256_of, sync_folder, write_json
from . import processes

KEPT = 2  # the last one, and the one before in case it is damaged
MANIFEST = "manifest.json"
STATE = "run.json"


class TrainingStopped(DataError):
    """A training that was asked to stop (SIGTERM, Ctrl-C) and left a checkpoint. The message says how to go on."""


def code_hash(*rooms):
    """SHA-256 of all sources in rooms of the library ("": those of no room); whole rooms, so that none is forgotten."""
    library = Path(__file__).parent.parent
    found = [path for room in rooms for path in sorted((library / room).glob("*.py"))]
    return data_hash((path.relative_to(library).as_posix(), sha256_of(path)) for path in found)


def fingerprint(facts):
    """SHA-256 of facts (JSON values), code and versions that decide the bits of a run, as 64 hexadecimal digits."""
    packages = {name: version(name) for name in ("torch", "transformers", "accelerate", "tokenizers")}
    code = code_hash("", "training")
    text = json.dumps({"facts": facts, "packages": packages, "code": code}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def data_hash(rows):
    """SHA-256 of a sequence of values with a stable `repr` (the examples of a training), in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode("utf-8", "surrogatepass") + b"\x1e")
    return digest.hexdigest()


@contextmanager
def kept(folder, *, minutes, wait_s=60):
    """The checkpoints of one result, whose phases are trainings; deleted when the body ends, kept when it fails.

    Args:
        folder: outside of everything that DVC removes before it runs a stage.
        minutes: between checkpoints; 0 is at every step. The result does not depend on it.
        wait_s: seconds to wait for another process that trains the same; a killed notebook's kernel takes some to end.

    Yields:
        `Checkpoints`.

    Raises:
        DataError: another process is training the same.
    """
    folder = Path(folder)
    if not processes.is_first():  # of several processes the first one locks and cleans up
        yield Checkpoints(folder, minutes=minutes)
        return
    with _locked(folder, wait_s):
        yield Checkpoints(folder, minutes=minutes)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others' checkpoints are beside it
            folder.parent.rmdir()


@contextmanager
def _locked(folder, wait_s):
    """Hold a lock on `folder`; the system releases it, however the process ends."""
    deadline = time.monotonic() + wait_s
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # who held it before may have removed the file since it was opened: then it locks nothing
                if (folder / ".lock").is_file() and os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name)):
                    yield
                    return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DataError(
                        f"{folder}: another process is training the same result; wait until it has finished, or end it"
                    ) from None
        time.sleep(0.2)


class Checkpoints:
    """The checkpoints below one folder; see `kept`."""

    def __init__(self, folder, *, minutes):
        self.folder = Path(folder)
        self.minutes = minutes

    def phase(self, name, facts):
        """`RunCheckpoints` of the training `name`; those of other facts are removed (they can never be used)."""
        key = fingerprint(facts)[:32]
        folder = self.folder / name
        if folder.is_dir() and processes.is_first():
            for other in sorted(folder.iterdir()):
                if other.name != key:
                    print(f"{other}: of another run (parameters, data or versions changed); removed", file=sys.stderr)
                    shutil.rmtree(other)
        return RunCheckpoints(folder / key, minutes=self.minutes)


class RunCheckpoints:
    """The checkpoints of one training: written whole, checked when read.

    Args:
        folder: of this training alone.
        minutes: between checkpoints; 0 is at every step.
    """

    def __init__(self, folder, *, minutes=10.0):
        self.folder = Path(folder)
        self.minutes = minutes
        self.scratch = self.folder / "unfinished"

    def steps(self):
        """[(step, folder)] of all complete checkpoints, the last one first, whether or not they are still intact."""
        found = [(int(path.name[5:]), path) for path in self.folder.glob("step-*") if path.name[5:].isdigit()]
        return sorted(found, reverse=True)

    def last_good(self):
        """The folder of the last checkpoint that is intact, or None; damaged ones are named and removed.

        They are of no use, and would count among those that are kept.
        """
        for _, path in self.steps():
            if problem := damage(path):
                print(f"{path}: passed over, {problem}", file=sys.stderr)
                shutil.rmtree(path)
            else:
                return path
        return None

    def begin(self):
        """An empty scratch folder to write a checkpoint into."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        return self.scratch

    def commit(self, step):
        """Make the scratch folder's content, a complete checkpoint below `checkpoint-*`, the one of `step`."""
        (written,) = self.scratch.glob("checkpoint-*")
        # Trainer's pickled arguments: nothing needs them, and they name folders of this machine
        (written / "training_args.bin").unlink(missing_ok=True)
        names = sorted(path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file())
        write_json(written / MANIFEST, {name: sha256_of(written / name) for name in names})
        sync_folder(written)
        final = self.folder / f"step-{step:08d}"
        written.rename(final)
        sync_folder(self.folder, recursive=False)
        for _, old in self.steps()[KEPT:]:
            # out of sight first: a half-deleted one would be reported as damaged
            old.rename(self.scratch / old.name)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return final


def damage(folder):
    """What is wrong with a checkpoint folder, as text, or None if all its files are what the manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in manifest.items():
            if sha256_of(folder / name) != expected:
                return f"{name} is not what was written"
    except (OSError, ValueError, AttributeError) as error:
        return f"it cannot be read ({type(error).__name__}: {error})"
    return None if manifest else "its manifest is empty"


class ResumableTrainer(Trainer):
    """`transformers.Trainer` that writes `RunCheckpoints` and goes on from the last good one.

    A subclass with state of its own extends `own_state`, `own_models` and `restore`.

    Args:
        checkpoints: `RunCheckpoints`, or None for a training that keeps none.
        Others: as `Trainer`, with `save_strategy="no"`.
    """

    def __init__(self, *args, checkpoints=None, **kwargs):
        if processes.count() == 1 and torch.cuda.is_available():
            # Trainer would take all GPUs of the machine, and a batch for each: another recipe
            kwargs["args"]._n_gpu = 1
        super().__init__(*args, **kwargs)
        self.checkpoints = checkpoints
        self.sampler = None  # set by `_get_train_sampler`
        self.resumed_from = None
        self._stop = _StopRequest()
        self.add_callback(_Keeper(self))

    def own_state(self):
        """JSON values to keep beside `Trainer`'s state. Sums of the loss that were not logged yet are kept here."""
        columns = dict.fromkeys(name for entry in self.state.log_history for name in entry)
        return {
            "loss_sum": float(self._tr_loss),
            "last_logged": self._globalstep_last_logged,
            "log_columns": list(columns),
        }

    def own_models(self):
        """name -> further model to keep (a teacher)."""
        return {}

    def restore(self, state, folder):
        """Take back `own_state`, and the `own_models` from `folder` (see `load_weights`)."""
        self._tr_loss.fill_(state["loss_sum"])
        self._globalstep_last_logged = state["last_logged"]
        # Trainer's file sorts the names, and a log written as a table would begin with another column
        self.state.log_history = [
            {name: entry[name] for name in state["log_columns"] if name in entry} for entry in self.state.log_history
        ]

    def train(self, *args, **kwargs):
        if self.checkpoints is None:
            return super().train(*args, **kwargs)
        # one process looks, so that all go on from the same one
        found = [str(self.checkpoints.last_good() or "") if self.is_world_process_zero() else ""]
        if self.args.world_size > 1:
            found = broadcast_object_list(found)
        self.resumed_from = Path(found[0]) if found[0] else None
        if self.resumed_from and self.is_world_process_zero():
            print(f"going on from {self.resumed_from.name}", file=sys.stderr)
        if self.resumed_from and self._take_back_finished():
            return None
        with self._stop.listening():
            return super().train(resume_from_checkpoint=found[0] or None)

    def _take_back_finished(self):
        """Load a checkpoint of the last step; False if it is of an earlier one. Trainer itself would add a step."""
        state = TrainerState.load_from_json(str(self.resumed_from / "trainer_state.json"))
        if state.global_step < state.max_steps:
            return False
        self._load_from_checkpoint(str(self.resumed_from))
        self.state = state
        self._tr_loss = torch.tensor(0.0)
        self.restore(json.loads((self.resumed_from / STATE).read_text(encoding="utf-8")), self.resumed_from)
        return True

    def _get_output_dir(self, trial=None):
        return str(self.checkpoints.scratch) if self.checkpoints else super()._get_output_dir(trial)

    def _save_checkpoint(self, model, trial=None):
        step, first = self.state.global_step, self.is_world_process_zero()
        with self._clear_failure(step):
            if first:
                self.checkpoints.begin()
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)
            written = self.checkpoints.scratch / f"checkpoint-{step}"
            if first:
                for name, other in self.own_models().items():
                    save_model(other, str(written / f"{name}.safetensors"))
                write_json(written / STATE, self.own_state())
            self.accelerator.wait_for_everyone()
            if first:
                self.checkpoints.commit(step)
            self.accelerator.wait_for_everyone()
        if self._stop.asked:
            raise TrainingStopped(
                f"stopped as asked after step {step} of {self.state.max_steps}; a checkpoint was written: run the same "
                "command again to go on from it"
            )

    @contextmanager
    def _clear_failure(self, step):
        try:
            yield
        except Exception as error:
            good = [number for number, path in self.checkpoints.steps() if not damage(path)]
            shutil.rmtree(self.checkpoints.scratch, ignore_errors=True)
            raise DataError(
                f"{self.checkpoints.folder}: the checkpoint of step {step} could not be written "
                f"({' '.join(str(error).split())}{check_space(self.checkpoints.folder)}); "
                + (f"the last good one, of step {good[0]}, is intact: " if good else "there is none before it: ")
                + "make room and run the same command again"
            ) from error


class _Keeper(TrainerCallback):
    """When to write a checkpoint, and what to take back from one."""

    def __init__(self, trainer):
        self.trainer = trainer
        self.last = time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):
        trainer = self.trainer
        self.last = time.monotonic()
        if trainer.resumed_from:
            text = (trainer.resumed_from / STATE).read_text(encoding="utf-8")
            trainer.restore(json.loads(text), trainer.resumed_from)

    def on_epoch_begin(self, args, state, control, **kwargs):
        # Trainer reaches the sampler through its wrappers, but not through all those of a resumed or shared-out loader
        if hasattr(self.trainer.sampler, "set_epoch"):
            self.trainer.sampler.set_epoch(int(state.epoch or 0))

    def on_step_end(self, args, state, control, **kwargs):
        trainer = self.trainer
        if trainer.checkpoints is None:
            return
        due = time.monotonic() - self.last >= 60 * trainer.checkpoints.minutes
        wish = torch.tensor([float(due), float(trainer._stop.asked)], device=args.device)
        if args.world_size > 1:  # clocks differ, and a signal may reach one process only
            wish = trainer.accelerator.reduce(wish, reduction="sum")
        due, trainer._stop.asked = (bool(value > 0) for value in wish)
        # the last step's is what a result that could not be written is written from the next time
        if due or trainer._stop.asked or state.global_step >= state.max_steps:
            self.last = time.monotonic()
            control.should_save = True


def load_weights(model, folder, name):
    """Load what `own_models` kept under `name` into `model`; all weights must be there."""
    load_model(model, str(folder / f"{name}.safetensors"), strict=True)
    return model


class _StopRequest:
    """SIGTERM and SIGINT while a training runs: note the wish, finish the step."""

    def __init__(self):
        self.asked = False

    def _note(self, number, frame):
        if not self.asked:
            print("\nstopping after this step, with a checkpoint ...", file=sys.stderr, flush=True)
        self.asked = True

    @contextmanager
    def listening(self):
        self.asked = False
        if threading.current_thread() is not threading.main_thread():  # Python leaves signals to the main thread
            yield
            return
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with _announced(os.environ.get(TRAINING)):
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _announced(path):
    return _process_file(Path(path)) if path else nullcontext()


@contextmanager
def _process_file(path):
    """Note this process while it trains: Ctrl-C does not reach a notebook's kernel; who started it passes it on."""
    path.write_text(str(os.getpid()))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
