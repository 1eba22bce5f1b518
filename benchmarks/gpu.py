"""Reading and training on one GPU, at the packaged encoder's and at multilingual BERT's shape."""

import time

import torch

from . import measure, works


def require_gpu():
    """Raise NoGpu, saying what to do, unless PyTorch sees a GPU."""
    if not torch.cuda.is_available():
        raise works.NoGpu(
            "expected a CUDA GPU to measure on, found none; run it where PyTorch sees one, or leave --gpu out"
        )


def gpu_rate(size=8192, best_of=5):
    """FLOP/s of a bfloat16 product of square matrices, the fastest of some."""
    x = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    seconds = []
    for _ in range(best_of + 1):  # the first warms up
        started = clock()
        x @ x
        seconds.append(clock() - started)
    return 2 * size**3 / min(seconds[1:])


def clock():
    """Seconds by the clock when the GPU has done what it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def table(examples, repeats):
    """The table as Markdown: reading, training and distillation on `examples` at both shapes.

    Weights are random where the packaged encoder's file is absent and for multilingual BERT, which costs the same.
    TF32 is off: float32 means float32, and speed comes from bfloat16.
    """
    require_gpu()
    torch.set_float32_matmul_precision("highest")
    machine = measure.Machine(clock, gpu_rate)
    lines = []
    for shape, make in (("packaged encoder", works.packaged_reader), ("mBERT", works.mbert_reader)):
        bench = works.Bench(examples, *make(examples), device="cuda")
        torch.cuda.reset_peak_memory_stats()
        measured = []
        for work in (works.reading, works.training, works.distillation):
            made = work(bench, len(examples))
            for function in made.ways.values():
                function()  # kernels are chosen and memory is taken the first time
            measured += measure.measured(made, repeats, machine)
        peak = torch.cuda.max_memory_allocated() / 2**30
        lines += [f"## {shape}\n", measure.markdown_table(measured, {}), f"Memory at most: {peak:.1f} GiB.\n"]
        del bench
        torch.cuda.empty_cache()
    return "\n".join(lines)
