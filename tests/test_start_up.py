"""What a stage imports before it begins: modules that take seconds only where they are used."""

import subprocess
import sys

import pytest

from xqa_lib.study.params import ROOT

CASES = [
    ("xqa_lib.study.stages", ["transformers", "datasets", "accelerate", "scipy", "seaborn"]),
    ("xqa_lib.reading.evaluation", ["torch", "transformers"]),
    ("xqa_lib.reading.predict", ["transformers.trainer", "datasets"]),
    ("xqa_lib.reporting.report", ["transformers"]),
    ("xqa_lib.running.notebooks", ["torch", "pandas"]),
]


@pytest.mark.parametrize(("module", "slow"), CASES, ids=[module for module, _ in CASES])
def test_slow_modules_stay_out(module, slow):
    code = f"import sys, {module}; print(*(name for name in {slow!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
