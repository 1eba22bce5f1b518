"""Results on demand, so that a notebook opened by itself runs: at smoke size that takes seconds."""

import hashlib
import json
from pathlib import Path

from ..data import roles
from ..errors import DataError
from ..running.files import write_text
from . import experiments, layout, samples, scoring, stages
from .layout import ZERO_SHOT


def require(params, stage, *, method=None, seed=None, group=None):
    """Make the results of `stage` and of those before it, if this code has not made them with these parameters yet.

    Only at smoke size: DVC keeps the results of a full study up to date, and a notebook must not start hours of
    training by surprise.

    Args:
        stage: "data", "encoder", "reader", "sampling", "distillation", "evaluation" or "ablations".
        method: for "distillation" and "evaluation", which takes `ZERO_SHOT`, too.
        group: for "ablations".
        seed: for these and "sampling".

    Raises:
        DataError: a result that is missing in a study of full size; those that it was made from may be.
    """
    if stage == "data":
        _make_unless_current(params, params.data_folder, lambda: roles.prepare(params))
    elif stage == "encoder":
        _make_unless_current(params, layout.encoder_folder(params), lambda: stages.make_encoder(params), ("data", {}))
    elif stage == "reader":
        _make_unless_current(params, layout.reader_folder(params), lambda: stages.train_reader(params), ("encoder", {}))
    elif stage == "sampling":
        _make_unless_current(
            params, layout.sampled_file(params, seed), lambda: samples.sample(params, seed), ("data", {})
        )
    elif stage == "distillation":
        result = layout.student_folder(params, method, seed)
        before = ("reader", {}), ("sampling", {"seed": seed})
        _make_unless_current(params, result, lambda: stages.train_student(params, method, seed), *before)
    elif stage == "evaluation":
        result = layout.scores_file(params, layout.system_name(method, seed))
        before = ("reader", {}) if method == ZERO_SHOT else ("distillation", {"method": method, "seed": seed})
        _make_unless_current(params, result, lambda: scoring.evaluate_system(params, method, seed), before)
    elif stage == "ablations":
        from . import sweeps

        result = layout.experiments_folder(params, group, seed)
        _make_unless_current(
            params, result, lambda: sweeps.run_group(params, group, seed), *_before_ablations(params, seed)
        )
    else:
        raise ValueError(f"unknown stage {stage!r}")


def _before_ablations(params, seed):
    methods = [ZERO_SHOT, *experiments.students_of_the_study(params).values()]
    return [("evaluation", {"method": method, "seed": seed}) for method in methods]


def require_ablation_inputs(params, seed):
    """`require` what the experiments start from: the reader, the study's students with this seed, and their scores."""
    for stage, which in _before_ablations(params, seed):
        require(params, stage, **which)


def require_model(params, method, seed):
    """`require` the model of a system: the English reader for `ZERO_SHOT`, else a student."""
    if method == ZERO_SHOT:
        require(params, "reader")
    else:
        require(params, "distillation", method=method, seed=seed)


def require_all(params):
    """`require` the scores of every system and the results of every group of experiments of the study."""
    require(params, "evaluation", method=ZERO_SHOT)
    for seed in params.seeds:
        for method in params.trained:
            require(params, "evaluation", method=method, seed=seed)
    for group in params.sweeps.groups:
        for seed in params.seeds:
            require(params, "ablations", group=group, seed=seed)


def _make_unless_current(params, result, make, *before):
    """Make a result, after what comes before it: pairs of a stage and its options."""
    if params.size != "smoke":
        if not Path(result).exists():
            raise DataError(f"{result} is missing: run `dvc repro`, which makes it")
        return
    for stage, which in before:
        require(params, stage, **which)
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
