"""The stages of a study, each a function from parameters and files to files: what a notebook's one long cell calls.

data -> encoder -> reader -> sampling -> students -> scores -> report. DVC runs them in this order, each in a notebook.
A notebook opened by itself finds the results of the stages before it, or `require` makes them first (at smoke size that
takes seconds).
"""

import json
import shutil
from contextlib import contextmanager
from functools import partial

import pandas as pd
import yaml

from .. import sampling
from ..data import roles
from ..errors import DataError
from ..reading import evaluation
from ..running.files import atomic_folder, remove_leftovers, scratch_folder, write_json, write_text
from ..running.run_record import recorded
from ..training import processes
from . import layout, samples
from .params import Method


def prepare_data(params):
    """Stage `data`: see `roles.prepare`."""
    return roles.prepare(params)


def make_encoder(params):
    """Stage `encoder`: the encoder that the reader starts from, as a model folder.

    A model folder or hub name in `params.encoder.pretrained` is taken as it is: the folder then only names it.

    Returns:
        Dict of facts: pretrained, and of a folder that was written pieces, layers and the hash of the weights.
    """
    from ..training import models, packaged_encoder, tiny_encoder

    use_threads(params)
    encoder = params.encoder
    facts = {"pretrained": encoder.pretrained}
    with atomic_folder(layout.encoder_folder(params)) as out:
        if encoder.pretrained not in ("packaged", "tiny"):
            write_json(out / "run.json", facts)
            return facts
        with recorded(out / "run.json", encoder=vars_of(encoder)) as record:
            if encoder.pretrained == "packaged":
                vocabulary = roles.study_texts(params) if encoder.vocabulary == "study" else "all"
                packaged_encoder.write_encoder(out, layers=encoder.layers, vocabulary=vocabulary)
            else:
                positions = params.features.max_length
                tiny_encoder.write_encoder(out, roles.study_texts(params), positions=positions, seed=encoder.seed)
            model, tokenizer = models.load_reader(out, seed=0)
            facts |= {
                "pieces": len(tokenizer),
                "layers": model.config.num_hidden_layers,
                "weights": models.weights_hash(model.base_model),
            }
            record["facts"] = facts
    return facts


def encoder_source(params):
    """The folder, or the name, of the encoder that the reader starts from."""
    made = params.encoder.pretrained in ("packaged", "tiny")
    return layout.encoder_folder(params) if made else params.encoder.pretrained


def bf16(params, *, first=False):
    """Does the study compute in bfloat16? Its first training, the reader's, makes the choice for all that follow.

    Raises:
        DataError: the reader was trained in another precision than the parameters name, or this machine has natively.
    """
    from ..training.numerics import native_bfloat16

    wanted = params.precision
    record = layout.reader_folder(params) / "run.json"
    begun = json.loads(record.read_text(encoding="utf-8"))["precision"] if record.is_file() and not first else None
    if begun is not None and wanted not in ("auto", begun):
        raise DataError(
            f"the reader was trained in {begun}, precision is {wanted}: a study is not continued in another precision; "
            f"set precision to {begun}, or train the reader again"
        )
    chosen = begun or wanted
    if chosen == "auto":
        chosen = "bfloat16" if native_bfloat16() else "float32"
    if chosen == "bfloat16" and wanted == "auto" and not native_bfloat16():
        raise DataError(
            "the reader was trained in bfloat16, which this machine lacks in hardware: go on where it was trained, set "
            "precision to bfloat16 (slow here), or train the reader again"
        )
    return chosen == "bfloat16"


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
    return _train(
        params,
        layout.reader_folder(params),
        source=encoder_source(params),
        examples=roles.read_reader_training(params),
        optimisation=params.reader,
        method=CROSS_ENTROPY,
        generations=1,
        seed=params.reader.seed,
        inputs=sorted((params.data_folder / "reader").glob("*.json")),
    )


def english_score(params):
    """F1 of the reader, in points, on the English questions about English passages of the development set.

    Raises:
        DataError: the development set has none.
    """
    from ..training import models

    use_threads(params)
    name = params.data.evaluation_sets[0]
    examples = [e for e in roles.read_evaluation(params, name) if e.question_lang == e.context_lang == "en"]
    if not examples:
        raise DataError(
            f"{name} has no English questions, by which to see whether the reader has learnt to read: put a set that "
            "has them first in data.evaluation_sets"
        )
    model, tokenizer = models.load_reader(layout.reader_folder(params))
    scores = evaluation.evaluate_reader(
        _on_device(model),
        tokenizer,
        {name: (roles.metric_of(name), examples)},
        features=params.features,
        evaluation=params.evaluation,
        bf16=bf16(params),
    )
    return 100 * scores["f1"].mean()


def sample(params, seed):
    """Stage `sampling`: the ids that the seed draws, and their pairs of every ntl, nested, in one file.

    The sample for a smaller ntl is part of the one for a larger ntl, so that a row's column `ntl` says from which ntl
    on the pair is trained on; ntl 0 has the same-language pairs of all languages.

    Returns:
        DataFrame id, question_lang, context_lang, ntl.
    """
    parallel = roles.read_parallel(params)
    ids = samples.chosen_ids(parallel, params.sampling.parallel_ids, seed)
    languages = list(params.sampling.languages)
    first = {}
    targets = len(languages) - (params.sampling.pivot is not None)
    for ntl in range(1, max(1, targets) + 1):
        drawn = sampling.sample_pairs(ids, languages=languages, ntl=ntl, seed=seed, pivot=params.sampling.pivot)
        for pair in drawn:
            first.setdefault(pair, ntl)
    table = pd.DataFrame([(*pair, ntl) for pair, ntl in first.items()], columns=[*evaluation.KEY, "ntl"])
    write_text(layout.sampled_file(params, seed), table.to_csv(index=False, lineterminator="\n"))
    return table


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
    table = pd.read_csv(layout.sampled_file(params, seed), dtype=str, keep_default_na=False).astype({"ntl": int})
    examples = samples.sampled_examples(roles.read_parallel(params), table, settings.ntl)
    return _train(
        params,
        layout.student_folder(params, method, seed),
        source=layout.reader_folder(params),
        examples=examples,
        ids=list(dict.fromkeys(example.id for example in examples)),
        optimisation=params.distillation,
        method=settings,
        generations=params.generations,
        seed=seed,
        inputs=[layout.sampled_file(params, seed)],
    )


def _train_student_in_processes(params, method, seed):
    """Hand over to `torchrun`, and read the log of what it trained."""
    with scratch_folder() as folder:
        # JSON would do but for its small numbers: YAML reads 5e-05 as a text, and writes it as 5.0e-05
        write_text(folder / "params.yaml", yaml.safe_dump(params.as_dict(), sort_keys=False, allow_unicode=True))
        command = ["--params", str(folder / "params.yaml"), "--method", method, "--seed", str(seed)]
        processes.train_in(params.processes, command)
    return pd.read_csv(layout.student_folder(params, method, seed) / "training_log.csv")


def _train(params, folder, *, source, examples, optimisation, method, generations, seed, inputs, **facts):
    """Train the model of `source` on examples and save it to `folder`; `facts` go into its run record."""
    from ..training import checkpoints, compute, distillation, models

    use_threads(params)
    in_bf16 = bf16(params, first=folder == layout.reader_folder(params))
    with (
        checkpoints.kept(layout.checkpoints_folder(params, folder), minutes=params.checkpoint_minutes) as kept,
        _result(folder) as out,
        recorded(
            out / "run.json",
            inputs=inputs,
            seed=seed,
            features=vars_of(params.features),
            method=vars_of(method),
            examples=len(examples),
            optimisation=vars_of(optimisation),
            frozen=params.encoder.frozen,
            precision="bfloat16" if in_bf16 else "float32",
            **facts,
        ) as record,
    ):
        model, tokenizer = models.load_reader(source, seed=seed)
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
        )
        log = pd.DataFrame(log)
        shutil.rmtree(out / "trainer", ignore_errors=True)
        kind = compute.TRAIN if method.coefficient is None else compute.DISTIL
        record |= {
            "generations": teachers,
            "weights": models.weights_hash(model),
            "tflop": round(compute.tflop(model, int(log["tokens"].iloc[-1]), kind), 4),
        }
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
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
    from ..training import compute, models

    use_threads(params)
    folder = layout.reader_folder(params) if method == layout.ZERO_SHOT else layout.student_folder(params, method, seed)
    model, tokenizer = models.load_reader(folder)
    _on_device(model)
    sets = {name: (roles.metric_of(name), roles.read_evaluation(params, name)) for name in params.data.evaluation_sets}
    path = layout.scores_file(params, layout.system_name(method, seed))
    record_path = layout.scores_record(params, layout.system_name(method, seed))
    with (
        recorded(record_path, inputs=[folder / "run.json"]) as record,
        compute.tokens_read(model) as tokens,
    ):
        scores = evaluation.evaluate_reader(
            model, tokenizer, sets, features=params.features, evaluation=params.evaluation, bf16=bf16(params)
        )
        evaluation.write_scores(path, scores)
        record["tflop"] = round(compute.tflop(model, tokens[0], compute.READ), 4)
    return scores


def _on_device(model):
    """The model on the GPU if there is one, as `Trainer` has it for the trainings."""
    import torch

    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def random_span_scores(params):
    """Scores of random spans on every evaluation set: the floor of the tables."""
    tables = []
    for name in params.data.evaluation_sets:
        examples = roles.read_evaluation(params, name)
        guesses = evaluation.random_spans(examples, seed=params.data.seed)
        tables.append(evaluation.score(examples, guesses, metric=roles.metric_of(name), name=name))
    return pd.concat(tables, ignore_index=True)


def ceiling_scores(params):
    """The ceiling of every evaluation set, question by question, as `evaluation.score` gives it (see `ceiling`)."""
    from transformers import AutoTokenizer

    from ..reading import ceiling

    tokenizer = AutoTokenizer.from_pretrained(layout.reader_folder(params), trust_remote_code=False)
    tables = []
    for name in params.data.evaluation_sets:
        examples = roles.read_evaluation(params, name)
        answers = ceiling.perfect_answers(
            tokenizer, examples, features=params.features, max_answer_tokens=params.evaluation.max_answer_tokens
        )
        tables.append(evaluation.score(examples, answers, metric=roles.metric_of(name), name=name))
    return pd.concat(tables, ignore_index=True)
