"""dvc.yaml: what DVC makes of it for every profile, and whether it agrees with notebooks, parameters and library."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from xqa_lib.running import notebooks
from xqa_lib.study import layout
from xqa_lib.study.params import PROFILES, ROOT, SIZES, compose

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
ACTIVE = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
# the library modules without which a stage's results would be others
USED = {
    "data": {"corpora", "factbook", "leakage", "preparation", "sampling", "squad_format"},
    "encoder": {"batching", "cpu_linear", "models", "pretraining"},
    "reader": {"batching", "cpu_linear", "distillation", "features", "losses", "models", "stored_features"},
    "sampling": {"sampling"},
    "distillation": {
        *("batching", "coefficients", "cpu_linear", "distillation", "features", "losses", "models"),
        *("stored_features", "stored_logits"),
    },
    "zero-shot": {"batching", "cpu_linear", "decoding", "evaluation", "features", "metrics", "predict", "preparation"},
    "evaluation": {"batching", "cpu_linear", "decoding", "evaluation", "features", "metrics", "predict", "preparation"},
    "ablations": {
        *("batching", "coefficients", "decoding", "distillation", "experiments", "features", "label_noise", "losses"),
        *("metrics", "models", "parallel_view", "predict", "sampling", "stored_logits", "sweep_results", "sweeps"),
        *("corpora", "cpu_linear", "preparation", "squad_format", "stored_features"),
    },
    "report": {
        *("ablation_report", "ceiling", "evaluation", "experiments", "figures", "metrics", "published", "report"),
        *("decoding", "features", "languages", "preparation", "significance", "sweep_results"),
    },
}
READ = {  # parameters that change a stage's results, beside its inputs
    "data": {"data", "sampling.languages", "encoder.pretrained"},
    "encoder": {"threads", "encoder"},
    "reader": {"threads", "encoder.pretrained", "features", "curriculum", "reader"},
    "sampling": {"sampling"},
    "distillation": {"threads", "processes", "features", "distillation", "generations", "methods.${item.method}"},
    "zero-shot": {"threads", "data.evaluation_languages", "data.evaluation_sets", "features", "evaluation"},
    "evaluation": {"threads", "data.evaluation_languages", "data.evaluation_sets", "features", "evaluation"},
    "ablations": {
        *("threads", "data.evaluation_languages", "data.evaluation_sets", "data.seed", "features", "reader"),
        *("sampling", "distillation", "generations", "trained", "methods", "evaluation", "sweeps"),
    },
    "report": {
        *("seeds", "trained", "methods", "data.evaluation_languages", "data.evaluation_questions"),
        *("data.evaluation_sets", "data.seed", "sampling", "distillation", "generations", "features", "evaluation"),
        "sweeps",
    },
}
NEEDED = {  # the notebook's parameters that decide which result a stage makes
    "data": {"study"},
    "encoder": {"study"},
    "reader": {"study"},
    "sampling": {"study", "seed"},
    "distillation": {"study", "method", "seed"},
    "zero-shot": {"study"},
    "evaluation": {"study", "method", "seed"},
    "ablations": {"study", "group", "seed"},
    "report": {"study"},
}
STAGES = sorted(PIPELINE)


def outputs(stage, kinds=("outs", "metrics", "plots")):
    """path -> its settings, of the outputs of a stage."""
    found = {}
    for kind in kinds:
        for entry in PIPELINE[stage].get(kind, []):
            found |= entry if isinstance(entry, dict) else {entry: {}}
    return found


def command(stage):
    """(notebook, page, {parameter: value}) of the command of a stage."""
    python, module, package, verb, name, page, *options = shlex.split(PIPELINE[stage]["cmd"])
    assert (python, module, package, verb) == ("python", "-m", "xqa_lib", "notebook")
    assert options[::3] == ["-p"] * (len(options) // 3)
    passed = dict(zip(options[1::3], options[2::3], strict=True))
    assert 3 * len(passed) == len(options)
    return name, page, passed


def value_of(place, tree=ACTIVE):
    for name in place.split("."):
        tree = tree[name]
    return tree


def test_the_stages():
    assert set(PIPELINE) == set(USED)


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_passes_what_the_notebook_declares(stage):
    name, _, passed = command(stage)
    declared = notebooks.declared_parameters(ROOT / "notebooks" / f"{name}.ipynb")
    assert set(passed) <= set(declared)
    assert set(passed) == NEEDED[stage]
    assert passed.pop("study") == "params.yaml"
    assert passed == {key: f"${{item.{key}}}" for key in passed}  # what is not passed keeps the notebook's default


def test_the_reader_s_scores_are_the_default_of_the_evaluation():
    declared = notebooks.declared_parameters(ROOT / "notebooks" / "05_evaluation.ipynb")
    assert declared["method"] == '"zero-shot"'
    assert command("zero-shot")[0] == "05_evaluation"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_s_name_carries_the_study(stage):
    matrix = PIPELINE[stage]["matrix"]
    assert matrix["study"] == ["${study}"]
    expected = {"study": ["${study}"], "method": "${trained}", "group": "${sweeps.groups}", "seed": "${seeds}"}
    assert list(matrix) == [name for name in expected if name in NEEDED[stage]]
    assert matrix == {name: expected[name] for name in matrix}
    assert set(matrix) == NEEDED[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_of_the_repository_exist(stage):
    name, _, _ = command(stage)
    sources = [path for path in PIPELINE[stage]["deps"] if not path.startswith("${")]
    assert sources[0] == f"notebooks/{name}.ipynb"
    assert [path for path in sources if not (ROOT / path).exists()] == []
    assert all(path.startswith(("notebooks/", "xqa_lib/")) for path in sources)
    assert len(set(PIPELINE[stage]["deps"])) == len(PIPELINE[stage]["deps"])
    modules = {Path(path).stem for path in sources if path.endswith(".py")}
    assert modules >= USED[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_exist(stage):
    for place in PIPELINE[stage]["params"]:
        if "${item.method}" in place:
            assert place == "methods.${item.method}"
            assert set(ACTIVE["trained"]) <= set(ACTIVE["methods"])
        else:
            value_of(place)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_again_for_the_parameters_that_it_reads_and_for_no_others(stage):
    assert set(PIPELINE[stage]["params"]) == READ[stage]
    # a name or a folder is in the stage's name and paths; it must not rerun anything by itself
    assert {"profile", "size", "study", "paths"}.isdisjoint(PIPELINE[stage]["params"])
    every = {name for places in READ.values() for name in (place.split(".")[0] for place in places)}
    # none is read by nobody; when checkpoints are written decides no result
    assert every | {"profile", "size", "study", "paths", "checkpoint_minutes"} == set(ACTIVE)


@pytest.mark.parametrize("stage", STAGES)
def test_pages_are_for_reading_only(stage):
    _, page, _ = command(stage)
    assert outputs(stage)[page] == {"cache": False}
    assert page.startswith("${paths.reports}/notebooks/")
    # what git holds, DVC does not
    reports = {path: settings for path, settings in outputs(stage).items() if path.startswith("${paths.reports}")}
    assert all(settings == {"cache": False} for settings in reports.values())
    assert not [path for path in PIPELINE[stage]["deps"] if path.startswith("${paths.reports}")]


def test_the_report_s_outputs():
    assert set(outputs("report")) == {
        "${paths.reports}/README.md",
        "${paths.reports}/tables",
        "${paths.reports}/figures",
        "${paths.reports}/metrics.json",
        "${paths.reports}/notebooks/07_report.ipynb",
    }
    assert set(outputs("report", ["metrics"])) == {"${paths.reports}/metrics.json"}
    assert set(outputs("report", ["plots"])) == {"${paths.reports}/figures"}


# ---------------------------------------------------------------------------------------- as DVC reads it


@pytest.fixture(scope="module")
def resolved(tmp_path_factory):
    """A function: name -> stage as DVC resolves it for a profile at a size, in a folder without results."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("dvc")
    (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    Repo.init(str(folder), no_scm=True).close()

    def resolve(profile, size):
        (folder / "params.yaml").write_text(compose(profile, size), encoding="utf-8")
        with Repo(str(folder)) as repo:
            index = repo.index
            graph = index.graph  # refuses overlapping outputs and cycles
            stages = {stage.addressing.split(":")[-1]: stage for stage in index.stages}
            deps = {
                name: {dep.def_path for dep in stage.deps if not dep.def_path.endswith("params.yaml")}
                for name, stage in stages.items()
            }
            outs = {name: {out.def_path for out in stage.outs} for name, stage in stages.items()}
            before = {name: {s.addressing.split(":")[-1] for s in graph.successors(stages[name])} for name in stages}
            commands = {name: stage.cmd for name, stage in stages.items()}
        return deps, outs, before, commands

    return resolve


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # in a library of DVC
@pytest.mark.parametrize(("profile", "size"), [(profile, size) for profile in PROFILES for size in SIZES])
def test_dvc_reads_the_pipeline_of_every_profile(profile, size, resolved):
    deps, outs, before, commands = resolved(profile, size)
    study = profile if size == "full" else f"smoke-{profile}"
    params = yaml.safe_load(compose(profile, size))
    pairs = [f"{method}-{seed}" for method in params["trained"] for seed in params["seeds"]]
    groups = [f"{group}-{seed}" for group in params["sweeps"]["groups"] for seed in params["seeds"]]
    assert set(commands) == {
        *(f"{stage}@{study}" for stage in ("data", "encoder", "reader", "zero-shot", "report")),
        *(f"sampling@{study}-{seed}" for seed in params["seeds"]),
        *(f"{stage}@{study}-{pair}" for stage in ("distillation", "evaluation") for pair in pairs),
        *(f"ablations@{study}-{group}" for group in groups),
    }
    # everything that a stage needs is in the repository or another stage's result, whole or in part
    results = {path: name for name, paths in outs.items() for path in paths}
    for name, paths in deps.items():
        for path in paths:
            made = {
                maker
                for result, maker in results.items()
                if f"{path}/".startswith(f"{result}/") or result.startswith(f"{path}/")
            }
            assert made or (ROOT / path).exists(), (name, path)
            assert made <= before[name]
            assert not path.endswith(".ipynb") or path.startswith("notebooks/")
    assert "${" not in str(commands)
    # the order of a student's making
    pair, seed = pairs[0], params["seeds"][0]
    assert before[f"evaluation@{study}-{pair}"] == {f"distillation@{study}-{pair}", f"data@{study}"}
    assert before[f"distillation@{study}-{pair}"] == {f"reader@{study}", f"sampling@{study}-{seed}", f"data@{study}"}
    assert before[f"reader@{study}"] == {f"encoder@{study}", f"data@{study}"}
    assert before[f"data@{study}"] == set()
    assert before[f"report@{study}"] >= {f"evaluation@{study}-{pair}" for pair in pairs} | {f"zero-shot@{study}"}
    assert before[f"report@{study}"] >= {f"ablations@{study}-{group}" for group in groups}
    assert before[f"ablations@{study}-{groups[0]}"] == {
        *(f"{stage}@{study}" for stage in ("data", "reader")),
        *(f"distillation@{study}-{pair}" for pair in pairs),
    }
    # two stages never write to one place, and two studies neither
    assert len(results) == sum(map(len, outs.values()))
    assert all(path.startswith(tuple(f"{folder}" for folder in params["paths"].values())) for path in results)


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
def test_where_stages_write_is_where_the_library_looks(resolved):
    from xqa_lib.study import sweeps
    from xqa_lib.study.params import load_params

    _, outs, _, _ = resolved("embedded", "full")
    params = load_params("embedded/full")
    results = {ROOT / path for paths in outs.values() for path in paths}
    assert params.data_folder in results
    assert {layout.encoder_folder(params), layout.reader_folder(params)} <= results
    assert {layout.scores_file(params, layout.ZERO_SHOT)} <= results
    for seed in params.seeds:
        assert layout.sampled_file(params, seed) in results
        assert {sweeps.folder(params, group, seed) for group in params.sweeps.groups} <= results
        for method in params.trained:
            assert layout.student_folder(params, method, seed) in results
            assert layout.scores_file(params, layout.system_name(method, seed)) in results


def test_large_results_are_not_in_git():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/data/", "/runs/"} <= set(ignored)
    for stage in STAGES:
        for path in outputs(stage):
            assert re.match(r"\$\{paths\.(data|runs|reports)\}", path)
    for profile in PROFILES:
        paths = yaml.safe_load(compose(profile))["paths"]
        assert paths["data"].startswith("data/")
        assert paths["runs"].startswith("runs/")
        assert paths["reports"].split("/")[0] == "reports"
