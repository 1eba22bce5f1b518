"""Training readers: cross-entropy, and self-knowledge distillation in generations (arXiv 2309.17134).

*Generation* g trains the student against a frozen copy of the student at the end of generation g - 1; generation 1's
teacher is the model that training starts from. The student is not re-initialised, and optimiser and learning-rate
schedule run on, so the generations are one run of `transformers.Trainer` whose teacher changes on the way.
"""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments

from . import losses, parallel_view, stored_features, stored_logits
from .batching import ShuffledLengthGroups, TokenBudgetBatches
from .checkpoints import ResumableTrainer, data_hash, load_weights
from .coefficients import COEFFICIENTS
from .errors import DataError
from .features import as_arrays, encode_pairs, label_windows
from .models import refuse_long_windows, span_logits, weights_hash
from .numerics import Vanishing, refuse_bad_loss
from .processes import ShareOut, count
from .progress import show_progress
from .stored_logits import feature_id


def training_features(tokenizer, examples, features, *, folder=None):
    """Labelled windows of `examples` as a `datasets.Dataset`.

    Args:
        examples: list of `squad_format.Example`; the first answer of each is the label.
        features: `params.Features`.
        folder: where they are kept for other runs, memory-mapped (see `stored_features`); None: in memory.

    Returns:
        Dataset with input_ids, token_type_ids (lists without padding), start_positions, end_positions, length,
        feature_id (see `stored_logits.feature_id`) and example (index in `examples`).
    """
    spans = [
        (example.answers[0].start, example.answers[0].start + len(example.answers[0].text)) for example in examples
    ]
    if folder is None:
        return _labelled_windows(tokenizer, examples, spans, features)
    facts = {
        "tokenizer": stored_features.tokenizer_hash(tokenizer),
        "features": features,
        "texts": data_hash((example.question, example.context) for example in examples),
        "answers": data_hash(spans),
    }
    return stored_features.shared(
        lambda: _labelled_windows(tokenizer, examples, spans, features), folder=Path(folder), facts=facts
    )


def _labelled_windows(tokenizer, examples, spans, features):
    windows = encode_pairs(
        tokenizer,
        [example.question for example in examples],
        [example.context for example in examples],
        max_length=features.max_length,
        stride=features.stride,
        max_question_length=features.max_question_length,
    )
    windows = as_arrays(windows)
    start_positions, end_positions = label_windows(windows, spans)
    lengths = windows.lengths()
    input_ids = [row[:n] for row, n in zip(windows.input_ids.astype(np.int32), lengths, strict=True)]
    token_type_ids = [row[:n] for row, n in zip(windows.token_type_ids.astype(np.int8), lengths, strict=True)]
    return Dataset.from_dict(
        {
            "input_ids": input_ids,
            "token_type_ids": token_type_ids,
            "start_positions": start_positions,
            "end_positions": end_positions,
            "length": lengths,
            "feature_id": [feature_id(*pair) for pair in zip(input_ids, token_type_ids, strict=True)],
            "example": windows.example_index,
        }
    )


class PadToBatch:
    """Collate features into tensors padded to the longest of the batch."""

    def __init__(self, tokenizer):
        self.pad_id = tokenizer.pad_token_id

    def __call__(self, rows):
        length = max(len(row["input_ids"]) for row in rows)
        batch = {
            "input_ids": torch.full((len(rows), length), self.pad_id),
            "token_type_ids": torch.zeros((len(rows), length), dtype=torch.long),
            "attention_mask": torch.zeros((len(rows), length), dtype=torch.long),
        }
        for index, row in enumerate(rows):
            n = len(row["input_ids"])
            batch["input_ids"][index, :n] = torch.as_tensor(row["input_ids"])
            batch["token_type_ids"][index, :n] = torch.as_tensor(row["token_type_ids"])
            batch["attention_mask"][index, :n] = 1
        for name in ("start_positions", "end_positions", "feature_id", "example"):
            batch[name] = torch.tensor([int(row[name]) for row in rows])
        if "teacher_input_ids" in rows[0]:
            batch |= parallel_view.teacher_batch(rows, self.pad_id)
        return batch


def mask_tokens(inputs, share, tokenizer):
    """The inputs with each token replaced by the mask token with probability `share`; special tokens stay.

    A small reader that has seen few wordings of a sentence comes to need every word of them; one that must do without
    some of the words, each time others, reads a new wording better (word dropout, Iyyer et al. 2015).

    Args:
        inputs: dict with input_ids (B, L); not changed.
        share: in [0, 1).
        tokenizer: of the model.

    Raises:
        ValueError: a tokenizer without a mask token.
    """
    if not share:
        return inputs
    if tokenizer.mask_token_id is None:
        raise ValueError("token_masking is above 0, but the tokenizer has no mask token; set it to 0 for this model")
    ids = inputs["input_ids"]
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids, device=ids.device))
    drawn = torch.rand(ids.shape, device=ids.device) < share
    return {**inputs, "input_ids": ids.masked_fill(drawn & ~special, tokenizer.mask_token_id)}


def teacher_logits(teacher, inputs):
    """(logits, compared): the teacher's start and end logits (B, L) at the student's positions, and which of these
    student and teacher both have ((B, L) bool; None: all), where the batch gives the teacher inputs of its own."""
    with torch.no_grad():
        if "teacher_input_ids" not in inputs:
            return span_logits(teacher, inputs), None
        own = {name: inputs[f"teacher_{name}"] for name in ("input_ids", "attention_mask", "token_type_ids")}
        logits = tuple(parallel_view.align(part, inputs) for part in span_logits(teacher, own))
    return logits, parallel_view.compared_positions(inputs)


def distillation_loss(
    student, teacher, start_positions, end_positions, method, *, compared=None, batch_mean=torch.mean
):
    """L = alpha_CE * L_CE + alpha_KL * L_KL of one batch.

    Args:
        student: (start_logits, end_logits), each (B, L).
        teacher: the same of the teacher, or None for plain cross-entropy.
        start_positions, end_positions: (B,).
        method: `params.Method`.
        compared: (B, L) bool, the positions over which the KL divergence runs; None: all. The teacher's other logits
            must be the lowest float.
        batch_mean: (B,) -> scalar, for the coefficient of a batch that is shared out among processes.

    Returns:
        (loss, parts): a scalar with gradient, and a dict of detached scalars ce, kl (unweighted means over the batch,
        nats) and coefficient (mean of alpha_KL); without a teacher ce alone.
    """
    ce = losses.span_cross_entropy(*student, start_positions, end_positions)
    parts = {"ce": ce.mean().detach()}
    loss = method.alpha_ce * ce.mean()
    if teacher is not None:
        pupil = student
        if compared is not None:
            pupil = tuple(part.masked_fill(~compared, torch.finfo(part.dtype).min) for part in student)
        kl = sum(
            losses.kd_kl(s, t, temperature=method.temperature, direction=method.direction)
            for s, t in zip(pupil, teacher, strict=True)
        )
        kl = kl / 2
        score = COEFFICIENTS[method.coefficient]
        coefficient = (
            score(teacher[0], start_positions, k=method.k, window=method.window)
            + score(teacher[1], end_positions, k=method.k, window=method.window)
        ) / 2
        # "batch", as in the released code: one number for the whole batch
        weight = batch_mean(coefficient) if method.weighting == "batch" else coefficient
        loss = loss + (weight * kl).mean()
        parts |= {"kl": kl.mean().detach(), "coefficient": coefficient.mean()}
    return loss, parts


class _Generations(TrainerCallback):
    """Makes the student's copy the teacher when a new generation begins."""

    def __init__(self, trainer):
        self.trainer = trainer

    def on_epoch_begin(self, args, state, control, **kwargs):
        # Trainer counts epochs as a float, a whole number here but where it goes on from within an epoch
        if self.trainer.generation_steps is None:
            self.trainer.begin_epoch(int(state.epoch or 0))

    def on_step_begin(self, args, state, control, **kwargs):
        if self.trainer.generation_steps is not None and state.global_step in self.trainer.generation_steps:
            self.trainer.begin_generation()


class DistillationTrainer(ResumableTrainer):
    """`checkpoints.ResumableTrainer` with the distillation loss and a teacher that is renewed in each generation.

    Args:
        method: `params.Method`; with `coefficient` None no teacher is kept and the loss is the cross-entropy.
        epochs_per_generation: epochs after which the teacher is renewed.
        token_masking: share of the tokens that are hidden from the student, not from the teacher (`mask_tokens`).
        logits_folder: where the first teacher's logits are kept for other runs (see `stored_logits`); None: nowhere.
        teacher_in_step: ask the teacher in every step, unrounded, instead of once a generation: the plain way, for
            comparison.
        batches_per_block: of the order (`batching.ShuffledLengthGroups`); 1 is a plain shuffle, whatever the lengths.
        batch_tokens: tokens of a batch, padding included, in place of a number of features (see
            `batching.TokenBudgetBatches`); on one device only.
        generation_steps: the numbers of optimiser steps done when a generation begins, 0 among them; then epochs do not
            matter. None: epochs decide.
        first_teacher: generation 1's teacher; None: a copy of the student as it starts.
        ids: of the examples, for messages about a batch.
        Others: as `Trainer`.

    Attributes:
        generations: list of {"generation", "teacher_weights", "student_weights"}: hashes of the teacher at the start
            and of the student at the end of each generation. One's student is the next one's teacher.
    """

    def __init__(
        self,
        *args,
        method,
        epochs_per_generation=1,
        token_masking=0.0,
        generation_steps=None,
        first_teacher=None,
        logits_folder=None,
        teacher_in_step=False,
        batches_per_block=20,
        batch_tokens=None,
        ids=(),
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.ids = ids
        self.vanishing = Vanishing()
        self.method = method
        self.token_masking = token_masking
        self.epochs_per_generation = epochs_per_generation
        self.generation_steps = generation_steps
        self.first_teacher = first_teacher
        self.logits_folder = logits_folder
        self.teacher_in_step = teacher_in_step
        self.batches_per_block = batches_per_block
        self.batch_tokens = batch_tokens
        self.teacher = None
        self._teacher_logits = (None, None)  # a teacher and its table
        self.generations = []
        self._parts = []
        # the loss is a mean over the batch, so Trainer must share accumulated batches out itself
        self.model_accepts_loss_kwargs = False
        self.add_callback(_Generations(self))

    def begin_epoch(self, epoch):
        """Called at the start of each epoch (from 0); renews the teacher where a generation begins."""
        # a run that goes on from a checkpoint within an epoch has begun it, and its generation, before
        if epoch // self.epochs_per_generation >= len(self.generations):
            self.begin_generation()

    def begin_generation(self):
        """Renews the teacher."""
        self._end_generation()
        student = self.accelerator.unwrap_model(self.model)
        self.generations.append(
            {"generation": len(self.generations) + 1, "teacher_weights": None, "student_weights": None}
        )
        if self.method.coefficient is not None:
            source = student if self.generations[1:] or self.first_teacher is None else self.first_teacher
            self.teacher = copy.deepcopy(source).to(student.device).eval().requires_grad_(False)
            self.generations[-1]["teacher_weights"] = weights_hash(self.teacher)
        self._check_same_everywhere(weights_hash(student))

    def _check_same_everywhere(self, weights):
        """Do all processes have the same student, and so the same teacher?"""
        if self.args.world_size > 1 and len(set(gather_object([weights]))) > 1:
            raise DataError(
                f"the processes disagree on the weights at the start of generation {len(self.generations)}; do all run "
                "the same versions on the same kind of hardware?"
            )

    def own_state(self):
        return {**super().own_state(), "generations": self.generations}

    def own_models(self):
        return {"teacher": self.teacher} if self.teacher is not None else {}

    def restore(self, state, folder):
        super().restore(state, folder)
        self.generations = state["generations"]
        if self.method.coefficient is not None:
            teacher = copy.deepcopy(self.accelerator.unwrap_model(self.model)).eval().requires_grad_(False)
            self.teacher = load_weights(teacher, folder, "teacher")

    def _get_train_sampler(self, train_dataset=None):
        lengths = self.train_dataset["length"]
        self.sampler = ShuffledLengthGroups(
            lengths,
            batch_size=self.args.train_batch_size,
            seed=self.args.seed,
            batches_per_block=self.batches_per_block,
        )
        return self.sampler

    def get_train_dataloader(self):
        if self.args.world_size > 1:
            return self._shared_out()
        if self.batch_tokens is None:
            return super().get_train_dataloader()
        self.sampler = TokenBudgetBatches(
            self.train_dataset["length"], batch_tokens=self.batch_tokens, seed=self.args.seed
        )
        loader = DataLoader(self.train_dataset, batch_sampler=self.sampler, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def _shared_out(self):
        if self.batch_tokens is not None:
            raise ValueError(
                f"batch_tokens needs one process, found {self.args.world_size}: each would get a part of a batch; give "
                "a batch_size instead"
            )
        # Trainer would give each process batches of its own, and so make the step's batch larger with their number
        return DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            sampler=self._get_train_sampler(),
            collate_fn=ShareOut(self.data_collator, rank=self.args.process_index, count=self.args.world_size),
        )

    def _end_generation(self):
        if self.generations:
            student = self.accelerator.unwrap_model(self.model)
            self.generations[-1]["student_weights"] = weights_hash(student)

    def train(self, *args, **kwargs):
        result = super().train(*args, **kwargs)
        self._end_generation()
        self.teacher = None
        self._teacher_logits = (None, None)
        return result

    def _ask_teacher(self, inputs):
        # where steps rather than epochs end a generation, a pass could read more features than its steps do; and what
        # the teacher reads through another question is not known by the student's feature
        if self.teacher_in_step or self.args.max_steps > 0 or "teacher_input_ids" in inputs:
            return teacher_logits(self.teacher, inputs)
        if self._teacher_logits[0] is not self.teacher:  # a new generation, or a run that was taken up again
            self._teacher_logits = (self.teacher, self._read_with_teacher())
        return self._teacher_logits[1].batch(inputs["feature_id"], inputs["attention_mask"]), None

    def _read_with_teacher(self):
        dataset = self.train_dataset
        # only the first teacher is one that other runs share
        if self.logits_folder is None or len(self.generations) > 1:
            table = stored_logits.compute(self.teacher, dataset)
        else:
            with self.accelerator.local_main_process_first():  # the others find its file
                table = stored_logits.shared(
                    self.teacher,
                    dataset,
                    folder=self.logits_folder,
                    teacher_hash=self.generations[-1]["teacher_weights"],
                    compute_type="bfloat16" if self.args.bf16 else "float32",
                )
        table.check(dataset["feature_id"], dataset["length"])
        return table.to(self.args.device)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        seen = mask_tokens(inputs, self.token_masking, self.processing_class) if model.training else inputs
        student = span_logits(model, seen)
        teacher, compared = (None, None) if self.teacher is None else self._ask_teacher(inputs)
        share = inputs.get("share", 1.0)
        loss, parts = distillation_loss(
            student,
            teacher,
            inputs["start_positions"],
            inputs["end_positions"],
            self.method,
            compared=compared,
            batch_mean=lambda values: self._mean_of_processes(values.mean() * share),
        )
        refuse_bad_loss(
            loss,
            parts,
            step=self.state.global_step + 1,
            ids=[self.ids[index] for index in inputs["example"].tolist()],
            learning_rate=self._get_learning_rate(),
        )
        loss = loss * share
        self._parts.append({name: value * share for name, value in parts.items()})
        return (loss, {"start_logits": student[0], "end_logits": student[1]}) if return_outputs else loss

    def _mean_of_processes(self, value):
        return value if self.args.world_size == 1 else self.accelerator.reduce(value, reduction="mean")

    def log(self, logs, start_time=None):
        """Adds the generation and the means of ce, kl and coefficient since the last entry."""
        if "grad_norm" in logs:
            self.vanishing.check(logs["grad_norm"], step=self.state.global_step)
        if "loss" in logs and self._parts:
            logs = {**logs, "generation": len(self.generations)}
            for name in self._parts[0]:
                mean = torch.stack([parts[name].float() for parts in self._parts]).mean()
                # over all processes, as Trainer's own loss is
                logs[name] = float(self._mean_of_processes(mean))
            self._parts.clear()
        super().log(logs, start_time)


def set_hidden_dropout(model, probability):
    """Set the dropout of a model's hidden states; that of its attention weights stays."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Dropout) and not name.endswith(("self.dropout", "attention.dropout")):
            module.p = probability


def train_reader(
    model,
    tokenizer,
    examples,
    *,
    features,
    optimisation,
    method,
    generations,
    seed,
    output_dir,
    steps=None,
    first_teacher=None,
    teacher_questions=None,
    checkpoints=None,
    features_folder=None,
    **options,
):
    """Train a reader on examples, by cross-entropy or by self-distillation.

    Args:
        model: question-answering model; trained in place.
        tokenizer: its fast tokenizer.
        examples: list of `squad_format.Example` with answers.
        features, optimisation, method: `params.Features`, `params.Optimisation`, `params.Method`.
        generations: number of teachers; must divide `optimisation.epochs`.
        seed: of dropout and of the order of the examples.
        output_dir: the trainer's scratch folder.
        steps: optimiser steps, shared out among the generations, in place of `optimisation.epochs`.
        first_teacher: model that teaches generation 1; None: a copy of `model` as it starts.
        teacher_questions: the question that the teacher reads for each example; None: what the student reads.
        checkpoints: (facts) -> `checkpoints.RunCheckpoints` of the training that these facts describe, to go on from
            and to write to; None keeps none.
        features_folder: as `folder` of `training_features`.
        options: logits_folder, teacher_in_step, batches_per_block and batch_tokens of `DistillationTrainer`.

    Returns:
        (log, generations): a list of one dict per optimiser step (step, epoch, generation, loss, ce, kl, coefficient,
        learning_rate, grad_norm), and `DistillationTrainer.generations`.

    Raises:
        DataError: no examples, windows longer than the model, a loss or gradient that is no number.
        ValueError: epochs or steps that the generations do not divide; another number of questions than of examples.
        TrainingStopped: SIGTERM or Ctrl-C, after a checkpoint.
    """
    if not examples:
        raise DataError("no training examples; is the sampled set empty?")
    refuse_long_windows(model, features.max_length)
    if steps is None and optimisation.epochs % generations:
        raise ValueError(f"{optimisation.epochs} epochs cannot be shared out among {generations} generations")
    if steps is not None and steps < generations:
        raise ValueError(f"{steps} steps cannot be shared out among {generations} generations")
    if optimisation.dropout is not None:
        set_hidden_dropout(model, optimisation.dropout)
    torch.set_float32_matmul_precision("highest")  # no TF32: who wants speed for precision asks for bf16
    arguments = TrainingArguments(
        output_dir=str(output_dir),
        num_train_epochs=optimisation.epochs,
        max_steps=steps or -1,
        per_device_train_batch_size=optimisation.batch_size,
        gradient_accumulation_steps=optimisation.accumulation,
        learning_rate=optimisation.learning_rate,
        warmup_steps=optimisation.warmup,
        lr_scheduler_type="linear",
        weight_decay=0.0,
        adam_beta2=optimisation.beta2,
        max_grad_norm=1.0,
        bf16=optimisation.bf16,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        seed=seed,
        dataloader_pin_memory=False,
        # a CPU must be asked for, for bfloat16 as for several processes; a GPU is found by itself
        use_cpu=(optimisation.bf16 or count() > 1) and not torch.cuda.is_available(),
        disable_tqdm=True,
    )
    data = training_features(tokenizer, examples, features, folder=features_folder)
    if teacher_questions is not None:
        columns, _ = parallel_view.teacher_columns(tokenizer, examples, teacher_questions, features)
        for name, values in columns.items():
            data = data.add_column(name, values)
    kept = checkpoints and checkpoints(
        {
            "start": weights_hash(model),
            "data": data_hash(examples),
            "features": features,
            "optimisation": optimisation,
            "method": replace(method, label=""),  # what it is called changes nothing
            "generations": generations,
            "seed": seed,
            "steps": steps,
            "first_teacher": first_teacher and weights_hash(first_teacher),
            "teacher_questions": teacher_questions and data_hash(teacher_questions),
            # where logits lie changes nothing
            "options": {name: value for name, value in options.items() if name != "logits_folder"},
            "threads": torch.get_num_threads(),
            "processes": count(),
            "device": "cuda" if torch.cuda.is_available() else "cpu",
        }
    )
    trainer = DistillationTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=PadToBatch(tokenizer),
        processing_class=tokenizer,
        method=method,
        epochs_per_generation=max(1, optimisation.epochs // generations),
        generation_steps=None if steps is None else {steps * done // generations for done in range(generations)},
        first_teacher=first_teacher,
        token_masking=optimisation.token_masking,
        ids=[example.id for example in examples],
        checkpoints=kept,
        **options,
    )
    show_progress(trainer, method.label)
    trainer.train()
    # Under bf16 Accelerate leaves an autocast around the model, which would decide how everyone reads with it.
    for name in ("forward", "_original_forward"):
        vars(model).pop(name, None)
    return [entry for entry in trainer.state.log_history if "loss" in entry], trainer.generations
