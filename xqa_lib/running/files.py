"""Files that appear complete or not at all, and their checksums."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from ..errors import DataError

ROOT = Path(__file__).resolve().parent.parent.parent  # of the repository: folders of a study are relative to it
LARGEST = 512 * 2**20  # bytes of a file that is read whole; the largest official one has 58 million
ENOUGH = 2**20  # bytes free below which a failed writing is put down to a full disk


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path in the folder of `path`; on a clean exit it is synced and renamed to `path`.

    A reader therefore never sees half a file; after an exception nothing is left behind. Parents are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Same folder, so that the rename stays on one file system; the ending is kept because some writers choose the
    # format by it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        with _full_disk_is_said(path):
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)  # mkstemp makes it private
            os.replace(temporary, path)
            sync_folder(path.parent, recursive=False)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path):
    """Yield a temporary folder beside `path`; on a clean exit it takes the place of `path`, whole.

    What stood at `path` is removed only then; after an exception it is still there and nothing is left behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        _full_disk_is_said(path),
        tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch,
    ):
        temporary = Path(scratch) / path.name
        temporary.mkdir()
        yield temporary
        sync_folder(temporary)
        if path.exists():
            # two renames: a reader finds the old folder or the new one, never a mixture
            path.rename(Path(scratch) / "replaced")
        temporary.rename(path)
        sync_folder(path.parent, recursive=False)


@contextlib.contextmanager
def scratch_folder():
    """Yield a new folder in the system's place for temporary files; it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="xqa-") as folder:
        yield Path(folder)


def remove_leftovers(path):
    """Remove what a killed `atomic_folder` of this path left beside it; call it only where no other can be at work."""
    for scratch in Path(path).parent.glob(f".{Path(path).name}-*"):
        # a file of this name would be someone else's, and so would a folder without the one that is written
        if scratch.is_dir() and len(scratch.name) == len(Path(path).name) + 10:
            shutil.rmtree(scratch, ignore_errors=True)


def keep_small(newest, *, limit):
    """Of the files beside `newest`, of its kind, remove those unused for longest until `limit` bytes hold the rest.

    `newest` itself stays, whatever its size.
    """
    files = []
    for path in newest.parent.glob(f"*{newest.suffix}"):
        try:
            files.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        except FileNotFoundError:  # another process was faster
            continue
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= limit:
            return
        if path != newest:
            path.unlink(missing_ok=True)
            total -= size
    if total > limit:
        print(f"{newest}: larger than the {limit} bytes meant for its folder", file=sys.stderr)


def sync_folder(path, *, recursive=True):
    """Have the system write a folder's entries to disk, and with `recursive` its files and sub-folders."""
    path = Path(path)
    for entry in sorted(path.rglob("*")) if recursive else ():
        if entry.is_file():
            with open(entry, "rb+") as handle:
                os.fsync(handle.fileno())
        elif entry.is_dir():
            sync_folder(entry, recursive=False)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_space(path):
    """ ", the disk is full" (for a message) if there is next to no room where `path` is to be; else an empty text."""
    existing = next(folder for folder in (Path(path), *Path(path).absolute().parents) if folder.is_dir())
    return ", the disk is full" if shutil.disk_usage(existing).free < ENOUGH else ""


@contextlib.contextmanager
def _full_disk_is_said(path):
    """Turn the many errors that libraries raise on a full disk into one clear DataError; others pass."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or check_space(path.parent):
            raise DataError(
                f"{path}: not written, the disk is full ({' '.join(str(error).split())}); what stood there before is "
                "untouched: make room and run the same command again"
            ) from error
        raise


def write_text(path, text):
    """Write a UTF-8 text file atomically, without translating line ends."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path, data, *, indent=2):
    """Write JSON atomically: UTF-8, keys in the order given, one trailing newline; NaN and infinity are refused."""
    write_text(path, json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False) + "\n")


def read_whole(path, *, limit=LARGEST):
    """The bytes of a file of at most `limit` bytes; a larger one is a DataError before it is read."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(limit + 1) if size <= limit else b""
    if size > limit or len(content) > limit:  # a pipe or device has no size
        raise DataError(
            f"{path}: {max(size, len(content)):,} bytes, expected at most {limit:,}; is this the right file? Split it "
            "if it is"
        )
    return content


def sha256_of(path):
    """SHA-256 of a file's bytes as 64 hexadecimal digits, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
