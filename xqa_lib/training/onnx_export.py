"""A reader as an ONNX file, for programs without PyTorch: float32, any number of windows of any length."""

import contextlib
import logging
import warnings

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from ..errors import DataError
from ..running.files import atomic_path

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("start_logits", "end_logits")


class _Spans(torch.nn.Module):
    """The model with its inputs by place and its two outputs alone."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        found = self.model(**dict(zip(self.names, inputs, strict=True)))
        return found.start_logits, found.end_logits


def export(folder, path):
    """Write the reader of a model folder as one ONNX file; whole or not at all.

    Args:
        folder: model folder as `models.load_reader` reads it.
        path: file to write. Its inputs are those that the folder's tokenizer returns, (windows, tokens) int64, its
            outputs `OUTPUTS`, (windows, tokens) float32.

    Raises:
        DataError: the packages that PyTorch exports with are not installed.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise DataError(
            'an ONNX file needs the package onnxscript, found none: pip install -c requirements.lock -e ".[onnx]"'
        ) from None
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    # not `models.load_reader`: its products on the CPU are operators of its own
    model = AutoModelForQuestionAnswering.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, attn_implementation="eager"
    )
    names = [name for name in INPUTS if name in tokenizer.model_input_names]
    example = tokenizer(["a b"] * 2, ["a b c"] * 2, return_tensors="pt")
    sizes = {0: torch.export.Dim("windows"), 1: torch.export.Dim("tokens")}
    with atomic_path(path) as out, _quiet(), torch.no_grad():
        torch.onnx.export(
            _Spans(model, names).eval(),
            tuple(example[name] for name in names),
            out,
            input_names=names,
            output_names=list(OUTPUTS),
            dynamic_shapes=(tuple(sizes for _ in names),),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextlib.contextmanager
def _quiet():
    """Without the exporter's words about packages that no reader needs."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
