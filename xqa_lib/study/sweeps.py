"""Run the settings of the experiments: one process per group and seed, that reads model and data once.

Every setting is trained from the same English reader and scored on the same questions of the development set, so that
settings can be compared question by question. The settings that may be chosen by it are also scored on the other sets,
into a file of its own: whoever chooses reads `scores.csv` alone. What comes out are tables keyed by the setting:

    results/<study>/sweeps/<group>/seed-<seed>/
        scores.csv              setting, KEY, em, f1 (0 to 1), rank: one row per question and language pair
        other-sets.csv          the same without rank, with the set's name, of `experiments.selectable` and the reader
        logs.csv                setting, and a row per optimiser step as in the log of a student
        start-distribution.csv  the reader's start probabilities on one training example
        run.json                the settings, how many examples, steps and wrong answers each had, its weights
"""

import copy
import json
import math
import shutil
import time
from dataclasses import replace
from functools import partial

import pandas as pd
import torch

from .. import sampling
from ..data import label_noise, prepared
from ..errors import DataError
from ..reading import evaluation
from ..running.files import atomic_folder, write_json, write_text
from ..running.run_record import recorded
from ..sampling import KEY
from ..training import checkpoints, compute, dataset, distillation, models, parallel_view
from . import arithmetic, experiments, layout, samples
from .run_results import COLUMNS, OTHER_COLUMNS, read_group  # noqa: F401  (read_group: for notebooks)


def sample_questions(params, name):
    """The examples of a set that settings are scored on: `sweeps.evaluation_questions` of each language pair.

    They are the same for every setting and seed, and among those that the study's systems are scored on.
    """
    pairs = {}
    for example in prepared.read_evaluation(params, name):
        pairs.setdefault((example.question_lang, example.context_lang), []).append(example)
    most = params.sweeps.evaluation_questions
    return [example for examples in pairs.values() for example in prepared.some(examples, most, params.data.seed)]


def training_examples(setting, parallel, params, seed):
    """The examples of a setting of source "parallel", and how many answers were made wrong.

    Args:
        parallel: language -> examples of all parallel ids.
        seed: of the ids, the language pairs and the wrong answers.
    """
    ids = samples.chosen_ids(parallel, setting.parallel_ids, seed)
    used = {language: [e for e in examples if e.id in ids] for language, examples in parallel.items()}
    noisy, corrupted = label_noise.corrupt(used, rate=setting.label_noise, seed=seed)
    ntl = setting.method.ntl
    pairs = sampling.sample_pairs(
        ids,
        languages=[language for language in params.sampling.languages if language != setting.left_out],
        # as many languages with a free draw as with the pivot
        ntl=ntl + 1 if ntl and not setting.pivot else ntl,
        seed=seed,
        pivot=params.sampling.pivot if setting.pivot else None,
    )
    questions = {(language, e.id): e.question for language, examples in used.items() for e in examples}
    contexts = {(language, e.id): e for language, examples in noisy.items() for e in examples}
    examples = [
        replace(contexts[context, i], question=questions[question, i], question_lang=question)
        for i, question, context in pairs
    ]
    return examples, corrupted


def translated_examples(params):
    """SQuAD's training questions by machine translation, in every language of the study that has them."""
    from ..data import corpora

    found = []
    for language in corpora.languages_of("mlqa-translate-train"):
        if language in params.sampling.languages:
            examples = corpora.load("mlqa-translate-train", context_lang=language)
            most = params.sweeps.translated_examples
            found += examples[:most] if most else examples
    return found


def optimiser_steps(windows, optimisation, epochs):
    """Optimiser steps of `epochs` passes over so many windows."""
    batches = math.ceil(windows / optimisation.batch_size)
    return epochs * math.ceil(batches / optimisation.accumulation)


def switch_dropout_off(model):
    """No dropout anywhere in a model, attention weights included."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


class SettingRunner:
    """Trains the settings of one study and seed, all from the same reader and the same parallel data.

    Args:
        params: `params.Params`.
        reader, tokenizer: the English reader; copied, never changed.
        parallel: language -> examples.
        seed: of everything that is drawn.
        scratch: folder for the trainer's files.
        kept: `checkpoints.Checkpoints` to go on from and to write to; None keeps none.
    """

    def __init__(self, params, reader, tokenizer, parallel, seed, scratch, kept=None):
        self.params, self.reader, self.tokenizer, self.parallel = params, reader, tokenizer, parallel
        self.seed, self.scratch, self.kept = seed, scratch, kept

    def train(self, setting):
        """(model, log, facts) of a setting: the student, a DataFrame per optimiser step, and what it was made from."""
        corrupted, optimisation = 0, self.params.distillation
        if setting.source == "parallel":
            examples, corrupted = training_examples(setting, self.parallel, self.params, self.seed)
        else:
            examples, optimisation = translated_examples(self.params), self.params.reader
        rate = setting.learning_rate or optimisation.learning_rate
        optimisation = replace(optimisation, epochs=setting.epochs, learning_rate=rate)
        if not setting.dropout:
            optimisation = replace(optimisation, dropout=0.0, token_masking=0.0)
        facts = {"examples": len(examples), "corrupted": corrupted, "ids": len({e.id for e in examples})}
        options = {"steps": self._steps(setting, optimisation)}
        options["features_folder"] = self.params.runs_folder / "features"
        # without noise teacher and student start equal, and the rounding of stored logits would tell them apart
        options["teacher_in_step"] = not setting.dropout
        if setting.view == "parallel":
            questions = samples.questions_in_the_passage_s_language(examples, self.parallel)
            options["teacher_questions"] = questions
            columns, agreeing = parallel_view.teacher_columns(self.tokenizer, examples, questions, self.params.features)
            facts |= {"windows": len(columns["teacher_shift"]), "windows_through_another_question": agreeing}
        if setting.born_again:
            model, log = self._born_again(setting, examples, optimisation, options)
        else:
            model = self._fresh(setting)
            log = self._run(model, setting, examples, optimisation, setting.generations, **options)
        log["step"] = range(1, len(log) + 1)
        kind = compute.TRAIN if setting.method.coefficient is None else compute.DISTIL
        facts |= {
            "steps": len(log),
            "weights": models.weights_hash(model),
            "tflop": compute.tflop(model, int(log["tokens"].iloc[-1]), kind),
        }
        return model, log, facts

    def _fresh(self, setting):
        model = copy.deepcopy(self.reader)
        if not setting.dropout:
            switch_dropout_off(model)
        return model

    def _steps(self, setting, optimisation):
        if setting.steps_of_ntl is None:
            return None
        like = replace(setting, method=replace(setting.method, ntl=setting.steps_of_ntl), steps_of_ntl=None)
        examples, _ = training_examples(like, self.parallel, self.params, self.seed)
        windows = len(
            dataset.training_features(
                self.tokenizer, examples, self.params.features, folder=self.params.runs_folder / "features"
            )
        )
        return optimiser_steps(windows, optimisation, setting.epochs)

    def _run(self, model, setting, examples, optimisation, generations, *, name="training", **options):
        if self.kept:
            options["checkpoints"] = partial(self.kept.phase, f"{setting.key}/{name}")
        log, _ = distillation.train_reader(
            model,
            self.tokenizer,
            examples,
            features=self.params.features,
            optimisation=optimisation,
            method=setting.method,
            generations=generations,
            seed=self.seed,
            output_dir=self.scratch,
            bf16=arithmetic.bf16(self.params, self.reader),
            frozen=self.params.encoder.frozen,
            **options,
        )
        return pd.DataFrame(log)

    def _born_again(self, setting, examples, optimisation, options):
        """A fresh reader for every generation, taught by the student of the one before."""
        teacher, logs, read = None, [], 0
        each = replace(optimisation, epochs=setting.epochs // setting.generations)
        for generation in range(1, setting.generations + 1):
            model = self._fresh(setting)
            name = f"generation-{generation}"
            log = self._run(model, setting, examples, each, 1, name=name, first_teacher=teacher, **options)
            logs.append(log.assign(generation=generation, tokens=log["tokens"] + read))
            read = int(logs[-1]["tokens"].iloc[-1])
            teacher = model
        return model, pd.concat(logs, ignore_index=True)


def run_group(params, group, seed):
    """Stage `ablations`: train and score the settings of a group with one seed, and write the results.

    A setting that one of the study's own students has is neither trained nor read again: its scores are those of the
    study. So are those of the untrained reader, which stand with the first group. Killed and started again, the group
    goes on from the setting and the step it was at.

    Nothing is chosen here: what may be chosen is scored on every set, and the report then chooses by the development
    set alone (`experiments_section.selection_table`) and shows the other sets' scores of the chosen settings alone.

    Args:
        params: `params.Params`.
        group: one of `params.sweeps.groups`.
        seed: one of `params.seeds`.

    Returns:
        DataFrame setting, em, f1 (points, mean over the language pairs), minutes.
    """
    settings = experiments.assigned(params, group)
    first = group == params.sweeps.groups[0]
    own = experiments.students_of_the_study(params)
    arithmetic.use_threads(params)
    reader, tokenizer = models.load_reader(layout.reader_folder(params))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bf16 = arithmetic.bf16(params, reader)
    questions = {name: sample_questions(params, name) for name in params.data.evaluation_sets}
    selectable = {key for found in experiments.selectable(params).values() for key in found}
    parallel = prepared.read_parallel(params)
    inputs = [layout.reader_folder(params) / "model.safetensors"]
    with (
        checkpoints.kept(
            layout.checkpoints_folder(params, f"sweeps-{group}-seed-{seed}"), minutes=params.checkpoint_minutes
        ) as kept,
        atomic_folder(layout.experiments_folder(params, group, seed)) as out,
        recorded(out / "run.json", inputs=inputs, seed=seed, group=group) as record,
    ):
        runner = SettingRunner(params, reader, tokenizer, parallel, seed, out / "trainer", kept)
        finished = kept.phase("finished", _decides(params, reader, parallel, questions, seed)).folder
        scores, others, logs, record["settings"] = [], [], [], {}
        if first:
            found, other = _scores(_own_scores(params, layout.ZERO_SHOT, questions))
            scores.append(found.assign(setting=layout.ZERO_SHOT))
            others.append(other.assign(setting=layout.ZERO_SHOT))
        table = start_distribution(params, reader.to("cpu"), tokenizer, parallel, seed)
        write_text(out / "start-distribution.csv", table.to_csv(index=False, lineterminator="\n"))
        for key, setting in settings.items():
            every_set = key in selectable

            def make(key=key, setting=setting, every_set=every_set):
                begun = time.perf_counter()
                asked = dict(list(questions.items())[: None if every_set else 1])
                if key in own:
                    log, facts = _student(params, own[key], seed)
                    table = _own_scores(params, layout.system_name(own[key], seed), asked)
                else:
                    model, log, facts = runner.train(setting)
                    with compute.tokens_read(model) as tokens:
                        table = evaluation.evaluate_reader(
                            model.to(device),
                            tokenizer,
                            {name: (prepared.metric_of(name), examples) for name, examples in asked.items()},
                            features=params.features,
                            evaluation=params.evaluation,
                            bf16=bf16,
                        )
                    facts["tflop"] = round(facts["tflop"] + compute.tflop(model, tokens[0], compute.READ), 4)
                found, other = _scores(table)
                facts = {**facts, "minutes": round((time.perf_counter() - begun) / 60, 4)}
                return {"scores": found, "other-sets": other, "log": log}, facts

            tables, facts = _kept_tables(finished / (f"{key}-every-set" if every_set else key), make)
            shutil.rmtree(kept.folder / key, ignore_errors=True)  # its checkpoints
            found, other, log = tables.values()
            scores.append(found.assign(setting=key))
            others.append(other.assign(setting=key))
            logs.append(log.assign(setting=key))
            record["settings"][key] = {"setting": setting.as_dict(), **facts}
        shutil.rmtree(out / "trainer", ignore_errors=True)
        table = pd.concat(scores, ignore_index=True)[COLUMNS]
        write_text(out / "scores.csv", table.to_csv(index=False, lineterminator="\n"))
        other = pd.concat(others, ignore_index=True) if others else pd.DataFrame(columns=OTHER_COLUMNS)
        write_text(out / "other-sets.csv", other[OTHER_COLUMNS].to_csv(index=False, lineterminator="\n"))
        if logs:
            log = pd.concat(logs, ignore_index=True)
            columns = ["setting", *(name for name in log.columns if name != "setting")]
            write_text(out / "logs.csv", log[columns].to_csv(index=False, lineterminator="\n"))
    return overview(table).assign(
        minutes=lambda found: [record["settings"].get(key, {}).get("minutes", float("nan")) for key in found["setting"]]
    )


def _scores(table):
    """(development set, other sets) of a table of `evaluation.score` in which the development set comes first."""
    development = table["set"] == table["set"].iloc[0]
    other = [column for column in OTHER_COLUMNS if column != "setting"]
    return table.loc[development, [*KEY, "em", "f1", "rank"]], table.loc[~development, other]


def _own_scores(params, system, questions):
    """The rows of these questions, in their order, of the scores of one of the study's own systems.

    Raises:
        DataError: scores of other questions.
    """
    path = layout.scores_file(params, system)
    table = evaluation.read_scores(path).set_index(["set", *KEY])
    asked = [(name, e.id, e.question_lang, e.context_lang) for name, examples in questions.items() for e in examples]
    known = set(table.index)
    absent = next((question for question in asked if question not in known), None)
    if absent:
        raise DataError(f"{path}: no score of {' '.join(absent)}; run the evaluation stage again")
    return table.loc[asked].reset_index()


def _student(params, method, seed):
    """(log, facts) of one of the study's own students."""
    log = pd.read_csv(layout.log_file(params, layout.system_name(method, seed)))
    model, _ = models.load_reader(layout.student_folder(params, method, seed))
    pairs = samples.sampled_pairs(samples.read_sample(params, seed), params.method(method).ntl)
    facts = {
        "student": method,
        "examples": len(pairs),
        "corrupted": 0,
        "ids": pairs["id"].nunique(),
        "steps": len(log),
        "weights": models.weights_hash(model),
    }
    return log, facts


def _decides(params, reader, parallel, questions, seed):
    """What decides the result of a setting, beside the setting: facts for `checkpoints.fingerprint`."""
    return {
        "params": {name: value for name, value in params.as_dict().items() if name not in ("sweeps", "paths")},
        "reader": models.weights_hash(reader),
        "parallel": checkpoints.data_hash(sorted(parallel.items())),
        "questions": {name: checkpoints.data_hash(sample) for name, sample in questions.items()},
        "seed": seed,
        "code": checkpoints.code_hash("data", "reading", "study"),
    }


def _kept_tables(place, make):
    """(tables by name, facts) that `make` returns, or an earlier start of the run left in the folder `place`.

    They are read from the files in both cases, so that a run that was taken up again writes the same bytes.
    """
    if not place.is_dir():
        tables, facts = make()
        with atomic_folder(place) as out:
            for name, table in tables.items():
                table.to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
            write_json(out / "facts.json", facts)
    tables = {
        name: pd.read_csv(
            place / f"{name}.csv", dtype=dict.fromkeys(("set", *KEY), str), na_values=[""], keep_default_na=False
        )
        for name in ("scores", "other-sets", "log")
    }
    return tables, json.loads((place / "facts.json").read_text(encoding="utf-8"))


def overview(scores):
    """Mean over language pairs of the mean over each pair's questions, in points: DataFrame setting, em, f1."""
    pairs = scores.groupby(["setting", "question_lang", "context_lang"], sort=False)[["em", "f1"]].mean() * 100
    return pairs.groupby("setting", sort=False).mean().reset_index()


def start_distribution(params, reader, tokenizer, parallel, seed):
    """The English reader's start distribution on one training example: what the first teacher says.

    The example is the first drawn id with a question in another language than the passage's, English.

    Returns:
        DataFrame position, token, probability (temperature 1), softened (at the temperature of skd-map), gold (bool),
        right (bool: in the window around the gold position that the coefficient accepts), rank (1 = most probable).
    """
    method = params.method("skd-map")
    example_id = next(iter(samples.chosen_ids(parallel, 1, seed)))
    languages = [language for language in params.sampling.languages if language != "en"] or ["en"]
    by_id = {language: {e.id: e for e in examples} for language, examples in parallel.items()}
    passage = by_id.get("en", by_id[languages[0]])[example_id]
    example = replace(passage, question=by_id[languages[0]][example_id].question, question_lang=languages[0])
    data = dataset.training_features(tokenizer, [example], params.features)
    # the window that holds the answer
    row = next((row for row in data if row["start_positions"] > 0), data[0])
    batch = dataset.PadToBatch(tokenizer)([row])
    device = next(reader.parameters()).device
    with torch.no_grad():
        logits = models.span_logits(reader, {name: value.to(device) for name, value in batch.items()})[0][0].cpu()
    gold = int(row["start_positions"])
    table = pd.DataFrame(
        {
            "position": range(len(logits)),
            "token": tokenizer.convert_ids_to_tokens(row["input_ids"]),
            "probability": torch.softmax(logits, -1).numpy(),
            "softened": torch.softmax(logits / method.temperature, -1).numpy(),
        }
    )
    table["gold"] = table["position"] == gold
    table["right"] = table["position"].between(gold - method.window, gold + method.window - 1)
    table["rank"] = table["probability"].rank(method="first", ascending=False).astype(int)
    return table.assign(question_lang=example.question_lang, context_lang=example.context_lang)
