"""The roles of a study as files, from the generated corpus, small hand-made sets and the real ones; what is refused."""

import dataclasses
import hashlib
import itertools
import json
from dataclasses import replace

import pandas as pd
import pytest

from xqa_lib.data import corpora, factbook, prepared, roles
from xqa_lib.data.leakage import normalised_context
from xqa_lib.data.squad_format import Example, GoldAnswer, read_squad
from xqa_lib.errors import DataError
from xqa_lib.languages import LANGUAGES, PARALLEL, ZERO_SHOT_TYDIQA, ZERO_SHOT_XQUAD
from xqa_lib.study import samples
from xqa_lib.study.params import load_params


def changed(params, **sections):
    """Parameters with some fields of some sections replaced: changed(p, data={"seed": 2})."""
    return replace(params, **{name: replace(getattr(params, name), **values) for name, values in sections.items()})


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


# -------------------------------------------------------------------------------------------- the generated corpus


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """(params, table): the generated data of the smoke study; not to be changed."""
    params = study(tmp_path_factory.mktemp("factbook"))
    return params, roles.prepare(params)


def test_the_files_of_the_generated_data(generated):
    params, _ = generated
    pairs = {
        "factbook-dev": [(question, context) for context in PARALLEL for question in PARALLEL],
        "factbook-test": [(question, context) for context in PARALLEL for question in PARALLEL],
        "factbook-zero-shot": [(language, language) for language in (*ZERO_SHOT_XQUAD, *ZERO_SHOT_TYDIQA)],
    }
    assert set(files_below(params.data_folder)) == {
        "reader/train-en.json",
        *(f"parallel/{language}.json" for language in PARALLEL),
        *(
            f"evaluation/{name}/context-{context}-question-{question}.json"
            for name, of_set in pairs.items()
            for question, context in of_set
        ),
    }
    assert set(files_below(params.results_folder)) == {
        f"data/{name}.csv" for name in ("summary", "leakage", "articles", "kinds")
    }
    found = sorted(path.name for path in params.data_folder.parent.iterdir())
    assert found == ["data", "results"]  # nothing half-made beside it


def test_the_sizes_are_those_of_the_parameters(generated):
    params, table = generated
    assert params.data.evaluation_questions == params.data.evaluation_paragraphs * params.data.questions_per_paragraph
    paragraphs, asked = params.data.parallel_paragraphs, params.data.questions_per_paragraph
    parallel = table[table["role"] == "parallel"]
    assert parallel[["set", "question_lang", "context_lang", "paragraphs", "questions"]].values.tolist() == [
        ["parallel", language, language, paragraphs, paragraphs * asked] for language in PARALLEL
    ]
    evaluation = table[table["role"] == "evaluation"]
    assert evaluation.groupby("set", sort=False).size().to_dict() == {
        "factbook-dev": 49,
        "factbook-test": 49,
        "factbook-zero-shot": 10,
    }
    assert set(evaluation["paragraphs"]) == {params.data.evaluation_paragraphs}
    assert set(evaluation["questions"]) == {params.data.evaluation_questions}
    (reader,) = table[table["role"] == "reader"].to_dict("records")
    assert reader["paragraphs"] == params.data.train_paragraphs
    assert reader["questions"] > 4 * reader["paragraphs"]  # every fact is asked for


def test_what_is_written_is_what_was_counted(generated):
    params, table = generated
    pd.testing.assert_frame_equal(pd.read_csv(params.results_folder / "data" / "summary.csv"), table)
    for row in table[table["role"] == "evaluation"].itertuples():
        path = (
            params.data_folder
            / "evaluation"
            / row.set
            / f"context-{row.context_lang}-question-{row.question_lang}.json"
        )
        examples = read_squad(path, question_lang=row.question_lang, context_lang=row.context_lang)
        assert (len(examples), len({e.context for e in examples})) == (row.questions, row.paragraphs)
    # words where the script separates them, else characters
    thai = read_squad(
        params.data_folder / "evaluation/factbook-zero-shot/context-th-question-th.json",
        question_lang="th",
        context_lang="th",
    )
    lengths = [len(context) for context in dict.fromkeys(e.context for e in thai)]
    row = table[(table["set"] == "factbook-zero-shot") & (table["context_lang"] == "th")].iloc[0]
    assert row["mean_context_length"] == round(sum(lengths) / len(lengths), 1)
    train = prepared.read_reader_training(params)
    lengths = [len(context.split()) for context in dict.fromkeys(e.context for e in train)]
    assert table["mean_context_length"].iloc[0] == round(sum(lengths) / len(lengths), 1)


def test_parallel_data_are_parallel(generated):
    params, _ = generated
    parallel = prepared.read_parallel(params)
    assert list(parallel) == list(PARALLEL)
    english = parallel["en"]
    for language, examples in parallel.items():
        assert [e.id for e in examples] == [e.id for e in english]
        assert [e.title for e in examples] == [e.title for e in english]
        assert {(e.question_lang, e.context_lang) for e in examples} == {(language, language)}
    assert len({examples[0].context for examples in parallel.values()}) == len(PARALLEL)


def test_pairs_of_a_context_language_share_their_passages(generated):
    params, _ = generated
    examples = prepared.read_evaluation(params, "factbook-dev")
    pairs = list(dict.fromkeys((e.question_lang, e.context_lang) for e in examples))
    assert len(pairs) == 49
    by_pair = {pair: [e for e in examples if (e.question_lang, e.context_lang) == pair] for pair in pairs}
    for (question, context), found in by_pair.items():
        assert [e.id for e in found] == [e.id for e in by_pair["en", "en"]]
        assert [(e.context, e.answers) for e in found] == [(e.context, e.answers) for e in by_pair[context, context]]
        assert [e.question for e in found] == [e.question for e in by_pair[question, question]]


def test_the_reader_s_data(generated):
    params, _ = generated
    training = prepared.read_reader_training(params)
    assert {(e.question_lang, e.context_lang) for e in training} == {("en", "en")}
    assert len({e.context for e in training}) == params.data.train_paragraphs


def test_no_passage_is_in_two_roles(generated):
    params, _ = generated
    passages = {
        "training": {e.context for e in prepared.read_reader_training(params)},
        "parallel": {e.context for examples in prepared.read_parallel(params).values() for e in examples},
        **{name: {e.context for e in prepared.read_evaluation(params, name)} for name in params.data.evaluation_sets},
    }
    seen = set()
    for contexts in passages.values():
        assert contexts
        assert seen.isdisjoint(contexts)
        seen |= contexts
    leaks = prepared.read_leakage(params)
    assert set(leaks["set"]) == {"factbook-dev", "factbook-test"}  # the others have languages of their own
    assert leaks[["id", "context", "title"]].to_numpy().sum() == 0
    assert leaks.groupby("set").size().to_dict() == {"factbook-dev": 8, "factbook-test": 8}  # 7 parallel, 1 reader


def test_the_same_parameters_give_the_same_bytes(generated, tmp_path):
    params, _ = generated
    few = {"train_paragraphs": 2, "evaluation_sets": ["factbook-dev"]}
    again = study(tmp_path / "again", **few)
    roles.prepare(again)
    other = study(tmp_path / "other", **few, seed=params.data.seed + 1)
    roles.prepare(other)
    first, second, third = (files_below(p.data_folder) for p in (params, again, other))
    same = [name for name in second if name.startswith(("parallel/", "evaluation/factbook-dev/"))]
    assert len(same) == 56
    assert [first[name] for name in same] == [second[name] for name in same]
    assert not any(second[name] == third[name] for name in same)


def test_the_study_s_texts_are_every_question_and_passage_once(generated):
    params, _ = generated
    texts = prepared.study_texts(params)
    examples = [
        *prepared.read_reader_training(params),
        *(e for found in prepared.read_parallel(params).values() for e in found),
        *(e for name in params.data.evaluation_sets for e in prepared.read_evaluation(params, name)),
    ]
    assert len(texts) == len(set(texts))
    assert set(texts) == {text for e in examples for text in (e.question, e.context)}
    # answers are slices of passages
    assert {e.context_lang for e in examples} == set(LANGUAGES)


def test_what_the_notebook_shows(generated):
    params, table = generated
    overview = roles.overview(table)
    assert overview.loc[("evaluation", "factbook-dev", "de")].to_dict() == {
        "pairs": 7,
        "paragraphs": 2,
        "questions": 28,
        "mean_context_length": table.query("set == 'factbook-dev' and context_lang == 'de'")[
            "mean_context_length"
        ].iloc[0],
    }
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
    with pytest.raises(DataError) as error:
        prepared.read_kinds(params)
    assert str(error.value) == f"{path} is missing: run the data stage again, which writes it"
    real = prepared.read_kinds(changed(params, data={"source": "real"}))
    assert (len(real), list(real.columns)) == (0, prepared.KIND_COLUMNS)
    assert roles.type_guess(changed(params, data={"source": "real"})) is None


# -------------------------------------------------------------------------------------------- whole or not at all


SMALL = {
    "train_paragraphs": 1,
    "parallel_paragraphs": 1,
    "evaluation_sets": ["factbook-zero-shot"],
}


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    params = study(tmp_path, **SMALL)
    write, calls = roles.write_squad, []

    def full_disk(path, examples, *, version):
        calls.append(path)
        if len(calls) == 5:
            raise OSError("no space left on device")
        write(path, examples, version=version)

    monkeypatch.setattr(roles, "write_squad", full_disk)
    with pytest.raises(OSError, match="no space left"):
        roles.prepare(params)
    assert list(tmp_path.iterdir()) == []
    # and what was there before stays
    monkeypatch.setattr(roles, "write_squad", write)
    roles.prepare(params)
    before = files_below(params.data_folder)
    calls.clear()
    monkeypatch.setattr(roles, "write_squad", full_disk)
    with pytest.raises(OSError, match="no space left"):
        roles.prepare(replace(params, data=replace(params.data, seed=99)))
    assert files_below(params.data_folder) == before
    assert {path.name for path in tmp_path.iterdir()} == {"data", "results"}


# -------------------------------------------------------------------------------------------- samples of examples


def example(example_id, context="One. Two.", language="en", question_lang=None):
    return Example(
        example_id, "Which?", context, (GoldAnswer(context[:3], 0),), "T", question_lang or language, language
    )


def test_some_examples_are_drawn_by_id():
    english = [example(str(number), f"context {number}") for number in range(100)]
    some = prepared.some(english, 10, seed=1)
    assert len(some) == 10
    assert [e.id for e in some] == sorted((e.id for e in some), key=int)  # in their order
    assert prepared.some(english, 10, seed=1) == some
    assert prepared.some(english, 10, seed=2) != some
    assert prepared.some(english, 0, seed=1) == prepared.some(english, 100, seed=1) == english
    # whatever else there is to draw from
    more = prepared.some([*english[::-1], *(example(str(n)) for n in range(100, 110))], 10, seed=1)
    assert len({e.id for e in more} & {e.id for e in some}) >= 7
    # a smaller draw is a part of a larger one
    drawn = [{e.id for e in prepared.some(english, most, seed=1)} for most in (1, 3, 10, 40)]
    assert drawn[0] < drawn[1] < drawn[2] < drawn[3]


def test_every_language_pair_draws_its_own_so_that_few_questions_are_many_ids():
    ids = [str(number) for number in range(100)]
    drawn = {
        (question, context): {
            e.id for e in prepared.some([example(i, language=context, question_lang=question) for i in ids], 5, seed=1)
        }
        for question in PARALLEL
        for context in PARALLEL
    }
    assert {len(found) for found in drawn.values()} == {5}
    assert drawn["en", "de"] != drawn["de", "en"]
    # 245 draws of 100: 91.9 ids expected (1 - 0.95**49), where one draw for all pairs has 5
    assert 85 <= len(set().union(*drawn.values())) <= 99


def test_the_first_paragraphs_keep_all_their_questions():
    examples = [example("1", "aaa"), example("2", "bbb"), example("3", "aaa"), example("4", "ccc")]
    assert [e.id for e in roles._first_paragraphs(examples, 2)] == ["1", "2", "3"]
    assert roles._first_paragraphs(examples, 0) == examples
    assert roles._first_paragraphs(examples, 9) == examples


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


# -------------------------------------------------------------------------------------------- overlap and alignment


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
    names = ["set", "language", "training", "examples", "id", "context", "title", "near"]
    assert table.columns.tolist() == names
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
        (question, context): corpora.load(
            "mlqa-dev", question_lang=question, context_lang=context, data_dir=real_data_dir
        )
        for question in PARALLEL
        for context in PARALLEL
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


# -------------------------------------------------------------------------------------------- names that are not known


@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        (
            "embedded/smoke",
            {"evaluation_sets": ["factbook-dev", "factbok-test"]},
            "unknown evaluation set 'factbok-test': expected one of factbook-dev, factbook-dev-en, factbook-test, "
            "factbook-zero-shot, "
            "mlqa-dev, mlqa-dev-choosing, mlqa-dev-choosing-xlt, mlqa-dev-reporting, mlqa-test, xquad-zero-shot, "
            "xquad-trained-articles, xquad-other-articles, xquad-gxlt-other-articles, xquad-xlt, tydiqa-dev, "
            "tydiqa-train-ko-sw",
        ),
        (
            "embedded/smoke",
            {"evaluation_sets": ["mlqa-dev"]},
            "the evaluation set 'mlqa-dev' cannot be made with data.source factbook",
        ),
        (
            "xquad/smoke",
            {"evaluation_sets": ["factbook-dev"]},
            "the evaluation set 'factbook-dev' cannot be made with data.source real",
        ),
        (
            "xquad/smoke",
            {"reader_train": ["squad-dev"]},
            "unknown reader training set 'squad-dev': expected one of squad-train, squad-dev-without-xquad, "
            "tydiqa-train-en",
        ),
    ],
)
def test_unknown_sets(source, data, message, tmp_path):
    assert refusal(study(tmp_path, source, **data)) == message


def test_the_metric_of_each_set():
    assert {name: prepared.metric_of(name) for name in prepared.EVALUATION_SETS} == {
        "factbook-dev": "mlqa",
        "factbook-dev-en": "mlqa",
        "factbook-test": "mlqa",
        "factbook-zero-shot": "squad",
        "mlqa-dev": "mlqa",
        "mlqa-dev-choosing": "mlqa",
        "mlqa-dev-choosing-xlt": "mlqa",
        "mlqa-dev-reporting": "mlqa",
        "mlqa-test": "mlqa",
        "xquad-zero-shot": "squad",
        "xquad-trained-articles": "squad",
        "xquad-other-articles": "squad",
        "xquad-gxlt-other-articles": "squad",
        "xquad-xlt": "squad",
        "tydiqa-dev": "squad",
        "tydiqa-train-ko-sw": "squad",
    }
    with pytest.raises(DataError) as error:
        prepared.metric_of("squad")
    assert str(error.value).startswith("unknown evaluation set 'squad': expected one of factbook-dev, ")


def test_the_sets_of_every_profile_are_known():
    for profile in ("embedded", "xquad", "paper"):
        data = load_params(profile).data
        assert set(data.evaluation_sets) <= set(prepared.EVALUATION_SETS)
        assert set(data.reader_train) <= set(roles.READER_SETS)


# -------------------------------------------------------------------------------------------- data sets from files


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
    data = {"evaluation_languages": []} | data
    data = {"parallel_paragraphs": 0, "held_out_articles": 0, "evaluation_questions": 0} | data
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
        (
            EVERY | {"de": ["a"]},
            {},
            "the parallel data in de lack 1 ids that others have ('b' is in en); give all languages the same ids, or "
            "take de out of sampling.languages",
        ),
        (
            EVERY | {"de": ["a", "b", "c"]},
            {},
            "the parallel data in en lack 1 ids that others have ('c' is in de); give all languages the same ids, or "
            "take en out of sampling.languages",
        ),
        (
            EVERY,
            {"reader_train": []},
            "no English training data for the reader: set data.reader_train or data.train_paragraphs",
        ),
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
        articles = [
            {
                "title": f"T{n}",
                "paragraphs": [
                    {"context": text + "!" * n, "qas": [{"id": f"{n}", "question": text, "answers": [answer]}]}
                ],
            }
            for n in range(2)
        ]
        (tmp_path / f"xquad.{language}.json").write_text(json.dumps({"version": "1", "data": articles}))
    answer = {"text": "Else", "answer_start": 0}
    row = {"id": "r", "title": "R", "context": "Else.", "question": "What?", "answers": [answer]}
    (tmp_path / "tydiqa.goldp.en.train.json").write_text(json.dumps([row]))  # the flat form does as well
    sets = {"evaluation_sets": ["xquad-gxlt-other-articles"], "reader_train": ["tydiqa-train-en"]}
    (tmp_path / "out").mkdir()
    params = study(
        tmp_path / "out", "xquad/smoke", **sets, evaluation_languages=[], evaluation_questions=0, held_out_articles=1
    )
    params = changed(params, sampling={"languages": list(texts)})
    with pytest.raises(
        DataError, match=r"^xquad has no question language 'fr': expected one of .* a file xquad\.fr\.json"
    ):
        roles.prepare(changed(params, sampling={"languages": ["en", "fr"]}))
    params = changed(params, data={"evaluation_languages": list(texts)})
    table = roles.prepare(params)
    assert list(prepared.read_parallel(params)) == list(texts)
    pairs = [(e.question_lang, e.context_lang) for e in prepared.read_evaluation(params, "xquad-gxlt-other-articles")]
    assert pairs == [(question, context) for context in texts for question in texts]
    lengths = table[table["role"] == "parallel"].set_index("context_lang")["mean_context_length"]
    assert lengths["en"] == lengths["sw"] == 3  # words
    assert lengths["x-mine"] in (len(texts["x-mine"]), len(texts["x-mine"]) + 1)  # characters


# -------------------------------------------------------------------------------------------- the real data


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


def test_parameters_are_not_changed_by_preparing(generated):
    params, _ = generated
    assert dataclasses.replace(params, paths=load_params("embedded/smoke").paths) == load_params("embedded/smoke")
