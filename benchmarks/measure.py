"""Repeated measurements, and how they are shown.

Seconds are processor time of this process, on one thread: other work on a shared machine disturbs them much less than
it does the clock's.
"""

import gc
import io
import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """`seconds`: one number for each repetition of one way to do a work of `size` (in `unit`)."""

    work: str
    way: str  # "recipe", "library" or a variant of the latter
    size: int
    unit: str
    seconds: tuple

    @property
    def median(self):
        return statistics.median(self.seconds)


def repeated(ways, repeats):
    """{way: processor seconds of each repetition}; the ways take turns, so that all see the same machine.

    Args:
        ways: {way: function without arguments}.
        repeats: of each.
    """
    seconds = {way: [] for way in ways}
    for _ in range(repeats):
        for way, function in ways.items():
            gc.collect()
            started = time.process_time()
            function()
            seconds[way].append(time.process_time() - started)
    return {way: tuple(values) for way, values in seconds.items()}


def ratios(measurements):
    """(measurement, times that its work's recipe of the same size took, or None), in the order given."""
    recipes = {(m.work, m.size): m.median for m in measurements if m.way == "recipe"}
    return [
        (m, None if m.way == "recipe" or (m.work, m.size) not in recipes else recipes[m.work, m.size] / m.median)
        for m in measurements
    ]


def markdown_table(measurements, goals):
    """The table as Markdown. `goals`: (work, way) -> ratio aimed at."""
    lines = ["| work | size | way | median s | min-max s | ratio | goal |", "|---" * 7 + "|"]
    for m, ratio in ratios(measurements):
        goal = goals.get((m.work, m.way))
        times = "" if ratio is None else f"{ratio:.1f}×"
        verdict = "" if ratio is None or goal is None else f"{goal:g}×: {'met' if ratio >= goal else 'missed'}"
        spread = f"{min(m.seconds):.3f}-{max(m.seconds):.3f}"
        lines.append(f"| {m.work} | {m.size:,} {m.unit} | {m.way} | {m.median:.3f} | {spread} | {times} | {verdict} |")
    return "\n".join(lines) + "\n"


def csv_table(measurements):
    """One line a repetition: work, way, size, unit, repetition, seconds."""
    out = io.StringIO()
    out.write("work,way,size,unit,repetition,seconds\n")
    for m in measurements:
        for number, seconds in enumerate(m.seconds):
            out.write(f"{m.work},{m.way},{m.size},{m.unit},{number},{seconds!r}\n")
    return out.getvalue()


def exponent(measurements):
    """How cost grows with size: the slope of log(median) over log(size), least squares; 1 is linear."""
    import numpy as np

    sizes = np.log([m.size for m in measurements])
    return float(np.polyfit(sizes, np.log([m.median for m in measurements]), 1)[0])


def plot(measurements, path):
    """Draw cost against size, a panel for each work, medians with the range of the repetitions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    works = list(dict.fromkeys(m.work for m in measurements))
    figure, axes = plt.subplots(1, len(works), figsize=(4 * len(works), 3.6), squeeze=False)
    for ax, work in zip(axes[0], works, strict=True):
        here = [m for m in measurements if m.work == work]
        for way in dict.fromkeys(m.way for m in here):
            line = sorted((m for m in here if m.way == way), key=lambda m: m.size)
            middle = [m.median for m in line]
            spread = [
                [m.median - min(m.seconds) for m in line],
                [max(m.seconds) - m.median for m in line],
            ]
            ax.errorbar([m.size for m in line], middle, yerr=spread, marker="o", capsize=3, label=way)
        ax.set(title=work, xlabel=here[0].unit, xscale="log", yscale="log")
        ax.legend(frameon=False)
    axes[0][0].set_ylabel("processor seconds")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
