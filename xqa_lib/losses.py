"""The two terms of the paper's loss, per example: L = alpha_CE * L_CE + alpha_KL * L_KL."""

import torch

DIRECTIONS = ("forward", "reverse", "symmetric")


def _at_least_float32(logits):
    # In half precision a KL of 1e-4 drowns in rounding errors of 1e-1 and may come out negative.
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _divergence(log_p, log_q):
    """KL(p || q) over the last dimension from log-probabilities; a position that p gives nothing adds nothing."""
    p = log_p.exp()
    # 0 * log(0 / q) = 0 by convention, but 0 * -inf would be NaN
    return (p * (log_p - log_q).masked_fill(p == 0, 0.0)).sum(-1)


def kd_kl(student_logits, teacher_logits, *, temperature, direction="forward"):
    """KL divergence between softened position distributions, per example.

    forward = KL(teacher || student), the paper's; reverse = KL(student || teacher); symmetric = their sum, as in the
    paper's code. Multiplied by temperature**2 so that gradients keep their size when the temperature changes (Hinton
    et al. 2015, section 2). Positions that are masked out (-inf, or the dtype's lowest number) in both add nothing.
    Computed in float32 if the logits are of half precision.

    Args:
        student_logits: (B, L) float, one score per token; gradient flows.
        teacher_logits: (B, L) float, same tokens in the same order; detached here.
        temperature: > 0, no unit.
        direction: "forward", "reverse" or "symmetric".

    Returns:
        (B,) float, nats. The caller weights and averages.

    Raises:
        ValueError: unequal shapes, temperature <= 0 or not finite, unknown direction.
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"logits differ in shape: student {tuple(student_logits.shape)}, teacher {tuple(teacher_logits.shape)}; "
            "do both use the same features?"
        )
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    log_student = torch.log_softmax(_at_least_float32(student_logits) / temperature, dim=-1)
    log_teacher = torch.log_softmax(_at_least_float32(teacher_logits.detach()) / temperature, dim=-1)
    total = 0.0
    if direction != "reverse":
        total = total + _divergence(log_teacher, log_student)
    if direction != "forward":
        total = total + _divergence(log_student, log_teacher)
    return temperature**2 * total


def span_cross_entropy(start_logits, end_logits, start_positions, end_positions):
    """Mean of the start and the end cross-entropy, per example (L_CE of the paper).

    Args:
        start_logits, end_logits: (B, L) float, padding already masked out.
        start_positions, end_positions: (B,) integer token positions in [0, L); 0 ([CLS]) where a window holds no
            answer.

    Returns:
        (B,) float, nats.

    Raises:
        ValueError: logits of unequal shape, or a position outside [0, L).
    """
    if start_logits.shape != end_logits.shape:
        raise ValueError(f"start logits {tuple(start_logits.shape)} and end logits {tuple(end_logits.shape)} differ")
    length = start_logits.shape[-1]
    for name, positions in (("start", start_positions), ("end", end_positions)):
        if positions.numel() and (positions.min() < 0 or positions.max() >= length):
            raise ValueError(f"{name} positions must lie in [0, {length}), got {positions.tolist()}")
    start = torch.nn.functional.cross_entropy(_at_least_float32(start_logits), start_positions.long(), reduction="none")
    end = torch.nn.functional.cross_entropy(_at_least_float32(end_logits), end_positions.long(), reduction="none")
    return (start + end) / 2
