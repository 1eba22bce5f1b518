"""Results on demand, so that a notebook opened by itself runs: at smoke size that takes seconds."""

import hashlib
import json
from pathlib import Path

from ..errors import DataError
from ..running.files import write_text
from . import layout, stages
from .layout import ZERO_SHOT


def require(params, stage, *, method=None, seed=None):
    """Make the results of `stage` and of those before it, if this code has not made them with these parameters yet.

    Only at smoke size: DVC keeps the results of a full study up to date, and a notebook must not start hours of
    training by surprise.

    Args:
        stage: "data", "encoder", "reader", "sampling", "students" or "scores".
        method, seed: for "sampling" (seed), "students" and "scores" (both).

    Raises:
        DataError: a result that is missing in a study of full size.
    """
    if stage == "data":
        _once(params, params.data_folder, lambda: stages.prepare_data(params))
        return
    if stage == "encoder":
        require(params, "data")
        _once(params, layout.encoder_folder(params), lambda: stages.make_encoder(params))
    elif stage == "reader":
        require(params, "encoder")
        _once(params, layout.reader_folder(params), lambda: stages.train_reader(params))
    elif stage == "sampling":
        require(params, "data")
        _once(params, layout.sampled_file(params, seed), lambda: stages.sample(params, seed))
    elif stage == "students":
        require(params, "reader")
        require(params, "sampling", seed=seed)
        _once(params, layout.student_folder(params, method, seed), lambda: stages.train_student(params, method, seed))
    elif stage == "scores":
        require_model(params, method, seed)
        path = layout.scores_file(params, layout.system_name(method, seed))
        _once(params, path, lambda: stages.evaluate_system(params, method, seed))
    else:
        raise ValueError(f"unknown stage {stage!r}")


def require_sweep(params, group, seed):
    """`require` the results of a group of experiments with one seed."""
    from . import sweeps

    require_sweep_inputs(params, seed)
    _once(params, sweeps.folder(params, group, seed), lambda: sweeps.run_group(params, group, seed))


def require_sweep_inputs(params, seed):
    """`require` what the experiments start from: reader and students of the study with this seed, and their scores."""
    require(params, "scores", method=ZERO_SHOT)
    for method in params.trained:
        require(params, "scores", method=method, seed=seed)


def require_model(params, method, seed):
    """`require` the model of a system: the English reader for `ZERO_SHOT`, else a student."""
    if method == ZERO_SHOT:
        require(params, "reader")
    else:
        require(params, "students", method=method, seed=seed)


def require_all(params):
    """`require` the scores of every system and the results of every group of experiments of the study."""
    require(params, "scores", method=ZERO_SHOT)
    for method in params.trained:
        for seed in params.seeds:
            require(params, "scores", method=method, seed=seed)
    for group in params.sweeps.groups:
        for seed in params.seeds:
            require_sweep(params, group, seed)


def _once(params, result, make):
    if params.size != "smoke":
        if not Path(result).exists():
            raise DataError(f"{result} is missing: run `dvc repro`, which makes it")
        return
    # a result of other code or other parameters is not this one
    stamp = result.with_name(f".{result.name}.made-by")
    fingerprint = _fingerprint(params)
    if result.exists() and stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == fingerprint:
        return
    make()
    write_text(stamp, fingerprint + "\n")


def _fingerprint(params):
    digest = hashlib.sha256(json.dumps(params.as_dict(), sort_keys=True).encode())
    for path in sorted(Path(__file__).resolve().parent.parent.rglob("*")):
        if path.suffix in (".py", ".yaml"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
