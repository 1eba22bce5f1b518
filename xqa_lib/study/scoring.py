"""The stages `zero-shot` and `evaluation`: what a system scores, and the floor and ceiling of every table of scores."""

from dataclasses import asdict

import pandas as pd

from ..data import prepared
from ..errors import DataError
from ..reading import ceiling, evaluation
from ..running.files import write_json
from ..running.run_record import recorded
from . import arithmetic, layout


def evaluate_system(params, method, seed):
    """Stages `zero-shot` and `evaluation`: read every evaluation set with one system.

    With the scores of the English reader come those of random spans and of perfect logits, so that all later stages,
    and the report in a fresh checkout, do without data and models.

    Args:
        method: name of a method, or `ZERO_SHOT` for the English reader itself (its `seed` is not looked at).

    Returns:
        DataFrame as `evaluation.score`, a row per question and language pair.

    Raises:
        DataError: the English reader does not pass the gate (`pass_gate`).
    """
    from ..training import compute, models

    arithmetic.use_threads(params)
    system = layout.system_name(method, seed)
    folder = layout.model_folder(params, method, seed)
    model, tokenizer = models.load_reader(folder)
    _on_device(model)
    names = params.data.all_sets if method == layout.ZERO_SHOT else params.data.evaluation_sets
    sets = {name: (prepared.metric_of(name), prepared.read_evaluation(params, name)) for name in names}
    record_file = layout.record_file(params, f"scores-{system}")
    with (
        recorded(record_file, inputs=[folder / "model.safetensors"]) as record,
        compute.tokens_read(model) as tokens,
    ):
        bf16 = arithmetic.bf16(params, model)
        scores = evaluation.evaluate_reader(
            model, tokenizer, sets, features=params.features, evaluation=params.evaluation, bf16=bf16
        )
        evaluation.write_scores(layout.scores_file(params, system), scores)
        record["tflop"] = round(compute.tflop(model, tokens[0], compute.READ), 4)
    if method == layout.ZERO_SHOT:
        evaluation.write_scores(layout.scores_file(params, layout.RANDOM_SPAN), random_span_scores(params, sets))
        evaluation.write_scores(layout.scores_file(params, layout.CEILING), ceiling_scores(params, tokenizer, sets))
        pass_gate(params, scores)
    return scores


def _on_device(model):
    """The model on the GPU if there is one, as `Trainer` has it for the trainings."""
    import torch

    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def pass_gate(params, scores):
    """Write the file without which no student is trained, if the English reader has reached `params.gate`.

    The file names what was reached and no score, so that more questions do not retrain the students.

    Args:
        scores: as `evaluate_system` returns them for the English reader.

    Raises:
        DataError: it has not.
    """
    gate = params.gate
    name = gate.set or params.data.evaluation_sets[0]
    same = evaluation.of_task(scores[scores["set"] == name], "xlt")
    by_language = 100 * same.groupby("context_lang")["f1"].mean()
    found = {"english": by_language.get("en", 0.0), "same_language": by_language.mean()}
    wanted = {name: getattr(gate, name) for name in found}
    low = [f"{name} {value:.1f} of {wanted[name]:.1f}" for name, value in found.items() if value < wanted[name]]
    if low:
        raise DataError(
            f"the English reader has F1 {', '.join(low)} on {name}, and no student would show anything: train it "
            "longer or otherwise (reader), or lower the gate; its scores are written"
        )
    write_json(layout.gate_file(params), asdict(gate) | {"set": name})


def random_span_scores(params, sets):
    """Scores of random spans on evaluation sets, name -> (metric, examples): the floor of the tables."""
    return _scores(sets, lambda examples: evaluation.random_spans(examples, seed=params.data.seed))


def ceiling_scores(params, tokenizer, sets):
    """Scores of perfect logits (see `reading.ceiling`) on evaluation sets, name -> (metric, examples)."""
    features, longest = params.features, params.evaluation.max_answer_tokens
    return _scores(sets, lambda e: ceiling.perfect_answers(tokenizer, e, features=features, max_answer_tokens=longest))


def _scores(sets, answers):
    tables = [
        evaluation.score(examples, answers(examples), metric=metric, name=name)
        for name, (metric, examples) in sets.items()
    ]
    return pd.concat(tables, ignore_index=True)
