"""Features from a file are those made anew, bit for bit; a file serves what it was made from, and never if damaged."""

import copy
from dataclasses import replace

import pytest

from tests.training.test_distillation import EXAMPLES, FEATURES, SKD, TOKENIZER, run, tiny_model
from xqa_lib.data.squad_format import GoldAnswer
from xqa_lib.training import dataset, stored_features
from xqa_lib.training.dataset import training_features
from xqa_lib.training.tiny_encoder import train_tokenizer

COLUMNS = ("input_ids", "token_type_ids", "start_positions", "end_positions", "length", "feature_id", "example")


@pytest.fixture
def made(monkeypatch):
    """One entry each time that features were made."""
    calls = []
    original = dataset._labelled_windows
    monkeypatch.setattr(dataset, "_labelled_windows", lambda *a: (calls.append(1), original(*a))[1])
    return calls


def same(found, expected):
    assert found.features == expected.features
    assert found.to_dict() == expected.to_dict()
    assert tuple(found.column_names) == COLUMNS


def test_features_from_a_file_are_those_made_anew(tmp_path, made):
    features = replace(FEATURES, max_length=16, max_question_length=8, stride=3)
    expected = training_features(TOKENIZER, EXAMPLES, features)
    assert len(expected) > len(EXAMPLES)
    for _ in range(2):
        found = training_features(TOKENIZER, EXAMPLES, features, folder=tmp_path / "features")
        same(found, expected)
        assert found[3] == expected[3]
        (file,) = found.cache_files  # mapped, not read into memory
        assert file["filename"] == str(next((tmp_path / "features").iterdir()))
    assert len(made) == 2  # without a folder, and once with it


def test_a_file_serves_what_it_was_made_from_only(tmp_path, made, monkeypatch):
    def changed(number, **changes):
        return [replace(e, **changes) if index == number else e for index, e in enumerate(EXAMPLES)]

    other_tokenizer = train_tokenizer(["Anna was born in Rome."] * 3, vocabulary_size=60, max_length=64)
    ask = [
        (TOKENIZER, EXAMPLES, FEATURES),
        (other_tokenizer, EXAMPLES, FEATURES),
        (TOKENIZER, EXAMPLES, replace(FEATURES, stride=11)),
        (TOKENIZER, EXAMPLES[::-1], FEATURES),
        (TOKENIZER, EXAMPLES[:-1], FEATURES),
        (TOKENIZER, changed(2, question="Who?"), FEATURES),
        (TOKENIZER, changed(2, context=EXAMPLES[2].context + " 1"), FEATURES),
        (TOKENIZER, changed(2, answers=(GoldAnswer("Anna", 0),)), FEATURES),
    ]
    for tokenizer, examples, features in ask * 2:
        found = training_features(tokenizer, examples, features, folder=tmp_path)
        same(found, training_features(tokenizer, examples, features))
    assert len(list(tmp_path.iterdir())) == len(ask)
    assert len(made) == len(ask) * 3
    monkeypatch.setattr(stored_features, "fingerprint", lambda facts: "other code" * 8)
    training_features(*ask[0], folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == len(ask) + 1


def test_ids_and_the_tokenizer_s_last_use_are_no_part_of_it(tmp_path, made):
    training_features(TOKENIZER, EXAMPLES, FEATURES, folder=tmp_path)
    used = copy.deepcopy(TOKENIZER)
    used("Anna was born", truncation=True, max_length=2, padding="max_length")
    assert used.backend_tokenizer.truncation is not None
    renamed = [replace(example, id=f"other-{example.id}") for example in EXAMPLES]
    training_features(used, renamed, FEATURES, folder=tmp_path)
    assert len(made) == 1


@pytest.mark.parametrize("damage", ["flipped", "cut off", "empty", "another's"])
def test_a_damaged_file_is_made_again(tmp_path, made, damage):
    training_features(TOKENIZER, EXAMPLES, FEATURES, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    other = training_features(TOKENIZER, EXAMPLES[:5], FEATURES, folder=tmp_path / "other")
    path.write_bytes(
        {
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut off": whole[:-10],
            "empty": b"",
            "another's": next((tmp_path / "other").iterdir()).read_bytes(),
        }[damage]
    )
    found = training_features(TOKENIZER, EXAMPLES, FEATURES, folder=tmp_path)
    assert len(other) == 5
    assert len(made) == 3
    same(found, training_features(TOKENIZER, EXAMPLES, FEATURES))
    assert path.read_bytes() == whole


def test_the_folder_stays_small(tmp_path, monkeypatch):
    training_features(TOKENIZER, EXAMPLES, FEATURES, folder=tmp_path)
    (first,) = tmp_path.iterdir()
    monkeypatch.setattr(stored_features, "FOLDER_BYTES", int(1.5 * first.stat().st_size))
    found = training_features(TOKENIZER, EXAMPLES[::-1], FEATURES, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert not first.exists()
    assert len(found) == len(EXAMPLES)


@pytest.mark.slow
def test_a_run_has_the_same_bits_with_and_without_files(tmp_path):
    plain = run(tmp_path, SKD, model=tiny_model(dropout=0.2))
    first = run(tmp_path, SKD, model=tiny_model(dropout=0.2), features_folder=tmp_path / "features")
    again = run(tmp_path, SKD, model=tiny_model(dropout=0.2), features_folder=tmp_path / "features")
    assert len(list((tmp_path / "features").iterdir())) == 1
    assert plain == first == again
