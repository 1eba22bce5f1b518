"""Started by `torchrun` from tests/test_processes.py: FOLDER [stop]."""

import os
import signal
import sys
from pathlib import Path

import torch

from tests import faults
from xqa_lib.training import trainer

torch.set_num_threads(1)
if sys.argv[2:] == ["stop"] and os.environ["RANK"] == "1":  # a signal may reach one process only
    original = trainer.DistillationTrainer.compute_loss

    def compute_loss(self, *arguments, **options):
        if self.state.global_step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments, **options)

    trainer.DistillationTrainer.compute_loss = compute_loss
faults.without_dropout(Path(sys.argv[1]))
