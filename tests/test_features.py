"""Windows against a plain-Python reading of their definition, for three kinds of tokenizers and five scripts."""

import random
import re
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from xqa_lib.features import Windows, encode_pairs, label_windows

CONTEXTS = {
    "en": "Anna Kovač was born in Rome on 3 May 1950; her mother, Ida, was a painter.",
    "zh": "北京是中华人民共和国的首都，位于华北平原。人口约2184万。",
    "th": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย ก่อตั้งใน พ.ศ. 2325",
    "ar": "القاهرة هي عاصمة جمهورية مصر العربية، تأسست عام 969.",
    "hi": "नई दिल्ली भारत की राजधानी है, और ज़्यादातर लोग हिन्दी बोलते हैं।",
    "marks": "The cafe\u0301 of Sen\u0303or Nun\u0303ez  flies 🇫🇷 and 👩\u200d🚀 over\tthe nai\u0308ve town.",
}
QUESTION = "Where was Anna born?"


def _bert():
    """WordPiece, type ids 0 and 1: [CLS] question [SEP] context [SEP]."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    characters = sorted({c for text in (QUESTION, *CONTEXTS.values()) for c in text if not c.isspace()})
    vocabulary += [*characters, *(f"##{c}" for c in characters), "born", "Rome", "##na", "Ba", "भारत", "##ोल", "مصر"]
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")},
    )


ROBERTA_TOKENS = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "cls": "<s>", "sep": "</s>"}


def _xlm_roberta():
    """Unigram on Metaspace words, NFKC, no type ids: <s> question </s></s> context </s>."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    composed = unicodedata.normalize("NFKC", "".join((QUESTION, *CONTEXTS.values())))
    pieces += [(c, -6.0) for c in sorted({c for c in composed if not c.isspace()})]
    pieces += [(piece, -4.0) for piece in ("▁born", "▁Rome", "Ro", "首都", "เมือง", "▁عاصمة", "राजधानी", "▁caf", "▁was")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in ROBERTA_TOKENS.items()},
    )


def _byte_level():
    """Byte-level BPE with few merges: most characters outside ASCII are two to four tokens with one span.

    Its own spans begin with the space before a word.
    """
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = [("Ġ", "w"), ("o", "r"), ("Ġ", "R"), ("ä", "¸"), ("Ù", "ħ"), ("à", "¤"), ("à", "¸")]
    tokens += [first + second for first, second in merges]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=False, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{name}_token": token for name, token in ROBERTA_TOKENS.items()}
    )


KINDS = {
    "bert": (_bert(), [2], [3], [3], 1),
    "xlm-roberta": (_xlm_roberta(), [0], [2, 2], [2], 0),
    "byte-level": (_byte_level(), [0], [2, 2], [2], 0),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def plain(tokenizer, text):
    """(ids, spans) of a text alone; spans lose white space and take marks without a token, and are None if empty."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    covered = {place for span in encoded["offset_mapping"] for place in range(*span)}
    spans = []
    for start, end in encoded["offset_mapping"]:
        piece = text[start:end]
        start, end = start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        while start < end < len(text) and end not in covered and unicodedata.category(text[end]) in ("Mn", "Mc", "Cf"):
            end += 1
        spans.append((start, end) if piece.strip() else None)
    return encoded["input_ids"], spans


def plain_windows(kind, question, context, max_length, stride, max_question_length):
    """Every window as (input ids, type ids, offsets, first context token, context tokens)."""
    tokenizer, before, between, after, context_type = KINDS[kind]
    question_ids = plain(tokenizer, question)[0][:max_question_length]
    ids, spans = plain(tokenizer, context)
    room = max_length - len(before + question_ids + between + after)
    windows = []
    first = 0
    while not windows or first - stride + room < len(ids):
        part = slice(first, first + room)
        head = before + question_ids + between
        tail = [span or (-1, -1) for span in spans[part]]
        windows.append(
            (
                head + ids[part] + after,
                [0] * len(head) + [context_type] * (len(ids[part]) + len(after)),
                [(-1, -1)] * len(head) + tail + [(-1, -1)] * len(after),
                first,
                len(ids[part]),
            )
        )
        first += stride
    return windows


def settings_that_fit(kind, rng, question):
    """Random (max_length, stride, max_question_length) that leave at least `stride` tokens for the context."""
    tokenizer, before, between, after, _ = KINDS[kind]
    max_question_length = rng.randint(1, 12)
    used = min(max_question_length, len(plain(tokenizer, question)[0])) + len(before + between + after)
    stride = rng.randint(1, 12)
    return used + stride + rng.randint(0, 15), stride, max_question_length


@kinds
@pytest.mark.parametrize("language", CONTEXTS)
def test_one_window_is_the_tokenizers_own_pair(kind, language):
    tokenizer = KINDS[kind][0]
    own = tokenizer(QUESTION, CONTEXTS[language], return_token_type_ids=True)
    windows = encode_pairs(tokenizer, [QUESTION], [CONTEXTS[language]])
    assert windows.input_ids.tolist() == [own["input_ids"]]
    assert windows.attention_mask.tolist() == [own["attention_mask"]]
    assert windows.token_type_ids.tolist() == [own["token_type_ids"]]
    assert windows.example_index.tolist() == [0]


@kinds
def test_against_plain_python(kind):
    rng = random.Random(0)
    tokenizer = KINDS[kind][0]
    for _ in range(40):
        questions = [rng.choice([QUESTION, "Who?", "首都", "", *CONTEXTS.values()]) for _ in range(3)]
        contexts = [rng.choice([*CONTEXTS.values(), "", " ", "Rome"]) for _ in range(3)]
        longest = max(questions, key=lambda question: len(plain(tokenizer, question)[0]))
        max_length, stride, max_question_length = settings_that_fit(kind, rng, longest)
        arguments = {"max_length": max_length, "stride": stride, "max_question_length": max_question_length}
        windows = encode_pairs(tokenizer, questions, contexts, **arguments)
        expected = [
            (example, *window)
            for example, (question, context) in enumerate(zip(questions, contexts, strict=True))
            for window in plain_windows(kind, question, context, *arguments.values())
        ]
        assert windows.example_index.tolist() == [window[0] for window in expected]
        length = max(len(window[1]) for window in expected)
        assert length <= max_length
        padding = {"input_ids": tokenizer.pad_token_id, "token_type_ids": 0, "offsets": (-1, -1)}
        for place, (name, value) in enumerate(padding.items(), 1):
            padded = [window[place] + [value] * (length - len(window[1])) for window in expected]
            assert np.array_equal(getattr(windows, name), padded), name
        assert windows.lengths().tolist() == [len(window[1]) for window in expected]
        real = [[1] * len(window[1]) + [0] * (length - len(window[1])) for window in expected]
        assert windows.attention_mask.tolist() == real


@kinds
@pytest.mark.parametrize("language", CONTEXTS)
def test_windows_are_those_of_the_tokenizer_with_its_own_stride(kind, language):
    # The tokenizers' `stride` is the overlap of two windows: room for the context less our step.
    tokenizer = KINDS[kind][0]
    rng = random.Random(1)
    for _ in range(5):
        max_length, stride, _ = settings_that_fit(kind, rng, QUESTION)
        max_length += len(plain(tokenizer, QUESTION)[0])
        room = max_length - len(tokenizer(QUESTION, "1")["input_ids"]) + len(plain(tokenizer, "1")[0])
        options = {"truncation": "only_second", "max_length": max_length, "stride": room - stride}
        own = tokenizer([QUESTION], [CONTEXTS[language]], **options, return_overflowing_tokens=True)
        windows = encode_pairs(tokenizer, [QUESTION], [CONTEXTS[language]], max_length=max_length, stride=stride)
        found = [row[:n].tolist() for row, n in zip(windows.input_ids, windows.lengths(), strict=True)]
        assert found == own["input_ids"]


@pytest.mark.parametrize(
    ("kind", "context", "spans"),
    [
        ("bert", "in  Rome.", ["i", "n", "Rome", "."]),
        ("bert", "北京2184", ["北", "京", "2", "1", "8", "4"]),
        ("bert", "cafe\u0301", ["c", "a", "f", "e", "\u0301"]),  # a letter and its mark are two of its pieces
        ("xlm-roberta", " Rome  ", ["Rome"]),
        ("xlm-roberta", "北 首都", ["北", "北", "首", "首都"]),  # a "▁" alone has the span of the character it precedes
        ("xlm-roberta", "cafe\u0301 n", ["caf", "e\u0301", "n", "n"]),  # NFKC makes one letter of two
        ("xlm-roberta", "भारत", ["भ", "भ", "ा", "र", "त"]),
        ("byte-level", " Rome", ["R", "o", "m", "e"]),
        ("byte-level", "for was", ["f", "or", "w", "a", "s"]),  # "or" and " w" are pieces
        ("byte-level", "北京", ["北", "北", "北", "京", "京", "京"]),
        ("byte-level", "🇫🇷", ["🇫", "🇫", "🇫", "🇫", "🇷", "🇷", "🇷", "🇷"]),
    ],
)
def test_spans_written_out(kind, context, spans):
    windows = encode_pairs(KINDS[kind][0], ["Who?"], [context])
    assert [context[start:end] for start, end in windows.offsets[0].tolist() if start >= 0] == spans


@kinds
def test_no_pairs(kind):
    windows = encode_pairs(KINDS[kind][0], [], [])
    assert len(windows) == 0
    assert windows.offsets.shape == (0, 1, 2)
    assert [labels.tolist() for labels in label_windows(windows, [])] == [[], []]


def test_select_keeps_order_and_cuts_padding():
    tokenizer = KINDS["bert"][0]
    windows = encode_pairs(tokenizer, ["Who?"] * 3, ["a a", "a a a a a a", "a"])
    chosen = windows.select(np.array([2, 0]))
    assert chosen.example_index.tolist() == [2, 0]
    assert chosen.lengths().tolist() == [8, 9]
    assert chosen.input_ids.shape == chosen.attention_mask.shape == chosen.token_type_ids.shape == (2, 9)
    assert chosen.offsets.shape == (2, 9, 2)
    assert chosen.input_ids[1].tolist() == windows.input_ids[0, :9].tolist()
    masked = windows.select(np.array([False, True, False]))
    assert masked.example_index.tolist() == [1]
    assert masked.offsets.tolist() == windows.offsets[1:2].tolist()
    assert len(windows.select(np.array([], dtype=int))) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"questions": ["Who?"] * 2}, "2 questions but 1 contexts; expected one context for each question"),
        ({"tokenizer": SimpleNamespace(is_fast=False)}, "SimpleNamespace gives no character offsets; use the fast "),
        ({"stride": 0}, "stride and max_question_length must be >= 1, got 0 and 64"),
        ({"max_question_length": 0}, "stride and max_question_length must be >= 1, got 128 and 0"),
        ({"max_length": 12, "stride": 6}, "max_length 12 leaves 5 tokens for the context beside 4 question and 3"),
    ],
)
def test_errors(arguments, message):
    good = {"tokenizer": KINDS["bert"][0], "questions": ["Who?"], "contexts": [CONTEXTS["en"]]}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        encode_pairs(**(good | arguments))


def test_a_stride_as_wide_as_the_room_loses_nothing():
    windows = encode_pairs(KINDS["bert"][0], ["Who?"], ["a b c d e f g"], max_length=10, stride=3)
    starts = [[start for start, _ in row if start >= 0] for row in windows.offsets.tolist()]
    assert starts == [[0, 2, 4], [6, 8, 10], [12]]
    # a wider one does not matter where one window is enough
    assert len(encode_pairs(KINDS["bert"][0], ["Who?"], ["a b c"], max_length=10, stride=9)) == 1


def test_a_tokenizer_without_pairs_is_refused():
    # here "a" is no token at all, so that nothing shows where the texts of a pair go
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"b": 0}, merges=[])))
    with pytest.raises(ValueError, match=r"^the tokenizer does not keep the two texts of a pair apart"):
        encode_pairs(tokenizer, ["b"], ["b"])


def labelled(kind, context, answer, **settings):
    """(windows, list of (start token, end token, the text between them or None)) for an answer."""
    start = context.index(answer)
    windows = encode_pairs(KINDS[kind][0], ["Who?"], [context], **settings)
    found = []
    for row, (first, last) in enumerate(zip(*label_windows(windows, [(start, start + len(answer))]), strict=True)):
        span = (windows.offsets[row, first, 0], windows.offsets[row, last, 1])
        found.append((int(first), int(last), context[slice(*span)] if last else None))
    return windows, found


def test_labels_written_out():
    # [CLS] W ##h ##o ? [SEP] is 7 tokens: "Who?" gives 4, the context begins at 6
    _, found = labelled("bert", "a b c d e f g h", "c d", max_length=13, stride=2)
    # windows of six: a...f, c...h
    assert found == [(8, 9, "c d"), (6, 7, "c d")]


def test_labels_at_the_borders_of_windows():
    # room for three: abc, bcd, cde, def
    def find(answer):
        return [text for _, _, text in labelled("bert", "a b c d e f", answer, max_length=10, stride=1)[1]]

    assert find("a") == ["a", None, None, None]
    assert find("a b c") == ["a b c", None, None, None]
    assert find("c") == ["c", "c", "c", None]
    assert find("c d") == [None, "c d", "c d", None]
    assert find("d e f") == [None, None, None, "d e f"]
    assert find("f") == [None, None, None, "f"]
    assert find("a b c d") == [None] * 4  # longer than a window
    windows, found = labelled("bert", "a b c d e f", "f", max_length=10, stride=1)
    assert [(first, last) for first, last, _ in found[:3]] == [(0, 0)] * 3
    assert found[3][:2] == (8, 8)
    assert windows.input_ids[0, 0] == 2  # position 0 is [CLS]


@kinds
@pytest.mark.parametrize("answer", [" Rome", "Rome ", " Rome "])
def test_white_space_at_the_edge_of_an_answer_does_not_matter(kind, answer):
    # in every window that holds "Rome", also at its border, where the space is in none
    context = "He came to Rome by car"
    settings = {"max_length": 18 if kind == "bert" else 19, "stride": 1}
    assert labelled(kind, context, answer, **settings)[1] == labelled(kind, context, "Rome", **settings)[1]


def test_an_answer_inside_a_token_gets_the_token():
    _, found = labelled("bert", "in Rome.", "om")
    assert [text for _, _, text in found] == ["Rome"]


@pytest.mark.parametrize("answer", [(2, 2), (2, 3)])
def test_an_answer_without_a_token_is_labelled_cls(answer):
    windows = encode_pairs(KINDS["bert"][0], ["Who?"], ["in Rome"])
    assert [labels.tolist() for labels in label_windows(windows, [answer])] == [[0], [0]]


@kinds
def test_labels_against_plain_python(kind):
    """A window is labelled if it covers every character of the answer that the whole context's tokens cover."""
    rng = random.Random(2)
    tokenizer = KINDS[kind][0]
    labelled_windows = 0
    for _ in range(60):
        contexts = rng.sample(list(CONTEXTS.values()), 2)
        max_length, stride, max_question_length = settings_that_fit(kind, rng, "Who?")
        arguments = {"max_length": max_length, "stride": stride, "max_question_length": max_question_length}
        answers = []
        for context in contexts:
            start = rng.randrange(len(context))
            answers.append((start, min(len(context), start + rng.randint(1, 9))))
        windows = encode_pairs(tokenizer, ["Who?"] * 2, contexts, **arguments)
        expected = []
        for context, (start, end) in zip(contexts, answers, strict=True):
            wanted = set()
            for span in plain(tokenizer, context)[1]:
                wanted |= set(range(*span)) & set(range(start, end)) if span else set()
            for _, _, offsets, _, _ in plain_windows(kind, "Who?", context, *arguments.values()):
                inside = [i for i, span in enumerate(offsets) if span[0] >= 0 and wanted & set(range(*span))]
                covered = set().union(*(range(*offsets[i]) for i in inside))
                expected.append((inside[0], inside[-1]) if wanted and wanted <= covered else (0, 0))
        assert list(zip(*(labels.tolist() for labels in label_windows(windows, answers)), strict=True)) == expected
        labelled_windows += sum(pair != (0, 0) for pair in expected)
    assert labelled_windows > 60  # the comparison is not one of zeros


def test_labels_need_one_answer_for_each_example():
    windows = encode_pairs(KINDS["bert"][0], ["Who?"] * 2, ["Rome"] * 2)
    with pytest.raises(ValueError, match=r"^1 answers but windows of 2 examples; expected one for each example$"):
        label_windows(windows, [(0, 4)])


def test_windows_are_tensors_of_64_bits():
    windows = encode_pairs(KINDS["bert"][0], ["Who?"], ["Rome"])
    assert isinstance(windows, Windows)
    for name in ("example_index", "input_ids", "attention_mask", "token_type_ids", "offsets"):
        assert getattr(windows, name).dtype == torch.int64
