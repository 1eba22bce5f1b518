"""Training features in files: built once, then memory-mapped by every run with the same texts and tokenizer.

A file is named by what it was made from (tokenizer, settings, texts, answers, code, versions) and by the checksum of
what it holds: one that is damaged is not believed but made again. Files are only a shortcut: the folder may be deleted
at any time, and several processes may work in it.
"""

import hashlib
import json
import os

import pyarrow
from datasets import Dataset

from ..running.files import atomic_path, keep_small, sha256_of
from .checkpoints import fingerprint

FOLDER_BYTES = 2 * 1024**3  # all files of a folder together; the longest unused are removed beyond it


def load_or_make(make, *, folder, facts):
    """What `make()` returns, or what an earlier run left in `folder`.

    Args:
        make: () -> `datasets.Dataset`; the same for the same facts.
        folder: path where the files lie; made if needed.
        facts: JSON values that decide what `make` returns.

    Returns:
        `datasets.Dataset`, memory-mapped.
    """
    key = fingerprint(facts)[:32]
    # A file is removed where another process finds too many of them, which takes none from who has opened it.
    for path in sorted(folder.glob(f"{key}-*.arrow")):
        try:
            if path.stem == f"{key}-{sha256_of(path)[:32]}":
                os.utime(path)  # the longest unused go first
                return Dataset.from_file(str(path))
        except FileNotFoundError:
            continue
    content = _stream(make())
    path = folder / f"{key}-{hashlib.sha256(content).hexdigest()[:32]}.arrow"
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    keep_small(path, limit=FOLDER_BYTES)
    return Dataset.from_file(str(path))


def _stream(dataset):
    """The dataset as an Arrow stream, in pieces of 1,000 rows so that one row is found fast."""
    schema = dataset.features.arrow_schema
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema) as writer:
        writer.write_table(dataset.data.table.cast(schema), max_chunksize=1000)
    return sink.getvalue()


def tokenizer_hash(tokenizer):
    """SHA-256 of all that a fast tokenizer is, as 64 hexadecimal digits."""
    settings = json.loads(tokenizer.backend_tokenizer.to_str())
    # these two are left behind by whoever used it last
    settings = {name: value for name, value in settings.items() if name not in ("truncation", "padding")}
    text = json.dumps([type(tokenizer).__name__, settings], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
