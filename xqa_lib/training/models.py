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
from . import cpu_linear, cpu_memory

SETTINGS = 16 * 2**20  # bytes of a model's configuration
READ_CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")


def load_reader(source, *, seed=None):
    """Load a model for question answering and its tokenizer.

    With a `seed`, the folder of an encoder is accepted too, or of a model for another task, such as a classifier: the
    answer layer that it lacks is initialised from the seed. Weights are float32 whatever the type they are stored in:
    in half precision a small step of training is lost in rounding, or the loss overflows. `bf16` of the parameters
    computes in bfloat16 from float32 weights.

    The tokenizer is what transformers makes of the folder. One with `vocab.txt` alone is lower-cased unless
    tokenizer_config.json says `"do_lower_case": false`.

    Args:
        source: a model folder, or the name of a model on the hub.
        seed: integer for the answer layer, should the folder lack it; None if it must not.

    Returns:
        (model in eval mode, fast tokenizer).

    Raises:
        DataError: no such folder, an incomplete one, pickled weights only, a folder that asks for its own code, or a
            model that does not read as the readers here do: start and end logits of every token, [CLS] first.
    """
    folder = Path(source)
    if folder.is_dir():
        _refuse_unsafe(folder)
    elif len(folder.parts) > 2 or str(source).startswith((".", "/", "~")):
        raise DataError(f"{source}: no such model folder; expected a folder with config.json and model.safetensors")
    torch.manual_seed(seed or 0)
    try:
        model, loaded = AutoModelForQuestionAnswering.from_pretrained(
            source,
            num_labels=2,  # start and end, whatever the labels of another task in config.json
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # refused below, by their names
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    # Of anything: a file cut off, a tokenizer.json that is none (tokenizers raises plain Exceptions), a configuration
    # with texts for numbers.
    except Exception as error:
        raise DataError(f"{source}: not a model that can be loaded: {_first_line(error)}") from error
    model.eval()
    _refuse_other_tokenizer(source, model, tokenizer)
    _refuse_other_weights(source, model, loaded, answer_layer_needed=seed is None)
    _refuse_other_reading(source, model, tokenizer)
    cpu_memory.keep_freed()
    return cpu_linear.use(model), tokenizer


def _refuse_other_weights(source, model, loaded, *, answer_layer_needed):
    body = f"{model.base_model_prefix}."
    for name, stored, wanted in sorted(loaded["mismatched_keys"]):
        whose = "the model of config.json" if name.startswith(body) else "a reader, start and end"
        raise DataError(f"{source}: the weights {name} are of shape {tuple(stored)}, those of {whose}, {tuple(wanted)}")
    # the answer layer is all that an encoder may lack; anything else would be random numbers in silence
    missing = sorted(loaded["missing_keys"])
    inside = [name for name in missing if name.startswith(body)]
    if inside:
        raise DataError(f"{source}: {len(inside)} weights are missing, such as {inside[0]}; is the folder complete?")
    if missing and answer_layer_needed:
        raise DataError(
            f"{source}: not a reader, for it lacks the weights {missing[0]}; an encoder, or a model for another task, "
            "must be trained on questions first"
        )
    wrong = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if wrong:
        raise DataError(f"{source}: the weights {wrong} are non-finite (NaN or infinite); train it again")


def _refuse_other_tokenizer(source, model, tokenizer):
    if not tokenizer.is_fast:
        raise DataError(f"{source}: its tokenizer gives no character offsets; a folder with tokenizer.json is needed")
    rows = len(model.get_input_embeddings().weight)
    if len(tokenizer) > rows:
        raise DataError(
            f"{source}: the tokenizer has {len(tokenizer)} pieces, the model only {rows}; they do not belong together"
        )
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):  # transformers makes it up where it finds no file
        raise DataError(
            f"{source}: the tokenizer has no vocabulary beside its {len(tokenizer)} special pieces; save the tokenizer "
            "of the model into the folder"
        )
    first, *others = tokenizer("a", "a")["input_ids"] or [None]
    if tokenizer.cls_token_id != first and tokenizer.cls_token_id in others:
        raise DataError(
            f"{source}: the tokenizer puts {tokenizer.cls_token} behind the texts ({model.config.model_type}), but "
            "windows without the answer are labelled at their first token, which must be that one; take a model of "
            "another type"
        )


def _refuse_other_reading(source, model, tokenizer):
    """Let the model read a small window: the surest way to know that it can."""
    inputs = tokenizer("a", "a", return_tensors="pt", return_token_type_ids=True, return_attention_mask=True)
    kind = model.config.model_type
    try:
        with torch.no_grad():
            shapes = {logits.shape for logits in span_logits(model, inputs)}
    except Exception as error:  # each type of model has its own
        raise DataError(f"{source}: a {kind} model that cannot be used as a reader: {_first_line(error)}") from error
    if shapes != {inputs["input_ids"].shape}:
        raise DataError(f"{source}: a {kind} model that gives no start and end logit of each token")


def _first_line(error):
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


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
    # without any of them transformers makes up an empty vocabulary
    vocabularies = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model", "spm.model")
    vocabulary = next((name for name in vocabularies if (folder / name).is_file()), None)
    if vocabulary is None:
        raise DataError(f"{folder}: no tokenizer.json and no vocab.txt; save the tokenizer into the folder, too")
    if vocabulary == "tokenizer.json" and not (folder / "tokenizer_config.json").is_file():
        # it would guess the tokenizer's type, and cut text in another way
        raise DataError(f"{folder}: no tokenizer_config.json; save the tokenizer into the folder, too")
    if not any(folder.glob("*.safetensors")):
        found = ", ".join(
            sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".pkl"))
        )
        raise DataError(
            f"{folder}: no safetensors weights"
            + (f" but {found}: pickled weights are refused, convert them to model.safetensors" if found else "")
        )


def position_limit(model):
    """How many tokens a window may have at most: those that the model has positions for; None if it sets no limit.

    A table of positions has as many rows, less those before the first token's: RoBERTa and its relatives (XLM-R,
    CamemBERT, MPNet, Longformer, LUKE ...) number tokens from the padding's index + 1 on, and the table knows that
    index; others keep the numbers beside the table. Without such a table it is `max_position_embeddings`.
    """
    limits = []
    for module in model.modules():
        table = getattr(module, "position_embeddings", None)
        rows = getattr(table, "weight", None)
        if not isinstance(rows, torch.Tensor):
            continue
        numbers = getattr(module, "position_ids", None)
        first = int(numbers.min()) if isinstance(numbers, torch.Tensor) else 0
        if getattr(table, "padding_idx", None) is not None:
            first = table.padding_idx + 1
        limits.append(len(rows) - first)
    stated = getattr(getattr(model, "module", model).config, "max_position_embeddings", None)
    if not limits and stated is not None and stated > 0:  # XLNet says -1
        limits = [stated]
    return min(limits, default=None)


def refuse_long_windows(model, max_length):
    """Raise a DataError if windows of `max_length` tokens do not fit the model's positions."""
    limit = position_limit(model)
    if limit is not None and max_length > limit:
        raise DataError(
            f"features.max_length is {max_length} tokens, the model has {limit} positions; lower "
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
