"""A model to take away: the best of a study of a user's own language, as a folder for `transformers` with its card."""

import filecmp
import shutil

import pandas as pd
import yaml

from ..data import own, prepared
from ..errors import DataError
from ..reading import evaluation
from ..running.files import atomic_folder, write_text
from ..study import layout
from . import report, scorecard, words


def write(params, *, onnx=False):
    """Write the model that the development set chose to `best` in the study's folder of runs; whole or not at all.

    Args:
        params: `params.Params` of a study of the profile `own` whose stages have run.
        onnx: write model.onnx beside it, too.

    Returns:
        (folder, notes): config, model.safetensors, tokenizer, and README.md, the card; lines about a card that was
        edited: it stays beside the weights that it tells of.

    Raises:
        DataError: another profile's study, models that are not there, or questions that changed or went since.
    """
    if params.data.source != "own":
        raise DataError(
            f"expected a study of your own language, found {params.study}: its models keep the pieces of its own texts "
            "alone; make reproduce PROFILE=own DATA=FOLDER"
        )
    own.read(params.data.folder, params.data.folder_sha256)  # the card tells of it
    scores = report.load_scores(params)
    method, seed = scorecard.choose(params, scores)
    source = layout.model_folder(params, method, seed)
    if not source.is_dir():
        raise DataError(f"{source} is missing: run `make reproduce PROFILE=own DATA={params.data.folder}`")
    folder, text, notes = params.runs_folder / "best", card(params, scores, method, seed), []
    before, weights = folder / "README.md", "model.safetensors"
    edited = before.is_file() and before.read_text(encoding="utf-8") != text
    same = (folder / weights).is_file() and filecmp.cmp(folder / weights, source / weights, shallow=False)
    with atomic_folder(folder) as out:
        if same:  # what was added or edited since is of this model
            shutil.copytree(folder, out, dirs_exist_ok=True)
        shutil.copytree(source, out, dirs_exist_ok=True)
        if edited and same:
            notes.append(f"{before}: kept, though it differs from the card of today: take it away to have that one")
        else:
            write_text(out / before.name, text)
        if edited and not same:
            shutil.copy(before, out / "README-before.md")
            notes.append(f"{before}: new, for another model; the one before is README-before.md")
        if onnx:
            from ..training import onnx_export

            onnx_export.export(out, out / "model.onnx")
    return folder, notes


def card(params, scores, method, seed):
    """The model card: metadata as the Hugging Face hub reads it, and what a user must know.

    Args:
        scores: as `report.load_scores`.
        method, seed: as `scorecard.choose`.
    """
    part = scores[(scores["system"] == method) & (scores["seed"] == seed) & (scores["set"] == scorecard.TEST)]
    pairs = evaluation.pair_means(part)
    languages = params.sampling.languages
    name = f"reader-{'-'.join(languages)}"
    squad, zero_shot = not own.reader_questions(params.data.folder), method == layout.ZERO_SHOT
    taught = {"encoder-mit": True, "squad-cc-by-sa-4.0": squad, "own-questions": not (squad and zero_shot)}
    results = [
        {
            "task": {"type": "question-answering"},
            "dataset": {
                "name": f"own test, {row.question_lang} question, {row.context_lang} passage",
                "type": "own-test",
                "config": f"{row.question_lang}.{row.context_lang}",
                "split": "test",
            },
            "metrics": [
                {"type": "f1", "value": round(row.f1, 2), "name": "F1"},
                {"type": "exact_match", "value": round(row.em, 2), "name": "Exact match"},
            ],
        }
        for row in pairs.itertuples()
    ]
    base = {"packaged": "intfloat/multilingual-e5-small"}.get(params.encoder.pretrained, params.encoder.pretrained)
    metadata = {
        "language": languages,
        "license": "other",
        "license_name": "-".join(part for part, used in taught.items() if used),
        "library_name": "transformers",
        "pipeline_tag": "question-answering",
        "base_model": base,
        **({"datasets": ["rajpurkar/squad"]} if squad else {}),
        "metrics": ["f1", "exact_match"],
        "model-index": [{"name": name, "results": results}],
    }
    return words.page(
        "model_card.md.j2",
        metadata=yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True),
        label="" if zero_shot else f"{params.methods[method].label}, seed {seed}",
        name=name,
        params=params,
        squad=squad,
        own_questions=taught["own-questions"],
        base=base,
        ids=len(prepared.read_parallel(params)["en"]),
        pairs=pd.DataFrame(
            {
                "question": pairs["question_lang"],
                "passage": pairs["context_lang"],
                "questions": pairs["questions"],
                "F1": pairs["f1"],
                "exact match": pairs["em"],
            }
        ),
    )
