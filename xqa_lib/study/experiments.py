"""The experiments of the ablation study as data: which runs answer which question, read off the parameters.

A *setting* says how one student is trained: the method, and all that the study's main runs leave at one value. An
*experiment* is a question with its settings, each at a point of an axis. Experiments share settings: one that is
trained for several of them is trained once per seed, in the first group that names it. Nothing here trains or reads
files: `sweeps` runs the settings, `experiments_section` draws what came out.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

import pandas as pd

from ..errors import DataError
from .layout import ZERO_SHOT
from .params import Method

VIEWS = ("same", "parallel")
SOURCES = ("parallel", "mlqa-translate-train")
GROUPS = ("objective", "teacher", "data", "translation")
CHOICE = "choice"  # the group that is trained before the study, see `study_of`


def _check(condition, message):
    if not condition:
        raise DataError(f"setting: {message}")


@dataclass(frozen=True)
class Setting:
    """How one student is trained. Options that contradict each other are refused, so that none is ignored in silence.

    Attributes:
        method: `params.Method`; its label is for reading only.
        epochs, generations: teachers are renewed after epochs / generations epochs. One generation is a fixed teacher.
        parallel_ids: ids trained on, drawn by the seed; 0 = all.
        born_again: every generation starts from the English reader again, with a learning-rate schedule of its own,
            and learns from the student before (Furlanello et al. 2018); otherwise the student is trained on.
        dropout: False switches off what makes the student differ from a teacher with its weights: all dropout, and the
            masking of tokens. Teachers never have any.
        view: "parallel": the teacher reads the same passage with the question in the passage's language, and teaches
            the positions of the passage and [CLS] alone; "same": it reads what the student reads.
        label_noise: share of the answers, drawn per id and passage language, that are replaced by a wrong span.
        pivot: False draws ntl + 1 languages freely in place of ntl beside the pivot: as many pairs.
        left_out: a language that takes no part in the training.
        steps_of_ntl: train for as many optimiser steps as this ntl has in `epochs` epochs; None: for `epochs` epochs.
        learning_rate: its highest; None: that of the study, `distillation` (or `reader`, for another source).
        source: "parallel" data, or "mlqa-translate-train", SQuAD by machine translation, one language a pair.

    Raises:
        DataError: options that contradict each other, naming both.
    """

    method: Method
    epochs: int
    generations: int
    parallel_ids: int = 0
    born_again: bool = False
    dropout: bool = True
    view: str = "same"
    label_noise: float = 0.0
    pivot: bool = True
    left_out: str | None = None
    steps_of_ntl: int | None = None
    learning_rate: float | None = None
    source: str = "parallel"

    def __post_init__(self):
        distils = self.method.coefficient is not None
        _check(
            self.generations >= 1 and self.epochs >= 1 and self.epochs % self.generations == 0,
            f"epochs {self.epochs} must be a multiple of generations {self.generations}, both at least 1",
        )
        _check(self.parallel_ids >= 0, f"parallel_ids must be >= 0, got {self.parallel_ids}")
        _check(self.view in VIEWS, f"view must be one of {', '.join(VIEWS)}, got {self.view!r}")
        _check(self.source in SOURCES, f"source must be one of {', '.join(SOURCES)}, got {self.source!r}")
        _check(0 <= self.label_noise < 1, f"label_noise must be in [0, 1), got {self.label_noise}")
        _check(
            self.steps_of_ntl is None or self.steps_of_ntl >= 0, f"steps_of_ntl must be >= 0, got {self.steps_of_ntl}"
        )
        _check(distils or not self.born_again, "born_again needs a teacher, but the method has no coefficient")
        _check(distils or self.view == "same", "view parallel needs a teacher, but the method has no coefficient")
        _check(
            self.generations > 1 or not self.born_again,
            "born_again with one generation is a fixed teacher; give it several generations, or none of it",
        )
        _check(
            self.steps_of_ntl is None or not self.born_again,
            "born_again trains whole epochs, so that steps_of_ntl cannot set its length; drop one of them",
        )
        reads_labels = self.method.alpha_ce > 0 or self.method.coefficient not in (None, "constant")
        _check(
            reads_labels or not self.label_noise,
            "label_noise changes nothing where the loss reads no label (alpha_ce 0, coefficient constant)",
        )
        if self.source != "parallel":
            _check(
                not (distils or self.parallel_ids or self.left_out or self.label_noise or self.steps_of_ntl is not None)
                and self.pivot,
                f"{self.source} is trained with cross-entropy on all its examples: it takes no teacher, parallel_ids, "
                "left_out, label_noise, pivot or steps_of_ntl",
            )

    @property
    def key(self):
        """12 hexadecimal digits that name the setting in results: equal for settings that train the same student."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def as_dict(self):
        """All options as plain values; null where the method does not look at an option."""
        plain = asdict(self)
        method = plain["method"]
        for name in ("label", "view", "generations"):  # a setting has its own of the last two
            del method[name]
        unread = []
        if method["coefficient"] is None:
            unread = ["temperature", "direction", "k", "window", "weighting"]
            plain["generations"] = None
        elif method["coefficient"] == "constant":
            unread = ["k", "window", "weighting"]
        elif method["coefficient"] == "reciprocal_rank_at_k":
            unread = ["window"]
        if self.source != "parallel":
            unread += ["ntl"]
        return plain | {"method": {name: None if name in unread else value for name, value in method.items()}}


@dataclass(frozen=True)
class Point:
    """One setting at its place in an experiment: a line (`series`) of the figure and a value of its axis."""

    series: str
    value: object  # a number or a name
    setting: Setting


@dataclass(frozen=True)
class Experiment:
    """One question and the settings that answer it.

    Attributes:
        name: of its figure and table.
        group: one of `GROUPS`; the groups are trained in stages of their own.
        question: what it asks, a sentence.
        axis: what the points' values are.
        points: the settings at their places.
        against: what a point is tested against: the "first" point of all, the first of its own "series", the first
            series at the same "value", or the "zero-shot" reader.
    """

    name: str
    group: str
    question: str
    axis: str
    points: tuple
    against: str = "first"

    def baseline(self, point):
        """(key, name) of what a point is tested against; None if it is a baseline itself."""
        if self.against == ZERO_SHOT:
            return ZERO_SHOT, ZERO_SHOT
        if self.against == "first":
            found = self.points[0]
        elif self.against == "series":
            found = next(other for other in self.points if other.series == point.series)
        else:
            found = next(other for other in self.points if other.value == point.value)
        return None if found.setting.key == point.setting.key else (found.setting.key, f"{found.series}: {found.value}")


def all_experiments(params):
    """The experiments of a study, in the order of the report, as name -> `Experiment`; only those of its groups.

    Raises:
        DataError: a group or an experiment that does not exist, an experiment of another group, a method that the study
            lacks.
    """
    sweeps, choice = params.sweeps, params.sweeps.groups == [CHOICE]
    unknown = [group for group in sweeps.groups if group not in GROUPS and not choice]
    if unknown:
        raise DataError(f"sweeps.groups: unknown {unknown}, expected some of {', '.join(GROUPS)}")
    unknown = [name for name in sweeps.experiments if name not in _MAKERS]
    if unknown:
        raise DataError(f"sweeps.experiments: unknown {unknown}, expected some of {', '.join(_MAKERS)}")
    chosen = sweeps.experiments or list(_MAKERS)
    made = {name: make(params) for name, make in _MAKERS.items() if name in chosen}
    if choice:  # of whatever group they are
        made = {name: replace(experiment, group=CHOICE) for name, experiment in made.items()}
    left = [name for name in sweeps.experiments if made[name].group not in sweeps.groups]
    if left:
        raise DataError(
            f"sweeps.experiments names {left[0]}, whose group {made[left[0]].group} is not among sweeps.groups "
            f"({', '.join(sweeps.groups)}); add the group, or take the experiment out"
        )
    return {name: e for name, e in made.items() if e.group in sweeps.groups and len(e.points) > 1}


def study_of(params, group):
    """The study that a group of experiments belongs to: `params`, or for the group `CHOICE` a study of its own.

    Settings are chosen before the study's students are trained: with `sweeps.choice_seeds`, by the experiments named in
    `sweeps.choice_experiments`, and by the development set alone.
    """
    if group != CHOICE:
        return params
    development, *others = params.data.evaluation_sets
    data = replace(params.data, evaluation_sets=[development], zero_shot_sets=[*others, *params.data.zero_shot_sets])
    sweeps = params.sweeps
    seeds, chosen = sweeps.choice_seeds, sweeps.choice_experiments
    sweeps = replace(sweeps, groups=[CHOICE], experiments=chosen, choice_seeds=[])
    # without the rates that were chosen by an earlier look, so that writing them down makes no new study
    return replace(params, seeds=seeds, data=data, learning_rates={}, sweeps=sweeps)


def assigned(params, group):
    """The settings that a group trains: key -> `Setting`, without those that an earlier group trains.

    Raises:
        DataError: not a group of this study.
    """
    if group not in params.sweeps.groups:
        raise DataError(f"unknown group {group!r}: the study has {', '.join(params.sweeps.groups)}")
    found = {}
    for name in params.sweeps.groups:
        new = {}
        for experiment in all_experiments(params).values():
            if experiment.group == name:
                new |= {point.setting.key: point.setting for point in experiment.points}
        new = {key: setting for key, setting in new.items() if key not in found}
        if name == group:
            return new
        found |= new
    raise AssertionError


def students_of_the_study(params):
    """key -> method of the settings that the study's own students have: these are read, not trained again."""
    if params.sweeps.groups == [CHOICE]:
        return {}  # its seeds have none
    found = {}
    for method in params.trained:
        own_ids = params.sampling.parallel_ids
        setting = replace(reference(params, method), method=params.method(method), parallel_ids=own_ids)
        found[setting.key] = method
    return found


def selectable(params):
    """What may be chosen on the development set: method -> {key: `Setting`}, each method's reference first.

    These are the settings of the experiments that differ from a method's reference in options of its loss or in ntl,
    trained on the same ids for the same epochs: how many and which teachers, noise and wrong answers are no choices.
    A method keeps its kind of coefficient: none, constant, or one that looks at the teacher's ranking.
    """
    found = {}
    points = [point for experiment in all_experiments(params).values() for point in experiment.points]
    for name in params.methods:
        base = reference(params, name)
        same_kind = [p.setting for p in points if _kind(p.setting.method) == _kind(base.method)]
        new = {s.key: s for s in [base, *same_kind] if replace(base, method=s.method).key == s.key}
        # a study without the group of a method's experiments has no results of it
        found[name] = {key: setting for key, setting in new.items() if any(p.setting.key == key for p in points)}
    return {name: settings for name, settings in found.items() if settings}


def _kind(method):
    return method.coefficient if method.coefficient in (None, "constant") else "adaptive"


def pairs_per_id(setting, sampling):
    """How many language pairs are drawn for each id under `params.Sampling`."""
    count = len(sampling.languages) - (setting.left_out is not None)
    ntl = setting.method.ntl
    # a free draw in place of the pivot is of as many languages; a study without a pivot draws ntl
    drawn = ntl + (sampling.pivot is not None or not setting.pivot)
    return count if ntl == 0 else min(drawn, count) ** 2


def plan(params):
    """What the sweeps will train: DataFrame experiment, group, settings, new (not in an experiment before), examples.

    `examples` are those of one seed, passes over the data counted, of the new settings; runs on all parallel ids are
    not counted: the number of all ids is not in the parameters.
    """
    rows, seen = [], set(students_of_the_study(params))
    for experiment in all_experiments(params).values():
        new = {p.setting.key: p.setting for p in experiment.points if p.setting.key not in seen}
        seen |= set(new)
        examples = 0
        for setting in new.values():
            as_long = setting if setting.steps_of_ntl is None else with_method(setting, ntl=setting.steps_of_ntl)
            examples += setting.parallel_ids * pairs_per_id(as_long, params.sampling) * setting.epochs
        rows.append((experiment.name, experiment.group, len(experiment.points), len(new), examples))
    return pd.DataFrame(rows, columns=["experiment", "group", "settings", "new", "examples"])


# ------------------------------------------------------------------------------------------------ the experiments


def reference(params, method="skd-map"):
    """The setting that the experiments vary: a method of the study with the study's own recipe, at the sweeps' size."""
    settings, ntl = params.method(method), params.sweeps.reference_ntl
    return Setting(
        method=settings if ntl is None else replace(settings, ntl=ntl),
        epochs=params.distillation.epochs,
        generations=settings.generations or params.generations,
        view=settings.view,
        learning_rate=params.learning_rates.get(method),
        parallel_ids=params.sweeps.parallel_ids or params.sampling.parallel_ids,
    )


def with_method(setting, **method):
    """The setting with fields of its method replaced."""
    return replace(setting, method=replace(setting.method, **method))


def _label(params, method):
    return params.method(method).label


def _taught(params):
    """The methods of the curves that have a teacher."""
    return [name for name in params.sweeps.methods if params.method(name).coefficient is not None]


def _own_first(values, own):
    """The values in their order, the method's own one among them and first: it is the baseline."""
    return [own, *[value for value in values if value != own]]


def _methods(params):
    points = tuple(Point(_label(params, m), "as in the study", reference(params, m)) for m in params.trained)
    return Experiment("methods", "objective", "Does self-distillation help, and does its coefficient?", "", points)


def _learning_rate(params):
    points = [
        Point(_label(params, method), rate, replace(reference(params, method), learning_rate=rate))
        for method in params.sweeps.methods
        for rate in params.sweeps.learning_rates
    ]
    return Experiment(
        "learning-rate", "objective", "Which learning rate for which method?", "learning rate", tuple(points), "series"
    )


def _temperature(params):
    base = reference(params)
    ntls = _own_first(params.sweeps.temperature_ntl, base.method.ntl)
    points = [
        Point(f"ntl {ntl}", temperature, with_method(base, ntl=ntl, temperature=temperature))
        for ntl in ntls
        for temperature in _own_first(params.sweeps.temperatures, base.method.temperature)
    ]
    return Experiment(
        "temperature", "objective", "Which temperature, for how many target languages?", "temperature T", tuple(points)
    )


def _no_ce(params):
    points = []
    for method in _taught(params):
        base = reference(params, method)
        points.append(Point(_label(params, method), "CE + KL", base))
        points.append(Point(_label(params, method), "KL alone", with_method(base, alpha_ce=0.0)))
    return Experiment(
        "no-ce", "objective", "What does distillation do without cross-entropy?", "loss", tuple(points), "series"
    )


def _direction(params):
    base = reference(params, "skd")
    points = [
        Point(_label(params, "skd"), direction, with_method(base, direction=direction))
        for direction in _own_first(params.sweeps.directions, base.method.direction)
    ]
    return Experiment("direction", "objective", "Which direction of the KL divergence?", "direction", tuple(points))


COEFFICIENT_NAMES = {
    "constant": "constant",
    "windowed_reciprocal_rank": "windowed 1/rank",
    "average_precision_at_k": "AP@k",
    "reciprocal_rank_at_k": "1/rank, exact",
}


def _coefficient(params):
    base = reference(params)
    points = []
    names = _own_first(params.sweeps.coefficients, base.method.coefficient)
    unused = [name for name in params.sweeps.weighted_otherwise if name not in names or name == "constant"]
    if unused:
        raise DataError(
            f"sweeps.weighted_otherwise: {unused} must be among sweeps.coefficients, and not constant, which is the "
            "same for a batch and for each of its examples"
        )
    for name in names:
        both = name in params.sweeps.weighted_otherwise
        for weighting in _own_first(["batch", "example"] if both else [], base.method.weighting):
            setting = with_method(base, coefficient=name, weighting=weighting)
            points.append(Point(f"per {weighting}", COEFFICIENT_NAMES[name], setting))
    return Experiment(
        "coefficient", "objective", "Which score of the teacher weighs the KL?", "coefficient", tuple(points)
    )


def _k(params):
    base = reference(params)
    points = [
        Point(_label(params, "skd-map"), k, with_method(base, k=k)) for k in _own_first(params.sweeps.k, base.method.k)
    ]
    question = "How many of the teacher's best positions does the coefficient look at?"
    return Experiment("k", "objective", question, "k", tuple(points))


def _window(params):
    base = reference(params)
    points = [
        Point(_label(params, "skd-map"), window, with_method(base, window=window))
        for window in _own_first(params.sweeps.windows, base.method.window)
    ]
    question = "How far from the truth does a position count as right?"
    return Experiment("window", "objective", question, "window Δ (tokens)", tuple(points))


def _generations(params):
    base = reference(params)
    each = base.epochs // base.generations
    points = []
    for count in _own_first(params.sweeps.generations, base.generations):
        renewed = replace(base, epochs=count * each, generations=count)
        points.append(Point("teacher renewed", count, renewed))
        points.append(Point("fixed teacher", count, replace(renewed, generations=1)))
        if count > 1:
            points.append(Point("born again", count, replace(renewed, born_again=True)))
        ce = reference(params, "ce")
        points.append(Point(_label(params, "ce"), count, replace(ce, epochs=count * each, generations=count)))
    return Experiment(
        "generations",
        "teacher",
        "Do generations help beyond training longer, and must the student be kept?",
        f"generations (of {each} epoch{'s' if each > 1 else ''} each)",
        tuple(points),
        "value",
    )


def _dropout(params):
    points = []
    for method in _taught(params):
        base = reference(params, method)
        points.append(Point(_label(params, method), "noise", base))
        points.append(Point(_label(params, method), "none", replace(base, dropout=False)))
    base = with_method(reference(params), alpha_ce=0.0)
    points.append(Point("KL alone", "noise", base))
    points.append(Point("KL alone", "none", replace(base, dropout=False)))
    question = (
        "Does distillation need noise in the student (dropout, masked tokens), which tells it from a fresh teacher?"
    )
    return Experiment("dropout", "teacher", question, "student", tuple(points), "series")


def _view(params):
    points = []
    for method in _taught(params):
        base = reference(params, method)
        points.append(Point(_label(params, method), "what the student reads", base))
        across = replace(base, view="parallel")
        points.append(Point(_label(params, method), "question in the passage's language", across))
    question = "Does a teacher that reads the question in the passage's language teach more?"
    return Experiment("view", "teacher", question, "the teacher reads", tuple(points), "series")


def _label_free(params):
    """The student is taught by what the teacher reads in one language alone: no loss reads a marked answer."""
    base = with_method(reference(params, "skd"), alpha_ce=0.0)
    taught = "no labels, question in the passage's language"
    points = [
        Point(_label(params, "ce"), "labels", reference(params, "ce")),
        Point(taught, "renewed teacher", replace(base, view="parallel")),
        Point(taught, "fixed teacher", replace(base, view="parallel", generations=1)),
    ]
    question = "What do translated questions teach without a marked answer?"
    return Experiment("label-free", "teacher", question, "trained with", tuple(points), ZERO_SHOT)


def _ntl(params):
    points = []
    for method in params.sweeps.methods:
        base = reference(params, method)
        for ntl in _own_first(params.sweeps.ntl, base.method.ntl):
            points.append(Point(_label(params, method), ntl, with_method(base, ntl=ntl)))
    question = "How many target languages per example, at equal epochs (more languages train longer)?"
    return Experiment("ntl", "data", question, "target languages ntl", tuple(points), "value")


def _ntl_steps(params):
    points = []
    for method in params.sweeps.methods:
        base = reference(params, method)
        own = base.method.ntl
        points.append(Point(_label(params, method), own, base))
        for ntl in params.sweeps.equal_steps_ntl:
            if ntl != own:
                points.append(Point(_label(params, method), ntl, replace(with_method(base, ntl=ntl), steps_of_ntl=own)))
    question = "How many target languages per example, at equal optimiser steps?"
    return Experiment("ntl-steps", "data", question, "target languages ntl", tuple(points), "series")


def _same_language_pairs(params):
    base, label = reference(params, "ce"), _label(params, "ce")
    alone = replace(with_method(base, ntl=0), steps_of_ntl=base.method.ntl)
    points = (Point(label, f"ntl {base.method.ntl}", base), Point(label, "same-language pairs alone", alone))
    question = "What do pairs of two languages add to as many steps on same-language pairs?"
    return Experiment("same-language-pairs", "data", question, "trained on", points)


def _pivot(params):
    points = []
    base, label = reference(params), _label(params, "skd-map")
    # Without a pivot in the study there is nothing to take away; where all languages are drawn, nothing would change.
    if params.sampling.pivot and 0 < base.method.ntl < len(params.sampling.languages) - 1:
        points.append(Point(label, f"{params.sampling.pivot} always", base))
        points.append(Point(label, "any languages", replace(base, pivot=False)))
    return Experiment("pivot", "data", "Must the pivot be one of the drawn languages?", "drawn", tuple(points))


def _left_out(params):
    base = reference(params)
    pivot, trained = params.sampling.pivot, params.sampling.languages
    unknown = [code for code in params.sweeps.left_out if code not in trained]
    if unknown:
        raise DataError(f"sweeps.left_out: {unknown} are not among sampling.languages {trained}")
    if pivot in params.sweeps.left_out:
        raise DataError(f"sweeps.left_out names the pivot {pivot!r}, without which nothing is sampled; leave it in")
    points = [Point("trained on", language, base) for language in params.sweeps.left_out]
    points += [Point("left out", language, replace(base, left_out=language)) for language in params.sweeps.left_out]
    question = "What does a language gain from being trained on, scored on the pairs that it is part of?"
    return Experiment("left-out", "data", question, "language", tuple(points), "value")


def _few_resource(params):
    points = []
    for method in params.sweeps.methods:
        base = reference(params, method)
        for ids in _own_first(params.sweeps.few_ids, base.parallel_ids):
            points.append(Point(_label(params, method), ids or "all", replace(base, parallel_ids=ids)))
    question = "How many parallel ids does each method need?"
    # one method alone is compared with itself on all ids
    against = "value" if len(params.sweeps.methods) > 1 else "series"
    return Experiment("few-resource", "data", question, "parallel ids", tuple(points), against)


def _label_noise(params):
    bases = {_label(params, method): reference(params, method) for method in params.sweeps.methods}
    bases["windowed 1/rank, per example"] = with_method(reference(params), weighting="example")
    points = [
        Point(label, rate, replace(base, label_noise=rate))
        for label, base in bases.items()
        for rate in _own_first(params.sweeps.label_noise, 0.0)
    ]
    question = "Does the coefficient protect from wrong answers in the parallel data?"
    return Experiment("label-noise", "data", question, "share of wrong answers", tuple(points), "value")


def _translation(params):
    base = reference(params, "ce")
    translated = Setting(
        method=replace(base.method, label="translate-train"),
        epochs=params.reader.epochs,
        generations=1,
        source="mlqa-translate-train",
    )
    points = [
        Point(_label(params, "ce"), "parallel examples", base),
        Point("translate-train", "SQuAD by machine translation", translated),
    ]
    question = "A few parallel examples, or many that a machine translated?"
    return Experiment("translate-train", "translation", question, "trained on", tuple(points))


_MAKERS = {
    "methods": _methods,
    "learning-rate": _learning_rate,
    "temperature": _temperature,
    "no-ce": _no_ce,
    "direction": _direction,
    "coefficient": _coefficient,
    "k": _k,
    "window": _window,
    "generations": _generations,
    "dropout": _dropout,
    "view": _view,
    "label-free": _label_free,
    "ntl": _ntl,
    "ntl-steps": _ntl_steps,
    "same-language-pairs": _same_language_pairs,
    "pivot": _pivot,
    "left-out": _left_out,
    "few-resource": _few_resource,
    "label-noise": _label_noise,
    "translate-train": _translation,
}
