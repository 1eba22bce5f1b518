"""The parameters that a user's folder decides, and what is said of split and cost before anything is trained."""

import json
from dataclasses import replace

import pytest
import yaml

from tests import own_folder
from xqa_lib.data import own
from xqa_lib.running.files import ROOT
from xqa_lib.study import own_study, params
from xqa_lib.training.compute import layer_weights


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """(folder, text, lines, parallel) of the full size."""
    folder = own_folder.write(tmp_path_factory.mktemp("own") / "mine")
    parallel, _, _ = own.examine(folder)
    return folder, *own_study.compose(folder, parallel), parallel


def test_the_folder_decides_languages_and_curve(composed):
    folder, text, _, _ = composed
    values, profile = yaml.safe_load(text), params.load_params("own").as_dict()
    changed = {}
    for section, found in values.items():
        if found != profile[section]:
            changed |= {f"{section}.{name}": value for name, value in found.items() if value != profile[section][name]}
    assert changed == {
        "data.folder": str(folder),
        "data.folder_sha256": own.fingerprint(folder),
        "sampling.languages": ["en", "x-sahra"],
        "sweeps.few_ids": [3, 6],
    }


def test_what_is_said_before_the_training(composed):
    assert composed[2][:2] == [
        "Languages: en, x-sahra. Split by passage (seed 13): 12 questions about 4 passages to train, 6 questions about "
        "2 passages to dev, 6 questions about 2 passages to test.",
        "The test reads 6 questions of each language pair: it tells a pair's gain to about ± 26 points of F1, and the "
        "mean of all pairs closer.",
    ]
    assert composed[2][2].startswith("To compute: ")


def test_the_cost_is_that_of_the_tokens(composed):
    _, text, _, parallel = composed
    cfg = params.checked(yaml.safe_load(text), "test")
    part = own.split(parallel, cfg.data.seed)
    found = own_study.cost(cfg, parallel, part)
    # a cross-entropy token costs 6 FLOP a weight, a distilled one 8; 12 ids, 4 pairs, 3 epochs, 3 seeds
    tokens = found["students"] * 1e12 / own_study.LAYER_WEIGHTS / (12 * 4 * 3 * 3 * (6 + 8))
    assert 20 < tokens < 60  # questions and passages of some twenty words, a made-up language cut finely
    # quarter and half by one distilled method, and reading the 6 questions of development after each of the 6 runs
    swept = ((3 + 6) * 4 * 3 * 3 * 8 + 6 * 2 * 4 * 6) * tokens * own_study.LAYER_WEIGHTS / 1e12
    assert found["a quarter and half of the data"] == pytest.approx(swept)
    assert found["reading"] == pytest.approx(7 * 2 * 4 * 12 * tokens * own_study.LAYER_WEIGHTS / 1e12)
    squad = json.loads((ROOT / own_study.SQUAD_RECORD).read_text(encoding="utf-8"))
    assert found["English reader"] == pytest.approx(36 * 2 * squad["tflop"] / squad["examples"] / 2)


def test_the_cost_counts_every_question_of_the_test(composed):
    _, text, _, parallel = composed
    cfg = params.checked(yaml.safe_load(text), "test")
    few = own_study.cost(cfg, parallel, dict.fromkeys([f"{n}" for n in range(60)], "dev"))["reading"]
    part = {str(n): "test" if n < 100 else "dev" for n in range(200)}  # the development set stops at 60
    assert own_study.cost(cfg, parallel, part)["reading"] == pytest.approx(few * 160 / 60)


def test_the_cost_of_another_encoder_is_not_guessed(composed):
    _, text, _, parallel = composed
    cfg = params.checked(yaml.safe_load(text), "test")
    cfg = replace(cfg, encoder=replace(cfg.encoder, pretrained="some/name"))
    part = own.split(parallel, 13)
    assert own_study.cost_in_words(cfg, parallel, part) == ["Cost: not known in advance for the encoder some/name."]


def test_the_weights_are_those_of_the_packaged_encoder():
    from transformers import BertConfig, BertForQuestionAnswering

    sizes = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536, "vocab_size": 8}
    assert layer_weights(BertForQuestionAnswering(BertConfig(**sizes))) == own_study.LAYER_WEIGHTS
