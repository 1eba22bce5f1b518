"""Stored logits are the teacher's, found by what a feature holds; a file is shared only where all of it is the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.test_distillation import EXAMPLES, FEATURES, SKD, TOKENIZER, run, tiny_model
from xqa_lib.training import teacher_logits
from xqa_lib.training.dataset import PadToBatch, training_features
from xqa_lib.training.models import span_logits, weights_hash
from xqa_lib.training.teacher_logits import compute, feature_id, shared

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


def test_features_are_checked(teacher):
    table = compute(teacher, DATA.select(range(5)))
    table.check(DATA["feature_id"][:5], DATA["length"][:5])
    with pytest.raises(ValueError, match=f"the teacher's logits lack {len(DATA) - 5} of {len(DATA)} features"):
        table.check(DATA["feature_id"], DATA["length"])
    with pytest.raises(ValueError, match="lack 1 of 5 features, or hold them at another length"):
        table.check(DATA["feature_id"][:5], [*DATA["length"][:4], 1])


def test_a_teacher_in_training_mode_is_refused(teacher):
    with pytest.raises(ValueError, match="the teacher is in training mode, and its dropout would be stored"):
        compute(tiny_model(dropout=0.3).train(), DATA)


def test_logits_that_are_not_finite_are_refused():
    model = tiny_model().eval()
    with torch.no_grad():
        model.qa_outputs.bias[0] = float("nan")
    with pytest.raises(ValueError, match="not finite in half precision; did the training diverge"):
        compute(model, DATA)


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def passes(monkeypatch):
    """How often a teacher was read."""
    made = []
    original = teacher_logits.compute
    monkeypatch.setattr(teacher_logits, "compute", lambda *a, **k: (made.append(1), original(*a, **k))[1])
    return made


def ask(teacher, data, folder, **options):
    return shared(teacher, data, folder=folder, teacher_hash=weights_hash(teacher), **options)


def test_a_file_serves_the_same_teacher_and_features_only(teacher, table, tmp_path, passes):
    ask(teacher, DATA, tmp_path)
    found = ask(teacher, DATA.shuffle(seed=1), tmp_path)  # the order is not part of it
    assert len(passes) == 1
    for name in ("ids", "bounds", "start", "end"):
        assert torch.equal(getattr(found, name), getattr(table, name))
    other = tiny_model(seed=4).eval()
    assert not torch.equal(ask(other, DATA, tmp_path).start, table.start)
    assert len(ask(teacher, DATA.select(range(5)), tmp_path).ids) == 5
    ask(teacher, DATA, tmp_path, compute_type="bfloat16")
    assert len(passes) == 4
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("content", [b"", b"not safetensors", None], ids=["empty", "text", "cut off"])
def test_a_damaged_file_is_made_again(teacher, table, tmp_path, passes, content):
    ask(teacher, DATA, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-10] if content is None else content)
    assert torch.equal(ask(teacher, DATA, tmp_path).start, table.start)
    assert len(passes) == 2
    assert len(path.read_bytes()) == len(whole)


def test_a_file_under_a_wrong_name_is_not_believed(teacher, table, tmp_path, passes):
    ask(tiny_model(seed=4).eval(), DATA, tmp_path / "other")
    ask(teacher, DATA, tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    (wrong,) = (tmp_path / "other").iterdir()
    path.write_bytes(wrong.read_bytes())
    assert torch.equal(ask(teacher, DATA, tmp_path).start, table.start)
    assert len(passes) == 3


def test_the_folder_stays_small(teacher, tmp_path, monkeypatch, capsys):
    ask(teacher, DATA, tmp_path)
    (first,) = tmp_path.iterdir()
    monkeypatch.setattr(teacher_logits, "FOLDER_BYTES", int(2.5 * first.stat().st_size))
    ask(tiny_model(seed=5).eval(), DATA, tmp_path)
    ask(teacher, DATA, tmp_path)  # used again: now the younger file is the one unused for longest
    ask(tiny_model(seed=6).eval(), DATA, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert first.exists()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(teacher_logits, "FOLDER_BYTES", 10)
    ask(tiny_model(seed=7).eval(), DATA, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert "larger than the 10 bytes meant for its folder" in capsys.readouterr().err


# ---- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("method", [SKD, MAP], ids=["constant", "map"])
def test_a_run_with_stored_logits_has_the_losses_of_one_with_the_teacher_in_the_step(tmp_path, method, bf16):
    settings = {"epochs": 4, "generations": 2, "bf16": bf16}
    plain = run(tmp_path, method, model=tiny_model(dropout=0.2), teacher_in_step=True, **settings)
    fast = run(tmp_path, method, model=tiny_model(dropout=0.2), **settings)
    assert len(plain[2]) == len(fast[2]) == 12
    for expected, found in zip(plain[2], fast[2], strict=True):
        for name in ("loss", "ce", "kl", "coefficient", "grad_norm"):
            assert found[name] == pytest.approx(expected[name], rel=2e-2 if bf16 else 1e-3, abs=1e-3), name
    assert plain[0] == fast[0]


def test_a_result_does_not_depend_on_which_run_came_first(tmp_path, passes):
    folder = tmp_path / "logits"
    alone = run(tmp_path, MAP, model=tiny_model(dropout=0.2))
    first = run(tmp_path, MAP, model=tiny_model(dropout=0.2), logits_folder=folder)
    assert len(list(folder.iterdir())) == 1  # the teachers after the first are this run's own
    again = run(tmp_path, MAP, model=tiny_model(dropout=0.2), logits_folder=folder)
    assert alone[1] == first[1] == again[1]
    assert alone[2] == first[2] == again[2] or [row["loss"] for row in alone[2]] == [row["loss"] for row in again[2]]
    assert len(passes) == 3 + 3 + 2
    other = run(tmp_path, SKD, model=tiny_model(dropout=0.2), logits_folder=folder, seed=2)
    assert len(passes) == 3 + 3 + 2 + 2
    assert other[1] != first[1]
