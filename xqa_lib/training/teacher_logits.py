"""A teacher's logits over a training set, computed once for a generation and looked up in its steps.

A teacher is frozen and reads without dropout, so that what it says about a feature is the same whenever it is asked.
One pass in large batches of equal lengths replaces a forward pass in every step, and where several runs start from the
same model and train on the same features (the temperatures and coefficients of a sweep), the first of them does it for
all: the logits of generation 1 are kept in files.

Each row is shifted to a maximum of 0 and rounded to half precision: neither the softmax nor the ranks notice the shift,
and the best positions keep the finest steps. The error of a logit is at most 2**-11 of its distance from the best one.
The same rounding applies whether or not a file is found, and a file is shared only among runs with exactly the same set
of features, read in one order and in the same batches: so no result depends on which run came first. (A cache feature
by feature would be shared by more runs, but the last bits of a forward pass depend on the other rows of its batch.)
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..running.files import atomic_path, keep_small
from .batching import CPU_TOKENS, cut
from .checkpoints import fingerprint
from .models import span_logits

BATCH_TOKENS = 16384  # of a forward pass on a GPU, padding included; part of what identifies a file
FOLDER_BYTES = 2 * 1024**3  # all files of a folder together; the longest unused are removed beyond it


def feature_id(input_ids, token_type_ids):
    """63 bits (int) that identify a feature by its content: the same tokens have the same id in every run."""
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
            feature_ids: (B,) int64, each one of `ids` (see `check`; it is not asked again here).
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

    def check(self, ids, lengths):
        """Raise ValueError unless these features (ids (M,), tokens (M,)) are all here, as long as they are there."""
        ids, lengths = (torch.as_tensor(np.array(values)) for values in (ids, lengths))
        row = torch.searchsorted(self.ids, ids).clamp(max=len(self.ids) - 1)
        strange = (self.ids[row] != ids) | ((self.bounds[1:] - self.bounds[:-1])[row] != lengths)
        if strange.any():
            raise ValueError(
                f"the teacher's logits lack {int(strange.sum())} of {len(ids)} features, or hold them at another "
                "length; were the logits computed from other features?"
            )

    def to(self, device):
        """The same table on a device."""
        return TeacherLogits(*(tensor.to(device) for tensor in (self.ids, self.bounds, self.start, self.end)))


def tokens_of_a_pass(model):
    """Most tokens of a forward pass, padding included, on the device of the model."""
    return CPU_TOKENS if next(model.parameters()).device.type == "cpu" else BATCH_TOKENS


def compute(teacher, dataset, *, batch_tokens=None):
    """Read every feature of `dataset` with the teacher, longest first, equal features once.

    Args:
        teacher: question-answering model in eval mode; the logits are computed on its device.
        dataset: features as `dataset.training_features` makes them.
        batch_tokens: tokens of a forward pass, padding included; None: `tokens_of_a_pass`.

    Returns:
        `TeacherLogits` on the CPU.

    Raises:
        ValueError: logits that are not finite; a teacher in training mode.
    """
    if teacher.training:
        raise ValueError("the teacher is in training mode, and its dropout would be stored; call eval() first")
    batch_tokens = batch_tokens or tokens_of_a_pass(teacher)
    all_ids, all_lengths = np.array(dataset["feature_id"]), np.array(dataset["length"])
    ids, rows = np.unique(all_ids, return_index=True)
    lengths = all_lengths[rows]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    flat = np.empty((2, bounds[-1]), dtype=np.float16)
    order = np.lexsort((ids, -lengths))
    device = next(teacher.parameters()).device
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


def shared(teacher, dataset, *, folder, teacher_hash, compute_type="float32"):
    """`compute`, or what an earlier run left in `folder`; only files of this teacher and these features are read.

    Several processes may work in one folder: a file appears whole, and one that is damaged, or removed meanwhile, is
    computed again. Files are only a shortcut: the folder may be deleted at any time.

    Args:
        teacher, dataset: as `compute`.
        folder: where the files lie; made if needed.
        teacher_hash: `models.weights_hash` of the teacher.
        compute_type: type of the forward pass under autocast, such as "bfloat16".

    Returns:
        `TeacherLogits` on the CPU; memory-mapped where a file was found.
    """
    key = _key(teacher_hash, dataset, compute_type, next(teacher.parameters()).device.type, tokens_of_a_pass(teacher))
    path = Path(folder) / f"{hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:32]}.safetensors"
    found = _read(path, key)
    if found is None:
        found = compute(teacher, dataset)
        with atomic_path(path) as temporary:
            save_file({name: getattr(found, name).contiguous() for name in _NAMES}, temporary, metadata=key)
        keep_small(path, limit=FOLDER_BYTES)
    return found


_NAMES = ("ids", "bounds", "start", "end")


def _key(teacher_hash, dataset, compute_type, device, batch_tokens):
    features = np.unique(np.array([dataset["feature_id"], dataset["length"]], dtype="<i8"), axis=1)
    return {
        "teacher": teacher_hash,
        "features": hashlib.sha256(features.tobytes()).hexdigest(),
        "computed_in": compute_type,
        "stored_as": "float16 below the row's maximum",
        "batch_tokens": str(batch_tokens),
        # bits differ between code, versions, kinds of device and of processor, and numbers of threads
        "made_by": fingerprint(None),
        "device": device,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


def _read(path, key):
    """The table of a file, or None where there is none, a damaged one or one of another teacher or other features."""
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata() != key:
                return None
            table = TeacherLogits(*(file.get_tensor(name) for name in _NAMES))
        os.utime(path)  # the longest unused go first
    except (FileNotFoundError, SafetensorError):
        return None
    return table
