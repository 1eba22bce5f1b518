"""dvc.yaml: what DVC makes of it for every profile, and whether it agrees with notebooks, parameters and library."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from dataclasses import is_dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.test_rooms import deps
from xqa_lib.running import notebooks
from xqa_lib.study import experiments, layout
from xqa_lib.study.params import PROFILES, ROOT, SIZES, Method, compose

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
ACTIVE = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
NEEDED = {  # the notebook's parameters that decide which result a stage makes
    "data": {"study"},
    "encoder": {"study"},
    "reader": {"study"},
    "sampling": {"study", "seed"},
    "distillation": {"study", "method", "seed"},
    "zero-shot": {"study"},
    "evaluation": {"study", "method", "seed"},
    "choice": {"study", "group", "seed"},
    "ablations": {"study", "group", "seed"},
    "try-it": {"study"},
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


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_passes_what_the_notebook_declares(stage):
    name, _, passed = command(stage)
    declared = notebooks.declared_parameters(ROOT / "notebooks" / f"{name}.ipynb")
    assert set(passed) <= set(declared)
    assert set(passed) == NEEDED[stage]
    assert passed.pop("study") == "params.yaml"
    if stage == "choice":
        assert passed.pop("group") == experiments.CHOICE
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
    needed = NEEDED[stage]
    if stage == "choice":  # of one group, and seeds of its own
        needed, expected["seed"] = needed - {"group"}, "${sweeps.choice_seeds}"
    assert list(matrix) == [name for name in expected if name in needed]
    assert matrix == {name: expected[name] for name in matrix}


# ------------------------------------------------------------------------------------ what a stage depends on


def test_the_library_s_files_are_those_that_the_tracing_finds():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert deps.written(text) == text, "run make deps"


def stages_with(path):
    """The stages that an edit of a file of the library reruns, if it changes no result."""
    return {stage for stage in STAGES if path in PIPELINE[stage]["deps"]}


def test_an_edit_reruns_the_stages_that_it_can_change():
    reporting = [path.relative_to(ROOT).as_posix() for path in (ROOT / "xqa_lib" / "reporting").glob("[a-z]*")]
    # what the pages of other notebooks show, the report's stage does not run
    assert {path for path in reporting if stages_with(path) - {"report"}} == set()
    assert stages_with("xqa_lib/losses.py") == {"reader", "distillation", "choice", "ablations"}
    assert stages_with("xqa_lib/metrics.py") == {"zero-shot", "evaluation", "choice", "ablations", "report"}
    assert stages_with("xqa_lib/data/factbook/languages") == {"data"}
    assert stages_with("xqa_lib/study/stages.py") == {"encoder", "reader", "distillation"}
    # what is called neutral is no dependency, and exists
    for name in deps.NEUTRAL:
        path = name.replace(".", "/")
        assert (ROOT / f"{path}.py").is_file() or (ROOT / path).is_dir()
        assert name == deps.REPORT[1] or not any(p.startswith((f"{path}.", f"{path}/")) for p in listed())


def listed():
    return {path for stage in STAGES for path in PIPELINE[stage]["deps"]}


@pytest.fixture
def copy(tmp_path):
    """A copy of the sources, the notebooks and dvc.yaml, to plant imports in."""
    for name in ("xqa_lib", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


HIDDEN = """

def span_cross_entropy(start_logits, end_logits, start_positions, end_positions):
    from . import metrics as m

    return m.squad_em_f1("", [])
"""


def test_a_hidden_import_is_found(copy):
    with open(copy / "xqa_lib" / "losses.py", "a", encoding="utf-8") as file:
        file.write(HIDDEN)
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    found = yaml.safe_load(deps.written(text, copy))["stages"]
    new = {stage: set(found[stage]["deps"]) - set(PIPELINE[stage]["deps"]) for stage in STAGES}
    assert {stage: files for stage, files in new.items() if files} == {
        "reader": {"xqa_lib/metrics.py"},
        "distillation": {"xqa_lib/metrics.py"},
    }
    # nothing else of the file is touched
    assert yaml.safe_load(re.sub(r" +- xqa_lib/.*\n", "", deps.written(text, copy))) == yaml.safe_load(
        re.sub(r" +- xqa_lib/.*\n", "", text)
    )


SOURCES = {
    "__init__": "",
    "first": """
        from . import second, third
        from .tables import rows as lines

        def by_name(second):
            return second.nothing  # an argument, not the module

        def by_attribute():
            return second.value

        def inside():
            from .fifth import value
            return [value for third in range(3)]

        def handed_on():
            return by_name(third)

        class Reader(second.Base):
            def read(self):
                return lines()

        def missing():
            return second.misspelt
    """,
    "second": "from .third import value\nclass Base: pass\n",
    "third": "from .fifth import value\nfrom . import sixth\ndef unused(): return sixth.x",
    "fifth": "value = 1\n",
    "sixth": "x = 1\n",
    "tables/__init__": "from .made import rows\n",
    "tables/made": "from pathlib import Path\nFILE = Path(__file__).with_name('rows.csv')\ndef rows(): return FILE\n",
    "tables/other": "def rows(): return ''\n",
}


@pytest.mark.parametrize(
    ("called", "found"),
    [
        ("by_name", {"first"}),
        # through second, which has it from third, which has it from fifth
        ("by_attribute", {"first", "second", "third", "fifth"}),
        ("inside", {"first", "fifth"}),
        ("handed_on", {"first", "third", "fifth", "sixth"}),
        ("Reader", {"first", "second", "tables/__init__", "tables/made", "tables/rows.csv"}),
    ],
)
def test_what_a_name_reaches(tmp_path, called, found):
    for name, text in SOURCES.items():
        path = tmp_path / "xqa_lib" / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    (tmp_path / "xqa_lib" / "tables" / "rows.csv").touch()
    notebook = tmp_path / "notebook.ipynb"

    def reached(code, neutral=()):
        cells = [
            {"cell_type": "code", "source": f"%matplotlib inline\n{code}"},
            {"cell_type": "markdown", "source": "x("},
        ]
        notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        files = deps.reached(deps.sources(tmp_path), notebook, neutral, tmp_path)
        return {path.removeprefix("xqa_lib/").removesuffix(".py") for path in files}

    assert reached(f"from xqa_lib import first\nfirst.{called}();") == found
    assert reached(f"import xqa_lib.first\nxqa_lib.first.{called}();") == found
    assert reached(f"from xqa_lib.first import {called} as f\nf", ["xqa_lib.fi"]) == found  # a name, not a beginning
    assert reached(f"from xqa_lib.first import {called}\n{called}", ["xqa_lib.first"]) == set()
    without = found - {"third", "fifth", "sixth"}
    assert reached(f"from xqa_lib.first import {called}\n{called}", ["xqa_lib.third", "xqa_lib.fifth"]) == without
    with pytest.raises(ValueError, match=r"^xqa_lib\.second\.misspelt is used, but xqa_lib/second\.py has no misspelt"):
        reached("from xqa_lib.first import missing\nmissing")


@pytest.fixture(scope="module")
def read_by_stage(tmp_path_factory):
    """stage -> the parameters that its function reads, as "section.name", at a small size."""
    from xqa_lib.data import roles
    from xqa_lib.reading import side_by_side
    from xqa_lib.reporting import report, try_it
    from xqa_lib.study import samples, scoring, stages, sweeps
    from xqa_lib.study.params import load_params

    params = load_params("embedded/smoke")
    folder = tmp_path_factory.mktemp("study")
    sweeps_ = replace(params.sweeps, groups=["data"], ntl=[], few_ids=[1], label_noise=[], left_out=[])
    paths = replace(params.paths, **{name: str(folder / name) for name in vars(params.paths)})
    params = replace(params, paths=paths, trained=["skd-map"], seeds=[1], threads=1, sweeps=sweeps_)
    chosen = replace(params.sweeps, choice_seeds=[2], learning_rates=[0.001], methods=["ce", "skd-map"])
    choice = experiments.study_of(replace(params, sweeps=chosen), experiments.CHOICE)
    named = {}
    for found in (params, choice):
        named[id(found)] = ""
        named |= {id(value): f"{name}." for name, value in vars(found).items() if is_dataclass(value)}
        named |= {id(method): f"methods.{name}." for name, method in found.methods.items()}
    leaves = (bool, int, float, str, list, type(None))
    found, read = {}, set()

    def noting(self, name):
        value = object.__getattribute__(self, name)
        # the only leaf that is a mapping
        leaf = isinstance(value, leaves) or name == "learning_rates"
        if id(self) in named and name in type(self).__dataclass_fields__ and leaf:
            read.add(f"{named[id(self)]}{name}")
        return value

    def show():
        systems = try_it.systems(params, 1)
        readers = side_by_side.Readers(systems, features=params.features, evaluation=params.evaluation)
        try_it.compared(params, readers, try_it.examples(params, "es", "en")[0])

    runs = {
        "data": lambda: roles.prepare(params),
        "encoder": lambda: stages.make_encoder(params),
        "reader": lambda: stages.train_reader(params),
        "sampling": lambda: samples.sample(params, 1),
        "distillation": lambda: stages.train_student(params, "skd-map", 1),
        "zero-shot": lambda: scoring.evaluate_system(params, layout.ZERO_SHOT, None),
        "evaluation": lambda: scoring.evaluate_system(params, "skd-map", 1),
        "choice": lambda: sweeps.run_group(choice, experiments.CHOICE, 2),
        "ablations": lambda: sweeps.run_group(params, "data", 1),
        "try-it": show,
        "report": lambda: report.write((built := report.build(params)), report.figures_of(built)),
    }
    with pytest.MonkeyPatch.context() as patch:
        # what a sweep that was killed is known by: all parameters
        patch.setattr(sweeps, "_decides", lambda *arguments: {})
        for kind in {type(params), *(type(value) for value in vars(params).values() if is_dataclass(value)), Method}:
            patch.setattr(kind, "__getattribute__", noting)
        for stage, run in runs.items():
            read.clear()
            run()
            found[stage] = set(read)
    return found


FREE = ("paths.", "size", "study", "profile", "checkpoint_minutes")  # they change where and how, and no result


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_the_parameters_are_those_that_the_stage_reads(stage, read_by_stage):
    declared = [place.replace("${item.method}", "skd-map") for place in PIPELINE[stage]["params"]]
    read = {name for name in read_by_stage[stage] if not name.startswith(FREE)}
    if stage == "choice":
        read -= {"learning_rates", "sweeps.groups", "sweeps.experiments"}  # which `study_of` sets, the last one
        read.add("sweeps.choice_experiments")  # from this one

    def covers(place, name):
        return f"{name}.".startswith(f"{place}.")

    assert {name for name in read if not any(covers(place, name) for place in declared)} == set()
    # and none reruns it that it does not read
    assert {place for place in declared if not any(covers(place, name) for name in read)} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_exist(stage):
    for place in PIPELINE[stage]["params"]:
        value_of(place.replace("${item.method}", ACTIVE["trained"][0]))
    assert set(ACTIVE["trained"]) <= set(ACTIVE["methods"])


@pytest.mark.parametrize("stage", STAGES)
def test_pages_are_for_reading_only(stage):
    _, page, _ = command(stage)
    assert outputs(stage)[page] == {"cache": False}
    assert page.startswith("${paths.reports}/notebooks/")
    # what git holds, DVC does not
    for path, settings in outputs(stage).items():
        in_git = path.startswith(("${paths.reports}", "${paths.results}"))
        assert settings == ({"cache": False} if in_git else {})
    assert not [path for path in PIPELINE[stage]["deps"] if path.startswith("${paths.reports}")]


def test_records_tell_times_and_only_the_report_depends_on_them():
    records = {path for stage in STAGES for path in outputs(stage) if path.startswith("${paths.results}/records/")}
    assert len(records) == 5
    for stage in set(STAGES) - {"report"}:
        assert not [
            p for p in PIPELINE[stage]["deps"] if p == "${paths.results}" or p.startswith("${paths.results}/records")
        ]
    # in a fresh clone, which has neither data nor models
    assert [path for path in PIPELINE["report"]["deps"] if path.startswith("$")] == ["${paths.results}"]


def test_the_report_s_outputs():
    assert set(outputs("report")) == {
        "${paths.reports}/README.md",
        "${paths.reports}/appendix.md",
        "${paths.reports}/tables",
        "${paths.reports}/figures",
        "${paths.reports}/metrics.json",
        "${paths.reports}/notebooks/07_report.ipynb",
    }
    assert set(outputs("report", ["metrics"])) == {"${paths.reports}/metrics.json"}
    # `dvc plots show` draws curves over the CSV that stages write
    document = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    curves = [path for entry in document["plots"] for path in entry]
    assert "${paths.results}/logs/reader.csv" in outputs("reader")
    assert curves == ["${paths.results}/logs/reader.csv"] + [
        f"${{paths.reports}}/tables/curve-{name}.csv" for name in ("loss", "few-resource")
    ]


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
        *(f"{stage}@{study}" for stage in ("data", "encoder", "reader", "zero-shot", "try-it", "report")),
        *(f"sampling@{study}-{seed}" for seed in params["seeds"]),
        *(f"{stage}@{study}-{pair}" for stage in ("distillation", "evaluation") for pair in pairs),
        *(f"choice@{study}-{seed}" for seed in params["sweeps"]["choice_seeds"]),
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
    assert before[f"distillation@{study}-{pair}"] == {
        *(f"{stage}@{study}" for stage in ("data", "reader", "zero-shot")),
        f"sampling@{study}-{seed}",
    }
    assert before[f"reader@{study}"] == {f"encoder@{study}", f"data@{study}"}
    assert before[f"encoder@{study}"] == {f"data@{study}"}
    assert before[f"data@{study}"] == set()
    assert before[f"report@{study}"] >= {f"evaluation@{study}-{pair}" for pair in pairs} | {f"zero-shot@{study}"}
    assert before[f"report@{study}"] >= {f"ablations@{study}-{group}" for group in groups}
    assert before[f"ablations@{study}-{groups[0]}"] == {
        *(f"{stage}@{study}" for stage in ("data", "reader", "zero-shot")),
        *(f"{stage}@{study}-{pair}" for stage in ("distillation", "evaluation") for pair in pairs),
        f"sampling@{study}-{groups[0].rpartition('-')[2]}",
    }
    # two stages never write to one place, and two studies neither
    assert len(results) == sum(map(len, outs.values()))
    assert all(path.startswith(tuple(f"{folder}" for folder in params["paths"].values())) for path in results)


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
def test_where_stages_write_is_where_the_library_looks(resolved):
    from xqa_lib.study.params import load_params

    _, outs, _, _ = resolved("embedded", "full")
    params = load_params("embedded/full")
    study, results = params.study, {name: {ROOT / path for path in paths} for name, paths in outs.items()}
    assert results[f"data@{study}"] > {params.data_folder, params.results_folder / "data"}
    assert results[f"encoder@{study}"] > {layout.encoder_folder(params), layout.record_file(params, "encoder")}
    made = {layout.reader_folder(params), layout.log_file(params, "reader"), layout.record_file(params, "reader")}
    assert results[f"reader@{study}"] > made
    for system in (layout.ZERO_SHOT, layout.RANDOM_SPAN, layout.CEILING):
        assert layout.scores_file(params, system) in results[f"zero-shot@{study}"]
    assert layout.record_file(params, "scores-zero-shot") in results[f"zero-shot@{study}"]
    for seed in params.seeds:
        assert layout.sampled_file(params, seed) in results[f"sampling@{study}-{seed}"]
        for group in params.sweeps.groups:
            assert layout.experiments_folder(params, group, seed) in results[f"ablations@{study}-{group}-{seed}"]
        for method in params.trained:
            system = layout.system_name(method, seed)
            made = {layout.student_folder(params, method, seed), layout.log_file(params, system)}
            assert results[f"distillation@{study}-{method}-{seed}"] > made | {layout.record_file(params, system)}
            made = {layout.scores_file(params, system), layout.record_file(params, f"scores-{system}")}
            assert results[f"evaluation@{study}-{method}-{seed}"] > made


def test_large_results_are_not_in_git():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/data/", "/runs/"} <= set(ignored)
    assert not {"/results/", "/reports/"} & set(ignored)
    for stage in STAGES:
        for path in outputs(stage):
            assert re.match(r"\$\{paths\.(data|runs|results|reports)\}", path)
    for profile in PROFILES:
        paths = yaml.safe_load(compose(profile))["paths"]
        assert paths["results"] == f"results/{profile}"
        assert paths["data"].startswith("data/")
        assert paths["runs"].startswith("runs/")
        assert paths["reports"].split("/")[0] == "reports"


# ---------------------------------------------------------------------------------------- experiments with other values


def shown_experiments():
    """(file, command) of every `dvc exp run` that is shown anywhere."""
    places = ["README.md", "Makefile", *(f"{folder}/**/*" for folder in ("docs", "conf", "xqa_lib", "notebooks"))]
    for path in sorted({path for place in places for path in ROOT.glob(place) if path.is_file()}):
        if path.suffix != ".pyc":
            for command in re.findall(r"dvc exp run[^`\n]*", path.read_text(encoding="utf-8")):
                yield path.name, command


def test_an_experiment_names_its_profile():
    # DVC composes it from conf/config.yaml alone: of no profile it would be of the default one, whatever is active
    found = list(shown_experiments())
    assert {name for name, _ in found} >= {"README.md", "__main__.py", "params.py"}
    assert [(name, command) for name, command in found if "-S profile=" not in command] == []


@pytest.mark.slow
def test_an_experiment_is_of_the_profile_that_it_names(tmp_path):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", tmp_path / ".dvc" / "config")
    (tmp_path / "params.yaml").write_text(compose("paper"), encoding="utf-8")
    stage = {
        "cmd": "cp params.yaml seen.yaml",
        "params": ["profile", "methods"],
        "outs": [{"seen.yaml": {"cache": False}}],
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"look": stage}}), encoding="utf-8")
    (shown,) = [command for name, command in shown_experiments() if name == "README.md" and "--queue" not in command]
    assert shown == "dvc exp run -S profile=embedded -S methods.skd.temperature=4"
    command = [*shlex.split(shown.replace("embedded", "xquad")), "-S", "size=smoke"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    git = ["git", *identity]
    for step in (["git", "init", "--quiet"], ["git", "add", "."], [*git, "commit", "--quiet", "-m", "x"], command):
        subprocess.run(step, cwd=tmp_path, env=environment, check=True, capture_output=True)
    expected = yaml.safe_load(compose("xquad", "smoke"))
    expected["methods"]["skd"]["temperature"] = 4
    assert yaml.safe_load((tmp_path / "seen.yaml").read_text(encoding="utf-8")) == expected
