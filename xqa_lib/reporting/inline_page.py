"""A page of the report inside a notebook, its figures where its text has them."""

import re

import matplotlib.pyplot as plt
from IPython.display import Markdown, display

_FIGURE = re.compile(r"^!\[[^\]]*\]\(figures/([\w.-]+?)\.(?:png|svg)\)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)([^)]+)\)")


def show(page, drawn, *, links):
    """Display a page and its figures, then those that it has not, each under its name.

    Args:
        page: Markdown; a figure is a line of its own, a file in `figures/`.
        drawn: name -> matplotlib figure.
        links: do the files lie beside the notebook's folder, as in `reports/`? If not, links become plain text.
    """
    for figure in drawn.values():
        plt.close(figure)  # an open one is shown once more when the cell ends
    page = _LINK.sub(r"[\1](../\2)" if links else r"\1", page)
    page = re.sub("^#", "##", page, flags=re.MULTILINE)
    text, *rest = _FIGURE.split(page)
    display(Markdown(text))
    for name, text in zip(rest[::2], rest[1::2], strict=True):
        display(drawn[name])
        display(Markdown(text))
    for name in drawn:
        if name not in rest[::2]:
            display(Markdown(f"**{name}**"))
            display(drawn[name])
