"""What kind of numbers a training uses; where they go wrong it is stopped with step, batch and likely cause."""

import math

import torch

from ..errors import DataError

NO_GRADIENT = 1e-12  # gradient norm below which nothing is learnt
PATIENCE = 10  # optimiser steps in a row without gradient


def native_bfloat16():
    """Has the processor, or the GPU if there is one, matrix products in bfloat16? Elsewhere they are slow."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def refuse_non_finite_loss(loss, parts, *, step, ids, learning_rate):
    """Raise a DataError if the loss of a batch is non-finite.

    Args:
        loss: scalar tensor.
        parts: name -> scalar tensor, the terms of the loss.
        step: the optimiser step that the batch belongs to, from 1.
        ids: of the batch's examples, as far as they have any.
        learning_rate: of the step.
    """
    if torch.isfinite(loss):
        return
    terms = {name: float(value) for name, value in parts.items()}
    bad = [name for name, value in terms.items() if not math.isfinite(value)]
    listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    if step == 1:
        cause = "the weights that it starts from are non-finite, or a logit overflows"
    elif "ce" in bad or not bad:
        cause = f"the training diverged: lower the learning rate ({learning_rate:.3g} here) or warm it up"
    else:
        cause = "teacher and student are too far apart for this temperature: raise it, or lower the learning rate"
    distinct = list(dict.fromkeys(ids))
    raise DataError(
        f"step {step}: the loss is {float(loss):.4g}{f' ({listed})' if listed else ''}"
        + (f" in the batch of the examples {_some(distinct)}" if distinct else "")
        + f"; likely cause: {cause}"
    )


def _some(ids, shown=8):
    return ", ".join(map(repr, ids[:shown])) + (f" and {len(ids) - shown} more" if len(ids) > shown else "")


class Vanishing:
    """Watches the norm of the gradient, step by step."""

    def __init__(self):
        self.in_a_row = 0

    def check(self, norm, *, step):
        """Raise a DataError if the norm is non-finite, or next to 0 for `PATIENCE` steps in a row."""
        norm = float(norm)
        if not math.isfinite(norm):
            raise DataError(
                f"step {step}: the gradient's norm is {norm}, and so are the weights now; likely cause: the training "
                "diverged: lower the learning rate, warm it up, or set precision to float32"
            )
        self.in_a_row = self.in_a_row + 1 if norm < NO_GRADIENT else 0
        if self.in_a_row >= PATIENCE:
            raise DataError(
                f"step {step}: the gradient has been 0 for {PATIENCE} steps (norm {norm:.3g}): nothing is learnt; "
                "likely cause: teacher and student are equal (no cross-entropy, no dropout), or the loss is saturated"
            )
