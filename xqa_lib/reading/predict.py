"""Reading: logits of a model over windows, answers to examples, and those of the command line: one, or a file's."""

from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ..data.squad_format import Example, read_squad
from ..decoding import best_answers
from ..errors import DataError
from ..features import encode_pairs
from ..training.batching import CPU_TOKENS, cut
from ..training.models import load_reader, position_limit, refuse_long_windows, span_logits


def window_logits(model, windows, *, batch_size, bf16=False, progress=None):
    """Start and end logits of every window.

    Windows are scored longest first in batches padded to their longest, then put back in order. On the CPU a batch has
    `batching.CPU_TOKENS` tokens at most: larger ones gain nothing there.

    Args:
        model: question-answering model.
        windows: W `features.Windows`.
        batch_size: windows per batch at most.
        bf16: autocast to bfloat16; needs hardware for it.
        progress: description of a progress bar; None for none.

    Returns:
        (start, end), each (W, L) float32; padding holds the lowest float.
    """
    shape = windows.input_ids.shape
    lowest = np.finfo(np.float32).min
    start, end = np.full(shape, lowest, np.float32), np.full(shape, lowest, np.float32)
    lengths = windows.lengths().numpy()
    order = np.argsort(-lengths, kind="stable")
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    budget = CPU_TOKENS if device.type == "cpu" else None
    batches = list(cut(order, lengths, rows=batch_size, tokens=budget))
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for rows in tqdm(batches, desc=progress, disable=progress is None, leave=False):
            length = max(1, int(lengths[rows[0]]))
            inputs = {
                name: getattr(windows, name)[:, :length][rows].to(device)
                for name in ("input_ids", "attention_mask", "token_type_ids")
            }
            start_logits, end_logits = span_logits(model, inputs)
            start[rows, :length] = start_logits.cpu().numpy()
            end[rows, :length] = end_logits.cpu().numpy()
    model.train(was_training)
    return start, end


def stream_answers(
    model, tokenizer, examples, *, features, batch_size, n_best=20, max_answer_tokens=30, bf16=False, progress=None
):
    """The n best answers of one example after the other.

    Examples are read in blocks and nothing of a block is kept, so that memory does not grow with their number.

    Args:
        examples: list of `squad_format.Example`; gold answers are not looked at.
        features: `params.Features`, or `WindowSizes`.
        batch_size: windows per forward pass.
        n_best, max_answer_tokens: as `decoding.best_answers`.
        bf16: as `window_logits`.
        progress: description of a progress bar (one for each block); None for none.

    Yields:
        One list of `decoding.Answer` per example, best first.

    Raises:
        DataError: windows longer than the model.
    """
    refuse_long_windows(model, features.max_length)
    block = 4096
    for first in range(0, len(examples), block):
        part = examples[first : first + block]
        contexts = [example.context for example in part]
        windows = encode_pairs(
            tokenizer,
            [example.question for example in part],
            contexts,
            max_length=features.max_length,
            stride=features.stride,
            max_question_length=features.max_question_length,
        )
        bar = progress
        if progress is not None and len(part) < len(examples):
            bar = f"{progress} {first + 1:,}-{first + len(part):,} of {len(examples):,}"
        start, end = window_logits(model, windows, batch_size=batch_size, bf16=bf16, progress=bar)
        yield from best_answers(windows, start, end, contexts, n_best=n_best, max_answer_tokens=max_answer_tokens)


def answers(model, tokenizer, examples, **options):
    """All that `stream_answers` gives, as a list."""
    return list(stream_answers(model, tokenizer, examples, **options))


class WindowSizes(NamedTuple):
    """How a reader's questions and contexts become windows, in tokens, where no study says it."""

    max_length: int
    stride: int
    max_question_length: int

    @classmethod
    def of(cls, reader, tokenizer):
        """384, 128 and 64, or as much less as the model has positions less."""
        max_length = min(384, tokenizer.model_max_length, position_limit(reader) or 384)
        return cls(max_length, max(1, max_length // 3), max(1, max_length // 6))


def answer(model, question, context, *, n_best=1, max_answer_tokens=30):
    """Answer one question from one context with a model folder.

    Args:
        model: folder of a reader, or its name on the hub.
        question, context: texts, not empty.
        n_best: candidates to return.
        max_answer_tokens: tokens of an answer at most.

    Returns:
        List of `decoding.Answer`, best first; empty if the context has no token.

    Raises:
        DataError: empty question or context, n_best or max_answer_tokens < 1, or a model that cannot be loaded.
    """
    for name, text in (("question", question), ("context", context)):
        if not text.strip():
            raise DataError(f"the {name} is empty; expected a text")
        if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
            raise DataError(f"the {name} holds a lone surrogate, which is no character; is its encoding UTF-8?")
    for name, number in (("n_best", n_best), ("max_answer_tokens", max_answer_tokens)):
        if number < 1:
            raise DataError(f"{name} must be >= 1, got {number}")
    example = Example("", question, context, (), "", "", "")
    # a candidate's probability is its share among at least 20, not among the few that are asked for
    found = _read(model, [example], n_best=max(n_best, 20), max_answer_tokens=max_answer_tokens)
    return next(found)[:n_best]


def answer_file(model, path, *, max_answer_tokens=30):
    """Answer every question of a file, with a progress bar on the error stream.

    Args:
        model, max_answer_tokens: as `answer`.
        path: a file in any form that `squad_format` reads, with unique ids; gold answers are not looked at.

    Yields:
        (example, answers): `squad_format.Example` and up to 20 `decoding.Answer`, best first; none if the context holds
        no token.

    Raises:
        DataError: a file that cannot be read, or a model that cannot be loaded.
    """
    examples = read_squad(path, question_lang="", context_lang="", require_answers=False, check_offsets=False)
    found = _read(model, examples, n_best=20, max_answer_tokens=max_answer_tokens, progress="reading")
    yield from zip(examples, found, strict=True)


def _read(model, examples, **options):
    """`stream_answers` with a model folder and its own sizes of windows."""
    reader, tokenizer = load_reader(model, seed=None)
    reader.to("cuda" if torch.cuda.is_available() else "cpu")
    sizes = WindowSizes.of(reader, tokenizer)
    try:
        yield from stream_answers(reader, tokenizer, examples, features=sizes, batch_size=32, **options)
    except ValueError as error:  # a model with hardly any positions, or a tokenizer that is not a reader's
        raise DataError(f"{model}: cannot read with this model: {error}") from None
