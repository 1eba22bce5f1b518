"""What an encoder becomes, what is refused as a reader, and the hash that identifies weights."""

import json
import re

import pytest
import torch
from transformers import BertForQuestionAnswering, BertModel

from tests import builders
from tests.training.test_tiny_encoder import TEXTS, TOKENIZER
from xqa_lib.errors import DataError
from xqa_lib.training import cpu_linear
from xqa_lib.training.models import freeze_word_embeddings, load_reader, span_logits, weights_hash


def tiny_reader(seed=0):
    return builders.tiny_reader(len(TOKENIZER), seed=seed).eval()


@pytest.fixture
def folder(tmp_path):
    """A good reader's folder; tests spoil it."""
    path = tmp_path / "reader"
    tiny_reader().save_pretrained(path)
    TOKENIZER.save_pretrained(path)
    return path


def test_an_encoder_becomes_a_reader_by_seed(tmp_path):
    encoder = BertModel(tiny_reader().config, add_pooling_layer=False)
    encoder.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    reader, _ = load_reader(tmp_path, seed=3)
    assert isinstance(reader, BertForQuestionAnswering)
    torch.testing.assert_close(reader.bert.state_dict(), encoder.state_dict(), rtol=0, atol=0)
    assert weights_hash(load_reader(tmp_path, seed=3)[0]) == weights_hash(reader)
    other, _ = load_reader(tmp_path, seed=4)
    assert not torch.equal(other.qa_outputs.weight, reader.qa_outputs.weight)
    torch.testing.assert_close(other.bert.state_dict(), encoder.state_dict(), rtol=0, atol=0)
    with pytest.raises(DataError, match=r": not a reader, for it lacks the weights qa_outputs\.bias; an encoder, "):
        load_reader(tmp_path)


def test_frozen_word_embeddings_take_no_gradient_and_all_other_weights_do():
    reader = tiny_reader()
    freeze_word_embeddings(reader)
    inputs = TOKENIZER("Anna?", TEXTS["en"], return_tensors="pt", truncation=True, max_length=40)
    sum(logits.square().sum() for logits in span_logits(reader, inputs)).backward()
    without = [name for name, weights in reader.named_parameters() if weights.grad is None]
    assert without == ["bert.embeddings.word_embeddings.weight"]
    assert all(weights.grad.abs().sum() > 0 for weights in reader.parameters() if weights.requires_grad)


def test_a_good_folder(folder):
    reader, tokenizer = load_reader(folder)
    assert not reader.training
    assert tokenizer.is_fast
    assert weights_hash(reader) == weights_hash(tiny_reader())
    assert weights_hash(load_reader(str(folder))[0]) == weights_hash(reader)
    assert weights_hash(load_reader(folder, seed=9)[0]) == weights_hash(reader)  # nothing is missing


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16], ids=str)
def test_weights_stored_in_half_precision_are_trained_in_single(tmp_path, stored):
    tiny_reader().to(stored).save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    reader, _ = load_reader(tmp_path)
    assert {weight.dtype for weight in reader.parameters()} == {reader.config.dtype} == {torch.float32}
    for found, saved in zip(reader.parameters(), tiny_reader().to(stored).parameters(), strict=True):
        assert torch.equal(found, saved.float())
    # a step that half precision would lose
    weight = reader.get_input_embeddings().weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(3e-5 * before.abs())
    assert ((weight != before) | (before == 0)).all()
    reader.save_pretrained(tmp_path)
    assert torch.equal(load_reader(tmp_path)[0].get_input_embeddings().weight, weight)


@pytest.mark.skipif(not cpu_linear.available(), reason="this PyTorch has no oneDNN product")
def test_a_reader_multiplies_with_onednn_and_is_saved_as_an_ordinary_one(folder, tmp_path):
    def kinds(model):
        return {type(module) for module in model.modules() if isinstance(module, torch.nn.Linear)}

    reader, _ = load_reader(folder)
    assert kinds(reader) == {torch.nn.Linear, cpu_linear.CpuLinear}  # the answer layer has two outputs
    reader.save_pretrained(tmp_path)
    ordinary = BertForQuestionAnswering.from_pretrained(tmp_path).eval()
    assert kinds(ordinary) == {torch.nn.Linear}
    assert weights_hash(ordinary) == weights_hash(reader)
    inputs = TOKENIZER("Anna?", TEXTS["en"], return_tensors="pt", truncation=True, max_length=40)
    with torch.inference_mode():
        for name in ("start_logits", "end_logits"):
            torch.testing.assert_close(reader(**inputs)[name], ordinary(**inputs)[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["/no/such/folder", "./no/such", "~/no", "no/such/folder"])
def test_no_such_folder(name):
    with pytest.raises(DataError, match=f"^{name}: no such model folder; expected a folder with config.json and model"):
        load_reader(name)


def test_pickled_weights_are_refused(folder):
    torch.save(tiny_reader().state_dict(), folder / "pytorch_model.bin")
    load_reader(folder)  # beside safetensors they are not looked at
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    with pytest.raises(DataError, match="not a model that can be loaded"):
        load_reader(folder)
    (folder / "other.safetensors").unlink()
    with pytest.raises(DataError, match=r"no safetensors weights but pytorch_model.bin: pickled weights are refused"):
        load_reader(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "no config.json; expected a folder written by save_pretrained"),
        ("config.json", "{", "config.json: not valid JSON: Expecting property"),
        ("config.json", {"model_type": "nosuch"}, "not a model that can be loaded: .* model type `nosuch`"),
        ("config.json", {"model_type": "vit"}, "not a model that can be loaded: Unrecognized configuration class"),
        ("config.json", {"hidden_size": 32}, "the weights .* are of shape"),
        ("config.json", {"vocab_size": 10}, ""),
        ("config.json", {"num_hidden_layers": 2}, ""),
        ("model.safetensors", None, "no safetensors weights"),
        ("model.safetensors", "", ""),
        ("model.safetensors", "\x00" * 2000, ""),
        ("tokenizer.json", None, "no tokenizer.json and no vocab.txt"),
        ("tokenizer_config.json", None, ""),
    ],
)
def test_incomplete_and_broken_folders_are_refused(folder, name, content, message):
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | content) if isinstance(content, dict) else content)
    with pytest.raises(DataError, match=f"^{folder}.*{message}"):
        load_reader(folder)


def test_hash_is_64_hexadecimal_digits_and_survives_saving(tmp_path):
    model = tiny_reader()
    digest = weights_hash(model)
    assert re.fullmatch("[0-9a-f]{64}", digest)
    model.save_pretrained(tmp_path)
    assert weights_hash(BertForQuestionAnswering.from_pretrained(tmp_path)) == digest
    assert weights_hash(model.train()) == digest  # the mode is no weight


def test_one_bit_changes_the_hash():
    model = tiny_reader()
    digest = weights_hash(model)
    bits = model.qa_outputs.bias.data.view(torch.int32)
    for bit in (0, 31):  # the last digit of the number, and its sign
        bits[1] ^= torch.tensor(1 << bit if bit < 31 else -(1 << 31), dtype=torch.int32)
        assert weights_hash(model) != digest
        bits[1] ^= torch.tensor(1 << bit if bit < 31 else -(1 << 31), dtype=torch.int32)
        assert weights_hash(model) == digest


def test_names_types_and_shapes_count():
    def module(**tensors):
        holder = torch.nn.Module()
        for name, tensor in tensors.items():
            holder.register_buffer(name, tensor)
        return weights_hash(holder)

    base = module(a=torch.zeros(2, 3))
    assert module(a=torch.zeros(2, 3)) == base
    assert module(b=torch.zeros(2, 3)) != base
    assert module(a=torch.zeros(3, 2)) != base
    assert module(a=torch.zeros(2, 3, dtype=torch.int32)) != base
    assert module(a=torch.zeros(2, 3), b=torch.zeros(0)) != base
    # the order in which they were made does not
    one, two = torch.arange(2.0), torch.arange(3.0)
    assert module(a=one, b=two) == module(b=two, a=one)
    # numbers without a dimension, types that NumPy does not know, views that are not contiguous
    assert module(a=torch.tensor(1)) != module(a=torch.tensor(2))
    assert module(a=torch.ones(2, dtype=torch.bfloat16)) != module(a=torch.zeros(2, dtype=torch.bfloat16))
    assert module(a=torch.arange(6.0).view(2, 3).T) == module(a=torch.arange(6.0).view(2, 3).T.contiguous())
