"""`python -m benchmarks`: measure every work against the usual recipe and write benchmarks/results/."""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

WORKS = ("features", "decoding", "reading", "training", "distillation")


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS, metavar="WORK", help=" ".join(WORKS))
    parser.add_argument("--data", nargs="+", choices=("factbook", "mlqa"), default=("factbook", "mlqa"), help="texts")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repetitions (default: %(default)s)")
    parser.add_argument(
        "--questions", type=int, default=100, metavar="N", help="ids whose pairs are made into features"
    )
    parser.add_argument("--windows", type=int, default=10000, metavar="N", help="decoded (default: %(default)s)")
    parser.add_argument(
        "--examples", type=int, default=240, metavar="N", help="read, and trained on (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), metavar="DIR")
    parser.add_argument("--gpu", action="store_true", help="reading and training on a GPU, nothing else")
    return parser.parse_args(argv)


def main(argv=None):
    """Returns the exit status: 1 without a GPU where one is asked for."""
    options = _arguments(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not options.gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a trainer takes the GPU that it finds
    from xqa_lib.errors import DataError
    from xqa_lib.running.files import write_text

    from . import works

    command = " ".join(["python -m benchmarks", *(sys.argv[1:] if argv is None else argv)])
    for data in options.data:
        started = time.perf_counter()
        try:
            examples = works.pairs(options.questions, data)
            if options.gpu:
                from . import gpu

                table, name = gpu.table(examples[: options.examples], options.repeats), f"gpu-{data}"
            else:
                table, name = _cpu(options, works, examples), data
        except DataError as error:
            print(f"{data} is left out: {error}", file=sys.stderr)
            continue
        except works.NoGpu as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        minutes = (time.perf_counter() - started) / 60
        text = f"{_head(command, data, len(examples), options)}\n{table}\nIt took {minutes:.0f} minutes by the clock.\n"
        write_text(options.output / f"{name}.md", text)
        print(text)
    return 0


def _cpu(options, works, examples):
    import torch

    from . import measure

    torch.set_num_threads(1)
    bench = works.Bench(examples, *works.packaged_reader(examples))
    made = {
        "features": lambda: works.features(bench, len(examples)),
        "decoding": lambda: works.decoding(bench, options.windows),
        "reading": lambda: works.reading(bench, options.examples),
        "training": lambda: works.training(bench, options.examples),
        "distillation": lambda: works.distillation(bench, options.examples),
    }
    measured = []
    for name in options.only:
        measured += measure.measured(made[name](), options.repeats, measure.CPU)
    return measure.markdown_table(measured, works.GOALS)


def _head(command, data, pairs, options):
    import subprocess

    import torch

    from xqa_lib.running.files import ROOT

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    device = torch.cuda.get_device_name() if options.gpu else f"{platform.machine()}, {os.cpu_count()} cores"
    timed = (
        "seconds by the clock"
        if options.gpu
        else "processor seconds on one thread (so that other work on the machine counts less)"
    )
    rate = "8192 × 8192 × 8192 in bfloat16" if options.gpu else "4096 × 384 × 1536 in float32, by oneDNN"
    return f"""# Cost against the usual recipe: {data}

Made by `{command}` at commit {commit.strip() or "unknown"}; do not edit.
{options.repeats} repetitions of each way, in turn, in {timed}; ratio = median
of the recipe / median of the library. The recipe is `benchmarks/recipe.py`, written plainly; its losses, windows and
answers are the library's (`tests/test_benchmarks.py`). {pairs:,} examples of 49 language pairs. What is decoded is
noise with a hill at one place of the context, as where a reader has found an answer. Reader: the packaged encoder with
an answer layer that is not trained; the library freezes its word embeddings, the recipe trains those of the whole
vocabulary. *Utilisation* is FLOP of real tokens (2 · weights outside the embeddings · tokens to read, 6 to train, 8 to
distil; attention's own are left out: 13% of the others at 310 tokens) / time / rate of a product of matrices
({rate}) before each repetition. Machine: {device}, Python {platform.python_version()}, PyTorch {torch.__version__}.
"""


if __name__ == "__main__":
    sys.exit(main())
