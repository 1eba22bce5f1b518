"""The two losses: values worked out by hand, gradients, masks, and every refusal."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xqa_lib.losses import DIRECTIONS, kd_kl, span_cross_entropy

LOWEST = torch.finfo(torch.float32).min
# Distributions (1/2, 1/4, 1/4) and (1/4, 1/4, 1/2), up to a constant that softmax removes.
TEACHER = torch.tensor([[1 / 2, 1 / 4, 1 / 4]]).log() + 3.0
STUDENT = torch.tensor([[1 / 4, 1 / 4, 1 / 2]]).log() - 1.0


def double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # teacher (3/4, 1/4), student (1/2, 1/2)
        ({}, 0.75 * math.log(3 / 2) + 0.25 * math.log(1 / 2)),  # forward, 0.130812
        ({"direction": "reverse"}, 0.5 * math.log(2 / 3) + 0.5 * math.log(2)),  # 0.143841
        ({"direction": "symmetric"}, 0.130812 + 0.143841),
    ],
)
def test_kl_by_hand(options, expected):
    # and of a second example, where they agree
    student, teacher = double([0.0, 0.0], [1.0, 2.0]), double([math.log(3), 0.0], [1.0, 2.0])
    assert kd_kl(student, teacher, temperature=1.0, **options).tolist() == [pytest.approx(expected, abs=1e-6), 0.0]


@pytest.mark.parametrize("temperature", [0.5, 2.0, 18.0])
def test_temperature_softens_and_its_square_multiplies(temperature):
    # logits T * ln 3 and 0, divided by T, are the distribution (3/4, 1/4) again: T**2 alone is left
    student, teacher = double([0.0, 0.0]), double([temperature * math.log(3), 0.0])
    expected = temperature**2 * 0.13081203594113697
    assert kd_kl(student, teacher, temperature=temperature).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_zero_when_student_and_teacher_agree(direction):
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)) * 10
    assert kd_kl(logits, logits.clone(), temperature=2.0, direction=direction).tolist() == [0.0] * 5
    shifted = kd_kl(logits.double(), logits.double() + 4.0, temperature=2.0, direction=direction)
    assert shifted.abs().max() < 1e-12


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_teacher_matters_and_gets_no_gradient(direction):
    student = STUDENT.clone().requires_grad_()
    teacher = TEACHER.clone().requires_grad_()
    other = torch.tensor([[0.0, 5.0, 0.0]])
    loss = kd_kl(student, teacher, temperature=2.0, direction=direction)
    assert abs(loss.item() - kd_kl(student, other, temperature=2.0, direction=direction).item()) > 0.1
    loss.sum().backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0.01


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_gradient_of_forward_is_the_difference_of_the_distributions(temperature):
    generator = torch.Generator().manual_seed(1)
    student = torch.randn(3, 6, generator=generator, dtype=torch.float64).requires_grad_()
    teacher = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    kd_kl(student, teacher, temperature=temperature).sum().backward()
    expected = temperature * ((student / temperature).softmax(-1) - (teacher / temperature).softmax(-1))
    torch.testing.assert_close(student.grad, expected.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradient_agrees_with_differences(direction):
    student = torch.randn(2, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    teacher = torch.randn(2, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: kd_kl(s, teacher, temperature=3.0, direction=direction), student)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=1, max_size=12),
    st.sampled_from([0.5, 1.0, 2.0, 18.0]),
)
def test_against_plain_python(logits, temperature):
    def distribution(values):
        weights = [math.exp((v - max(values)) / temperature) for v in values]
        return [w / sum(weights) for w in weights]

    student, teacher = zip(*logits, strict=True)
    s, t = distribution(student), distribution(teacher)
    # weights can be e**-80 but not 0, so every logarithm exists
    forward = temperature**2 * math.fsum(b * math.log(b / a) for a, b in zip(s, t, strict=True))
    reverse = temperature**2 * math.fsum(a * math.log(a / b) for a, b in zip(s, t, strict=True))
    for direction, expected in (("forward", forward), ("reverse", reverse), ("symmetric", forward + reverse)):
        found = kd_kl(double(student), double(teacher), temperature=temperature, direction=direction).item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert found >= -1e-10


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    ("student_mask", "teacher_mask"),
    [(-math.inf, -math.inf), (LOWEST, LOWEST), (-math.inf, LOWEST), (LOWEST, -math.inf)],
)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_masked_positions_add_nothing(direction, student_mask, teacher_mask, temperature):
    student = torch.cat([STUDENT, torch.full((1, 4), student_mask)], dim=-1).requires_grad_()
    teacher = torch.cat([TEACHER, torch.full((1, 4), teacher_mask)], dim=-1)
    loss = kd_kl(student, teacher, temperature=temperature, direction=direction)
    short = STUDENT.clone().requires_grad_()
    expected = kd_kl(short, TEACHER, temperature=temperature, direction=direction)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    loss.sum().backward()
    expected.sum().backward()
    assert student.grad[0, 3:].tolist() == [0.0] * 4
    torch.testing.assert_close(student.grad[:, :3], short.grad)


def test_a_position_that_only_the_teacher_rules_out():
    # forward: 0 ln(0 / s) = 0, and (1, 0) against (1/2, 1/2) is ln 2; reverse is infinite, and says so
    student, teacher = double([0.0, 0.0]).requires_grad_(), double([0.0, -math.inf])
    forward = kd_kl(student, teacher, temperature=1.0)
    assert forward.item() == pytest.approx(math.log(2))
    forward.sum().backward()
    assert student.grad.tolist() == [[-0.5, 0.5]]
    assert kd_kl(student, teacher, temperature=1.0, direction="reverse").item() == math.inf


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_diverged_logits_are_not_hidden(direction):
    assert kd_kl(double([math.nan, 0.0]), double([0.0, 0.0]), temperature=1.0, direction=direction).isnan().item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_half_precision_is_computed_in_single(dtype, direction):
    # A KL of about 1e-4 over 300 tokens; in half precision rounding alone gives +-0.1 and negative values.
    generator = torch.Generator().manual_seed(5)
    teacher = torch.randn(16, 300, generator=generator).to(dtype)
    student = teacher + (0.03 * torch.randn(16, 300, generator=generator)).to(dtype)
    found = kd_kl(student, teacher, temperature=4.0, direction=direction)
    exact = kd_kl(student.double(), teacher.double(), temperature=4.0, direction=direction)
    assert found.dtype == torch.float32
    assert exact.min() > 1e-4
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_half_precision_masks(dtype, direction):
    # A student as sure as 100 and a teacher as unsure as 1 must not push the mask's number over the edge to infinity.
    lowest = torch.finfo(dtype).min
    student = torch.tensor([[100.0, 1.0, lowest]], dtype=dtype, requires_grad=True)
    loss = kd_kl(student, torch.tensor([[1.0, 2.0, lowest]], dtype=dtype), temperature=1.0, direction=direction)
    short = kd_kl(double([100, 1]), double([1, 2]), temperature=1.0, direction=direction)
    assert loss.item() == pytest.approx(short.item(), rel=1e-5)
    loss.sum().backward()
    assert student.grad.isfinite().all()
    assert student.grad[0, 2] == 0


@pytest.mark.parametrize(
    ("student_shape", "arguments", "message"),
    [
        ((2, 4), {"temperature": 1.0}, "logits differ in shape: student (2, 4), teacher (2, 3); do both use the same"),
        ((1, 3), {"temperature": 1.0}, "logits differ in shape: student (1, 3), teacher (2, 3)"),  # would broadcast
        ((2, 3), {"temperature": 0}, "temperature must be > 0 and finite, got 0"),
        ((2, 3), {"temperature": -2.0}, "temperature must be > 0 and finite, got -2.0"),
        ((2, 3), {"temperature": math.nan}, "temperature must be > 0 and finite, got nan"),
        ((2, 3), {"temperature": math.inf}, "temperature must be > 0 and finite, got inf"),
        ((2, 3), {"temperature": 1.0, "direction": "both"}, "direction must be one of forward, reverse, symmetric"),
    ],
)
def test_kl_errors(student_shape, arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        kd_kl(torch.zeros(student_shape), torch.zeros(2, 3), **arguments)


def test_cross_entropy_by_hand():
    # start: -ln of 1/4 and of 1/2; end: -ln of 1/2 and of 1/4; the mean of the two boundaries, per example
    start = torch.cat([STUDENT, TEACHER])
    end = torch.cat([TEACHER, STUDENT])
    losses = span_cross_entropy(start, end, torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert losses.tolist() == pytest.approx([(math.log(4) + math.log(2)) / 2] * 2, abs=1e-6)
    losses = span_cross_entropy(start, end, torch.tensor([2, 1]), torch.tensor([0, 0]))
    assert losses.tolist() == [pytest.approx(math.log(2), abs=1e-6), pytest.approx(math.log(4), abs=1e-6)]


def test_cross_entropy_gradient():
    start = STUDENT.double().requires_grad_()
    end = TEACHER.double().requires_grad_()
    span_cross_entropy(start, end, torch.tensor([2]), torch.tensor([1])).sum().backward()
    # (softmax - one-hot) / 2
    torch.testing.assert_close(start.grad, double([0.125, 0.125, -0.25]), rtol=0, atol=1e-6)
    torch.testing.assert_close(end.grad, double([0.25, -0.375, 0.125]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("mask", [-math.inf, LOWEST])
def test_cross_entropy_of_masked_logits(mask):
    padding = torch.full((1, 3), mask)
    start = torch.cat([STUDENT, padding], dim=-1).requires_grad_()
    end = torch.cat([TEACHER, padding], dim=-1).requires_grad_()
    loss = span_cross_entropy(start, end, torch.tensor([0]), torch.tensor([2]))
    assert loss.item() == pytest.approx(math.log(4), abs=1e-6)
    loss.sum().backward()
    for boundary in (start, end):
        assert boundary.grad.isfinite().all()
        assert boundary.grad[0, 3:].tolist() == [0.0] * 3


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_any_integer_positions(dtype):
    positions = torch.tensor([2], dtype=dtype)
    loss = span_cross_entropy(STUDENT, STUDENT, positions, positions)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cross_entropy_of_half_precision_is_computed_in_single(dtype):
    logits = torch.randn(4, 384, generator=torch.Generator().manual_seed(6)).to(dtype)
    positions = torch.arange(4)
    found = span_cross_entropy(logits, logits, positions, positions)
    assert found.dtype == torch.float32
    exact = span_cross_entropy(logits.double(), logits.double(), positions, positions)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"end_logits": torch.zeros(2, 4)}, "start logits (2, 3) and end logits (2, 4) differ"),
        ({"start_positions": torch.tensor([0, 3])}, "start positions must lie in [0, 3), got [0, 3]"),
        ({"start_positions": torch.tensor([0, -1])}, "start positions must lie in [0, 3), got [0, -1]"),
        # torch would skip this one in silence: it is its "ignore" index
        ({"end_positions": torch.tensor([-100, 1])}, "end positions must lie in [0, 3), got [-100, 1]"),
        ({"end_positions": torch.tensor([1, 3])}, "end positions must lie in [0, 3), got [1, 3]"),
    ],
)
def test_cross_entropy_errors(arguments, message):
    good = {name: torch.zeros(2, 3) for name in ("start_logits", "end_logits")}
    good |= {"start_positions": torch.tensor([0, 1]), "end_positions": torch.tensor([1, 2])}
    assert span_cross_entropy(**good).tolist() == [pytest.approx(math.log(3))] * 2
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        span_cross_entropy(**(good | arguments))
