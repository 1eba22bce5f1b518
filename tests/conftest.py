"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def one_thread():
    """A module computes on one thread, as the processes that `faults.in_process` forks do: bits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_data_dir():
    """The folder with the real data sets; the test is skipped where it is absent."""
    for folder in (os.environ.get("XQA_DATA_DIR"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "xquad").is_dir():
            return Path(folder)
    pytest.skip("real data absent: set XQA_DATA_DIR to a folder with xquad/, mlqa/, squad/ and tydiqa-goldp/")
