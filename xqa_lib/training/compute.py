"""What a run costs, in TFLOP: by the number of real tokens that it reads, and of weights outside the embeddings.

A token costs 2 FLOP a weight to read, 6 to train on and 8 where a teacher reads it, too (Kaplan et al. 2020, section
2.1, arXiv 2001.08361). Attention is left out: 4% at 100 tokens, 17% at 384 (12 layers of 384).
"""

from contextlib import contextmanager

READ, TRAIN, DISTIL = 2, 6, 8


def layer_weights(model):
    """The number of weights outside the embeddings."""
    return sum(weights.numel() for name, weights in model.named_parameters() if "embeddings." not in name)


def tflop(model, tokens, kind):
    """TFLOP of `tokens` real tokens; `kind` is READ, TRAIN or DISTIL."""
    return kind * layer_weights(model) * tokens / 1e12


@contextmanager
def tokens_read(model):
    """Count the real tokens that a model reads: yields a list whose one entry is their number so far."""
    read = [0]

    def count(module, args, inputs):
        read[0] += int(inputs["attention_mask"].sum())

    hook = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield read
    finally:
        hook.remove()
