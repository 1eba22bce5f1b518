"""What an encoder knows before it learns to answer: translations, by layer; how it cuts words; what trimming left."""

import pandas as pd
import torch

from ..languages import language_of
from ..training.packaged_encoder import LAYERS, PIECES

BATCH = 32  # questions read at a time


def translation_retrieval(model, tokenizer, questions_by_language, *, pivot="en"):
    """How often the nearest neighbour of a question, among all those of another language, is its translation.

    A question's vector is the mean of its tokens' hidden states, special tokens included, padding not. From each
    language's vectors their mean is taken, because all vectors of a language have a part in common that tells which
    language it is; near means a high cosine.

    Args:
        model: a `transformers` encoder, with or without an answer layer.
        tokenizer: its tokenizer.
        questions_by_language: dict language -> list of N texts, translations of each other in the same order.
        pivot: the language whose questions look for their translations.

    Returns:
        DataFrame, percent right: index layer (0 the embeddings), columns the other languages.

    Raises:
        ValueError: no pivot, no other language, or lists of unequal length.
    """
    counts = {language: len(questions) for language, questions in questions_by_language.items()}
    if pivot not in counts or len(counts) < 2 or len(set(counts.values())) != 1 or not counts[pivot]:
        raise ValueError(
            f"expected the same questions in {pivot!r} and at least one other language, found these numbers: {counts}"
        )
    vectors = {
        language: _question_vectors(model, tokenizer, questions)
        for language, questions in questions_by_language.items()
    }
    others = [language for language in counts if language != pivot]
    right = {}
    for language in others:
        nearest = (vectors[pivot] @ vectors[language].transpose(1, 2)).argmax(-1)  # (layers, N)
        questions = questions_by_language[language]
        # two questions may have the same wording, and then the same vector
        right[language] = [
            100 * sum(questions[found] == questions[row] for row, found in enumerate(layer)) / len(questions)
            for layer in nearest.tolist()
        ]
    return pd.DataFrame(right, columns=others).rename_axis("layer")


def _question_vectors(model, tokenizer, questions):
    """(layers + 1, N, hidden) float32: centred mean vectors of length 1."""
    means = []
    for begin in range(0, len(questions), BATCH):
        inputs = tokenizer(questions[begin : begin + BATCH], padding=True, truncation=True, return_tensors="pt")
        inputs = inputs.to(model.device)
        with torch.inference_mode():
            states = torch.stack(model(**inputs, output_hidden_states=True).hidden_states)  # (layers + 1, B, L, hidden)
        real = inputs["attention_mask"][..., None]
        means.append(((states * real).sum(2) / real.sum(1)).float().cpu())
    means = torch.cat(means, dim=1)
    return torch.nn.functional.normalize(means - means.mean(1, keepdim=True), dim=-1)


def cutting(tokenizer, texts_by_language):
    """How finely a tokenizer cuts each language.

    Args:
        tokenizer: a fast tokenizer.
        texts_by_language: dict language -> list of texts.

    Returns:
        DataFrame with the index language: pieces per word (NaN where words are not separated by spaces) and characters
        per piece, white space not counted.
    """
    rows = {}
    for language, texts in texts_by_language.items():
        pieces = sum(len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])
        words = [word for text in texts for word in text.split()]
        rows[language] = {
            "pieces per word": pieces / len(words) if language_of(language, " ".join(texts)).spaces else float("nan"),
            "characters per piece": sum(map(len, words)) / pieces,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("language")


def in_words(pretrained, model, right, *, chance):
    """What an encoder is and how much it knows of translations, two sentences.

    Args:
        pretrained: `params.encoder.pretrained`.
        model: the encoder.
        right: as `translation_retrieval` gives it.
        chance: what a guess finds, percent.
    """
    means = right.mean(axis=1)
    best = means.idxmax()
    found = f"{means[best]:.0f}% of the translations at layer {best}, where it finds most; a guess finds {chance:.1f}%"
    size = f"{model.config.num_hidden_layers} layers, {model.get_input_embeddings().num_embeddings:,} pieces"
    if pretrained == "tiny":
        return (
            f"This is the tiny encoder of the smoke size ({size}), whose weights are random: it knows nothing. It "
            f"finds {found}, and what is more than that shares pieces such as names with its translation, or is luck."
        )
    name = "the packaged encoder" if pretrained == "packaged" else pretrained
    return f"This is {name} ({size}), before it has seen an answer. It finds {found}."


def trimming(model):
    """What is left of the packaged encoder: DataFrame, rows layers, pieces and weights, columns whole and trimmed."""
    encoder = model.base_model
    blocks = encoder.encoder.layer
    words = encoder.get_input_embeddings().weight
    weights = sum(parameter.numel() for parameter in blocks[0].parameters())  # of a layer
    return pd.DataFrame(
        {
            "whole": [LAYERS, PIECES, PIECES * words.shape[1], LAYERS * weights],
            "trimmed": [len(blocks), words.shape[0], words.numel(), len(blocks) * weights],
        },
        index=["layers", "pieces", "weights of word embeddings", "weights of layers"],
    )
