"""Models of other families and tasks: their positions, their heads, whose vocabulary is read.

Tiny models with random weights, made from the configurations of `transformers`.
"""

import json
import re

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoModelForQuestionAnswering, PreTrainedTokenizerFast

from xqa_lib.errors import DataError
from xqa_lib.features import encode_pairs
from xqa_lib.reading.predict import WindowSizes, answer, answers
from xqa_lib.study.params import Features
from xqa_lib.training.distillation import refuse_long_windows
from xqa_lib.training.models import load_reader, position_limit, span_logits

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CONTEXT = "ada was in rome with bob . " * 12
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def tokenizer_like(pairs, *, pad=1):
    """One piece for each letter; pairs "bert": [CLS] A [SEP] B [SEP], "roberta": <s> A </s> </s> B </s>, "xlnet" ..."""
    special = {
        "bert": {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "pad": "[PAD]"},
        "roberta": {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "pad": "<pad>"},
        "xlnet": {"unk": "<unk>", "sep": "<sep>", "cls": "<cls>", "pad": "<pad>"},
    }[pairs]
    tokens = [token for token in dict.fromkeys(special.values()) if token != special["pad"]]
    tokens = [*tokens, *LETTERS, ".", "?"]
    tokens.insert(pad, special["pad"])
    ids = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], unk_token=special["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder()
    cls, sep = special["cls"], special["sep"]
    pair = {
        "bert": f"{cls} $A {sep} $B:1 {sep}:1",
        "roberta": f"{cls} $A {sep} {sep} $B {sep}",
        "xlnet": f"$A {sep} $B:1 {sep}:1 {cls}:2",
    }[pairs]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=pair.split(" $B")[0], pair=pair, special_tokens=[(token, tokens.index(token)) for token in (cls, sep)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in special.items()},
    )


def config(name, **settings):
    return getattr(transformers, f"{name}Config")(**({"vocab_size": 60, "max_position_embeddings": 60} | settings))


SIDES = {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
SIDES |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
# family -> (configuration, its tokenizer, positions that a window may use)
FAMILIES = {
    "bert": (lambda: config("Bert", **SIZES), "bert", 60),
    "distilbert": (lambda: config("DistilBert", dim=16, n_layers=1, n_heads=2, hidden_dim=32), "bert", 60),
    "electra": (lambda: config("Electra", **SIZES, embedding_size=16), "bert", 60),
    "yoso": (lambda: config("Yoso", **SIZES, use_expectation=True), "bert", 60),  # its table has two rows more
    "roberta": (lambda: config("Roberta", **SIZES), "roberta", 58),
    "roberta, pad 0": (lambda: config("Roberta", **SIZES, pad_token_id=0), "roberta", 59),
    "roberta, pad 5": (lambda: config("Roberta", **SIZES, pad_token_id=5), "roberta", 54),
    "xlm-roberta": (lambda: config("XLMRoberta", **SIZES), "roberta", 58),
    "camembert": (lambda: config("Camembert", **SIZES), "roberta", 58),
    "mpnet": (lambda: config("MPNet", **SIZES), "roberta", 58),
    "data2vec-text": (lambda: config("Data2VecText", **SIZES), "roberta", 58),
    "longformer": (lambda: config("Longformer", **SIZES, attention_window=[8], sep_token_id=2), "roberta", 58),
    "luke": (lambda: config("Luke", **SIZES, entity_vocab_size=10, entity_emb_size=16), "roberta", 58),
    "ibert": (lambda: config("IBert", **SIZES), "roberta", 58),
    "bart": (lambda: config("Bart", d_model=16, **SIDES), "roberta", 60),
}
families = pytest.mark.parametrize("family", FAMILIES)


def saved(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for family, (configuration, pairs, _) in FAMILIES.items():
        torch.manual_seed(1)
        settings = configuration()
        pad = settings.pad_token_id if settings.pad_token_id is not None else 1
        model = AutoModelForQuestionAnswering.from_config(settings)
        made[family] = saved(model, tokenizer_like(pairs, pad=pad), tmp_path_factory.mktemp("family") / "reader")
    return made


def refused(folder, message, **options):
    with pytest.raises(DataError, match=f"^{re.escape(str(folder))}: {message}") as caught:
        load_reader(folder, **options)
    assert "\n" not in str(caught.value)


@families
def test_the_limit_is_what_the_model_itself_can_read(folders, family):
    model, tokenizer = load_reader(folders[family])
    limit = FAMILIES[family][2]
    assert position_limit(model) == limit

    def read(length):
        windows = encode_pairs(tokenizer, ["who ?"], [CONTEXT], max_length=length, stride=5)
        assert windows.lengths().max() == length
        parts = {name: getattr(windows, name) for name in ("input_ids", "attention_mask", "token_type_ids")}
        with torch.no_grad():
            return span_logits(model, parts)

    assert read(limit)[0].isfinite().all()
    refuse_long_windows(model, limit)
    with pytest.raises((RuntimeError, IndexError)):
        read(limit + 1)
    message = f"^features.max_length is {limit + 1} tokens, the model has {limit} positions; lower features.max_length"
    with pytest.raises(DataError, match=message):
        refuse_long_windows(model, limit + 1)
    features = Features(max_length=limit + 1, stride=5, max_question_length=10)
    with pytest.raises(DataError, match=message):
        answers(model, tokenizer, [], features=features, batch_size=2)


@families
def test_a_long_context_is_read_to_its_end(folders, family):
    assert WindowSizes.of(*load_reader(folders[family])).max_length == FAMILIES[family][2]
    found = answer(folders[family], "who ?", CONTEXT, n_best=300)
    assert all(a.text == CONTEXT[a.start : a.end] for a in found)
    assert max(a.end for a in found) > 0.9 * len(CONTEXT)


def test_models_without_a_table_of_positions(tmp_path):
    """Rotary and relative positions have the limit that the configuration states, or none."""
    llama = transformers.LlamaConfig(vocab_size=60, **SIZES, num_key_value_heads=2, max_position_embeddings=77)
    t5 = transformers.T5Config(
        vocab_size=60, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=1
    )
    xlnet = transformers.XLNetConfig(vocab_size=60, d_model=16, n_layer=1, n_head=2, d_inner=32)
    limits = [position_limit(AutoModelForQuestionAnswering.from_config(c)) for c in (llama, t5, xlnet)]
    assert limits == [77, None, None]
    folder = saved(AutoModelForQuestionAnswering.from_config(t5), tokenizer_like("roberta"), tmp_path)
    assert WindowSizes.of(*load_reader(folder)) == (384, 128, 64)
    assert answer(folder, "who ?", CONTEXT)[0].text in CONTEXT


@pytest.mark.parametrize("task", ["SequenceClassification", "TokenClassification"])
@pytest.mark.parametrize("kind", ["Bert", "Roberta"])
def test_a_classifier_becomes_a_reader_with_a_head_of_its_own(tmp_path, kind, task):
    made = getattr(transformers, f"{kind}For{task}")(config(kind, **SIZES, num_labels=3))
    folder = saved(made, tokenizer_like(kind.lower()), tmp_path)
    model, tokenizer = load_reader(folder, seed=3)
    assert model.qa_outputs.out_features == model.config.num_labels == 2
    encoder = {name: value for name, value in model.base_model.state_dict().items() if "pooler" not in name}
    own = made.base_model.state_dict()
    torch.testing.assert_close(encoder, {name: own[name] for name in encoder}, rtol=0, atol=0)
    read = saved(model, tokenizer, tmp_path / "reader")
    assert answer(read, "who ?", CONTEXT)[0].text in CONTEXT
    refused(folder, "not a reader, for it lacks the weights qa_outputs.bias; an encoder, or a model for another task")


@pytest.mark.parametrize("seed", [None, 3])
def test_a_head_of_another_width_is_refused(tmp_path, seed):
    made = transformers.BertForQuestionAnswering(config("Bert", **SIZES, num_labels=3))
    folder = saved(made, tokenizer_like("bert"), tmp_path)
    message = r"the weights qa_outputs.bias are of shape \(3,\), those of a reader, start and end, \(2,\)"
    refused(folder, message, seed=seed)


def test_weights_of_another_width_than_the_configuration_are_named(tmp_path):
    made = transformers.BertForQuestionAnswering(config("Bert", **SIZES))
    folder = saved(made, tokenizer_like("bert"), tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"intermediate_size": 48}))
    name = "bert.encoder.layer.0.intermediate.dense.bias"
    refused(folder, rf"the weights {name} are of shape \(32,\), those of the model of config.json, \(48,\)")


def test_labels_that_only_the_configuration_counts_do_not_matter(tmp_path):
    made = transformers.BertForQuestionAnswering(config("Bert", **SIZES))
    folder = saved(made, tokenizer_like("bert"), tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    labels = {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    (folder / "config.json").write_text(json.dumps(settings | labels))
    assert answer(folder, "who ?", CONTEXT)[0].text in CONTEXT


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("head", ["XLNetForQuestionAnswering", "XLNetForQuestionAnsweringSimple", "XLNetLMHeadModel"])
def test_xlnet_is_refused_in_one_line(tmp_path, head, seed):
    settings = transformers.XLNetConfig(vocab_size=60, d_model=16, n_layer=1, n_head=2, d_inner=32)
    folder = saved(getattr(transformers, head)(settings), tokenizer_like("xlnet"), tmp_path)
    refused(folder, r"the tokenizer puts <cls> behind the texts \(xlnet\), but windows without the answer", seed=seed)


def test_a_model_that_cannot_read_a_window_is_refused_in_one_line(tmp_path):
    settings = config("Longformer", **SIZES, attention_window=[8], sep_token_id=2)
    folder = saved(AutoModelForQuestionAnswering.from_config(settings), tokenizer_like("bert"), tmp_path)
    refused(folder, "a longformer model that cannot be used as a reader: There should be exactly three separator.*")


WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "who",
    "was",
    "in",
    "rome",
    "Rome",
    "ada",
    "Ada",
    "?",
    "##s",
    ".",
]


def with_vocabulary_alone(folder, **settings):
    torch.manual_seed(1)
    transformers.BertForQuestionAnswering(config("Bert", **SIZES)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_a_folder_with_vocab_txt_alone_is_read_as_transformers_reads_it(tmp_path):
    folder = with_vocabulary_alone(tmp_path)
    _, tokenizer = load_reader(folder)
    own = transformers.AutoTokenizer.from_pretrained(folder)
    for text in ("Who was Ada ?", "Adas in Rome."):
        assert tokenizer(text)["input_ids"] == own(text)["input_ids"]
    # lower case unless it says otherwise
    assert tokenizer.tokenize("Adas in Rome.") == ["ada", "##s", "in", "rome", "."]
    assert answer(folder, "Who was in Rome?", "Ada was in Rome.")[0].text in "Ada was in Rome."
    _, cased = load_reader(with_vocabulary_alone(tmp_path, do_lower_case=False))
    assert cased.tokenize("Adas in Rome.") == ["Ada", "##s", "in", "Rome", "."]


def test_a_folder_with_the_files_of_byte_level_tokenizers_alone(tmp_path):
    transformers.RobertaForQuestionAnswering(config("Roberta", **SIZES, vocab_size=300)).save_pretrained(tmp_path)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ro", "<mask>"]
    (tmp_path / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nR o\n")
    _, tokenizer = load_reader(tmp_path)
    assert tokenizer.tokenize("Rome") == ["Ro", "m", "e"]
    assert answer(tmp_path, "Where?", "Rome")[0].text in "Rome"


def test_no_vocabulary_at_all_is_refused(tmp_path):
    folder = with_vocabulary_alone(tmp_path, do_lower_case=False)
    (folder / "vocab.txt").unlink()
    refused(folder, "no tokenizer.json and no vocab.txt; save the tokenizer into the folder, too")


def test_a_vocabulary_that_the_type_does_not_read_is_refused(tmp_path):
    """Transformers makes up one of five special pieces, and every word would be unknown."""
    transformers.XLMRobertaForQuestionAnswering(config("XLMRoberta", **SIZES)).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    refused(tmp_path, "the tokenizer has no vocabulary beside its 5 special pieces; save the tokenizer of the model")
