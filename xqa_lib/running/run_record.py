"""What a run was made from (parameters, versions, hashes of its inputs, minutes), written once, when it is finished."""

import datetime
import os
import platform
import re
import subprocess
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from .files import ROOT, sha256_of, write_json

PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "accelerate", "numpy")


@contextmanager
def recorded(path, *, inputs=(), **facts):
    """Measure a run and write its record to `path` when the body ends without an error.

    Args:
        path: the record, JSON.
        inputs: files whose SHA-256 is noted.
        facts: what else is to be noted (parameters, seed, ...).

    Yields:
        A dict to which the body adds its own entries.
    """
    begun, started, commit = time.perf_counter(), datetime.datetime.now(datetime.UTC), _git_commit()
    record = dict(facts)
    yield record
    write_json(
        path,
        {
            **record,
            "inputs": {_name(file): sha256_of(file) for file in inputs},
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "git_commit": commit,
            "machine": _machine(),
            "started": started.isoformat(timespec="seconds"),
            "minutes": round((time.perf_counter() - begun) / 60, 3),
        },
    )


def _name(file):
    """A file's path below the repository; of one elsewhere the name alone: folders may tell who ran this, and where."""
    file = Path(file).resolve()
    return file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name


def _machine():
    """Processor (its model where Linux tells it), accelerator, cores, threads of PyTorch, memory in GiB, GFLOP/s."""
    import torch

    try:
        models = re.findall(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"), flags=re.M)
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, AttributeError, ValueError):  # not Linux
        models, memory = [], None
    return {
        "processor": models[0] if models else platform.machine(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": memory,
        "matrix_gflops": _matrix_rate(),
    }


def _matrix_rate(size=1024):
    """GFLOP/s of PyTorch's product of float32 matrices, the best of five, with the run's threads or on its accelerator.

    On the CPU by MKL, beside which the models' layers are faster on some processors (`training.cpu_linear`).
    """
    import torch

    matrix = torch.ones(size, size, device="cuda" if torch.cuda.is_available() else "cpu")
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for the accelerator
        seconds.append(time.perf_counter() - begun)
    return round(2 * size**3 / min(seconds) / 1e9, 1)


def _git_commit():
    """The commit of the sources, "+" appended if they were changed since; None outside a git checkout."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "xqa_lib", "notebooks", "conf"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
