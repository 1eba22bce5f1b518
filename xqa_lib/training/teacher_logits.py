"""A teacher's logits over a training set, computed once for a generation and looked up in its steps.

A teacher is frozen and reads without dropout, so that what it says about a feature is the same whenever it is asked.
One pass in large batches of equal lengths replaces a forward pass in every step.

Each row is shifted to a maximum of 0 and rounded to half precision: neither the softmax nor the ranks notice the shift,
and the best positions keep the finest steps. The error of a logit is at most 2**-11 of its distance from the best one.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from .batching import CPU_TOKENS, cut
from .models import span_logits

BATCH_TOKENS = 16384  # of a forward pass on a GPU, padding included


def feature_id(input_ids, token_type_ids):
    """63 bits (int) that identify a feature by its content: its tokens and their types."""
    tokens = np.asarray(input_ids, dtype=np.int32).tobytes() + np.asarray(token_type_ids, dtype=np.int8).tobytes()
    return int.from_bytes(hashlib.blake2b(tokens, digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True, eq=False)
class TeacherLogits:
    """Start and end logits of N features without padding, one after the other.

    Attributes:
        ids: (N,) int64, `feature_id` of each feature; ascending.
        bounds: (N + 1,) int64, where each feature's tokens begin and end.
        start, end: (tokens,) float16, logit minus the feature's highest.
    """

    ids: torch.Tensor
    bounds: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor

    def batch(self, feature_ids, attention_mask):
        """Start and end logits of a batch, as `models.span_logits` gives them but for the shift.

        Args:
            feature_ids: (B,) int64, each one of `ids`.
            attention_mask: (B, L), 0 for padding.

        Returns:
            (start, end), each (B, L) float32 on the device of the table; padding holds the lowest float.
        """
        first = self.bounds[torch.searchsorted(self.ids, feature_ids)]
        position = torch.arange(attention_mask.shape[1], device=first.device)
        index = (first[:, None] + position).clamp(max=len(self.start) - 1)  # (B, L); padding reads past the feature
        padding = attention_mask == 0
        lowest = torch.finfo(torch.float32).min
        return tuple(flat[index].float().masked_fill(padding, lowest) for flat in (self.start, self.end))

    def to(self, device):
        """The same table on a device."""
        return TeacherLogits(*(tensor.to(device) for tensor in (self.ids, self.bounds, self.start, self.end)))


def compute(teacher, dataset, *, batch_tokens=None):
    """Read every feature of `dataset` with the teacher, longest first, equal features once.

    Args:
        teacher: question-answering model in eval mode; the logits are computed on its device.
        dataset: features as `dataset.training_features` makes them.
        batch_tokens: tokens of a forward pass, padding included; None: as many as suit the device.

    Returns:
        `TeacherLogits` on the CPU.

    Raises:
        ValueError: logits that are not finite; a teacher in training mode.
    """
    if teacher.training:
        raise ValueError("the teacher is in training mode, and its dropout would be stored; call eval() first")
    device = next(teacher.parameters()).device
    batch_tokens = batch_tokens or (CPU_TOKENS if device.type == "cpu" else BATCH_TOKENS)
    all_ids, all_lengths = np.array(dataset["feature_id"]), np.array(dataset["length"])
    ids, rows = np.unique(all_ids, return_index=True)
    lengths = all_lengths[rows]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    flat = np.empty((2, bounds[-1]), dtype=np.float16)
    order = np.lexsort((ids, -lengths))
    with torch.inference_mode():
        for batch in cut(order, lengths, tokens=batch_tokens):
            length = lengths[batch[0]]
            inputs = {
                name: torch.zeros((len(batch), length), dtype=torch.long)
                for name in ("input_ids", "token_type_ids", "attention_mask")
            }
            features = dataset[rows[batch].tolist()]
            for index, n in enumerate(lengths[batch]):
                inputs["input_ids"][index, :n] = torch.as_tensor(features["input_ids"][index])
                inputs["token_type_ids"][index, :n] = torch.as_tensor(features["token_type_ids"][index])
                inputs["attention_mask"][index, :n] = 1
            logits = torch.stack(span_logits(teacher, {name: tensor.to(device) for name, tensor in inputs.items()}))
            logits = (logits - logits.amax(-1, keepdim=True)).half().cpu().numpy()  # (2, B, L)
            for index, row in enumerate(batch):
                flat[:, bounds[row] : bounds[row + 1]] = logits[:, index, : lengths[row]]
    if not np.isfinite(flat).all():
        raise ValueError("the teacher's logits are not finite in half precision; did the training diverge?")
    return TeacherLogits(*(torch.from_numpy(array) for array in (ids, bounds, flat[0], flat[1])))
