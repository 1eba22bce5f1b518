"""Training readers: cross-entropy, and self-knowledge distillation in generations (arXiv 2309.17134).

*Generation* g trains the student against a frozen copy of the student at the end of generation g - 1; generation 1's
teacher is the model that training starts from. The student is not re-initialised, and optimiser and learning-rate
schedule run on, so the generations are one run of `transformers.Trainer` whose teacher changes on the way.
"""

from dataclasses import replace

import torch
from transformers import TrainingArguments

from ..errors import DataError
from ..running.progress import show_progress
from . import parallel_view
from .checkpoints import data_hash
from .dataset import PadToBatch, training_features
from .models import freeze_word_embeddings, refuse_long_windows, weights_hash
from .processes import count
from .trainer import DistillationTrainer


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
    bf16=False,
    frozen=False,
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
        bf16: autocast to bfloat16.
        frozen: the word embeddings are not trained.
        steps: optimiser steps, shared out among the generations, in place of `optimisation.epochs`.
        first_teacher: model that teaches generation 1; None: a copy of `model` as it starts.
        teacher_questions: the question that the teacher reads for each example; None: what the student reads.
        checkpoints: (facts) -> `checkpoints.RunCheckpoints` of the training that these facts describe, to go on from
            and to write to; None keeps none.
        features_folder: as `folder` of `training_features`.
        options: teacher_in_step of `DistillationTrainer`.

    Returns:
        (log, generations): a list of one dict per optimiser step (step, epoch, generation, loss, ce, kl, coefficient,
        learning_rate, grad_norm, tokens: real ones that the student has read so far), and
        `DistillationTrainer.generations`.

    Raises:
        DataError: no examples, windows longer than the model, a non-finite loss or gradient.
        ValueError: epochs or steps that the generations do not divide; another number of questions than of examples.
        TrainingStopped: SIGTERM or Ctrl-C, after a checkpoint.
    """
    if not examples:
        raise DataError("no training examples; is the sampled set empty?")
    refuse_long_windows(model, features.max_length)
    if frozen:
        freeze_word_embeddings(model)
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
        bf16=bf16,
        logging_steps=1,
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        seed=seed,
        dataloader_pin_memory=False,
        # a CPU must be asked for, for bfloat16 as for several processes; a GPU is found by itself
        use_cpu=(bf16 or count() > 1) and not torch.cuda.is_available(),
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
            "bf16": bf16,
            "frozen": frozen,
            "options": options,
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
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    for entry in log:
        entry["tokens"] = entry.pop("num_input_tokens_seen")
    return log, trainer.generations
