"""The model to take away: what is chosen, its card, and its answers in processes that lack this project."""

import ast
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
import yaml
from transformers import AutoTokenizer

from tests import own_folder
from xqa_lib.data import own, prepared, roles
from xqa_lib.errors import DataError
from xqa_lib.reading import evaluation, predict
from xqa_lib.reporting import report, scorecard, take_away
from xqa_lib.running.files import ROOT
from xqa_lib.study import layout, on_demand, own_study, params
from xqa_lib.training import models, onnx_export, packaged_encoder, tiny_encoder

SYSTEMS = [("zero-shot", 0), ("ce", 1), ("ce", 2), ("skd-map", 1), ("skd-map", 2)]
TEXTS = [text for code in own_folder.TEMPLATES for row in own_folder.rows(code) for text in row[2:4]]


def trained(folder, *, sharp=20.0):
    """A reader of untrained weights that has likes and dislikes: answers that a tiny difference would not change."""
    model, tokenizer = models.load_reader(folder, seed=1)
    with torch.no_grad():
        model.qa_outputs.weight.mul_(sharp)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """name -> model folder: a tokenizer with token types, and the packaged encoder's first layer, which has none."""
    place = tmp_path_factory.mktemp("readers")
    tiny_encoder.write_encoder(place / "tiny", TEXTS, positions=128, seed=1)
    packaged_encoder.write_encoder(place / "packaged", layers=1, vocabulary=TEXTS)
    return {name: trained(place / name) for name in ("tiny", "packaged")}


@pytest.fixture(scope="module")
def study(tmp_path_factory, readers):
    """A study whose systems have made-up scores: seed 2 of skd-map is best on the development set, ce on the test."""
    folder = own_folder.write(tmp_path_factory.mktemp("study") / "mine")
    text, _ = own_study.compose(folder, own.examine(folder)[0], "smoke")
    cfg = params.checked(yaml.safe_load(text), "test")
    cfg = replace(cfg, paths=replace(cfg.paths, **{name: str(folder.parent / name) for name in vars(cfg.paths)}))
    roles.prepare(cfg)
    (folder.parent / "runs" / "students" / "skd-map").mkdir(parents=True)
    shutil.copytree(readers["tiny"], layout.student_folder(cfg, "skd-map", 2))
    share = {("own-dev", "skd-map"): 0.6, ("own-test", "ce"): 0.9}
    for system, seed in [*SYSTEMS, ("random-span", 0), ("ceiling", 0)]:
        rows = []
        for name in cfg.data.evaluation_sets:
            for place, e in enumerate(prepared.read_evaluation(cfg, name)):
                f1 = min(1.0, share.get((name, system), 0.3) + 0.01 * seed * (system == "skd-map"))
                right = place % 3 == 0
                gold = e.answers[0].text
                rows.append((name, e.id, e.question_lang, e.context_lang, float(right), 1.0 if right else f1, 1, gold))
        named = system if system in ("random-span", "ceiling") else layout.system_name(system, seed)
        evaluation.write_scores(layout.scores_file(cfg, named), pd.DataFrame(rows, columns=evaluation.COLUMNS))
    return cfg


def test_the_development_set_chooses(study):
    scores = report.load_scores(study)
    assert scorecard.choose(study, scores) == ("skd-map", 2)
    scores.loc[(scores["system"] == "zero-shot") & (scores["set"] == "own-dev"), "f1"] = 1.0
    assert scorecard.choose(study, scores) == ("zero-shot", 0)


def test_the_folder_and_its_card(study):
    from huggingface_hub import ModelCard

    folder, notes = take_away.write(study)
    assert (folder, notes) == (study.runs_folder / "best", [])
    chosen = layout.student_folder(study, "skd-map", 2)
    assert (folder / "model.safetensors").read_bytes() == (chosen / "model.safetensors").read_bytes()
    assert not (folder / "model.onnx").exists()
    card = ModelCard.load(folder / "README.md")
    assert (card.data.language, card.data.license) == (["en", "x-sahra"], "other")
    assert (card.data.pipeline_tag, card.data.library_name) == ("question-answering", "transformers")
    scores = evaluation.read_scores(layout.scores_file(study, "skd-map-seed-2"))
    means = evaluation.pair_means(scores[scores["set"] == "own-test"])
    expected = {f"{row.question_lang}.{row.context_lang}": round(row.f1, 2) for row in means.itertuples()}
    found = {r.dataset_config: r.metric_value for r in card.data.eval_results if r.metric_type == "f1"}
    assert found == expected
    assert "SKD, mAP@10, seed 2" in card.text
    assert "None" not in card.text


def test_an_edited_card_stays_with_its_model(study):
    folder, _ = take_away.write(study)
    (folder / "README.md").write_text("mine", encoding="utf-8")
    (folder / "model.onnx").write_bytes(b"made before")
    _, (note,) = take_away.write(study)
    assert "README.md: kept" in note
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"
    assert (folder / "model.onnx").read_bytes() == b"made before"
    (folder / "model.safetensors").write_bytes(b"another model's")
    _, (note,) = take_away.write(study)
    assert "the one before is README-before.md" in note
    assert (folder / "README-before.md").read_text(encoding="utf-8") == "mine"
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("---\nlanguage:")
    assert not (folder / "model.onnx").exists()
    (folder / "README.md").unlink()
    (folder / "README-before.md").unlink()


@pytest.mark.parametrize(
    ("method", "with_squad", "licence", "made"),
    [
        ("skd-map", True, "encoder-mit-squad-cc-by-sa-4.0-own-questions", "then 12 parallel questions"),
        ("skd-map", False, "encoder-mit-own-questions", "then 12 parallel questions"),
        ("zero-shot", True, "encoder-mit-squad-cc-by-sa-4.0", "no parallel question trained it"),
        ("zero-shot", False, "encoder-mit-own-questions", "no parallel question trained it"),
    ],
)
def test_the_card_names_what_taught_the_model(study, monkeypatch, method, with_squad, licence, made):
    monkeypatch.setattr(own, "reader_questions", lambda _: [] if with_squad else ["a question"])
    text = take_away.card(study, report.load_scores(study), method, 0 if method == "zero-shot" else 2)
    _, metadata, body = text.split("---\n", 2)
    assert yaml.safe_load(metadata)["license_name"] == licence
    assert made in body
    assert ("SQuAD under CC BY-SA 4.0" in body) == with_squad
    assert ("is yours to name" in body) == ("own-questions" in licence)
    assert ("parallel questions of the user's" in body) == (method == "skd-map")


def test_the_card_tells_of_the_questions_that_trained(study, tmp_path):
    reader = Path(study.data.folder) / "reader"
    reader.rename(tmp_path / "away")
    try:
        with pytest.raises(DataError, match=r"its files are not those that params.yaml was composed for"):
            take_away.write(study)
    finally:
        (tmp_path / "away").rename(reader)


def test_other_studies_have_none(study):
    other = replace(study, data=replace(study.data, source="real"), study="xquad")
    with pytest.raises(DataError, match="expected a study of your own language, found xquad"):
        take_away.write(other)


@pytest.mark.parametrize("name", ["tiny", "packaged"])
def test_onnxruntime_computes_the_same(readers, name, tmp_path):
    onnx_export.export(readers[name], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    model, tokenizer = models.load_reader(readers[name])
    assert {entry.name for entry in session.get_inputs()} == set(tokenizer.model_input_names)
    # other numbers of windows and tokens than the example of the export, padding among them
    inputs = tokenizer(TEXTS[1::2][:5], TEXTS[::2][:5], padding=True, return_tensors="pt")
    found = session.run(list(onnx_export.OUTPUTS), {key: value.numpy() for key, value in inputs.items()})
    with torch.no_grad():
        types = {} if "token_type_ids" in inputs else {"token_type_ids": torch.zeros_like(inputs["input_ids"])}
        expected = models.span_logits(model, {**inputs, **types})
    mask = inputs["attention_mask"].bool().numpy()
    for ours, theirs in zip(expected, found, strict=True):
        assert theirs.dtype == np.float32
        np.testing.assert_allclose(ours.numpy()[mask], theirs[mask], rtol=1e-4, atol=1e-4)


BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "use-the-model.md").read_text(encoding="utf-8"), re.DOTALL)
ALONE = """
import sys
sys.modules["xqa_lib"] = None  # an import fails, wherever it lies
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "packaged"])
def test_the_page_s_code_answers_without_this_project(readers, name, tmp_path):
    folder = tmp_path / "best"
    folder.mkdir()
    for path in readers[name].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    onnx_export.export(folder, folder / "model.onnx")
    assert len(BLOCKS) == 3
    rows = [row for code in own_folder.TEMPLATES for row in own_folder.rows(code)[:9]]
    asked = [(question, f"\u00a0 {context}  ") for _, _, context, question, _ in rows]
    asked.append((" ".join(row[3] for row in rows[:9]), rows[0][2]))  # a question that is cut
    # an accent in a character of its own behind each word
    asked += [(question, re.sub(r"(\w)(?!\w)", "\\1\u0301", context)) for question, context in asked[:9]]
    asked.append((rows[0][3], " ".join(row[2] for row in rows)))  # several windows
    more = f"""
for question, passage in {asked!r}:
    print([answer(question, passage, read) for read in (with_pytorch, with_onnxruntime)])
"""
    code = "\n".join([ALONE, *BLOCKS, more]).replace("runs/own/best", folder.as_posix())
    length = AutoTokenizer.from_pretrained(folder).model_max_length
    code = code.replace("max_length=384", f"max_length={min(384, length)}").replace("overlap=128", "overlap=48")
    code = code.replace("[:64]", f"[:{min(384, length) // 6}]")  # as `predict.WindowSizes`
    run = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = [ast.literal_eval(line) for line in run.stdout.strip().splitlines()]
    assert lines[0][:2] == lines[1][:2]
    for (question, passage), (pytorch, onnx) in zip(asked, lines[2:], strict=True):
        assert pytorch[:2] == onnx[:2]
        assert pytorch[2] == pytest.approx(onnx[2], abs=1e-3)
        assert passage[pytorch[1] :].startswith(pytorch[0])
        if passage != asked[-1][1]:
            (ours,) = predict.answer(folder, question, passage)
            assert pytorch[:2] == (ours.text, ours.start)
    assert len({line[0][0] for line in lines[2:]}) > 3  # it reads, after a fashion


@pytest.mark.slow
def test_a_study_ends_with_a_scorecard_and_the_model_that_was_scored(tmp_path):
    folder = own_folder.write(tmp_path / "mine")
    text, _ = own_study.compose(folder, own.examine(folder)[0], "smoke")
    cfg = params.checked(yaml.safe_load(text), "test")
    cfg = replace(cfg, paths=replace(cfg.paths, **{name: str(tmp_path / name) for name in vars(cfg.paths)}))
    sweeps = replace(cfg.sweeps, groups=["data"], experiments=["few-resource"], methods=["skd-map"])
    cfg = replace(cfg, trained=["skd-map"], threads=1, sweeps=sweeps)
    on_demand.require_all(cfg)
    built = report.build(cfg)
    report.write(built, report.figures_of(built))
    page = (tmp_path / "reports" / "README.md").read_text(encoding="utf-8")
    assert page.startswith("# Scorecard: x-sahra")
    assert (tmp_path / "reports" / "figures" / "own-pairs.png").is_file()
    assert [part for part in (3, 6, 12) if f"\n| {part} |" not in page] == []  # a quarter, half and all of the ids
    best, _ = take_away.write(cfg)
    runs = built.scores.set_index(["system", "seed", "set"]).sort_index()
    chosen = runs.loc[(*scorecard.choose(cfg, built.scores), "own-test")]
    asked = {(e.id, e.question_lang, e.context_lang): e for e in prepared.read_evaluation(cfg, "own-test")}
    for row in chosen.itertuples():
        example = asked[row.id, row.question_lang, row.context_lang]
        (found,) = predict.answer(best, example.question, example.context)
        assert found.text == row.prediction
