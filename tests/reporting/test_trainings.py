"""What logs and records show: who taught whom, and whose ids."""

from dataclasses import replace

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
