"""Sweeps: what a setting is trained on, and one tiny study whose groups run, share settings and are read again."""

import io
import json
import tarfile
from dataclasses import replace

import pandas as pd
import pytest
import torch

from tests.builders import in_folder
from tests.study.test_stages import TINY, parallel_examples
from tests.training.test_distillation import TOKENIZER, tiny_model
from xqa_lib.data import corpora, prepared, roles
from xqa_lib.errors import DataError
from xqa_lib.languages import PARALLEL
from xqa_lib.reading import evaluation
from xqa_lib.study import experiments, layout, run_results, samples, scoring, stages, sweeps
from xqa_lib.study.experiments import Setting, all_experiments
from xqa_lib.study.params import load_params
from xqa_lib.training import compute, models

pytestmark = pytest.mark.slow

PARAMS = load_params("embedded/smoke")
PARAMS = replace(PARAMS, sampling=replace(PARAMS.sampling, parallel_ids=0))  # of the study: all
PARAMS = replace(PARAMS, features=replace(PARAMS.features, max_length=64))  # as long as the tiny model's
MAP = replace(PARAMS.methods["skd-map"], ntl=2)
IDS = [f"id{number}" for number in range(20)]
DATA = parallel_examples(ids=IDS)


def setting(**changes):
    return Setting(**({"method": MAP, "epochs": 3, "generations": 3} | changes))


def examples_of(seed=1, **changes):
    return sweeps.training_examples(setting(**changes), DATA, PARAMS, seed)


def pairs(examples):
    return {(e.id, e.question_lang, e.context_lang) for e in examples}


def test_examples_of_the_reference_are_those_of_the_study_s_students(monkeypatch, tmp_path):
    monkeypatch.setattr(prepared, "read_parallel", lambda params: DATA)
    params = in_folder(PARAMS, tmp_path)
    table = samples.sample(params, 1)
    own = samples.sampled_examples(DATA, table, 2)
    examples, corrupted = examples_of()
    assert corrupted == 0
    assert sorted(examples, key=str) == sorted(own, key=str)


def test_a_free_draw_has_as_many_pairs_and_no_pivot():
    with_pivot, free = examples_of()[0], examples_of(pivot=False)[0]
    assert len(with_pivot) == len(free) == 20 * 9
    english = {e.id for e in free if e.context_lang == "en"}
    assert 0 < len(english) < 20
    assert {e.id for e in with_pivot if e.context_lang == "en"} == set(IDS)
    # also where one language alone is left out; where none is, the draws are the same and there is nothing to ask
    most = replace(MAP, ntl=5)
    assert len(examples_of(method=most)[0]) == len(examples_of(method=most, pivot=False)[0]) == 20 * 36
    assert "pivot" in all_experiments(replace(PARAMS, sweeps=replace(PARAMS.sweeps, reference_ntl=5)))
    assert "pivot" not in all_experiments(replace(PARAMS, sweeps=replace(PARAMS.sweeps, reference_ntl=6)))
    # no language pairs at all without a target
    same = replace(MAP, ntl=0)
    assert pairs(examples_of(method=same, pivot=False)[0]) == pairs(examples_of(method=same)[0])


def test_a_language_that_is_left_out():
    examples = examples_of(left_out="zh")[0]
    assert {e.question_lang for e in examples} == {e.context_lang for e in examples} == set(PARALLEL) - {"zh"}
    assert len(examples) == 20 * 9


def test_wrong_answers_reach_the_training_and_all_questions_about_a_passage():
    clean, (noisy, corrupted) = examples_of()[0], examples_of(label_noise=0.4)
    assert pairs(clean) == pairs(noisy)
    wrong = {(b.id, b.context_lang) for a, b in zip(clean, noisy, strict=True) if a.answers != b.answers}
    right = {(b.id, b.context_lang) for a, b in zip(clean, noisy, strict=True) if a.answers == b.answers}
    assert wrong
    assert wrong.isdisjoint(right)
    assert 20 * 7 * 0.25 < corrupted < 20 * 7 * 0.55  # drawn from all passages, whether trained on or not


def test_the_teacher_s_question_is_in_the_passage_s_language():
    examples = examples_of()[0]
    questions = samples.questions_in_the_passage_s_language(examples, DATA)
    assert all(q.startswith(f"{e.context_lang} ") for q, e in zip(questions, examples, strict=True))
    for question, e in zip(questions, examples, strict=True):
        assert (question == e.question) == (e.question_lang == e.context_lang)


def test_dropout_is_off_everywhere():
    model = tiny_model(dropout=0.3)
    sweeps.switch_dropout_off(model)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}


def test_every_pair_draws_questions_of_its_own(monkeypatch):
    made = [
        replace(DATA["en"][0], id=i, question_lang=q, context_lang=c) for q in PARALLEL for c in PARALLEL for i in IDS
    ]
    monkeypatch.setattr(prepared, "read_evaluation", lambda params, name: made)
    found = {}
    for most in (0, 3, 5):
        params = replace(PARAMS, sweeps=replace(PARAMS.sweeps, evaluation_questions=most))
        questions = sweeps.sample_questions(params, "mlqa-dev")
        found[most] = [(e.question_lang, e.context_lang, e.id) for e in questions]
    assert len(found[0]) == 49 * 20
    counts = pd.DataFrame(found[3], columns=["q", "c", "id"]).groupby(["q", "c"]).size()
    assert counts.tolist() == [3] * 49
    assert set(found[3]) < set(found[5])
    assert len({i for _, _, i in found[3]}) == 20  # all ids take part
    assert sweeps.sample_questions(params, "mlqa-dev") == questions
    # with fewer, they are among those that the study's systems answer
    by_pair = [[e for e in made if (e.question_lang, e.context_lang) == (q, c)] for q in PARALLEL for c in PARALLEL]
    assert questions == [e for examples in by_pair for e in prepared.some(examples, 5, params.data.seed)]


@pytest.fixture
def trainer(tmp_path):
    params = replace(PARAMS, distillation=replace(PARAMS.distillation, batch_size=16, dropout=0.1))
    return sweeps.SettingRunner(params, tiny_model(), TOKENIZER, DATA, 1, tmp_path)


def test_the_reader_is_copied_not_trained(trainer):
    before = models.weights_hash(trainer.reader)
    first, log, facts = trainer.train(setting(parallel_ids=4))
    again, _, same = trainer.train(setting(parallel_ids=4))
    assert models.weights_hash(trainer.reader) == before
    assert facts == same
    assert facts["weights"] == models.weights_hash(first) == models.weights_hash(again) != before
    assert (facts["examples"], facts["ids"], facts["corrupted"]) == (36, 4, 0)
    assert facts["tflop"] == compute.tflop(first, int(log["tokens"].iloc[-1]), compute.DISTIL)
    assert facts["steps"] == len(log) == log["step"].max() == 3 * 3  # 36 windows, 16 a batch
    assert log["generation"].tolist() == [1] * 3 + [2] * 3 + [3] * 3


def test_equal_steps(trainer):
    own = trainer.train(setting(parallel_ids=4))[2]["steps"]
    for ntl in (1, 6):
        changed = setting(parallel_ids=4, method=replace(MAP, ntl=ntl), steps_of_ntl=2)
        _, log, facts = trainer.train(changed)
        assert facts["steps"] == own == len(log)
        assert facts["examples"] == {1: 16, 6: 4 * 49}[ntl]
        assert set(log["generation"]) == {1, 2, 3}


def test_born_again_students_start_anew_from_the_reader(trainer, monkeypatch):
    started, taught = [], []
    original = sweeps.distillation.train_reader

    def spy(model, *arguments, **options):
        started.append(models.weights_hash(model))
        teacher = options.get("first_teacher")
        taught.append(None if teacher is None else models.weights_hash(teacher))
        result = original(model, *arguments, **options)
        taught[-1] = (taught[-1], models.weights_hash(model))
        return result

    monkeypatch.setattr(sweeps.distillation, "train_reader", spy)
    model, log, facts = trainer.train(setting(parallel_ids=4, born_again=True))
    assert started == [models.weights_hash(trainer.reader)] * 3
    assert [teacher for teacher, _ in taught] == [None, taught[0][1], taught[1][1]]
    assert models.weights_hash(model) == taught[2][1]
    assert log["generation"].tolist() == [1] * 3 + [2] * 3 + [3] * 3
    assert log["step"].tolist() == list(range(1, 10))
    # tokens run on, and the cost is that of all three
    assert log["tokens"].is_monotonic_increasing
    assert log["tokens"].iloc[[2, 5, 8]].tolist() == [log["tokens"].iloc[2] * n for n in (1, 2, 3)]
    assert facts["tflop"] == compute.tflop(model, int(log["tokens"].iloc[8]), compute.DISTIL)
    # each with a schedule of its own
    assert log["learning_rate"].tolist() == pytest.approx(log["learning_rate"].tolist()[:3] * 3)


def test_without_dropout_a_fresh_generation_has_no_divergence(trainer):
    alone = setting(parallel_ids=4, method=replace(MAP, alpha_ce=0.0))
    trainer.params = replace(trainer.params, distillation=replace(trainer.params.distillation, token_masking=0.2))
    trainer.reader = tiny_model(dropout=0.1)  # of attention weights, too
    with_dropout, without = (trainer.train(replace(alone, dropout=on))[1] for on in (True, False))
    assert with_dropout["kl"].iloc[0] > 1e-4
    assert without["kl"].iloc[0] == pytest.approx(0.0, abs=1e-6)


def test_the_parallel_view_is_counted(trainer):
    _, log, facts = trainer.train(setting(parallel_ids=4, view="parallel"))
    # of 9 pairs of an id, 6 ask in another language; the made-up questions differ in it
    assert 0 < facts["windows_through_another_question"] <= 24
    assert facts["windows"] == 36
    assert log["kl"].notna().all()


def test_translate_train_reads_the_archive_and_trains_on_it(trainer, tmp_path, monkeypatch):
    """With a small stand-in of the official archive, in its place and under its names."""
    with tarfile.open(tmp_path / "mlqa-translate-train.tar.gz", "w:gz") as archive:
        for language in corpora.languages_of("mlqa-translate-train"):
            answers = [{"text": "Rome", "answer_start": 5}]
            rows = [
                {"id": f"t{n}", "context": f"{language} {n} Rome", "question": "Where?", "answers": answers}
                for n in range(3)
            ]
            raw = json.dumps({"version": "1.1", "data": rows}).encode()
            member = tarfile.TarInfo(f"mlqa-translate-train/{language}_squad-translate-train-train-v1.1.json")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    monkeypatch.setenv("XQA_DATA_DIR", str(tmp_path))
    examples = sweeps.translated_examples(PARAMS)
    assert PARAMS.sweeps.translated_examples == 2
    assert [(e.id, e.question_lang, e.context_lang) for e in examples] == [
        (f"t{n}", language, language) for language in ("es", "de", "ar", "hi", "vi", "zh") for n in range(2)
    ]
    method = replace(PARAMS.methods["ce"], label="translate-train")
    baseline = Setting(method=method, epochs=2, generations=1, source="mlqa-translate-train")
    _, log, facts = trainer.train(baseline)
    assert (facts["examples"], facts["corrupted"]) == (12, 0)
    # with the English reader's own recipe
    assert facts["steps"] == sweeps.optimiser_steps(12, trainer.params.reader, 2)
    assert log["learning_rate"].max() <= trainer.params.reader.learning_rate
    assert "kl" not in log
    assert facts["tflop"] == compute.tflop(trainer.reader, int(log["tokens"].iloc[-1]), compute.TRAIN)
    every = replace(PARAMS, sweeps=replace(PARAMS.sweeps, translated_examples=0))
    assert len(sweeps.translated_examples(every)) == 18


NONE = ("label_noise", "left_out", "ntl", "equal_steps_ntl", "directions", "coefficients", "temperatures", "k")
FEW = {"groups": ["objective", "data"], "parallel_ids": 3, "few_ids": [1, 2, 0], "methods": ["ce"]}
SWEEPS = replace(TINY.sweeps, **{key: [] for key in NONE}, **FEW, reference_ntl=None)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    params = replace(TINY, trained=["ce"], sweeps=SWEEPS, data=replace(TINY.data, evaluation_questions=2))
    params = replace(params, sampling=replace(params.sampling, parallel_ids=0))  # as the end of the curve
    params = in_folder(params, tmp_path_factory.mktemp("sweeps"))
    roles.prepare(params)
    stages.make_encoder(params)
    stages.train_reader(params)
    scoring.evaluate_system(params, layout.ZERO_SHOT, None)
    samples.sample(params, 1)
    stages.train_student(params, "ce", 1)
    scoring.evaluate_system(params, "ce", 1)
    tables = {group: sweeps.run_group(params, group, 1) for group in params.sweeps.groups}
    return params, tables


def test_what_a_group_leaves(study):
    params, tables = study
    for group in tables:
        found = {path.name for path in layout.experiments_folder(params, group, 1).iterdir()}
        assert found == {"scores.csv", "other-sets.csv", "logs.csv", "run.json", "start-distribution.csv"}
    for group, table in tables.items():
        scores, logs, record = sweeps.read_group(params, group, 1)
        settings = experiments.assigned(params, group)
        assert set(record["settings"]) == set(settings) == set(logs["setting"])
        assert all(entry["setting"] == settings[key].as_dict() for key, entry in record["settings"].items())
        assert set(scores["setting"]) - {"zero-shot"} == set(settings)
        assert ("zero-shot" in set(scores["setting"])) == (group == "objective")
        assert scores.groupby("setting").size().unique().tolist() == [49]  # one question, seven by seven languages
        assert scores.columns.tolist() == ["setting", "id", "question_lang", "context_lang", "em", "f1", "rank"]
        assert ((scores["rank"] == 1) == (scores["em"] == 1)).all()
        assert {key: entry["steps"] for key, entry in record["settings"].items()} == (
            logs.groupby("setting").size().to_dict()
        )
        means = scores.groupby("setting")["f1"].mean() * 100  # one question a pair
        assert table.set_index("setting")["f1"].to_dict() == pytest.approx(means.to_dict())


def test_the_other_sets_are_read_with_what_may_be_chosen_and_with_nothing_else(study):
    params, _ = study
    others = params.data.evaluation_sets[1:]
    assert others
    selectable = {key for found in experiments.selectable(params).values() for key in found}
    read = {}
    for group in params.sweeps.groups:
        table = run_results.read_other_sets(params, group, 1)
        assert list(table.columns) == run_results.OTHER_COLUMNS
        expected = selectable & set(experiments.assigned(params, group))
        assert set(table["setting"]) - {"zero-shot"} == expected
        assert ("zero-shot" in set(table["setting"])) == (group == "objective")
        read |= dict(iter(table.groupby("setting")))
    few = {p.setting.key for p in all_experiments(params)["few-resource"].points} - selectable
    assert few
    assert few.isdisjoint(read)
    assert list(dict.fromkeys(read["zero-shot"]["set"])) == others
    for _, part in read["zero-shot"].groupby("set"):
        assert part.groupby(["question_lang", "context_lang"]).size().max() == params.sweeps.evaluation_questions


def read_again(params, folder, name):
    """The scores of a model folder that reads the sampled questions of a set."""
    model, tokenizer = models.load_reader(folder)
    sets = {name: (prepared.metric_of(name), sweeps.sample_questions(params, name))}
    return evaluation.evaluate_reader(model, tokenizer, sets, features=params.features, evaluation=params.evaluation)


def test_scores_off_the_study_s_files_are_what_reading_again_would_give(study):
    params, _ = study
    development, *others = params.data.evaluation_sets
    # the study asks twice as many questions
    assert params.data.evaluation_questions == 2 * params.sweeps.evaluation_questions
    objective, data = (sweeps.read_group(params, group, 1)[0] for group in params.sweeps.groups)
    (own,) = experiments.students_of_the_study(params)
    reader, student = layout.reader_folder(params), layout.student_folder(params, "ce", 1)
    for table, setting, folder in ((objective, "zero-shot", reader), (data, own, student)):
        found = table[table["setting"] == setting].drop(columns="setting").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, read_again(params, folder, development)[list(found.columns)])
    table = run_results.read_other_sets(params, "objective", 1)
    for name in others:
        found = table[(table["setting"] == "zero-shot") & (table["set"] == name)].drop(columns="setting")
        again = read_again(params, reader, name)[list(found.columns)]
        pd.testing.assert_frame_equal(found.reset_index(drop=True), again)


def test_scores_of_other_questions_are_refused(study, tmp_path):
    params, _ = study
    source = layout.scores_file(params, layout.ZERO_SHOT)
    other = in_folder(params, tmp_path)
    evaluation.write_scores(layout.scores_file(other, layout.ZERO_SHOT), evaluation.read_scores(source).iloc[2:])
    (first, *_) = questions = sweeps.sample_questions(params, "factbook-dev")
    with pytest.raises(DataError, match=rf"zero-shot\.csv: no score of factbook-dev {first.id} en en; run"):
        sweeps._own_scores(other, layout.ZERO_SHOT, {"factbook-dev": questions})


def test_a_student_of_the_study_is_not_trained_again(study):
    params, _ = study
    _, logs, record = sweeps.read_group(params, "data", 1)
    (key,) = [key for key, entry in record["settings"].items() if entry.get("student") == "ce"]
    assert key in experiments.students_of_the_study(params)
    own = pd.read_csv(layout.log_file(params, "ce-seed-1"))
    assert logs[logs["setting"] == key]["loss"].tolist() == own["loss"].tolist()
    # what it cost stands in the study's own records
    costs = {entry: "tflop" in facts for entry, facts in record["settings"].items()}
    assert costs == {entry: entry != key for entry in record["settings"]}


def test_the_start_distribution(study):
    params, _ = study
    table = pd.read_csv(
        layout.experiments_folder(params, "objective", 1) / "start-distribution.csv", keep_default_na=False
    )
    assert table["probability"].sum() == pytest.approx(1, abs=1e-4)
    assert table["softened"].sum() == pytest.approx(1, abs=1e-4)
    assert table["softened"].max() < table["probability"].max()
    assert table["gold"].sum() == 1
    gold = table.loc[table["gold"], "position"].item()
    window = params.methods["skd-map"].window
    inside = [p for p in range(gold - window, gold + window) if 0 <= p < len(table)]
    assert table.loc[table["right"], "position"].tolist() == inside
    assert table.sort_values("rank")["probability"].is_monotonic_decreasing
    assert set(table["context_lang"]) == {"en"}
    assert set(table["question_lang"]) == {"es"}


def test_results_of_other_parameters_are_not_read(study):
    params, _ = study
    other = replace(params, sweeps=replace(params.sweeps, k=[7]))
    with pytest.raises(DataError, match=r"1 settings of the parameters were not run \(\w{12}, \.\.\.\): run `dvc"):
        sweeps.read_group(other, "objective", 1)
    with pytest.raises(DataError, match=r"seed-2 is missing: run `dvc repro`, which makes it$"):
        sweeps.read_group(params, "objective", 2)


def test_a_group_that_was_stopped_goes_on_with_the_setting_it_was_at(study, monkeypatch):
    params, _ = study
    place = layout.experiments_folder(params, "data", 1)
    calm = {name: (place / name).read_bytes() for name in ("scores.csv", "other-sets.csv", "logs.csv")}
    trained, original = [], sweeps.SettingRunner.train

    def train(self, setting):
        trained.append(setting.key)
        if len(trained) == 3:
            raise KeyboardInterrupt  # as a kill: nothing is caught on the way
        return original(self, setting)

    monkeypatch.setattr(sweeps.SettingRunner, "train", train)
    with pytest.raises(KeyboardInterrupt):
        sweeps.run_group(params, "data", 1)
    assert {name: (place / name).read_bytes() for name in calm} == calm  # the old result stands
    stopped_at, before = trained[2], trained[:2]
    sweeps.run_group(params, "data", 1)
    assert trained[3] == stopped_at
    assert not set(before) & set(trained[3:])
    assert {name: (place / name).read_bytes() for name in calm} == calm
    assert not layout.checkpoints_folder(params, "sweeps-data-seed-1").exists()
    # what an earlier start left is not taken for another reader's
    reader, _ = models.load_reader(layout.reader_folder(params))
    found = [sweeps._decides(params, model, {}, {"dev": []}, 1) for model in (reader, tiny_model())]
    assert found[0]["reader"] != found[1]["reader"]
