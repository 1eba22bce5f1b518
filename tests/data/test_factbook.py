"""factbook: the language files, and the corpus that is generated from them."""

import hashlib
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from xqa_lib.data import factbook
from xqa_lib.data.factbook import corpus, language_files, review
from xqa_lib.data.squad_format import Example, GoldAnswer
from xqa_lib.errors import DataError

AVAILABLE = factbook.available_languages()
ENGLISH = (language_files.FOLDER / "en.yaml").read_text(encoding="utf-8")
# After a wanted change of en.yaml or of the generator: python tests/data/test_factbook.py prints the new value.
ENGLISH_DIGEST = "2fe6b332dcb9a8663dae4d215ee3841423bf2b802f11e453216f11be93ec5bb3"


def english_digest():
    """SHA-256 of a small English corpus as JSON."""
    paragraphs = factbook.generate(
        paragraphs=8, languages=["en"], seed=7, split="development", wordings="evaluation", questions_per_paragraph=4
    )["en"]
    rows = [
        [e.id, e.title, e.question, e.context, e.answers[0].text, e.answers[0].start]
        for e in factbook.examples_of(paragraphs)
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@pytest.fixture(scope="module")
def training():
    return factbook.generate(paragraphs=60, languages=AVAILABLE, seed=1, split="train")


@pytest.fixture(scope="module")
def evaluation():
    return factbook.generate(paragraphs=60, languages=AVAILABLE, seed=1, split="test", wordings="evaluation")


def filled(paragraph, template):
    return template.replace("{subject}", paragraph.subject)


@pytest.mark.parametrize("code", AVAILABLE)
def test_language_files_have_no_problems(code):
    assert factbook.language_problems(language_files.FOLDER / f"{code}.yaml") == []


def test_english_data_is_loaded_as_written():
    english = factbook.load_language("en")
    assert english.months[4] == "May"
    assert english.words["colour"]["grey"] == "grey"
    assert english.names.syllables["zu"] == "zu"
    assert english.entities["town"].relations["bridges"].questions[2] == "How many bridges are there in {subject}?"
    assert factbook.load_language(language_files.FOLDER / "en.yaml") == english
    with pytest.raises(ValueError, match="frozen"):
        english.words.colour.grey = "gray"
    with pytest.raises(DataError, match=r"^unknown language 'xx': expected one of .*, or the path of a .yaml file$"):
        factbook.load_language("xx")


SYLLABLES = f"{', '.join(language_files.SYLLABLES[:25])}, ... (70 in all)"


QUESTION, STATEMENT = '"Where was {subject} born?"', '"{subject} was born in {answer}."'
WRONG = [
    ("language: en\n", "language: [en\n", "line 7: expected valid YAML, found: did not find expected ',' or ']'"),
    ('    red: "red"\n', '    red: "red"\n    red: "x"\n', "line 32: expected valid YAML, found: key 'red' is given"),
    ("language: en\n", "language: xx\n", "language: expected one of en, es, de, "),
    ("language: en\n", "language: es\n", "language: expected 'en' as in the file name, found 'es'"),
    ("language: en\n", "language: ru\n", "names.syllables: expected the keys ba, "),  # for another script
    ('    pink: "pink"\n', "", "words.colour: expected the keys red, blue, green, "),
    ('  kilogram: "', '  pound: "{number}"\n  kilogram: "', "quantities: expected only the keys metre, kilogram"),
    ('_separator: " "\n', '_separator: "  "\n', "text.sentence_separator: expected ' ', found '  '"),
    ('joiner: " "\n', 'joiner: "--"\n', "text.name_joiner: expected a string of at most one character, found '--'"),
    ('"0123456789"', '"012345678"', "text.digits: expected the ten digits from zero to nine, found '012345678'"),
    ('"0123456789"', "1234567890", "text.digits: expected a valid string, found 1234567890"),
    ("_from: 1000", "_from: 100", "text.thousands_from: expected 1000 or 10000, found 100"),
    ("{day}, {year}", "{day}", "text.date: expected {year} exactly once, found it 0 times in '{month} {day}'"),
    (', "December"]', "]", "months: expected at least 12, found 11 entries"),
    ('"December"', '"May"', "months: expected distinct entries, found twice 'May'"),
    ('"{number} metres"', '"{numbers} metres"', "quantities.metre: expected {number} exactly once, found it 0 times"),
    ('red: "red"', 'red: ""', "words.colour.red: expected a non-empty string, found ''"),
    ('red: "red"', 'red: "{red}"', "words.colour.red: expected no placeholder, found {red} in '{red}'"),
    ('red: "red"', 'red: "pink"', "words.colour: expected distinct entries, found twice 'pink'"),
    ('red: "red"', 'red: "re\u0301d"', "words.colour.red: expected text in Unicode form NFC, found 'réd', which is"),
    ('red: "red"', 'red: "red "', "words.colour.red: expected single spaces inside and none at the ends, found 'red '"),
    ('red: "red"', 'red: "r\\u200Bed"', "words.colour.red: expected no invisible control characters, found "),
    ("  finals: {}\n", '  finals: {n: "n", r: "r", s: "s", l: "l"}\n', "names.syllables: expected the keys ba, "),
    (f"          - {STATEMENT}\n", "", "birth_place.statements: expected at least 3, found 2 entries"),
    (STATEMENT, '"{subject} was born there."', "birth_place.statements[0]: expected {answer} exactly once, found it 0"),
    (STATEMENT, '"{subject} {answer} {subject}."', "birth_place.statements[0]: expected {subject} at most once, found"),
    (QUESTION, '"Was {subject} {answer}?"', "birth_place.questions[0]: expected no placeholder but {subject}, found {"),
    (QUESTION, '"Where was the person born?"', "birth_place.questions[0]: expected {subject} exactly once, found it 0"),
    ('- "{subject} is a company', '- "It is one', "company.introductions[0]: expected {subject} exactly once, found"),
    (QUESTION, '"Where was {subject}} born?"', "birth_place.questions[0]: expected braces in pairs, found a single"),
    (QUESTION, '"Where was {subject} born 1?"', "birth_place.questions[0]: expected no digits, found '1' in "),
    (QUESTION, '"Where was “{subject} born?"', "birth_place.questions[0]: expected no quotation marks, found '“' in "),
    (QUESTION, '"Where (was {subject} born?"', "birth_place.questions[0]: expected no brackets, found '(' in "),
    ('"In which town was {subject} born?"', '"Which town saw {subject} first?"', "birth_place.questions: expected at"),
    (
        '"The colour of its cover is {answer}."',
        '"{answer} is the colour of its cover."',
        "cover_colour.statements[1]: expected no {answer} at the start",
    ),
    (
        '"How many schools does {subject} have?"',
        '"How many bridges does {subject} have?"',
        "entities.town: expected questions of schools that tell it apart from bridges, found the same sentence in both",
    ),
]


@pytest.mark.parametrize(("before", "after", "message"), WRONG)
def test_a_wrong_language_file_is_named(before, after, message, tmp_path):
    assert before in ENGLISH, "the case no longer fits en.yaml"
    path = tmp_path / ("ru.yaml" if "ru" in after.split() else "en.yaml")
    path.write_text(ENGLISH.replace(before, after, 1), encoding="utf-8")
    problems = factbook.language_problems(path)
    assert problems[0].startswith(f"{path}: ")
    assert message in problems[0]
    with pytest.raises(DataError) as caught:
        factbook.load_language(path)
    more = f" (and {len(problems) - 1} more: python -m xqa_lib.data.factbook check {path.name} lists all)"
    assert str(caught.value) == problems[0] + (more if len(problems) > 1 else "")


def test_the_check_of_files(tmp_path, capsys):
    path = tmp_path / "en.yaml"
    text = ENGLISH.replace('red: "red"', 'red: ""', 1).replace("thousands_from: 1000", "thousands_from: 3", 1)
    path.write_text(text, encoding="utf-8")
    assert review.main(["check", str(path), str(tmp_path / "fi.yaml")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: text.thousands_from: expected 1000 or 10000, found 3",
        f"{path}: words.colour.red: expected a non-empty string, found ''",
        f"{tmp_path / 'fi.yaml'}: expected a language file, found none",
    ]
    assert review.main(["check", str(language_files.FOLDER / "en.yaml")]) == 0
    assert capsys.readouterr().out == "1 files, no problems\n"


def test_chinese_refuses_spaces(tmp_path):
    path = tmp_path / "zh.yaml"
    path.write_text(ENGLISH.replace("language: en", "language: zh", 1), encoding="utf-8")
    problems = "\n".join(factbook.language_problems(path))
    assert f"{path}: text.sentence_separator: expected '', found ' '" in problems
    for place in ("text.name_joiner", "quantities.metre", "entities.person.relations.birth_place.questions[0]"):
        assert f"{path}: {place}: expected no space in Chinese, found " in problems


def test_pieces_of_names_must_stay_nfc_when_joined(tmp_path):
    table = ", ".join(f'{syllable}: "{syllable}"' for syllable in language_files.SYLLABLES)
    filled_in = f'  syllables: {{{table}}}\n  finals: {{n: "\u0301", r: "r", s: "s", l: "l"}}\n'
    path = tmp_path / "en.yaml"
    path.write_text(ENGLISH.replace("  syllables: {}\n  finals: {}\n", filled_in, 1), encoding="utf-8")
    assert factbook.language_problems(path) == [
        f"{path}: names: expected text that stays NFC when syllables are joined to n, found 'ba\u0301'"
    ]


def test_random_draws_are_pinned():
    stream = corpus._Stream("seed", 1)
    assert [stream.below(1000) for _ in range(4)] == [873, 57, 146, 998]
    assert stream.shuffled("abcdef") == ["b", "c", "e", "a", "d", "f"]
    assert [stream.weighted([(1, "a"), (3, "b")]) for _ in range(6)] == ["b", "b", "b", "a", "b", "b"]


def test_english_corpus_is_byte_identical():
    assert english_digest() == ENGLISH_DIGEST, "changed on purpose? python tests/data/test_factbook.py prints the value"
    command = [sys.executable, __file__]
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.stdout.strip() == ENGLISH_DIGEST, done.stderr


def test_paragraphs_do_not_depend_on_what_else_is_generated(training):
    alone = factbook.generate(paragraphs=20, languages=["en"], seed=1, split="train")
    assert alone["en"] == training["en"][:20]
    assert factbook.generate(paragraphs=20, languages=["en"], seed=2, split="train") != alone


@pytest.mark.parametrize("code", AVAILABLE)
def test_answers_stand_at_their_offsets(code, evaluation):
    data = factbook.load_language(code)
    for paragraph in evaluation[code]:
        assert unicodedata.is_normalized("NFC", paragraph.context)
        assert "{" not in paragraph.context
        for example in paragraph.examples:
            (answer,) = example.answers
            assert example.context[answer.start : answer.start + len(answer.text)] == answer.text
            assert paragraph.subject in example.question
            assert example.question_lang == example.context_lang == code
        for before, after in zip(paragraph.facts, paragraph.facts[1:], strict=False):
            assert after.answer.start >= before.answer.start + len(before.answer.text)
        for fact in paragraph.facts:
            if fact.kind in language_files.LEXICON:
                assert fact.answer.text in dict(data.words[fact.kind]).values()


@pytest.mark.parametrize("code", AVAILABLE)
def test_languages_are_aligned(code, evaluation):
    facts = [[(fact.relation, fact.kind) for fact in paragraph.facts] for paragraph in evaluation[code]]
    assert facts == [[(fact.relation, fact.kind) for fact in paragraph.facts] for paragraph in evaluation["en"]]
    keys = [(example.id, example.title) for example in factbook.examples_of(evaluation[code])]
    assert keys == [(example.id, example.title) for example in factbook.examples_of(evaluation["en"])]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("code", AVAILABLE)
def test_names_of_a_paragraph_are_not_inside_each_other(code, evaluation):
    for paragraph in evaluation[code]:
        names = [fact.answer.text for fact in paragraph.facts if fact.kind in ("place", "person")] + [paragraph.subject]
        for index, name in enumerate(names):
            assert not any(name in other for other in names[:index] + names[index + 1 :]), paragraph.context


def test_no_spaces_in_thai_and_chinese(evaluation):
    for code in ("th", "zh"):
        for example in factbook.examples_of(evaluation[code]):
            assert not any(character.isspace() for character in example.question + example.context)


@pytest.mark.parametrize("code", AVAILABLE)
def test_last_wordings_are_in_evaluation_only(code, training, evaluation):
    data = factbook.load_language(code)
    used = {"training": 0, "evaluation": 0}
    for name, paragraphs in (("training", training[code]), ("evaluation", evaluation[code])):
        for paragraph in paragraphs:
            sentences = data.entities[paragraph.entity]
            answers = {fact.relation: fact.answer.text for fact in paragraph.facts}
            last = [filled(paragraph, sentences.introductions[-1])]
            for relation, answer in answers.items():
                wording = sentences.relations[relation].statements[-1]
                last.append(filled(paragraph, wording).replace("{answer}", answer))
            used[name] += sum(sentence in paragraph.context for sentence in last)
            for example in paragraph.examples:
                relation = example.id.split("-")[-1]
                used[name] += example.question == filled(paragraph, sentences.relations[relation].questions[-1])
    assert used["training"] == 0
    assert used["evaluation"] > 100  # about a third of some 770 sentences


def test_paragraphs_state_whole_groups_with_distinct_answers(training):
    for paragraph in training["en"]:
        stated = {fact.relation for fact in paragraph.facts}
        kinds = {fact.kind for fact in paragraph.facts}
        groups = language_files.GROUPS[paragraph.entity]
        assert 5 <= len(paragraph.facts) <= 9
        assert stated == {relation for kind in kinds for relation in groups[kind]}
        assert len({fact.answer.text for fact in paragraph.facts}) == len(paragraph.facts)
        assert "colour" in kinds or paragraph.entity != "animal"


def test_every_relation_is_stated():
    paragraphs = factbook.generate(paragraphs=300, languages=["en"], seed=1, split="train")["en"]
    stated = {(paragraph.entity, fact.relation) for paragraph in paragraphs for fact in paragraph.facts}
    assert stated == {(entity, name) for entity, relations in language_files.RELATIONS.items() for name in relations}


def test_values_are_possible():
    for drawn in corpus._draw(paragraphs=300, seed=3, split="train"):
        for relation, value in drawn.values.items():
            if relation in corpus.NUMBER_RANGES:
                low, high = corpus.NUMBER_RANGES[relation]
                assert low <= value <= high
                assert str(value)[-1] in "056789"
                assert not 11 <= value % 100 <= 19
        for first, second in (("birth_date", "wedding_date"), ("founding_date", "fire_date")):
            if first in drawn.values:
                assert drawn.values[first][0] + 20 <= drawn.values[second][0] <= 1990


def words_of(split):
    """All invented words, without their finals, of 150 paragraphs."""
    names = []
    for drawn in corpus._draw(paragraphs=150, seed=5, split=split):
        kinds = language_files.RELATIONS[drawn.entity]
        names += [drawn.subject] + [
            value for relation, value in drawn.values.items() if kinds[relation] in ("place", "person")
        ]
    return {syllables for name in names for syllables, _ in name}


def test_names_of_splits_are_disjoint():
    words = {split: words_of(split) for split in factbook.SPLITS}
    assert min(map(len, words.values())) > 300
    assert sum(map(len, words.values())) == len(set().union(*words.values()))


def test_subjects_are_unique_within_a_split():
    subjects = [drawn.subject for drawn in corpus._draw(paragraphs=3000, seed=5, split="parallel")]
    assert len(set(subjects)) == 3000


def test_asking_fewer_questions_changes_nothing_else(training):
    few = factbook.generate(paragraphs=10, languages=AVAILABLE, seed=1, split="train", questions_per_paragraph=2)
    for code in AVAILABLE:
        for paragraph, whole in zip(few[code], training[code], strict=False):
            assert paragraph.context == whole.context
            assert len(paragraph.examples) == 2
            assert set(paragraph.examples) < set(whole.examples)
        assert [example.id for example in factbook.examples_of(few[code])] == [
            example.id for example in factbook.examples_of(few["en"])
        ]


def test_numbers_dates_and_names_are_written_as_the_language_says():
    english = factbook.load_language("en")
    assert corpus._answer_text(english, "number", 47385) == "47,385"
    assert corpus._answer_text(english, "number", 985) == "985"
    assert corpus._answer_text(english, "metre", 120) == "120 metres"
    assert corpus._answer_text(english, "date", (1701, 5, 9)) == "May 9, 1701"
    assert corpus._answer_text(english, "food", "eggs") == "eggs"
    assert corpus._answer_text(english, "person", ((("ba", "do"), ""), (("ki", "ru"), "n"))) == "Bado Kirun"
    text = {"digits": "٠١٢٣٤٥٦٧٨٩", "thousands_separator": ".", "thousands_from": 10000}
    other = english.model_copy(update={"text": english.text.model_copy(update=text)})
    assert corpus._answer_text(other, "number", 4785) == "٤٧٨٥"
    assert corpus._answer_text(other, "number", 47850) == "٤٧.٨٥٠"
    assert corpus._answer_text(other, "date", (1701, 5, 9)) == "May ٩, ١٧٠١"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"split": "dev"}, "split must be one of train, parallel, development, test, zero_shot, got 'dev'"),
        ({"wordings": "all"}, "wordings must be one of training, evaluation, got 'all'"),
        ({"questions_per_paragraph": 0}, "questions_per_paragraph must be at least 1, or None for all, got 0"),
    ],
)
def test_wrong_arguments_are_refused(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        factbook.generate(**{"paragraphs": 1, "languages": ["en"], "seed": 0, "split": "train"} | changed)


def example(key, question, context, answer, language, title="town 00000"):
    answers = (GoldAnswer(answer, context.index(answer)),)
    return Example(key, question, context, answers, title, language, language)


def test_cross_lingual_takes_context_and_answer_from_the_context_language():
    english = [example("a", "Where?", "In Bada.", "Bada", "en"), example("b", "Who?", "By Kolo.", "Kolo", "en")]
    spanish = [example("b", "¿Quién?", "Por Colo.", "Colo", "es"), example("a", "¿Dónde?", "En Bada.", "Bada", "es")]
    assert factbook.cross_lingual({"en": english, "es": spanish}, "es", "en") == [
        Example("a", "¿Dónde?", "In Bada.", (GoldAnswer("Bada", 3),), "town 00000", "es", "en"),
        Example("b", "¿Quién?", "By Kolo.", (GoldAnswer("Kolo", 3),), "town 00000", "es", "en"),
    ]
    assert factbook.cross_lingual({"en": english}, "en", "en") == english


def test_cross_lingual_refuses_what_is_not_parallel():
    english = [example("a", "Where?", "In Bada.", "Bada", "en")]
    with pytest.raises(DataError, match=r"^expected the same question ids in es and en, found 1 in only one of them"):
        factbook.cross_lingual({"en": english, "es": []}, "es", "en")
    with pytest.raises(DataError, match=r"^expected examples in 'es', found only en; generate that language too$"):
        factbook.cross_lingual({"en": english}, "es", "en")


def test_type_guess_by_hand():
    def asked(relation, entity):
        return example(f"test-00000-{relation}", "?", "x", "x", "en", title=f"{entity} 00000")

    assert factbook.type_guess_baseline([asked("source_place", "river")]) == pytest.approx(100 / 3)
    assert factbook.type_guess_baseline([asked("founder", "town"), asked("bridges", "town")]) == pytest.approx(125 / 3)
    assert factbook.type_guess_baseline([asked("bridges", "town")], by_size=True) == 50
    assert factbook.type_guess_baseline([asked("population", "town")], by_size=True) == 100
    with pytest.raises(DataError, match=r"^expected factbook examples, found id 'test-00000-mayor' with title 'river"):
        factbook.type_guess_baseline([asked("mayor", "river")])
    with pytest.raises(DataError, match=r"^expected factbook examples, found none$"):
        factbook.type_guess_baseline([])


def test_stated_answers_are_all_facts_of_each_question_s_paragraph():
    paragraphs = factbook.generate(
        paragraphs=2, languages=["zh"], seed=1, split="test", wordings="evaluation", questions_per_paragraph=2
    )["zh"]
    stated = factbook.stated_answers(paragraphs)
    assert [row[0] for row in stated] == [
        example.id for paragraph in paragraphs for example in paragraph.examples for _ in paragraph.facts
    ]
    first, size = paragraphs[0], len(paragraphs[0].facts)
    assert [row[1:4] for row in stated[:size]] == [("zh", fact.kind, fact.answer.text) for fact in first.facts]
    for n, example in enumerate(first.examples):
        (right,) = [row for row in stated[n * size : (n + 1) * size] if row[4]]
        relation = example.id.split("-")[-1]
        kind = language_files.RELATIONS[first.entity][relation]
        assert right == (example.id, "zh", kind, example.answers[0].text, True)


@pytest.mark.parametrize("split", ["train", "parallel", "development", "test", "zero_shot"])
def test_type_guess_fails(split):
    examples = factbook.examples_of(factbook.generate(paragraphs=400, languages=["en"], seed=0, split=split)["en"])
    assert 38 < factbook.type_guess_baseline(examples) < 43
    assert factbook.type_guess_baseline(examples, by_size=True) < 46


def test_samples(capsys):
    assert review.main(["sample", "en", "--seed", "1", "--paragraphs", "2"]) == 0
    first, second = capsys.readouterr().out.strip().split("\n\n")
    lines = first.splitlines()
    assert lines[0].count("[") == lines[0].count("]") == len(lines) - 1
    assert all(line[line.index("[") :] in lines[0] for line in lines[1:])  # the answers are marked
    assert second != first
    assert review.main(["sample", "en", "--all"]) == 0
    out = capsys.readouterr().out
    assert len(out.strip().split("\n\n")) == 3 * len(language_files.RELATIONS)
    assert out.count("  How many bridges ") == 2
    assert review.main(["sample", "xx"]) == 1
    assert capsys.readouterr().err.startswith("unknown language 'xx': expected one of en, es, ")


if __name__ == "__main__":
    print(english_digest())
