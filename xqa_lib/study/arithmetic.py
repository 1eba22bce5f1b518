"""Threads and precision: what decides the last bits of a study's numbers."""

from ..errors import DataError


def use_threads(params):
    """Sums are split among threads, so that their last bits depend on how many there are."""
    import torch

    if params.threads:
        torch.set_num_threads(params.threads)


def bf16(params, model=None):
    """Does the study compute in bfloat16? Its first training, the reader's, makes the choice for all that follow.

    Args:
        model: the reader, or a student of it, whose configuration tells the choice (see `note`); None: there is none.

    Raises:
        DataError: the reader was trained in another precision than the parameters name, or this machine has natively.
    """
    from ..training.numerics import native_bfloat16

    wanted, begun = params.precision, getattr(model.config, "trained_in", None) if model else None
    if begun is not None and wanted not in ("auto", begun):
        raise DataError(
            f"the reader was trained in {begun}, precision is {wanted}: a study is not continued in another precision; "
            f"set precision to {begun}, or train the reader again"
        )
    chosen = begun or wanted
    if chosen == "auto":
        chosen = "bfloat16" if native_bfloat16() else "float32"
    if chosen == "bfloat16" and wanted == "auto" and not native_bfloat16():
        raise DataError(
            "the reader was trained in bfloat16, which this machine lacks in hardware: go on where it was trained, set "
            "precision to bfloat16 (slow here), or train the reader again"
        )
    return chosen == "bfloat16"


def note(model, *, bf16):
    """Let a model's configuration tell the precision of its training, for those who go on from it; returns its name."""
    model.config.trained_in = "bfloat16" if bf16 else "float32"
    return model.config.trained_in
