"""Scoring a file of predictions against a file of gold answers: what `python -m xqa_lib evaluate` does."""

import re
from dataclasses import dataclass
from pathlib import Path

from .. import metrics
from ..data import squad_format
from ..errors import DataError
from ..languages import CODE, language_of, primary


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
        gold: path of a file with gold answers and unique ids, in any form that `squad_format` reads. Scores use the
            answers' texts only, so an answer that is not at its `answer_start` gives a warning here (and an error in
            `check`).
        predictions: path of a file that `read_predictions` reads. An id that is missing, or whose text is empty or
            white space, is unanswered and scores 0; ids that the gold file lacks are left out with a warning.
        metric: "squad" or "mlqa".
        context_language: language of the contexts, for "mlqa" only; None: taken from a gold file name that holds
            "context-xx-question-yy", as MLQA's do.
    Returns:
        Score
    Raises:
        DataError: a file that cannot be read or is not in its format, an unknown metric, no language code, predictions
            for none of the gold file's ids.
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

    Three forms are read: {id: text}; the n best answers, {id: [{"text": ..., "probability": ...}, ...]}, of which the
    most probable counts (without probabilities the first, without any answer an empty text); rows
    {"id": ..., "prediction_text": ...} as a JSON list or JSON Lines.

    Raises:
        DataError: another form, or an id that occurs twice.
    """
    document = squad_format.read_json(path)
    rows = squad_format.rows_of(document, ("id", "prediction_text"))
    if rows is not None:
        return _of_rows(path, rows)
    if not isinstance(document, dict):
        raise DataError(
            f"{path}: expected a JSON object with a text for each question id, found "
            f'{squad_format.describe(document)}; write {{"id": "text", ...}}'
        )
    return {
        identifier: _text(value, f"{path}: key {squad_format.quote(identifier)}")
        for identifier, value in document.items()
    }


def _of_rows(path, rows):
    texts = {}
    for place, row in rows.items():
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            found = squad_format.describe(row.get("id") if isinstance(row, dict) else row)
            raise DataError(
                f"{path}: {place}: expected an object with the strings id and prediction_text, found {found}"
                f"{' as id' if isinstance(row, dict) else ''}"
            )
        if row["id"] in texts:
            raise DataError(
                f"{path}: {place}: the id {squad_format.quote(row['id'])} occurs twice; keep one prediction for each"
            )
        texts[row["id"]] = _string(row.get("prediction_text"), f"{path}: {place}.prediction_text")
    return texts


def _text(value, place):
    """The predicted text of an id: the string itself, or that of the most probable in a list of answers."""
    if not isinstance(value, list):
        return _string(value, place)
    best, highest = "", None
    for index, answer in enumerate(value):
        if not isinstance(answer, dict):
            raise DataError(
                f"{place}[{index}]: expected an answer as an object with the key text, found "
                f"{squad_format.describe(answer)}; write one text for each id, or a list of such objects"
            )
        text = _string(answer.get("text"), f"{place}[{index}].text")
        probability = answer.get("probability", 0.0)
        is_number = isinstance(probability, int | float) and not isinstance(probability, bool)
        if not is_number or probability != probability:  # NaN is not even itself
            found = squad_format.describe(probability)
            raise DataError(f"{place}[{index}].probability: expected a number, found {found}")
        if highest is None or probability > highest:
            best, highest = text, probability
    return best


def _string(value, place):
    if not isinstance(value, str):
        raise DataError(
            f"{place}: expected the predicted text as a string, found {squad_format.describe(value)}; write one text "
            "for each id, an empty one for no answer"
        )
    return value


def language_in_name(path):
    """The context language that a file name such as "dev-context-ar-question-de.json" tells, or None."""
    match = re.search(rf"context-({CODE})-question-{CODE}(?![0-9A-Za-z])", Path(path).name)
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
    if primary(language_of(language).code) not in metrics.MLQA_LANGUAGES:
        warnings.append(
            f"the mlqa metric has no rules of its own for {language} (only for {', '.join(metrics.MLQA_LANGUAGES)}): "
            "general ones are used, which remove punctuation and no articles"
        )
    return language


def _compare_ids(examples, predictions, gold, path, warnings):
    known = {example.id for example in examples}
    unknown = [identifier for identifier in predictions if identifier not in known]
    missing = [example.id for example in examples if example.id not in predictions]
    if len(missing) == len(examples):
        others = f" but {len(unknown)} others ({_some(unknown)}); are these predictions for another file?"
        raise DataError(
            f"{path}: expected predictions for the questions of {gold}, found none of its {len(missing)} ids"
            f"{others if unknown else ''}"
        )
    if unknown:
        warnings.append(f"{path}: {len(unknown)} ids are not in {gold}, they are left out ({_some(unknown)})")
    if missing:
        warnings.append(
            f"{path}: no prediction for {len(missing)} of {len(examples)} questions, they score 0 ({_some(missing)})"
        )


def _some(identifiers):
    """The first three ids for a message."""
    return ", ".join(map(squad_format.quote, identifiers[:3])) + (", ..." if len(identifiers) > 3 else "")
