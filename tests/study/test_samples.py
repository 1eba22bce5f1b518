"""The samples of a study: which ids each seed draws."""

from dataclasses import replace
from itertools import combinations

import pandas as pd
import pytest

from xqa_lib.data import prepared, roles
from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.errors import DataError
from xqa_lib.study import layout, samples
from xqa_lib.study.params import load_params

IDS = [f"id{number}" for number in range(20)]
DATA = {
    language: [Example(i, "?", "A passage.", (GoldAnswer("A", 0),), "T", language, language) for i in IDS]
    for language in ("en", "de")
}


def test_ids_are_drawn_by_the_seed_and_nested():
    few, more = (samples.chosen_ids(DATA, count, 1) for count in (4, 9))
    assert (len(few), len(more)) == (4, 9)
    assert set(few) < set(more)
    assert list(more) == [i for i in IDS if i in more]  # in the order of the data
    assert few == {key: {"en", "de"} for key in few}
    assert set(samples.chosen_ids(DATA, 4, 2)) != set(few)
    assert list(samples.chosen_ids(DATA, 0, 1)) == IDS
    with pytest.raises(DataError, match=r"^21 parallel ids are asked for, but the study has 20: lower sampling\."):
        samples.chosen_ids(DATA, 21, 1)


@pytest.mark.slow
def test_the_default_study_s_seeds_draw_ids_of_their_own():
    params = load_params("embedded")
    parallel = roles._factbook(params)[1]
    pool = samples.aligned_ids(parallel)
    drawn = {seed: frozenset(samples.chosen_ids(parallel, params.sampling.parallel_ids, seed)) for seed in params.seeds}
    assert {len(ids) for ids in drawn.values()} == {params.sampling.parallel_ids}
    for one, other in combinations(drawn.values(), 2):
        assert len(one & other) < len(one) / 2  # a fifth is expected
    assert len(pool) == 5 * params.sampling.parallel_ids


def in_folder(folder, **sampling):
    params = load_params("embedded/smoke")
    paths = replace(params.paths, data=str(folder / "data"), runs=str(folder / "runs"))
    sampling = replace(params.sampling, languages=["en", "de"], **sampling)
    return replace(params, paths=paths, sampling=sampling)


def test_the_sample_of_a_seed_is_of_its_ids_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared, "read_parallel", lambda params: DATA)
    params = in_folder(tmp_path, parallel_ids=4)
    samples.sample(params, 1)
    table = pd.read_csv(layout.sampled_file(params, 1))
    assert table["id"].drop_duplicates().tolist() == list(samples.chosen_ids(DATA, 4, 1))
    assert len(table) == 4 * 4
    assert {e.id for e in samples.sampled_examples(DATA, table, 0)} == set(table["id"])
    assert set(samples.sample(params, 2)["id"]) != set(table["id"])
