"""A user's folder: what is refused and how it is said, the split by passage, the CSV form, and the roles made of it."""

import json
from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
import yaml

from tests import own_folder
from xqa_lib.data import own, prepared, roles, squad_format
from xqa_lib.errors import DataError
from xqa_lib.study import own_study, params


@pytest.fixture
def folder(tmp_path):
    return own_folder.write(tmp_path / "mine")


def write(folder, code, found, **options):
    (folder / "parallel" / f"{code}.csv").write_text(own_folder.table(found, **options), encoding="utf-8")


def problems(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = own.examine(folder)[1]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before  # nothing is lost
    return [line.replace(str(folder), "mine") for line in found]


def test_a_good_folder(folder):
    parallel, wrong, notes = own.examine(folder)
    assert (list(parallel), wrong, notes) == (["en", "x-sahra"], [], [])
    first = parallel["x-sahra"][0]
    assert (first.question_lang, first.context_lang) == ("x-sahra", "x-sahra")
    (answer,) = first.answers
    assert first.context[answer.start : answer.start + len(answer.text)] == answer.text == "ديرا"


def test_an_id_missing_in_one_language(folder):
    write(folder, "x-sahra", own_folder.rows("x-sahra")[2:])
    assert problems(folder) == [
        'mine/parallel: expected the same 24 ids in every language, found 22 in x-sahra, without "q0-0", "q0-1": add '
        "these questions to x-sahra, or take them out of the other files"
    ]


def test_an_answer_that_is_not_in_its_passage(folder):
    found = own_folder.rows("en")
    found[4] = (*found[4][:4], "Kharama")
    write(folder, "en", found)
    assert problems(folder) == [
        'mine/parallel/en.csv: line 6 (id "q1-1").answers[0]: expected the answer "Kharama" in its context, found it '
        "nowhere; it does not occur in the context: correct the answer or the context"
    ]


def test_two_spellings_of_a_code(folder):
    for code in ("pt-BR", "pt_br"):
        write(folder, code, own_folder.rows("x-sahra"))
    assert problems(folder) == [
        "mine/parallel: expected one file for pt-BR, found pt-BR.csv, pt_br.csv: keep one of them, named pt-BR"
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PT_br", "found PT_br.csv: rename it to pt-BR"),
        ("sr-cyrl", "found sr-cyrl.csv: rename it to sr-Cyrl"),
        ("X-Mine", "found X-Mine.csv: rename it to x-mine"),
        ("Romanian!", "found Romanian!.csv: rename it to the language's code, or to one such as x-mine"),
    ],
)
def test_another_spelling(folder, name, message):
    (folder / "parallel" / "x-sahra.csv").rename(folder / "parallel" / f"{name}.csv")
    assert problems(folder)[0] == f"mine/parallel: expected a code such as ro, pt-BR or x-mine (BCP 47), {message}"


def test_three_examples_in_all(folder):
    for code in own_folder.TEMPLATES:
        write(folder, code, own_folder.rows(code)[:3])
    assert problems(folder) == [
        "mine/parallel: expected at least 20 questions about 5 passages, found 3 about 1: a fifth of them tests, and "
        "could show nothing; translate more, 100 are a good start"
    ]


def test_a_folder_without_english(folder):
    (folder / "parallel" / "en.csv").rename(folder / "parallel" / "ro.csv")
    assert problems(folder) == [
        "mine/parallel: expected English among the languages, found ro, x-sahra; add en.json with the English versions "
        "of the same questions: the reader learns to read in English"
    ]


def test_one_language_another_form_and_no_folder(folder, tmp_path):
    (folder / "parallel" / "x-sahra.csv").rename(folder / "parallel" / "x-sahra.xlsx")
    assert problems(folder) == [
        "mine/parallel: expected .json, .jsonl, .csv or a saved dataset, found x-sahra.xlsx: save it as one of these, "
        "or take it away",
        "mine/parallel: expected English and a language of yours, found 1 language(s)",
    ]
    assert own.examine(tmp_path / "none")[1] == [
        f"{tmp_path}/none/parallel: expected this folder with a file for each language, found none; check the path"
    ]


def test_what_is_wrong_with_the_readers_questions_is_listed_too(folder):
    reader = folder / "reader"
    (reader / "broken.json").write_text("{", encoding="utf-8")
    row = own_folder.rows("en")[0]
    more = own_folder.table([("r-q0-0", *row[1:]), ("r-new", *row[1:4], "Mondy")])
    (reader / "more.csv").write_text(more, encoding="utf-8")
    (reader / "questions.tsv").write_text(more, encoding="utf-8")
    forms, broken, answer, repeated = problems(folder)
    assert forms.startswith("mine/reader: expected .json, .jsonl, .csv or a saved dataset, found questions.tsv: ")
    assert broken.startswith("mine/reader/broken.json: line 1, column 2: expected JSON")
    assert answer.startswith('mine/reader/more.csv: line 3 (id "r-new").answers[0]: expected the answer "Mondy"')
    assert repeated == (
        'mine/reader: expected each id once, found "r-q0-0" in more.csv and questions.csv: rename one of them'
    )


def test_json_beside_csv(folder):
    path = folder / "parallel" / "en.csv"
    examples = squad_format.read_squad(path, question_lang="en", context_lang="en")
    squad_format.write_squad(folder / "parallel" / "en.json", examples, version="1.1")
    path.unlink()
    assert problems(folder) == []


# ------------------------------------------------------------------------------------------------------- CSV


def read(path):
    return squad_format.read_squad(path, question_lang="en", context_lang="en")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_separators_and_a_byte_order_mark(tmp_path, delimiter):
    path = tmp_path / "a.csv"
    text = own_folder.table([("1", "T", 'He said "a, b; c".', "What?", "a, b; c")], delimiter=delimiter)
    path.write_text(text, encoding="utf-8-sig")
    (example,) = read(path)
    assert (example.context, example.title) == ('He said "a, b; c".', "T")
    assert example.answers == (squad_format.GoldAnswer("a, b; c", 9),)


def test_an_answer_that_occurs_twice_is_listed_and_a_column_names_another(tmp_path):
    path = tmp_path / "a.csv"
    row = ("1", "10 men and 10 women", "How many women?", "10")
    path.write_text(own_folder.table([row], ("id", "context", "question", "answer")), encoding="utf-8")
    assert [a.start for a in read(path)[0].answers] == [0]
    assert squad_format.repeated_answers(path) == [
        f'{path}: line 2 (id "1"): the answer "10" occurs at 0, 11: the first is taken; a column answer_start names '
        "another"
    ]
    header = ("id", "context", "question", "answer", "answer_start")
    path.write_text(own_folder.table([(*row, "11")], header), encoding="utf-8")
    assert [a.start for a in read(path)[0].answers] == [11]
    assert squad_format.repeated_answers(path) == []
    path.write_text(own_folder.table([(*row, "eleven")], header), encoding="utf-8")
    with pytest.raises(DataError, match='answer_start: expected a whole number, found the string "eleven"'):
        read(path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("id,context,question\n1,a,b\n", 'found "id", "context", "question": add answer'),
        ("", "found none: add id, context, question, answer"),
        ("id,context,question,answer\n1,a, b,c,d\n", "line 2: expected 4 cells, found more; put texts with separators"),
        ("id,context,question,answer\n1,a\n", "line 2: expected 4 cells, found fewer; put texts with separators"),
        ('id,context,question,answer\n1,"a"b,c,d\n', "line 2: not a table: "),
        ("id,context,question,answer\n", "expected at least one question, found none"),
        ("id,context,question,answer\n1,caf\xe9,b,c\n".encode("latin-1"), "expected UTF-8, found the byte 0xe9"),
        (b"PK\x03\x04\xff", "this looks like a compressed file"),
    ],
)
def test_what_is_no_table(tmp_path, raw, message):
    path = tmp_path / "a.csv"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    with pytest.raises(DataError) as error:
        read(path)
    assert message in str(error.value)


# --------------------------------------------------------------------------------------------------- the split


def test_the_split_shares_out_whole_passages(folder):
    parallel = own.examine(folder)[0]
    part = own.split(parallel, 13)
    assert Counter(part.values()) == {"train": 12, "test": 6, "dev": 6}
    for examples in parallel.values():
        assert len({(e.context, part[e.id]) for e in examples}) == 8
    assert own.split(dict(reversed(parallel.items())), 13) == part  # of ids and seed alone
    assert own.split(parallel, 14) != part


def test_a_passage_of_any_language_joins_its_ids(folder):
    parallel = own.examine(folder)[0]
    together = [replace(e, context="one") if e.id in ("q0-0", "q7-2") else e for e in parallel["x-sahra"]]
    passages = own.passages_of({"en": parallel["en"], "x-sahra": together})
    assert passages["q0-1"] == passages["q7-1"] == "q0-0"
    assert len(set(passages.values())) == 7
    whole = {"en": [replace(e, context="one") for e in parallel["en"]]}
    with pytest.raises(DataError, match="found one with 24 of 24 questions; split it, or add questions about others"):
        own.split(whole, 1)


@pytest.mark.parametrize(
    "change",
    [lambda text: text + "  ", lambda text: text.replace(" ", "\u00a0 "), lambda text: text.replace("1", "One")],
)
def test_copies_of_a_passage_that_differ_a_little_stay_together(folder, change):
    """Of each passage one row is as it was, another is changed: neither may teach what the other tests."""
    for code in own_folder.TEMPLATES:
        found = [(*r[:2], change(r[2]) if r[0].endswith("-1") else r[2], *r[3:]) for r in own_folder.rows(code)]
        write(folder, code, found)
    parallel, wrong, _ = own.examine(folder)
    assert wrong == []
    assert len(set(own.passages_of(parallel).values())) == 8
    cfg = study(folder)
    roles.prepare(cfg)
    leaks = pd.read_csv(cfg.results_folder / "data" / "leakage.csv").query("training == 'parallel'")
    assert len(leaks) == 2 * 2  # sets, languages
    assert not leaks[["id", "context", "near"]].any(axis=None)


def test_the_interval_to_expect():
    assert own.half_width(100) == pytest.approx(6.468)
    assert own.half_width(25) == pytest.approx(2 * own.half_width(100))


# --------------------------------------------------------------------------------------------------- the roles


def study(folder, size="smoke"):
    text, _ = own_study.compose(folder, own.examine(folder)[0], size)
    made = params.checked(yaml.safe_load(text), "test")
    paths = {name: str(folder.parent / name) for name in vars(made.paths)}
    return replace(made, paths=replace(made.paths, **paths))


def test_the_roles(folder):
    cfg = study(folder)
    assert cfg.sampling.languages == ["en", "x-sahra"]
    roles.prepare(cfg)
    parallel = prepared.read_parallel(cfg)
    assert {code: len(examples) for code, examples in parallel.items()} == {"en": 12, "x-sahra": 12}
    part = own.split(own.examine(folder)[0], cfg.data.seed)
    for name in ("dev", "test"):
        found = prepared.read_evaluation(cfg, f"own-{name}")
        pairs = Counter((e.question_lang, e.context_lang) for e in found)
        assert pairs == {(a, b): 4 for a in cfg.sampling.languages for b in cfg.sampling.languages}
        assert {part[e.id] for e in found} == {name}
    reader = prepared.read_reader_training(cfg)
    assert len(reader) == 36
    asked = (cfg.results_folder / "data" / "questions.csv").read_text(encoding="utf-8").splitlines()
    assert asked[0] == "set,id,question_lang,context_lang,question,answer"
    assert len(asked) == 1 + 2 * 4 * 4  # sets, language pairs, questions of each


def test_the_reader_is_not_taught_a_passage_of_the_user(folder):
    seen = own_folder.rows("en")[0]
    path = folder / "reader" / "more.csv"
    path.write_text(own_folder.table([("r-new", *seen[1:])]), encoding="utf-8")
    cfg = study(folder)
    roles.prepare(cfg)
    assert seen[2] not in {e.context for e in prepared.read_reader_training(cfg)}


def test_other_data_make_the_same_reader(folder):
    cfg = study(folder)
    roles.prepare(cfg)
    before = (cfg.data_folder / "reader" / "train-en.json").read_bytes()
    for code in own_folder.TEMPLATES:
        write(folder, code, own_folder.rows(code)[3:])
    cfg = study(folder)
    roles.prepare(cfg)
    assert (cfg.data_folder / "reader" / "train-en.json").read_bytes() == before


def test_files_that_changed_since_the_parameters_were_composed(folder):
    cfg = study(folder)
    write(folder, "en", own_folder.rows("en")[::-1])
    with pytest.raises(DataError, match=r"not those that params.yaml was composed for; compose the parameters again"):
        roles.prepare(cfg)
    write(folder, "en", own_folder.rows("en")[1:])
    with pytest.raises(DataError, match="expected the same 24 ids"):
        roles.prepare(cfg)
    with pytest.raises(DataError, match=r"^the profile own has no data: .* make reproduce PROFILE=own DATA=FOLDER$"):
        roles.prepare(params.load_params("own/smoke"))


def test_the_test_reads_every_question_and_the_development_set_some(folder):
    for code in own_folder.TEMPLATES:
        found = own_folder.rows(code)
        more = [(f"{r[0]}-{n}", *r[1:]) for n in range(20) for r in found]
        write(folder, code, more)
    cfg = study(folder, "full")
    roles.prepare(cfg)
    for name, expected in (("own-dev", 60), ("own-test", 120)):
        found = Counter((e.question_lang, e.context_lang) for e in prepared.read_evaluation(cfg, name))
        assert found == {(a, b): expected for a in cfg.sampling.languages for b in cfg.sampling.languages}
    assert json.loads(json.dumps(cfg.as_dict()))["sweeps"]["few_ids"] == [60, 120]
