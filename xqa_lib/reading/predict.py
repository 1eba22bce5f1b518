"""Reading: logits of a model over windows, answers to examples, and one answer for the command line."""

import numpy as np
import torch
from tqdm import tqdm

from ..decoding import best_answers
from ..errors import DataError
from ..features import encode_pairs
from ..training.batching import CPU_TOKENS, cut
from ..training.models import load_reader, span_logits


def window_logits(model, windows, *, batch_size, bf16=False, progress=None):
    """Start and end logits of every window.

    Windows are scored longest first in batches padded to their longest, then put back in order. On the CPU a batch has
    `batching.CPU_TOKENS` tokens at most: larger ones are slower there.

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
        features: `params.Features`.
        batch_size: windows per forward pass.
        n_best, max_answer_tokens: as `decoding.best_answers`.
        bf16: as `window_logits`.
        progress: description of a progress bar; None for none.

    Yields:
        One list of `decoding.Answer` per example, best first.
    """
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
        start, end = window_logits(model, windows, batch_size=batch_size, bf16=bf16, progress=progress)
        yield from best_answers(windows, start, end, contexts, n_best=n_best, max_answer_tokens=max_answer_tokens)


def answers(model, tokenizer, examples, **options):
    """All that `stream_answers` gives, as a list."""
    return list(stream_answers(model, tokenizer, examples, **options))


def answer(model, question, context, *, n_best=1):
    """Answer one question from one context with a model folder.

    Args:
        model: folder of a reader, or its name on the hub.
        question, context: texts, not empty.
        n_best: candidates to return.

    Returns:
        List of `decoding.Answer`, best first; empty if the context has no token.

    Raises:
        DataError: empty question or context, n_best < 1, or a model that cannot be loaded.
    """
    for name, text in (("question", question), ("context", context)):
        if not text.strip():
            raise DataError(f"the {name} is empty; expected a text")
        if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
            raise DataError(f"the {name} holds a lone surrogate, which is no character; is its encoding UTF-8?")
    if n_best < 1:
        raise DataError(f"n_best must be >= 1, got {n_best}")
    reader, tokenizer = load_reader(model, seed=None)
    # the model's own limit; absolute positions end there
    limit = getattr(reader.config, "max_position_embeddings", 512)
    padding_offset = 2 if reader.config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    max_length = min(384, tokenizer.model_max_length, limit - padding_offset)
    try:
        windows = encode_pairs(
            tokenizer,
            [question],
            [context],
            max_length=max_length,
            stride=max(1, max_length // 3),
            max_question_length=max(1, max_length // 6),
        )
    except ValueError as error:  # a model with hardly any positions, or a tokenizer that is not a reader's
        raise DataError(f"{model}: cannot read with this model: {error}") from None
    start, end = window_logits(reader, windows, batch_size=32)
    # a candidate's probability is its share among at least 20, not among the few that are asked for
    return best_answers(windows, start, end, [context], n_best=max(n_best, 20))[0][:n_best]
