"""Translation retrieval, the cutting of words and what trimming leaves, on cases worked out by hand."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast

from xqa_lib.errors import DataError
from xqa_lib.reading.encoder_probe import cutting, in_words, translation_retrieval, trimming

# word -> its vector in layer 0 and in layer 1. All Spanish ones have (100, 50) in common, all German ones (7, 7), which
# taking their mean away takes away.
VECTORS = {
    "[PAD]": ((90, -90), (-70, 70)),  # would change every mean
    "[UNK]": ((0, 0), (0, 0)),
    "sun": ((2, 0), (2, 0)),
    "moon": ((0, 2), (0, 2)),
    "star": ((-2, -2), (-2, -2)),
    # in layer 0 sun and moon are mistaken for each other
    "sol": ((100, 52), (102, 50)),
    "luna": ((102, 50), (100, 52)),
    "estrella": ((98, 48), (98, 48)),
    # by the product alone, instead of the cosine, the sun would be nearer to "moon": (3, 1.5) against (0, 1)
    "die": ((8, 8), (8, 8)),
    "Sonne": ((12, 9), (12, 9)),
    "Mond": ((7, 8), (7, 8)),
    "Stern": ((4, 4.5), (4, 4.5)),
    # the moon's nearest of these is "trăng", but the nearest of "trăng" is the sun
    "trời": ((3, 1), (3, 1)),
    "trăng": ((2, 1.9), (2, 1.9)),
    "sao": ((-5, -2.9), (-5, -2.9)),
}
LAYERS = torch.tensor(list(VECTORS.values()), dtype=torch.float32)  # (words, layers, 2)


class Model:
    """Hidden states from a table."""

    device = torch.device("cpu")

    def __call__(self, input_ids, attention_mask, output_hidden_states):
        assert output_hidden_states
        return SimpleNamespace(hidden_states=tuple(LAYERS[input_ids].unbind(2)))


def word_tokenizer():
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(VECTORS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=8,
        model_input_names=["input_ids", "attention_mask"],
    )


QUESTIONS = {"en": ["sun", "moon", "star"], "es": ["sol", "luna", "estrella"], "de": ["die Sonne", "Mond", "Stern"]}


def test_translations_by_layer():
    found = translation_retrieval(Model(), word_tokenizer(), QUESTIONS)
    expected = pd.DataFrame({"es": [100 / 3, 100.0], "de": [100.0, 100.0]}).rename_axis("layer")
    pd.testing.assert_frame_equal(found, expected)


def test_the_pivot_looks_for_the_others():
    questions = {"en": QUESTIONS["en"], "vi": ["trời", "trăng", "sao"]}
    assert translation_retrieval(Model(), word_tokenizer(), questions)["vi"].tolist() == [100.0, 100.0]
    found = translation_retrieval(Model(), word_tokenizer(), questions, pivot="vi")
    assert found.columns.tolist() == ["en"]
    assert found["en"].tolist() == [200 / 3, 200 / 3]


def test_questions_of_the_same_wording_are_each_others_translation():
    questions = {"en": ["star", "sun", "sun"], "es": ["estrella", "sol", "sol"]}
    assert translation_retrieval(Model(), word_tokenizer(), questions)["es"].tolist() == [100.0, 100.0]


def test_batches_do_not_matter(monkeypatch):
    whole = translation_retrieval(Model(), word_tokenizer(), QUESTIONS)
    monkeypatch.setattr("xqa_lib.reading.encoder_probe.BATCH", 1)  # no padding
    pd.testing.assert_frame_equal(translation_retrieval(Model(), word_tokenizer(), QUESTIONS), whole)


@pytest.mark.parametrize(
    "questions", [{"es": ["a"], "de": ["b"]}, {"en": ["a"]}, {"en": ["a", "b"], "es": ["a"]}, {"en": [], "es": []}]
)
def test_questions_that_are_not_parallel(questions):
    with pytest.raises(ValueError, match="expected the same questions in 'en' and at least one other"):
        translation_retrieval(Model(), word_tokenizer(), questions)


def test_cutting():
    tokenizer = word_tokenizer()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split("-", "removed")
    found = cutting(tokenizer, {"en": ["sun-moon sun", "moon"], "th": ["sun-moon"]})
    # en: pieces "sun", "moon sun", "moon" of 3 words with 15 characters; th: 2 pieces, 8 characters
    assert found.loc["en"].tolist() == [1.0, 5.0]
    assert pd.isna(found.loc["th", "pieces per word"])
    assert found.loc["th", "characters per piece"] == 4.0
    with pytest.raises(DataError, match="unknown language 'EN'"):
        cutting(tokenizer, {"EN": ["sun"]})


def test_what_trimming_leaves():
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
    found = trimming(BertForQuestionAnswering(config))
    layer = 4 * (16 * 16 + 16) + 2 * 16 * 32 + 32 + 16 + 4 * 16
    assert found["whole"].tolist() == [12, 250_002, 250_002 * 16, 12 * layer]
    assert found["trimmed"].tolist() == [3, 50, 50 * 16, 3 * layer]
    assert found.index.tolist() == ["layers", "pieces", "weights of word embeddings", "weights of layers"]


def test_what_an_encoder_is_in_words():
    sizes = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
    model = BertForQuestionAnswering(BertConfig(vocab_size=1500, **sizes))
    right = pd.DataFrame({"de": [40.0, 90.0], "zh": [20.0, 75.0]}).rename_axis("layer")
    assert in_words("packaged", model, right, chance=1.25) == (
        "This is the packaged encoder (1 layers, 1,500 pieces), before it has seen an answer. It finds 82% of the "
        "translations at layer 1, where it finds most; a guess finds 1.2%."
    )
    tiny = in_words("tiny", model, right[::-1].reset_index(drop=True), chance=12.5)
    assert tiny.startswith(
        "This is the tiny encoder of the smoke size (1 layers, 1,500 pieces), whose weights are random"
    )
    assert "It finds 82% of the translations at layer 0, where" in tiny
