"""The study of a user's own language: what its folder decides, and what is said before anything is trained."""

import json
from collections import Counter
from pathlib import Path

import yaml

from ..data import own
from ..running.files import ROOT
from ..training.compute import DISTIL, READ, TRAIN
from . import params as parameters

# of the packaged encoder, `compute.layer_weights`; what others cost is not known before they are loaded
LAYER_WEIGHTS = 21_294_338
# committed runs: of what the cost of a SQuAD question and the speed of two cores are read off
SQUAD_RECORD = "results/xquad/records/reader.json"
SPEED_RECORD = "results/embedded/records/reader.json"


def compose(folder, parallel, size="full"):
    """The parameters of the profile `own` for a user's folder.

    Args:
        folder: as `data.own` describes it.
        parallel: language -> examples, that `own.examine` found no problem in.
        size: "full" or "smoke".

    Returns:
        (text of params.yaml, lines that say what will be done).

    Raises:
        DataError: passages that cannot be shared out (`own.split`), or a file of the reader's that cannot be read.
    """
    part = own.split(parallel, parameters.load_params(f"own/{size}").data.seed)
    train = list(part.values()).count("train")
    changes = {
        "data": {"folder": str(folder), "folder_sha256": own.fingerprint(folder)},
        "sampling": {"languages": list(parallel), "parallel_ids": 0},
        "sweeps": {"parallel_ids": 0, "few_ids": [train // 4, train // 2], "left_out": []},
    }
    text = parameters.compose("own", size, changes)
    params = parameters.checked(yaml.safe_load(text), "the profile own")
    return text, [*_split_in_words(params, parallel, part), *cost_in_words(params, parallel, part)]


def _split_in_words(params, parallel, part):
    ids, passages = Counter(part.values()), own.passages_of(parallel)
    drawn = {name: len({passages[i] for i in part if part[i] == name}) for name in own.PARTS}
    tested = min(ids["test"], params.data.questions_of("own-test") or ids["test"])
    return [
        f"Languages: {', '.join(parallel)}. Split by passage (seed {params.data.seed}): "
        + ", ".join(f"{ids[name]} questions about {drawn[name]} passages to {name}" for name in own.PARTS)
        + ".",
        f"The test reads {tested} questions of each language pair: it tells a pair's gain to about "
        f"± {own.half_width(tested):.0f} points of F1, and the mean of all pairs closer.",
    ]


def cost(params, parallel, part):
    """TFLOP to expect of each part of the study, as {name: TFLOP}; None for another encoder than the packaged one.

    Tokens of the user's texts are those of the packaged tokenizer, windows that overlap counted once.
    """
    if params.encoder.pretrained != "packaged" or params.encoder.layers is not None:
        return None
    from ..training import packaged_encoder

    packed = packaged_encoder.read(packaged_encoder.encoder_file())
    tokenizer = packaged_encoder.tokenizer_of(packed).backend_tokenizer
    lengths = []
    for examples in parallel.values():
        for texts in zip(*((e.question, e.context) for e in examples), strict=True):
            lengths.append(sum(len(found.ids) for found in tokenizer.encode_batch(list(texts))) / len(examples))
    tokens = sum(lengths) / len(parallel)
    ids, epochs, seeds = list(part.values()), params.distillation.epochs, len(params.seeds)
    pairs = len(parallel) ** 2

    def trained(method):
        kind = TRAIN if params.method(method).coefficient is None else DISTIL
        drawn = min(params.method(method).ntl + 1, len(parallel)) ** 2
        return kind * drawn * tokens * epochs * seeds

    def read(name, most):
        return READ * pairs * min(ids.count(name), most or len(ids)) * tokens

    runs = len(params.trained) * seeds
    part_of_ids = [few for few in params.sweeps.few_ids if few]
    scored = sum(read(name, params.data.questions_of(f"own-{name}")) for name in ("dev", "test"))
    swept = len(part_of_ids) * len(params.sweeps.methods) * seeds * read("dev", params.sweeps.evaluation_questions)
    record = json.loads((ROOT / SQUAD_RECORD).read_text(encoding="utf-8"))
    english = len(own.reader_questions(Path(params.data.folder))) or own.READER_QUESTIONS
    each = record["tflop"] / record["examples"] / record["optimisation"]["epochs"]
    flop = {
        "students": ids.count("train") * sum(map(trained, params.trained)),
        "a quarter and half of the data": sum(part_of_ids) * sum(map(trained, params.sweeps.methods)) + swept,
        "reading": (1 + runs) * scored,
    }
    reader = min(english, own.READER_QUESTIONS) * each * params.reader.epochs
    return {"English reader": reader} | {name: LAYER_WEIGHTS * value / 1e12 for name, value in flop.items()}


def cost_in_words(params, parallel, part):
    """`cost` as lines of text, with the minutes that two cores take for it."""
    parts = cost(params, parallel, part)
    if parts is None:
        return [f"Cost: not known in advance for the encoder {params.encoder.pretrained}."]
    record = json.loads((ROOT / SPEED_RECORD).read_text(encoding="utf-8"))
    minutes = record["minutes"] / record["tflop"]
    listed = ", ".join(f"{name} {value:.0f}" for name, value in parts.items())
    first, total = parts["English reader"], sum(parts.values())
    return [
        f"To compute: {total:.0f} TFLOP ({listed}), about {minutes * total:.0f} minutes on two cores as fast as those "
        f"of the default study. The reader, {minutes * first:.0f} of them, is made once for all such studies."
    ]
