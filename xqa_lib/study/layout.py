"""Where the results of a study lie, and what its systems are called."""

ZERO_SHOT = "zero-shot"  # the name of the system before any cross-lingual training


def encoder_folder(params):
    return params.runs_folder / "encoder"


def reader_folder(params):
    return params.runs_folder / "reader"


def sampled_file(params, seed):
    return params.runs_folder / "sampled" / f"seed-{seed}.csv"


def student_folder(params, method, seed):
    return params.runs_folder / "students" / method / f"seed-{seed}"


def scores_file(params, system):
    return params.runs_folder / "scores" / f"{system}.csv"


def scores_record(params, system):
    return params.runs_folder / "scores" / f"{system}.json"


def checkpoints_folder(params, result):
    """Where the trainings of a result (a folder below `runs`) keep checkpoints: no output of a stage, DVC leaves it."""
    return params.runs_folder / "checkpoints" / "-".join(result.relative_to(params.runs_folder).parts)


def system_name(method, seed):
    """What a trained system is called in files: "<method>-seed-<seed>"; `ZERO_SHOT` for the untrained reader."""
    return method if method == ZERO_SHOT else f"{method}-seed-{seed}"
