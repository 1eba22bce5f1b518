"""Several readers on the same question and passage, and what of a text their vocabulary does not know."""

from ..training.models import load_reader
from .predict import answers


class Readers:
    """Readers in memory, to be asked again and again.

    Args:
        folders: name -> model folder; they share the tokenizer of the first.
        features, evaluation: `params.Features`, `params.Evaluation`.

    Raises:
        DataError: a folder that holds no reader.
    """

    def __init__(self, folders, *, features, evaluation):
        self._models = {name: load_reader(folder) for name, folder in folders.items()}
        self._options = {
            "features": features,
            "batch_size": evaluation.batch_size,
            "n_best": evaluation.n_best,
            "max_answer_tokens": evaluation.max_answer_tokens,
        }

    def answers(self, examples):
        """name -> for each example a list of `decoding.Answer`, best first; gold answers are not looked at."""
        return {
            name: answers(model, tokenizer, examples, **self._options)
            for name, (model, tokenizer) in self._models.items()
        }

    @property
    def tokenizer(self):
        return next(iter(self._models.values()))[1]


def unknown_characters(tokenizer, text):
    """The distinct characters of a text that a vocabulary has no piece for, in their order.

    A reader sees each of them, and what a tokenizer joins to it, as one and the same unknown piece.
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    spans = [span for piece, span in pairs if piece == tokenizer.unk_token_id]
    return list(dict.fromkeys(c for start, end in spans for c in text[start:end] if not c.isspace()))


def characters_per_piece(tokenizer, texts):
    """How finely a vocabulary cuts texts, not all of them empty: characters, without white space, for each piece."""
    pieces = sum(map(len, tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]))
    return sum(len("".join(text.split())) for text in texts) / pieces
