"""Scoring a file of predictions against a file of gold answers: what `python -m xqa_lib evaluate` does."""

import re
from dataclasses import dataclass
from pathlib import Path

from .. import metrics
from ..data import squad_format
from ..errors import DataError
from ..running import files


@dataclass(frozen=True, slots=True)
class Score:
    """Result of one file.

    exact_match, f1: percentages over all gold questions at full precision, unanswered ones counting 0. questions: how
    many gold questions. answered: how many of them have a prediction that is not empty. warnings: lines of text on what
    does not stop the scoring but should be known.
    """

    exact_match: float
    f1: float
    questions: int
    answered: int
    warnings: tuple[str, ...] = ()

    def as_dict(self):
        """The four numbers, in the order of the command's JSON output."""
        return {
            "exact_match": self.exact_match,
            "f1": self.f1,
            "questions": self.questions,
            "answered": self.answered,
        }


def score_files(gold, predictions, *, metric, context_language=None):
    """Score the predictions in one file against the gold answers in another.

    Args:
        gold: path of a SQuAD-format file with gold answers and unique ids. Scores use the answers' texts only, so an
            answer that is not at its `answer_start` gives a warning here (and an error in `check`).
        predictions: path of a JSON object: question id -> predicted text. An id that is missing, or whose text is
            empty or white space, is unanswered and scores 0.
        metric: "squad" or "mlqa".
        context_language: language of the contexts, for "mlqa" only; None: taken from a gold file name that holds
            "context-xx-question-yy", as MLQA's do.
    Returns:
        Score
    Raises:
        DataError: a file that cannot be read or is not in its format, an unknown metric or language, predictions for
            ids that the gold file lacks, or for none that it has.
    """
    score_one = metrics.best_metric(metric)
    warnings = []
    if metric == "mlqa":
        context_language = _context_language(gold, context_language, warnings)
    elif context_language is not None:
        warnings.append("the context language has no effect on the squad metric")
    examples = squad_format.read_squad(gold, question_lang="", context_lang="", check_offsets=False)
    misplaced = sum(
        example.context[answer.start : answer.start + len(answer.text)] != answer.text or answer.start < 0
        for example in examples
        for answer in example.answers
    )
    if misplaced:
        warnings.append(
            f"{gold}: {misplaced} gold answers are not at their answer_start; scores use the texts only, but run check"
        )
    texts = read_predictions(predictions)
    _compare_ids(examples, texts, gold, predictions, warnings)
    exact_match = f1 = 0.0
    answered = 0
    # A plain running sum, as in the official programs: a more exact one would differ from them in the last digits.
    for example in examples:
        prediction = texts.get(example.id, "")
        if not prediction.strip():
            continue
        answered += 1
        golds = [answer.text for answer in example.answers]
        exact_match_of_one, f1_of_one = score_one(prediction, golds, context_language)
        exact_match += exact_match_of_one
        f1 += f1_of_one
    questions = len(examples)
    return Score(100.0 * exact_match / questions, 100.0 * f1 / questions, questions, answered, tuple(warnings))


def read_predictions(path):
    """The predictions of a file as a dict id -> text.

    Raises:
        DataError: not a JSON object of strings, or an id that occurs twice.
    """
    try:
        raw = files.read_whole(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None
    predictions = squad_format.parse_json(raw, str(path), object_pairs_hook=squad_format.unique_keys)
    if not isinstance(predictions, dict):
        raise DataError(
            f"{path}: expected a JSON object with a text for each question id, found "
            f'{squad_format.describe(predictions)}; write {{"id": "text", ...}}'
        )
    for identifier, text in predictions.items():
        if not isinstance(text, str):
            raise DataError(
                f"{path}: key {squad_format.quote(identifier)}: expected the predicted text as a string, found "
                f"{squad_format.describe(text)}; write one text for each id, an empty one for no answer"
            )
    return predictions


def language_in_name(path):
    """The context language that a file name such as "dev-context-ar-question-de.json" tells, or None."""
    match = re.search(r"context-([a-z]{2})-question-[a-z]{2}(?![a-z])", Path(path).name)
    return match[1] if match else None


def _context_language(gold, given, warnings):
    named = language_in_name(gold)
    language = given or named
    if language is None:
        raise DataError(
            f"{gold}: the mlqa metric needs the language of the contexts; expected it in the file name "
            '("...context-xx-question-yy...") or as --context-language, found neither'
        )
    if named and named != language:
        warnings.append(f"{gold}: the file name says context language {named}, scoring with {language} as asked")
    if language not in metrics.MLQA_LANGUAGES:
        raise DataError(
            f"{gold}: the mlqa metric knows the context languages {', '.join(metrics.MLQA_LANGUAGES)}, found "
            f"{language!r}; use --metric squad for other languages"
        )
    return language


def _compare_ids(examples, predictions, gold, path, warnings):
    known = {example.id for example in examples}
    unknown = [identifier for identifier in predictions if identifier not in known]
    if unknown:
        raise DataError(
            f"{path}: expected only question ids of {gold}, found {len(unknown)} others ({_some(unknown)}); "
            "are these predictions for another file?"
        )
    missing = [example.id for example in examples if example.id not in predictions]
    if len(missing) == len(examples):
        raise DataError(
            f"{path}: expected predictions for the questions of {gold}, found none of its {len(missing)} ids"
        )
    if missing:
        warnings.append(
            f"{path}: no prediction for {len(missing)} of {len(examples)} questions, they score 0 ({_some(missing)})"
        )


def _some(identifiers):
    """The first three ids for a message."""
    return ", ".join(map(squad_format.quote, identifiers[:3])) + (", ..." if len(identifiers) > 3 else "")
