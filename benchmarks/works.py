"""The works that are measured, each done in the library's way and by the usual recipe."""

import copy
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForQuestionAnswering

from xqa_lib.data import corpora, factbook
from xqa_lib.decoding import best_answers
from xqa_lib.errors import DataError
from xqa_lib.features import encode_pairs
from xqa_lib.reading import predict
from xqa_lib.running.files import ROOT, scratch_folder
from xqa_lib.study.params import Features, Optimisation
from xqa_lib.study.stages import CROSS_ENTROPY
from xqa_lib.training import compute, cpu_linear, cpu_memory, dataset, numerics, packaged_encoder
from xqa_lib.training.distillation import set_hidden_dropout, train_reader
from xqa_lib.training.models import load_reader
from xqa_lib.training.tiny_encoder import train_tokenizer

from . import recipe
from .measure import Work

LANGUAGES = ("en", "es", "de", "ar", "hi", "vi", "zh")
FEATURES = Features(max_length=recipe.MAX_LENGTH, stride=recipe.STRIDE, max_question_length=recipe.MAX_QUESTION)
DECODED_PAIRS = 1000  # whose windows are decoded
BATCH = 64  # windows of a forward pass, as the profiles' evaluation.batch_size
ROWS = 250_002  # of the word embeddings that the recipe trains: the whole vocabulary
OPTIMISATION = Optimisation(
    epochs=1,
    batch_size=24,
    accumulation=1,
    learning_rate=1e-4,
    warmup=0.0,
    dropout=0.0,
    token_masking=0.0,
    beta2=0.999,
    seed=1,
)
SKD_MAP = replace(
    CROSS_ENTROPY, label="SKD, mAP@10", coefficient="windowed_reciprocal_rank", temperature=2.0, k=10, window=5
)
# (work, way) -> ratio and utilisation aimed at
GOALS = {
    ("features", "library"): (8, None),
    ("decoding", "library"): (50, None),
    ("reading", "library"): (3, 0.7),
    ("training", "library"): (None, 0.6),
    ("distillation", "library"): (3, 0.6),
}


class NoGpu(RuntimeError):
    """There is no GPU to measure on."""


def pairs(questions, source):
    """Examples: the questions of `questions` ids in all pairs of seven languages, in an order drawn once.

    Args:
        questions: ids; those that most languages have, so that pairs share questions and contexts as in the whole set.
        source: "mlqa", its development set, from `$XQA_DATA_DIR` or ../shared/data; "factbook", the generated corpus,
            whose contexts are shorter.

    Raises:
        DataError: MLQA is wanted but not found.
    """
    wanted = [(question, context) for question in LANGUAGES for context in LANGUAGES]
    if source == "mlqa":
        folder = Path(os.environ.get("XQA_DATA_DIR") or ROOT.parent / "shared" / "data")
        if not (folder.is_dir() and set(wanted) <= set(corpora.available("mlqa-dev", folder))):
            raise DataError(f"{folder} lacks MLQA's development set; set XQA_DATA_DIR to the folder that has it")
        sets = [
            corpora.load("mlqa-dev", question_lang=question, context_lang=context, data_dir=folder)
            for question, context in wanted
        ]
    else:
        corpus = factbook.generate(
            paragraphs=questions, languages=LANGUAGES, seed=13, split="test", questions_per_paragraph=3
        )
        by_language = {language: factbook.examples_of(part) for language, part in corpus.items()}
        sets = [factbook.cross_lingual(by_language, *pair) for pair in wanted]
    count = Counter(example.id for examples in sets for example in examples)
    chosen = set(sorted(count, key=lambda example_id: (-count[example_id], example_id))[:questions])
    made = [example for examples in sets for example in examples if example.id in chosen]
    random.Random(1).shuffle(made)
    return made


# ------------------------------------------------------------------------------------------------------------- readers


def packaged_reader(examples):
    """(model, tokenizer): the packaged encoder with the vocabulary of these texts; random where its file is absent."""
    try:
        packaged_encoder.encoder_file()
    except DataError:
        return random_reader(examples, hidden=384, layers=12, heads=12)
    with scratch_folder() as folder:
        packaged_encoder.write_encoder(folder / "encoder", vocabulary=_texts(examples))
        return load_reader(folder / "encoder", seed=1)


def mbert_reader(examples):
    """(model, tokenizer) of the shape of bert-base-multilingual-cased, with random weights."""
    return random_reader(examples, hidden=768, layers=12, heads=12)


def random_reader(examples, *, hidden, layers, heads, initializer_range=0.02):
    """(model, tokenizer) of a shape, with random weights and a tokenizer made from these texts."""
    tokenizer = train_tokenizer(_texts(examples), vocabulary_size=8000, max_length=recipe.MAX_LENGTH)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=recipe.MAX_LENGTH,
        attention_probs_dropout_prob=0.0,
        initializer_range=initializer_range,
        pad_token_id=tokenizer.pad_token_id,
    )
    cpu_memory.keep_freed()
    return cpu_linear.use(BertForQuestionAnswering(config)).eval(), tokenizer


def _texts(examples):
    return list(dict.fromkeys(text for example in examples for text in (example.question, example.context)))


class Bench:
    """Data, tokenizer and reader, made once for all works.

    Attributes:
        plain: the recipe's reader: the same weights, attention written out, PyTorch's own products, and as many word
            embeddings as the whole vocabulary has.
    """

    def __init__(self, examples, model, tokenizer, *, rows=ROWS, device="cpu"):
        self.examples, self.tokenizer, self.device = examples, tokenizer, device
        set_hidden_dropout(model, 0.0)
        self.plain = copy.deepcopy(model)
        for module in self.plain.modules():
            if type(module) is cpu_linear.CpuLinear:
                module.__class__ = torch.nn.Linear
        self.plain.resize_token_embeddings(rows, mean_resizing=False)
        self.plain.set_attn_implementation("eager")
        self.model, self.plain = model.to(device), self.plain.to(device)

    def texts(self, size):
        part = self.examples[:size]
        return [example.question for example in part], [example.context for example in part]

    def windows(self, size):
        """The windows of `size` examples."""
        sizes = {name: getattr(FEATURES, name) for name in ("max_length", "stride", "max_question_length")}
        return encode_pairs(self.tokenizer, *self.texts(size), **sizes)

    def tflop(self, size, kind):
        """TFLOP of the real tokens of `size` examples; `kind` as `compute.tflop`."""
        return compute.tflop(self.model, int(self.windows(size).lengths().sum()), kind)

    def in_words(self, size):
        windows = self.windows(size)
        return f"{size:,} examples, {float(windows.lengths().float().mean()):.0f} tokens a window"


# --------------------------------------------------------------------------------------------------------------- works


def features(bench, size):
    """Windows of `size` pairs."""
    return Work(
        "features",
        f"{size:,} pairs",
        {
            "recipe": lambda: recipe.features(bench.tokenizer, *bench.texts(size)),
            "library": lambda: bench.windows(size),
        },
    )


def decoding(bench, size):
    """The 20 best answers of the examples of `size` windows; "best one" asks for the best only."""
    questions, contexts = bench.texts(DECODED_PAIRS)
    windows = bench.windows(len(questions))
    plain = recipe.features(bench.tokenizer, questions, contexts)
    # the examples' windows are used again, as those of other examples, until there are enough
    rows = np.arange(size)
    turn, row = rows // len(windows), rows % len(windows)
    example = turn * len(questions) + windows.example_index.numpy()[row]
    part = replace(windows.select(row), example_index=torch.from_numpy(example))
    contexts = contexts * (int(turn[-1]) + 1)
    contexts = contexts[: int(example[-1]) + 1]
    plain = [{**plain[index], "example": int(number)} for index, number in zip(row, example, strict=True)]
    start, end = like_a_reader_s(part, seed=1)
    padding = recipe.MAX_LENGTH - start.shape[1]
    start_list, end_list = (
        np.pad(logits, ((0, 0), (0, padding)), constant_values=-1e4).astype(np.float64).tolist()
        for logits in (start, end)
    )
    return Work(
        "decoding",
        f"{size:,} windows",
        {
            "recipe": lambda: recipe.best_answers(plain, start_list, end_list, contexts),
            "library": lambda: best_answers(part, start, end, contexts),
            "library, best one": lambda: best_answers(part, start, end, contexts, n_best=1),
        },
    )


def like_a_reader_s(windows, *, seed):
    """Start and end logits (W, L) float32 of the kind that a trained reader gives, which are not those of one.

    Noise, and a hill at one place of the context for the start and at one up to 9 tokens later for the end, so that
    the best starts and ends lie together, as they do where a reader has found an answer.
    """
    generator = np.random.default_rng(seed)
    inside = windows.offsets.numpy()[..., 0] >= 0
    first = inside.argmax(-1)
    start = first + (generator.random(len(windows)) * inside.sum(-1)).astype(int)
    places = np.arange(inside.shape[1])
    made = []
    for place in (start, start + generator.integers(0, 10, len(windows))):
        hill = 8 * np.exp(-np.abs(places - place[:, None]) / 4)
        made.append((hill + generator.normal(scale=1.5, size=inside.shape) - 4).astype(np.float32))
    return made


def _with_bfloat16(library):
    """The library's ways: float32, and bfloat16 where the hardware has it."""
    ways = {"library": library}
    if numerics.native_bfloat16():
        ways["library, bfloat16"] = lambda: library(bf16=True)
    return ways


def reading(bench, size):
    """The best answers' texts of `size` examples, from text to text."""
    part = bench.examples[:size]

    def library(bf16=False):
        found = predict.answers(bench.model, bench.tokenizer, part, features=FEATURES, batch_size=BATCH, bf16=bf16)
        return [answers[0].text if answers else "" for answers in found]

    def plain():
        return recipe.evaluate(bench.plain, bench.tokenizer, *bench.texts(size), device=bench.device)

    ways = {"recipe": plain, **_with_bfloat16(library)}
    return Work("reading", bench.in_words(size), ways, bench.tflop(size, compute.READ))


def training(bench, size):
    """One epoch of cross-entropy on the windows of `size` examples; losses of its steps."""

    def library(bf16=False):
        return _trained(bench, size, CROSS_ENTROPY, bf16)

    return Work("training", bench.in_words(size), _with_bfloat16(library), bench.tflop(size, compute.TRAIN))


def distillation(bench, size):
    """One epoch of self-distillation on the windows of `size` examples; losses of its steps."""

    def library(bf16=False):
        return _trained(bench, size, SKD_MAP, bf16)

    def plain():
        rows = list(dataset.training_features(bench.tokenizer, bench.examples[:size], FEATURES))
        return recipe.distil(
            copy.deepcopy(bench.plain),
            copy.deepcopy(bench.plain).eval(),
            rows,
            method=SKD_MAP,
            learning_rate=OPTIMISATION.learning_rate,
            pad_id=bench.tokenizer.pad_token_id,
            order=np.random.default_rng(1).permutation(len(rows)).tolist(),
            device=bench.device,
        )

    ways = {"recipe": plain, **_with_bfloat16(library)}
    return Work("distillation", bench.in_words(size), ways, bench.tflop(size, compute.DISTIL))


def _trained(bench, size, method, bf16):
    with scratch_folder() as folder:
        log, _ = train_reader(
            copy.deepcopy(bench.model),
            bench.tokenizer,
            bench.examples[:size],
            features=FEATURES,
            optimisation=OPTIMISATION,
            method=method,
            generations=1,
            seed=1,
            output_dir=folder,
            bf16=bf16,
            frozen=True,
        )
    return [row["loss"] for row in log]
