"""What a notebook says before anything else: which study and size its page shows, of which method and seed."""

from html import escape

from IPython.display import HTML

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
        `IPython.display.HTML`: what is shown; at smoke size that its scores mean nothing, and a link to the page of
        the full run, which works from the folder `notebooks`.
    """
    if selection.get("method") == ZERO_SHOT:
        selection.pop("seed", None)
    what = ", ".join([_named(params, name, value) for name, value in selection.items()])
    title = f"{escape(notebook)}{': ' if what else ''}{escape(what)}"
    if params.size == "smoke":
        page = full_page(params, notebook, **selection)
        said = (
            "🟧 <b>Smoke size:</b> a tiny random encoder on a handful of examples; the scores mean nothing. "
            f'The full run: <a href="../{escape(page)}">{escape(page)}</a>'
        )
        return HTML(f'<div style="{_BOX.format("230,159,0")}"><b>{title}</b><br>{said}</div>')
    data = "the corpus that the project generates" if params.data.source == "factbook" else "real data"
    results, report = (folder.relative_to(ROOT).as_posix() for folder in (params.results_folder, params.reports_folder))
    said = (
        f"🟦 <b>Full size</b> of the study <code>{escape(params.study)}</code>, on {data}; "
        f"scores in <code>{escape(results)}</code>, report in <code>{escape(report)}/README.md</code>"
    )
    return HTML(f'<div style="{_BOX.format("86,180,233")}"><b>{title}</b><br>{said}</div>')


def full_page(params, notebook, **selection):
    """The page of a notebook in the full study of the same profile, relative to the repository.

    What the full study does not have (a group of experiments of the smoke size) is replaced by its first.
    """
    full = load_params(f"{params.profile}/full")
    known = {"method": [ZERO_SHOT, *full.trained], "group": full.sweeps.groups, "seed": full.seeds}
    name = notebook
    for key in ("method", "group", "seed"):
        if key in selection:
            value = selection[key] if selection[key] in known[key] else known[key][0]
            name += f"-seed-{value}" if key == "seed" else f"-{value}"
    return (full.reports_folder / "notebooks" / f"{name}.ipynb").relative_to(ROOT).as_posix()


def _named(params, name, value):
    if name == "method":
        return "zero-shot (the English reader)" if value == ZERO_SHOT else params.method(value).label
    return f"{name} {value}"
