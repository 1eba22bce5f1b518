"""What a run costs: weights and tokens by hand, and the tokens that a reader really reads."""

import pytest
import torch

from tests.training.test_distillation import TOKENIZER, tiny_model
from xqa_lib.training import compute


def test_tflop_by_hand():
    model = tiny_model()
    # a layer of 16: query, key, value and output (16 x 16 + 16), 16 x 32 + 32 and back, two norms; 2 outputs
    weights = 4 * (16 * 16 + 16) + (16 * 32 + 32) + (32 * 16 + 16) + 2 * 32 + (16 * 2 + 2)
    assert compute.layer_weights(model) == weights == 2258
    for kind, flop in ((compute.READ, 2), (compute.TRAIN, 6), (compute.DISTIL, 8)):
        assert compute.tflop(model, 5_000_000, kind) == pytest.approx(flop * 2258 * 5e6 / 1e12)


def test_freezing_changes_no_cost():
    model = tiny_model()
    model.get_input_embeddings().weight.requires_grad_(False)
    assert compute.layer_weights(model) == 2258


def test_real_tokens_are_counted_while_it_is_asked_for():
    model = tiny_model().eval()
    batch = TOKENIZER(["Anna", "Where was Anna born?"], padding=True, return_tensors="pt")
    real = int(batch["attention_mask"].sum())
    assert real < batch["input_ids"].numel()
    with torch.inference_mode(), compute.tokens_read(model) as read:
        assert read == [0]
        model(**batch)
        model(**batch)
        assert read == [2 * real]
    with torch.inference_mode():
        model(**batch)
    assert read == [2 * real]
