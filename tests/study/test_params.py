"""Parameters: the committed composition, every profile and size, and what each wrong value is answered with."""

import copy
import dataclasses
from pathlib import Path

import pytest
import yaml

from xqa_lib.errors import DataError
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


# -------------------------------------------------------------------------------------------- profiles and sizes


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


def test_a_profile_alone_is_its_full_size():
    assert load_params("xquad") == load_params("xquad/full")


@pytest.mark.parametrize(("profile", "size"), COMPOSED)
def test_dvc_composes_the_same(profile, size, tmp_path):
    from dvc.utils.hydra import compose_and_dump

    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "[hydra]\n    enabled = true" in config.replace("\t", "    ")
    assert "config_name" not in config  # DVC's defaults: folder conf, name config
    file = tmp_path / "params.yaml"
    compose_and_dump(file, str(ROOT / "conf"), None, "config", str(ROOT), [f"profile={profile}", f"size={size}"])
    assert file.read_text(encoding="utf-8") == COMPOSED[profile, size]


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
    assert (paper.encoder.pretrained, paper.data.reader_train) == (
        "google-bert/bert-base-multilingual-cased",
        ["squad-train"],
    )
    assert (paper.reader.epochs, paper.reader.batch_size, paper.reader.learning_rate) == (2, 6, 3e-5)
    training = paper.distillation
    assert (training.epochs, training.batch_size, training.accumulation, training.learning_rate, training.warmup) == (
        *(3, 6, 4, 5e-5),
        0.0,
    )
    assert paper.generations == 3
    assert {name: method.ntl for name, method in paper.methods.items()} == {"ce": 3, "skd": 5, "skd-map": 5}
    assert {method.temperature for method in paper.methods.values()} == {2.0}
    ranked = paper.methods["skd-map"]
    assert (ranked.coefficient, ranked.k, ranked.window, ranked.weighting) == (
        *("windowed_reciprocal_rank", 10, 5),
        "batch",
    )


def test_parameters_cannot_be_changed_in_place():
    loaded = load_params("embedded")
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.size = "smoke"
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.reader.epochs = 2


def test_folders_are_those_of_the_repository_wherever_one_stands(tmp_path, monkeypatch):
    loaded = load_params("embedded/smoke")
    monkeypatch.chdir(tmp_path)
    assert loaded.data_folder == ROOT / "runs/smoke/embedded/data"
    assert loaded.runs_folder == ROOT / "runs/smoke/embedded"
    assert loaded.reports_folder == ROOT / "runs/smoke/embedded/reports"
    assert load_params("params.yaml") == load_params(ROOT / "params.yaml")
    elsewhere = dataclasses.replace(loaded, paths=dataclasses.replace(loaded.paths, data=str(tmp_path / "data")))
    assert elsewhere.data_folder == tmp_path / "data"


def test_a_file_here_goes_before_the_repository_s(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(COMPOSED["xquad", "smoke"], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_params("params.yaml").profile == "xquad"


# ------------------------------------------------------------------------------------- what is refused, and how


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("embeded", "embeded: no such parameter file, nor one of the profiles embedded, xquad, paper (as in"),
        ("embeded/smoke", "embeded/smoke: no such parameter file, nor one of the profiles embedded, xquad, paper"),
        ("embedded/tiny", "unknown size 'tiny': expected one of full, smoke"),
    ],
)
def test_unknown_profile_and_size(source, message):
    with pytest.raises(DataError) as error:
        load_params(source)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hugs",), "unknown profile 'hugs': expected one of embedded, xquad, paper"),
        (("paper", "big"), "unknown size 'big': expected one of full, smoke"),
    ],
)
def test_compose_refuses_what_it_does_not_know(arguments, message):
    with pytest.raises(DataError) as error:
        compose(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "parameters: expected a mapping, got None"),
        (b"- 1\n", "parameters: expected a mapping, got [1]"),
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
    ("temperature", 2.0, "unknown parameter temperature: expected {profile, size, study, paths, "),
    ("data.sorce", "real", "unknown parameter data.sorce: expected data.{source, seed, text_paragraphs, "),
    ("methods.skd.temprature", 2.0, "unknown parameter methods.skd.temprature: expected methods.skd.{label, ntl, "),
    ("seeds", ..., "missing parameter seeds; compose the file anew, see conf/"),
    ("reader.epochs", ..., "missing parameter reader.epochs; compose the file anew, see conf/"),
    ("methods.ce.label", ..., "missing parameter methods.ce.label; compose the file anew, see conf/"),
    # of another type
    ("reader.learning_rate", "3e-5", "reader.learning_rate: expected float, got '3e-5' (write 3.0e-5, not 3e-5)"),
    ("reader.learning_rate", True, "reader.learning_rate: expected float, got True"),
    ("reader.epochs", 1.0, "reader.epochs: expected int, got 1.0"),
    ("reader.epochs", "1", "reader.epochs: expected int, got '1'"),
    ("reader.epochs", True, "reader.epochs: expected int, got True"),
    ("reader.bf16", 0, "reader.bf16: expected bool, got 0"),
    ("reader", None, "reader: expected a mapping, got None"),
    ("seeds", 1, "seeds: expected a list, got 1"),
    ("seeds", [1, "2"], "seeds[1]: expected int, got '2'"),
    ("trained", "ce", "trained: expected a list, got 'ce'"),
    ("methods", ["ce"], "methods: expected a mapping, got ['ce']"),
    ("methods.ce", "CE", "methods.ce: expected a mapping, got 'CE'"),
    ("encoder.pretrained", None, "encoder.pretrained: expected str, got None"),
    ("study", 3, "study: expected str, got 3"),
    # names that are not known
    ("profile", "enbedded", "unknown profile 'enbedded': expected one of embedded, xquad, paper"),
    ("size", "tiny", "unknown size 'tiny': expected one of full, smoke"),
    ("trained", ["ce", "kd"], "unknown method 'kd': expected one of ce, skd, skd-map"),
    ("sampling.languages", ["en", "EN"], "sampling: unknown language 'EN': expected a code such as sw, pt-BR or "),
    (
        "sampling.languages",
        ["en", "xx"],
        "sampling.languages: the generated corpus has no xx, expected some of en, es, de, ar, hi, vi, zh, ",
    ),
    ("sampling.pivot", "ru", "sampling.pivot 'ru' is not one of ['en', 'es', 'de', 'ar', 'hi', 'vi', 'zh']"),
    (
        "methods.skd.coefficient",
        "map",
        "methods.skd: coefficient must be one of constant, windowed_reciprocal_rank, average_precision_at_k, "
        "reciprocal_rank_at_k or null, got 'map'",
    ),
    (
        "methods.skd.direction",
        "backward",
        "methods.skd: direction must be one of forward, reverse, symmetric, got 'backward'",
    ),
    ("methods.skd.weighting", "token", "methods.skd: weighting must be batch or example, got 'token'"),
    ("data.source", "hub", "data.source must be factbook or real, got 'hub'"),
    # values out of their range
    ("data.text_paragraphs", -1, "data.text_paragraphs must be >= 0, got -1"),
    ("data.curriculum_paragraphs", -1, "data.curriculum_paragraphs must be >= 0, got -1"),
    ("data.questions_per_paragraph", -2, "data.questions_per_paragraph must be >= 0, got -2"),
    ("data.evaluation_questions", -1, "data.evaluation_questions must be >= 0, got -1"),
    ("data.evaluation_sets", [], "data.evaluation_sets must be distinct and at least one, got []"),
    (
        "data.evaluation_sets",
        ["factbook-dev", "factbook-dev"],
        "data.evaluation_sets must be distinct and at least one, got ['factbook-dev', 'factbook-dev']",
    ),
    (
        "features.stride",
        256,
        "features: stride 256 and max_question_length 48 must lie between 0 and max_length 256",
    ),
    (
        "features.max_question_length",
        0,
        "features: stride 128 and max_question_length 0 must lie between 0 and max_length 256",
    ),
    (
        "features.max_length",
        385,
        "features.max_length 385 and encoder.sequence_length 48 must not exceed encoder.max_positions 384",
    ),
    (
        "encoder.sequence_length",
        400,
        "features.max_length 256 and encoder.sequence_length 400 must not exceed encoder.max_positions 384",
    ),
    ("encoder.hidden_size", 130, "encoder.hidden_size 130 must be a multiple of encoder.heads 4"),
    ("encoder.heads", 0, "encoder.heads must be >= 1, got 0"),
    ("encoder.steps", 0, "encoder.steps must be >= 1, got 0"),
    ("encoder.mask_probability", 1.0, "encoder.mask_probability must be in (0, 1), got 1.0"),
    ("encoder.dropout", 1.0, "encoder.dropout must be in [0, 1), got 1.0"),
    ("encoder.learning_rate", 0.0, "encoder.learning_rate must be > 0, got 0.0"),
    ("reader.learning_rate", float("nan"), "reader: learning_rate must be > 0, got nan"),
    ("reader.epochs", 0, "reader: epochs, batch_size and accumulation must be >= 1, got 0, 32 and 1"),
    ("reader.warmup", 1.0, "reader: warmup must be in [0, 1), got 1.0"),
    ("reader.dropout", 1.0, "reader: dropout must be in [0, 1) or null, got 1.0"),
    (
        "methods.skd-map.k",
        257,
        "methods.skd-map.k 257 exceeds features.max_length 256: no window has so many positions to rank; lower k",
    ),
    ("reader.token_masking", 1.0, "reader: token_masking must be in [0, 1), got 1.0"),
    ("reader.beta2", 1.0, "reader: beta2 must be in [0, 1), got 1.0"),
    ("sampling.languages", ["en", "es", "es"], "sampling.languages must be distinct and at least one, got ["),
    ("sampling.languages", [], "sampling.languages must be distinct and at least one, got []"),
    ("methods.skd.temperature", 0.0, "methods.skd: temperature must be > 0, got 0.0"),
    ("methods.skd.temperature", float("inf"), "methods.skd: temperature must be > 0, got inf"),
    ("methods.skd.ntl", -1, "methods.skd: ntl must be >= 0, got -1"),
    ("methods.skd.k", 0, "methods.skd: k and window must be >= 1, got 0 and 5"),
    ("methods.skd.window", 0, "methods.skd: k and window must be >= 1, got 10 and 0"),
    ("methods.skd.alpha_ce", -0.5, "methods.skd: alpha_ce must be >= 0, got -0.5"),
    ("methods.skd.label", "CE", "the labels of the trained methods must be distinct and at least one, got ['CE', 'CE'"),
    (
        "methods.ce.alpha_ce",
        0.0,
        "methods.ce: alpha_ce is 0 and there is no coefficient: nothing to learn from; set one of them",
    ),
    ("evaluation.batch_size", 0, "evaluation.batch_size must be >= 1, got 0"),
    ("evaluation.n_best", 0, "evaluation.n_best must be >= 1, got 0"),
    ("seeds", [], "seeds must be distinct and at least one, got []"),
    ("seeds", [1, 2, 1], "seeds must be distinct and at least one, got [1, 2, 1]"),
    ("threads", -1, "threads must be >= 0, got -1"),
    ("seeds", [-1], "seeds must be >= 0, got [-1]"),
    ("trained", [], "trained must be distinct and at least one, got []"),
    ("trained", ["ce", "ce"], "trained must be distinct and at least one, got ['ce', 'ce']"),
    ("generations", 0, "distillation.epochs 3 must be a multiple of generations 0"),
    ("generations", 2, "distillation.epochs 3 must be a multiple of generations 2"),
    ("sweeps.groups", [], "sweeps.groups must be distinct and at least one, got []"),
    ("sweeps.temprature", [2], "unknown parameter sweeps.temprature: expected sweeps.{groups, methods, "),
    ("sweeps.methods", ["kd"], "unknown method 'kd': expected one of ce, skd, skd-map"),
    ("sweeps.reference_ntl", -1, "sweeps.reference_ntl must be >= 0 or null, got -1"),
    ("sweeps.parallel_ids", -1, "sweeps.parallel_ids must be >= 0, got -1"),
    ("sweeps.ntl", [-1], "sweeps.ntl must be >= 0, got [-1]"),
    ("sweeps.ntl", [2, 2], "sweeps.ntl must be distinct and at least one, got [2, 2]"),
    ("sweeps.k", [0], "sweeps.k must be >= 1, got [0]"),
    ("sweeps.generations", [0], "sweeps.generations must be >= 1, got [0]"),
    ("sweeps.temperatures", [0.0], "sweeps.temperatures must be > 0, got [0.0]"),
    ("sweeps.label_noise", [1.0], "sweeps.label_noise must be in [0, 1), got [1.0]"),
    ("sweeps.directions", ["up"], "sweeps.directions: unknown ['up'], expected some of forward, reverse, symmetric"),
    ("sweeps.left_out", ["EN"], "sweeps: unknown language 'EN': expected a code such as "),
]


@pytest.mark.parametrize(("place", "value", "message"), FACTS, ids=lambda fact: str(fact)[:40])
def test_one_wrong_parameter(place, value, message, refusal):
    refused = refusal(place, value)
    assert refused == message if not message.endswith((" ", "[", "'")) else refused.startswith(message)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("sampling.pivot", None),
        ("reader.dropout", None),
        ("methods.skd.alpha_ce", 0.0),  # "no CE"
        ("reader.learning_rate", 1),  # a whole number is a float, too
        ("methods.ce.coefficient", "average_precision_at_k"),
    ],
)
def test_values_that_are_good(place, value):
    tree = copy.deepcopy(EMBEDDED)
    section, *path = place.split(".")
    branch = tree[section]
    for name in path[:-1]:
        branch = branch[name]
    branch[path[-1]] = value
    built = params._build(params.Params, tree, "").as_dict()[section]
    for name in path:
        built = built[name]
    assert built == value


def test_a_method_by_its_name():
    loaded = load_params("embedded")
    assert loaded.method("skd-map").coefficient == "windowed_reciprocal_rank"
    with pytest.raises(DataError) as error:
        loaded.method("skd-mpa")
    assert str(error.value) == "unknown method 'skd-mpa': expected one of ce, skd, skd-map"
