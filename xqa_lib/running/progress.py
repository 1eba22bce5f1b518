"""One progress bar on the error stream for every training, in a terminal and in a notebook alike."""

import sys

from tqdm import tqdm
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback


class ProgressBar(TrainerCallback):
    """Steps done, and the last loss. `Trainer`'s own callbacks print a line (or a table row) for every step instead."""

    def __init__(self, description):
        self.description = description
        self.bar = None

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                desc=self.description,
                file=sys.stderr,
                mininterval=0.1 if sys.stderr.isatty() else 15,
            )

    def on_step_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.bar is not None and logs and "loss" in logs:
            self.bar.set_postfix_str(f"loss {float(logs['loss']):.3f}", refresh=False)

    def on_train_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def show_progress(trainer, description):
    """Give a trainer, made with `disable_tqdm=True`, a `ProgressBar` in place of printed logs."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ProgressBar(description))
