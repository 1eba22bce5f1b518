"""The teacher's view: the same passage tokens at other positions, and nothing compared but these."""

from dataclasses import replace

import pytest
import torch

from tests.training.test_distillation import EXAMPLES, FEATURES, LOWEST, SKD, TOKENIZER, run, tiny_model
from xqa_lib.losses import kd_kl
from xqa_lib.training import trainer
from xqa_lib.training.dataset import PadToBatch, training_features
from xqa_lib.training.models import span_logits
from xqa_lib.training.parallel_view import COLUMNS, align, teacher_columns
from xqa_lib.training.trainer import distillation_loss, read_teacher

LONG = "Where was Anna born in Rome Paris?"


def features_of(examples, questions, features=FEATURES):
    data = training_features(TOKENIZER, examples, features)
    columns, agreeing = teacher_columns(TOKENIZER, examples, questions, features)
    for name, values in columns.items():
        data = data.add_column(name, values)
    return data, agreeing


def test_the_teacher_reads_the_other_question_before_the_same_passage():
    data, agreeing = features_of([EXAMPLES[0]], [LONG])
    (row,) = data
    assert agreeing == 1
    assert set(COLUMNS) <= set(row)
    assert row["teacher_input_ids"] == TOKENIZER(LONG, EXAMPLES[0].context)["input_ids"]
    shift = row["teacher_shift"]
    assert shift == len(row["teacher_input_ids"]) - len(row["input_ids"]) > 0
    passage = row["input_ids"][row["context_first"] : row["context_last"] + 1]
    assert passage == TOKENIZER(EXAMPLES[0].context, add_special_tokens=False)["input_ids"]
    assert row["teacher_input_ids"][row["context_first"] + shift : row["context_last"] + shift + 1] == passage


def test_logits_are_moved_to_the_student_s_positions():
    inputs = {
        "input_ids": torch.zeros(2, 5, dtype=torch.long),
        "teacher_shift": torch.tensor([2, 0]),
        "context_first": torch.tensor([2, 1]),
        "context_last": torch.tensor([3, 4]),
    }
    logits = torch.tensor([[9.0, 1, 2, 3, 4, 5, 6], [9.0, 1, 2, 3, 4, 0, 0]])
    assert align(logits, inputs).tolist() == [[9, LOWEST, 4, 5, LOWEST], [9, 1, 2, 3, 4]]


def test_windows_that_do_not_agree_are_read_alike():
    tight = replace(FEATURES, max_length=16, max_question_length=8, stride=3)
    data, agreeing = features_of([EXAMPLES[2]], [LONG], tight)
    assert len(data) > 1
    assert agreeing < len(data)
    alike = [row for row in data if row["teacher_shift"] == 0 and row["context_first"] == 1]
    assert len(alike) == len(data) - agreeing
    assert all(row["teacher_input_ids"] == row["input_ids"] for row in alike)
    assert all(row["context_last"] == len(row["input_ids"]) - 1 for row in alike)


def test_the_same_question_is_the_same_view():
    examples = EXAMPLES[:4]
    data, agreeing = features_of(examples, [example.question for example in examples])
    assert agreeing == 0
    batch, teacher = PadToBatch(TOKENIZER)(list(data)), tiny_model(seed=5).eval()
    logits, compared = read_teacher(teacher, batch)
    assert compared.tolist() == batch["attention_mask"].bool().tolist()
    with torch.no_grad():
        plain = span_logits(teacher, batch)
    torch.testing.assert_close(logits[0], plain[0])
    torch.testing.assert_close(logits[1], plain[1])


@pytest.mark.parametrize("direction", ["forward", "reverse", "symmetric"])
def test_only_shared_positions_are_compared(direction):
    data, _ = features_of([EXAMPLES[0], EXAMPLES[2]], [LONG, EXAMPLES[2].question])
    batch, teacher, student = PadToBatch(TOKENIZER)(list(data)), tiny_model(seed=5).eval(), tiny_model().eval()
    logits, compared = read_teacher(teacher, batch)
    first, last = data[0]["context_first"], data[0]["context_last"]
    assert compared[0].nonzero().flatten().tolist() == [0, *range(first, last + 1)]
    own = tuple(part.detach().requires_grad_() for part in span_logits(student, batch))
    method = replace(SKD, direction=direction, alpha_ce=0.0)
    positions = batch["start_positions"], batch["end_positions"]
    loss, _ = distillation_loss(own, logits, *positions, method, compared=compared)
    loss.backward()
    assert 0 < loss.item() < 100
    for part in own:
        assert part.grad[~compared].abs().max() == 0
        assert part.grad[compared].abs().max() > 0
    # by hand: the same divergence over the shared positions alone
    by_hand = [
        kd_kl(a[row : row + 1, shared], b[row : row + 1, shared], temperature=2.0, direction=direction).item()
        for a, b in zip(own, logits, strict=True)
        for row, shared in enumerate(compared)
    ]
    assert loss.item() == pytest.approx(sum(by_hand) / 4, rel=1e-4)


def test_a_run_reads_the_teacher_s_questions(tmp_path, monkeypatch):
    seen = []
    original = trainer.read_teacher
    monkeypatch.setattr(
        trainer, "read_teacher", lambda t, b: (seen.append(b["teacher_input_ids"].shape), original(t, b))[1]
    )
    _, _, log, _ = run(tmp_path, SKD, epochs=1, generations=1, teacher_questions=[LONG] * len(EXAMPLES))
    assert len(seen) == 6
    assert log[0]["kl"] > 1e-4  # the teacher reads another question, so that equal models differ at once
