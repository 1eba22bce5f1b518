"""The data of a study in their roles, whatever they come from, written as SQuAD-format files.

Roles, as in the paper: English *reader* training data (SQuAD's role), *parallel* examples in seven languages (XQuAD's
role), and *evaluation* sets: the first is the development set, which chooses hyper-parameters; the others are only
reported. Later stages read this folder alone (see `prepared`):

    reader/train-en.json
    parallel/<language>.json                               the same ids in every file
    evaluation/<set>/context-<xx>-question-<yy>.json       MLQA's naming

To the results of the study goes, in data/: summary.csv, counts; leakage.csv, what the training data have seen of the
evaluation data; kinds.csv, of factbook: what else the evaluation passages state;
questions.csv, of a user's own data: what is asked there.
"""

import re
from dataclasses import replace

import pandas as pd

from ..errors import DataError
from ..languages import in_order, language_of
from ..running.files import atomic_folder, write_text
from ..sampling import KEY, pseudo_random_key
from . import corpora, factbook, leakage, own
from .prepared import KIND_COLUMNS, evaluation_set, language_pairs, read_evaluation, some
from .squad_format import write_squad

VERSION = "xqa_lib 1"
READER_SETS = ("squad-train", "squad-dev-without-xquad", "tydiqa-train-en")


def prepare(params):
    """Stage `data`: write the data of a study to `params.data_folder`, whole or not at all, and their counts.

    Args:
        params: `params.Params`.

    Returns:
        DataFrame role, set, question_lang, context_lang, paragraphs, questions, mean_context_length (words, or
        characters where the script does not separate words).

    Raises:
        DataError: missing or broken files, unknown sets, training data that contain an evaluation paragraph, parallel
            data whose languages do not have the same ids, nothing to train on.
    """
    for name in params.data.all_sets:
        corpus, _ = evaluation_set(name)
        source = "factbook" if corpus in factbook.SPLITS else "own" if corpus == "own" else "real"
        if source != params.data.source:
            raise DataError(f"the evaluation set {name!r} cannot be made with data.source {params.data.source}")
    made = {"factbook": _factbook, "real": _real, "own": _own}
    reader, parallel, evaluation, stated = made[params.data.source](params)
    _check_parallel(parallel)
    if not reader:
        raise DataError("no English training data for the reader: set data.reader_train or data.train_paragraphs")
    # factbook numbers the titles of each split anew: equal ones do not name the same subject
    leaks = leakage_table(reader, parallel, evaluation, titles=params.data.source != "factbook")
    with atomic_folder(params.data_folder) as folder:
        write_squad(folder / "reader" / "train-en.json", reader, version=VERSION)
        for language, examples in parallel.items():
            write_squad(folder / "parallel" / f"{language}.json", examples, version=VERSION)
        for name, pairs in evaluation.items():
            for (question, context), examples in pairs.items():
                path = folder / "evaluation" / name / f"context-{context}-question-{question}.json"
                write_squad(path, examples, version=VERSION)
    table = _summary(reader, parallel, evaluation)
    evaluated = [(name, e) for name, pairs in evaluation.items() for examples in pairs.values() for e in examples]
    titles = list(dict.fromkeys((name, e.id, e.title) for name, e in evaluated))
    counts = {"summary": table, "leakage": leaks, "articles": pd.DataFrame(titles, columns=["set", "id", "title"])}
    if stated:
        counts["kinds"] = pd.DataFrame(stated, columns=KIND_COLUMNS).astype({"right": int})
    if params.data.source == "own":
        asked = [(name, e.id, e.question_lang, e.context_lang, e.question, e.answers[0].text) for name, e in evaluated]
        counts["questions"] = pd.DataFrame(asked, columns=["set", *KEY, "question", "answer"])
    for name, counted in counts.items():
        write_text(params.results_folder / "data" / f"{name}.csv", counted.to_csv(index=False, lineterminator="\n"))
    return table


def _factbook(params):
    data = params.data
    asked = data.questions_per_paragraph or None
    trained = params.sampling.languages

    def generated(split, paragraphs, languages, wordings, questions=asked):
        return factbook.generate(
            paragraphs=paragraphs,
            languages=list(languages),
            seed=data.seed,
            split=split,
            wordings=wordings,
            questions_per_paragraph=questions,
        )

    def examples_of(corpus):
        return {language: factbook.examples_of(part) for language, part in corpus.items()}

    reader = examples_of(generated("train", data.train_paragraphs, ["en"], "training", None))["en"]
    parallel = examples_of(generated("parallel", data.parallel_paragraphs, trained, "training"))
    evaluation, stated = {}, []
    for name in data.all_sets:
        split, _ = evaluation_set(name)
        pairs = language_pairs(params, name)
        languages = in_order(language for pair in pairs for language in pair)
        corpus = generated(split, data.evaluation_paragraphs, languages, "evaluation")
        examples = examples_of(corpus)
        evaluation[name] = {
            pair: some(factbook.cross_lingual(examples, *pair), data.questions_of(name), data.seed) for pair in pairs
        }
        scored = {(e.id, context) for (_, context), found in evaluation[name].items() for e in found}
        for part in corpus.values():
            stated += [(name, *row) for row in factbook.stated_answers(part) if row[:2] in scored]
    return reader, parallel, evaluation, stated


def _real(params):
    data = params.data
    english = {}
    for name in data.reader_train:
        if name not in READER_SETS:
            raise DataError(f"unknown reader training set {name!r}: expected one of {', '.join(READER_SETS)}")
        if name == "squad-train":
            english[name] = corpora.load("squad-train")
        elif name == "squad-dev-without-xquad":
            # XQuAD is made of SQuAD's development set: its paragraphs must not teach the reader
            english[name] = leakage.without_paragraphs(
                corpora.load("squad-dev"), corpora.load("xquad", question_lang="en", context_lang="en")
            )
        else:
            english[name] = corpora.load("tydiqa-goldp-train", question_lang="en", context_lang="en")
    reader = [e for examples in english.values() for e in _first_paragraphs(examples, data.train_paragraphs)]
    # Wikipedia's articles come back in many a data set; of the whole corpus, so that no draw changes the reader
    in_english = [name for name in data.all_sets if any(context == "en" for _, context in language_pairs(params, name))]
    for corpus in dict.fromkeys(evaluation_set(name)[0] for name in in_english):
        scored = corpora.load(corpus, question_lang="en", context_lang="en")
        reader = leakage.without_near_duplicates(reader, [example.context for example in scored])
    xquad = {
        language: corpora.load("xquad", question_lang=language, context_lang=language)
        for language in params.sampling.languages
    }
    held_out = held_out_articles(xquad[params.sampling.languages[0]], data.held_out_articles, data.seed)
    parallel = {language: [e for e in examples if e.title not in held_out] for language, examples in xquad.items()}
    evaluation = {}
    for name in data.all_sets:
        corpus, _ = evaluation_set(name)
        evaluation[name] = {}
        half = name.removesuffix("-xlt")
        if half in MLQA_HALVES:
            titles = {e.id: e.title for e in corpora.load(corpus, question_lang="en", context_lang="en")}
        for pair in language_pairs(params, name):
            examples = corpora.load(corpus, question_lang=pair[0], context_lang=pair[1])
            if name.endswith("-articles"):
                examples = _by_article(examples, held_out, name)
            elif half in MLQA_HALVES:
                examples = mlqa_half(examples, titles, half)
            evaluation[name][pair] = some(examples, data.questions_of(name), data.seed)
    return reader, parallel, evaluation, []


def _own(params):
    data = params.data
    parallel = own.read(data.folder, data.folder_sha256)
    part = own.split(parallel, data.seed)
    of_part = {
        name: {language: [e for e in examples if part[e.id] == name] for language, examples in parallel.items()}
        for name in own.PARTS
    }
    english = own.reader_questions(data.folder) or corpora.load("squad-train")
    # drawn before anything is left out, so that other data of the user's make the same reader wherever they can
    reader = some(_first_paragraphs(english, data.train_paragraphs), own.READER_QUESTIONS, data.seed)
    reader = leakage.without_near_duplicates(reader, [example.context for example in parallel["en"]])
    evaluation = {}
    for name in data.all_sets:
        held_out = of_part[name.removeprefix("own-")]
        evaluation[name] = {
            pair: some(factbook.cross_lingual(held_out, *pair), data.questions_of(name), data.seed)
            for pair in language_pairs(params, name)
        }
    return reader, of_part["train"], evaluation, []


def _first_paragraphs(examples, paragraphs):
    """The examples of the first `paragraphs` contexts; all of them if 0."""
    if not paragraphs:
        return list(examples)
    kept = dict.fromkeys(example.context for example in examples)
    kept = set(list(kept)[:paragraphs])
    return [example for example in examples if example.context in kept]


def held_out_articles(examples, count, seed):
    """The titles of `count` articles of XQuAD, drawn by the seed, that no parallel example is about.

    They are drawn once for all seeds of the training, so that every student is scored on content that none has seen.

    Args:
        examples: XQuAD in one language; all its languages name the articles alike and hold the same questions.

    Returns:
        Set of titles.

    Raises:
        DataError: no article would be left to train on.
    """
    titles = {example.title for example in examples}
    if count >= max(len(titles), 1):
        raise DataError(
            f"data.held_out_articles is {count}, but the parallel data are of {len(titles)} articles: hold out fewer"
        )
    return set(sorted(titles, key=lambda title: pseudo_random_key(seed, "article", title))[:count])


def _by_article(examples, held_out, name):
    """The XQuAD examples of articles that are held out, or (xquad-trained-articles) of those that are not.

    XQuAD's zero-shot languages are unseen languages with seen content, as far as the articles were trained on.
    """
    if not held_out:
        raise DataError(
            f"no article of XQuAD is held out of the parallel data, so that {name} cannot be made: set "
            "data.held_out_articles, or take the set out of data.evaluation_sets"
        )
    return [example for example in examples if (example.title in held_out) == (name != "xquad-trained-articles")]


MLQA_HALVES = ("mlqa-dev-choosing", "mlqa-dev-reporting")


def mlqa_half(examples, titles, name):
    """The examples about articles of one half of MLQA's development set, each with the English title of its article.

    An article is in the half that chooses or in the one that reports by its English title alone: by the parity of the
    first byte of SHA-256 (`pseudo_random_key(0, "half", title)`). So no article is in both, whatever the languages, and
    every pair keeps 68 of its 161 to 1,148 questions or more in each half.

    Args:
        examples: of one language pair of MLQA's development set, whose titles are localised.
        titles: id -> English title, of every id.
        name: one of `MLQA_HALVES`.

    Raises:
        DataError: an id without an English title.
    """
    found = []
    for example in examples:
        if example.id not in titles:
            raise DataError(
                f"mlqa-dev: {example.id!r} in {example.question_lang} and {example.context_lang} has no English "
                "version, whose title tells its half; are all files of one release of MLQA?"
            )
        title = titles[example.id]
        if MLQA_HALVES[pseudo_random_key(0, "half", title)[0] % 2] == name:
            found.append(replace(example, title=title))
    return found


def _check_parallel(parallel):
    """Refuse parallel data whose languages do not have the same ids: DataError with one of them."""
    ids = {language: {example.id for example in examples} for language, examples in parallel.items()}
    every = set().union(*ids.values())
    for language, found in ids.items():
        missing = sorted(every - found)
        if missing:
            other = next(code for code in ids if missing[0] in ids[code])
            raise DataError(
                f"the parallel data in {language} lack {len(missing)} ids that others have ({missing[0]!r} is in "
                f"{other}); give all languages the same ids, or take {language} out of sampling.languages"
            )


def leakage_table(reader, parallel, evaluation, *, titles=True):
    """How much of each evaluation set the training data have seen, as a DataFrame.

    Args:
        reader: English examples.
        parallel: language -> examples.
        evaluation: set -> (question language, context language) -> examples.
        titles: do equal titles name the same article? If not, none counts as shared.

    Returns:
        set, language, training ("reader" or "parallel"), examples (of the set's same-language pair), and how many of
        these have an id, a context, a title of the training data, or a context that the training data hold nearly.

    Raises:
        DataError: a paragraph of an evaluation set is in the English reader's training data, word for word or edited.
    """
    rows = []
    for name, pairs in evaluation.items():
        for (question, context), examples in pairs.items():
            if question != context:
                continue
            for role, training in (
                ("reader", reader if context == "en" else []),
                ("parallel", parallel.get(context, [])),
            ):
                if training:
                    shared = leakage.overlap(examples, training) | ({} if titles else {"title": 0})
                    rows.append({"set": name, "language": context, "training": role, **shared})
    table = pd.DataFrame(rows, columns=["set", "language", "training", "examples", "id", "context", "title", "near"])
    english = {name: pairs["en", "en"] for name, pairs in evaluation.items() if ("en", "en") in pairs}
    leakage.refuse_seen(reader, english)
    return table


def _summary(reader, parallel, evaluation):
    groups = [("reader", "train", "en", "en", reader)]
    groups += [("parallel", "parallel", language, language, examples) for language, examples in parallel.items()]
    for name, pairs in evaluation.items():
        groups += [("evaluation", name, question, context, examples) for (question, context), examples in pairs.items()]
    rows = []
    for role, name, question, context, examples in groups:
        contexts = list(dict.fromkeys(example.context for example in examples))
        spaced = language_of(context, " ".join(contexts)).spaces
        # words where the script separates them, else characters
        size = sum(len(re.findall(r"\S+", text)) if spaced else len(text) for text in contexts)
        rows.append((role, name, question, context, len(contexts), len(examples), size / max(1, len(contexts))))
    columns = ["role", "set", "question_lang", "context_lang", "paragraphs", "questions", "mean_context_length"]
    return pd.DataFrame(rows, columns=columns).round(1)


def overview(table):
    """`prepare`'s table by role, set and context language: language pairs, paragraphs of one pair, questions in all."""
    grouped = table.groupby(["role", "set", "context_lang"], sort=False)
    return grouped.agg(
        pairs=("question_lang", "size"),
        paragraphs=("paragraphs", "max"),
        questions=("questions", "sum"),
        mean_context_length=("mean_context_length", "mean"),
    ).round(1)


def type_guess(params):
    """Exact match, in points, of guessing among the facts of the right kind; None where the kinds are not known.

    Over all questions and language pairs of the development set.
    """
    if params.data.source != "factbook":
        return None
    return round(factbook.type_guess_baseline(read_evaluation(params, params.data.evaluation_sets[0])), 1)
