"""`python -m benchmarks`: measure every work against the usual recipe and write benchmarks/results/."""

import argparse
import os
import sys
import time
from pathlib import Path

WORKS = ("features", "decoding", "evaluation", "distillation", "memory", "order")


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS, metavar="WORK", help=" ".join(WORKS))
    parser.add_argument("--data", choices=("mlqa", "factbook"), help="texts (default: %(default)s)", default="factbook")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="repetitions (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=100, metavar="N", help="ids of feature building")
    parser.add_argument("--windows", type=int, default=10000, metavar="N", help="decoded (default: %(default)s)")
    parser.add_argument("--examples", type=int, default=128, metavar="N", help="evaluated (default: %(default)s)")
    parser.add_argument("--trained", type=int, default=96, metavar="N", help="examples of an epoch")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), metavar="DIR")
    parser.add_argument("--gpu", action="store_true", help="measure multilingual BERT's shape on a GPU, nothing else")
    parser.add_argument("--peak-tflops", type=float, metavar="N", help="bfloat16 peak of a GPU that is not known")
    parser.add_argument("--compile", action="store_true", help="with --gpu: torch.compile")
    return parser.parse_args(argv)


def main(argv=None):
    """Returns the exit status: 1 without a GPU where one is asked for."""
    options = _arguments(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from xqa_lib.running.files import write_text

    if options.gpu:
        from . import gpu

        try:
            rows = gpu.measure(repeats=options.repeats, peak_tflops=options.peak_tflops, compiled=options.compile)
        except gpu.NoGpu as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        table = gpu.markdown(rows)
        write_text(options.output / "gpu.md", table)
        print(table)
        return 0
    import torch

    from . import measure, works

    torch.set_num_threads(1)
    started = time.perf_counter()
    from xqa_lib.errors import DataError

    try:
        source, examples = works.pairs(options.questions, options.data)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    bench = works.Bench(examples)
    measured = _measure(options, works, bench)
    command = " ".join(["python -m benchmarks", *(sys.argv[1:] if argv is None else argv)])
    lines = [_head(command, source, len(examples), options), measure.markdown_table(measured, works.GOALS)]
    lines.append(_growth(measure, measured))
    if "evaluation" in options.only:
        lines.append(works.rounding_words(bench, min(options.examples, len(examples))))
    if "memory" in options.only:
        sizes = (16384, 65536, 262144)
        found = works.evaluation_memory(sizes)
        lines.append("Peak memory of reading short examples, with the best 20 answers of each: ")
        lines[-1] += "; ".join(f"{size:,} examples {mib} MiB" for size, mib in found) + ".\n"
    if "order" in options.only:
        from . import order

        lines.append(order.words(order.measure((1, 2, 3))))
    lines.append(f"All of it took {(time.perf_counter() - started) / 60:.0f} minutes by the clock.\n")
    write_text(options.output / f"{options.data}.md", "\n".join(lines))
    if measured:
        write_text(options.output / f"{options.data}-seconds.csv", measure.csv_table(measured))
        measure.plot(measured, options.output / f"{options.data}-cost.svg")
    print("\n".join(lines))
    return 0


def _measure(options, works, bench):
    examples = bench.examples

    def sizes(largest):
        return [max(1, largest // 4), max(1, largest // 2), largest]

    def report(line):
        print(line, file=sys.stderr, flush=True)

    measured = []
    with works.scratch_folder() as folder:
        for work, name, unit, make, largest in (
            ("features", "features", "pairs", works.features, len(examples)),
            ("decoding", "decoding", "windows", works.decoding_work, options.windows),
            ("evaluation", "evaluation", "examples", works.evaluation_work, min(options.examples, len(examples))),
            (
                "distillation",
                "distillation epoch",
                "examples",
                lambda bench, size: works.distillation_work(bench, size, folder),
                min(options.trained, len(examples)),
            ),
        ):
            if work in options.only:
                measured += works.measured(
                    name,
                    unit,
                    lambda size, make=make: make(bench, size),
                    sizes(largest),
                    options.repeats,
                    report=report,
                )
    return measured


def _head(command, source, pairs, options):
    import platform
    import subprocess

    import torch

    from xqa_lib.study.params import ROOT

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    made_at = commit.strip() or "unknown"
    return f"""# Cost against the usual recipe

Made by `{command}` at commit {made_at}; do not edit.
{options.repeats} repetitions of each way, in turn, in processor seconds on one thread (so that other work on the
machine counts less); ratio = median of the recipe / median of the library at the same size. The recipe is
`benchmarks/recipe.py`, written plainly; its losses, windows and answers are the library's
(`tests/test_benchmarks.py`). Texts: {source}, {pairs:,} examples of 49 language pairs. What is decoded is noise with a
hill at one place of the context, as where a reader has found an answer. Encoder: the embedded profile's shape with
random weights (4 layers of 128), float32 but where bfloat16 is named. Machine: {platform.machine()}, {os.cpu_count()}
cores, Python {platform.python_version()}, PyTorch {torch.__version__}. The GPU part (`--gpu`) has not been measured.

![cost against size]({options.data}-cost.svg)
"""


def _growth(measure, measured):
    lines = ["How cost grows with size (slope in log-log over the three sizes; 1 is linear):\n"]
    for name in dict.fromkeys(m.work for m in measured):
        ways = dict.fromkeys(m.way for m in measured if m.work == name)
        slopes = [
            f"{way} {measure.exponent([m for m in measured if (m.work, m.way) == (name, way)]):.2f}" for way in ways
        ]
        lines.append(f"- {name}: {', '.join(slopes)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
