"""Cross-lingual sampling: counts of the paper, pinned draws, independence of everything but seed, id and language."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from xqa_lib.languages import PARALLEL
from xqa_lib.sampling import draw_ids, pseudo_random_key, sample_pairs

FOUR = {f"q{i}": PARALLEL for i in range(4)}
# Drawn once with this code; a change here is a change of everybody's training data.
PINNED = {
    (1, 0): {"q0": "zh", "q1": "vi", "q2": "zh", "q3": "hi"},
    (3, 0): {"q0": "es hi zh", "q1": "ar vi zh", "q2": "de ar zh", "q3": "es de hi"},
    (3, 1): {"q0": "es ar vi", "q1": "ar hi vi", "q2": "hi vi zh", "q3": "ar vi zh"},
    (5, 13): {"q0": "de ar hi vi zh", "q1": "es de ar vi zh", "q2": "de ar hi vi zh", "q3": "es ar hi vi zh"},
}


def drawn(pairs, without="en"):
    """{id: the languages of its same-language pairs, in order, as one string}"""
    languages = {}
    for example_id, question, context in pairs:
        languages.setdefault(example_id, [])
        if question == context != without:
            languages[example_id].append(question)
    return {example_id: " ".join(codes) for example_id, codes in languages.items()}


@pytest.mark.parametrize(
    ("ntl", "count"),
    [(0, 8330), (1, 4760), (2, 10710), (3, 19040), (4, 29750), (5, 42840), (6, 58310), (7, 58310), (99, 58310)],
)
def test_counts_of_xquad(ntl, count):
    pairs = sample_pairs({str(i): PARALLEL for i in range(1190)}, languages=PARALLEL, ntl=ntl, seed=0)
    assert len(pairs) == count
    assert len(set(pairs)) == count


@pytest.mark.parametrize(("ntl", "seed"), PINNED)
def test_pinned_draws(ntl, seed):
    assert drawn(sample_pairs(FOUR, languages=PARALLEL, ntl=ntl, seed=seed)) == PINNED[ntl, seed]


def test_pairs_and_their_order_written_out():
    pairs = sample_pairs({"q0": PARALLEL, "q1": PARALLEL}, languages=PARALLEL, ntl=1, seed=0)
    assert pairs == [
        *(("q0", "en", "en"), ("q0", "en", "zh"), ("q0", "zh", "en"), ("q0", "zh", "zh")),
        *(("q1", "en", "en"), ("q1", "en", "vi"), ("q1", "vi", "en"), ("q1", "vi", "vi")),
    ]


def test_no_targets_means_same_language_pairs_only():
    codes = ("en", "de", "zh")
    pairs = sample_pairs({"a": PARALLEL}, languages=codes, ntl=0, seed=0)
    assert pairs == [("a", code, code) for code in codes]
    pairs = sample_pairs({"a": PARALLEL}, languages=codes, ntl=2, seed=5)  # and all of them, all pairs
    assert pairs == [("a", question, context) for question in codes for context in codes]


def test_no_ids():
    assert sample_pairs({}, languages=PARALLEL, ntl=3, seed=0) == []


def test_the_same_in_another_process():
    code = (
        "from xqa_lib.sampling import sample_pairs\n"
        "ids = {f'q{i}': {'en', 'es', 'de', 'ar', 'hi', 'vi', 'zh'} for i in range(4)}\n"
        "print(sample_pairs(ids, languages=('en', 'es', 'de', 'ar', 'hi', 'vi', 'zh'), ntl=3, seed=1))\n"
    )
    options = {"env": {**os.environ, "PYTHONHASHSEED": "1"}, "cwd": Path(__file__).parent.parent, "text": True}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, **options).stdout
    assert out.strip() == str(sample_pairs(FOUR, languages=PARALLEL, ntl=3, seed=1))


def test_the_draw_of_an_id_does_not_depend_on_the_others_or_on_order():
    everything = drawn(sample_pairs(FOUR, languages=PARALLEL, ntl=3, seed=0))
    backwards = sample_pairs(dict(reversed(FOUR.items())), languages=PARALLEL, ntl=3, seed=0)
    assert list(drawn(backwards)) == ["q3", "q2", "q1", "q0"]
    assert drawn(backwards) == everything
    alone = sample_pairs({"q2": PARALLEL}, languages=PARALLEL, ntl=3, seed=0)
    assert drawn(alone) == {"q2": everything["q2"]}
    shuffled = sample_pairs(FOUR, languages=("zh", "hi", "en", "vi", "de", "es", "ar"), ntl=3, seed=0)
    assert {key: set(value.split()) for key, value in drawn(shuffled).items()} == {
        key: set(value.split()) for key, value in everything.items()
    }
    assert drawn(shuffled)["q0"] == "zh hi es"  # emitted in the order of `languages`


def test_targets_are_nested():
    ids = {f"n{i}": PARALLEL for i in range(200)}
    smaller = {example_id: set() for example_id in ids}
    for ntl in range(1, 7):
        found = drawn(sample_pairs(ids, languages=PARALLEL, ntl=ntl, seed=4))
        larger = {example_id: set(targets.split()) for example_id, targets in found.items()}
        for example_id, targets in larger.items():
            assert len(targets) == ntl
            assert smaller[example_id] < targets
        smaller = larger


@pytest.mark.parametrize("ntl", [1, 3])
def test_targets_are_uniform(ntl):
    # 6,000 draws of ntl from 6: mean 1000 * ntl per language, standard deviation at most sqrt(6000 / 4) = 39
    ids = {f"id-{i}": PARALLEL for i in range(6000)}
    found = drawn(sample_pairs(ids, languages=PARALLEL, ntl=ntl, seed=3))
    counts = Counter(" ".join(found.values()).split())
    assert set(counts) == set(PARALLEL) - {"en"}
    assert all(abs(count - 1000 * ntl) < 4 * 39 for count in counts.values()), counts


def test_seeds_differ_and_may_be_strings():
    one, other = (sample_pairs(FOUR, languages=PARALLEL, ntl=3, seed=seed) for seed in (0, 1))
    assert one != other
    assert sample_pairs(FOUR, languages=PARALLEL, ntl=3, seed="train") != one


def test_without_a_pivot():
    # English is drawn like any other; a draw of n languages gives n * n pairs
    assert drawn(sample_pairs(FOUR, languages=PARALLEL, ntl=2, seed=0, pivot=None), without=None) == {
        "q0": "es zh",
        "q1": "vi zh",
        "q2": "de zh",
        "q3": "es hi",
    }
    ids = {str(i): PARALLEL for i in range(700)}
    for ntl, count in ((0, 7), (1, 1), (2, 4), (5, 25), (6, 36), (7, 49), (8, 49)):
        assert len(sample_pairs(ids, languages=PARALLEL, ntl=ntl, seed=0, pivot=None)) == 700 * count
    with_english = [
        key for key, _, context in sample_pairs(ids, languages=PARALLEL, ntl=1, seed=0, pivot=None) if context == "en"
    ]
    assert 60 < len(with_english) < 140  # 100 expected, standard deviation 9
    left_out = [
        set(PARALLEL) - {language for key, _, language in drawn_pairs if key == i}
        for drawn_pairs in [sample_pairs(ids, languages=PARALLEL, ntl=6, seed=0, pivot=None)]
        for i in list(ids)[:50]
    ]
    assert {len(languages) for languages in left_out} == {1}
    assert len(set().union(*left_out)) == 7  # English among them


def test_ids_are_drawn_in_their_order_and_nested():
    ids = [f"q{number}" for number in range(12)]
    assert draw_ids(ids, 3, seed=1) == ["q2", "q5", "q10"]
    assert draw_ids(ids[::-1], 3, seed=1) == ["q10", "q5", "q2"]
    for count in range(1, 12):
        few, more = (draw_ids(ids, number, seed=1) for number in (count, count + 1))
        assert len(few) == count
        assert set(few) < set(more)
    assert draw_ids(ids, 0, seed=1) == draw_ids(ids, 12, seed=1) == ids
    # every seed draws its own, each id as often as any other
    drawn = [draw_ids(ids, 3, seed=seed) for seed in range(400)]
    assert len({tuple(found) for found in drawn}) > 150  # of 220
    counts = [sum(i in found for found in drawn) for i in ids]
    assert all(65 < count < 135 for count in counts)  # 100 expected, standard deviation 9


@pytest.mark.parametrize("count", [-1, 13, 2.0, True])
def test_a_count_of_ids_that_cannot_be_drawn(count):
    with pytest.raises(ValueError, match=rf"^count must be an integer from 0 \(all\) to .*, 12, got {count}$"):
        draw_ids([f"q{number}" for number in range(12)], count, seed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ntl": -1}, "ntl (number of target languages) must be an integer >= 0, got -1"),
        ({"ntl": 2.0}, "ntl (number of target languages) must be an integer >= 0, got 2.0"),
        ({"ntl": True}, "ntl (number of target languages) must be an integer >= 0, got True"),
        ({"languages": ["en", "de", "en"]}, "languages must be distinct and at least one, got ['en', 'de', 'en']"),
        ({"languages": [], "pivot": None}, "languages must be distinct and at least one, got []"),
        ({"pivot": "fr"}, "the pivot 'fr' is not one of the languages ['en', 'de', 'zh']; name one of them, or None"),
        ({"ids_to_languages": {"b": ["de"]}, "ntl": 0}, "id 'b' has no version in en, zh; expected all of en, de, zh"),
        ({"ids_to_languages": {"b": ["de"]}}, "id 'b' has no version in en, zh; expected all of en, de, zh: drop the"),
    ],
)
def test_errors(arguments, message):
    good = {"ids_to_languages": {"a": PARALLEL}, "languages": ["en", "de", "zh"], "ntl": 1, "seed": 0}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        sample_pairs(**(good | arguments))


def test_key_is_sha256_of_the_joined_parts():
    assert pseudo_random_key(1, "a", "b") == hashlib.sha256(b"1\x1fa\x1fb").digest()
    assert pseudo_random_key(1, "a", "b").hex()[:16] == "e1a9b5295968af3b"
    assert len(pseudo_random_key(1, "\ud800")) == 32  # an id read from a broken JSON file
    assert len({pseudo_random_key(*parts) for parts in ((1, "a", "b"), (1, "b", "a"), (2, "a", "b"), (1, "ab"))}) == 4
