"""Questions and contexts as the token windows that a reader sees.

`[CLS] question [SEP] context window [SEP]` (or the like of any fast tokenizer). A *feature* is one window, an
*example* one question with one context; a long context gives several features. Questions and contexts are tokenised
once each, however many pairs they take part in, and the pairs are assembled from the pieces.
"""

import unicodedata
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import torch

_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])  # the last is at U+3000


@dataclass(frozen=True, eq=False)
class Windows:
    """W windows over the pairs, padded to the longest of them (L tokens), as torch tensors.

    Attributes:
        example_index: (W,) int64, the pair that the window belongs to; ascending.
        input_ids, attention_mask, token_type_ids: (W, L) int64. The type ids are all 0 for tokenizers without them.
        offsets: (W, L, 2) int64, the token's character span [start, end) in the context; (-1, -1) for the question,
            special tokens, padding, and tokens that stand for no character but white space. The spans of an example
            hold every character of its context but white space, and control and format characters behind it.
    """

    example_index: torch.Tensor
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    token_type_ids: torch.Tensor
    offsets: torch.Tensor

    def __len__(self):
        return len(self.example_index)

    def lengths(self):
        """(W,) int64: tokens of each window, without padding."""
        return self.attention_mask.sum(-1)

    def select(self, rows):
        """The windows `rows` (index or mask), cut to the longest of them; `example_index` is kept."""
        rows = torch.as_tensor(np.array(rows))  # a copy: torch takes no reversed view
        parts = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        longest = max([1, *parts["attention_mask"].sum(-1).tolist()])
        return Windows(
            **{name: value if name == "example_index" else value[:, :longest] for name, value in parts.items()}
        )


def as_arrays(windows):
    """The same windows with NumPy arrays, which share memory with the tensors."""
    return Windows(**{field.name: np.asarray(getattr(windows, field.name)) for field in fields(Windows)})


@dataclass(frozen=True)
class _Layout:
    """Where a tokenizer puts its special tokens around a pair, and the type id of each of the five segments."""

    before: list
    between: list
    after: list
    type_ids: tuple  # of before, question, between, context, after


def _layout(tokenizer):
    # Read off an encoded pair rather than from a table of model families, so that any tokenizer fits.
    encoded = tokenizer("a", "a", add_special_tokens=True, return_token_type_ids=True)
    ids = encoded["input_ids"]
    types = encoded.get("token_type_ids") or [0] * len(ids)
    sequence = encoded.sequence_ids(0)
    question = [i for i, s in enumerate(sequence) if s == 0]
    context = [i for i, s in enumerate(sequence) if s == 1]
    if not question or not context:
        raise ValueError(
            "the tokenizer does not keep the two texts of a pair apart; expected a fast tokenizer of a reader"
        )
    segments = (
        slice(0, question[0]),
        slice(question[0], question[-1] + 1),
        slice(question[-1] + 1, context[0]),
        slice(context[0], context[-1] + 1),
        slice(context[-1] + 1, len(ids)),
    )
    type_ids = tuple(types[segment][0] if types[segment] else 0 for segment in segments)
    return _Layout(ids[segments[0]], ids[segments[2]], ids[segments[4]], type_ids)


def _pieces(tokenizer, texts):
    """{text: (ids (n,), offsets (n, 2))} of the distinct texts, without special tokens."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    # Contexts longer than the model are what windows are for: the tokenizer's warning about them would mislead.
    encoded = tokenizer(distinct, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return {
        text: (np.asarray(ids, dtype=np.int64), np.asarray(offsets, dtype=np.int64).reshape(-1, 2))
        for text, ids, offsets in zip(distinct, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    }


def _whole_characters(offsets, text):
    """Spans that leave out white space at their edges (SentencePiece) and lose no other character of the text.

    What no token covers goes to a token beside it (`_with_lost_characters`). Empty spans become (-1, -1).
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    space = np.append(_IS_SPACE[np.minimum(codes, len(_IS_SPACE) - 1)], False)
    begun, ended = (np.bincount(places, minlength=len(space)) for places in offsets.T)
    lost = np.flatnonzero(~(space | (np.cumsum(begun - ended) > 0))[:-1])
    spans = _with_lost_characters(offsets, text, lost) if len(lost) else offsets.copy()
    start, end = spans.T
    spans[start >= end] = (-1, -1)
    # nearly all tokens begin and end with characters of their own, and are done
    for row in np.flatnonzero((start < end) & (space[start] | space[end - 1])).tolist():
        start, end = spans[row].tolist()
        while start < end and space[start]:
            start += 1
        while end > start and space[end - 1]:
            end -= 1
        spans[row] = (start, end) if start < end else (-1, -1)
    return spans


def _with_lost_characters(offsets, text, lost):
    """Spans that cover the `lost` characters (indices, ascending), too, for which the tokenizer gives no token.

    Where characters are composed (NFC, NFKC: accents, Korean letters, voicing marks of half-width kana), the token has
    the place of the first alone: the others go to the token before them. Where a byte-level tokenizer adds a space to
    a word and trims it off again, the token begins one character late, and is empty if it has no other: the character
    goes to the token that begins right after it. So does what is dropped, such as letters that the tokenizer does not
    know, or else to the last token before it, or the first after it.

    Control and format characters (direction marks, joiners, zero-width spaces) go to the token before them, too, but to
    none where they begin a text or follow white space. So the marked answers of SQuAD, XQuAD, MLQA and TyDiQA have it:
    39 end in one and none stops before one, but 5 leave out the one that their text begins with.
    """
    spans = offsets.copy()
    begins = np.flatnonzero(np.diff(lost, prepend=-2) > 1)  # of the runs of lost characters
    firsts, lasts = lost[begins], lost[np.append(begins[1:], len(lost)) - 1] + 1
    ends = np.unique(offsets[offsets[:, 0] < offsets[:, 1], 1])
    moved = np.arange(len(text) + 1)  # where a token that ended at each place ends now
    goes_back = np.array([_goes_back(text[place]) for place in lost.tolist()])
    whole = np.logical_and.reduceat(goes_back, begins) & np.isin(firsts, ends)
    moved[firsts[whole]] = lasts[whole]
    row_at = {start: row for row, start in reversed(list(enumerate(offsets[:, 0].tolist())))}
    for at, last in np.stack([firsts, lasts], axis=-1)[~whole].tolist():
        number = int(np.searchsorted(ends, at, side="right"))
        before = int(ends[number - 1]) if number else None  # where the last token before the run ends
        touches = before == at
        if touches:
            while _goes_back(text[at]):
                at += 1
            moved[before] = at
        for start in range(at + 1, last + 1):
            row = row_at.get(start)
            if row is None or (first := _visible(text, at, start)) == start:
                continue
            spans[row, 0] = min(first, spans[row, 0])
            if offsets[row, 1] <= start:  # it was empty
                spans[row, 1] = before = start
                touches = True
            at = start
        if not touches:
            at = _visible(text, at, last)
        if at == last:
            continue
        if before is not None:
            moved[before] = last
        elif (after := offsets[:, 0] >= last).any():
            row = int(after.argmax())
            spans[row] = min(at, spans[row, 0]), max(offsets[row])
    filled = spans[:, 0] < spans[:, 1]
    spans[filled, 1] = moved[spans[filled, 1]]
    return spans


def _visible(text, at, last):
    """The first place in [at, last) whose character is not invisible, or `last`."""
    return next((place for place in range(at, last) if not _is_invisible(text[place])), last)


def _is_invisible(character):
    return unicodedata.category(character) in ("Cc", "Cf")


@cache
def _goes_back(character):
    """Does a lost character belong to the one before it? If it is invisible, or composed with it by normalisation.

    Those are marks, also in their compatibility forms (of half-width kana), and the vowels and finals of Korean.
    """
    first = unicodedata.normalize("NFKC", character)[0]
    korean = "\u1160" <= first <= "\u11ff" or "\ud7b0" <= first <= "\ud7fb"
    return unicodedata.category(first)[0] == "M" or korean or _is_invisible(character)


def encode_pairs(tokenizer, questions, contexts, *, max_length=384, stride=128, max_question_length=64):
    """Tokenise question-context pairs into overlapping windows.

    Args:
        tokenizer: a fast `transformers` tokenizer of any kind.
        questions, contexts: sequences of N strings.
        max_length: tokens of a window, special tokens included.
        stride: tokens from the start of one window to the start of the next (BERT's `doc_stride`), not their overlap.
        max_question_length: a longer question loses its end.

    Returns:
        `Windows`, in the order of the pairs; every pair has at least one window, also one with an empty context.

    Raises:
        ValueError: unequal numbers of questions and contexts, a tokenizer without offsets, a stride < 1 or larger than
            the room for context (tokens would be lost), no room for context.
    """
    questions, contexts = list(questions), list(contexts)
    if len(questions) != len(contexts):
        raise ValueError(
            f"{len(questions)} questions but {len(contexts)} contexts; expected one context for each question"
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{type(tokenizer).__name__} gives no character offsets; use the fast tokenizer of the model")
    if stride < 1 or max_question_length < 1:
        raise ValueError(f"stride and max_question_length must be >= 1, got {stride} and {max_question_length}")
    layout = _layout(tokenizer)
    special = len(layout.before) + len(layout.between) + len(layout.after)
    question_pieces = _pieces(tokenizer, questions)
    context_pieces = {
        text: (ids, _whole_characters(offsets, text)) for text, (ids, offsets) in _pieces(tokenizer, contexts).items()
    }

    rows = []  # (example, question ids, context ids, context offsets) of each window
    for example, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        question_ids = question_pieces[question][0][:max_question_length]
        context_ids, context_offsets = context_pieces[context]
        room = max_length - special - len(question_ids)
        if room < 1 or (stride > room and len(context_ids) > room):
            raise ValueError(
                f"max_length {max_length} leaves {room} tokens for the context beside {len(question_ids)} question and "
                f"{special} special tokens, with stride {stride}: tokens would be lost; raise max_length, or lower "
                "stride or max_question_length"
            )
        start = 0
        while True:
            rows.append(
                (example, question_ids, context_ids[start : start + room], context_offsets[start : start + room])
            )
            if start + room >= len(context_ids):
                break
            start += stride

    length = max((special + len(question) + len(context) for _, question, context, _ in rows), default=1)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    windows = Windows(
        example_index=np.asarray([row[0] for row in rows], dtype=np.int64),
        input_ids=np.full((len(rows), length), pad_id, dtype=np.int64),
        attention_mask=np.zeros((len(rows), length), dtype=np.int64),
        token_type_ids=np.zeros((len(rows), length), dtype=np.int64),
        offsets=np.full((len(rows), length, 2), -1, dtype=np.int64),
    )
    for row, (_, question_ids, context_ids, context_offsets) in enumerate(rows):
        segments = (layout.before, question_ids, layout.between, context_ids, layout.after)
        position = 0
        for index, segment in enumerate(segments):
            here = slice(position, position + len(segment))
            windows.input_ids[row, here] = segment
            windows.token_type_ids[row, here] = layout.type_ids[index]
            if index == 3:
                windows.offsets[row, here] = context_offsets
            position += len(segment)
        windows.attention_mask[row, :position] = 1
    return Windows(**{field.name: torch.from_numpy(getattr(windows, field.name)) for field in fields(Windows)})


def label_windows(windows, answers):
    """Start and end token of each example's answer in each of its windows.

    Args:
        windows: all W windows of N examples.
        answers: N pairs (start, end) of characters in the context, end exclusive.

    Returns:
        (start_positions, end_positions), each (W,) int64: the first and the last token that holds a character of the
        answer; both 0 (the [CLS] token) where the window does not hold the whole answer.

    Raises:
        ValueError: not one answer for each example.
    """
    windows = as_arrays(windows)
    answers = np.asarray(answers, dtype=np.int64).reshape(-1, 2)
    examples = int(windows.example_index.max(initial=-1)) + 1
    if len(answers) != examples:
        raise ValueError(f"{len(answers)} answers but windows of {examples} examples; expected one for each example")
    spans = answers[windows.example_index]
    answer_start, answer_end = spans[:, :1], spans[:, 1:]
    token_start, token_end = windows.offsets[..., 0], windows.offsets[..., 1]
    touches = (token_start >= 0) & (token_end > answer_start) & (token_start < answer_end)
    first = touches.argmax(-1)
    last = touches.shape[1] - 1 - touches[:, ::-1].argmax(-1)
    # A window holds the answer if it reaches as far to both sides as the example's windows together. The answer's own
    # limits would ask too much: a character there may have no token (white space, a control character).
    begin = np.where(touches, token_start, np.iinfo(np.int64).max).min(-1)
    end = np.where(touches, token_end, -1).max(-1)
    first_begin, last_end = np.full(examples, np.iinfo(np.int64).max), np.full(examples, -1)
    np.minimum.at(first_begin, windows.example_index, begin)
    np.maximum.at(last_end, windows.example_index, end)
    whole = touches.any(-1) & (begin == first_begin[windows.example_index]) & (end == last_end[windows.example_index])
    return np.where(whole, first, 0), np.where(whole, last, 0)
