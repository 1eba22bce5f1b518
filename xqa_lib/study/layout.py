"""Where the results of a study lie, and what its systems are called.

Below `runs` lies what is large and can be made again: models, samples, caches. DVC keeps it, git does not. Below
`results` lies what is small, in git: scores, logs, run records, experiments. The report reads nothing else.
"""

ZERO_SHOT = "zero-shot"  # the name of the system before any cross-lingual training
RANDOM_SPAN = "random-span"  # of a reader that understands nothing
CEILING = "ceiling"  # of one that knows every answer, see `reading.ceiling`


def system_name(method, seed):
    """What a trained system is called in files: "<method>-seed-<seed>"; `ZERO_SHOT` for the untrained reader."""
    return method if method == ZERO_SHOT else f"{method}-seed-{seed}"


def encoder_folder(params):
    return params.runs_folder / "encoder"


def reader_folder(params):
    return params.runs_folder / "reader"


def sampled_file(params, seed):
    return params.runs_folder / "sampled" / f"seed-{seed}.csv"


def student_folder(params, method, seed):
    return params.runs_folder / "students" / method / f"seed-{seed}"


def model_folder(params, method, seed):
    """Of a method's student, or of the English reader for `ZERO_SHOT`."""
    return reader_folder(params) if method == ZERO_SHOT else student_folder(params, method, seed)


def checkpoints_folder(params, name):
    """Where the training of a system, or of experiments, keeps checkpoints: no stage's output, so DVC leaves it."""
    return params.runs_folder / "checkpoints" / name


def log_file(params, name):
    """A row per optimiser step of the training of a system; "reader" for that of the English reader."""
    return params.results_folder / "logs" / f"{name}.csv"


def record_file(params, name):
    """The run record of what made a system, "reader" or "encoder", or of the reading of a system ("scores-<system>").

    No stage but the report depends on it: it tells minutes and dates, which differ where results do not.
    """
    return params.results_folder / "records" / f"{name}.json"


def scores_file(params, system):
    return params.results_folder / "scores" / f"{system}.csv"


def gate_file(params):
    """There once the English reader has passed the gate, see `scoring.pass_gate`."""
    return params.results_folder / "gate.json"


def experiments_folder(params, group, seed):
    """The results of a group of experiments with one seed."""
    return params.results_folder / "sweeps" / group / f"seed-{seed}"
