"""A teacher that reads the same passage with its question in another language.

Student and teacher see other question tokens but the same passage tokens, shifted by the difference of the questions'
lengths. The distributions are compared over [CLS] and the passage: the positions that both have. Where question
lengths cut a long passage into other windows, no window of the teacher agrees with the student's, and the teacher
reads what the student reads.
"""

import numpy as np
import torch

from ..features import as_arrays, encode_pairs

COLUMNS = ("teacher_input_ids", "teacher_token_type_ids", "teacher_shift", "context_first", "context_last")


def teacher_columns(tokenizer, examples, questions, features):
    """What the teacher reads for each window of the student, as columns of the training features.

    Args:
        examples: N `squad_format.Example` that the student is trained on.
        questions: N strings: the question in the language that the teacher reads, or the example's own.
        features: `params.Features`.

    Returns:
        (columns, agreeing): dict of lists, one entry per window of the student: the teacher's tokens and type ids, the
        shift from a passage token's position in the student's window to that in the teacher's, and the first and last
        position of the passage in the student's window; and how many windows the teacher sees through another
        question. context_first is 1 in windows that both read alike, so that every position but padding is compared.
    """
    contexts = [example.context for example in examples]
    sizes = {
        "max_length": features.max_length,
        "stride": features.stride,
        "max_question_length": features.max_question_length,
    }
    student = as_arrays(encode_pairs(tokenizer, [example.question for example in examples], contexts, **sizes))
    teacher = as_arrays(encode_pairs(tokenizer, list(questions), contexts, **sizes))
    by_span = {_span(teacher, row): row for row in range(len(teacher))}
    columns = {name: [] for name in COLUMNS}
    agreeing = 0
    for row in range(len(student)):
        index = int(student.example_index[row])
        match = by_span.get(_span(student, row)) if questions[index] != examples[index].question else None
        source, source_row = (student, row) if match is None else (teacher, match)
        length = int(source.attention_mask[source_row].sum())
        columns["teacher_input_ids"].append(source.input_ids[source_row, :length].astype(np.int32))
        columns["teacher_token_type_ids"].append(source.token_type_ids[source_row, :length].astype(np.int8))
        first, last = _passage(student, row)
        if match is None:
            columns["teacher_shift"].append(0)
            columns["context_first"].append(1)
            columns["context_last"].append(length - 1)
        else:
            columns["teacher_shift"].append(_passage(teacher, match)[0] - first)
            columns["context_first"].append(first)
            columns["context_last"].append(last)
            agreeing += 1
    return columns, agreeing


def _passage(windows, row):
    """First and last position of the passage's tokens in a window; (1, 0) if it has none."""
    positions = np.nonzero(windows.offsets[row, :, 0] >= 0)[0]
    return (int(positions[0]), int(positions[-1])) if len(positions) else (1, 0)


def _span(windows, row):
    """The example of a window and the characters that it shows of it."""
    first, last = _passage(windows, row)
    if last < first:
        return (int(windows.example_index[row]), -1, -1)
    return (
        int(windows.example_index[row]),
        int(windows.offsets[row, first, 0]),
        int(windows.offsets[row, last, 1]),
        last - first,
    )


def teacher_batch(rows, pad_id):
    """Tensors of the teacher's part of a batch of features, under the names of `COLUMNS` and teacher_attention_mask."""
    length = max(len(row["teacher_input_ids"]) for row in rows)
    batch = {
        "teacher_input_ids": torch.full((len(rows), length), pad_id),
        "teacher_token_type_ids": torch.zeros((len(rows), length), dtype=torch.long),
        "teacher_attention_mask": torch.zeros((len(rows), length), dtype=torch.long),
    }
    for index, row in enumerate(rows):
        n = len(row["teacher_input_ids"])
        batch["teacher_input_ids"][index, :n] = torch.as_tensor(row["teacher_input_ids"])
        batch["teacher_token_type_ids"][index, :n] = torch.as_tensor(row["teacher_token_type_ids"])
        batch["teacher_attention_mask"][index, :n] = 1
    for name in ("teacher_shift", "context_first", "context_last"):
        batch[name] = torch.tensor([int(row[name]) for row in rows])
    return batch


def align(logits, inputs):
    """The teacher's logits at the student's positions.

    Args:
        logits: (B, L') float of the teacher over its own tokens.
        inputs: the batch: teacher_shift, context_first, context_last (B,), and input_ids (B, L) of the student.

    Returns:
        (B, L) float, the lowest float at positions that are not compared.
    """
    compared = compared_positions(inputs)
    position = torch.arange(inputs["input_ids"].shape[1], device=logits.device).expand_as(compared)
    # [CLS] stays where it is: the shift is that of the passage
    source = torch.where(position == 0, 0, position + inputs["teacher_shift"].unsqueeze(1))
    aligned = logits.gather(1, source.clamp(0, logits.shape[1] - 1))
    return aligned.masked_fill(~compared, torch.finfo(logits.dtype).min)


def compared_positions(inputs):
    """(B, L) bool: the positions that student and teacher both have, [CLS] and the passage."""
    position = torch.arange(inputs["input_ids"].shape[1], device=inputs["input_ids"].device).unsqueeze(0)
    inside = (position >= inputs["context_first"].unsqueeze(1)) & (position <= inputs["context_last"].unsqueeze(1))
    return inside | (position == 0)
