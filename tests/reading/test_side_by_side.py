"""Several readers on one question; what a vocabulary knows of a text."""

import pytest
import torch
from transformers import BertConfig, BertForQuestionAnswering

from xqa_lib.data.squad_format import Example
from xqa_lib.reading.predict import answers
from xqa_lib.reading.side_by_side import Readers, characters_per_piece, unknown_characters
from xqa_lib.study.params import Evaluation, Features
from xqa_lib.training import models
from xqa_lib.training.tiny_encoder import train_tokenizer

CONTEXT = "the town was founded by Rimul near the sea"
EXAMPLES = [Example("", question, CONTEXT, (), "", "en", "en") for question in ("who founded it", "where is it")]
TOKENIZER = train_tokenizer([CONTEXT, "who founded it", "where is it"], vocabulary_size=60, max_length=48)
FEATURES = Features(max_length=40, stride=9, max_question_length=10)
EVALUATION = Evaluation(batch_size=4, n_best=5, max_answer_tokens=6)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("readers")
    for seed in (1, 2):
        torch.manual_seed(seed)
        size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        config = BertConfig(vocab_size=len(TOKENIZER), max_position_embeddings=48, initializer_range=1.0, **size)
        BertForQuestionAnswering(config).save_pretrained(place / f"{seed}")
        TOKENIZER.save_pretrained(place / f"{seed}")
    return {f"reader {seed}": place / f"{seed}" for seed in (1, 2)}


def test_each_reader_answers_as_by_itself(folders):
    found = Readers(folders, features=FEATURES, evaluation=EVALUATION).answers(EXAMPLES)
    assert list(found) == list(folders)
    for name, folder in folders.items():
        model, tokenizer = models.load_reader(folder)
        alone = answers(model, tokenizer, EXAMPLES, features=FEATURES, batch_size=4, n_best=5, max_answer_tokens=6)
        assert found[name] == alone
    assert found["reader 1"] != found["reader 2"]
    assert [len(best) for best in found["reader 1"]] == [5, 5]


def test_unknown_characters_are_named_once_in_their_order():
    assert unknown_characters(TOKENIZER, "the 🌍 was Ж near 🌍") == ["🌍", "Ж"]
    assert unknown_characters(TOKENIZER, CONTEXT) == []


def test_characters_per_piece_leave_out_white_space():
    pieces = len(TOKENIZER("town", add_special_tokens=False)["input_ids"])
    assert characters_per_piece(TOKENIZER, ["to wn", " "]) == 4 / len(TOKENIZER.tokenize("to wn"))
    assert characters_per_piece(TOKENIZER, ["town"]) == 4 / pieces
