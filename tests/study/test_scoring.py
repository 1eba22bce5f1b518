"""The gate: no student of a reader that has not learnt to read."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from xqa_lib.errors import DataError
from xqa_lib.study import layout, scoring
from xqa_lib.study.params import load_params

SMOKE = load_params("embedded/smoke")
# F1 of two questions in each pair; the mean of the languages is 55, of all questions in the same language 60
ROWS = [
    *(("factbook-dev", f"q{n}", "en", "en", f1) for n, f1 in enumerate([0.6, 0.8])),
    *(("factbook-dev", f"q{n}", "de", "de", f1) for n, f1 in enumerate([0.2, 0.6])),
    *(("factbook-dev", f"q{n}", "de", "en", f1) for n, f1 in enumerate([0.0, 0.0])),
    *(("factbook-test", f"q{n}", "en", "en", f1) for n, f1 in enumerate([0.0, 0.0])),
]
SCORES = pd.DataFrame(ROWS, columns=["set", "id", "question_lang", "context_lang", "f1"])


def with_gate(folder, **gate):
    paths = replace(SMOKE.paths, results=str(folder))
    return replace(SMOKE, paths=paths, gate=replace(SMOKE.gate, **gate))


@pytest.mark.parametrize(
    "gate",
    [{}, {"english": 70.0, "same_language": 55.0}, {"english": 0.0, "same_language": 0.0, "set": "factbook-test"}],
)
def test_a_reader_that_has_learnt_to_read_opens_the_gate(gate, tmp_path):
    params = with_gate(tmp_path, **gate)
    scoring.pass_gate(params, SCORES)
    written = json.loads(layout.gate_file(params).read_text(encoding="utf-8"))
    # thresholds and no score: with more questions the file stays the same, and students are not trained again
    assert written == {"set": "factbook-dev", "english": 0.0, "same_language": 0.0} | gate


@pytest.mark.parametrize(
    ("gate", "low"),
    [
        ({"english": 70.1}, "english 70.0 of 70.1 on factbook-dev"),
        ({"same_language": 55.1}, "same_language 55.0 of 55.1 on factbook-dev"),
        ({"english": 90.0, "same_language": 90.0}, "english 70.0 of 90.0, same_language 55.0 of 90.0 on factbook-dev"),
        ({"set": "factbook-test", "english": 1.0}, "english 0.0 of 1.0 on factbook-test"),
    ],
)
def test_one_that_has_not_closes_it(gate, low, tmp_path):
    params = with_gate(tmp_path, **gate)
    with pytest.raises(DataError) as error:
        scoring.pass_gate(params, SCORES)
    assert str(error.value).startswith(f"the English reader has F1 {low}, and no student would show anything: train")
    assert not layout.gate_file(params).exists()
