"""Files that appear whole or not at all: contents to the byte, and what an interruption leaves behind."""

import hashlib
import math
import os
import stat

import pytest

from xqa_lib.running.files import atomic_folder, atomic_path, sha256_of, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_to_the_byte(tmp_path):
    path = tmp_path / "new" / "folder" / "text.txt"
    write_text(path, "Zürich\r\n中文\nไทย 👩\u200d🚀")
    assert path.read_bytes() == "Zürich\r\n中文\nไทย 👩\u200d🚀".encode()
    assert names(path.parent) == ["text.txt"]


def test_json_to_the_byte(tmp_path):
    path = tmp_path / "data.json"
    write_json(path, {"zh": "北京", "a": [1, 0.1, None, True]})
    expected = '{\n  "zh": "北京",\n  "a": [\n    1,\n    0.1,\n    null,\n    true\n  ]\n}\n'.encode()
    assert path.read_bytes() == expected
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^Out of range float values are not JSON compliant"):
            write_json(path, {"score": number})
    assert path.read_bytes() == expected
    write_json(path, {"b": 1, "a": 2}, indent=None)
    assert path.read_bytes() == b'{"b": 1, "a": 2}\n'


def test_an_unwritable_text_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "text.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["text.txt"]


def test_atomic_path_is_in_the_same_folder_with_the_same_ending(tmp_path):
    path = tmp_path / "weights.safetensors"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".safetensors"
        assert temporary != path
        temporary.write_bytes(b"12")
        assert not path.exists()
    assert path.read_bytes() == b"12"
    assert names(tmp_path) == ["weights.safetensors"]


def test_who_is_reading_the_old_file_goes_on_reading_it(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old" * 1000)
    with open(path, "rb", buffering=0) as reader:
        assert reader.read(3) == b"old"
        write_text(path, "new")
        assert reader.read() == b"old" * 999
    assert path.read_text() == "new"


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_after_an_exception_nothing_is_left(tmp_path, interruption):
    path = tmp_path / "a.txt"
    with pytest.raises(interruption), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise interruption
    assert names(tmp_path) == []


def test_a_folder_in_the_way_is_not_replaced_and_nothing_is_left(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "a", "x")
    assert names(tmp_path) == ["a"]


def test_files_can_be_read_by_others(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    path.write_bytes(big := os.urandom(3_000_001))
    assert sha256_of(str(path)) == hashlib.sha256(big).hexdigest()


def test_atomic_folder_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "runs" / "model"
    with atomic_folder(path) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "old.txt").write_text("old")
        assert not path.exists()
    with pytest.raises(RuntimeError, match=r"^stop$"), atomic_folder(path) as temporary:  # noqa: PT012
        (temporary / "half.txt").write_text("half")
        raise RuntimeError("stop")
    with atomic_folder(path) as temporary:
        (temporary / "new.txt").write_text("new")
        assert names(path) == ["deep"]
        assert names(path / "deep") == ["old.txt"]
    assert names(path) == ["new.txt"]
    assert names(path.parent) == ["model"]
