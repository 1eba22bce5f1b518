"""Repeated measurements, and how they are shown."""

import gc
import statistics
import sys
import time
from dataclasses import dataclass
from typing import NamedTuple

import torch

from xqa_lib.training import cpu_linear


class Work(NamedTuple):
    """What is measured: each way does the same."""

    name: str
    size: str  # in words
    ways: dict  # "recipe", "library" or a variant of the latter -> function without arguments
    tflop: float | None = None  # of each way, of real tokens; None where no model is at work


class Machine(NamedTuple):
    """How time is measured, and what the machine could do: seconds now; FLOP/s of a product of matrices."""

    clock: object
    rate: object


def cpu_rate(best_of=10):
    """FLOP per processor second of a float32 product of 4096 × 384 and 384 × 1536, the fastest of some.

    With oneDNN where PyTorch has it, which is the fastest on all processors so far (see `cpu_linear`).
    """
    x, weight = torch.randn(4096, 384), torch.randn(1536, 384)
    product = cpu_linear._product if cpu_linear.available() else torch.nn.functional.linear
    seconds = []
    for _ in range(best_of + 1):  # the first warms up
        started = time.process_time()
        product(x, weight)
        seconds.append(time.process_time() - started)
    return 2 * 4096 * 384 * 1536 / min(seconds[1:])


CPU = Machine(time.process_time, cpu_rate)


@dataclass(frozen=True)
class Measurement:
    """One way to do a work; `seconds` and `rates` (FLOP/s, just before) hold one number for each repetition."""

    work: str
    way: str
    size: str
    seconds: tuple
    rates: tuple
    tflop: float | None = None

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def utilisation(self):
        """Share of what the machine's products could have done in the time; None where no model is at work."""
        if self.tflop is None:
            return None
        shares = [self.tflop * 1e12 / s / rate for s, rate in zip(self.seconds, self.rates, strict=True)]
        return statistics.median(shares)


def measured(work, repeats, machine):
    """A `Measurement` of each way; they take turns, so that all see the same machine.

    Args:
        work: `Work`.
        repeats: of each.
        machine: `Machine`.
    """
    seconds, rates = ({way: [] for way in work.ways} for _ in range(2))
    for _ in range(repeats):
        for way, function in work.ways.items():
            gc.collect()
            rates[way].append(machine.rate())
            started = machine.clock()
            function()
            seconds[way].append(machine.clock() - started)
            print(f"{work.name}, {work.size}, {way}: {seconds[way][-1]:.3f} s", file=sys.stderr, flush=True)
    return [
        Measurement(work.name, way, work.size, tuple(seconds[way]), tuple(rates[way]), work.tflop) for way in work.ways
    ]


def ratios(measurements):
    """(measurement, times that its work's recipe of the same size took, or None), in the order given."""
    recipes = {(m.work, m.size): m.median for m in measurements if m.way == "recipe"}
    return [
        (m, None if m.way == "recipe" or (m.work, m.size) not in recipes else recipes[m.work, m.size] / m.median)
        for m in measurements
    ]


def markdown_table(measurements, goals):
    """The table as Markdown. `goals`: (work, way) -> (ratio, utilisation) aimed at, None for either."""
    lines = ["| work | size | way | median s | min-max s | ratio | goal | utilisation | goal |", "|---" * 9 + "|"]
    for m, ratio in ratios(measurements):
        aims = goals.get((m.work, m.way), (None, None))
        spread = f"{min(m.seconds):.3f}-{max(m.seconds):.3f}"
        cells = [m.work, m.size, m.way, f"{m.median:.3f}", spread]
        for value, aim, form in ((ratio, aims[0], "{:.1f}×"), (m.utilisation, aims[1], "{:.2f}")):
            cells.append("" if value is None else form.format(value))
            verdict = "" if value is None or aim is None else "met" if value >= aim else "missed"
            cells.append(verdict and f"{form.format(aim)}: {verdict}")
        lines.append("| " + " | ".join(cells) + " |")
    rates = sorted(rate for m in measurements for rate in m.rates)
    lines += ["", f"Products of matrices: {statistics.median(rates) / 1e9:,.0f} GFLOP/s in the middle,"]
    lines[-1] += f" {rates[0] / 1e9:,.0f} to {rates[-1] / 1e9:,.0f}."
    return "\n".join(lines) + "\n"
