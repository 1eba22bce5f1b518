"""Model folders: make a tokenizer and a small BERT from scratch, load readers safely, identify weights.

A reader is an ordinary `transformers` question-answering model folder, so any model from the hub can take the place of
ours. Weights are safetensors; pickled weights and folders that ask for code of their own are refused.
"""

import hashlib
import importlib.util
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
)

from ..errors import DataError
from ..running.files import read_whole
from . import cpu_linear

PACKAGE = "package:"  # begins the name of a model that a Python package carries
SETTINGS = 16 * 2**20  # bytes of a model's configuration
READ_CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")
SPECIAL_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def train_tokenizer(texts, *, vocabulary_size, max_length):
    """A cased subword tokenizer with BERT's special tokens, learned from raw text.

    Byte-pair merges (Sennrich et al. 2016) rather than WordPiece: Thai and other text without spaces is one "word" for
    a pre-tokenizer that splits at white space, and WordPiece gives up on long words. Chinese characters are tokens of
    their own, as in multilingual BERT, so that an answer can begin at any of them; runs of digits are kept together,
    and the Thai full stop, a letter for Unicode, is kept apart.

    Args:
        texts: list of strings.
        vocabulary_size: pieces, special tokens included; more only if the texts have more characters.
        max_length: the model's limit in tokens, recorded in the tokenizer.

    Returns:
        A fast tokenizer; pairs are `[CLS] a [SEP] b [SEP]` with type ids 0 and 1.
    """
    tokenizer = Tokenizer(BPE(unk_token=SPECIAL_TOKENS["unk"]))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.BertNormalizer(
                clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
            ),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split("ฯ", "isolated"),
        ]
    )
    trainer = BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS.values()),
        # a longer piece would swallow an answer and its surroundings where words are not spaced
        max_token_length=12,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    cls_id, sep_id = (tokenizer.token_to_id(SPECIAL_TOKENS[name]) for name in ("cls", "sep"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls_id), ("[SEP]", sep_id)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in SPECIAL_TOKENS.items()},
    )


def new_encoder(tokenizer, encoder):
    """A fresh BERT for masked-language modelling, seeded; its attention begins where trained attention ends up.

    Mimetic initialisation (Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers"): query and
    key weights begin as one orthogonal matrix, so that a token attends to its like, and position embeddings begin as
    sinusoids (Vaswani et al. 2017), so that it attends to its neighbours. All weights are trained as usual. From
    BERT's own initialisation a small encoder spends most of a small budget on finding that out.

    Args:
        tokenizer: decides the vocabulary's size.
        encoder: `params.Encoder`.
    """
    torch.manual_seed(encoder.seed)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=encoder.hidden_size,
            num_hidden_layers=encoder.layers,
            num_attention_heads=encoder.heads,
            intermediate_size=encoder.intermediate_size,
            max_position_embeddings=encoder.max_positions,
            hidden_dropout_prob=encoder.dropout,
            # dropped attention weights keep a small encoder from learning to copy, and are slow on CPU
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    with torch.no_grad():
        positions = model.bert.embeddings.position_embeddings.weight
        rotation = _orthogonal(encoder.hidden_size)
        # of the size that BERT's initialisation gives the other embeddings, so that none drowns the others
        positions.copy_(_sinusoids(*positions.shape) @ rotation * model.config.initializer_range * 2**0.5)
        for layer in model.bert.encoder.layer:
            attention = layer.attention.self
            shared = _orthogonal(encoder.hidden_size)
            for weight in (attention.query.weight, attention.key.weight):
                weight.add_(shared)  # on top of BERT's small random numbers
    return cpu_linear.use(model)


def _orthogonal(size):
    return torch.linalg.qr(torch.randn(size, size))[0]


def _sinusoids(count, size):
    """(count, size): the fixed position code of the original Transformer, at wavelengths that suit short texts."""
    angle = torch.arange(count)[:, None] / 1000 ** (torch.arange(0, size, 2) / size)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def packaged_model(source):
    """The model folder inside an installed Python package, none of whose code is run.

    Args:
        source: "package:NAME/FOLDER", FOLDER below the package's own.

    Raises:
        DataError: the package is not installed, or has no such folder.
    """
    name, _, inside = str(source).removeprefix(PACKAGE).partition("/")
    try:
        # a plain name: looking for `a.b` would import `a`
        found = importlib.util.find_spec(name) if name.isidentifier() else None
    except ValueError:  # of a module without a specification, such as __main__
        found = None
    # without an origin it is a mere folder that lies where Python looks
    if found is None or found.origin is None or not found.submodule_search_locations:
        raise DataError(
            f"{source}: expected an installed package {name!r}, found none; install it (make reproduce PROFILE=xquad "
            "installs the profile's, the extra `minilm`), or name another model in encoder.pretrained"
        )
    package = Path(found.origin).resolve().parent
    folder = (package / inside).resolve()
    if package not in folder.parents or not folder.is_dir():
        raise DataError(f"{source}: the package {name!r} has no folder {inside!r}; is it the right version?")
    return folder


def load_reader(source, *, seed=None):
    """Load a model for question answering and its tokenizer.

    With a `seed`, an encoder folder is accepted too: its missing answer layer is initialised from it.

    Args:
        source: a model folder, the name of a model on the hub, or one inside a Python package (`packaged_model`).
        seed: integer for the answer layer, should the folder lack it; None if it must not.

    Returns:
        (model in eval mode, fast tokenizer).

    Raises:
        DataError: no such folder, an incomplete one, pickled weights only, or a folder that asks for its own code.
    """
    if str(source).startswith(PACKAGE):
        source = packaged_model(source)
    folder = Path(source)
    if folder.is_dir():
        _refuse_unsafe(folder)
    elif len(folder.parts) > 2 or str(source).startswith((".", "/", "~")):
        raise DataError(f"{source}: no such model folder; expected a folder with config.json and model.safetensors")
    torch.manual_seed(seed or 0)
    try:
        model, loaded = AutoModelForQuestionAnswering.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    # Of anything: weights of another shape than the configuration's, a file cut off, a tokenizer.json that is none
    # (tokenizers raises plain Exceptions), a configuration with texts for numbers.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{source}: not a model that can be loaded: {reason}") from error
    # the answer layer is all that an encoder may lack; anything else would be random numbers in silence
    body = f"{model.base_model_prefix}."
    missing = sorted(name for name in loaded["missing_keys"] if seed is None or name.startswith(body))
    if missing:
        raise DataError(f"{source}: {len(missing)} weights are missing, such as {missing[0]}; is the folder complete?")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise DataError(
            f"{source}: the tokenizer has {len(tokenizer)} pieces, the model only "
            f"{model.get_input_embeddings().num_embeddings}; they do not belong together"
        )
    wrong = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if wrong:
        raise DataError(f"{source}: the weights {wrong} hold numbers that are none (NaN or infinite); train it again")
    if not tokenizer.is_fast:
        raise DataError(f"{source}: its tokenizer gives no character offsets; a folder with tokenizer.json is needed")
    return cpu_linear.use(model).eval(), tokenizer


def _refuse_unsafe(folder):
    if not (folder / "config.json").is_file():
        raise DataError(f"{folder}: no config.json; expected a folder written by save_pretrained")
    for config in sorted(folder.glob("*config.json")):  # the tokenizer's, too
        try:
            settings = json.loads(read_whole(config, limit=SETTINGS).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{config}: not valid JSON: {' '.join(str(error).split())}") from None
        if not isinstance(settings, dict):
            if config.name not in READ_CONFIGS:  # such as a list of training data beside a model
                continue
            raise DataError(f"{config}: expected a JSON object, got a {type(settings).__name__}")
        if "auto_map" in settings:
            raise DataError(
                f"{config}: the model asks for code of its own (auto_map), which is never run; use a built-in type"
            )
    # without them transformers makes up an empty vocabulary, or guesses how text is cut
    absent = [name for name in ("tokenizer.json", "tokenizer_config.json") if not (folder / name).is_file()]
    if absent:
        raise DataError(f"{folder}: no {' and no '.join(absent)}; save the tokenizer into the folder, too")
    if not any(folder.glob("*.safetensors")):
        found = ", ".join(
            sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".pkl"))
        )
        raise DataError(
            f"{folder}: no safetensors weights"
            + (f" but {found}: pickled weights are refused, convert them to model.safetensors" if found else "")
        )


def refuse_long_windows(model, max_length):
    """Raise a DataError if windows of `max_length` tokens do not fit the model's positions."""
    limit = getattr(model.config, "max_position_embeddings", None)
    # these number positions from the padding's index on
    offset = 2 if model.config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    if limit is not None and max_length > limit - offset:
        raise DataError(
            f"features.max_length is {max_length} tokens, the model has {limit - offset} positions; lower "
            "features.max_length, or take a model with more"
        )


def weights_hash(model):
    """SHA-256 of all parameters and buffers by name, as 64 hexadecimal digits: equal exactly if the bits are."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\x1f{tensor.dtype}\x1f{tuple(tensor.shape)}\x1f".encode())
        # as bytes: numpy has no bfloat16
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else b"")
        if not tensor.dim():
            digest.update(repr(tensor.item()).encode())
    return digest.hexdigest()


def span_logits(model, inputs):
    """Start and end logits (B, L) with padding masked out, so that nothing depends on how a batch is padded."""
    accepted = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    # wrapped for several devices, the model itself is its attribute `module`
    if getattr(getattr(model, "module", model).config, "type_vocab_size", 1) > 1:
        accepted["token_type_ids"] = inputs["token_type_ids"]
    outputs = model(**accepted)
    padding = inputs["attention_mask"] == 0
    return tuple(
        logits.float().masked_fill(padding, torch.finfo(torch.float32).min)
        for logits in (outputs.start_logits, outputs.end_logits)
    )
