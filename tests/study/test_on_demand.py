"""Results on demand: a smoke study is made as far as it is asked for, once; a full one is DVC's."""

import pytest
import yaml

from tests.builders import changed, in_folder
from tests.study.test_stages import SMOKE
from xqa_lib.data import roles
from xqa_lib.errors import DataError
from xqa_lib.study import layout, on_demand, samples, scoring, stages, sweeps
from xqa_lib.study.params import ROOT, load_params

FULL = load_params("embedded")
ONE = {"method": "ce", "seed": 1}
# stage -> options, where its result lies
STAGES = {
    "data": ({}, lambda params: params.data_folder),
    "encoder": ({}, layout.encoder_folder),
    "reader": ({}, layout.reader_folder),
    "sampling": ({"seed": 1}, lambda params: layout.sampled_file(params, 1)),
    "distillation": (ONE, lambda params: layout.student_folder(params, "ce", 1)),
    "evaluation": (ONE, lambda params: layout.scores_file(params, "ce-seed-1")),
    "ablations": ({"group": "data", "seed": 1}, lambda params: layout.experiments_folder(params, "data", 1)),
}


def test_stages_are_called_as_in_dvc_yaml():
    known = set(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    # the reader's own evaluation, what is chosen before the study, and what comes after all stages
    assert known - set(STAGES) == {"zero-shot", "choice", "report", "try-it"}
    assert set(STAGES) <= known


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_study_is_made_by_dvc(stage, tmp_path):
    params = in_folder(FULL, tmp_path)
    options, result = STAGES[stage]
    with pytest.raises(DataError) as error:
        on_demand.require(params, stage, **options)
    assert str(error.value) == f"{result(params)} is missing: run `dvc repro`, which makes it"
    assert list(tmp_path.iterdir()) == []
    # what it was made from may be absent: the report is made where only the small results are
    result(params).mkdir(parents=True)
    on_demand.require(params, stage, **options)


def test_a_report_needs_scores_and_experiments_alone(tmp_path):
    params = in_folder(FULL, tmp_path)
    systems = ["zero-shot", *(f"{method}-seed-{seed}" for method in params.trained for seed in params.seeds)]
    wanted = [layout.scores_file(params, system) for system in systems]
    wanted += [layout.experiments_folder(params, group, s) for group in params.sweeps.groups for s in params.seeds]
    missing = []
    for _ in wanted:
        with pytest.raises(DataError, match=r" is missing: run `dvc repro`, which makes it$") as error:
            on_demand.require_all(params)
        path = next(path for path in wanted if str(error.value).startswith(f"{path} "))
        path.mkdir(parents=True)
        missing.append(path)
    on_demand.require_all(params)
    assert sorted(missing) == sorted(wanted)


@pytest.fixture
def made(monkeypatch):
    """Names of the stages that ran, each of which leaves an empty file or folder."""
    names = []

    def stage(name, path):
        def run(params, *arguments):
            names.append("-".join(map(str, (name, *arguments))))
            path(params, *arguments).mkdir(parents=True, exist_ok=True)

        return run

    results = {
        (roles, "prepare"): lambda params: params.data_folder,
        (stages, "make_encoder"): layout.encoder_folder,
        (stages, "train_reader"): layout.reader_folder,
        (samples, "sample"): layout.sampled_file,
        (stages, "train_student"): layout.student_folder,
        (scoring, "evaluate_system"): lambda params, *system: layout.scores_file(params, layout.system_name(*system)),
        (sweeps, "run_group"): layout.experiments_folder,
    }
    for (module, name), path in results.items():
        monkeypatch.setattr(module, name, stage(name, path))
    return names


def test_a_smoke_study_is_made_on_demand_once(made, tmp_path):
    params = in_folder(SMOKE, tmp_path)
    on_demand.require(params, "evaluation", method="skd", seed=2)
    first = ["prepare", "make_encoder", "train_reader", "sample-2", "train_student-skd-2", "evaluate_system-skd-2"]
    assert made == first
    on_demand.require(params, "evaluation", method="skd", seed=2)
    on_demand.require_model(params, "zero-shot", None)
    assert len(made) == 6
    on_demand.require(params, "evaluation", method="zero-shot")
    assert made[6:] == ["evaluate_system-zero-shot-None"]
    on_demand.require_all(params)
    # the other five students with their scores, the other sample, and three groups of experiments with two seeds
    assert len(made) == 6 + 1 + 2 * 5 + 1 + 3 * 2
    assert made[-2:] == ["run_group-data-1", "run_group-data-2"]


def test_a_smoke_result_of_other_parameters_or_other_code_is_made_again(made, tmp_path, monkeypatch):
    params = in_folder(SMOKE, tmp_path)
    on_demand.require(params, "data")
    on_demand.require(changed(params, data={"seed": params.data.seed + 1}), "data")
    assert made == ["prepare"] * 2
    monkeypatch.setattr(on_demand, "_fingerprint", lambda params: "other code")
    on_demand.require(params, "data")
    assert made == ["prepare"] * 3
    # and so is one that was removed
    params.data_folder.rmdir()
    on_demand.require(params, "data")
    assert made == ["prepare"] * 4


def test_a_smoke_result_that_was_not_finished_is_made_again(made, tmp_path, monkeypatch):
    params = in_folder(SMOKE, tmp_path)

    def interrupted(params):
        params.data_folder.mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(roles, "prepare", interrupted)
        with pytest.raises(KeyboardInterrupt):
            on_demand.require(params, "data")
    on_demand.require(params, "data")
    assert made == ["prepare"]
