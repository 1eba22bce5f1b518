"""The distillation epoch at multilingual BERT's shape on one GPU: tokens a second, share of the peak, memory.

Written to be run where there is a GPU; nothing here has been measured by the authors of this version.
"""

import copy
import statistics
import time
from dataclasses import replace

import torch
from transformers import BertConfig, BertForQuestionAnswering

from xqa_lib.study.params import load_params
from xqa_lib.training.models import span_logits
from xqa_lib.training.trainer import distillation_loss

# dense bfloat16 peak in FLOP/s, from the makers' data sheets; `--peak-tflops` for another card
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "A10": 125e12, "L4": 121e12}
LENGTHS = (96, 128, 160, 192, 224, 256, 320, 384)  # of windows, as often each


class NoGpu(RuntimeError):
    """There is no GPU to measure on."""


def require_gpu():
    """Raise NoGpu, saying what to do, unless PyTorch sees a GPU."""
    if not torch.cuda.is_available():
        raise NoGpu(
            "expected a CUDA GPU for the mBERT shape, found none; run it where PyTorch sees one, or leave --gpu out"
        )


def mbert_config(attention):
    """The shape of bert-base-multilingual-cased; weights are random, which costs the same."""
    return BertConfig(vocab_size=119547, max_position_embeddings=512, attn_implementation=attention)


def training_flops(config, real_tokens, squared_lengths, *, teacher):
    """Floating-point operations that one epoch needs: products of matrices only, without padding.

    A forward pass takes 2 operations for each weight of the layers and each token, and 4 * hidden * length for each
    token's attention in each layer; the backward pass twice as many. A teacher adds a forward pass.

    Args:
        real_tokens: sum of the lengths.
        squared_lengths: sum of their squares.
        teacher: is a teacher's forward pass part of the epoch?
    """
    hidden, layers = config.hidden_size, config.num_hidden_layers
    weights = layers * (4 * hidden**2 + 2 * hidden * config.intermediate_size)
    forward = 2 * weights * real_tokens + 4 * layers * hidden * squared_lengths
    return forward * (4 if teacher else 3)


def _batch(lengths, padded, vocabulary, device):
    ids = torch.randint(1000, vocabulary, (len(lengths), padded), device=device)
    mask = torch.arange(padded, device=device) < torch.tensor(lengths, device=device)[:, None]
    starts = torch.ones(len(lengths), dtype=torch.long, device=device)
    return {
        "input_ids": ids,
        "attention_mask": mask.long(),
        "token_type_ids": torch.zeros_like(ids),
        "start_positions": starts,
        "end_positions": starts + 1,
    }


def _epoch(student, teacher, batches, optimizer, method, *, accumulation, bf16):
    autocast = torch.autocast("cuda", dtype=torch.bfloat16, enabled=bf16)
    for number, batch in enumerate(batches):
        with autocast:
            with torch.no_grad():
                taught = span_logits(teacher, batch)
            logits = span_logits(student, batch)
        loss, _ = distillation_loss(logits, taught, batch["start_positions"], batch["end_positions"], method)
        (loss / accumulation).backward()
        if number % accumulation == accumulation - 1:
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    torch.cuda.synchronize()


def measure(*, windows=1536, repeats=5, peak_tflops=None, compiled=False):
    """Rows for the table: recipe (float32, padded to 384, 6 x 4, attention written out) and library (bfloat16, SDPA,
    fused AdamW, batches of 24 of similar length), each with seconds, tokens/s, model FLOPs utilisation, peak GiB.

    TF32 is off in both: float32 means float32, and speed comes from bfloat16.
    """
    require_gpu()
    torch.set_float32_matmul_precision("highest")
    name = torch.cuda.get_device_name()
    peak = peak_tflops * 1e12 if peak_tflops else next((v for k, v in PEAKS.items() if k in name), None)
    method = replace(load_params("embedded/full").methods["skd-map"])
    lengths = [LENGTHS[number % len(LENGTHS)] for number in range(windows)]
    rows = []
    for way, attention, size, accumulation, bf16 in (
        ("recipe", "eager", 6, 4, False),
        ("library", "sdpa", 24, 1, True),
    ):
        config = mbert_config(attention)
        torch.manual_seed(0)
        student = BertForQuestionAnswering(config).cuda().train()
        teacher = copy.deepcopy(student).eval().requires_grad_(False)
        if compiled and way == "library":
            student, teacher = torch.compile(student, dynamic=True), torch.compile(teacher, dynamic=True)
        optimizer = torch.optim.AdamW(student.parameters(), lr=5e-5, weight_decay=0.0, fused=way == "library")
        order = lengths if way == "recipe" else sorted(lengths, reverse=True)
        groups = [order[first : first + size] for first in range(0, windows, size)]
        batches = [_batch(group, 384 if way == "recipe" else max(group), config.vocab_size, "cuda") for group in groups]
        torch.cuda.reset_peak_memory_stats()
        seconds = []
        for repetition in range(repeats + 1):
            started = time.perf_counter()
            _epoch(student, teacher, batches, optimizer, method, accumulation=accumulation, bf16=bf16)
            if repetition:  # the first warms up
                seconds.append(time.perf_counter() - started)
        median = statistics.median(seconds)
        flops = training_flops(config, sum(lengths), sum(length**2 for length in lengths), teacher=True)
        rows.append(
            {
                "way": way,
                "device": name,
                "seconds": tuple(seconds),
                "tokens_per_second": sum(lengths) / median,
                "mfu": None if peak is None else flops / median / peak,
                "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
            }
        )
        del student, teacher, optimizer, batches
        torch.cuda.empty_cache()
    return rows


def markdown(rows):
    """The rows of `measure` as a Markdown table."""
    lines = [
        "| way | device | median s | min-max s | tokens/s | MFU (bf16 peak) | peak GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        middle = statistics.median(row["seconds"])
        mfu = "peak unknown" if row["mfu"] is None else f"{100 * row['mfu']:.0f}%"
        lines.append(
            f"| {row['way']} | {row['device']} | {middle:.2f} | {min(row['seconds']):.2f}-{max(row['seconds']):.2f} | "
            f"{row['tokens_per_second']:,.0f} | {mfu} | {row['peak_gib']:.1f} |"
        )
    return "\n".join(lines) + "\n"
