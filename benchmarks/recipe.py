"""The usual recipe, plainly: what every work of the library is compared with.

As classic SQuAD scripts and the paper's released code do it: each pair is tokenised anew and padded to 384 tokens; the
examples come shuffled, 6 to a batch and 4 batches to an optimiser step, in float32 with attention written out; all
weights are trained, the word embeddings of the whole vocabulary, too; the teacher reads every batch again; evaluation
reads batches of 8; the n best answers are searched in plain Python.
Losses, windows and answers are those of the library (tests/test_benchmarks.py).
"""

import math
from typing import NamedTuple

import torch

from xqa_lib.training.models import span_logits
from xqa_lib.training.trainer import distillation_loss

MAX_LENGTH, STRIDE, MAX_QUESTION = 384, 128, 64


def features(tokenizer, questions, contexts):
    """One dict a window: example, input_ids, attention_mask, token_type_ids (384 numbers each), offsets, and piece.

    The piece is the place of the window's first token among the context's, and how many it has of them.
    """
    made = []
    for example, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        pieces = tokenizer(
            question, add_special_tokens=False, truncation=True, max_length=MAX_QUESTION, return_offsets_mapping=True
        )
        if pieces["offset_mapping"]:
            question = question[: pieces["offset_mapping"][-1][1]]
        room = MAX_LENGTH - len(pieces["input_ids"]) - 3
        encoded = tokenizer(
            question,
            context,
            truncation="only_second",
            max_length=MAX_LENGTH,
            stride=room - STRIDE,  # the tokenizer's argument is the overlap
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
            padding="max_length",
        )
        for row in range(len(encoded["input_ids"])):
            inside = encoded.sequence_ids(row)
            made.append(
                {
                    "example": example,
                    **{name: encoded[name][row] for name in ("input_ids", "attention_mask", "token_type_ids")},
                    "offsets": [
                        span if part == 1 else None
                        for span, part in zip(encoded["offset_mapping"][row], inside, strict=True)
                    ],
                    "piece": (row * STRIDE, inside.count(1)),
                }
            )
    return made


def best_answers(windows, start_logits, end_logits, contexts, *, n_best=20, max_answer_tokens=30):
    """The n best (text, start, end, score, probability) of each example; logits as lists of 384 numbers a window.

    A record is made of each combination of start and end that passes the checks, and all of an example's are sorted.
    The classic scripts take the 20 best of all tokens before they drop those outside the context, go on to search
    the answer's characters (they have tokens, no offsets) and drop equal texts. Here the 20 best are the context's, and
    equal spans are dropped, so that the answers are the library's; the search is left out, which makes this faster.
    """
    by_example = {}
    for number, window in enumerate(windows):
        by_example.setdefault(window["example"], []).append(number)
    answers = []
    for example, context in enumerate(contexts):
        candidates = []
        numbers = by_example.get(example, [])
        pieces = [windows[number]["piece"] for number in numbers]
        for number in numbers:
            offsets, starts, ends = windows[number]["offsets"], start_logits[number], end_logits[number]
            best_starts, best_ends = _best_places(starts, offsets), _best_places(ends, offsets)
            first_of_context = next((index for index, span in enumerate(offsets) if span is not None), 0)
            for first in best_starts:
                place = windows[number]["piece"][0] + first - first_of_context
                if not _has_maximum_context(pieces, windows[number]["piece"], place):
                    continue
                for last in best_ends:
                    if last < first:
                        continue
                    if last - first + 1 > max_answer_tokens:
                        continue
                    candidates.append(_Candidate(offsets[first][0], offsets[last][1], starts[first], ends[last]))
        candidates.sort(key=lambda c: (-(c.start_logit + c.end_logit), c.start, c.end))
        seen, chosen = set(), []
        for candidate in candidates:
            if len(chosen) == n_best:
                break
            span = (candidate.start, candidate.end)
            if span not in seen:
                seen.add(span)
                chosen.append(candidate)
        scores = [candidate.start_logit + candidate.end_logit for candidate in chosen]
        weights = [math.exp(score - scores[0]) for score in scores]
        total = sum(weights)
        answers.append(
            [
                (context[c.start : c.end], c.start, c.end, score, weight / total)
                for c, score, weight in zip(chosen, scores, weights, strict=True)
            ]
        )
    return answers


class _Candidate(NamedTuple):
    start: int  # in characters
    end: int
    start_logit: float
    end_logit: float


def _has_maximum_context(pieces, own, place):
    best_score, best = None, None
    for piece in pieces:
        first, count = piece
        last = first + count - 1
        if not first <= place <= last:
            continue
        score = min(place - first, last - place) + 0.01 * count
        if best_score is None or score > best_score:
            best_score, best = score, piece
    return best == own


def _best_places(logits, offsets):
    ranked = sorted(enumerate(logits), key=lambda entry: entry[1], reverse=True)
    return [index for index, _ in ranked if offsets[index] is not None][:20]


def evaluate(model, tokenizer, questions, contexts, *, device="cpu"):
    """The best answer's text of each example, "" for none."""
    windows = features(tokenizer, questions, contexts)
    starts, ends = [], []
    with torch.no_grad():
        for first in range(0, len(windows), 8):
            part = windows[first : first + 8]
            batch = {
                name: torch.tensor([window[name] for window in part], device=device)
                for name in ("input_ids", "attention_mask", "token_type_ids")
            }
            start, end = span_logits(model, batch)
            starts += start.tolist()
            ends += end.tolist()
    return [found[0][0] if found else "" for found in best_answers(windows, starts, ends, contexts)]


def distil(student, teacher, rows, *, method, learning_rate, pad_id, order, device="cpu"):
    """One epoch of distillation; returns the loss of each optimiser step.

    Args:
        rows: labelled features (dicts with input_ids, token_type_ids, start_positions, end_positions).
        order: indices of `rows`, 24 to a step.
        pad_id: the tokenizer's.
    """
    optimizer = torch.optim.AdamW(student.parameters(), lr=learning_rate, eps=1e-8, weight_decay=0.0, fused=False)
    steps = (len(order) + 23) // 24
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (steps - step) / steps)
    student.train()
    losses = []
    for first in range(0, len(order), 24):
        group = order[first : first + 24]
        total = 0.0
        for part in range(0, len(group), 6):
            batch = _padded([rows[index] for index in group[part : part + 6]], pad_id, device)
            with torch.no_grad():
                taught = span_logits(teacher, batch)
            student_logits = span_logits(student, batch)
            loss, _ = distillation_loss(
                student_logits, taught, batch["start_positions"], batch["end_positions"], method
            )
            loss = loss * len(batch["input_ids"]) / len(group)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(total)
    return losses


def _padded(rows, pad_id, device):
    def column(name, padding):
        values = [[*row[name], *[padding] * (MAX_LENGTH - len(row[name]))] for row in rows]
        return torch.tensor(values, device=device)

    batch = {"input_ids": column("input_ids", pad_id), "token_type_ids": column("token_type_ids", 0)}
    real = [[1] * len(row["input_ids"]) + [0] * (MAX_LENGTH - len(row["input_ids"])) for row in rows]
    labels = {
        name: torch.tensor([row[name] for row in rows], device=device) for name in ("start_positions", "end_positions")
    }
    return {**batch, "attention_mask": torch.tensor(real, device=device), **labels}
