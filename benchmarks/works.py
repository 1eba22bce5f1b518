"""The works that are measured, each done in the library's way and by the usual recipe, at several sizes."""

import copy
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForQuestionAnswering

from xqa_lib import decoding
from xqa_lib.data import corpora, factbook, squad_format
from xqa_lib.errors import DataError
from xqa_lib.features import encode_pairs
from xqa_lib.reading import predict
from xqa_lib.study.params import ROOT, Features, load_params
from xqa_lib.training import cpu_linear, dataset, distillation
from xqa_lib.training.models import train_tokenizer

from . import recipe
from .measure import Measurement, repeated

LANGUAGES = ("en", "es", "de", "ar", "hi", "vi", "zh")
FEATURES = Features(recipe.MAX_LENGTH, recipe.STRIDE, recipe.MAX_QUESTION)
DECODED_PAIRS = 1000  # whose windows are decoded
BATCH = 64  # windows of a forward pass, as the profiles' evaluation.batch_size
GOALS = {
    ("features", "library"): 8,
    ("decoding", "library"): 50,
    ("evaluation", "library"): 4,
    ("distillation epoch", "library"): 2,
}


def pairs(questions, wanted_source=None):
    """(source, examples): the questions of `questions` ids in all pairs of seven languages.

    Args:
        questions: ids; those that most languages have, so that pairs share questions and contexts as in the whole set.
        wanted_source: "mlqa", its development set, from `$XQA_DATA_DIR` or ../shared/data; "factbook", the generated
            corpus, whose contexts are shorter; None: mlqa where it is found, else factbook.

    Raises:
        DataError: MLQA is wanted but not found.
    """
    folder = os.environ.get("XQA_DATA_DIR") or ROOT.parent / "shared" / "data"
    wanted = [(question, context) for question in LANGUAGES for context in LANGUAGES]
    found = Path(folder).is_dir() and set(wanted) <= set(corpora.available("mlqa-dev", folder))
    if wanted_source == "mlqa" and not found:
        raise DataError(f"{folder} lacks MLQA's development set; set XQA_DATA_DIR to the folder that has it")
    if found and wanted_source != "factbook":
        source = "MLQA dev"
        sets = [
            corpora.load("mlqa-dev", question_lang=question, context_lang=context, data_dir=folder)
            for question, context in wanted
        ]
    else:
        source = "factbook"
        corpus = factbook.generate(
            paragraphs=questions, languages=LANGUAGES, seed=13, split="test", questions_per_paragraph=3
        )
        by_language = {language: factbook.examples_of(part) for language, part in corpus.items()}
        sets = [factbook.cross_lingual(by_language, *pair) for pair in wanted]
    count = Counter(example.id for examples in sets for example in examples)
    chosen = set(sorted(count, key=lambda example_id: (-count[example_id], example_id))[:questions])
    return source, [example for examples in sets for example in examples if example.id in chosen]


class Bench:
    """Data, tokenizer and a small encoder of the embedded profile's shape, made once for all works."""

    def __init__(self, examples, *, layers=4, hidden=128, seed=1):
        self.examples = examples
        texts = list(dict.fromkeys(text for e in examples for text in (e.question, e.context)))
        self.tokenizer = train_tokenizer(texts, vocabulary_size=8000, max_length=recipe.MAX_LENGTH)
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(self.tokenizer),
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=max(1, hidden // 32),
            intermediate_size=4 * hidden,
            max_position_embeddings=recipe.MAX_LENGTH,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.1,  # so that positions differ
            attn_implementation="sdpa",
        )
        self.model = BertForQuestionAnswering(config).eval()
        self.plain = copy.deepcopy(self.model)
        self.plain.set_attn_implementation("eager")
        cpu_linear.use(self.model)  # as `models.load_reader` does

    def texts(self, size):
        part = self.examples[:size]
        return [example.question for example in part], [example.context for example in part]


def features(bench, size):
    """{way: function}: windows of `size` pairs."""
    questions, contexts = bench.texts(size)
    return {
        "recipe": lambda: recipe.features(bench.tokenizer, questions, contexts),
        "library": lambda: encode_pairs(
            bench.tokenizer,
            questions,
            contexts,
            max_length=FEATURES.max_length,
            stride=FEATURES.stride,
            max_question_length=FEATURES.max_question_length,
        ),
    }


def decoding_work(bench, size):
    """{way: function}: the 20 best answers of the examples of `size` windows; "best one" asks for the best only."""
    questions, contexts = bench.texts(DECODED_PAIRS)
    windows = features(bench, len(questions))["library"]()
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
    return {
        "recipe": lambda: recipe.best_answers(plain, start_list, end_list, contexts),
        "library": lambda: decoding.best_answers(part, start, end, contexts),
        "library, best one": lambda: decoding.best_answers(part, start, end, contexts, n_best=1),
    }


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


def evaluation_work(bench, size):
    """{way: function}: the best answers' texts of `size` examples, from text to text."""
    part = bench.examples[:size]

    def library(bf16=False):
        found = predict.answers(bench.model, bench.tokenizer, part, features=FEATURES, batch_size=BATCH, bf16=bf16)
        return [answers[0].text if answers else "" for answers in found]

    return {
        "recipe": lambda: recipe.evaluate(bench.plain, bench.tokenizer, *bench.texts(size)),
        "library": library,
        "library, bfloat16": lambda: library(bf16=True),
    }


def rounding_words(bench, size):
    """A sentence: how many answers bfloat16 leaves as they are in float32."""
    ways = evaluation_work(bench, size)
    pairs = list(zip(ways["library"](), ways["library, bfloat16"](), strict=True))
    same = sum(one == other for one, other in pairs)
    return f"bfloat16 rounds: {same:,} of {len(pairs):,} answers are those of float32 (random weights, close scores).\n"


def distillation_work(bench, size, folder):
    """{way: function}: one epoch of self-distillation on the windows of `size` examples; losses of its steps."""
    study = load_params("embedded/full")
    method = study.methods["skd-map"]
    optimisation = replace(study.distillation, epochs=1, batch_size=24, accumulation=1, dropout=0.0, token_masking=0.0)
    part = bench.examples[:size]

    def library():
        log, _ = distillation.train_reader(
            copy.deepcopy(bench.model),
            bench.tokenizer,
            part,
            features=FEATURES,
            optimisation=optimisation,
            method=method,
            generations=1,
            seed=1,
            output_dir=Path(folder) / "trainer",
        )
        return [row["loss"] for row in log]

    def plain():
        rows = list(dataset.training_features(bench.tokenizer, part, FEATURES))
        order = np.random.default_rng(1).permutation(len(rows)).tolist()
        return recipe.distil(
            copy.deepcopy(bench.plain),
            copy.deepcopy(bench.plain).eval(),
            rows,
            method=method,
            learning_rate=optimisation.learning_rate,
            pad_id=bench.tokenizer.pad_token_id,
            order=order,
        )

    return {"recipe": plain, "library": library}


def measured(name, unit, make, sizes, repeats, report):
    """Measure every way of a work at every size.

    Args:
        make: size -> {way: function}.
        report: called with a line for each measurement.

    Returns:
        List of `measure.Measurement`.
    """
    made = []
    for size in sizes:
        for way, seconds in repeated(make(size), repeats).items():
            made.append(Measurement(name, way, size, unit, seconds))
            report(f"{name}, {size} {unit}, {way}: {made[-1].median:.3f} s")
    return made


def evaluation_memory(sizes):
    """Peak memory in MiB of reading so many short examples, each size in a process of its own; [(size, MiB)]."""
    found = []
    for size in sizes:
        command = [sys.executable, "-c", f"from benchmarks import works; works._read_short({size})"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        found.append((size, int(done.stdout.split()[-1]) // 1024))
    return found


class _ShortExamples:
    """`size` short examples, made when they are read: they take no memory that grows with their number."""

    words = ("river", "city", "Anna", "painter", "museum", "bridge", "1850", "north")

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, rows):
        return [self._example(number) for number in range(*rows.indices(self.size))]

    def _example(self, number):
        question = f"Where is the {self.words[number % 8]}?"
        context = " ".join(self.words[(number + step) % 8] for step in range(12))
        return squad_format.Example(str(number), question, context, (), "", "en", "en")


def _read_short(size):
    """Read `size` short examples with a tiny model and print the peak memory of this process in KiB."""
    torch.set_num_threads(1)
    examples = _ShortExamples(size)
    bench = Bench(examples[:64], layers=1, hidden=32)
    found = predict.stream_answers(bench.model, bench.tokenizer, examples, features=FEATURES, batch_size=BATCH)
    best = sum(bool(answers) for answers in found)
    assert best == size
    # not getrusage's: that begins with the peak of the process that started this one
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def scratch_folder():
    """A folder for trainers that goes away by itself."""
    return tempfile.TemporaryDirectory(prefix="benchmarks-")
