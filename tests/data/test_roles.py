"""The roles of a study as files, from the generated corpus, small hand-made sets and the real ones; what is refused."""

import hashlib
import itertools
import json
from dataclasses import replace

import pandas as pd
import pytest

from tests.builders import changed
from xqa_lib.data import corpora, factbook, prepared, roles
from xqa_lib.data.leakage import normalised_context
from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.errors import DataError
from xqa_lib.languages import LANGUAGES, PARALLEL, ZERO_SHOT_TYDIQA, ZERO_SHOT_XQUAD
from xqa_lib.study import samples
from xqa_lib.study.params import load_params


def study(folder, source="embedded/smoke", **data):
    params = load_params(source)
    if "evaluation_sets" in data:  # and nothing that names the profile's own sets
        params = replace(params, tests=None, gate=replace(params.gate, set=None))
        data = {"zero_shot_sets": [], "questions_of_set": None} | data
    return changed(params, paths={"data": str(folder / "data"), "results": str(folder / "results")}, data=data)


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(params):
    with pytest.raises(DataError) as error:
        roles.prepare(params)
    assert not params.data_folder.exists()
    assert list(params.data_folder.parent.iterdir()) == []
    return str(error.value)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """(params, table): the generated data of the smoke study; not to be changed."""
    params = study(tmp_path_factory.mktemp("factbook"))
    return params, roles.prepare(params)


def test_the_files_of_the_generated_data(generated):
    params, _ = generated
    every = {f"context-{context}-question-{question}.json" for context in PARALLEL for question in PARALLEL}
    own = {f"context-{language}-question-{language}.json" for language in (*ZERO_SHOT_XQUAD, *ZERO_SHOT_TYDIQA)}
    sets = {"factbook-dev": every, "factbook-test": every, "factbook-zero-shot": own}
    assert set(files_below(params.data_folder)) == {
        "reader/train-en.json",
        *(f"parallel/{language}.json" for language in PARALLEL),
        *(f"evaluation/{name}/{file}" for name, of_set in sets.items() for file in of_set),
    }
    counts = {f"data/{name}.csv" for name in ("summary", "leakage", "articles", "kinds")}
    assert set(files_below(params.results_folder)) == counts
    found = sorted(path.name for path in params.data_folder.parent.iterdir())
    assert found == ["data", "results"]  # nothing half-made beside it


def test_the_sizes_are_those_of_the_parameters(generated):
    params, table = generated
    paragraphs, asked = params.data.parallel_paragraphs, params.data.questions_per_paragraph
    parallel = table[table["role"] == "parallel"]
    assert parallel[["set", "question_lang", "context_lang", "paragraphs", "questions"]].values.tolist() == [
        ["parallel", language, language, paragraphs, paragraphs * asked] for language in PARALLEL
    ]
    evaluation = table[table["role"] == "evaluation"]
    sizes = {"factbook-dev": 49, "factbook-test": 49, "factbook-zero-shot": 10}
    assert evaluation.groupby("set", sort=False).size().to_dict() == sizes
    assert set(evaluation["paragraphs"]) == {params.data.evaluation_paragraphs}
    assert set(evaluation["questions"]) == {params.data.evaluation_questions}
    (reader,) = table[table["role"] == "reader"].to_dict("records")
    assert reader["paragraphs"] == params.data.train_paragraphs
    assert reader["questions"] > 4 * reader["paragraphs"]  # every fact is asked for


def test_what_is_written_is_what_was_counted(generated):
    params, table = generated
    pd.testing.assert_frame_equal(pd.read_csv(params.results_folder / "data" / "summary.csv"), table)
    dev = prepared.read_evaluation(params, "factbook-dev")
    for row in table[table["set"] == "factbook-dev"].itertuples():
        examples = [e for e in dev if (e.question_lang, e.context_lang) == (row.question_lang, row.context_lang)]
        assert (len(examples), len({e.context for e in examples})) == (row.questions, row.paragraphs)
    lengths = table.set_index(["set", "context_lang"])["mean_context_length"]
    # words where the script separates them, else characters
    thai = {e.context for e in prepared.read_evaluation(params, "factbook-zero-shot") if e.context_lang == "th"}
    assert lengths["factbook-zero-shot", "th"] == round(sum(map(len, thai)) / len(thai), 1)
    train = prepared.read_reader_training(params)
    assert {(e.question_lang, e.context_lang) for e in train} == {("en", "en")}
    words = [len(context.split()) for context in {e.context for e in train}]
    assert lengths["train", "en"] == round(sum(words) / len(words), 1)


def test_languages_are_parallel(generated):
    params, _ = generated
    parallel = prepared.read_parallel(params)
    assert list(parallel) == list(PARALLEL)
    for language, examples in parallel.items():
        assert [(e.id, e.title) for e in examples] == [(e.id, e.title) for e in parallel["en"]]
        assert {(e.question_lang, e.context_lang) for e in examples} == {(language, language)}
    assert len({examples[0].context for examples in parallel.values()}) == len(PARALLEL)
    by_pair = {}
    for e in prepared.read_evaluation(params, "factbook-dev"):
        by_pair.setdefault((e.question_lang, e.context_lang), []).append(e)
    assert len(by_pair) == 49
    for (question, context), found in by_pair.items():
        assert [e.id for e in found] == [e.id for e in by_pair["en", "en"]]
        assert [(e.context, e.answers) for e in found] == [(e.context, e.answers) for e in by_pair[context, context]]
        assert [e.question for e in found] == [e.question for e in by_pair[question, question]]


def test_no_passage_is_in_two_roles(generated):
    params, _ = generated
    examples = [
        prepared.read_reader_training(params),
        [e for found in prepared.read_parallel(params).values() for e in found],
        *(prepared.read_evaluation(params, name) for name in params.data.evaluation_sets),
    ]
    passages = [{e.context for e in found} for found in examples]
    assert all(passages)
    assert len(set().union(*passages)) == sum(map(len, passages))
    leaks = prepared.read_leakage(params)
    assert leaks[["id", "context", "title"]].to_numpy().sum() == 0
    # the other set has languages of its own; 7 parallel, 1 reader
    assert leaks.groupby("set").size().to_dict() == {"factbook-dev": 8, "factbook-test": 8}
    # the vocabulary is that of every question and passage
    texts = prepared.study_texts(params)
    assert sorted(texts) == sorted({text for found in examples for e in found for text in (e.question, e.context)})
    assert {e.context_lang for found in examples for e in found} == set(LANGUAGES)


def test_what_the_notebook_shows(generated):
    params, table = generated
    overview = roles.overview(table)
    of_dev = overview.loc[("evaluation", "factbook-dev", "de"), ["pairs", "paragraphs", "questions"]]
    assert of_dev.tolist() == [7, 2, 28]
    assert overview.loc[("reader", "train", "en"), "pairs"] == 1
    guess = roles.type_guess(params)
    assert guess == round(factbook.type_guess_baseline(prepared.read_evaluation(params, "factbook-dev")), 1)
    assert 20 <= guess <= 50


def test_kinds_are_of_the_questions_and_languages_that_are_asked(generated):
    params, _ = generated
    kinds = prepared.read_kinds(params)
    assert list(kinds.columns) == prepared.KIND_COLUMNS
    for name in params.data.evaluation_sets:
        asked = {(e.id, e.context_lang): e for e in prepared.read_evaluation(params, name)}
        of_set = kinds[kinds["set"] == name]
        assert set(zip(of_set["id"], of_set["context_lang"], strict=True)) == set(asked)
        right = of_set[of_set["right"] == 1]
        assert len(right) == len(asked)
        for row in right.itertuples():
            assert row.answer == asked[row.id, row.context_lang].answers[0].text
        for row in of_set.itertuples():
            assert row.answer in asked[row.id, row.context_lang].context
        # groups are whole: at least two answers are of the kind that is asked for
        of_kind = of_set.merge(right[["id", "context_lang", "kind"]], on=["id", "context_lang", "kind"])
        assert of_kind.groupby(["id", "context_lang"]).size().between(2, 3).all()


def test_fewer_questions_have_fewer_kinds(tmp_path):
    params = study(tmp_path, evaluation_questions=1)
    roles.prepare(params)
    kinds = prepared.read_kinds(params)
    zero_shot = kinds[kinds["set"] == "factbook-zero-shot"].groupby("context_lang")["id"].nunique()
    assert zero_shot.to_dict() == dict.fromkeys((*ZERO_SHOT_XQUAD, *ZERO_SHOT_TYDIQA), 1)
    # each pair draws its own: what any question language asks of a passage language is there
    english = {e.id for e in prepared.read_evaluation(params, "factbook-dev") if e.context_lang == "en"}
    of_english = kinds[(kinds["set"] == "factbook-dev") & (kinds["context_lang"] == "en")]
    assert set(of_english["id"]) == english
    assert 1 < len(english) <= 7
    path = params.results_folder / "data" / "kinds.csv"
    path.unlink()
    with pytest.raises(DataError, match=f"^{path} is missing: run the data stage again, which writes it$"):
        prepared.read_kinds(params)
    real = prepared.read_kinds(changed(params, data={"source": "real"}))
    assert (len(real), list(real.columns)) == (0, prepared.KIND_COLUMNS)
    assert roles.type_guess(changed(params, data={"source": "real"})) is None


SMALL = {"train_paragraphs": 1, "parallel_paragraphs": 1, "evaluation_sets": ["factbook-zero-shot"]}


def test_a_failure_leaves_what_was_there_before(tmp_path, monkeypatch):
    params = study(tmp_path, **SMALL)
    calls = []

    def full_disk(path, examples, *, version):
        calls.append(path)
        if len(calls) == 5:
            raise OSError("no space left on device")
        path.parent.mkdir(exist_ok=True)
        path.touch()

    monkeypatch.setattr(roles, "write_squad", full_disk)
    for before in ({}, {"good": b""}):
        for name in before:
            params.data_folder.mkdir()
            (params.data_folder / name).touch()
        calls.clear()
        with pytest.raises(OSError, match="no space left"):
            roles.prepare(params)
        assert len(calls) == 5
        assert files_below(tmp_path) == {f"data/{name}": content for name, content in before.items()}


def example(example_id, context="One. Two.", language="en", question_lang=None):
    answers = (GoldAnswer(context[:3], 0),)
    return Example(example_id, "Which?", context, answers, "T", question_lang or language, language)


def test_some_examples_are_drawn_by_id():
    english = [example(str(number), f"context {number}") for number in range(100)]
    some = prepared.some(english, 10, seed=1)
    assert len(some) == 10
    assert [e.id for e in some] == sorted((e.id for e in some), key=int)  # in their order
    assert prepared.some(english, 10, seed=2) != some
    assert prepared.some(english, 0, seed=1) == prepared.some(english, 100, seed=1) == english
    # whatever else there is to draw from
    more = prepared.some([*english[::-1], *(example(str(n)) for n in range(100, 110))], 10, seed=1)
    assert len({e.id for e in more} & {e.id for e in some}) >= 7
    # a smaller draw is a part of a larger one
    drawn = [{e.id for e in prepared.some(english, most, seed=1)} for most in (1, 3, 10, 40)]
    assert drawn[0] < drawn[1] < drawn[2] < drawn[3]


def test_every_language_pair_draws_its_own_so_that_few_questions_are_many_ids():
    drawn = {}
    for pair in itertools.product(PARALLEL, PARALLEL):
        examples = [example(str(n), language=pair[1], question_lang=pair[0]) for n in range(100)]
        drawn[pair] = {e.id for e in prepared.some(examples, 5, seed=1)}
    assert {len(found) for found in drawn.values()} == {5}
    assert drawn["en", "de"] != drawn["de", "en"]
    # 245 draws of 100: 91.9 ids expected (1 - 0.95**49), where one draw for all pairs has 5
    assert 85 <= len(set().union(*drawn.values())) <= 99


def test_held_out_articles_are_drawn_once_for_all_seeds_and_languages():
    examples = [replace(example(str(n)), title=f"article {n // 3}") for n in range(60)]
    held_out = roles.held_out_articles(examples, 5, seed=1)
    assert held_out == {"article 1", "article 10", "article 14", "article 19", "article 6"}
    assert roles.held_out_articles(examples[::-1], 5, seed=1) == held_out
    assert held_out < roles.held_out_articles(examples, 8, seed=1)
    assert held_out != roles.held_out_articles(examples, 5, seed=2)
    assert roles.held_out_articles(examples, 0, seed=1) == set()
    with pytest.raises(DataError, match=r"^data\.held_out_articles is 20, but the parallel data are of 20 articles: "):
        roles.held_out_articles(examples, 20, seed=1)


def test_language_pairs_are_those_of_the_study(tmp_path):
    params = study(tmp_path, evaluation_languages=["en", "vi"])
    assert prepared.language_pairs(params, "mlqa-dev") == [("en", "en"), ("vi", "en"), ("en", "vi"), ("vi", "vi")]
    with pytest.raises(DataError, match=r"no language pair of tydiqa-dev is left by data.evaluation_languages"):
        prepared.language_pairs(params, "tydiqa-dev")
    everywhere = study(tmp_path, evaluation_languages=[])
    assert len(prepared.language_pairs(everywhere, "mlqa-dev")) == 49


def test_overlap_of_training_and_evaluation_is_counted():
    reader = [example("r1", "A reader's passage")]
    parallel = {"en": [example("p1", "Shared  passage")], "de": [example("p1", "Geteilt", "de")]}
    evaluation = {
        "dev": {
            ("en", "en"): [example("d1", "shared PASSAGE"), example("p1", "another")],
            ("de", "en"): [example("d1", "shared PASSAGE", question_lang="de")],
            ("de", "de"): [example("d1", "Neu", "de")],
            ("ko", "ko"): [example("d1", "새", "ko")],
        }
    }
    table = roles.leakage_table(reader, parallel, evaluation)
    assert table.columns.tolist() == ["set", "language", "training", "examples", "id", "context", "title", "near"]
    assert table.values.tolist() == [
        ["dev", "en", "reader", 2, 0, 0, 2, 0],
        ["dev", "en", "parallel", 2, 1, 1, 2, 1],  # of other languages' unseen content, so it is told, not refused
        ["dev", "de", "parallel", 1, 0, 0, 1, 0],
    ]
    assert roles.leakage_table(reader, parallel, evaluation, titles=False)["title"].tolist() == [0, 0, 0]


def test_a_passage_of_an_evaluation_set_must_not_teach_the_reader(tmp_path, monkeypatch):
    params = study(tmp_path, **SMALL | {"evaluation_sets": ["factbook-dev"]})
    reader, parallel, evaluation, stated = roles._factbook(params)
    leaked = evaluation["factbook-dev"]["en", "en"][0]
    leaked = replace(leaked, id="x", context=f"  {leaked.context.upper()} ", answers=(GoldAnswer("", 0),))
    monkeypatch.setattr(roles, "_factbook", lambda params: ([*reader, leaked], parallel, evaluation, stated))
    assert refusal(params).startswith(
        "the reader's training data contain the paragraphs of 2 examples of factbook-dev, word for word or edited ("
    )


def test_xquad_is_split_by_the_articles_that_are_held_out():
    greek = [replace(example(str(n), "x", "el"), title=title) for n, title in enumerate(("Rome", "Oslo", "Rome"))]
    sets = ("xquad-trained-articles", "xquad-other-articles", "xquad-gxlt-other-articles")
    found = [[e.id for e in roles._by_article(greek, {"Oslo"}, name)] for name in sets]
    assert found == [["0", "2"], ["1"], ["1"]]
    with pytest.raises(DataError, match=r"^no article of XQuAD is held out of the parallel data, so that xquad-other-"):
        roles._by_article(greek, set(), "xquad-other-articles")


def test_halves_of_mlqa_split_by_the_english_title():
    german = [replace(example(str(n), "x", "de"), title=f"Artikel {n // 2}") for n in range(40)]
    titles = {str(n): f"article {n // 2}" for n in range(40)}
    choosing, reporting = (roles.mlqa_half(german, titles, name) for name in roles.MLQA_HALVES)
    assert sorted((e.id for e in [*choosing, *reporting]), key=int) == [str(n) for n in range(40)]
    assert {e.title for e in choosing}.isdisjoint(e.title for e in reporting)
    assert {e.title for e in reporting} == {
        title for title in titles.values() if hashlib.sha256(f"0\x1fhalf\x1f{title}".encode()).digest()[0] % 2
    }
    assert 6 <= len({e.title for e in reporting}) <= 14
    with pytest.raises(DataError, match=r"^mlqa-dev: '0' in de and de has no English version, whose title tells its"):
        roles.mlqa_half(german, {}, "mlqa-dev-choosing")


@pytest.mark.real_data
def test_every_pair_keeps_enough_questions_in_each_half_of_mlqa(real_data_dir):
    pairs = {
        (q, c): corpora.load("mlqa-dev", question_lang=q, context_lang=c, data_dir=real_data_dir)
        for q, c in itertools.product(PARALLEL, PARALLEL)
    }
    titles = {e.id: e.title for e in pairs["en", "en"]}
    ids, articles = {}, {}
    for name in roles.MLQA_HALVES:
        halves = {pair: roles.mlqa_half(examples, titles, name) for pair, examples in pairs.items()}
        assert min(map(len, halves.values())) >= 68
        ids[name] = {e.id for half in halves.values() for e in half}
        articles[name] = {e.title for half in halves.values() for e in half}
    one, other = roles.MLQA_HALVES
    assert ids[one].isdisjoint(ids[other])
    assert (len(ids[one]), len(ids[other])) == (584, 564)
    assert (len(articles[one]), len(articles[other])) == (272, 248)


@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        ("embedded", {"evaluation_sets": ["factbok-test"]}, "unknown evaluation set 'factbok-test': expected one of "),
        ("embedded", {"evaluation_sets": ["mlqa-dev"]}, "set 'mlqa-dev' cannot be made with data.source factbook"),
        ("xquad", {"evaluation_sets": ["factbook-dev"]}, "set 'factbook-dev' cannot be made with data.source real"),
        ("xquad", {"reader_train": ["squad-dev"]}, "unknown reader training set 'squad-dev': expected"),
    ],
)
def test_unknown_sets(source, data, message, tmp_path):
    assert message in refusal(study(tmp_path, f"{source}/smoke", **data))


def test_the_metric_of_each_set():
    mlqa = {name for name in prepared.EVALUATION_SETS if prepared.metric_of(name) == "mlqa"}
    assert mlqa == {
        *("factbook-dev", "factbook-dev-en", "factbook-test"),
        *("mlqa-dev", "mlqa-dev-choosing", "mlqa-dev-choosing-xlt", "mlqa-dev-reporting", "mlqa-test"),
    }
    assert prepared.metric_of("xquad-xlt") == "squad"
    with pytest.raises(DataError, match=r"^unknown evaluation set 'squad': expected one of factbook-dev, "):
        prepared.metric_of("squad")


@pytest.fixture
def small_data(tmp_path, monkeypatch):
    """A function that writes a small data set below $XQA_DATA_DIR: code -> ids for XQuAD, ids for TyDiQA in English."""
    folder = tmp_path / "sets"
    monkeypatch.setenv("XQA_DATA_DIR", str(folder))

    def put(name, ids, language):
        def question(i):
            return {"id": i, "question": f"{i}?", "answers": [{"text": f"{i}", "answer_start": 0}]}

        paragraphs = [{"context": f"{i} in {language}.", "qas": [question(i)]} for i in ids]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = {"version": "1", "data": [{"title": "T", "paragraphs": paragraphs}]}
        (folder / name).write_text(json.dumps(data), encoding="utf-8")

    def write(xquad):
        for language, ids in xquad.items():
            put(f"xquad/xquad.{language}.json", ids, language)
        put("tydiqa/train/tydiqa.goldp.en.train.json", ["t1", "t2"], "en")

    return write


def small_study(tmp_path, *languages, **data):
    data = {"evaluation_sets": ["xquad-zero-shot"], "reader_train": ["tydiqa-train-en"]} | data
    data = {"evaluation_languages": [], "held_out_articles": 0, "evaluation_questions": 0, "train_paragraphs": 0} | data
    (tmp_path / "out").mkdir()
    params = study(tmp_path / "out", "xquad/smoke", **data)
    return changed(params, sampling={"languages": list(languages)})


EVERY = {language: ["a", "b"] for language in ("en", "de", "el", "ru", "tr", "th")}


def test_roles_from_files(small_data, tmp_path):
    small_data(EVERY)
    params = small_study(tmp_path, "en", "de")
    table = roles.prepare(params)
    assert table[["role", "set", "question_lang", "context_lang", "questions"]].values.tolist() == [
        ["reader", "train", "en", "en", 2],
        ["parallel", "parallel", "en", "en", 2],
        ["parallel", "parallel", "de", "de", 2],
        *(["evaluation", "xquad-zero-shot", language, language, 2] for language in ("el", "ru", "tr", "th")),
    ]
    assert [e.id for e in prepared.read_reader_training(params)] == ["t1", "t2"]
    assert [e.id for e in prepared.read_evaluation(params, "xquad-zero-shot")] == ["a", "b"] * 4
    assert pd.isna(roles.type_guess(params))


@pytest.mark.parametrize(
    ("xquad", "data", "message"),
    [
        (EVERY | {"de": ["a"]}, {}, "the parallel data in de lack 1 ids that others have ('b' is in en); give all"),
        (EVERY | {"de": ["a", "b", "c"]}, {}, "the parallel data in en lack 1 ids that others have ('c' is in de)"),
        (EVERY, {"reader_train": []}, "no English training data for the reader: set data.reader_train or "),
    ],
)
def test_what_cannot_become_a_study(xquad, data, message, small_data, tmp_path):
    small_data(xquad)
    assert refusal(small_study(tmp_path, "en", "de", **data)).startswith(message)


def test_languages_of_the_user_s_own_files(tmp_path, monkeypatch):
    """Swahili and a made-up language beside English: trained on, read in all pairs, counted by their own script."""
    monkeypatch.setenv("XQA_DATA_DIR", str(tmp_path))
    texts = {"en": "One two three.", "sw": "Moja mbili tatu.", "x-mine": "หนึ่งสองสาม"}
    for language, text in texts.items():
        answer = {"text": text[:3], "answer_start": 0}
        rows = [
            {"id": f"{n}", "title": f"T{n}", "context": text + "!" * n, "question": text, "answers": [answer]}
            for n in range(2)
        ]
        (tmp_path / f"xquad.{language}.json").write_text(json.dumps(rows))  # the flat form does as well
    answer = {"text": "Else", "answer_start": 0}
    row = {"id": "r", "title": "R", "context": "Else.", "question": "What?", "answers": [answer]}
    (tmp_path / "tydiqa.goldp.en.train.json").write_text(json.dumps([row]))
    sets = ["xquad-gxlt-other-articles"]
    params = small_study(tmp_path, *texts, evaluation_sets=sets, held_out_articles=1)
    with pytest.raises(DataError, match=r"^xquad has no question language 'fr': expected .* a file xquad\.fr\.json"):
        roles.prepare(changed(params, sampling={"languages": ["en", "fr"]}))
    params = changed(params, data={"evaluation_languages": list(texts)})
    table = roles.prepare(params)
    assert list(prepared.read_parallel(params)) == list(texts)
    pairs = [(e.question_lang, e.context_lang) for e in prepared.read_evaluation(params, "xquad-gxlt-other-articles")]
    assert pairs == [(question, context) for context in texts for question in texts]
    lengths = table[table["role"] == "parallel"].set_index("context_lang")["mean_context_length"]
    assert lengths["en"] == lengths["sw"] == 3  # words
    assert lengths["x-mine"] in (len(texts["x-mine"]), len(texts["x-mine"]) + 1)  # characters


@pytest.mark.slow
@pytest.mark.real_data
def test_roles_from_the_real_data(real_data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("XQA_DATA_DIR", str(real_data_dir))
    params = study(tmp_path, "xquad/smoke", train_paragraphs=300)
    table = roles.prepare(params)

    xquad = corpora.load("xquad", question_lang="en", context_lang="en")
    forbidden = {normalised_context(e.context) for e in xquad}
    reader = prepared.read_reader_training(params)
    # the first 300 paragraphs of either set, but for those that MLQA's development set holds
    assert 598 <= len({e.context for e in reader}) < 601
    assert forbidden.isdisjoint(normalised_context(e.context) for e in reader)
    assert {e.id for e in xquad}.isdisjoint(e.id for e in reader)

    parallel = prepared.read_parallel(params)
    assert {language: len(examples) for language, examples in parallel.items()} == dict.fromkeys(PARALLEL, 805)
    assert len({tuple(e.id for e in examples) for examples in parallel.values()}) == 1
    assert len({e.title for e in parallel["zh"]}) == 32

    evaluation = table[table["role"] == "evaluation"]
    assert evaluation.groupby("set", sort=False).size().to_dict() == {
        **{"mlqa-dev-choosing": 49, "mlqa-dev-reporting": 49, "xquad-gxlt-other-articles": 49},
        **{"xquad-zero-shot": 4, "tydiqa-train-ko-sw": 2},
    }
    assert set(evaluation["questions"]) == {4}
    trained = {e.title for e in parallel["en"]}
    others = prepared.read_evaluation(params, "xquad-gxlt-other-articles")
    assert trained.isdisjoint(e.title for e in others)
    chosen, reported = (prepared.read_articles(params, f"mlqa-dev-{half}") for half in ("choosing", "reporting"))
    assert set(chosen.values()).isdisjoint(reported.values())
    assert chosen == {e.id: e.title for e in prepared.read_evaluation(params, "mlqa-dev-choosing")}


@pytest.mark.real_data
def test_the_seeds_of_the_real_study_draw_ids_of_their_own(real_data_dir):
    params = load_params("xquad")
    xquad = corpora.load("xquad", question_lang="en", context_lang="en", data_dir=real_data_dir)
    held_out = roles.held_out_articles(xquad, params.data.held_out_articles, params.data.seed)
    pool = {"en": [e for e in xquad if e.title not in held_out]}
    seeds = [*params.seeds, *params.sweeps.choice_seeds]
    drawn = {seed: frozenset(samples.chosen_ids(pool, params.sampling.parallel_ids, seed)) for seed in seeds}
    assert {len(ids) for ids in drawn.values()} == {60}
    for one, other in itertools.combinations(drawn.values(), 2):
        assert len(one & other) <= 15  # 4.5 are expected
    titles = {e.id: e.title for e in xquad}
    assert all(len({titles[i] for i in ids}) >= 12 for ids in drawn.values())  # of 32 articles
