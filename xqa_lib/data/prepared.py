"""The prepared data of a study, as the stages after `data` read them: see `roles` for what lies where."""

import pandas as pd

from ..errors import DataError
from ..languages import PARALLEL, ZERO_SHOT_TYDIQA, ZERO_SHOT_XQUAD, in_order
from ..sampling import pseudo_random_key
from .squad_format import read_squad


def _pairs(languages):
    return [(question, context) for context in languages for question in languages]


def _same(languages):
    return [(language, language) for language in languages]


# set -> (corpus or factbook split, (question, context) language pairs)
EVALUATION_SETS = {
    "factbook-dev": ("development", _pairs(PARALLEL)),
    # for the gate: English alone, and enough of it
    "factbook-dev-en": ("development", _same(("en",))),
    "factbook-test": ("test", _pairs(PARALLEL)),
    "factbook-zero-shot": ("zero_shot", _same(ZERO_SHOT_XQUAD + ZERO_SHOT_TYDIQA)),
    "mlqa-dev": ("mlqa-dev", _pairs(PARALLEL)),
    # the halves of mlqa-dev by article (`roles.mlqa_half`)
    "mlqa-dev-choosing": ("mlqa-dev", _pairs(PARALLEL)),
    "mlqa-dev-choosing-xlt": ("mlqa-dev", _same(PARALLEL)),
    "mlqa-dev-reporting": ("mlqa-dev", _pairs(PARALLEL)),
    "mlqa-test": ("mlqa-test", _pairs(PARALLEL)),
    "xquad-zero-shot": ("xquad", _same(ZERO_SHOT_XQUAD)),
    # of unseen languages, too, but split by whether the article is held out of the parallel data
    "xquad-trained-articles": ("xquad", _same(ZERO_SHOT_XQUAD)),
    "xquad-other-articles": ("xquad", _same(ZERO_SHOT_XQUAD)),
    # of the training languages (any: see `language_pairs`), in all pairs, about the articles that are held out
    "xquad-gxlt-other-articles": ("xquad", _pairs(PARALLEL)),
    # all articles: there to be read whole, beside published scores
    "xquad-xlt": ("xquad", _same(PARALLEL + ZERO_SHOT_XQUAD)),
    "tydiqa-dev": ("tydiqa-goldp-dev", _same((*ZERO_SHOT_TYDIQA, "ru"))),
    # the two zero-shot languages whose gold answers are in the copy made for XTREME
    "tydiqa-train-ko-sw": ("tydiqa-goldp-train", _same(("ko", "sw"))),
    # a user's own (`own`): all pairs of the languages of the study
    "own-dev": ("own", ()),
    "own-test": ("own", ()),
}
KIND_COLUMNS = ["set", "id", "context_lang", "kind", "answer", "right"]


def metric_of(name):
    """The metric, "squad" or "mlqa", of an evaluation set.

    Factbook's sets are scored as those whose role they play: MLQA's metric for the seven languages that it knows.
    """
    evaluation_set(name)
    return "mlqa" if name.startswith(("mlqa", "factbook-dev", "factbook-test")) else "squad"


def evaluation_set(name):
    """(corpus or split, language pairs) of an evaluation set; raises DataError naming the known ones."""
    if name not in EVALUATION_SETS:
        raise DataError(f"unknown evaluation set {name!r}: expected one of {', '.join(EVALUATION_SETS)}")
    return EVALUATION_SETS[name]


def language_pairs(params, name):
    """The (question, context) language pairs of an evaluation set that a study reads."""
    corpus, pairs = evaluation_set(name)
    if corpus == "own":
        pairs = _pairs(params.sampling.languages)
    if name == "xquad-gxlt-other-articles":
        pairs = _pairs(in_order([*PARALLEL, *params.sampling.languages]))
    kept = params.data.evaluation_languages
    pairs = [pair for pair in pairs if not kept or set(pair) <= set(kept)]
    if not pairs:
        raise DataError(f"no language pair of {name} is left by data.evaluation_languages ({', '.join(kept)})")
    return pairs


def whole_sets(params):
    """The sets of which a study reads every question (of its language pairs)."""
    return [name for name in params.data.all_sets if not params.data.questions_of(name)]


def some(examples, most, seed):
    """At most `most` examples of one language pair, drawn by ids and pair, in their order; all of them if 0.

    Each pair draws its own, so that few questions a pair are many ids in all: ids are what the tests resample. A
    smaller draw is a part of a larger one.
    """
    if not most or len(examples) <= most:
        return list(examples)
    keys = {e.id: pseudo_random_key(seed, e.id, e.question_lang, e.context_lang) for e in examples}
    ids = set(sorted(keys, key=keys.get)[:most])
    return [example for example in examples if example.id in ids]


def study_texts(params):
    """Every question and context of the prepared data, once each, in the order of the files."""
    texts = {}
    for path in sorted(params.data_folder.rglob("*.json")):
        for example in read_squad(path, question_lang="", context_lang=""):
            texts[example.context] = texts[example.question] = None
    return list(texts)


def read_reader_training(params):
    """The reader's English examples."""
    return read_squad(params.data_folder / "reader" / "train-en.json", question_lang="en", context_lang="en")


def read_parallel(params):
    """Language -> examples of the prepared parallel data; the ids are the same in every language."""
    return {
        language: read_squad(
            params.data_folder / "parallel" / f"{language}.json", question_lang=language, context_lang=language
        )
        for language in params.sampling.languages
    }


def read_evaluation(params, name):
    """All examples of an evaluation set, pair by pair."""
    folder = params.data_folder / "evaluation" / name
    return [
        example
        for question, context in language_pairs(params, name)
        for example in read_squad(
            folder / f"context-{context}-question-{question}.json", question_lang=question, context_lang=context
        )
    ]


def read_articles(params, name):
    """id -> article of the questions of a set: clusters of ids for `significance.seed_and_id_test`.

    None where articles have no title, or the languages of an id name its article differently.
    """
    table = pd.read_csv(params.results_folder / "data" / "articles.csv", dtype=str, keep_default_na=False)
    table = table[table["set"] == name]
    known = (table["title"] != "").all() and not table["id"].duplicated().any()
    return dict(zip(table["id"], table["title"], strict=True)) if known else None


def read_leakage(params):
    """The table of `leakage_table` as the data stage wrote it."""
    return pd.read_csv(params.results_folder / "data" / "leakage.csv", keep_default_na=False)


def read_questions(params):
    """What the evaluation sets of a user's own data ask: DataFrame set, `KEY`, question, answer (its first)."""
    path = params.results_folder / "data" / "questions.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def read_kinds(params):
    """The answers that the passage of each evaluation question states.

    Returns:
        DataFrame with the columns `KIND_COLUMNS`: a row per set, question, language of its passage and stated answer;
        right is 1 at the answer that is asked for, the kind of which is the question's. No rows where the kinds are
        not known: of all data but factbook.

    Raises:
        DataError: the data were made without them.
    """
    if params.data.source != "factbook":
        return pd.DataFrame(columns=KIND_COLUMNS)
    path = params.results_folder / "data" / "kinds.csv"
    if not path.is_file():
        raise DataError(f"{path} is missing: run the data stage again, which writes it")
    return pd.read_csv(path, dtype=str, keep_default_na=False).astype({"right": int})
