"""Does it change what a reader learns that similar lengths share a batch? The same trainings in both orders."""

import tempfile
from dataclasses import replace

import numpy as np

from xqa_lib import metrics
from xqa_lib.data import factbook
from xqa_lib.reading import predict
from xqa_lib.study.params import load_params
from xqa_lib.training import batching, dataset, distillation
from xqa_lib.training.models import load_reader, new_encoder, train_tokenizer

ORDERS = {"plain shuffle": 1, "length groups": 20}  # batches of a block: 1 shuffles whatever the lengths
TRAINED = {"short": 3500, "whole": 60}  # paragraphs of one sentence, and of all
EVALUATED = 100  # paragraphs


def measure(seeds, *, trained=TRAINED, evaluated=EVALUATED):
    """Train a small reader in English, by cross-entropy, once for each order and seed.

    Returns:
        {order: (F1 of each seed in points, on passages of a development split; share of padding in its batches)}.
    """
    study = load_params("embedded/full")
    examples = [
        *_examples("train", trained["short"], short=True),
        *_examples("train", trained["whole"], short=False),
    ]
    held_out = [*_examples("development", evaluated, short=True), *_examples("development", evaluated, short=False)]
    texts = list(dict.fromkeys(text for example in examples for text in (example.question, example.context)))
    tokenizer = train_tokenizer(texts, vocabulary_size=4000, max_length=study.encoder.max_positions)
    found = {}
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        new_encoder(tokenizer, study.encoder).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for seed in seeds:  # the orders in turn
            for order, blocks in ORDERS.items():
                model, _ = load_reader(folder, seed=seed)
                distillation.train_reader(
                    model,
                    tokenizer,
                    examples,
                    features=study.features,
                    optimisation=study.reader,
                    method=study.methods["ce"],
                    generations=1,
                    seed=seed,
                    output_dir=folder,
                    batches_per_block=blocks,
                )
                answers = predict.answers(model, tokenizer, held_out, features=study.features, batch_size=64, n_best=1)
                f1 = [
                    metrics.squad_em_f1(best[0].text if best else "", [answer.text for answer in example.answers])[1]
                    for example, best in zip(held_out, answers, strict=True)
                ]
                found.setdefault(order, []).append(100 * float(np.mean(f1)))
        lengths = np.array(dataset.training_features(tokenizer, examples, study.features)["length"])
    size = study.reader.batch_size
    return {order: (f1, padding_share(lengths, size, ORDERS[order])) for order, f1 in found.items()}


def _examples(split, paragraphs, *, short):
    # the wordings of training for both: that a reader meets new ones is not the question here
    made = factbook.generate(paragraphs=paragraphs, languages=("en",), seed=13, split=split, short=short)
    examples = factbook.examples_of(made["en"])
    return [replace(example, id=f"{example.id}-{'short' if short else 'whole'}") for example in examples]


def padding_share(lengths, batch_size, batches_per_block):
    """Share of the tokens of an epoch's batches that are padding."""
    sampler = batching.ShuffledLengthGroups(lengths, batch_size=batch_size, seed=1, batches_per_block=batches_per_block)
    ordered = lengths[list(sampler)]
    batches = [ordered[first : first + batch_size] for first in range(0, len(ordered), batch_size)]
    return 1 - lengths.sum() / sum(len(batch) * batch.max() for batch in batches)


def words(found):
    """The result in words, as Markdown: F1 of both orders, the difference with its 95% interval, the padding."""
    from scipy.stats import t

    (plain, plain_padding), (grouped, padding) = (found[order] for order in ORDERS)
    difference = np.subtract(grouped, plain)
    n = len(difference)
    half = t.ppf(0.975, n - 1) * difference.std(ddof=1) / n**0.5
    each = {order: ", ".join(f"{score:.1f}" for score in f1) for order, (f1, _) in found.items()}
    return (
        f"Order of the examples: a small English reader trained on factbook in both orders, {n} seeds each. F1 on "
        f"unseen passages with a plain shuffle {np.mean(plain):.1f} ({each['plain shuffle']}), in length groups "
        f"{np.mean(grouped):.1f} ({each['length groups']}); difference {difference.mean():+.1f}, 95% interval of the "
        f"paired seeds [{difference.mean() - half:+.1f}, {difference.mean() + half:+.1f}]. Padding is "
        f"{plain_padding:.0%} of the tokens of plainly shuffled batches and {padding:.0%} of the grouped ones.\n"
    )
