"""The experiments as data: which settings there are, what contradicts itself, which are trained only once."""

import re
from dataclasses import replace

import pytest

from xqa_lib.errors import DataError
from xqa_lib.study import experiments
from xqa_lib.study.experiments import Setting, all_experiments, assigned, plan, reference, students_of_the_study
from xqa_lib.study.params import PROFILES, load_params

PARAMS = load_params("paper")
CE, SKD, MAP = (PARAMS.methods[name] for name in ("ce", "skd", "skd-map"))


def setting(method=MAP, **changes):
    return Setting(**({"method": method, "epochs": 3, "generations": 3} | changes))


LABEL_FREE, TRANSLATED = replace(SKD, alpha_ce=0.0), {"source": "mlqa-translate-train"}


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        (MAP, {"generations": 2}, "epochs 3 must be a multiple of generations 2, both at least 1"),
        (MAP, {"view": "other"}, "view must be one of same, parallel, got 'other'"),
        (MAP, {"label_noise": 1.0}, "label_noise must be in [0, 1), got 1.0"),
        (MAP, {"parallel_ids": -1}, "parallel_ids must be >= 0, got -1"),
        (MAP, {"source": "web"}, "source must be one of parallel, mlqa-translate-train, got 'web'"),
        (CE, {"born_again": True}, "born_again needs a teacher, but the method has no coefficient"),
        (CE, {"view": "parallel"}, "view parallel needs a teacher, but the method has no coefficient"),
        (MAP, {"born_again": True, "generations": 1}, "born_again with one generation is a fixed teacher; give it "),
        (MAP, {"born_again": True, "steps_of_ntl": 3}, "born_again trains whole epochs, so that steps_of_ntl cannot "),
        (LABEL_FREE, {"label_noise": 0.2}, "label_noise changes nothing where the loss reads no label (alpha_ce 0, "),
        (MAP, TRANSLATED, "mlqa-translate-train is trained with cross-entropy on all its "),
        (CE, TRANSLATED | {"pivot": False}, "mlqa-translate-train is trained with cross-entropy"),
        (CE, TRANSLATED | {"parallel_ids": 3}, "mlqa-translate-train is trained with cross-"),
    ],
)
def test_options_that_contradict_each_other_are_refused(method, changes, message):
    with pytest.raises(DataError, match=f"^setting: {re.escape(message)}"):
        setting(method, **changes)


def test_settings_that_train_the_same_student_share_a_key():
    assert setting(replace(MAP, label="another name")).key == setting().key
    # what a method does not look at
    assert setting(replace(CE, k=3, temperature=9.0, direction="reverse")).key == setting(CE).key
    assert setting(CE, generations=1).key == setting(CE).key
    assert setting(replace(SKD, k=3, window=2, weighting="example")).key == setting(SKD).key
    exact = replace(MAP, coefficient="reciprocal_rank_at_k")
    assert setting(replace(exact, window=1)).key == setting(exact).key


def test_settings_that_train_other_students_have_keys_of_their_own():
    changes = [
        *({"epochs": 6}, {"generations": 1}, {"parallel_ids": 30}, {"born_again": True}, {"dropout": False}),
        *({"view": "parallel"}, {"label_noise": 0.1}, {"pivot": False}, {"left_out": "zh"}, {"steps_of_ntl": 1}),
    ]
    methods = [{"ntl": 2}, {"k": 2}, {"weighting": "example"}, {"direction": "reverse"}, {"temperature": 4.0}]
    changes += [{"method": replace(MAP, **change)} for change in (*methods, {"alpha_ce": 0.0})] + [{"method": SKD}]
    assert len({setting().key, *(setting(**change).key for change in changes)}) == 1 + len(changes)


def test_the_key_is_the_same_in_every_process():
    # results are found by it: a change here makes all results of sweeps unreadable
    assert len(setting().key) == 12
    assert setting().key == setting().key
    assert setting().as_dict()["method"]["k"] == 10
    assert setting(CE).as_dict()["method"] == {
        **{"ntl": CE.ntl, "alpha_ce": 1.0, "coefficient": None, "temperature": None},
        **{"direction": None, "k": None, "window": None, "weighting": None},
    }


def test_the_paper_s_grids():
    found = all_experiments(PARAMS)
    assert {point.value for point in found["ntl"].points} == {0, 1, 2, 3, 4, 5, 6}
    grid = {(point.series, point.value) for point in found["temperature"].points}
    assert grid == {(f"ntl {ntl}", T) for ntl in range(1, 7) for T in (2, 4, 8, 18)}
    assert sorted(point.value for point in found["k"].points) == list(range(1, 11))
    born = [p.setting for p in found["generations"].points if p.series == "born again"]
    assert sorted(s.generations for s in born) == [2, 3, 4, 5]
    fixed = {p.value: p.setting for p in found["generations"].points if p.series == "fixed teacher"}
    assert {count: (s.epochs, s.generations) for count, s in fixed.items()} == {n: (n, 1) for n in range(1, 6)}
    assert [p.value for p in found["left-out"].points] == ["es", "de", "ar", "hi", "vi", "zh"] * 2
    assert found["translate-train"].points[1].setting.source == "mlqa-translate-train"


def test_equal_steps_are_those_of_the_method_s_own_ntl():
    points = [p for p in all_experiments(PARAMS)["ntl-steps"].points if p.series == MAP.label]
    assert {p.value: p.setting.steps_of_ntl for p in points} == {5: None} | dict.fromkeys((1, 2, 3, 4, 6), 5)
    assert all(p.setting.method.ntl == p.value for p in points)


@pytest.mark.parametrize("study", [f"{profile}/{size}" for profile in PROFILES for size in ("full", "smoke")])
def test_a_setting_is_trained_in_one_group_only(study):
    params = load_params(study)
    named = {point.setting.key for e in all_experiments(params).values() for point in e.points}
    by_group = [assigned(params, group) for group in params.sweeps.groups]
    keys = [key for settings in by_group for key in settings]
    assert len(keys) == len(set(keys))
    assert set(keys) == named
    assert all(s.key == key for settings in by_group for key, s in settings.items())


def test_a_group_trains_what_an_earlier_one_does_not():
    params = load_params("embedded/smoke")
    later = replace(params, sweeps=replace(params.sweeps, groups=["data"]))
    assert reference(params).key in assigned(params, "objective")
    assert reference(params).key not in assigned(params, "data")
    assert reference(params).key in assigned(later, "data")
    assert set(all_experiments(later)) < set(all_experiments(params))
    with pytest.raises(DataError, match=r"^unknown group 'objective': the study has data$"):
        assigned(later, "objective")
    with pytest.raises(DataError, match=r"^sweeps.groups: unknown \['colour'\], expected some of objective, teacher,"):
        all_experiments(replace(params, sweeps=replace(params.sweeps, groups=["colour"])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left_out": ["ru"]}, r"^sweeps.left_out: \['ru'\] are not among sampling.languages \['en', "),
        ({"left_out": ["en"]}, "^sweeps.left_out names the pivot 'en', without which nothing is sampled; leave it in$"),
        ({"experiments": ["ntl", "colour"]}, r"^sweeps.experiments: unknown \['colour'\], expected some of methods, "),
        ({"experiments": ["ntl", "temperature"]}, r"^sweeps.experiments names temperature, whose group objective is"),
        (
            {"weighted_otherwise": ["constant"], "coefficients": ["constant"], "groups": ["objective"]},
            r"sweeps.weighted_otherwise: \['constant'\] must be among sweeps.coefficients",
        ),
    ],
)
def test_sweeps_that_cannot_be_run(changes, message):
    sweeps = replace(PARAMS.sweeps, **{"groups": ["teacher", "data"]} | changes)
    with pytest.raises(DataError, match=message):
        all_experiments(replace(PARAMS, sweeps=sweeps))


def test_what_may_be_chosen_on_the_development_set():
    found = experiments.selectable(PARAMS)
    assert list(found) == ["ce", "skd", "skd-map"]
    assert [next(iter(settings)) for settings in found.values()] == [reference(PARAMS, name).key for name in found]
    # ntl 0 to 6, and nothing else that a loss without a teacher looks at
    assert sorted(s.method.ntl for s in found["ce"].values()) == list(range(7))
    assert {s.method.coefficient for s in found["skd"].values()} == {"constant"}
    assert {s.method.direction for s in found["skd"].values()} == {"forward", "reverse", "symmetric"}
    assert 0.0 in {s.method.alpha_ce for s in found["skd"].values()}
    several = found["skd-map"].values()
    assert {(s.method.ntl, s.method.temperature) for s in several} >= {(n, t) for n in range(1, 7) for t in (2, 18)}
    assert {s.method.weighting for s in several} == {"batch", "example"}
    assert {s.method.coefficient for s in several} == set(experiments.COEFFICIENT_NAMES) - {"constant"}
    # whatever else an experiment varies is no choice of a user's
    for settings in found.values():
        for s in settings.values():
            assert s == replace(reference(PARAMS), method=s.method)
    keys = [key for settings in found.values() for key in settings]
    assert len(keys) == len(set(keys))
    only = replace(PARAMS, sweeps=replace(PARAMS.sweeps, groups=["translation"]))
    assert list(experiments.selectable(only)) == ["ce"]


def test_experiments_by_name():
    named = replace(PARAMS, sweeps=replace(PARAMS.sweeps, experiments=["ntl", "label-free"]))
    # in the order of the report, not in that of the parameter
    assert list(all_experiments(named)) == ["label-free", "ntl"]
    assert assigned(named, "objective") == {}
    assert set(assigned(named, "teacher")) == {p.setting.key for p in all_experiments(named)["label-free"].points}
    # what experiments share is trained in the first group that names it
    assert set(assigned(named, "data")) | set(assigned(named, "teacher")) == {
        p.setting.key for e in all_experiments(named).values() for p in e.points
    }


def test_a_student_without_labels_is_compared_with_the_reader_it_began_as():
    experiment = all_experiments(PARAMS)["label-free"]
    labels, renewed, fixed = experiment.points
    assert labels.setting == reference(PARAMS, "ce")
    for point, generations in ((renewed, 3), (fixed, 1)):
        assert point.setting.view == "parallel"
        assert point.setting.generations == generations
        # no term of the loss reads a label: neither cross-entropy nor a coefficient that looks for the truth
        assert (point.setting.method.alpha_ce, point.setting.method.coefficient) == (0.0, "constant")
        with pytest.raises(DataError, match="label_noise changes nothing where the loss reads no label"):
            replace(point.setting, label_noise=0.5)
    assert [experiment.baseline(point) for point in experiment.points] == [("zero-shot", "zero-shot")] * 3
    # it differs from the reference in more than may be chosen on the development set
    assert not {renewed.setting.key, fixed.setting.key} & {
        k for found in experiments.selectable(PARAMS).values() for k in found
    }


def test_what_a_point_is_compared_with():
    found = all_experiments(PARAMS)
    # the first point of all, the first of its series, the first series at its value
    first, second, third = found["methods"].points
    assert found["methods"].baseline(first) is None
    assert [found["methods"].baseline(p) for p in (second, third)] == [(first.setting.key, "CE: as in the study")] * 2
    with_ce, without = found["no-ce"].points[:2]
    assert found["no-ce"].baseline(with_ce) is None
    assert found["no-ce"].baseline(without) == (with_ce.setting.key, f"{SKD.label}: CE + KL")
    by_value = {(p.series, p.value): p for p in found["ntl"].points}
    ce, skd = by_value[CE.label, 2], by_value[SKD.label, 2]
    assert found["ntl"].baseline(ce) is None
    assert found["ntl"].baseline(skd) == (ce.setting.key, "CE: 2")


def test_weighting_the_other_way_is_an_option_of_each_coefficient():
    params = replace(PARAMS, sweeps=replace(PARAMS.sweeps, weighted_otherwise=["average_precision_at_k"]))
    assert [(p.series, p.value) for p in all_experiments(params)["coefficient"].points] == [
        ("per batch", "windowed 1/rank"),
        ("per batch", "constant"),
        ("per batch", "AP@k"),
        ("per example", "AP@k"),
        ("per batch", "1/rank, exact"),
    ]


def test_students_of_the_study_are_recognised():
    own = students_of_the_study(PARAMS)
    assert list(own.values()) == ["ce", "skd", "skd-map"]
    # the paper's profile sweeps at the study's own size
    assert reference(PARAMS).key in own
    smaller = replace(PARAMS, sweeps=replace(PARAMS.sweeps, parallel_ids=30))
    assert reference(smaller).key not in own
    # with fewer ids of each seed, the experiments follow, and the study's own students are a point of the curve
    drawn = replace(PARAMS, sampling=replace(PARAMS.sampling, parallel_ids=100))
    assert reference(drawn).parallel_ids == 100
    assert students_of_the_study(drawn)[reference(drawn).key] == "skd-map"
    few = {p.value: p.setting.key for p in all_experiments(drawn)["few-resource"].points if p.series == MAP.label}
    assert few[100] == reference(drawn).key
    assert set(few) == {10, 30, 100, 300, "all"}
    assert {p.setting.key for p in all_experiments(smaller)["few-resource"].points} & set(own) == set(own)


def test_the_curve_of_one_method_is_compared_with_all_its_ids():
    experiment = all_experiments(load_params("own"))["few-resource"]
    first, *fewer = experiment.points
    assert (first.value, experiment.baseline(first)) == ("all", None)
    assert {experiment.baseline(point) for point in fewer} == {(first.setting.key, "SKD, mAP@10: all")}


def test_the_plan_counts_examples():
    params = load_params("embedded/smoke")
    params = replace(params, sweeps=replace(params.sweeps, parallel_ids=10, reference_ntl=1))
    table = plan(params).set_index("experiment")
    # three methods, ten ids, four pairs each
    assert table.loc["methods", "examples"] == 3 * 10 * 4 * params.distillation.epochs
    assert table.loc["methods", ["settings", "new"]].tolist() == [3, 3]
    assert table["new"].sum() == sum(len(assigned(params, g)) for g in params.sweeps.groups) - len(
        set(students_of_the_study(params)) & {k for g in params.sweeps.groups for k in assigned(params, g)}
    )
    assert pairs_per_id(0) == 7
    assert pairs_per_id(9, left_out="zh") == 36
    assert (pairs_per_id(5), pairs_per_id(5, pivot=False)) == (36, 36)
    assert [pairs_per_id(ntl, sampling=replace(PARAMS.sampling, pivot=None)) for ntl in (0, 5, 6, 7)] == [7, 25, 36, 49]


def pairs_per_id(ntl, sampling=PARAMS.sampling, **changes):
    return experiments.pairs_per_id(setting(replace(MAP, ntl=ntl), **changes), sampling)


XQUAD = load_params("xquad")


def test_what_chooses_is_a_study_of_its_own():
    rates = replace(XQUAD, sweeps=replace(XQUAD.sweeps, choice_experiments=["learning-rate"]))
    choice = experiments.study_of(rates, experiments.CHOICE)
    assert choice.seeds == XQUAD.sweeps.choice_seeds
    assert set(choice.seeds).isdisjoint(XQUAD.seeds)
    assert choice.data.evaluation_sets == ["mlqa-dev-choosing"]  # nothing else is looked at
    assert set(choice.data.all_sets) == set(XQUAD.data.all_sets)
    points = all_experiments(choice)["learning-rate"].points
    assert {(p.series, p.value) for p in points} == {
        (label, rate) for label in ("CE", "SKD, mAP@10") for rate in (0.00005, 0.0001, 0.0002)
    }
    assert all(p.setting.learning_rate == p.value for p in points)
    assert all(p.setting.parallel_ids == XQUAD.sampling.parallel_ids for p in points)
    assert set(assigned(choice, experiments.CHOICE)) == {p.setting.key for p in points}
    assert len({p.setting.key for p in points}) == 6
    assert students_of_the_study(choice) == {}  # of its seeds there are none
    # of another group, and no part of the study's own experiments
    assert list(all_experiments(XQUAD)) == ["methods", "same-language-pairs", "few-resource"]
    assert experiments.study_of(XQUAD, "objective") is XQUAD
    two = replace(XQUAD, sweeps=replace(XQUAD.sweeps, choice_experiments=["learning-rate", "label-free"]))
    found = all_experiments(experiments.study_of(two, experiments.CHOICE))
    assert {name: e.group for name, e in found.items()} == dict.fromkeys(("learning-rate", "label-free"), "choice")


def test_a_chosen_rate_changes_the_study_and_not_what_chose_it():
    chosen = replace(XQUAD, learning_rates={"ce": 0.0002})
    assert experiments.study_of(chosen, experiments.CHOICE) == experiments.study_of(XQUAD, experiments.CHOICE)
    assert (reference(chosen, "ce").learning_rate, reference(chosen, "skd").learning_rate) == (0.0002, None)
    assert reference(chosen, "ce").key != reference(XQUAD, "ce").key
    assert students_of_the_study(chosen)[reference(chosen, "ce").key] == "ce"
    assert chosen.distillation_of("ce") == replace(XQUAD.distillation, learning_rate=0.0002)
    assert chosen.distillation_of("skd") == XQUAD.distillation


def test_a_method_s_own_view_and_teachers():
    renewed = replace(XQUAD.methods["label-free"], generations=None)
    study = replace(XQUAD, methods=XQUAD.methods | {"label-free": renewed}, learning_rates={})  # as before the choice
    setting_of = reference(study, "label-free")
    assert (setting_of.view, setting_of.generations) == ("parallel", 3)
    fixed = replace(study.methods["label-free"], generations=1)
    params = replace(study, methods=study.methods | {"label-free": fixed}, trained=["ce", "label-free"])
    assert reference(params, "label-free").generations == 1
    assert reference(params, "label-free").key != setting_of.key
    assert students_of_the_study(params)[reference(params, "label-free").key] == "label-free"
    # it is the setting of the experiment on which it rests
    points = all_experiments(experiments.study_of(with_label_free(params), experiments.CHOICE))["label-free"].points
    assert [p.setting.key for p in points[1:]] == [setting_of.key, reference(params, "label-free").key]


def with_label_free(params):
    return replace(params, sweeps=replace(params.sweeps, choice_experiments=["label-free"]))


def test_same_language_pairs_are_trained_for_as_many_steps():
    data = replace(XQUAD, sweeps=replace(XQUAD.sweeps, groups=["data"], experiments=["same-language-pairs"]))
    both, alone = all_experiments(data)["same-language-pairs"].points
    assert both.setting.key in students_of_the_study(data)
    assert (alone.setting.method.ntl, alone.setting.steps_of_ntl) == (0, 2)
