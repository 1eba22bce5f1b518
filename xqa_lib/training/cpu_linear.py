"""Linear layers that multiply float32 matrices with oneDNN on the CPU.

PyTorch hands these products to MKL, whose fast kernels are chosen by the maker of the processor: on those that are not
Intel's it leaves the widest vectors unused. oneDNN, which PyTorch brings along as well, looks at what the processor can
do. The numbers are float32 in both, summed up in another order.
"""

import torch
from torch import nn

SMALLEST = 16  # outputs; a layer with fewer is faster as it is


def available():
    """Has this build of PyTorch the product?"""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _product(x, weight, bias=None):
    """x (..., I) times the transposed weight (O, I), plus bias (O,): (..., O). Either may be a transposed view."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    # the operation has no gradient of its own

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_x = _product(gradient, weight.t())
        rows = gradient.reshape(-1, gradient.shape[-1])  # (R, O)
        if ctx.needs_input_grad[1]:
            to_weight = _product(rows.t(), x.reshape(-1, x.shape[-1]).t())
        if ctx.needs_input_grad[2]:
            to_bias = rows.sum(0)
        return to_x, to_weight, to_bias


class CpuLinear(nn.Linear):
    """`nn.Linear` in all but the product of float32 on the CPU; elsewhere, and under autocast, that too."""

    def forward(self, x):
        fits = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        if fits and x.numel() and not torch.is_autocast_enabled("cpu"):
            return _Linear.apply(x, self.weight, self.bias)
        return super().forward(x)


def use(model):
    """Let the linear layers of `model` multiply that way, where it is available; returns the model.

    Their class is exchanged and nothing else, so that weights, names and saved folders stay what they are.
    """
    if available():
        for module in model.modules():
            if type(module) is nn.Linear and module.out_features >= SMALLEST:
                module.__class__ = CpuLinear
    return model
