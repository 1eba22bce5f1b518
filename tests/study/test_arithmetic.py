"""Threads and precision: the reader's training chooses, and all that follows keeps to it."""

from types import SimpleNamespace

import pytest

from tests.builders import changed, in_folder
from tests.study.test_stages import EVERY_ID, parallel_examples
from tests.training.test_distillation import TOKENIZER, tiny_model
from xqa_lib.data import prepared
from xqa_lib.errors import DataError
from xqa_lib.study import arithmetic, layout, samples, stages
from xqa_lib.training import models, numerics


def with_precision(precision):
    return changed(EVERY_ID, precision=precision)


def reader(begun):
    """A reader that was trained in this precision, as `arithmetic.note` leaves it."""
    model = SimpleNamespace(config=SimpleNamespace())
    assert arithmetic.note(model, bf16=begun == "bfloat16") == begun
    return model


@pytest.mark.parametrize("native", [False, True])
def test_the_reader_s_training_chooses_the_precision(native, monkeypatch):
    monkeypatch.setattr(numerics, "native_bfloat16", lambda: native)
    chosen = {p: arithmetic.bf16(with_precision(p)) for p in ("float32", "bfloat16", "auto")}
    assert chosen == {"float32": False, "bfloat16": True, "auto": native}
    # a model of others says nothing
    assert arithmetic.bf16(with_precision("auto"), SimpleNamespace(config=SimpleNamespace())) is native


def test_all_that_follows_has_the_reader_s_precision(monkeypatch):
    monkeypatch.setattr(numerics, "native_bfloat16", lambda: True)
    assert arithmetic.bf16(with_precision("auto"), reader("float32")) is False
    assert arithmetic.bf16(with_precision("auto"), reader("bfloat16")) is True
    monkeypatch.setattr(numerics, "native_bfloat16", lambda: False)
    assert arithmetic.bf16(with_precision("auto"), reader("float32")) is False
    # who asks for it by name gets it, slow or not
    assert arithmetic.bf16(with_precision("bfloat16"), reader("bfloat16")) is True
    with pytest.raises(DataError, match=r"^the reader was trained in bfloat16, which this machine lacks in hardware"):
        arithmetic.bf16(with_precision("auto"), reader("bfloat16"))


@pytest.mark.parametrize(("begun", "wanted"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_a_study_is_not_continued_in_another_precision(begun, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(numerics, "native_bfloat16", lambda: True)
    params = in_folder(with_precision(wanted), tmp_path)
    message = (
        f"^the reader was trained in {begun}, precision is {wanted}: a study is not continued in another precision"
    )
    monkeypatch.setattr(prepared, "read_parallel", lambda params: parallel_examples())
    samples.sample(params, 1)
    monkeypatch.setattr(models, "load_reader", lambda folder, seed: (reader(begun), None))
    for go_on in (lambda: arithmetic.bf16(params, reader(begun)), lambda: stages.train_student(params, "ce", 1)):
        with pytest.raises(DataError, match=message):
            go_on()
    assert not layout.student_folder(params, "ce", 1).exists()


def test_a_model_folder_tells_the_precision(tmp_path):
    encoder = tiny_model()
    arithmetic.note(encoder, bf16=True)
    encoder.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    model, _ = models.load_reader(tmp_path)
    assert model.config.trained_in == "bfloat16"
    assert arithmetic.bf16(with_precision("bfloat16"), model) is True
    with pytest.raises(DataError, match=r"^the reader was trained in bfloat16, precision is float32"):
        arithmetic.bf16(with_precision("float32"), model)
