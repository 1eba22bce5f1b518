"""The loss of a batch, and the `transformers.Trainer` that trains a student against the teacher of its generation."""

import copy

import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from .. import losses
from ..coefficients import COEFFICIENTS
from ..errors import DataError
from . import parallel_view, teacher_logits
from .batching import ShuffledLengthGroups
from .checkpoints import ResumableTrainer, load_weights
from .dataset import mask_tokens
from .models import span_logits, weights_hash
from .numerics import Vanishing, refuse_non_finite_loss
from .processes import ShareOut


def read_teacher(teacher, inputs):
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
        teacher_in_step: ask the teacher in every step, unrounded, instead of once a generation: the plain way, for
            comparison.
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
        teacher_in_step=False,
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
        self.teacher_in_step = teacher_in_step
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
        weights = self._end_generation()
        student = self.accelerator.unwrap_model(self.model)
        self.generations.append(
            {"generation": len(self.generations) + 1, "teacher_weights": None, "student_weights": None}
        )
        if self.method.coefficient is not None:
            source = student if self.generations[1:] or self.first_teacher is None else self.first_teacher
            self.teacher = copy.deepcopy(source).to(student.device).eval().requires_grad_(False)
            self.generations[-1]["teacher_weights"] = weights if source is student else weights_hash(source)
        self._check_same_everywhere(weights)

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
        self.sampler = ShuffledLengthGroups(lengths, batch_size=self.args.train_batch_size, seed=self.args.seed)
        return self.sampler

    def get_train_dataloader(self):
        if self.args.world_size == 1:
            return super().get_train_dataloader()
        # Trainer would give each process batches of its own, and so make the step's batch larger with their number
        return DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            sampler=self._get_train_sampler(),
            collate_fn=ShareOut(self.data_collator, rank=self.args.process_index, count=self.args.world_size),
        )

    def _end_generation(self):
        """Notes the student's weights as those of the generation that ends, if one does; returns their hash."""
        weights = weights_hash(self.accelerator.unwrap_model(self.model))
        if self.generations:
            self.generations[-1]["student_weights"] = weights
        return weights

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
            return read_teacher(self.teacher, inputs)
        if self._teacher_logits[0] is not self.teacher:  # a new generation, or a run that was taken up again
            table = teacher_logits.compute(self.teacher, self.train_dataset)
            self._teacher_logits = (self.teacher, table.to(self.args.device))
        return self._teacher_logits[1].batch(inputs["feature_id"], inputs["attention_mask"]), None

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
        refuse_non_finite_loss(
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
        # without the start, from which Trainer would log speeds: a log is the same on every run
        super().log(logs)
