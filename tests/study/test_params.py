"""Parameters: the committed composition, every profile and size, and what each wrong value is answered with."""

import copy
import dataclasses
from pathlib import Path
from typing import get_args

import pytest
import yaml

from xqa_lib.coefficients import COEFFICIENTS
from xqa_lib.errors import DataError
from xqa_lib.losses import DIRECTIONS
from xqa_lib.study import params
from xqa_lib.study.params import PROFILES, SIZES, compose, load_params

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSED = {(profile, size): compose(profile, size) for profile in PROFILES for size in SIZES}
EMBEDDED = yaml.safe_load(COMPOSED["embedded", "full"])


@pytest.fixture
def refusal(tmp_path):
    """A function: the message that a parameter file with one change is refused with, without the file's name.

    `place` is a path such as "data.seed"; a value of `...` removes the key.
    """
    file = tmp_path / "params.yaml"

    def refuse(place, value):
        tree = copy.deepcopy(EMBEDDED)
        *parents, key = place.split(".")
        branch = tree
        for name in parents:
            branch = branch[name]
        if value is ...:
            del branch[key]
        else:
            branch[key] = value
        file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        with pytest.raises(DataError) as error:
            load_params(file)
        message = str(error.value)
        assert message.startswith(f"{file}: ")
        assert "\n" not in message
        return message.removeprefix(f"{file}: ")

    return refuse


def test_the_committed_parameters_are_the_default_profile():
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == COMPOSED["embedded", "full"]


@pytest.mark.parametrize(("profile", "size"), COMPOSED)
def test_every_profile_loads_at_every_size(profile, size):
    loaded = load_params(f"{profile}/{size}")
    assert (loaded.profile, loaded.size) == (profile, size)
    assert loaded.as_dict() == yaml.safe_load(COMPOSED[profile, size])
    # stages of two studies stand side by side in dvc.lock, and their results in folders of their own
    assert loaded.study == (profile if size == "full" else f"smoke-{profile}")
    others = [yaml.safe_load(text)["paths"] for key, text in COMPOSED.items() if key != (profile, size)]
    assert all(set(other.values()).isdisjoint(loaded.as_dict()["paths"].values()) for other in others)


@pytest.mark.parametrize(("profile", "size"), COMPOSED)
def test_dvc_composes_the_same(profile, size, tmp_path):
    from dvc.utils.hydra import compose_and_dump

    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "[hydra]\n    enabled = true" in config.replace("\t", "    ")
    assert "config_name" not in config  # DVC's defaults: folder conf, name config
    file = tmp_path / "params.yaml"
    compose_and_dump(file, str(ROOT / "conf"), None, "config", str(ROOT), [f"profile={profile}", f"size={size}"])
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == yaml.safe_load(COMPOSED[profile, size])


def test_every_key_has_a_comment_with_its_meaning_and_range():
    lines = [line for line in COMPOSED["paper", "full"].splitlines() if not line.lstrip().startswith("- ")]
    # a method's name stands before the comment on what a method is
    assert [line for line in lines if "  # " not in line] == ["methods:"]
    assert "seeds:  # one student of each method for each; at least one, each [0, 4294967296)" in lines
    assert "  warmup: 0.0  # share of the steps; [0, 1)" in lines
    assert "  layers: null  # the first so many of the packaged one; null: all; >= 1 or null" in lines


def test_the_names_of_coefficients_and_directions_are_those_of_the_method():
    assert get_args(params.Coefficient) == tuple(COEFFICIENTS)
    assert get_args(params.Direction) == tuple(DIRECTIONS)


def test_dvc_sets_single_parameters(tmp_path):
    from dvc.utils.hydra import compose_and_dump

    file = tmp_path / "params.yaml"
    # as `dvc exp run -S ...`: a small number comes back as one, and a whole number does for a float
    overrides = ["reader.learning_rate=3e-5", "methods.skd.temperature=4", "seeds=[7]"]
    compose_and_dump(file, str(ROOT / "conf"), None, "config", str(ROOT), overrides)
    changed, default = load_params(file), load_params("embedded")
    assert changed.reader == dataclasses.replace(default.reader, learning_rate=3e-5)
    assert changed.methods["skd"] == dataclasses.replace(default.methods["skd"], temperature=4.0)
    assert changed.seeds == [7]
    assert changed.methods["ce"] == default.methods["ce"]


def test_the_settings_that_the_paper_states():
    paper = load_params("paper")
    assert dataclasses.astuple(paper.features) == (384, 128, 64)
    assert paper.encoder.pretrained == "google-bert/bert-base-multilingual-cased"
    assert (paper.data.reader_train, paper.encoder.frozen) == (["squad-train"], False)
    assert (paper.reader.epochs, paper.reader.batch_size, paper.reader.learning_rate) == (2, 6, 3e-5)
    training = paper.distillation
    assert (training.epochs, training.batch_size, training.accumulation) == (3, 6, 4)
    assert (training.learning_rate, training.warmup, paper.generations) == (5e-5, 0.0, 3)
    assert {name: method.ntl for name, method in paper.methods.items()} == {"ce": 3, "skd": 5, "skd-map": 5}
    assert {method.temperature for method in paper.methods.values()} == {2.0}
    ranked = paper.methods["skd-map"]
    found = ranked.coefficient, ranked.k, ranked.window, ranked.weighting
    assert found == ("windowed_reciprocal_rank", 10, 5, "batch")


def test_the_default_study_is_float32_everywhere_so_that_machines_can_be_compared():
    assert load_params("embedded").precision == "float32"
    assert load_params("paper").precision == load_params("xquad").precision == "auto"
    # and at the size of tests, too
    assert {load_params(f"{profile}/smoke").precision for profile in PROFILES} == {"float32"}


def test_folders_are_those_of_the_repository_wherever_one_stands(tmp_path, monkeypatch):
    loaded = load_params("embedded/smoke")
    monkeypatch.chdir(tmp_path)
    assert loaded.data_folder == ROOT / "runs/smoke/embedded/data"
    assert loaded.runs_folder == ROOT / "runs/smoke/embedded"
    assert loaded.reports_folder == ROOT / "runs/smoke/embedded/reports"
    assert load_params("params.yaml") == load_params(ROOT / "params.yaml")
    elsewhere = dataclasses.replace(loaded, paths=dataclasses.replace(loaded.paths, data=str(tmp_path / "data")))
    assert elsewhere.data_folder == tmp_path / "data"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (load_params, ["embeded"], "embeded: no such parameter file, nor one of the profiles embedded, xquad"),
        (load_params, ["embeded/smoke"], "embeded/smoke: no such parameter file, nor one of the profiles embedded, "),
        (load_params, ["embedded/tiny"], "unknown size 'tiny': expected one of full, smoke"),
        (compose, ["hugs"], "unknown profile 'hugs': expected one of embedded, xquad, xquad-two-cores, own, paper"),
    ],
)
def test_unknown_profile_and_size(function, arguments, message):
    with pytest.raises(DataError, match=f"^{message}"):
        function(*arguments)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "top level: expected the keys profile, size, "),
        (b"- 1\n", "expected a mapping, found [1]"),
        (b"1\n", "not valid YAML: "),
        (b"seeds: &a [1]\nb: *a\n", "not valid YAML: expected no aliases (*name)"),
        (b"a: [1\n", "not valid YAML: "),
        (b"\xff\xfe", "not UTF-8 text (invalid start byte at byte 0)"),
    ],
)
def test_files_that_hold_no_parameters(content, message, tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(DataError) as error:
        load_params(file)
    assert str(error.value).startswith(f"{file}: {message}")


FACTS = [
    # unknown, missing
    ("methods.skd.temprature", 2.0, "methods.skd: expected only the keys label, ntl, alpha_ce, "),
    ("seeds", ..., "top level: expected the keys profile, size, study, "),
    ("evaluation.n_best", ..., "evaluation: expected the keys batch_size, n_best, max_answer_tokens, found no n_best"),
    ("evaluation.nbest", 3, "evaluation: expected only the keys batch_size, n_best, max_answer_tokens, found also"),
    # of another type
    ("reader.learning_rate", True, "reader.learning_rate: expected a valid number, found True"),
    ("reader.epochs", 1.0, "reader.epochs: expected a valid integer, found 1.0"),
    ("encoder.frozen", 0, "encoder.frozen: expected a valid boolean, found 0"),
    ("reader", None, "reader: expected a mapping, found None"),
    ("seeds", [1, "2"], "seeds[1]: expected a valid integer, found '2'"),
    ("methods.ce", "CE", "methods.ce: expected a mapping, found 'CE'"),
    ("encoder.pretrained", "", "encoder.pretrained: expected at least 1 character, found ''"),
    # names that are not known
    (
        "profile",
        "enbedded",
        "profile: expected 'embedded', 'xquad', 'xquad-two-cores', 'own' or 'paper', found 'enbedded'",
    ),
    ("trained", ["ce", "kd"], "unknown method 'kd': expected one of ce, skd, skd-map"),
    ("sampling.languages", ["en", "xx"], "sampling.languages: the generated corpus has no xx, expected some of en, es"),
    ("sampling.languages", ["en", "EN"], "sampling.languages[1]: unknown language 'EN': expected a code such as "),
    ("sampling.pivot", "ru", "sampling: pivot must be one of languages (en, es, de, ar, hi, vi, zh) or null, found"),
    ("methods.skd.direction", "backward", "methods.skd.direction: expected 'forward', 'reverse' or 'symmetric', found"),
    ("methods.a b", {}, "methods.a b: expected letters, for it names a folder, found 'a b' (and 1 more)"),
    # values out of their range
    ("threads", -1, "threads: expected >= 0, found -1"),
    ("seeds", [-1], "seeds[0]: expected >= 0, found -1"),
    ("data.seed", 2**32, "data.seed: expected < 4294967296, found 4294967296"),
    ("precision", "bf16", "precision: expected 'float32', 'bfloat16' or 'auto', found 'bf16'"),
    ("gate.english", 101.0, "gate.english: expected <= 100, found 101.0"),
    ("data.questions_of_set", {"factbook-dev": -1}, "data.questions_of_set.factbook-dev: expected >= 0, found -1"),
    ("data.evaluation_sets", [], "data.evaluation_sets: expected at least 1, found 0 entries"),
    ("seeds", [1, 2, 1], "seeds: expected distinct entries, found [1, 2, 1]"),
    ("reader.learning_rate", float("nan"), "reader.learning_rate: expected a finite number, found nan"),
    ("reader.learning_rate", 0.0, "reader.learning_rate: expected > 0, found 0.0"),
    ("reader.dropout", 1.0, "reader.dropout: expected < 1, found 1.0"),
    ("encoder.layers", 0, "encoder.layers: expected >= 1, found 0"),
    # values that do not go together
    ("features.stride", 256, "features: stride 256 and max_question_length 48 must be less than max_length 256"),
    ("encoder.pretrained", "some/model", "encoder: pretrained some/model is taken as it is: set encoder.layers to"),
    ("data.questions_of_set", {"factbok-dev": 1}, "data: questions_of_set names factbok-dev, but the sets are"),
    ("data.zero_shot_sets", ["factbook-dev-en", "factbook-test"], "data: zero_shot_sets names factbook-test, which"),
    ("gate.set", "mlqa-dev", "gate.set mlqa-dev is not among the sets of the study (factbook-dev, factbook-test"),
    ("learning_rates", {"ce": 0.0}, "learning_rates.ce: expected > 0, found 0.0"),
    ("sweeps.choice_seeds", [4, 2], "sweeps.choice_seeds [2] are among seeds: what chooses must not report; take"),
    ("methods.ce.view", "parallel", "methods.ce: view parallel needs a teacher, but there is no coefficient: set one"),
    ("methods.skd.generations", 2, "distillation.epochs 3 must be a multiple of methods.skd.generations 2"),
    ("tests", {"set": "factbook-test", "against": {"ce": ["kd"]}, "margin": 1.0}, "unknown method 'kd': expected one"),
    ("tests", {"set": "mlqa-dev", "against": {"zero-shot": ["ce"]}, "margin": 1.0}, "tests.set mlqa-dev is not among"),
    ("generations", 2, "distillation.epochs 3 must be a multiple of generations 2"),
    ("methods.skd-map.k", 257, "methods.skd-map.k 257 exceeds features.max_length 256: no window has so many"),
    ("methods.ce.alpha_ce", 0.0, "methods.ce: alpha_ce is 0 and there is no coefficient: nothing to learn from; set"),
    ("methods.skd.label", "CE", "the labels of the trained methods must be distinct, found ['CE', 'CE', 'SKD"),
]


@pytest.mark.parametrize(("place", "value", "message"), FACTS, ids=lambda fact: str(fact)[:40])
def test_one_wrong_parameter(place, value, message, refusal):
    assert refusal(place, value).startswith(message)


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("sampling.pivot=null", lambda p: p.sampling.pivot is None),
        ("reader.dropout=null", lambda p: p.reader.dropout is None),
        ("encoder.layers=6", lambda p: p.encoder.layers == 6),
        ("methods.skd.alpha_ce=0.0", lambda p: p.methods["skd"].alpha_ce == 0),  # "no CE"
        ("reader.learning_rate=1", lambda p: p.reader.learning_rate == 1.0),  # a whole number is a float, too
        ("reader.learning_rate='3e-5'", lambda p: p.reader.learning_rate == 3e-5),  # YAML writes this text as a number
        ("methods.ce.coefficient=constant", lambda p: p.methods["ce"].coefficient == "constant"),
    ],
)
def test_values_that_are_good(override, found, tmp_path):
    file = tmp_path / "params.yaml"
    tree = copy.deepcopy(EMBEDDED)
    place, _, value = override.partition("=")
    *parents, key = place.split(".")
    branch = tree
    for name in parents:
        branch = branch[name]
    branch[key] = yaml.safe_load(value)
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    assert found(load_params(file))


def test_a_method_by_its_name():
    loaded = load_params("embedded")
    assert loaded.method("skd-map").coefficient == "windowed_reciprocal_rank"
    with pytest.raises(DataError, match=r"^unknown method 'skd-mpa': expected one of ce, skd, skd-map$"):
        loaded.method("skd-mpa")
