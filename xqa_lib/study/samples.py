"""The stage `sampling`: which parallel ids are trained on, and their sampled pairs as training examples."""

from dataclasses import replace

import pandas as pd

from .. import sampling
from ..data import prepared
from ..errors import DataError
from ..running.files import write_text
from ..sampling import KEY
from . import layout


def sample(params, seed):
    """Stage `sampling`: the ids that the seed draws, and their pairs of every ntl, nested, in one file.

    The sample for a smaller ntl is part of the one for a larger ntl, so that a row's column `ntl` says from which ntl
    on the pair is trained on; ntl 0 has the same-language pairs of all languages.

    Returns:
        DataFrame id, question_lang, context_lang, ntl.
    """
    parallel = prepared.read_parallel(params)
    ids = chosen_ids(parallel, params.sampling.parallel_ids, seed)
    languages = list(params.sampling.languages)
    first = {}
    targets = len(languages) - (params.sampling.pivot is not None)
    for ntl in range(1, max(1, targets) + 1):
        drawn = sampling.sample_pairs(ids, languages=languages, ntl=ntl, seed=seed, pivot=params.sampling.pivot)
        for pair in drawn:
            first.setdefault(pair, ntl)
    table = pd.DataFrame([(*pair, ntl) for pair, ntl in first.items()], columns=[*KEY, "ntl"])
    write_text(layout.sampled_file(params, seed), table.to_csv(index=False, lineterminator="\n"))
    return table


def read_sample(params, seed):
    """The table that `sample` wrote."""
    table = pd.read_csv(layout.sampled_file(params, seed), dtype=str, keep_default_na=False)
    return table.astype({"ntl": int})


def aligned_ids(parallel):
    """id -> set of the languages that have it, in the order of the first language's file."""
    ids = {}
    for language, examples in parallel.items():
        for example in examples:
            ids.setdefault(example.id, set()).add(language)
    return ids


def chosen_ids(parallel, count, seed):
    """`count` ids of the parallel data (all if 0) as `aligned_ids`, drawn by the seed (`sampling.draw_ids`).

    Raises:
        DataError: more ids than there are.
    """
    ids = aligned_ids(parallel)
    if count > len(ids):
        raise DataError(
            f"{count} parallel ids are asked for, but the study has {len(ids)}: lower sampling.parallel_ids, "
            "sweeps.parallel_ids and sweeps.few_ids, or prepare more (data.parallel_paragraphs)"
        )
    return {example_id: ids[example_id] for example_id in sampling.draw_ids(ids, count, seed=seed)}


def sampled_pairs(table, ntl):
    """The rows of a sampled table that belong to an ntl (see `sample`)."""
    if ntl == 0:
        return table[table["question_lang"] == table["context_lang"]]
    return table[table["ntl"] <= ntl]


def sample_sizes(table):
    """How many pairs a sample has for each ntl: DataFrame with the index ntl and the columns examples, pairs."""
    parts = {ntl: sampled_pairs(table, ntl) for ntl in range(int(table["ntl"].max()) + 1)}
    rows = {ntl: (len(part), part.groupby(["question_lang", "context_lang"]).ngroups) for ntl, part in parts.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["examples", "language pairs"]).rename_axis("ntl")


def sampled_examples(parallel, table, ntl):
    """The training examples of a sample: question in one language, context and answers in another.

    Args:
        parallel: language -> aligned examples.
        table: as `sample` writes it.
        ntl: number of target languages.

    Raises:
        DataError: an id of the table that the parallel data lack.
    """
    by_id = {language: {example.id: example for example in examples} for language, examples in parallel.items()}
    found = []
    for example_id, question_lang, context_lang in sampled_pairs(table, ntl)[KEY].itertuples(index=False):
        try:
            question = by_id[question_lang][example_id]
            context = by_id[context_lang][example_id]
        except KeyError:
            raise DataError(
                f"the sample names {example_id!r} in {question_lang} and {context_lang}, which the parallel data lack; "
                "run the sampling stage again"
            ) from None
        found.append(replace(context, question=question.question, question_lang=question_lang))
    return found


def questions_in_the_passage_s_language(examples, parallel):
    """The question of each example in the language of its passage: what a teacher with the parallel view reads."""
    questions = {(language, e.id): e.question for language, found in parallel.items() for e in found}
    return [questions[example.context_lang, example.id] for example in examples]
