"""The stages: the nested sample, a student's examples, one tiny study from data to scores."""

import dataclasses
import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch

from tests.builders import changed, in_folder
from xqa_lib import sampling
from xqa_lib.data import prepared, roles
from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.errors import DataError
from xqa_lib.languages import PARALLEL
from xqa_lib.reading import evaluation
from xqa_lib.reporting import trainings
from xqa_lib.study import layout, samples, scoring, stages
from xqa_lib.study.params import ROOT, load_params
from xqa_lib.training import compute, dataset, models, packaged_encoder

pytestmark = pytest.mark.slow

SMOKE = load_params("embedded/smoke")
EVERY_ID = replace(SMOKE, sampling=replace(SMOKE.sampling, parallel_ids=0))


def example(example_id, language, number=0):
    answer = GoldAnswer(str(number), len(language) + 1)
    context = f"{language} {number} the context"
    return Example(example_id, f"{language} {number}?", context, (answer,), "T", language, language)


def parallel_examples(languages=PARALLEL, ids=("b", "a", "NA", "007", "1.0")):
    return {language: [example(i, language, number) for number, i in enumerate(ids)] for language in languages}


@pytest.mark.parametrize(("seed", "pivot"), [(1, "en"), (2, None)])
def test_the_nested_sample_holds_the_sample_of_every_ntl(seed, pivot, tmp_path, monkeypatch):
    parallel = parallel_examples(ids=[f"id{number}" for number in range(30)])
    monkeypatch.setattr(prepared, "read_parallel", lambda params: parallel)
    params = changed(in_folder(EVERY_ID, tmp_path), sampling={"pivot": pivot})
    table = samples.sample(params, seed)
    assert table.columns.tolist() == ["id", "question_lang", "context_lang", "ntl"]
    assert not table.duplicated(evaluation.KEY).any()
    ids = {i: set(PARALLEL) for i in (e.id for e in parallel["en"])}
    for ntl in range(8):
        expected = sampling.sample_pairs(ids, languages=PARALLEL, ntl=ntl, seed=seed, pivot=pivot)
        part = samples.sampled_pairs(table, ntl)[evaluation.KEY]
        assert len(part) == len(expected)
        assert set(part.itertuples(index=False, name=None)) == set(expected)
    if pivot:
        assert samples.sample_sizes(table)["examples"].tolist() == [30 * n for n in (7, 4, 9, 16, 25, 36, 49)]
        assert samples.sample_sizes(table)["language pairs"].iloc[[0, 6]].tolist() == [7, 49]
    # what students read is what was drawn
    read = pd.read_csv(layout.sampled_file(params, seed))
    assert read.values.tolist() == table.values.tolist()


def test_a_sample_of_one_language_is_that_language(tmp_path, monkeypatch):
    params = changed(in_folder(EVERY_ID, tmp_path), sampling={"languages": ["de"], "pivot": "de"})
    monkeypatch.setattr(prepared, "read_parallel", lambda params: parallel_examples(["de"], ["a", "b"]))
    table = samples.sample(params, 1)
    assert [samples.sampled_pairs(table, ntl)["id"].tolist() for ntl in (0, 1, 5)] == [["a", "b"]] * 3


def test_a_sample_needs_every_id_in_every_language(tmp_path, monkeypatch):
    parallel = parallel_examples(["en", "de"]) | {"es": parallel_examples(["es"], ["b"])["es"]}
    params = changed(in_folder(EVERY_ID, tmp_path), sampling={"languages": ["en", "de", "es"]})
    monkeypatch.setattr(prepared, "read_parallel", lambda params: parallel)
    with pytest.raises(ValueError, match=r"^id 'a' has no version in es; expected all of en, de, es: drop the id"):
        samples.sample(params, 1)
    assert not layout.sampled_file(params, 1).exists()


def test_sampled_examples_have_the_question_of_one_language_and_the_context_of_another():
    parallel = {"en": [example("a", "en", 1), example("b", "en", 2)], "de": [example("b", "de", 3)]}
    rows = [("b", "en", "de", 1), ("b", "de", "en", 1), ("a", "en", "en", 1), ("b", "de", "de", 2)]
    table = pd.DataFrame(rows, columns=[*evaluation.KEY, "ntl"])
    assert samples.sampled_examples(parallel, table, 1) == [
        Example("b", "en 2?", "de 3 the context", (GoldAnswer("3", 3),), "T", "en", "de"),
        Example("b", "de 3?", "en 2 the context", (GoldAnswer("2", 3),), "T", "de", "en"),
        Example("a", "en 1?", "en 1 the context", (GoldAnswer("1", 3),), "T", "en", "en"),
    ]
    same = samples.sampled_examples(parallel, table, 0)
    assert [(e.id, e.question_lang, e.context_lang) for e in same] == [("a", "en", "en"), ("b", "de", "de")]


@pytest.mark.parametrize("pair", [("en", "de"), ("de", "en"), ("en", "fr")])
def test_a_sample_of_other_data_is_refused(pair):
    parallel = {"en": [example("a", "en"), example("b", "en")], "de": [example("b", "de")]}
    table = pd.DataFrame([("a", *pair, 1)], columns=[*evaluation.KEY, "ntl"])
    with pytest.raises(DataError, match=f"^the sample names 'a' in {pair[0]} and {pair[1]}, which the parallel data"):
        samples.sampled_examples(parallel, table, 1)


def test_a_student_is_trained_on_its_sample(tmp_path, monkeypatch):
    parallel = parallel_examples()  # with ids that look like numbers, or like nothing
    monkeypatch.setattr(prepared, "read_parallel", lambda params: parallel)
    params = in_folder(EVERY_ID, tmp_path)
    table = samples.sample(params, 2)
    calls = []
    monkeypatch.setattr(stages, "_train", lambda *arguments, **options: calls.append((arguments, options)))
    stages.train_student(params, "skd-map", 2)
    ((arguments, options),) = calls
    assert arguments == (params, "skd-map-seed-2", tmp_path / "runs/students/skd-map/seed-2")
    examples = options.pop("examples")
    assert examples == samples.sampled_examples(parallel, table, params.methods["skd-map"].ntl)
    assert {e.id for e in examples} == {"b", "a", "NA", "007", "1.0"}
    assert options == {
        "source": tmp_path / "runs/reader",
        "optimisation": params.distillation,
        "method": params.methods["skd-map"],
        "generations": 3,
        "seed": 2,
        "inputs": [tmp_path / "runs/sampled/seed-2.csv"],
        "ids": list(table["id"].drop_duplicates()),
        "options": {},
    }
    with pytest.raises(DataError, match=r"^unknown method 'kd': expected one of ce, skd, skd-map$"):
        stages.train_student(params, "kd", 2)


SIZES = {"train_paragraphs": 6, "parallel_paragraphs": 3, "evaluation_paragraphs": 1, "evaluation_questions": 1}
SETS = {"factbook-dev": 49, "factbook-zero-shot": 10}  # language pairs
# three steps a generation, so that student and teacher come to differ
TINY = changed(SMOKE, data=SIZES | {"evaluation_sets": list(SETS)}, distillation={"batch_size": 8}, seeds=[1])
TINY = replace(TINY, methods={name: replace(method, ntl=1) for name, method in TINY.methods.items()})


def run_all(params):
    roles.prepare(params)
    stages.make_encoder(params)
    stages.train_reader(params)
    samples.sample(params, 1)
    stages.train_student(params, "skd", 1)
    scoring.evaluate_system(params, "skd", 1)


def record_of(params, name):
    return json.loads(layout.record_file(params, name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Parameters of a tiny study that has run, with one student and its scores; add to it, but change nothing."""
    params = in_folder(TINY, tmp_path_factory.mktemp("study"))
    run_all(params)
    return params


def test_the_same_seed_gives_the_same_weights_and_scores(study, tmp_path):
    again = in_folder(TINY, tmp_path)
    run_all(again)
    for name in ("encoder", "reader", "skd-seed-1"):
        first, second = record_of(study, name), record_of(again, name)
        for record in (first, second):
            for fact in ("started", "minutes", "inputs", "machine"):
                del record[fact]
        assert first == second
    for name in ("logs/reader.csv", "logs/skd-seed-1.csv", "scores/skd-seed-1.csv"):
        assert (study.results_folder / name).read_bytes() == (again.results_folder / name).read_bytes()


def test_stages_leave_their_results_and_nothing_else(study):
    def below(folder):
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    assert below(study.results_folder) == {
        *("data/articles.csv", "data/kinds.csv", "data/leakage.csv", "data/summary.csv", "scores/skd-seed-1.csv"),
        *("logs/reader.csv", "logs/skd-seed-1.csv", "records/encoder.json", "records/reader.json"),
        *("records/skd-seed-1.json", "records/scores-skd-seed-1.json"),
    }
    found = below(study.runs_folder)
    # features, for other runs with the same data: no result, and of no stage
    features = {path for path in found if path.startswith("features")}
    assert len(features) == 2  # of the reader's and of the student's examples
    model = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    folders = ("encoder", "reader", "students/skd/seed-1")
    assert found - features == {"sampled/seed-1.csv", *(f"{folder}/{name}" for folder in folders for name in model)}


def test_the_encoder_s_record(study):
    folder = layout.encoder_folder(study)
    record = record_of(study, "encoder")
    assert record["encoder"] == dataclasses.asdict(study.encoder)
    model, tokenizer = models.load_reader(folder, seed=0)
    weights = models.weights_hash(model.base_model)
    assert record["facts"] == {"pretrained": "tiny", "pieces": len(tokenizer), "layers": 2, "weights": weights}
    # no text of the study is cut into unknown pieces
    texts = prepared.study_texts(study)
    assert not any(tokenizer.unk_token_id in ids for ids in tokenizer(texts)["input_ids"])
    assert model.config.max_position_embeddings == study.features.max_length


def real_tokens(params, folder, examples, epochs):
    _, tokenizer = models.load_reader(folder)
    return epochs * sum(dataset.training_features(tokenizer, examples, params.features)["length"])


def test_the_reader_s_record_and_log(study):
    folder = layout.reader_folder(study)
    log = pd.read_csv(layout.log_file(study, "reader"))
    assert log["step"].tolist() == list(range(1, len(log) + 1))
    assert set(log["generation"]) == {1}
    assert trainings.loss_terms(log) == ["ce"]
    record = record_of(study, "reader")
    training = prepared.read_reader_training(study)
    assert record["examples"] == len(training)
    assert record["optimisation"] == dataclasses.asdict(study.reader)
    assert (record["seed"], record["precision"], record["frozen"]) == (study.reader.seed, "float32", True)
    model, _ = models.load_reader(folder)
    assert record["start_weights"] != record["weights"] == models.weights_hash(model)
    assert sorted(record["inputs"]) == ["train-en.json"]
    tokens = real_tokens(study, folder, training, study.reader.epochs)
    assert log["tokens"].iloc[-1] == tokens
    # forwards and backwards: 6 FLOP a token and weight; TFLOP with four digits after the point
    assert record["tflop"] == round(6 * compute.layer_weights(model) * tokens / 1e12, 4)
    # the encoder's word embeddings, to the last bit
    encoder, _ = models.load_reader(layout.encoder_folder(study), seed=0)
    assert torch.equal(encoder.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_what_students_and_their_reading_cost(study, monkeypatch):
    costs = []
    original = compute.tflop
    monkeypatch.setattr(compute, "tflop", lambda *a: (costs.append(original(*a)), 1e4 * costs[-1])[1])
    folder = layout.student_folder(study, "skd", 1)
    before = record_of(study, "skd-seed-1")
    stages.train_student(study, "skd", 1)
    model, _ = models.load_reader(folder)
    table = pd.read_csv(layout.sampled_file(study, 1), dtype={"id": str})
    examples = samples.sampled_examples(prepared.read_parallel(study), table, 1)
    tokens = real_tokens(study, folder, examples, study.distillation.epochs)
    # the teacher reads, too
    assert costs == [8 * compute.layer_weights(model) * tokens / 1e12]
    record = record_of(study, "skd-seed-1")
    assert record["tflop"] == round(1e4 * costs[0], 4) > 0
    assert (record["weights"], record["examples"], record["precision"]) == (before["weights"], len(examples), "float32")
    scoring.evaluate_system(study, "skd", 1)
    asked = [e for name in study.data.evaluation_sets for e in prepared.read_evaluation(study, name)]
    record = record_of(study, "scores-skd-seed-1")
    assert record["tflop"] == round(1e4 * costs[1], 4)
    # every question was read once, in windows of the same lengths as in a training
    assert costs[1] == 2 * compute.layer_weights(model) * real_tokens(study, folder, asked, 1) / 1e12
    assert list(record["inputs"]) == ["model.safetensors"]


def test_the_student_starts_as_the_reader_and_is_its_own_teacher(study):
    folder = layout.student_folder(study, "skd", 1)
    record, reader = record_of(study, "skd-seed-1"), record_of(study, "reader")
    assert record["start_weights"] == reader["weights"]
    generations = record["generations"]
    assert [entry["generation"] for entry in generations] == [1, 2, 3]
    teachers = [entry["teacher_weights"] for entry in generations]
    students = [entry["student_weights"] for entry in generations]
    assert teachers == [reader["weights"], *students[:-1]]
    assert students[-1] == record["weights"] == models.weights_hash(models.load_reader(folder)[0])
    assert len({*teachers, *students}) == 4
    assert trainings.teachers_are_former_students(study, "skd", 1) is True
    table = trainings.generation_table(study, "skd", 1)
    assert table.index.tolist() == [1, 2, 3]
    assert table["teacher_weights"].tolist() == [weights[:12] for weights in teachers]
    assert record["method"] == dataclasses.asdict(study.methods["skd"])


def test_the_student_s_log(study):
    log = pd.read_csv(layout.log_file(study, "skd-seed-1"))
    examples = 3 * 2 * 4  # paragraphs, questions, pairs at ntl 1
    assert record_of(study, "skd-seed-1")["examples"] == examples
    assert log["step"].tolist() == list(range(1, len(log) + 1))
    assert len(set(log.groupby("generation").size())) == 1
    assert log["generation"].is_monotonic_increasing
    assert trainings.loss_terms(log) == ["ce", "kl", "coefficient"]
    assert (log["coefficient"] == 1).all()
    first = ~log["generation"].duplicated()
    assert log.loc[first, "kl"].tolist() == pytest.approx([0.0] * 3, abs=1e-5)  # the student is its own teacher
    assert (log.loc[~first, "kl"] > 0).all()
    # to the three or four digits that Trainer's own loss has
    assert (log["ce"] + log["kl"]).tolist() == pytest.approx(log["loss"].tolist(), abs=2e-3)


def test_cross_entropy_has_no_teacher(study):
    log = stages.train_student(study, "ce", 1)
    assert trainings.loss_terms(log) == ["ce"]
    assert log["ce"].tolist() == pytest.approx(log["loss"].tolist(), abs=1e-3)
    assert trainings.teachers_are_former_students(study, "ce", 1) is True
    table = trainings.generation_table(study, "ce", 1)
    assert table["teacher_weights"].isna().all()
    assert table["student_weights"].nunique() == 3
    assert table["student_weights"].iloc[-1] == record_of(study, "ce-seed-1")["weights"][:12]


def test_the_scores_of_a_student(study):
    scores = evaluation.read_scores(layout.scores_file(study, "skd-seed-1"))
    assert scores.groupby("set", sort=False).size().to_dict() == SETS
    examples = [(name, e) for name in SETS for e in prepared.read_evaluation(study, name)]
    contexts = {(name, e.id, e.question_lang, e.context_lang): e.context for name, e in examples}
    assert set(scores[["set", *evaluation.KEY]].itertuples(index=False, name=None)) == set(contexts)
    for row in scores.itertuples():
        assert row.prediction in contexts[row.set, row.id, row.question_lang, row.context_lang]


def test_the_zero_shot_system_is_the_reader(study, monkeypatch):
    asked = []

    def evaluate(model, tokenizer, sets, **options):
        asked.append(models.weights_hash(model))
        asked.append({name: (metric, len(found)) for name, (metric, found) in sets.items()})
        return pd.DataFrame([("s", "a", "en", "en", 1.0, 1.0, 1, "x")], columns=evaluation.COLUMNS)

    monkeypatch.setattr(evaluation, "evaluate_reader", evaluate)
    scoring.evaluate_system(study, layout.ZERO_SHOT, 1)
    sets = {"factbook-dev": ("mlqa", 49), "factbook-zero-shot": ("squad", 10)}
    assert asked == [record_of(study, "reader")["weights"], sets]
    path = layout.scores_file(study, layout.ZERO_SHOT)
    assert evaluation.read_scores(path)["prediction"].tolist() == ["x"]
    for system in (layout.ZERO_SHOT, layout.RANDOM_SPAN, layout.CEILING):
        layout.scores_file(study, system).unlink()


def test_floor_and_ceiling_come_with_the_reader_s_scores(study):
    scoring.evaluate_system(study, layout.ZERO_SHOT, None)
    found = {}
    for system in (layout.RANDOM_SPAN, layout.CEILING):
        path = layout.scores_file(study, system)
        found[system] = evaluation.read_scores(path)
        assert found[system].groupby("set", sort=False).size().to_dict() == SETS
        assert (found[system]["prediction"] != "").mean() > 0.9
        path.unlink()
    layout.scores_file(study, layout.ZERO_SHOT).unlink()
    assert found[layout.RANDOM_SPAN]["f1"].mean() < 0.3 < 0.6 < found[layout.CEILING]["f1"].mean()
    guesses = [
        (e.id, e.question_lang, e.context_lang, text)
        for name in study.data.evaluation_sets
        for examples in [prepared.read_evaluation(study, name)]
        for e, text in zip(examples, evaluation.random_spans(examples, seed=study.data.seed), strict=True)
    ]
    columns = [*evaluation.KEY, "prediction"]
    assert list(found[layout.RANDOM_SPAN][columns].itertuples(index=False, name=None)) == guesses


def test_a_training_that_fails_leaves_nothing(study, monkeypatch):
    from xqa_lib.training import distillation

    def broken(*arguments, output_dir, **options):
        output_dir.mkdir()
        raise RuntimeError("out of memory")

    monkeypatch.setattr(distillation, "train_reader", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        stages.train_student(study, "skd-map", 1)
    assert list((study.runs_folder / "students" / "skd-map").iterdir()) == []


def test_a_student_of_two_processes_is_that_of_one(study, tmp_path, monkeypatch):
    """By the parameter, as a notebook's training cell does; with a rate that JSON writes as 5e-05."""
    how = {"learning_rate": 5e-5, "dropout": 0.0, "token_masking": 0.0}  # each process would draw its own
    params = changed(study, distillation=how)
    shutil.copytree(study.runs_folder, tmp_path / "runs")
    shutil.copytree(study.results_folder, tmp_path / "results")
    params = changed(params, paths={"runs": str(tmp_path / "runs"), "results": str(tmp_path / "results")})
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = stages.train_student(params, "skd", 1)
    two = stages.train_student(replace(params, processes=2), "skd", 1)
    assert two["step"].tolist() == one["step"].tolist()
    assert two["learning_rate"].tolist() == pytest.approx(one["learning_rate"].tolist())
    assert two["learning_rate"].iloc[0] == pytest.approx(5e-5)
    for name in ("loss", "ce", "kl", "coefficient"):
        assert two[name].tolist() == pytest.approx(one[name].tolist(), abs=1e-4), name
    record = record_of(params, "skd-seed-1")
    assert record["optimisation"]["learning_rate"] == 5e-5


@pytest.mark.parametrize("given", ["some/model", "models/mine"])
def test_a_hub_name_or_a_folder_is_taken_as_it_is(given, tmp_path, monkeypatch):
    params = changed(in_folder(SMOKE, tmp_path), encoder={"pretrained": given, "vocabulary": "all"})
    assert stages.make_encoder(params) == {"pretrained": given}
    assert [path.name for path in layout.encoder_folder(params).iterdir()] == ["encoder.json"]
    assert record_of(params, "encoder")["facts"] == {"pretrained": given}
    calls = []
    monkeypatch.setattr(stages, "_train", lambda *arguments, **options: calls.append(options))
    monkeypatch.setattr(prepared, "read_reader_training", lambda params: ["training"])
    stages.train_reader(params)
    stages.train_reader(in_folder(SMOKE, tmp_path))
    assert [call["source"] for call in calls] == [given, tmp_path / "runs/encoder"]
    assert [call["examples"] for call in calls] == [["training"]] * 2
    assert [call["optimisation"] for call in calls] == [SMOKE.reader] * 2
    assert calls[0]["method"].coefficient is None


def test_the_packaged_encoder_is_cut_to_its_first_layers_and_the_study_s_vocabulary(tmp_path, monkeypatch):
    texts = ["Where was Anna born?", "Anna was born in Rome.", "安娜出生在罗马。"]
    monkeypatch.setattr(prepared, "study_texts", lambda params: texts)
    params = changed(in_folder(SMOKE, tmp_path), encoder={"pretrained": "packaged", "layers": 1})
    facts = stages.make_encoder(params)
    assert stages.encoder_source(params) == layout.encoder_folder(params)
    model, tokenizer = models.load_reader(layout.encoder_folder(params), seed=0)
    assert model.config.num_hidden_layers == facts["layers"] == 1
    assert 1000 < len(tokenizer) == facts["pieces"] < packaged_encoder.PIECES / 10  # single characters, for the most
    assert {"▁Anna", "▁born", "罗", "马"} <= set(tokenizer.get_vocab())
    assert facts["weights"] == models.weights_hash(model.base_model)
    record = record_of(params, "encoder")
    assert (record["facts"], record["encoder"]["layers"]) == (facts, 1)
