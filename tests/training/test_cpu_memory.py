"""What is freed is kept: large blocks are not fetched from the system again."""

import platform
import subprocess
import sys

import pytest

from xqa_lib.running.files import ROOT

PAGES = """
import resource
import torch
from xqa_lib.training import cpu_memory

def fetched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(16 * 2**20)  # 64 MiB, 16,384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = fetched()
cpu_memory.keep_freed()
fetched()  # the heap finds its size
print(plain, fetched())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library is not glibc")
def test_large_blocks_are_fetched_once():
    done = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True, cwd=ROOT)
    plain, kept = map(int, done.stdout.split())
    assert kept < 100 < plain


def test_another_c_library_is_left_alone(monkeypatch):
    from xqa_lib.training import cpu_memory

    for loaded in (lambda name: object(), lambda name: (_ for _ in ()).throw(OSError("no such library"))):
        monkeypatch.setattr(cpu_memory.ctypes, "CDLL", loaded)
        assert cpu_memory.keep_freed() is None
