"""What later stages read of the prepared data: articles of questions, sets that are read whole."""

from dataclasses import replace

from xqa_lib.data import prepared
from xqa_lib.study.params import load_params

SMOKE = load_params("embedded/smoke")


def test_articles_are_clusters_only_where_each_id_has_one(tmp_path):
    params = replace(SMOKE, paths=replace(SMOKE.paths, results=str(tmp_path)))
    (tmp_path / "data").mkdir()
    rows = ["set,id,title", "a,1,Rome", "a,2,Rome", "a,NA,null", "b,1,Rome", "b,1,Rom", "c,1,"]
    (tmp_path / "data" / "articles.csv").write_text("\n".join(rows), encoding="utf-8")
    assert prepared.read_articles(params, "a") == {"1": "Rome", "2": "Rome", "NA": "null"}
    assert prepared.read_articles(params, "b") is None  # titles in two languages
    assert prepared.read_articles(params, "c") is None  # no title


def test_sets_that_are_read_whole():
    few = {"factbook-dev": 5, "factbook-test": 0, "xquad-xlt": 0}
    data = replace(SMOKE.data, zero_shot_sets=["xquad-xlt"], questions_of_set=few, evaluation_questions=7)
    assert [data.questions_of(name) for name in data.all_sets] == [5, 0, 7, 0]
    assert prepared.whole_sets(replace(SMOKE, data=data)) == ["factbook-test", "xquad-xlt"]
