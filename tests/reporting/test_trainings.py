"""What logs and records show: who taught whom, and whose ids."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from tests.study.test_stages import SMOKE, in_folder
from xqa_lib.errors import DataError
from xqa_lib.reporting import trainings
from xqa_lib.running.files import write_json
from xqa_lib.study import layout


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, True),
        ({"generations.1.teacher_weights": "another"}, False),
        ({"generations.0.teacher_weights": "another"}, False),
        ({"generations.2.teacher_weights": None}, False),  # a method that distils has a teacher throughout
        ({"start_weights": "another"}, False),
        ({"method.coefficient": None}, False),  # and one that does not has none
    ],
)
def test_a_wrong_teacher_is_noticed(change, verdict, tmp_path):
    params = in_folder(SMOKE, tmp_path)
    generations = [
        {"generation": number, "teacher_weights": f"w{number - 1}", "student_weights": f"w{number}"}
        for number in (1, 2, 3)
    ]
    record = {"start_weights": "w0", "method": {"coefficient": "constant"}, "generations": generations}
    for place, value in change.items():
        *path, key = [int(part) if part.isdigit() else part for part in place.split(".")]
        branch = record
        for part in path:
            branch = branch[part]
        branch[key] = value
    write_json(layout.record_file(params, "skd-seed-1"), record)
    assert trainings.teachers_are_former_students(params, "skd", 1) is verdict


def write_records(params, ids_by_seed):
    for seed, ids in ids_by_seed.items():
        write_json(layout.record_file(params, f"skd-seed-{seed}"), {"ids": ids})


def test_two_seeds_with_the_same_ids_are_refused(tmp_path):
    params = replace(in_folder(SMOKE, tmp_path), seeds=[1, 2, 3])
    params = replace(params, sampling=replace(params.sampling, parallel_ids=2))
    write_records(params, {1: ["a", "b"], 2: ["c", "a"], 3: ["b", "a"]})
    with pytest.raises(DataError, match=r"^the students of skd with seeds 1 and 3 were trained on the same 2 ids, but"):
        trainings.training_ids(params, "skd")
    some = replace(params, seeds=[1, 2])
    assert trainings.training_ids(some, "skd") == {1: ["a", "b"], 2: ["c", "a"]}
    # without a draw every seed has all ids
    everything = replace(params, sampling=replace(params.sampling, parallel_ids=0))
    assert list(trainings.training_ids(everything, "skd")) == [1, 2, 3]


def log_of(**columns):
    return pd.DataFrame({"generation": [1, 1, 2, 2], "step": [1, 2, 3, 4], **columns})


DISTILLED = {"ce": [1.0, 1.0, 0.5, 0.5], "kl": [0.0, 0.4, 0.0, 0.2], "loss": [1.0, 1.5, 0.5, 0.6]}


@pytest.mark.parametrize(
    ("method", "coefficient", "said"),
    [
        (
            "skd-map",
            [0.40, 0.46, 0.9, 1.0],
            "The coefficient rose from 0.43 to 0.95 from generation 1 to generation 2: ",
        ),
        ("skd-map", [0.9, 0.9, 0.5, 0.5], "The coefficient fell from 0.90 to 0.50 from generation 1 to generation 2: "),
        ("skd-map", [0.9, 0.9, 0.9, 0.9], "The coefficient stayed at 0.90 from generation 1 to generation 2: "),
        ("skd", [1.0] * 4, "The coefficient of SKD is 1 at every step, whatever the teacher says. "),
    ],
)
def test_what_the_coefficient_did(method, coefficient, said):
    told = trainings.terms_in_words(log_of(**DISTILLED, coefficient=coefficient), SMOKE.method(method))
    assert told.startswith(said)
    # loss less cross-entropy, of the means: 0.25 of 1.25, 0.05 of 0.55
    assert "the divergence was 20.0% of the loss in generation 1 and 9.1% in generation 2." in told
    assert told.endswith("The cross-entropy fell from 1.00 to 0.50 from generation 1 to generation 2.")


def test_without_a_teacher_no_coefficient_is_told():
    told = trainings.terms_in_words(log_of(loss=DISTILLED["ce"], ce=DISTILLED["ce"]), SMOKE.method("ce"))
    assert told == (
        "CE has no teacher, so no divergence and no coefficient. The cross-entropy fell from 1.00 to 0.50 from "
        "generation 1 to generation 2."
    )


def test_one_generation_is_told_as_a_mean():
    log = log_of(**DISTILLED, coefficient=[0.4] * 4).assign(generation=1)
    told = trainings.terms_in_words(log, SMOKE.method("skd-map"))
    assert told.startswith("The coefficient was 0.40 throughout: ")
    assert told.endswith("The cross-entropy was 0.75 throughout.")


def test_the_loss_as_a_probability():
    log = pd.DataFrame({"loss": [math.log(100), *[2.0] * 18, math.log(2), math.log(2)]})
    assert trainings.loss_in_words(log) == (
        "The loss fell from 4.61 to 0.69 over the last 2 steps: the probability of the truth went from 1.0% to 50.0%, "
        "in the geometric mean."
    )
    assert "at the last step" in trainings.loss_in_words(log[:9])


def test_minutes_are_those_of_the_record(tmp_path):
    params = in_folder(SMOKE, tmp_path)
    for minutes, said in ((4.26, "4.3 minutes"), (0.25, "15 seconds")):
        record = {"minutes": minutes, "machine": {"processor": "x86_64", "cores": 8, "threads": 2}}
        write_json(layout.record_file(params, "reader"), record)
        assert trainings.took(params, "reader") == f"It took {said} on 2 threads of 8 x86_64 cores."
