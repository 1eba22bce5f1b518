"""Scores of a reader question by question, and their summary over language pairs.

*XLT*: question and context in the same language. *G-XLT*: all pairs of languages, the same-language pairs included, as
in the paper; its mean over the other pairs alone is reported as *G-XLT off-diagonal*. A set's score is the mean over
its pairs of the mean over each pair's questions, so that large pairs do not outweigh small ones.
"""

import csv
import hashlib
import io
import re

import numpy as np
import pandas as pd

from ..errors import DataError
from ..languages import in_order, language_of
from ..metrics import best_metric
from ..running.files import write_text
from ..sampling import KEY

COLUMNS = ["set", *KEY, "em", "f1", "rank", "prediction"]
RANKS = 10  # how many of the best answers are looked through for an exact match
TASKS = ("xlt", "gxlt", "gxlt_off_diagonal")


def score(examples, predictions, *, metric, name):
    """Score predicted texts.

    Args:
        examples: list of `squad_format.Example` with answers.
        predictions: one string each, "" for no answer; or one list of strings each, best first.
        metric: "squad" or "mlqa" (MLQA's rules are those of the context language).
        name: of the evaluation set.

    Returns:
        DataFrame with the columns `COLUMNS`, a row per example; em and f1 in [0, 1] and prediction are those of the
        best text, rank is the place of the first that matches exactly among the ten best, from 1; 0 if none does.
    """
    measure = best_metric(metric)
    rows = []
    for example, texts in zip(examples, predictions, strict=True):
        texts = [texts] if isinstance(texts, str) else texts[:RANKS]
        gold = [answer.text for answer in example.answers]
        # an unanswered question scores 0, also where the gold answer normalises to nothing
        scores = [measure(text, gold, example.context_lang) if text.strip() else (0.0, 0.0) for text in texts]
        em, f1 = scores[0] if scores else (0.0, 0.0)
        rank = next((place for place, (exact, _) in enumerate(scores, 1) if exact == 1), 0)
        key = (name, example.id, example.question_lang, example.context_lang)
        rows.append((*key, em, f1, rank, texts[0] if texts else ""))
    return pd.DataFrame(rows, columns=COLUMNS)


def evaluate_reader(model, tokenizer, sets, *, features, evaluation, bf16=False):
    """Read and score every example of several sets.

    Args:
        sets: mapping name -> (metric, list of examples).
        features, evaluation: `params.Features`, `params.Evaluation`.
        bf16: autocast to bfloat16.

    Returns:
        DataFrame as `score`, in the order of the sets and examples.
    """
    from . import predict  # the network libraries take seconds to import; tables of scores do without them

    tables = []
    for name, (metric, examples) in sets.items():
        answers = predict.stream_answers(
            model,
            tokenizer,
            examples,
            features=features,
            batch_size=evaluation.batch_size,
            n_best=max(RANKS, evaluation.n_best),
            max_answer_tokens=evaluation.max_answer_tokens,
            bf16=bf16,
            progress=name,
        )
        texts = [[answer.text for answer in found] for found in answers]
        tables.append(score(examples, texts, metric=metric, name=name))
    return pd.concat(tables, ignore_index=True)


def random_spans(examples, *, seed):
    """A random-span prediction for each example: what a reader that understands nothing reaches.

    Each is a slice of the context, from 1 to 3 words long (1 to 8 characters where a script has no spaces), the length
    drawn first, then the start, both uniformly; deterministic given the seed and the example.
    """
    predictions = []
    for example in examples:
        key = f"{seed}\x1f{example.id}\x1f{example.question_lang}\x1f{example.context_lang}"
        generator = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))
        spaced = language_of(example.context_lang, example.context).spaces
        units = [match.span() for match in re.finditer(r"\S+" if spaced else r"(?s:.)", example.context)]
        length = int(generator.integers(1, (3 if spaced else 8) + 1))
        first = int(generator.integers(0, max(1, len(units) - length + 1)))
        drawn = units[first : first + length]
        predictions.append(example.context[drawn[0][0] : drawn[-1][1]] if drawn else "")
    return predictions


def write_scores(path, scores):
    """Write a table of scores as CSV, atomically; floats as the shortest text that reads back the same."""
    buffer = io.StringIO()
    scores.to_csv(buffer, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    write_text(path, buffer.getvalue())


def read_scores(path):
    """Read a table that `write_scores` wrote; raises DataError if it is not one: other columns, scores no numbers."""
    try:
        # Texts stay as they are: "NA" is an answer, and so is a carriage return, which csv writes without quotes.
        scores = pd.read_csv(path, dtype=str, keep_default_na=False, lineterminator="\n", encoding="utf-8")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a table of scores: {error}; run the evaluation stage again") from None
    if list(scores.columns) != COLUMNS:
        raise DataError(f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(scores.columns)}")
    try:
        return scores.astype({"em": float, "f1": float, "rank": int})
    except ValueError as error:
        raise DataError(f"{path}: em, f1 and rank must be numbers: {error}; run the evaluation stage again") from None


def pair_means(scores):
    """Mean EM and F1 (points, 0 to 100) and number of questions of each set and language pair, as a DataFrame."""
    grouped = scores.groupby(["set", "question_lang", "context_lang"], sort=False)
    means = grouped[["em", "f1"]].mean() * 100
    return means.assign(questions=grouped.size()).reset_index()


def of_task(table, task):
    """The rows of a table with question_lang and context_lang that belong to a task: one of `TASKS`."""
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    same = table["question_lang"] == table["context_lang"]
    return table if task == "gxlt" else table[same if task == "xlt" else ~same]


def summary(scores):
    """Scores of each set and task it has pairs for: DataFrame set, task, em, f1 (points), pairs, questions."""
    means = pair_means(scores)
    rows = []
    for name in dict.fromkeys(means["set"]):
        for task in TASKS:
            part = of_task(means[means["set"] == name], task)
            if len(part):
                rows.append((name, task, part["em"].mean(), part["f1"].mean(), len(part), int(part["questions"].sum())))
    return pd.DataFrame(rows, columns=["set", "task", "em", "f1", "pairs", "questions"])


def matrix(scores, name, *, value="f1"):
    """The language matrix of one set: DataFrame, rows question language, columns context language, in points."""
    means = pair_means(scores[scores["set"] == name])
    table = means.pivot_table(index="question_lang", columns="context_lang", values=value)
    return table.reindex(index=in_order(table.index), columns=in_order(table.columns))
