"""One training shared out among several processes (`torchrun`), on one machine or on many, with the result of one.

Every batch is the batch of a training in one process; each process computes its share of the rows. What a share counts
for in the mean over the processes is exact also where the rows cannot be divided evenly, so that loss and gradient are
those of one process but for the order in which numbers are added, and for dropout and masks, which each process draws.
"""

import os
import subprocess
import sys

from ..errors import DataError


def count():
    """Number of processes of this training: 1 unless `torchrun` (or `accelerate launch`) started it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first():
    """Is this the process that writes files? True for a training in one process."""
    return int(os.environ.get("RANK", 0)) == 0


class ShareOut:
    """Collate this process' rows of a batch: every `count`-th one, beginning with the `rank`-th.

    The batch gets `share`, a number: the process' mean over its rows, times `share`, averaged over the processes, is
    the mean over all rows. A process without a row (a last batch of fewer rows than processes) gets the first one with
    share 0, so that it takes part in every exchange.
    """

    def __init__(self, collate, *, rank, count):
        self.collate = collate
        self.rank = rank
        self.count = count

    def __call__(self, rows):
        import torch  # only here: who passes signals on needs none of it

        mine = rows[self.rank :: self.count]
        batch = self.collate(mine or rows[:1])
        batch["share"] = torch.tensor(len(mine) * self.count / len(rows))
        return batch


def train_in(number, arguments):
    """Run `python -m xqa_lib train ARGUMENTS` in `number` processes of this machine and wait for its end.

    Raises:
        DataError: it failed; what it said went to this process' streams.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    done = subprocess.run([*command, "-m", "xqa_lib", "train", *arguments], check=False)
    if done.returncode:
        raise DataError(
            f"the training in {number} processes failed (exit status {done.returncode}); its messages stand above; the "
            "same command goes on from its last checkpoint"
        )
