"""Trainings that are killed: a tiny run in a process of its own that ends itself with SIGKILL at a chosen moment.

A moment is (point, n): the n-th time that the run comes to a point of `POINTS`. The process is forked, so that a run
takes a second. `make faults` runs them all and prints what became of them; `tests/test_checkpoints.py` runs a few.
"""

import functools
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Trainer

from tests.builders import born, tiny_reader
from xqa_lib import coefficients
from xqa_lib.running import files
from xqa_lib.study.params import Features, load_params
from xqa_lib.training import checkpoints, distillation, models, processes, teacher_logits, tiny_encoder, trainer

PROFILE = load_params("embedded/smoke")
LOSS = {"alpha_ce": 1.0, "temperature": 2.0, "direction": "forward", "k": 10, "window": 5, "weighting": "batch"}
METHOD = replace(PROFILE.methods["skd"], **LOSS, coefficient="windowed_reciprocal_rank")
STEPS = {"epochs": 3, "batch_size": 3, "accumulation": 2, "learning_rate": 0.01, "warmup": 0.1, "beta2": 0.99}
RUN = replace(PROFILE.distillation, **STEPS, dropout=0.2)
FEATURES = Features(max_length=40, stride=10, max_question_length=16)


def examples():
    """22 of them: every epoch ends with half a step."""
    return [born(number) for number in range(22)]


@functools.cache
def tokenizer():
    texts = [example.context + example.question for example in examples()]
    return tiny_encoder.train_tokenizer(texts * 3, vocabulary_size=90, max_length=64)


def reader(dropout=0.2):
    return tiny_reader(len(tokenizer()), dropout=dropout)


def _train(model, folder, kept, *, method=METHOD, run=RUN, seed=3):
    return distillation.train_reader(
        model,
        tokenizer(),
        examples(),
        features=FEATURES,
        optimisation=run,
        method=method,
        generations=3,
        seed=seed,
        output_dir=folder / "trainer",
        checkpoints=functools.partial(kept.phase, "training"),
    )


def distil(folder, *, minutes=0, method=METHOD, run=RUN, seed=3):
    """Train; the outcome, as JSON values, is everything that must not depend on when it was killed."""
    model = reader()
    with checkpoints.kept(folder / "checkpoints", minutes=minutes, wait_s=20) as kept:
        log, generations = _train(model, folder, kept, method=method, run=run, seed=seed)
        outcome = {"weights": models.weights_hash(model), "log": log, "generations": generations}
        with files.atomic_folder(folder / "result") as out:
            save_file({name: value.clone() for name, value in model.state_dict().items()}, out / "model.safetensors")
            files.write_json(out / "outcome.json", outcome)
    return outcome


def without_dropout(folder):
    """Train without dropout, whose draws differ between one process and two; the folder then has outcome.json."""
    model = reader(dropout=0.0)
    with checkpoints.kept(folder / "checkpoints", minutes=1000) as kept:
        log, generations = _train(model, folder, kept, run=replace(RUN, dropout=0.0, token_masking=0.0))
    if processes.is_first():
        outcome = {"weights": models.weights_hash(model), "log": log, "generations": generations}
        files.write_json(folder / "outcome.json", outcome)
    return folder


# point -> (owner, name) of the function before whose n-th call the process is killed
POINTS = {
    "inside a step (student's forward pass)": (trainer, "span_logits"),
    "inside a step (backward pass)": (torch.Tensor, "backward"),
    "inside a step (optimiser)": (torch.optim.AdamW, "step"),
    "teacher scoring (its pass over the data)": (teacher_logits, "compute"),
    "teacher scoring (coefficient)": (coefficients, "_right_by_rank"),
    "generation boundary": (trainer.DistillationTrainer, "_end_generation"),
    "generation boundary (teacher copied)": (trainer, "weights_hash"),
    "writing a checkpoint (weights)": (Trainer, "_save_optimizer_and_scheduler"),
    "writing a checkpoint (optimiser)": (Trainer, "_save_rng_state"),
    "writing a checkpoint (teacher)": (checkpoints, "save_model"),
    "writing a checkpoint (sums)": (checkpoints, "sha256_of"),
    "writing a checkpoint (sync)": (os, "fsync"),
    "writing a checkpoint (rename)": (Path, "rename"),
    "removing an old checkpoint": (checkpoints.shutil, "rmtree"),
    "writing the result": (files, "_full_disk_is_said"),
}


def kill_at(point, n):
    """Arrange for this process to be killed at the n-th time, from 1, that it comes to `point`."""
    owner, name = POINTS[point]
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def counting(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, name, counting)


def in_process(train, folder, moment=None, *, after=None):
    """Run `train(folder)` in a forked process on one thread, killed at `moment` or `after` seconds.

    On one, because OpenMP's other threads do not come along with a fork, and the process would wait for them for ever.

    Returns:
        The signal that ended it, 0 if it finished.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torch.set_num_threads(1)
            if moment:
                kill_at(*moment)
            if after:
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
                signal.setitimer(signal.ITIMER_REAL, after)
            # the progress bar of many runs says nothing
            os.dup2(os.open(folder.parent / f"{folder.name}.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
            train(folder)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError((folder.parent / f"{folder.name}.txt").read_text(errors="replace")[-3000:])
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def outcome(folder):
    found = json.loads((folder / "result" / "outcome.json").read_text(encoding="utf-8"))
    # equal dicts may be in another order, and then give another table
    return {**found, "columns": [list(entry) for entry in found["log"]]}


def moments(count, seed):
    """`count` moments, drawn from the seed: every point first, then random ones."""
    rng = random.Random(seed)
    points = list(POINTS)
    chosen = points + [rng.choice(points) for _ in range(max(0, count - len(points)))]
    few = {"generation boundary": 3, "generation boundary (teacher copied)": 3, "writing the result": 1}
    few["teacher scoring (its pass over the data)"] = 3
    return [(point, rng.randint(1, few.get(point, 8))) for point in chosen[:count]]


def survey(folder, *, count=26, timed=8, seed=1):
    """Kill the training and start it again; it must end as one that was left alone.

    Args:
        count: kills at `moments`; `timed`: after random seconds, every other run twice.

    Yields:
        (where it was killed, kills, starts, seconds, survived), one per run.
    """
    rng = random.Random(seed)
    begun = time.perf_counter()
    calm = folder / "calm"
    calm.mkdir()
    if in_process(distil, calm) != 0:
        raise RuntimeError("the undisturbed training did not finish")
    undisturbed, seconds = outcome(calm), time.perf_counter() - begun
    # the last one is between the last step and the result: goes on to nothing but the result
    plan = [(f"{point}, time {n}", [(point, n)]) for point, n in (*moments(count, seed), ("writing the result", 1))]
    for index in range(timed):
        after = [rng.uniform(0.02, 0.9) * seconds for _ in range(1 + index % 2)]
        plan.append(("after " + " and ".join(f"{value:.2f} s" for value in after), after))
    for index, (where, kills) in enumerate(plan):
        run = folder / f"run-{index}"
        run.mkdir()
        begun, killed, starts = time.perf_counter(), 0, 1
        for kill in kills:
            options = {"moment": kill} if isinstance(kill, tuple) else {"after": kill}
            killed += in_process(distil, run, **options) == signal.SIGKILL
            starts += 1
        finished = in_process(distil, run) == 0
        survived = finished and outcome(run) == undisturbed
        yield where, killed, starts, time.perf_counter() - begun, survived


def compare_threads():
    """Print how far the logs of one and of two threads are apart; each is run twice, which must give the same bits."""
    with tempfile.TemporaryDirectory(prefix="threads-") as folder:
        found = {}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            first, again = (distil(Path(folder) / f"{threads}-{run}", minutes=1000) for run in range(2))
            print(f"{threads} threads, twice: {'the same bits' if first == again else 'OTHER BITS'}")
            found[threads] = first
    one, two = found[1], found[2]
    names = ("loss", "ce", "kl", "coefficient", "grad_norm")
    largest = max(abs(a[name] - b[name]) for a, b in zip(one["log"], two["log"], strict=True) for name in names)
    print(f"1 and 2 threads: {'the same' if one['weights'] == two['weights'] else 'other'} weights")
    print(f"largest difference in the log, over {len(one['log'])} steps: {largest:.1e}")


def main():
    """Print the survey as a table; returns the exit status: 1 if anything was lost."""
    torch.set_num_threads(1)
    tokenizer()
    rows = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        print("| killed (SIGKILL) | kills | starts | seconds | same bits in the end |")
        print("|---|---|---|---|---|")
        for row in survey(Path(folder)):
            rows.append(row)
            where, killed, starts, seconds, survived = row
            print(f"| {where} | {killed} | {starts} | {seconds:.1f} | {'yes' if survived else 'NO'} |", flush=True)
    lost = sum(not row[-1] for row in rows)
    print(f"\n{sum(row[1] for row in rows)} kills in {len(rows)} runs: {len(rows) - lost} survived, {lost} lost")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(compare_threads() if sys.argv[1:] == ["threads"] else main())
