"""How well a teacher ranks the truth: the adaptive weight alpha_KL of the distillation loss, without gradient.

All functions share one interface, so that the trainer and the ablations can exchange them:
(teacher_logits (B, L), positions (B,)) -> (B,) in [0, 1], for one boundary (start or end). A position is *right* if it
lies in [gold - window, gold + window). Positions masked out (-inf, or the dtype's lowest number) are never ranked.

The paper calls its score average precision (mAP@k); its released code computes the reciprocal rank of the first right
position. Both are here: `windowed_reciprocal_rank` (the default, to reproduce the paper) and `average_precision_at_k`.
"""

import torch


def _right_by_rank(teacher_logits, positions, k, window):
    """(B, min(k, L)) bool: is the position at rank r right; and (B,): how many right positions can be ranked at all."""
    if teacher_logits.dim() != 2 or positions.shape != teacher_logits.shape[:1]:
        raise ValueError(
            f"expected teacher logits (B, L) and positions (B,), got {tuple(teacher_logits.shape)} and "
            f"{tuple(positions.shape)}"
        )
    if k < 1 or window < 0:
        raise ValueError(f"expected k >= 1 and window >= 0, got k = {k}, window = {window}")
    length = teacher_logits.shape[-1]
    if positions.numel() and (positions.min() < 0 or positions.max() >= length):
        raise ValueError(f"positions must lie in [0, {length}), got {positions.tolist()}")
    logits = teacher_logits.detach()
    rankable = logits > torch.finfo(logits.dtype).min / 2
    gold = positions.unsqueeze(-1)
    token = torch.arange(length, device=logits.device)
    # window 0 stands for the exact position, which the half-open interval would leave empty
    right = (token == gold) if window == 0 else (token >= gold - window) & (token < gold + window)
    right = right & rankable
    # A stable sort, not topk: equal logits keep their order, so the coefficient is the same on every device.
    order = torch.sort(logits, dim=-1, descending=True, stable=True).indices[:, :k]
    return right.gather(-1, order), right.sum(-1)


def windowed_reciprocal_rank(teacher_logits, positions, *, k=10, window=5):
    """1 / rank of the first right position among the teacher's k best, 0 if none: the paper's released "mAP@k".

    Args:
        teacher_logits: (B, L) float, one score per token.
        positions: (B,) integer gold token positions.
        k: how many of the best positions count; if L < k, all of them.
        window: half-width in tokens of the interval [gold - window, gold + window) of right positions.

    Returns:
        (B,) float32 in {0, 1/k, ..., 1/2, 1}.

    Raises:
        ValueError: shapes that do not fit, k < 1, window < 0, positions outside the sequence.
    """
    right, _ = _right_by_rank(teacher_logits, positions, k, window)
    rank = torch.arange(1, right.shape[-1] + 1, device=right.device, dtype=torch.float32)
    return (right.float() / rank).amax(-1)


def average_precision_at_k(teacher_logits, positions, *, k=10, window=5):
    """Average precision at k with the right positions as the relevant items: what the paper's text defines.

    AP@k = sum over ranks r <= k of precision(r) * right(r), divided by min(k, number of right positions in the
    sequence): 1 exactly when the best ranks are all right. Arguments, result and errors as
    `windowed_reciprocal_rank`.
    """
    right, available = _right_by_rank(teacher_logits, positions, k, window)
    rank = torch.arange(1, right.shape[-1] + 1, device=right.device, dtype=torch.float32)
    precision = right.float().cumsum(-1) / rank
    return (precision * right).sum(-1) / available.clamp(min=1, max=k)


def reciprocal_rank_at_k(teacher_logits, positions, *, k=10):
    """1 / rank of the exact gold position among the teacher's k best, 0 if it is not there (its mean is MRR@k)."""
    return windowed_reciprocal_rank(teacher_logits, positions, k=k, window=0)


def constant(teacher_logits, positions, *, k=10, window=5):
    """1 for every example: plain self-distillation (SKD). `k` and `window` are unused; the interface is shared."""
    return torch.ones(positions.shape, dtype=torch.float32, device=teacher_logits.device)


COEFFICIENTS = {
    "constant": constant,
    "windowed_reciprocal_rank": windowed_reciprocal_rank,
    "average_precision_at_k": average_precision_at_k,
    "reciprocal_rank_at_k": lambda logits, positions, *, k=10, window=5: reciprocal_rank_at_k(logits, positions, k=k),
}
