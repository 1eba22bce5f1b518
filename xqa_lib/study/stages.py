"""The stages that make models: `encoder`, `reader` and `distillation`, each a function from files to files.

The stages of a study: data -> encoder -> reader -> sampling -> distillation -> zero-shot, evaluation -> ablations ->
report. DVC runs each in a notebook, whose one long cell calls a function: `roles.prepare` (data), those here,
`samples.sample`, `scoring.evaluate_system` (zero-shot, evaluation), `sweeps.run_group` (ablations), those of `report`.
They stand in several modules because DVC compares files: an edit reruns the stages that the file takes part in.
"""

import shutil
from contextlib import contextmanager
from functools import partial

import pandas as pd
import yaml

from ..data import prepared
from ..running.files import atomic_folder, remove_leftovers, scratch_folder, write_json, write_text
from ..running.run_record import recorded
from ..training import processes
from . import arithmetic, layout, samples
from .params import Method


def make_encoder(params):
    """Stage `encoder`: the encoder that the reader starts from, as a model folder.

    A model folder or hub name in `params.encoder.pretrained` is taken as it is: the folder then only names it.

    Returns:
        Dict of facts: pretrained, and of a folder that was written pieces, layers and the hash of the weights.
    """
    from ..training import models, packaged_encoder, tiny_encoder

    arithmetic.use_threads(params)
    encoder = params.encoder
    facts = {"pretrained": encoder.pretrained}
    with (
        atomic_folder(layout.encoder_folder(params)) as out,
        recorded(layout.record_file(params, "encoder"), encoder=vars_of(encoder), facts=facts),
    ):
        if encoder.pretrained not in ("packaged", "tiny"):
            write_json(out / "encoder.json", facts)
            return facts
        if encoder.pretrained == "packaged":
            vocabulary = prepared.study_texts(params) if encoder.vocabulary == "study" else "all"
            packaged_encoder.write_encoder(out, layers=encoder.layers, vocabulary=vocabulary)
        else:
            positions = params.features.max_length
            tiny_encoder.write_encoder(out, prepared.study_texts(params), positions=positions, seed=encoder.seed)
        model, tokenizer = models.load_reader(out, seed=0)
        facts |= {
            "pieces": len(tokenizer),
            "layers": model.config.num_hidden_layers,
            "weights": models.weights_hash(model.base_model),
        }
    return facts


def encoder_source(params):
    """The folder, or the name, of the encoder that the reader starts from."""
    made = params.encoder.pretrained in ("packaged", "tiny")
    return layout.encoder_folder(params) if made else params.encoder.pretrained


def vars_of(section):
    """The fields of a section of the parameters as a plain dict."""
    return {name: getattr(section, name) for name in section.__dataclass_fields__}


CROSS_ENTROPY = Method(
    label="CE",
    ntl=0,
    alpha_ce=1.0,
    coefficient=None,
    temperature=1.0,
    direction="forward",
    k=1,
    window=1,
    weighting="batch",
    view="same",
    generations=None,
)


def train_reader(params):
    """Stage `reader`: question answering in English, the study's zero-shot model (the paper's mBERT-qa-en).

    Returns:
        DataFrame of the training log, one row per optimiser step.
    """
    return _train(
        params,
        "reader",
        layout.reader_folder(params),
        source=encoder_source(params),
        examples=prepared.read_reader_training(params),
        optimisation=params.reader,
        method=CROSS_ENTROPY,
        generations=1,
        seed=params.reader.seed,
        inputs=sorted((params.data_folder / "reader").glob("*.json")),
    )


def train_student(params, method, seed):
    """Stage `distillation`: train the reader on a cross-lingual sample with one method.

    Args:
        method: name of one of `params.methods`.
        seed: one of `params.seeds`; of the sample, of dropout and of the order of the examples.

    Returns:
        DataFrame of the training log, one row per optimiser step, with generation, ce, kl and coefficient.
    """
    settings = params.method(method)
    if params.processes > 1 and processes.count() == 1:
        return _train_student_in_processes(params, method, seed)
    table = samples.read_sample(params, seed)
    parallel = prepared.read_parallel(params)
    examples = samples.sampled_examples(parallel, table, settings.ntl)
    options = {}
    if settings.view == "parallel":
        options["teacher_questions"] = samples.questions_in_the_passage_s_language(examples, parallel)
    return _train(
        params,
        layout.system_name(method, seed),
        layout.student_folder(params, method, seed),
        source=layout.reader_folder(params),
        examples=examples,
        ids=list(dict.fromkeys(example.id for example in examples)),
        optimisation=params.distillation_of(method),
        method=settings,
        generations=settings.generations or params.generations,
        seed=seed,
        inputs=[layout.sampled_file(params, seed)],
        options=options,
    )


def _train_student_in_processes(params, method, seed):
    """Hand over to `torchrun`, and read the log of what it trained."""
    with scratch_folder() as folder:
        # JSON would do but for its small numbers: YAML reads 5e-05 as a text, and writes it as 5.0e-05
        write_text(folder / "params.yaml", yaml.safe_dump(params.as_dict(), sort_keys=False, allow_unicode=True))
        command = ["--params", str(folder / "params.yaml"), "--method", method, "--seed", str(seed)]
        processes.train_in(params.processes, command)
    return pd.read_csv(layout.log_file(params, layout.system_name(method, seed)))


def _train(
    params,
    name,
    folder,
    *,
    source,
    examples,
    optimisation,
    method,
    generations,
    seed,
    inputs,
    options=None,
    **facts,
):
    """Train the model of `source` on examples and save it to `folder`; under `name` its log and, with facts, record."""
    from ..training import checkpoints, compute, distillation, models

    arithmetic.use_threads(params)
    facts |= {
        "seed": seed,
        "features": vars_of(params.features),
        "method": vars_of(method),
        "examples": len(examples),
        "optimisation": vars_of(optimisation),
        "frozen": params.encoder.frozen,
    }
    with (
        checkpoints.kept(layout.checkpoints_folder(params, name), minutes=params.checkpoint_minutes) as kept,
        _places(params, name, folder) as (out, log_file, record_file),
        recorded(record_file, inputs=inputs, **facts) as record,
    ):
        model, tokenizer = models.load_reader(source, seed=seed)
        in_bf16 = arithmetic.bf16(params, None if name == "reader" else model)
        record["start_weights"] = models.weights_hash(model)
        log, teachers = distillation.train_reader(
            model,
            tokenizer,
            examples,
            features=params.features,
            optimisation=optimisation,
            method=method,
            generations=generations,
            seed=seed,
            output_dir=out / "trainer",
            bf16=in_bf16,
            frozen=params.encoder.frozen,
            features_folder=params.runs_folder / "features",
            # several processes share out the teacher's work, too, which a pass over all features would not
            teacher_in_step=processes.count() > 1,
            checkpoints=partial(kept.phase, "training"),
            **(options or {}),
        )
        log = pd.DataFrame(log)
        shutil.rmtree(out / "trainer", ignore_errors=True)
        kind = compute.TRAIN if method.coefficient is None else compute.DISTIL
        record |= {
            "precision": arithmetic.note(model, bf16=in_bf16),
            "generations": teachers,
            "weights": models.weights_hash(model),
            "tflop": round(compute.tflop(model, int(log["tokens"].iloc[-1]), kind), 4),
        }
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        write_text(log_file, log.to_csv(index=False, lineterminator="\n"))
    return log


@contextmanager
def _places(params, name, folder):
    """Where a training writes model, log and record; of several processes the first alone, the others' go nowhere."""
    if not processes.is_first():
        with scratch_folder() as out:
            yield out, out / "log.csv", out / "record.json"
        return
    remove_leftovers(folder)  # of a killed training; no other is running, for the checkpoints are locked
    with atomic_folder(folder) as out:
        yield out, layout.log_file(params, name), layout.record_file(params, name)
