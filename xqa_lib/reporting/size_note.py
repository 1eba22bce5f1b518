"""What a notebook says before anything else: which study and size its page shows, of which method and seed."""

import json
from html import escape

from IPython.display import HTML

from ..study import layout
from ..study.layout import ZERO_SHOT
from ..study.params import ROOT, load_params

_BOX = "border-left:6px solid rgb({});padding:.4em .8em;max-width:60em"


def size_note(params, notebook, **selection):
    """The first output of a notebook, in words and colour.

    Args:
        params: of the study.
        notebook: file name without ending, such as "04_distillation".
        selection: the notebook's other parameters: method, group, seed.

    Returns:
        `IPython.display.HTML`: what is shown; at smoke size that its scores mean nothing, a link to the page of the
        full run, which works from the folder `notebooks`, and the minutes that this took.
    """
    if selection.get("method") == ZERO_SHOT:
        selection.pop("seed", None)
    what = ", ".join([_named(params, name, value) for name, value in selection.items()])
    title = f"{escape(notebook)}{': ' if what else ''}{escape(what)}"
    if params.size == "smoke":
        full, chosen = _of_full_size(params, selection)
        page = _page(full, notebook, chosen)
        said = (
            "🟧 <b>Smoke size:</b> a tiny random encoder on a handful of examples; the scores mean nothing. "
            f'The full run: <a href="../{escape(page)}">{escape(page)}</a>{_took(full, notebook, chosen)}'
        )
        return HTML(f'<div style="{_BOX.format("230,159,0")}"><b>{title}</b><br>{said}</div>')
    kinds = {
        "factbook": "the corpus that the project generates",
        "real": "real data (sources and licences: <code>docs/claims.md</code>)",
        "own": "your data",
    }
    results, report = (folder.relative_to(ROOT).as_posix() for folder in (params.results_folder, params.reports_folder))
    said = (
        f"🟦 <b>Full size</b> of the study <code>{escape(params.study)}</code>, on {kinds[params.data.source]}; "
        f"scores in <code>{escape(results)}</code>, report in <code>{escape(report)}/README.md</code>"
    )
    return HTML(f'<div style="{_BOX.format("86,180,233")}"><b>{title}</b><br>{said}</div>')


def _of_full_size(params, selection):
    """The full study of the same profile, and the selection in it: its first group for one that it lacks."""
    full = load_params(f"{params.profile}/full")
    known = {"method": [ZERO_SHOT, *full.trained], "group": full.sweeps.groups, "seed": full.seeds}
    chosen = {key: value if value in known[key] else known[key][0] for key, value in selection.items()}
    return full, chosen


def _page(full, notebook, chosen):
    """The page that `dvc.yaml` writes, relative to the repository."""
    name = "-".join([notebook, *(f"seed-{value}" if key == "seed" else value for key, value in chosen.items())])
    return (full.reports_folder / "notebooks" / f"{name}.ipynb").relative_to(ROOT).as_posix()


def _took(full, notebook, chosen):
    """How long the full run took, by its record; nothing where there is none."""
    system = layout.system_name(chosen.get("method"), chosen.get("seed"))
    records = {
        "02_encoder": layout.record_file(full, "encoder"),
        "02_reader": layout.record_file(full, "reader"),
        "04_distillation": layout.record_file(full, system),
        "05_evaluation": layout.record_file(full, f"scores-{system}"),
        "06_ablations": layout.experiments_folder(full, chosen.get("group", ""), chosen.get("seed")) / "run.json",
    }
    if notebook not in records or not records[notebook].is_file():
        return ""
    record = json.loads(records[notebook].read_text(encoding="utf-8"))
    return f" ({record['minutes']:.1f} minutes with {record['machine']['threads']} threads)"


def _named(params, name, value):
    if name == "method":
        return "zero-shot (the English reader)" if value == ZERO_SHOT else params.method(value).label
    return f"{name} {value}"
