"""The site, made by `make site` from the repository as it is: reports, executed notebooks, guides and docstrings.

The source folder is the repository's root, so that links and pictures are found where they are, and README.md is the
front page. Nothing is executed, and nothing comes from another host, neither now nor when a page is looked at.
"""

import posixpath
import re
import shutil
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
FRONT = """

```{toctree}
:hidden:

/docs/site/reports
/docs/site/notebooks
/docs/site/guides
/docs/api/xqa_lib
```
"""
# A link to a folder leads to the page that lists it; other folders are in the repository alone.
PAGES = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("reports/**/notebooks")]
FOLDERS = dict.fromkeys(["notebooks", *PAGES], "docs/site/notebooks")

project = "Cross-lingual question answering"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
root_doc = "README"
include_patterns = ["README.md", "docs/**", "notebooks/*", "reports/**"]
exclude_patterns = ["docs/api/modules.rst"]  # a second beginning

extensions = ["myst_nb", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # what cells show has tables and equations, too
nb_ipywidgets_js = {}  # it would come from another host
myst_enable_extensions = ["dollarmath"]  # as Jupyter and GitHub read equations
myst_heading_anchors = 4
myst_ref_domains = ["std"]  # or a link to a folder `tables` leads to a function of this name
apidoc_modules = [{"path": ROOT / "xqa_lib", "destination": "docs/api"}]
apidoc_separate_modules = apidoc_module_first = True
apidoc_max_depth = 1
autodoc_member_order = "bysource"
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False  # what is before the colon is often a name, not a type

html_theme = "pydata_sphinx_theme"
html_title = "Cross-lingual QA"  # short: a phone shows it beside the buttons
html_context = {"default_mode": "auto"}
html_theme_options = {"navbar_end": ["theme-switcher"], "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = html_copy_source = False
html_math_renderer = "mathml"


def front_page(app, docname, source):
    """Give the front page its menu."""
    if docname == root_doc:
        source[0] += FRONT


def name_pages(app, env):
    """List an executed notebook by its file, which tells method and seed: the titles of several are the same."""
    names = {"docs/api/xqa_lib": "API"}
    executed = [page for page in env.found_docs if re.match("reports/(.*/)?notebooks/", page)]
    names |= {page: page.removeprefix("reports/").replace("notebooks/", "") for page in executed}
    for page, name in names.items():
        env.titles[page] = nodes.title("", name)
        next(env.tocs[page].findall(nodes.reference)).children = [nodes.Text(name)]


def follow(app, doctree):
    """Let links lead to folders, and those of an executed notebook start from the folder where it was written."""
    source = app.env.docname
    # prose was written in the folder `notebooks`, what cells show for the page's own
    starts = ["notebooks"] * ("/notebooks/" in source) + [posixpath.dirname(source)]
    for link in list(doctree.findall(addnodes.pending_xref)):
        target, _, anchor = link["reftarget"].partition("#")
        paths = [posixpath.normpath(posixpath.join(start, target)) for start in starts]
        pages = [FOLDERS.get(path, posixpath.splitext(path)[0]) for path in paths]
        page = next((page for page in pages if page in app.env.found_docs), None)
        if link["reftype"] == "myst" and target and page:
            link.attributes |= {"refdomain": "doc", "reftarget": page, "reftargetid": anchor or None}
        elif link["reftype"] == "myst" and any((ROOT / path).is_dir() for path in paths):
            link.replace_self(link.children)
    for html in doctree.findall(nodes.raw):  # what cells have shown
        html.children = [nodes.Text(re.sub(r'(href="[^":]*)\.ipynb"', r'\1.html"', html.astext()))]


def as_written(app, what, name, obj, options, lines):
    """Keep |S|, the size of a set, from being a substitution, `Span`s from ending nowhere, and a module's layouts."""
    text = re.sub(r"(`[^`\n]+`)(?=\w)", r"\1\\ ", "\n".join(lines).replace("|", r"\|"))
    if what == "module":
        text = re.sub(r"^(\S.*)\n\n(?=    \S)", r"\1\n\n::\n\n", text, flags=re.MULTILINE)
    lines[:] = text.split("\n")


def visit_math(translator, node):
    """Write an equation as MathML, which browsers draw by themselves."""
    # docutils takes \frac12 for twelve over what follows
    equation = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", node.astext())
    translator.body.append(tex2mathml(equation, as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def index(app, error):
    """Let the front page be found where web servers look for it."""
    if not error:
        shutil.copyfile(app.outdir / "README.html", app.outdir / "index.html")


def setup(app):
    app.connect("source-read", front_page)
    app.connect("env-updated", name_pages)
    app.connect("doctree-read", follow)
    app.connect("autodoc-process-docstring", as_written)
    app.connect("build-finished", index)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
