"""The benchmarks' recipe and the library give the same windows, answers and losses. Nothing looks at time."""

import copy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import gpu, measure, works
from benchmarks.__main__ import main
from benchmarks.measure import Measurement
from benchmarks.works import Bench
from xqa_lib.running.files import ROOT
from xqa_lib.training import batching

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench():
    examples = works.pairs(2, "factbook")
    assert len(examples) == 98
    # contexts of several windows, too
    long = [replace(example, context=" ".join([example.context] * 15)) for example in examples[::10]]
    examples = [*long, *examples[::9]]
    # weights such that positions differ
    reader = works.random_reader(examples, hidden=32, layers=1, heads=1, initializer_range=0.1)
    return works.Bench(examples, *reader, rows=9000)


def test_windows(bench):
    ways = works.features(bench, len(bench.examples)).ways
    plain, fast = ways["recipe"](), ways["library"]()
    assert len(plain) == len(fast) > len(bench.examples)
    length = fast.input_ids.shape[1]
    for row, window in enumerate(plain):
        assert window["example"] == int(fast.example_index[row])
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            assert window[name][:length] == getattr(fast, name)[row].tolist()
        assert not any(window["attention_mask"][length:])
        spans = [(-1, -1) if span is None else tuple(span) for span in window["offsets"][:length]]
        assert spans == [tuple(span) for span in fast.offsets[row].tolist()]


def test_answers_of_given_logits(bench):
    windows = bench.windows(len(bench.examples))
    ways = works.decoding(bench, 2 * len(windows) + 3).ways  # all of them twice, and some
    plain, fast = ways["recipe"](), ways["library"]()
    assert len(plain) == len(fast) > 2 * len(bench.examples)
    assert [[tuple(a[:4]) for a in found] for found in fast] == [[c[:4] for c in found] for found in plain]
    for found, expected in zip(fast, plain, strict=True):
        assert [a.probability for a in found] == pytest.approx([c[4] for c in expected], rel=1e-9)
    assert max(map(len, fast)) == 20
    best = ways["library, best one"]()
    assert [found[0][:4] for found in best] == [found[0][:4] for found in fast]
    assert {len(found) for found in best} == {1}


def test_answers_from_text_to_text(bench):
    ways = works.reading(bench, len(bench.examples)).ways
    assert ways["recipe"]() == ways["library"]()
    assert len(set(ways["library"]())) > 3


def test_losses_of_an_epoch(bench, monkeypatch):
    """With its examples in the library's order, for the usual recipe shuffles otherwise, and frozen embeddings."""
    orders = []
    original = batching.ShuffledLengthGroups.__iter__

    def spy(sampler):
        orders.append(list(original(sampler)))
        return iter(orders[-1])

    monkeypatch.setattr(batching.ShuffledLengthGroups, "__iter__", spy)
    ways = works.distillation(bench, len(bench.examples)).ways
    fast = ways["library"]()
    monkeypatch.setattr(works.np.random, "default_rng", lambda seed: Order(orders[0]))
    embeddings = bench.plain.get_input_embeddings().weight
    embeddings.requires_grad_(False)
    plain = ways["recipe"]()
    embeddings.requires_grad_(True)
    assert len(plain) == len(fast) > 1
    assert plain == pytest.approx(fast, rel=1e-4)


def test_operations_are_counted_by_real_tokens(bench):
    tokens = int(bench.windows(3).attention_mask.sum())
    # a layer of 32: four square matrices, two of 32 x 128, their biases, two LayerNorms; the answer layer
    weights = 4 * 32**2 + 2 * 32 * 128 + 5 * 32 + 128 + 4 * 32 + 2 * 32 + 2
    for work, kind in ((works.reading, 2), (works.training, 6), (works.distillation, 8)):
        assert work(bench, 3).tflop == pytest.approx(kind * weights * tokens / 1e12)


def test_the_packaged_reader_is_of_its_shape_without_the_file(monkeypatch):
    def absent():
        raise works.DataError("absent")

    monkeypatch.setattr(works.packaged_encoder, "encoder_file", absent)
    model, tokenizer = works.packaged_reader(works.pairs(1, "factbook"))
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.intermediate_size) == (384, 12, 1536)
    assert works.compute.layer_weights(model) == pytest.approx(21.3e6, rel=0.01)
    assert len(tokenizer) == config.vocab_size


def test_absent_mlqa_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XQA_DATA_DIR", str(tmp_path / "none"))
    assert main(["--data", "mlqa", "--output", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"mlqa is left out: {tmp_path / 'none'} lacks MLQA's development set; set XQA_DATA_DIR to ")
    assert not (tmp_path / "out").exists()


class Order:
    def __init__(self, order):
        self.order = order

    def permutation(self, n):
        assert sorted(self.order) == list(range(n))
        return np.array(self.order)


MEASURED = [
    Measurement("w", "recipe", "10 pairs", (3.0, 1.0, 2.0), (1e9,) * 3),
    Measurement("w", "library", "10 pairs", (0.4, 0.5, 0.9), (1e9, 2e9, 3e9), tflop=0.0005),
    Measurement("v", "library", "20 pairs", (1.0,), (1e9,)),
]


def test_ratios_are_of_medians():
    assert [ratio for _, ratio in measure.ratios(MEASURED)] == [None, 4.0, None]


def test_utilisation_is_of_the_rate_of_the_same_moment():
    # 0.5 GFLOP in 0.4, 0.5 and 0.9 s on a machine that does 1, 2 and 3 GFLOP/s: 1.25, 0.5 and 0.19
    assert MEASURED[1].utilisation == pytest.approx(0.5)
    assert MEASURED[0].utilisation is None


def test_table():
    lines = measure.markdown_table(MEASURED, {("w", "library"): (5, 0.4)}).splitlines()
    assert lines[2] == "| w | 10 pairs | recipe | 2.000 | 1.000-3.000 |  |  |  |  |"
    assert lines[3] == "| w | 10 pairs | library | 0.500 | 0.400-0.900 | 4.0× | 5.0×: missed | 0.50 | 0.40: met |"
    assert lines[4] == "| v | 20 pairs | library | 1.000 | 1.000-1.000 |  |  |  |  |"
    assert lines[6] == "Products of matrices: 1 GFLOP/s in the middle, 1 to 3."


def test_the_gpu_part_measures_both_shapes(bench, monkeypatch):
    """As far as it goes without a GPU: everything but the clock and the rate."""
    for name in ("reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * 2**29)
    monkeypatch.setattr(gpu, "require_gpu", lambda: None)
    monkeypatch.setattr(gpu, "clock", measure.CPU.clock)
    monkeypatch.setattr(gpu, "gpu_rate", lambda: 1e9)
    monkeypatch.setattr(works.numerics, "native_bfloat16", lambda: True)
    monkeypatch.setattr(works, "Bench", lambda *parts, device: Bench(*parts, rows=9000, device="cpu"))
    for name in ("packaged_reader", "mbert_reader"):
        monkeypatch.setattr(works, name, lambda examples: (copy.deepcopy(bench.model), bench.tokenizer))
    lines = gpu.table(bench.examples, 1).splitlines()
    assert [line for line in lines if line.startswith("## ")] == ["## packaged encoder", "## mBERT"]
    ways = [tuple(line.split(" | ")[i] for i in (0, 2)) for line in lines if " examples, " in line]
    assert ways == 2 * [
        *(("| reading", way) for way in ("recipe", "library", "library, bfloat16")),
        *(("| training", way) for way in ("library", "library, bfloat16")),
        *(("| distillation", way) for way in ("recipe", "library", "library, bfloat16")),
    ]
    assert lines.count("Memory at most: 1.5 GiB.") == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_the_gpu_part_refuses_without_a_gpu(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--gpu", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: expected a CUDA GPU to measure on, found none; run it where")
    assert list(tmp_path.iterdir()) == []
