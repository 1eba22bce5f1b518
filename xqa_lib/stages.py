"""The stages of a study, each a function from parameters and files to files: what a notebook's one long cell calls.

data -> encoder -> reader -> sampling -> students -> scores -> report. DVC runs them in this order, each in a notebook.
A notebook opened by itself finds the results of the stages before it, or `require` makes them first (at smoke size that
takes seconds).
"""

import hashlib
import json
import shutil
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd

from . import evaluation, preparation, processes, sampling
from .errors import DataError
from .files import atomic_folder, remove_leftovers, scratch_folder, write_json, write_text
from .params import Method
from .run_record import recorded

ZERO_SHOT = "zero-shot"  # the name of the system before any cross-lingual training


# ------------------------------------------------------------------------------------------------ where results lie


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


def checkpoints_folder(params, result):
    """Where the trainings of a result (a folder below `runs`) keep checkpoints: no output of a stage, DVC leaves it."""
    return params.runs_folder / "checkpoints" / "-".join(result.relative_to(params.runs_folder).parts)


def system_name(method, seed):
    """What a trained system is called in files: "<method>-seed-<seed>"; `ZERO_SHOT` for the untrained reader."""
    return method if method == ZERO_SHOT else f"{method}-seed-{seed}"


# ------------------------------------------------------------------------------------------------ the stages


def prepare_data(params):
    """Stage `data`: see `preparation.prepare`."""
    return preparation.prepare(params)


def train_encoder(params):
    """Stage `encoder`: tokenizer and masked-language model from scratch on the monolingual text.

    Where `params.encoder.pretrained` names a model nothing is trained and the folder holds a note of its name only.

    Returns:
        (log, facts): DataFrame step, loss, ...; dict with tokens per text, vocabulary, parameters, held-out accuracy.
    """
    from . import checkpoints, models, pretraining

    folder = encoder_folder(params)
    if params.encoder.pretrained:
        with atomic_folder(folder) as out:
            facts = {"pretrained": params.encoder.pretrained}
            write_json(out / "run.json", facts)
        return pd.DataFrame(columns=["step", "loss"]), facts
    use_threads(params)
    text = preparation.read_text(params)
    inputs = sorted((params.data_folder / "text").glob("*.txt"))
    if not text:
        raise DataError(f"{params.data_folder / 'text'}: no text to make an encoder from; run the data stage again")
    # the last 20 texts of each language are not trained on, but the first one always is
    train = [line for lines in text.values() for line in lines[: max(1, len(lines) - 20)]]
    held_out = [line for lines in text.values() for line in lines[max(1, len(lines) - 20) :]]
    with (
        checkpoints.kept(checkpoints_folder(params, folder), minutes=params.checkpoint_minutes) as kept,
        _result(folder) as out,
        recorded(out / "run.json", inputs=inputs, encoder=vars_of(params.encoder)) as record,
    ):
        tokenizer = models.train_tokenizer(
            train, vocabulary_size=params.encoder.vocabulary_size, max_length=params.encoder.max_positions
        )
        model = models.new_encoder(tokenizer, params.encoder)
        log = pretraining.pretrain(
            model,
            tokenizer,
            train,
            encoder=params.encoder,
            output_dir=out / "trainer",
            checkpoints=partial(kept.phase, "pretraining"),
        )
        shutil.rmtree(out / "trainer", ignore_errors=True)
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        record["facts"] = facts = {
            "texts": len(train),
            "vocabulary": len(tokenizer),
            "parameters": model.num_parameters(),
            "held_out_accuracy": pretraining.held_out_accuracy(
                model,
                tokenizer,
                held_out,
                mask_probability=params.encoder.mask_probability,
                seed=params.encoder.seed,
                max_length=params.encoder.max_positions,
            ),
            "weights": models.weights_hash(model),
        }
        log = pd.DataFrame(log)
        write_text(out / "training_log.csv", log.to_csv(index=False, lineterminator="\n"))
    return log, facts


def use_threads(params):
    """Sums are split among threads, so that their last bits depend on how many there are."""
    import torch

    if params.threads:
        torch.set_num_threads(params.threads)


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
)


def train_reader(params):
    """Stage `reader`: question answering in English, the study's zero-shot model (the paper's mBERT-qa-en).

    Returns:
        DataFrame of the training log, one row per optimiser step.
    """
    source = params.encoder.pretrained or encoder_folder(params)
    curriculum, training = preparation.read_reader_training(params)
    phases = [("curriculum", curriculum, params.curriculum)] if curriculum else []
    return _train(
        params,
        reader_folder(params),
        source=source,
        phases=[*phases, ("training", training, params.reader)],
        method=CROSS_ENTROPY,
        generations=1,
        seed=params.reader.seed,
        inputs=sorted((params.data_folder / "reader").glob("*.json")),
    )


def sample(params, seed):
    """Stage `sampling`: the pairs of every ntl, nested, in one file.

    The sample for a smaller ntl is part of the one for a larger ntl, so that a row's column `ntl` says from which ntl
    on the pair is trained on; ntl 0 has the same-language pairs of all languages.

    Returns:
        DataFrame id, question_lang, context_lang, ntl.
    """
    parallel = preparation.read_parallel(params)
    ids = aligned_ids(parallel)
    languages = list(params.sampling.languages)
    first = {}
    for ntl in range(1, max(2, len(languages))):
        drawn = sampling.sample_pairs(ids, languages=languages, ntl=ntl, seed=seed, pivot=params.sampling.pivot)
        for pair in drawn:
            first.setdefault(pair, ntl)
    table = pd.DataFrame([(*pair, ntl) for pair, ntl in first.items()], columns=[*evaluation.KEY, "ntl"])
    write_text(sampled_file(params, seed), table.to_csv(index=False, lineterminator="\n"))
    return table


def aligned_ids(parallel):
    """id -> set of the languages that have it, in the order of the first language's file."""
    ids = {}
    for language, examples in parallel.items():
        for example in examples:
            ids.setdefault(example.id, set()).add(language)
    return ids


def sampled_pairs(table, ntl):
    """The rows of a sampled table that belong to an ntl (see `sample`)."""
    if ntl == 0:
        return table[table["question_lang"] == table["context_lang"]]
    return table[table["ntl"] <= ntl]


def sample_sizes(table):
    """How many pairs a sample has for each ntl: DataFrame with the index ntl and the columns examples, pairs."""
    parts = {ntl: sampled_pairs(table, ntl) for ntl in range(int(table["ntl"].max()) + 1)}
    rows = {ntl: (len(part), part.groupby(["question_lang", "context_lang"]).ngroups) for ntl, part in parts.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["examples", "language pairs"]).rename_axis("ntl")


def sampled_examples(parallel, table, ntl):
    """The training examples of a sample: question in one language, context and answers in another.

    Args:
        parallel: language -> aligned examples.
        table: as `sample` writes it.
        ntl: number of target languages.

    Raises:
        DataError: an id of the table that the parallel data lack.
    """
    from dataclasses import replace

    by_id = {language: {example.id: example for example in examples} for language, examples in parallel.items()}
    found = []
    for example_id, question_lang, context_lang in sampled_pairs(table, ntl)[evaluation.KEY].itertuples(index=False):
        try:
            question = by_id[question_lang][example_id]
            context = by_id[context_lang][example_id]
        except KeyError:
            raise DataError(
                f"the sample names {example_id!r} in {question_lang} and {context_lang}, which the parallel data lack; "
                "run the sampling stage again"
            ) from None
        found.append(replace(context, question=question.question, question_lang=question_lang))
    return found


def train_student(params, method, seed):
    """Stage `students`: train the reader on a cross-lingual sample with one method.

    Args:
        method: name of one of `params.methods`.
        seed: one of `params.seeds`; of the sample, of dropout and of the order of the examples.

    Returns:
        DataFrame of the training log, one row per optimiser step, with generation, ce, kl and coefficient.
    """
    settings = params.method(method)
    if params.processes > 1 and processes.count() == 1:
        return _train_student_in_processes(params, method, seed)
    table = pd.read_csv(sampled_file(params, seed), dtype=str, keep_default_na=False).astype({"ntl": int})
    parallel = preparation.read_parallel(params)
    return _train(
        params,
        student_folder(params, method, seed),
        source=reader_folder(params),
        phases=[("training", sampled_examples(parallel, table, settings.ntl), params.distillation)],
        method=settings,
        generations=params.generations,
        seed=seed,
        inputs=[sampled_file(params, seed)],
    )


def _train_student_in_processes(params, method, seed):
    """Hand over to `torchrun`, and read the log of what it trained."""
    with scratch_folder() as folder:
        write_json(folder / "params.yaml", params.as_dict())  # JSON is YAML
        command = ["--params", str(folder / "params.yaml"), "--method", method, "--seed", str(seed)]
        processes.train_in(params.processes, command)
    return pd.read_csv(student_folder(params, method, seed) / "training_log.csv")


def loss_terms(log):
    """The columns of a training log that are terms of the loss: ce, and kl and coefficient where it was distilled."""
    return [name for name in ("ce", "kl", "coefficient") if name in log]


def generation_table(params, method, seed):
    """Teacher and student of each generation, as the first 12 digits of the hash of their weights."""
    record = json.loads((student_folder(params, method, seed) / "run.json").read_text(encoding="utf-8"))
    table = pd.DataFrame(record["generations"]).set_index("generation")
    return table.apply(lambda column: column.str[:12])


def teachers_are_former_students(params, method, seed):
    """Is each teacher the student at the end of the generation before, and the first one the English reader?

    For a method without distillation: is there no teacher?
    """
    record = json.loads((student_folder(params, method, seed) / "run.json").read_text(encoding="utf-8"))
    students = [record["start_weights"]] + [entry["student_weights"] for entry in record["generations"]]
    teachers = [entry["teacher_weights"] for entry in record["generations"]]
    if record["method"]["coefficient"] is None:
        return not any(teachers)
    return teachers == students[:-1]


def _train(params, folder, *, source, phases, method, generations, seed, inputs):
    """Train the model of `source` through phases (name, examples, `params.Optimisation`) and save it to `folder`."""
    from . import checkpoints, distillation, models

    use_threads(params)
    with (
        checkpoints.kept(checkpoints_folder(params, folder), minutes=params.checkpoint_minutes) as kept,
        _result(folder) as out,
        recorded(
            out / "run.json",
            inputs=inputs,
            seed=seed,
            features=vars_of(params.features),
            method=vars_of(method),
            phases={name: {"examples": len(examples), **vars_of(how)} for name, examples, how in phases},
        ) as record,
    ):
        model, tokenizer = models.load_reader(source, seed=seed)
        record["start_weights"] = models.weights_hash(model)
        logs = []
        for name, examples, optimisation in phases:
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
                logits_folder=params.runs_folder / "teacher-logits",
                features_folder=params.runs_folder / "features",
                # several processes share out the teacher's work, too, which a pass over all features would not
                teacher_in_step=processes.count() > 1,
                checkpoints=partial(kept.phase, name),
            )
            logs.append(pd.DataFrame(log).assign(phase=name))
        shutil.rmtree(out / "trainer", ignore_errors=True)
        record |= {"generations": teachers, "weights": models.weights_hash(model)}
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        log = pd.concat(logs, ignore_index=True)
        log["step"] = range(1, len(log) + 1)  # one row per optimiser step, through all phases
        write_text(out / "training_log.csv", log.to_csv(index=False, lineterminator="\n"))
    return log


@contextmanager
def _result(folder):
    """`atomic_folder`; of several processes the first one alone writes it, the others' goes nowhere."""
    if not processes.is_first():
        with scratch_folder() as out:
            yield out
        return
    remove_leftovers(folder)  # of a killed training; no other is running, for the checkpoints are locked
    with atomic_folder(folder) as out:
        yield out


def evaluate_system(params, method, seed):
    """Stage `scores`: read every evaluation set with one system.

    Args:
        method: name of a method, or `ZERO_SHOT` for the English reader itself (its `seed` is not looked at).

    Returns:
        DataFrame as `evaluation.score`, a row per question and language pair.
    """
    import torch

    from . import models

    use_threads(params)
    folder = reader_folder(params) if method == ZERO_SHOT else student_folder(params, method, seed)
    model, tokenizer = models.load_reader(folder)
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # as `Trainer` does for the trainings
    sets = {
        name: (preparation.metric_of(name), preparation.read_evaluation(params, name))
        for name in params.data.evaluation_sets
    }
    scores = evaluation.evaluate_reader(model, tokenizer, sets, features=params.features, evaluation=params.evaluation)
    evaluation.write_scores(scores_file(params, system_name(method, seed)), scores)
    return scores


def random_span_scores(params):
    """Scores of random spans on every evaluation set: the floor of the tables."""
    tables = []
    for name in params.data.evaluation_sets:
        examples = preparation.read_evaluation(params, name)
        guesses = evaluation.random_spans(examples, seed=params.data.seed)
        tables.append(evaluation.score(examples, guesses, metric=preparation.metric_of(name), name=name))
    return pd.concat(tables, ignore_index=True)


# ------------------------------------------------------------------------------------------------ on demand


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
        _once(params, params.data_folder, lambda: prepare_data(params))
        return
    if stage == "encoder":
        require(params, "data")
        _once(params, encoder_folder(params), lambda: train_encoder(params))
    elif stage == "reader":
        require(params, "encoder")
        _once(params, reader_folder(params), lambda: train_reader(params))
    elif stage == "sampling":
        require(params, "data")
        _once(params, sampled_file(params, seed), lambda: sample(params, seed))
    elif stage == "students":
        require(params, "reader")
        require(params, "sampling", seed=seed)
        _once(params, student_folder(params, method, seed), lambda: train_student(params, method, seed))
    elif stage == "scores":
        require_model(params, method, seed)
        path = scores_file(params, system_name(method, seed))
        _once(params, path, lambda: evaluate_system(params, method, seed))
    else:
        raise ValueError(f"unknown stage {stage!r}")


def require_sweep(params, group, seed):
    """`require` the results of a group of experiments with one seed."""
    from . import sweeps

    require_sweep_inputs(params, seed)
    _once(params, sweeps.folder(params, group, seed), lambda: sweeps.run_group(params, group, seed))


def require_sweep_inputs(params, seed):
    """`require` what the experiments start from: the reader, and the students of the study with this seed."""
    require(params, "reader")
    for method in params.trained:
        require(params, "students", method=method, seed=seed)


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
    for path in sorted(Path(__file__).resolve().parent.rglob("*")):
        if path.suffix in (".py", ".yaml"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
