"""Model folders: load readers safely, identify weights, freeze word embeddings.

A reader is an ordinary `transformers` question-answering model folder, so any model from the hub can take the place of
ours. Weights are safetensors; pickled weights and folders that ask for code of their own are refused.
"""

import hashlib
import json
from pathlib import Path

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from ..errors import DataError
from ..running.files import read_whole
from . import cpu_linear

SETTINGS = 16 * 2**20  # bytes of a model's configuration
READ_CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")


def load_reader(source, *, seed=None):
    """Load a model for question answering and its tokenizer.

    With a `seed`, an encoder folder is accepted too: its missing answer layer is initialised from it. Weights are
    float32 whatever the type they are stored in: in half precision a small step of training is lost in rounding, or
    the loss overflows. `bf16` of the parameters computes in bfloat16 from float32 weights.

    Args:
        source: a model folder, or the name of a model on the hub.
        seed: integer for the answer layer, should the folder lack it; None if it must not.

    Returns:
        (model in eval mode, fast tokenizer).

    Raises:
        DataError: no such folder, an incomplete one, pickled weights only, or a folder that asks for its own code.
    """
    folder = Path(source)
    if folder.is_dir():
        _refuse_unsafe(folder)
    elif len(folder.parts) > 2 or str(source).startswith((".", "/", "~")):
        raise DataError(f"{source}: no such model folder; expected a folder with config.json and model.safetensors")
    torch.manual_seed(seed or 0)
    try:
        model, loaded = AutoModelForQuestionAnswering.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
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


def freeze_word_embeddings(model):
    """Let the word embeddings take no gradient: most weights of a multilingual encoder, and little to learn there.

    They then cost no gradient and no optimiser state, and the rows of pieces that a training never sees stay comparable
    with those that it does.
    """
    model.get_input_embeddings().weight.requires_grad_(False)
