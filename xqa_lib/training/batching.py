"""The order in which a training reads its features: similar lengths share a batch, batches come in random order."""

import numpy as np
from torch.utils.data import Sampler

# Most tokens of a forward pass without gradient on the CPU, padding included. The packaged encoder reads 3% more
# tokens a second than with 3,072 and 6% more than with 1,536; 12,288 would gain 1% for half as much memory again.
CPU_TOKENS = 8192
# From so many tokens on a batch is nearly as fast as a larger one (8% slower), so that padding decides: features
# shorter than SIMILAR of its longest wait for the next. That saves a third of the tokens of 48 windows, 1% of 1,000's.
ENOUGH, SIMILAR = 1024, 0.9


def cut(order, lengths, *, rows=None, tokens=None):
    """Cut `order` (indices of `lengths`, longest first) into batches of similar lengths, each of one feature at least.

    Args:
        rows: most features of a batch; None: any number.
        tokens: most tokens of a batch, padding included; None: any number.
    """
    first = 0
    while first < len(order):
        longest = max(1, int(lengths[order[first]]))
        size = len(order) if rows is None else rows
        if tokens is not None:
            size = min(size, max(1, tokens // longest))
        similar = int(np.sum(lengths[order[first : first + size]] >= SIMILAR * longest))
        size = min(size, max(similar, ENOUGH // longest))
        yield order[first : first + size]
        first += size


class ShuffledLengthGroups(Sampler):
    """Indices such that every run of `batch_size` of them has similar lengths, in an order that is random otherwise.

    The features are shuffled, cut into blocks of `batches_per_block` batches, sorted by length within each block, and
    all batches are shuffled again. `transformers`' own grouping leaves each block sorted from long to short, so that
    the loss swings with the length.

    The order is a function of the seed and the epoch: a run that is taken up again finds the same one.

    Args:
        lengths: tokens of each feature.
        batch_size: features per batch.
        seed: integer.
        batches_per_block: more of them pad less and mix less.
    """

    def __init__(self, lengths, *, batch_size, seed, batches_per_block=20):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.batches_per_block = batches_per_block
        self.epoch = 0

    def __len__(self):
        return len(self.lengths)

    def set_epoch(self, epoch):
        """Choose the order of an epoch, counted from 0."""
        self.epoch = epoch

    def __iter__(self):
        generator = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
        order = generator.permutation(len(self.lengths))
        block = self.batch_size * self.batches_per_block
        batches = []
        for first in range(0, len(order), block):
            rows = order[first : first + block]
            rows = rows[np.argsort(-self.lengths[rows], kind="stable")]
            batches += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        # an incomplete batch must stay last, or all batches after it would be cut elsewhere
        incomplete = [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        for index in generator.permutation(len(batches)):
            yield from batches[index].tolist()
        for batch in incomplete:
            yield from batch.tolist()
