"""The tiny encoder for tests: its tokenizer, its shape, and that a seed and texts decide it."""

import unicodedata

import pytest
import torch
from transformers import AutoModel

from xqa_lib.features import encode_pairs
from xqa_lib.training.models import load_reader, weights_hash
from xqa_lib.training.tiny_encoder import SPECIAL_TOKENS, train_tokenizer, write_encoder

TEXTS = {
    "en": "Anna was born in Rome on 3 May 1950. Her mother, Ida, was born in 1921.",
    "de": "Die Straße führt über Zürich; Anna wohnt in der Größeren Straße 12.",
    "vi": "Thủ đô của Việt Nam là Hà Nội, thành lập năm 1010.",
    "ar": "القاهرة هي عاصمة مصر، وعدد سكانها كبير.",
    "hi": "नई दिल्ली भारत की राजधानी है, और हिन्दी बोली जाती है।",
    "zh": "北京是中华人民共和国的首都，人口约2184万。",
    "th": "กรุงเทพฯ เป็นเมืองหลวงของประเทศไทย มีประชากร 8 ล้านคน",
    "ko": "서울은 대한민국의 수도이다.",
    "marks": "cafe\u0301 und Sen\u0303or, 👩\u200d🚀",
}
TOKENIZER = train_tokenizer(list(TEXTS.values()) * 3, vocabulary_size=400, max_length=64)


def test_special_tokens_and_their_layout():
    assert SPECIAL_TOKENS == {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    assert TOKENIZER.convert_tokens_to_ids(list(SPECIAL_TOKENS.values())) == [0, 1, 2, 3, 4]
    assert TOKENIZER.model_max_length == 64
    encoded = TOKENIZER("Anna", "Rome 1950")
    first, second = TOKENIZER.tokenize("Anna"), TOKENIZER.tokenize("Rome 1950")
    pieces = TOKENIZER.convert_ids_to_tokens(encoded["input_ids"])
    assert pieces == ["[CLS]", *first, "[SEP]", *second, "[SEP]"]
    assert encoded["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert TOKENIZER.tokenize("北京是首都 ☃") == ["北", "京", "是", "首", "都", "[UNK]"]


@pytest.mark.parametrize("language", TEXTS)
def test_offsets_give_the_text_back(language):
    text = TEXTS[language]
    windows = encode_pairs(TOKENIZER, ["?"], [text])
    pieces = TOKENIZER.convert_ids_to_tokens(windows.input_ids[0].tolist())
    end = 0
    for piece, (start, stop) in zip(pieces, windows.offsets[0].tolist(), strict=True):
        if start < 0:
            continue
        assert text[end:start].strip(" \u200d") == ""  # nothing but white space and joiners between two tokens
        assert piece == unicodedata.normalize("NFC", text[start:stop]).replace("\u200d", "")
        end = stop
    assert text[end:].strip() == ""


def test_the_vocabulary_grows_to_its_limit_and_keeps_every_character():
    texts = list(TEXTS.values())
    small, again = (train_tokenizer(texts * 3, vocabulary_size=300, max_length=64) for _ in range(2))
    assert len(small) == 300
    assert small.get_vocab() == again.get_vocab()
    tiny = train_tokenizer(texts, vocabulary_size=50, max_length=64)
    assert len(tiny) > 50
    assert all(tiny.unk_token_id not in tiny(text)["input_ids"] for text in texts)


def test_the_encoder_is_made_by_texts_and_seed(tmp_path):
    texts = list(TEXTS.values())

    def made(name, texts=texts, **changes):
        write_encoder(tmp_path / name, texts, **({"positions": 48, "seed": 1} | changes))
        return load_reader(tmp_path / name, seed=0)

    reader, tokenizer = made("one")
    made("two")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one", "two"]
    assert all(
        (tmp_path / "one" / path.name).read_bytes() == path.read_bytes() for path in (tmp_path / "two").iterdir()
    )
    config = reader.config
    assert (config.hidden_size, config.num_hidden_layers, config.max_position_embeddings) == (32, 2, 48)
    assert config.vocab_size == len(tokenizer) <= 1500
    assert tokenizer.model_max_length == 48
    assert weights_hash(made("three", seed=2)[0]) != weights_hash(reader)
    # what stood there is replaced, and other texts have other pieces
    assert made("one", texts=texts[:1])[1].get_vocab() != tokenizer.get_vocab()


def test_the_encoder_knows_nothing_and_reads_everything(tmp_path):
    write_encoder(tmp_path / "encoder", list(TEXTS.values()), positions=64, seed=1)
    _, tokenizer = load_reader(tmp_path / "encoder", seed=0)
    model = AutoModel.from_pretrained(tmp_path / "encoder").eval()
    inputs = tokenizer(list(TEXTS.values()), padding=True, return_tensors="pt")
    assert tokenizer.unk_token_id not in inputs["input_ids"]
    with torch.inference_mode():
        assert model(**inputs).last_hidden_state.isfinite().all()
