"""The benchmarks' recipe and the library give the same windows, answers and losses. Nothing looks at time."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks import gpu, measure, order, works
from benchmarks.measure import Measurement
from xqa_lib.study.params import ROOT
from xqa_lib.training import batching


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XQA_DATA_DIR", str(tmp_path_factory.mktemp("no-data")))
        source, examples = works.pairs(2)
    assert source == "factbook"
    assert len(examples) == 98
    # contexts of several windows, too
    long = [works.replace(example, context=" ".join([example.context] * 15)) for example in examples[::10]]
    return works.Bench([*long, *examples[::9]], layers=1, hidden=32)


def test_windows(bench):
    ways = works.features(bench, len(bench.examples))
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
    windows = works.features(bench, len(bench.examples))["library"]()
    ways = works.decoding_work(bench, 2 * len(windows) + 3)  # all of them twice, and some
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
    ways = works.evaluation_work(bench, len(bench.examples))
    assert ways["recipe"]() == ways["library"]()
    assert len(set(ways["library"]())) > 3
    rounded = ways["library, bfloat16"]()
    same = sum(one == other for one, other in zip(ways["library"](), rounded, strict=True))
    assert 1 < same <= len(rounded)
    assert works.rounding_words(bench, len(rounded)).startswith(f"bfloat16 rounds: {same} of {len(rounded)} answers ")


def test_losses_of_an_epoch(bench, tmp_path, monkeypatch):
    """With its examples in the library's order, for the usual recipe shuffles otherwise."""
    orders = []
    original = batching.ShuffledLengthGroups.__iter__

    def spy(sampler):
        orders.append(list(original(sampler)))
        return iter(orders[-1])

    monkeypatch.setattr(batching.ShuffledLengthGroups, "__iter__", spy)
    ways = works.distillation_work(bench, len(bench.examples), tmp_path)
    fast = ways["library"]()
    monkeypatch.setattr(works.np.random, "default_rng", lambda seed: Order(orders[0]))
    plain = ways["recipe"]()
    assert len(plain) == len(fast) > 1
    assert plain == pytest.approx(fast, rel=1e-4)


def test_both_orders_train_on_the_same_examples():
    found = order.measure([1, 2], trained={"short": 40, "whole": 3}, evaluated=2)
    (plain, plain_padding), (grouped, padding) = found["plain shuffle"], found["length groups"]
    assert len(plain) == len(grouped) == 2
    assert all(0 <= f1 <= 100 for f1 in plain + grouped)
    assert 0 < padding < plain_padding < 1


def test_the_interval_of_the_orders_by_hand():
    words = order.words({"plain shuffle": ([10.0, 20.0], 0.5), "length groups": ([11.0, 23.0], 0.1)})
    # differences 1 and 3: mean 2, standard error 1, t of one degree of freedom 12.706
    assert "difference +2.0, 95% interval of the paired seeds [-10.7, +14.7]" in words
    assert "Padding is 50% of the tokens of plainly shuffled batches and 10% of the grouped ones." in words


def test_padding_by_hand():
    lengths = np.array([4, 1, 4, 1])
    assert order.padding_share(lengths, 2, 2) == 0
    assert order.padding_share(lengths, 4, 1) == pytest.approx(6 / 16)


class Order:
    def __init__(self, order):
        self.order = order

    def permutation(self, n):
        assert sorted(self.order) == list(range(n))
        return np.array(self.order)


# ---- what is made of the measurements --------------------------------------------------------------------------------

MEASURED = [
    Measurement("w", "recipe", 10, "pairs", (3.0, 1.0, 2.0)),
    Measurement("w", "library", 10, "pairs", (0.4, 0.5, 0.9)),
    Measurement("w", "recipe", 20, "pairs", (8.0,)),
    Measurement("w", "library", 20, "pairs", (1.0,)),
    Measurement("v", "library", 20, "pairs", (1.0,)),
]


def test_ratios_are_of_medians_at_the_same_size():
    assert [ratio for _, ratio in measure.ratios(MEASURED)] == [None, 4.0, None, 8.0, None]


def test_table_and_csv():
    lines = measure.markdown_table(MEASURED, {("w", "library"): 5}).splitlines()
    assert lines[3] == "| w | 10 pairs | library | 0.500 | 0.400-0.900 | 4.0× | 5×: missed |"
    assert lines[5] == "| w | 20 pairs | library | 1.000 | 1.000-1.000 | 8.0× | 5×: met |"
    assert measure.csv_table(MEASURED[:1]).splitlines() == [
        "work,way,size,unit,repetition,seconds",
        "w,recipe,10,pairs,0,3.0",
        "w,recipe,10,pairs,1,1.0",
        "w,recipe,10,pairs,2,2.0",
    ]


def test_growth():
    def of(size, seconds):
        return Measurement("w", "library", size, "pairs", (seconds,))

    assert measure.exponent([of(1, 3.0), of(2, 6.0), of(4, 12.0)]) == pytest.approx(1)
    assert measure.exponent([of(1, 3.0), of(2, 12.0), of(4, 48.0)]) == pytest.approx(2)


def test_ways_take_turns():
    called = []
    seconds = measure.repeated({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 3)
    assert called == ["a", "b"] * 3
    assert {way: len(values) for way, values in seconds.items()} == {"a": 3, "b": 3}


def test_flops_of_a_model_counted_by_hand():
    config = gpu.BertConfig(hidden_size=2, num_hidden_layers=3, intermediate_size=5, num_attention_heads=1)
    # weights: 3 * (4 * 4 + 2 * 2 * 5) = 108; forward over lengths 1 and 2: 2 * 108 * 3 + 4 * 3 * 2 * 5 = 768
    assert gpu.training_flops(config, 3, 5, teacher=False) == 3 * 768
    assert gpu.training_flops(config, 3, 5, teacher=True) == 4 * 768


def test_the_gpu_part_counts_the_weights_of_multilingual_bert():
    config = gpu.mbert_config("sdpa")
    assert config.vocab_size == 119547
    with torch.device("meta"):
        layers = gpu.BertForQuestionAnswering(config).bert.encoder
    matrices = sum(parameter.numel() for parameter in layers.parameters() if parameter.dim() == 2)
    assert gpu.training_flops(config, 1, 0, teacher=False) == 6 * matrices


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_the_gpu_part_refuses_without_a_gpu(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--gpu", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: expected a CUDA GPU for the mBERT shape, found none; run it where PyTorch sees one, or leave --gpu out"
    )
    assert list(tmp_path.iterdir()) == []
