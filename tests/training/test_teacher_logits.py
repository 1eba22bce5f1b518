"""Stored logits are the teacher's, found by what a feature holds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.test_distillation import EXAMPLES, FEATURES, SKD, TOKENIZER, run, tiny_model
from xqa_lib.training.dataset import PadToBatch, training_features
from xqa_lib.training.models import span_logits
from xqa_lib.training.teacher_logits import compute, feature_id

LOWEST = torch.finfo(torch.float32).min
DATA = training_features(TOKENIZER, EXAMPLES, replace(FEATURES, max_length=20, stride=6, max_question_length=8))
MAP = replace(SKD, coefficient="windowed_reciprocal_rank", k=3, window=1)


@pytest.fixture(scope="module")
def teacher():
    return tiny_model(dropout=0.3, seed=3).eval()


@pytest.fixture(scope="module")
def table(teacher):
    return compute(teacher, DATA)


def batch(*rows):
    return PadToBatch(TOKENIZER)([DATA[row] for row in rows])


def test_ids_tell_features_apart_by_their_tokens():
    assert feature_id([1, 2], [0, 1]) == feature_id(np.array([1, 2], dtype=np.int64), np.array([0, 1])) > 0
    ids = {feature_id([1, 2], [0, 1]), feature_id([1, 2], [0, 0]), feature_id([2, 1], [0, 1]), feature_id([1], [0])}
    assert len(ids) == 4


@torch.no_grad()
@pytest.mark.parametrize("rows", [(0,), (3, 0, 7), tuple(range(len(DATA)))], ids=["one", "three", "all"])
def test_stored_logits_are_those_of_the_step(teacher, table, rows):
    inputs = batch(*rows)
    expected = span_logits(teacher, inputs)
    found = table.batch(inputs["feature_id"], inputs["attention_mask"])
    real = inputs["attention_mask"] == 1
    for stored, logits in zip(found, expected, strict=True):
        assert stored.dtype == torch.float32
        assert (stored[~real] == LOWEST).all()
        assert (stored.amax(-1) == 0).all()
        shifted = logits - logits.amax(-1, keepdim=True)
        error = (stored - shifted)[real].abs()
        assert (error <= 2**-11 * shifted[real].abs() + 1e-5).all()
        # as distributions
        assert (stored.softmax(-1) - logits.softmax(-1)).abs().max() < 5e-4
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("budget", [1, 64, 10**6])
def test_the_batches_of_the_pass_do_not_matter(teacher, table, budget):
    other = compute(teacher, DATA, batch_tokens=budget)
    assert torch.equal(other.ids, table.ids)
    assert torch.equal(other.bounds, table.bounds)
    for name in ("start", "end"):
        torch.testing.assert_close(getattr(other, name), getattr(table, name), rtol=2**-10, atol=1e-5)


def test_equal_features_are_read_once_and_in_any_order(teacher, table):
    twice = DATA.select([*range(len(DATA))[::-1], 0, 1])
    other = compute(teacher, twice)
    assert len(twice) == len(DATA) + 2
    for name in ("ids", "bounds", "start", "end"):
        assert torch.equal(getattr(other, name), getattr(table, name))


def test_a_teacher_in_training_mode_is_refused(teacher):
    with pytest.raises(ValueError, match="the teacher is in training mode, and its dropout would be stored"):
        compute(tiny_model(dropout=0.3).train(), DATA)


def test_logits_that_are_not_finite_are_refused():
    model = tiny_model().eval()
    with torch.no_grad():
        model.qa_outputs.bias[0] = float("nan")
    with pytest.raises(ValueError, match="not finite in half precision; did the training diverge"):
        compute(model, DATA)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "bf16"), [(SKD, False), (MAP, True)])
def test_a_run_with_stored_logits_has_the_losses_of_one_with_the_teacher_in_the_step(tmp_path, method, bf16):
    settings = {"epochs": 4, "generations": 2, "bf16": bf16}
    plain = run(tmp_path, method, model=tiny_model(dropout=0.2), teacher_in_step=True, **settings)
    fast = run(tmp_path, method, model=tiny_model(dropout=0.2), **settings)
    assert len(plain[2]) == len(fast[2]) == 12
    for expected, found in zip(plain[2], fast[2], strict=True):
        for name in ("loss", "ce", "kl", "coefficient", "grad_norm"):
            assert found[name] == pytest.approx(expected[name], rel=2e-2 if bf16 else 1e-3, abs=1e-3), name
    assert plain[0] == fast[0]
