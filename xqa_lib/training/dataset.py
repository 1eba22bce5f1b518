"""What a training reads: labelled windows of examples, padded batches of them, hidden words."""

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from ..features import as_arrays, encode_pairs, label_windows
from . import parallel_view, stored_features
from .checkpoints import data_hash
from .teacher_logits import feature_id


def training_features(tokenizer, examples, features, *, folder=None):
    """Labelled windows of `examples` as a `datasets.Dataset`.

    Args:
        examples: list of `squad_format.Example`; the first answer of each is the label.
        features: `params.Features`.
        folder: where they are kept for other runs, memory-mapped (see `stored_features`); None: in memory.

    Returns:
        Dataset with input_ids, token_type_ids (lists without padding), start_positions, end_positions, length,
        feature_id (see `teacher_logits.feature_id`) and example (index in `examples`).
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
    return stored_features.load_or_make(
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
