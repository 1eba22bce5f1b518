"""A tiny random encoder with a tokenizer of its own, in a second: it shows that a study runs, and knows nothing."""

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from ..running.files import atomic_folder

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


def write_encoder(folder, texts, *, positions, seed):
    """Write a BERT of 2 layers of 32 to a folder that `models.load_reader` reads; whole or not at all.

    Args:
        folder: the folder to write; what stands there is replaced.
        texts: list of strings, the texts of the study, which the tokenizer is made from.
        positions: longest input in tokens.
        seed: of the weights.
    """
    tokenizer = train_tokenizer(texts, vocabulary_size=1500, max_length=positions)
    torch.manual_seed(seed)
    model = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=positions,
            pad_token_id=tokenizer.pad_token_id,
        ),
        add_pooling_layer=False,  # readers have none
    )
    with atomic_folder(folder) as out:
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
