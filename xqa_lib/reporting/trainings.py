"""What the log and the record of a training show."""

import json
import math

import pandas as pd

from ..errors import DataError
from ..study import layout


def loss_terms(log):
    """The columns of a training log that are terms of the loss: ce, and kl and coefficient where it was distilled."""
    return [name for name in ("ce", "kl", "coefficient") if name in log]


def loss_in_words(log):
    """How far the loss of a training fell, and what that is as a probability of the truth."""
    last = max(1, len(log) // 10)
    first, end = log["loss"].iloc[0], log["loss"].iloc[-last:].mean()
    where = "at the last step" if last == 1 else f"over the last {last} steps"
    return (
        f"The loss {_moved(first, end)} {where}: the probability of the truth went from {math.exp(-first):.1%} to "
        f"{math.exp(-end):.1%}, in the geometric mean."
    )


def terms_in_words(log, method):
    """What the terms of the loss did from the first generation to the last.

    Args:
        log: DataFrame of `stages.train_student`.
        method: `params.Method`.
    """
    means = log.groupby("generation")[["loss", *loss_terms(log)]].mean()
    first, last = means.iloc[0], means.iloc[-1]
    time = f"from generation {means.index[0]} to generation {means.index[-1]}" if len(means) > 1 else "throughout"

    def did(name):
        return _moved(first[name], last[name]) if len(means) > 1 else f"was {first[name]:.2f}"

    learnt = f"The cross-entropy {did('ce')} {time}."
    if method.coefficient is None:
        return f"{method.label} has no teacher, so no divergence and no coefficient. {learnt}"
    share = 100 * (means["loss"] - method.alpha_ce * means["ce"]) / means["loss"]
    weight = (
        f"The coefficient of {method.label} is 1 at every step, whatever the teacher says."
        if method.coefficient == "constant"
        else f"The coefficient {did('coefficient')} {time}: a teacher that finds the truth better has more to say."
    )
    counted = f"{share.iloc[0]:.1f}% of the loss in generation {means.index[0]}"
    if len(means) > 1:
        counted += f" and {share.iloc[-1]:.1f}% in generation {means.index[-1]}"
    return f"{weight} Weighted by it, the divergence was {counted}. {learnt}"


def _moved(first, last):
    first, last = f"{first:.2f}", f"{last:.2f}"
    if first == last:
        return f"stayed at {first}"
    return f"{'rose' if float(last) > float(first) else 'fell'} from {first} to {last}"


def took(params, name):
    """How long a run took, and on what, as its record tells.

    Args:
        name: as `layout.record_file`.
    """
    record = json.loads(layout.record_file(params, name).read_text(encoding="utf-8"))
    machine = record["machine"]
    minutes = record["minutes"]
    time = f"{minutes:.1f} minutes" if minutes >= 1 else f"{60 * minutes:.0f} seconds"
    cores = f"{machine['threads']} threads of {machine['cores']} {machine['processor']} cores"
    return f"It took {time} on {machine.get('accelerator') or cores}."


def training_ids(params, method):
    """seed -> the ids that a method's student was trained on, as the run records list them.

    Raises:
        DataError: two seeds have the same ids, although each draws its own.
    """
    found = {}
    for seed in params.seeds:
        record = json.loads(layout.record_file(params, layout.system_name(method, seed)).read_text(encoding="utf-8"))
        found[seed] = record["ids"]
    by_ids = {}
    for seed, ids in found.items():
        same = by_ids.setdefault(frozenset(ids), seed)
        if params.sampling.parallel_ids and same != seed:
            raise DataError(
                f"the students of {method} with seeds {same} and {seed} were trained on the same {len(ids)} ids, but "
                "each seed draws its own: are there more parallel ids than sampling.parallel_ids "
                f"({params.sampling.parallel_ids})? Then run `dvc repro`, which trains them again"
            )
    return found


def generation_table(params, method, seed):
    """Teacher and student of each generation, as the first 12 digits of the hash of their weights."""
    record = json.loads(layout.record_file(params, layout.system_name(method, seed)).read_text(encoding="utf-8"))
    table = pd.DataFrame(record["generations"]).set_index("generation")
    return table.apply(lambda column: column.str[:12])


def teachers_are_former_students(params, method, seed):
    """Is each teacher the student at the end of the generation before, and the first one the English reader?

    For a method without distillation: is there no teacher?
    """
    record = json.loads(layout.record_file(params, layout.system_name(method, seed)).read_text(encoding="utf-8"))
    students = [record["start_weights"]] + [entry["student_weights"] for entry in record["generations"]]
    teachers = [entry["teacher_weights"] for entry in record["generations"]]
    if record["method"]["coefficient"] is None:
        return not any(teachers)
    return teachers == students[:-1]
