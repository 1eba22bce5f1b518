"""The first output of a notebook: what is shown, and where the full page lies."""

import json
import re

import pytest

from tests.test_pipeline import PIPELINE, command
from xqa_lib.reporting.size_note import size_note
from xqa_lib.study import layout
from xqa_lib.study.params import PROFILES, load_params

SMOKE = load_params("embedded/smoke")
OF_STAGE = {"zero-shot": {"method": "zero-shot"}}


def link(params, notebook, **selection):
    (found,) = re.findall('href="(.*?)"', size_note(params, notebook, **selection).data)
    return found


@pytest.mark.parametrize("stage", sorted(set(PIPELINE) - {"choice"}))
@pytest.mark.parametrize("profile", PROFILES)
def test_the_link_is_to_a_page_that_the_full_study_writes(stage, profile):
    full = load_params(f"{profile}/full")
    if stage == "ablations" and not full.sweeps.groups:
        pytest.skip("the study has no experiments")
    item = {"method": full.trained[-1], "seed": full.seeds[-1], "group": (full.sweeps.groups or [""])[-1]}
    notebook, page, passed = command(stage)
    selection = OF_STAGE.get(stage) or {name: item[name] for name in passed if name != "study"}
    for name, value in item.items():
        page = page.replace(f"${{item.{name}}}", str(value))
    page = page.replace("${paths.reports}", full.paths.reports)
    assert link(load_params(f"{profile}/smoke"), notebook, **selection) == f"../{page}"


def test_what_the_full_study_lacks_is_replaced():
    shown = link(SMOKE, "06_ablations", group="objective", seed=1)
    assert shown == "../reports/notebooks/06_ablations-teacher-seed-1.ipynb"


def test_the_note_tells_size_method_and_seed():
    smoke = size_note(SMOKE, "05_evaluation", method="skd-map", seed=2).data
    assert "<b>05_evaluation: SKD, mAP@10, seed 2</b>" in smoke
    assert "the scores mean nothing" in smoke
    record = json.loads(layout.record_file(load_params("embedded/full"), "scores-skd-map-seed-2").read_text())
    assert f"({record['minutes']:.1f} minutes with 2 threads)" in smoke
    full = size_note(load_params("xquad/full"), "05_evaluation", method="zero-shot", seed=1).data
    assert "<b>05_evaluation: zero-shot (the English reader)</b>" in full
    assert "<code>reports/xquad/README.md</code>" in full
    assert "nothing" not in full


@pytest.mark.parametrize(
    ("profile", "data"), [("embedded", "the corpus that"), ("xquad", "real data"), ("own", "your data")]
)
def test_the_note_tells_whose_data_they_are(profile, data):
    assert f"on {data}" in size_note(load_params(f"{profile}/full"), "05_evaluation", method="ce", seed=1).data
