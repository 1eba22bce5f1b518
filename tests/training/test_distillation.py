"""The training loss by hand, and whole runs of a tiny model: generations, log, seeds, padding, accumulation."""

import functools
import math
import re
from dataclasses import replace

import pytest
import torch
from torch.utils.data import SequentialSampler

from tests.builders import born, tiny_reader
from xqa_lib.data.squad_format import GoldAnswer
from xqa_lib.study.params import Features, load_params
from xqa_lib.training import trainer
from xqa_lib.training.dataset import PadToBatch, mask_tokens, training_features
from xqa_lib.training.distillation import set_hidden_dropout, train_reader
from xqa_lib.training.models import span_logits, weights_hash
from xqa_lib.training.teacher_logits import feature_id
from xqa_lib.training.tiny_encoder import train_tokenizer
from xqa_lib.training.trainer import distillation_loss

LOWEST = torch.finfo(torch.float32).min
LN2, LN3 = math.log(2), math.log(3)
PROFILE = load_params("embedded/smoke")  # every value that matters here is set below
NO_TEACHER = {"label": "CE", "alpha_ce": 1.0, "coefficient": None, "temperature": 1.0, "direction": "forward"}
PLAIN = replace(PROFILE.methods["ce"], **NO_TEACHER, k=10, window=5, weighting="batch")
PLAIN = replace(
    PROFILE.methods["ce"],
    label="CE",
    alpha_ce=1.0,
    coefficient=None,
    temperature=1.0,
    direction="forward",
    k=10,
    window=5,
    weighting="batch",
)
SKD = replace(PLAIN, label="SKD", coefficient="constant", temperature=2.0)
STEPS = {"epochs": 3, "batch_size": 2, "accumulation": 2, "learning_rate": 0.01, "warmup": 0.0}
RUN = replace(PROFILE.distillation, **STEPS, dropout=None, token_masking=0.0)
FEATURES = Features(max_length=40, stride=10, max_question_length=16)


EXAMPLES = [born(number) for number in range(12)]
TOKENIZER = train_tokenizer([e.context + e.question for e in EXAMPLES] * 3, vocabulary_size=90, max_length=64)


tiny_model = functools.partial(tiny_reader, len(TOKENIZER))


OPTIONS = ("steps", "first_teacher", "teacher_questions", "teacher_in_step", "features_folder", "bf16", "frozen")


def run(tmp_path, method, *, model=None, examples=EXAMPLES, generations=3, seed=1, **changes):
    """(hash before, hash after, log, generations) of one training run."""
    options = {name: changes.pop(name) for name in OPTIONS if name in changes}
    options |= {"generations": generations, "seed": seed, "output_dir": tmp_path}
    model = model or tiny_model()
    before = weights_hash(model)
    settings = {"features": FEATURES, "optimisation": replace(RUN, **changes), "method": method}
    log, teachers = train_reader(model, TOKENIZER, examples, **settings, **options)
    return before, weights_hash(model), log, teachers


@pytest.mark.parametrize("bf16", [True, False])
def test_how_a_student_was_trained_does_not_decide_how_it_is_read(tmp_path, bf16):
    model = tiny_model()
    run(tmp_path, PLAIN, model=model, generations=1, epochs=1, bf16=bf16)
    fresh = tiny_model()
    fresh.load_state_dict(model.state_dict())
    inputs = {name: torch.tensor([[1] * 12]) for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.inference_mode():
        found, expected = (span_logits(reader.eval(), inputs) for reader in (model, fresh))
    assert torch.equal(found[0], expected[0])


def hand_batch():
    """(student, teacher, start positions, end positions, values): two examples of two tokens, worked out below."""
    teacher_start = torch.tensor([[LN3, 0.0], [LN3, 0.0]])  # (3/4, 1/4) twice
    student_start = torch.tensor([[0.0, 0.0], [0.0, LN3]])  # (1/2, 1/2) and (1/4, 3/4)
    end = torch.tensor([[LN3, 0.0], [LN3, 0.0]])  # student and teacher agree
    student = (student_start.clone().requires_grad_(), end.clone().requires_grad_())
    values = {
        # start: ln 2 and ln(4/3); end: ln(4/3) both times
        "ce": [(LN2 + math.log(4 / 3)) / 2, math.log(4 / 3)],
        # start: 3/4 ln(3/2) - 1/4 ln 2 and 3/4 ln 3 - 1/4 ln 3; end: 0
        "kl": [(0.75 * math.log(1.5) - 0.25 * LN2) / 2, (0.5 * LN3) / 2],
    }
    return student, (teacher_start, end.clone()), torch.tensor([0, 1]), torch.tensor([0, 0]), values


def mean(values):
    return sum(values) / len(values)


# the teacher's best start is 0: right, wrong; its best end is 0: right, right
EXACT = replace(PLAIN, coefficient="reciprocal_rank_at_k", k=1)


@pytest.mark.parametrize(
    ("method", "coefficients", "weights"),
    [
        (EXACT, [1.0, 0.5], [0.75, 0.75]),
        (replace(EXACT, weighting="example"), [1.0, 0.5], [1.0, 0.5]),
        (replace(PLAIN, coefficient="constant"), [1.0, 1.0], [1.0, 1.0]),
    ],
)
def test_loss_by_hand(method, coefficients, weights):
    student, teacher, starts, ends, values = hand_batch()
    loss, parts = distillation_loss(student, teacher, starts, ends, method)
    weighted = mean([weight * kl for weight, kl in zip(weights, values["kl"], strict=True)])
    assert loss.item() == pytest.approx(mean(values["ce"]) + weighted, abs=1e-6)
    assert loss.shape == ()
    # what is logged are unweighted means
    expected = {"ce": mean(values["ce"]), "kl": mean(values["kl"]), "coefficient": mean(coefficients)}
    assert {name: value.item() for name, value in parts.items()} == pytest.approx(expected, abs=1e-6)


def test_without_cross_entropy():
    student, teacher, starts, ends, values = hand_batch()
    method = replace(PLAIN, coefficient="constant", alpha_ce=0.0)
    loss, parts = distillation_loss(student, teacher, starts, ends, method)
    assert loss.item() == pytest.approx(mean(values["kl"]), abs=1e-6)
    assert parts["ce"].item() == pytest.approx(mean(values["ce"]), abs=1e-6)  # logged all the same
    loss.backward()
    # student minus teacher distribution, over two boundaries and two examples
    torch.testing.assert_close(student[0].grad, torch.tensor([[-0.25, 0.25], [-0.5, 0.5]]) / 4)
    assert student[1].grad.abs().max() < 1e-7


def test_without_a_teacher():
    student, _, starts, ends, values = hand_batch()
    loss, parts = distillation_loss(student, None, starts, ends, replace(PLAIN, alpha_ce=0.5))
    assert set(parts) == {"ce"}
    assert loss.item() == pytest.approx(0.5 * mean(values["ce"]), abs=1e-6)


def test_temperature_and_direction_reach_the_loss():
    student, teacher, starts, ends, values = hand_batch()
    # reverse: 1/2 ln(2/3) + 1/2 ln 2 and, by symmetry, 1/2 ln 3 again
    reverse = replace(PLAIN, coefficient="constant", alpha_ce=0.0, direction="reverse")
    expected = mean([(0.5 * math.log(2 / 3) + 0.5 * LN2) / 2, (0.5 * LN3) / 2])
    assert distillation_loss(student, teacher, starts, ends, reverse)[0].item() == pytest.approx(expected, abs=1e-6)
    # twice the logits at twice the temperature: the same distributions, four times the loss
    twice = [tuple(2 * logits for logits in boundaries) for boundaries in (student, teacher)]
    warm = replace(PLAIN, coefficient="constant", alpha_ce=0.0, temperature=2.0)
    assert distillation_loss(*twice, starts, ends, warm)[0].item() == pytest.approx(4 * mean(values["kl"]), abs=1e-6)


def test_k_and_window_reach_the_coefficient():
    logits = (torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]]),) * 2
    starts, ends = torch.tensor([4]), torch.tensor([5])
    method = replace(PLAIN, coefficient="windowed_reciprocal_rank")
    for k, window, expected in ((10, 5, 1.0), (10, 1, (1 / 4 + 1 / 5) / 2), (4, 1, 1 / 8), (3, 1, 0.0)):
        _, parts = distillation_loss(logits, logits, starts, ends, replace(method, k=k, window=window))
        assert parts["coefficient"].item() == pytest.approx(expected, abs=1e-6)


def test_nothing_flows_into_the_teacher():
    student, teacher, starts, ends, _ = hand_batch()
    teacher = tuple(logits.requires_grad_() for logits in teacher)
    loss, parts = distillation_loss(student, teacher, starts, ends, EXACT)
    loss.backward()
    assert [logits.grad for logits in teacher] == [None, None]
    assert not any(value.requires_grad for value in parts.values())
    assert student[0].grad.abs().max() > 0.01


def test_training_features():
    two_answers = replace(EXAMPLES[2], answers=(GoldAnswer("Anna", 0), GoldAnswer("北京", 17)))
    data = training_features(TOKENIZER, [EXAMPLES[0], two_answers], FEATURES)
    columns = {"input_ids", "token_type_ids", "start_positions", "end_positions", "length", "feature_id", "example"}
    assert set(data.column_names) == columns
    assert data["example"] == [0, 1]
    assert data[0]["input_ids"] == TOKENIZER(EXAMPLES[0].question, EXAMPLES[0].context)["input_ids"]
    for row, answer in zip(data, ("Rome", "Anna"), strict=True):  # of two answers the first is the label
        assert row["feature_id"] == feature_id(row["input_ids"], row["token_type_ids"])
        assert row["length"] == len(row["input_ids"]) == len(row["token_type_ids"])
        labelled = row["input_ids"][row["start_positions"] : row["end_positions"] + 1]
        assert labelled == TOKENIZER(answer, add_special_tokens=False)["input_ids"]


def test_windows_without_the_answer_are_labelled_cls():
    data = training_features(TOKENIZER, EXAMPLES, replace(FEATURES, max_length=16, max_question_length=8, stride=3))
    assert len(data) > len(EXAMPLES)
    labels = set(zip(data["start_positions"], data["end_positions"], strict=True))
    assert (0, 0) in labels
    assert all(0 <= start <= end for start, end in labels)
    assert max(data["length"]) == 16


def test_pad_to_batch_values():
    rows = [
        {"input_ids": [2, 9, 3], "token_type_ids": [0, 0, 1], "start_positions": 1, "end_positions": 2, "example": 7},
        {"input_ids": [2, 3], "token_type_ids": [0, 1], "start_positions": 0, "end_positions": 0, "example": 6},
    ]
    batch = PadToBatch(TOKENIZER)([row | {"feature_id": 5, "length": len(row["input_ids"])} for row in rows])
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[2, 9, 3], [2, 3, TOKENIZER.pad_token_id]],
        "token_type_ids": [[0, 0, 1], [0, 1, 0]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
        "start_positions": [1, 0],
        "end_positions": [2, 0],
        "feature_id": [5, 5],
        "example": [7, 6],
    }
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def batch_of(*numbers, padding=0):
    """A batch of one-window examples, with `padding` more padding than it needs."""
    data = training_features(TOKENIZER, [EXAMPLES[number] for number in numbers], FEATURES)
    assert len(data) == len(numbers)
    batch = PadToBatch(TOKENIZER)(list(data))
    for name, value in (("input_ids", TOKENIZER.pad_token_id), ("token_type_ids", 0), ("attention_mask", 0)):
        batch[name] = torch.nn.functional.pad(batch[name], (0, padding), value=value)
    return batch


@torch.no_grad()
def test_span_logits_mask_padding_and_nothing_else():
    batch = batch_of(0, 2)
    start, end = span_logits(tiny_model().eval(), batch)
    padding = batch["attention_mask"] == 0
    assert padding.any()
    for logits in (start, end):
        assert logits.dtype == torch.float32
        assert (logits[padding] == LOWEST).all()
        assert logits[~padding].abs().max() < 100


@torch.no_grad()
def test_span_logits_pass_type_ids_to_models_that_have_them():
    batch = batch_of(0, 2)
    other = {**batch, "token_type_ids": 1 - batch["token_type_ids"]}
    with_types, without = tiny_model().eval(), tiny_model(type_vocab_size=1).eval()
    assert not torch.equal(span_logits(with_types, batch)[0], span_logits(with_types, other)[0])
    assert torch.equal(span_logits(without, batch)[0], span_logits(without, other)[0])


@torch.no_grad()
def test_span_logits_of_a_model_that_is_wrapped_for_several_devices():
    model, batch = tiny_model().eval(), batch_of(0, 2)
    wrapped = torch.nn.DataParallel(model)
    assert torch.equal(span_logits(wrapped, batch)[0], span_logits(model, batch)[0])


@pytest.mark.parametrize("coefficient", ["windowed_reciprocal_rank", "average_precision_at_k"])
def test_the_loss_does_not_depend_on_padding(coefficient):
    student, teacher = tiny_model().eval(), tiny_model(seed=5).eval()
    method = replace(SKD, coefficient=coefficient, weighting="example")

    def loss(batch):
        with torch.no_grad():
            logits = span_logits(teacher, batch)
        student.zero_grad()
        positions = batch["start_positions"], batch["end_positions"]
        value, parts = distillation_loss(span_logits(student, batch), logits, *positions, method)
        value.backward()
        return value.item(), parts, torch.cat([weights.grad.flatten() for weights in student.parameters()])

    together, parts, gradient = loss(batch_of(0, 1, 2, 5))
    assert parts["kl"] > 0.01
    assert gradient.abs().max() > 0.01
    padded, padded_parts, padded_gradient = loss(batch_of(0, 1, 2, 5, padding=17))
    assert padded == pytest.approx(together, abs=1e-5)
    torch.testing.assert_close(padded_gradient, gradient, rtol=0, atol=1e-5)
    for name, value in parts.items():
        assert padded_parts[name].item() == pytest.approx(value.item(), abs=1e-5)
    assert mean([loss(batch_of(number))[0] for number in (0, 1, 2, 5)]) == pytest.approx(together, abs=1e-5)


@pytest.fixture(scope="module")
def skd_run(tmp_path_factory):
    """A run of three generations, one epoch each, and what its student and its teachers were like at every batch."""
    seen = []
    original = trainer.span_logits

    def spy(model, inputs):
        trainable = any(parameter.requires_grad for parameter in model.parameters())
        seen.append((model.training, trainable, torch.is_grad_enabled()))
        return original(model, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "span_logits", spy)
        result = run(tmp_path_factory.mktemp("skd"), SKD, teacher_in_step=True)
    return (*result, seen)


def test_generations_are_a_chain(skd_run):
    before, after, _, generations, _ = skd_run
    assert [generation["generation"] for generation in generations] == [1, 2, 3]
    assert generations[0]["teacher_weights"] == before
    assert generations[1]["teacher_weights"] == generations[0]["student_weights"]
    assert generations[2]["teacher_weights"] == generations[1]["student_weights"]
    assert generations[2]["student_weights"] == after
    assert len({before, *(generation["student_weights"] for generation in generations)}) == 4


def test_one_log_row_for_each_optimiser_step(skd_run):
    log = skd_run[2]
    # 12 windows, 2 a batch, 2 batches a step: 3 steps an epoch
    assert [row["step"] for row in log] == list(range(1, 10))
    assert [row["generation"] for row in log] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [row["epoch"] for row in log] == pytest.approx([step / 3 for step in range(1, 10)])
    names = {"step", "epoch", "generation", "loss", "ce", "kl", "coefficient", "learning_rate", "grad_norm", "tokens"}
    assert all(set(row) == names for row in log)
    # linear, without warm-up, across the generations
    assert [row["learning_rate"] for row in log] == pytest.approx([0.01 * (9 - step) / 9 for step in range(9)])
    assert {row["coefficient"] for row in log} == {1.0}
    assert [row["loss"] for row in log] == pytest.approx([row["ce"] + row["kl"] for row in log], abs=1e-5)
    assert log[-1]["ce"] < log[0]["ce"]


def test_real_tokens_are_counted_and_padding_is_not(tmp_path):
    lengths = training_features(TOKENIZER, EXAMPLES, FEATURES)["length"]
    assert len(set(lengths)) > 3  # so that batches are padded
    _, _, log, _ = run(tmp_path, SKD, batch_size=5, teacher_in_step=True)
    tokens = [row["tokens"] for row in log]
    assert tokens[-1] == sum(lengths) * 3  # what the teacher reads is no part of it
    assert [tokens[len(log) // 3 * epoch - 1] for epoch in (1, 2)] == [sum(lengths), sum(lengths) * 2]
    assert tokens == sorted(set(tokens))


@pytest.mark.slow
def test_frozen_word_embeddings_stay_as_they_were_and_have_no_optimiser_state(tmp_path, monkeypatch):
    states = []
    original = torch.optim.AdamW.step

    def step(self, *arguments, **options):
        found = original(self, *arguments, **options)
        states.append({id(weights) for weights in self.state})
        return found

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    name = "bert.embeddings.word_embeddings.weight"
    model, free = tiny_model(), tiny_model()
    before = {key: weights.clone() for key, weights in model.state_dict().items()}
    run(tmp_path / "frozen", SKD, model=model, frozen=True)
    after = model.state_dict()
    assert torch.equal(after[name], before[name])
    assert [key for key in before if torch.equal(after[key], before[key])] == [name]
    weights = dict(model.named_parameters())
    assert all(kept == {id(weights[key]) for key in weights if key != name} for kept in states)
    assert len(states) == 9
    run(tmp_path / "free", SKD, model=free)
    assert not torch.equal(free.state_dict()[name], before[name])


def test_student_and_teacher_agree_when_a_generation_begins_and_not_later(skd_run):
    kl = [row["kl"] for row in skd_run[2]]
    assert [kl[step] for step in (0, 3, 6)] == pytest.approx([0.0] * 3, abs=1e-6)
    assert all(kl[step] > 1e-4 for step in (1, 2, 4, 5, 7, 8))


def test_the_teacher_is_frozen_and_the_student_is_not(skd_run):
    seen = skd_run[4]
    students, teachers = seen[::2], seen[1::2]
    assert len(students) == len(teachers) == 18  # 6 batches, 3 epochs
    assert set(students) == {(True, True, True)}  # training mode, trainable, with gradient
    assert set(teachers) == {(False, False, False)}


def test_mask_tokens_hides_a_share_of_the_words_and_no_special_token():
    special = [TOKENIZER.cls_token_id, TOKENIZER.sep_token_id, TOKENIZER.pad_token_id]
    words = torch.full((100, 50), len(TOKENIZER) - 1)
    ids = torch.cat([torch.tensor(special).expand(100, 3), words], dim=1)
    inputs = {"input_ids": ids.clone(), "attention_mask": torch.ones_like(ids)}
    torch.manual_seed(0)
    masked = mask_tokens(inputs, 0.2, TOKENIZER)
    assert torch.equal(inputs["input_ids"], ids)
    assert masked["attention_mask"] is inputs["attention_mask"]
    changed = masked["input_ids"] != ids
    assert (masked["input_ids"][changed] == TOKENIZER.mask_token_id).all()
    assert not changed[:, :3].any()
    assert changed[:, 3:].float().mean().item() == pytest.approx(0.2, abs=0.02)  # 5,000 draws
    assert not torch.equal(mask_tokens(inputs, 0.2, TOKENIZER)["input_ids"], masked["input_ids"])  # drawn anew
    assert mask_tokens(inputs, 0.0, TOKENIZER) is inputs


def test_mask_tokens_needs_a_mask_token():
    class Maskless:
        mask_token_id = None

    with pytest.raises(ValueError, match="no mask token; set it to 0"):
        mask_tokens({"input_ids": torch.ones(1, 1)}, 0.1, Maskless())


@pytest.mark.slow
def test_words_are_hidden_from_the_student_and_not_from_the_teacher(tmp_path):
    # as with dropout, the two then differ from the first step of a generation on
    _, plain, log, _ = run(tmp_path, SKD)
    assert log[0]["kl"] == pytest.approx(0, abs=1e-5)
    before, masked, log, teachers = run(tmp_path, SKD, token_masking=0.5)
    assert masked != plain
    assert log[0]["kl"] > 1e-3
    assert teachers[0]["teacher_weights"] == before
    # the stored logits are those of the whole text, and so are those of a teacher that is asked in every step
    asked = run(tmp_path, SKD, token_masking=0.5, teacher_in_step=True)[2]
    assert asked[0]["kl"] == pytest.approx(log[0]["kl"], rel=1e-2)


def test_cross_entropy_has_no_teacher(tmp_path, monkeypatch):
    calls = []
    original = trainer.span_logits
    monkeypatch.setattr(trainer, "span_logits", lambda *a: (calls.append(a[0]), original(*a))[1])
    before, after, log, generations = run(tmp_path, PLAIN, epochs=2, generations=1)
    assert generations == [{"generation": 1, "teacher_weights": None, "student_weights": after}]
    assert after != before
    assert len(log) == 6
    assert not any({"kl", "coefficient"} & set(row) for row in log)
    assert all(row["loss"] == pytest.approx(row["ce"], abs=1e-5) for row in log)
    assert len(calls) == 12  # the student's 6 batches in 2 epochs, and no others
    assert len(set(map(id, calls))) == 1


@pytest.mark.slow
def test_generations_of_several_epochs_and_a_fixed_teacher(tmp_path):
    before, _, log, generations = run(tmp_path / "two", SKD, epochs=4, generations=2)
    assert [row["generation"] for row in log] == [1] * 6 + [2] * 6
    assert generations[0]["teacher_weights"] == before
    assert generations[1]["teacher_weights"] == generations[0]["student_weights"] != before
    _, after, log, generations = run(tmp_path / "one", SKD, epochs=2, generations=1)
    assert generations == [{"generation": 1, "teacher_weights": before, "student_weights": after}]
    assert [row["kl"] > 1e-4 for row in log] == [False] + [True] * 5


def test_epochs_that_end_with_half_a_step(tmp_path):
    # 10 windows, 2 a batch, 2 batches a step: the third step of an epoch has one batch; it must not leak into the next
    _, _, log, generations = run(tmp_path, SKD, examples=EXAMPLES[:10])
    assert [row["step"] for row in log] == list(range(1, 10))
    assert [row["generation"] for row in log] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [generations[0]["student_weights"], generations[1]["student_weights"]] == [
        generation["teacher_weights"] for generation in generations[1:]
    ]
    for row in log:
        assert row["loss"] == pytest.approx(row["ce"] + row["kl"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "begins"), [(9, [1, 4, 7]), (10, [1, 4, 7]), (5, [1, 2, 4])])
def test_a_run_of_so_many_steps(tmp_path, steps, begins):
    before, after, log, generations = run(tmp_path, SKD, steps=steps, epochs=1)
    assert [row["step"] for row in log] == list(range(1, steps + 1))
    numbers = [row["generation"] for row in log]
    assert [numbers.index(number) + 1 for number in (1, 2, 3)] == begins
    assert len(generations) == 3
    assert [row["kl"] for row in log if row["step"] in begins] == pytest.approx([0.0] * 3, abs=1e-6)
    assert generations[0]["teacher_weights"] == before
    assert generations[-1]["student_weights"] == after
    # the schedule ends with the steps, too
    assert log[-1]["learning_rate"] == pytest.approx(0.01 / steps)


def test_a_first_teacher_that_is_not_the_student(tmp_path):
    teacher = tiny_model(seed=5)
    _, _, log, generations = run(tmp_path, SKD, first_teacher=teacher)
    assert generations[0]["teacher_weights"] == weights_hash(teacher)
    assert generations[1]["teacher_weights"] == generations[0]["student_weights"]
    assert log[0]["kl"] > 1e-3
    assert log[3]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert not any(parameter.grad is not None for parameter in teacher.parameters())


@pytest.mark.slow
def test_every_epoch_has_every_window_once_in_an_order_of_its_own(tmp_path, monkeypatch):
    letters = "AWahbn"  # six questions of one token each
    ids = sorted(token for (token,) in TOKENIZER(list(letters), add_special_tokens=False)["input_ids"])
    examples = [replace(EXAMPLES[0], question=letter, id=letter) for letter in letters]
    seen = []
    original = trainer.span_logits

    def spy(model, inputs):
        seen.extend(inputs["input_ids"][:, 1].tolist())
        return original(model, inputs)

    monkeypatch.setattr(trainer, "span_logits", spy)
    for seed in (1, 1, 2):
        run(tmp_path, PLAIN, examples=examples, generations=1, seed=seed, accumulation=1)
    epochs = [seen[first : first + 6] for first in range(0, len(seen), 6)]
    assert len(epochs) == 9
    assert all(sorted(epoch) == ids for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert epochs[:3] == epochs[3:6] != epochs[6:]


@pytest.mark.slow
def test_the_seed_also_draws_the_dropout(tmp_path):
    once, again, other = (
        run(tmp_path / str(n), SKD, model=tiny_model(dropout=0.2), seed=seed, epochs=1, generations=1)
        for n, seed in enumerate((3, 3, 4))
    )
    assert once[1:] == again[1:]
    assert once[1] != other[1]


@pytest.mark.slow
@pytest.mark.parametrize("method", [PLAIN, replace(SKD, coefficient="windowed_reciprocal_rank", weighting="example")])
def test_accumulation_is_a_larger_batch(tmp_path, monkeypatch, method):
    # in the order of the data, so that the windows of a step are the same
    monkeypatch.setattr(trainer.DistillationTrainer, "_get_train_sampler", lambda self, data: SequentialSampler(data))
    one, two = (
        run(tmp_path / f"{parts}", method, batch_size=4 // parts, accumulation=parts, epochs=3)[2] for parts in (1, 2)
    )
    # the first step to rounding; Adam, which divides by the size of the gradient, then makes rounding grow a little
    assert [row["step"] for row in one] == [row["step"] for row in two] == list(range(1, 10))
    for name in ("loss", "ce", "grad_norm"):
        assert one[0][name] == pytest.approx(two[0][name], abs=1e-5)
    for name in ("loss", "ce"):
        assert [row[name] for row in one] == pytest.approx([row[name] for row in two], abs=1e-3)


def dropouts(model):
    return {name: module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout)}


@pytest.mark.slow
def test_dropout_of_a_run(tmp_path):
    layer = "bert.encoder.layer.0"
    names = (f"{layer}.attention.self.dropout", f"{layer}.attention.output.dropout", f"{layer}.output.dropout")
    model = tiny_model(dropout=0.2)
    assert dropouts(model) == dict.fromkeys(("bert.embeddings.dropout", *names), 0.2)
    set_hidden_dropout(model, 0.3)
    # the attention weights keep theirs
    assert dropouts(model) == {"bert.embeddings.dropout": 0.3, names[0]: 0.2, names[1]: 0.3, names[2]: 0.3}
    model = tiny_model()
    _, _, log, _ = run(tmp_path / "with", SKD, model=model, epochs=1, generations=1, dropout=0.2)
    assert log[0]["kl"] > 1e-4
    assert dropouts(model)["bert.embeddings.dropout"] == 0.2
    model = tiny_model(dropout=0.2)
    run(tmp_path / "as configured", SKD, model=model, epochs=1, generations=1, dropout=None)
    assert set(dropouts(model).values()) == {0.2}


@pytest.mark.parametrize(
    ("examples", "changes", "message"),
    [
        ([], {}, "no training examples; is the sampled set empty?"),
        (EXAMPLES, {"epochs": 2}, "2 epochs cannot be shared out among 3 generations"),
        (EXAMPLES, {"steps": 2}, "2 steps cannot be shared out among 3 generations"),
    ],
)
def test_errors(tmp_path, examples, changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run(tmp_path, SKD, examples=examples, **changes)
