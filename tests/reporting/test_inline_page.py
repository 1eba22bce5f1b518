"""The report's page in a notebook: figures in their places, links that lead somewhere."""

import matplotlib.pyplot as plt

from xqa_lib.reporting import inline_page

PAGE = """# Results

See [`a.csv`](tables/a.csv) and [the paper](https://example.org).

![A picture](figures/forest.png)

## Scores
"""


def shown(monkeypatch, **options):
    seen = []
    monkeypatch.setattr(inline_page, "display", seen.append)
    drawn = {"curves": plt.figure(), "forest": plt.figure()}
    inline_page.show(PAGE, drawn, **options)
    names = {id(figure): name for name, figure in drawn.items()}
    assert plt.get_fignums() == []  # none is shown again at the end of the cell
    return [names.get(id(thing)) or thing.data.strip() for thing in seen]


def test_figures_stand_where_the_page_has_them_and_the_others_behind_it(monkeypatch):
    assert shown(monkeypatch, links=True) == [
        "## Results\n\nSee [`a.csv`](../tables/a.csv) and [the paper](https://example.org).",
        "forest",
        "### Scores",
        "**curves**",
        "curves",
    ]


def test_links_to_files_that_are_not_beside_the_notebook_are_text(monkeypatch):
    assert shown(monkeypatch, links=False)[0] == "## Results\n\nSee `a.csv` and [the paper](https://example.org)."
