"""Small readers, examples and parameters that several test files are made of."""

import dataclasses
from dataclasses import replace

import torch
from transformers import BertConfig, BertForQuestionAnswering

from xqa_lib.data.squad_format import Example, GoldAnswer


def tiny_reader(vocabulary_size, *, seed=0, dropout=0.0, **changes):
    """A reader of 16 hidden units with random weights, by the seed."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    settings = {"max_position_embeddings": 64, "initializer_range": 0.3} | sizes  # so that positions differ
    settings |= {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout} | changes
    return BertForQuestionAnswering(BertConfig(vocab_size=vocabulary_size, **settings))


def born(number):
    """One question about a paragraph of one to three sentences; lengths differ from example to example."""
    city = ("Rome", "Paris", "北京", "Oslo")[number % 4]
    context = f"Anna was born in {city}." + " She was a painter." * (number % 3)
    question = "Where was Anna born?" if number % 2 else "Where?"
    return Example(f"q{number}", question, context, (GoldAnswer(city, 17),), "Anna", "en", "en")


def changed(params, **sections):
    """Parameters with some fields of some sections replaced; `methods` by name, the rest of the top level as it is."""
    new = {}
    for name, value in sections.items():
        old = getattr(params, name)
        new[name] = replace(old, **value) if dataclasses.is_dataclass(old) else value
    return replace(params, **new)


def in_folder(params, folder):
    return changed(params, paths={name: str(folder / name) for name in ("data", "runs", "results", "reports")})
