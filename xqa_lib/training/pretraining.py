"""Masked-language modelling of a small encoder on monolingual text (Devlin et al. 2019), on `transformers.Trainer`."""

import numpy as np
import torch
from datasets import Dataset
from transformers import DataCollatorForLanguageModeling, TrainingArguments

from ..running.progress import show_progress
from .batching import ShuffledLengthGroups
from .checkpoints import ResumableTrainer, data_hash
from .models import weights_hash
from .numerics import refuse_bad_loss


class MaskedBatches(DataCollatorForLanguageModeling):
    """Masks drawn for each batch from the seed and the batch's number alone.

    Batches are fetched ahead of the step that uses them, so that masks from one running generator could not be drawn
    again by a training that goes on from a checkpoint.
    """

    batches = 0  # how many were made, in all epochs together

    def torch_call(self, examples):
        state = np.random.SeedSequence([self.seed, self.batches]).generate_state(1, np.uint64)
        self.generator = torch.Generator().manual_seed(int(state[0]))
        self.batches += 1
        return super().torch_call(examples)


class MaskedLanguageModelTrainer(ResumableTrainer):
    """Computes the vocabulary scores at the masked positions only.

    The loss is the same as scoring every token and ignoring most of them, but for a small encoder the vocabulary
    layer costs as much as all the others together, and 85% of it would be thrown away.
    """

    def _get_train_sampler(self, train_dataset=None):
        lengths = self.train_dataset["length"]
        self.sampler = ShuffledLengthGroups(lengths, batch_size=self.args.train_batch_size, seed=self.args.seed)
        return self.sampler

    def restore(self, state, folder):
        super().restore(state, folder)
        self.data_collator.batches = self.state.global_step

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        hidden = model.base_model(**inputs).last_hidden_state
        masked = labels != -100
        # a batch without a masked token would have no loss; its mean is taken over at least one
        scores = model.cls(hidden[masked])
        loss = torch.nn.functional.cross_entropy(scores.float(), labels[masked], reduction="sum")
        loss = loss / masked.sum().clamp(min=1)
        refuse_bad_loss(loss, {}, step=self.state.global_step + 1, ids=[], learning_rate=self._get_learning_rate())
        return (loss, {"logits": scores}) if return_outputs else loss


def pretrain(model, tokenizer, texts, *, encoder, output_dir, checkpoints=None):
    """Train `model` on `texts` for `encoder.steps` steps; masked tokens only, no next-sentence task.

    Args:
        model: `BertForMaskedLM`.
        texts: list of strings; each is cut into pieces of at most `encoder.sequence_length` tokens.
        encoder: `params.Encoder` (steps, batch size, learning rate, mask probability, seed).
        output_dir: a scratch folder for the trainer; nothing is saved in it.
        checkpoints: as of `distillation.train_reader`.

    Returns:
        The trainer's log: list of {"step", "loss", "learning_rate", ...}.
    """
    # Short pieces: attention within a sentence or two is most of what there is to learn, and several times cheaper.
    ids = tokenizer(
        texts,
        truncation=True,
        max_length=encoder.sequence_length,
        return_overflowing_tokens=True,
        return_token_type_ids=False,
    )["input_ids"]
    dataset = Dataset.from_dict({"input_ids": ids, "length": [len(row) for row in ids]})
    arguments = TrainingArguments(
        output_dir=str(output_dir),
        max_steps=encoder.steps,
        per_device_train_batch_size=encoder.batch_size,
        learning_rate=encoder.learning_rate,
        warmup_steps=max(1, encoder.steps // 10),
        adam_beta2=0.98,
        weight_decay=0.01,
        logging_steps=max(1, encoder.steps // 50),
        save_strategy="no",
        report_to="none",
        seed=encoder.seed,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    kept = checkpoints and checkpoints(
        {
            "start": weights_hash(model),
            "data": data_hash(ids),
            "encoder": encoder,
            "threads": torch.get_num_threads(),
            "device": "cuda" if torch.cuda.is_available() else "cpu",
        }
    )
    trainer = MaskedLanguageModelTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        data_collator=MaskedBatches(tokenizer, mlm_probability=encoder.mask_probability, seed=encoder.seed),
        processing_class=tokenizer,
        checkpoints=kept,
    )
    show_progress(trainer, "masked-language model")
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def held_out_accuracy(model, tokenizer, texts, *, mask_probability, seed, max_length):
    """Share of masked tokens of `texts` that the model predicts right, in [0, 1]; deterministic given the seed."""
    generator = np.random.default_rng(seed)
    right = total = 0
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        for text in texts:
            ids = torch.tensor([tokenizer(text, truncation=True, max_length=max_length)["input_ids"]])
            special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
            masked = torch.from_numpy(generator.random(ids.shape) < mask_probability) & ~special
            inputs = ids.masked_fill(masked, tokenizer.mask_token_id).to(device)
            predicted = model(input_ids=inputs).logits.argmax(-1).cpu()
            right += int((predicted == ids)[masked].sum())
            total += int(masked.sum())
    return right / max(total, 1)
