"""What an encoder becomes, what is refused as a reader, and the hash that identifies weights."""

import json
import re

import pytest
import torch
from transformers import BertConfig, BertForQuestionAnswering, BertModel

from tests.training.test_tiny_encoder import TEXTS, TOKENIZER
from xqa_lib.errors import DataError
from xqa_lib.training import cpu_linear
from xqa_lib.training.models import freeze_word_embeddings, load_reader, span_logits, weights_hash


def tiny_reader(seed=0, **changes):
    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(TOKENIZER),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    return BertForQuestionAnswering(BertConfig(**(settings | changes))).eval()


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


def refused(folder, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load_reader(folder)


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", ["/no/such/folder", "./no/such", "~/no", "no/such/folder"])
def test_no_such_folder(name):
    refused(name, f"{name}: no such model folder; expected a folder with config.json and model.safetensors")


def test_no_config(folder):
    (folder / "config.json").unlink()
    refused(folder, f"{folder}: no config.json; expected a folder written by save_pretrained")


def test_broken_config(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(DataError, match=f"^{re.escape(str(folder))}/config.json: not valid JSON: Expecting property"):
        load_reader(folder)


def test_code_of_its_own(folder):
    edit_config(folder, auto_map={"AutoModelForQuestionAnswering": "evil.Model"})
    (folder / "evil.py").write_text("raise SystemExit('this was run')")
    refused(
        folder,
        f"{folder}/config.json: the model asks for code of its own (auto_map), which is never run; use a built-in type",
    )


def test_a_tokenizer_with_code_of_its_own_does_not_run_it(folder):
    path = folder / "tokenizer_config.json"
    changes = {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}, "tokenizer_class": "Evil"}
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    (folder / "evil.py").write_text("raise SystemExit('this was run')")
    try:
        _, tokenizer = load_reader(folder)
    except DataError:
        return
    assert tokenizer("Anna")["input_ids"] == TOKENIZER("Anna")["input_ids"]


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, f"{folder}: no safetensors weights")


def test_pickled_weights_are_refused(folder):
    torch.save(tiny_reader().state_dict(), folder / "pytorch_model.bin")
    load_reader(folder)  # beside safetensors they are not looked at
    (folder / "model.safetensors").unlink()
    refused(
        folder,
        f"{folder}: no safetensors weights but pytorch_model.bin: pickled weights are refused, convert them to "
        "model.safetensors",
    )


def test_pickled_weights_beside_other_safetensors_are_refused(folder):
    torch.save(tiny_reader().state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    with pytest.raises(DataError, match="not a model that can be loaded"):
        load_reader(folder)


def test_an_unknown_type_of_model(folder):
    edit_config(folder, model_type="nosuch")
    with pytest.raises(DataError, match=r"not a model that can be loaded: .* model type `nosuch`"):
        load_reader(folder)


def test_a_type_that_answers_no_questions(folder):
    edit_config(folder, model_type="vit")
    with pytest.raises(DataError, match=r"not a model that can be loaded: Unrecognized configuration class"):
        load_reader(folder)


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])


def empty(folder):
    (folder / "model.safetensors").write_bytes(b"")


def without_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


def without_tokenizer_config(folder):
    (folder / "tokenizer_config.json").unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(cut, id="weights cut off"),
        pytest.param(empty, id="empty weights"),
        pytest.param(lambda folder: edit_config(folder, hidden_size=32), id="weights of another width"),
        pytest.param(lambda folder: edit_config(folder, vocab_size=10), id="weights of another vocabulary"),
        pytest.param(lambda folder: edit_config(folder, num_hidden_layers=2), id="a layer missing"),
        pytest.param(without_tokenizer, id="no tokenizer"),
        pytest.param(without_tokenizer_config, id="no tokenizer_config.json"),
    ],
)
def test_incomplete_and_broken_folders_are_refused(folder, spoil):
    spoil(folder)
    with pytest.raises(DataError):
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


def test_zero_and_minus_zero_are_different_bits():
    layer = torch.nn.Linear(1, 1, bias=False)
    digests = set()
    for value in (0.0, -0.0):
        layer.weight.data.fill_(value)
        digests.add(weights_hash(layer))
    assert len(digests) == 2


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
