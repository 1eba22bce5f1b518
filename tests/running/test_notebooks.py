"""Running notebooks strictly, and what every committed notebook must be like."""

import ast
import importlib
import json
import re
import tempfile
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbformat.v4 import new_code_cell, new_notebook

from xqa_lib.errors import DataError
from xqa_lib.running import notebooks
from xqa_lib.study.params import ROOT

COMMITTED = sorted((ROOT / "notebooks").glob("*.ipynb"))


def notebook(*cells):
    """A notebook of code cells, each a string, or a tuple of a string and a tag."""
    made = []
    for cell in cells:
        code, *tags = cell if isinstance(cell, tuple) else (cell,)
        made.append(new_code_cell(code, metadata={"tags": tags} if tags else {}))
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return new_notebook(cells=made, metadata=metadata)


@pytest.fixture
def saved(tmp_path):
    """A function that saves a notebook of these cells in a folder of its own and returns its path."""

    def save(*cells, name="trial.ipynb"):
        path = tmp_path / "sources" / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook(*cells), path)
        return path

    return save


def refusal(*arguments):
    with pytest.raises(DataError) as error:
        notebooks.execute(*arguments)
    return str(error.value)


def texts(page):
    """What each code cell of a page printed or gave."""
    return [
        "".join(out.get("text") or out["data"]["text/plain"] for out in cell.outputs)
        for cell in page.cells
        if cell.cell_type == "code"
    ]


DECLARING = ('study = "embedded/smoke"  # which\nseed = 1\nratio = 0.5\nchosen = None', "parameters")


def test_declared_parameters(saved):
    assert notebooks.declared_parameters(saved(DECLARING, "other = 3")) == {
        "study": '"embedded/smoke"',
        "seed": "1",
        "ratio": "0.5",
        "chosen": "None",
    }
    assert notebooks.declared_parameters(saved("seed = 1")) == {}


@pytest.mark.parametrize(
    ("cells", "parameters", "message"),
    [
        ([DECLARING], {"sede": "2"}, "sede; it declares study, seed, ratio, chosen"),
        # not in the cell tagged parameters
        ([DECLARING, "other = 3"], {"seed": "2", "other": "4", "more": "5"}, "other, more; it declares study, seed, "),
        (["seed = 1"], {"seed": "2"}, "seed; it declares none"),
    ],
)
def test_undeclared_parameters_are_refused(cells, parameters, message, saved, tmp_path):
    found = refusal(saved(*cells), tmp_path / "out" / "page.ipynb", parameters)
    assert found.startswith(f"trial.ipynb does not declare the parameter {message}")
    assert not (tmp_path / "out").exists()


def test_a_missing_notebook(tmp_path):
    known = ", ".join(path.stem for path in COMMITTED)
    for name in ("03_samplin", str(tmp_path / "none.ipynb")):
        message = refusal(name, tmp_path / "page.ipynb", {})
        assert message == f"{name}: no such notebook; expected a path or one of {known}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("default", "readings"),
    [
        # a text stays the text that it is
        ('"ce"', {text: text for text in ("skd-map", "2024_01", "007", "nan", "null", "true", "[1, 2]", "")}),
        ("1", {"-3": -3, "007": 7}),
        ("0.5", {"2": 2.0, "1e-3": 0.001}),
        ("True", {"False": False, "true": True}),
        ("[1]", {"[1, 2]": [1, 2], "['ce', \"skd\"]": ["ce", "skd"], "[true, null]": [True, None]}),
        # None says nothing: what JSON has no other reading for than number, list, true, false or null is that
        ("None", {"3": 3, "-0.5": -0.5, "None": None, "null": None, "True": True, "[1, 2]": [1, 2]}),
        ("None", {text: text for text in ("2024_01", "007", "NaN", "1e999", "params.yaml")}),
        # from Python, values are what they are
        ('"ce"', {4: 4}),
    ],
)
def test_a_value_is_read_as_the_type_of_its_default(default, readings):
    for text, value in readings.items():
        read = notebooks._value("trial.ipynb", "x", text, default)
        assert read == value
        assert type(read) is type(value)


@pytest.mark.parametrize(
    ("default", "texts", "expected"),
    [
        ("1", ("0.5", "2024_01", "null", "[1, 2]"), "a whole number like its default 1"),
        ("0.5", ("nan", "1_0", "inf"), "a number like its default 0.5"),
        ("True", ("1", "null"), "true or false like its default True"),
        ("[1, 2]", ("3", "1, 2", "[1, 2", "[f()]"), "a list like its default [1, 2]"),
    ],
)
def test_a_value_of_another_type_is_refused(default, texts, expected):
    for text in texts:
        with pytest.raises(DataError) as error:
            notebooks._value("trial.ipynb", "x", text, default)
        assert str(error.value) == f"trial.ipynb: parameter x: expected {expected}, found {text!r}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Notebook does not appear to be JSON: ''"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cel', "Notebook does not appear to be JSON: "),
        (b"[]", ""),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "The notebook is invalid and is missing an"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": ["x"]}', ""),
        (b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}', "Unsupported nbformat version 99"),
        (b"\xff\xfe", "'utf-8' codec can't decode byte 0xff"),
        (b"[" * 100_000, "maximum recursion depth exceeded"),
    ],
    ids=["empty", "cut off", "list", "no cells", "text for a cell", "version", "encoding", "nested"],
)
def test_a_broken_notebook_is_an_error_of_one_line(tmp_path, content, reason):
    path = tmp_path / "broken.ipynb"
    path.write_bytes(content)
    message = refusal(path, tmp_path / "out" / "page.ipynb", {"seed": "1"})
    assert message.startswith(f"{path}: expected a notebook, found a file that is none ({reason}")
    assert message.endswith("); fetch it again")
    assert "\n" not in message
    assert not (tmp_path / "out").exists()


def test_the_page_of_a_good_run(saved, tmp_path, capfd, monkeypatch):
    source = saved(
        DECLARING,
        "import os, sys, warnings\nprint('progress 50%', file=sys.stderr)\nwarnings.warn('old')\nprint('kept')",
        "(study, seed, ratio, chosen)",
        f"os.path.samefile(os.getcwd(), {str(ROOT)!r})",
        "import ipywidgets\nipywidgets.IntSlider()",  # needs a kernel
    )
    before = source.read_bytes()
    # from another folder, to a relative path
    monkeypatch.chdir(tmp_path)
    notebooks.execute(source, Path("out") / "page.ipynb", {"seed": "2", "study": "2024_01", "chosen": "x"})

    output = tmp_path / "out" / "page.ipynb"
    assert [path.name for path in output.parent.iterdir()] == ["page.ipynb"]
    assert source.read_bytes() == before
    page = nbformat.read(output, as_version=4)
    nbformat.validate(page)
    assert texts(page) == ["", "", "kept\n", "('2024_01', 2, 0.5, 'x')", "True", ""]
    counts = [cell.execution_count for cell in page.cells]
    assert counts == [1, 2, 3, 4, 5, 6]
    injected = page.cells[1]
    assert injected.metadata.tags == ["injected-parameters"]
    assert 'seed = 2\nstudy = "2024_01"\nchosen = "x"' in injected.source

    raw = output.read_text(encoding="utf-8")
    assert raw.endswith("}\n")
    error_stream = capfd.readouterr().err  # shown while it runs, not kept
    for text in ("progress 50%", "UserWarning: old"):
        assert text in error_stream
        assert text not in json.dumps([cell.outputs for cell in page.cells])
    assert {out.get("name", "stdout") for cell in page.cells for out in cell.outputs} == {"stdout"}
    assert set(page.metadata) == {"kernelspec", "language_info"}
    assert [set(cell.metadata) for cell in page.cells] == [{"tags"}] * 6
    assert str(tmp_path) not in raw
    assert not re.search(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", raw)


def test_the_same_run_gives_the_same_page_and_no_warning(saved, tmp_path, capfd):
    source = saved(("seed = 1", "parameters"), "from tqdm.auto import tqdm\nseed + 1", "object()")
    pages = []
    for name in ("a", "b"):
        notebooks.execute(source, tmp_path / name / "page.ipynb", {"seed": 5})
        pages.append((tmp_path / name / "page.ipynb").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    assert set(json.loads(pages[0])["metadata"]) <= {"kernelspec", "language_info"}
    assert capfd.readouterr().err == ""


def test_a_failing_cell_leaves_the_failed_page_and_no_other(saved, tmp_path):
    source = saved(
        ("seed = 1", "parameters"),
        "print('so far')",
        "from xqa_lib.errors import DataError\nraise DataError('data/x: expected 2,\\nfound 3')",
        "print('never')",
        name="04_trial.ipynb",
    )
    output = tmp_path / "out" / "page-seed-1.ipynb"
    failed = output.with_name("page-seed-1.failed.ipynb")
    message = refusal(source, output, {})
    assert message == f"04_trial.ipynb, cell 3: DataError: data/x: expected 2,\nfound 3 (see {failed})"
    assert [path.name for path in output.parent.iterdir()] == [failed.name]
    page = nbformat.read(failed, as_version=4)
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    assert code[1].outputs[0].text == "so far\n"
    assert [out.output_type for out in code[2].outputs] == ["error"]
    assert code[3].execution_count is None
    # a good run removes the failed page
    notebooks.execute(saved("1 + 1"), output, {})
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_a_kernel_that_dies_is_an_error_of_one_line(saved, tmp_path):
    source = saved("print('so far')", "import os\nos._exit(1)")
    output = tmp_path / "out" / "page.ipynb"
    failed = output.with_name("page.failed.ipynb")
    assert refusal(source, output, {}) == f"trial.ipynb: its kernel died; is there too little memory? (see {failed})"
    assert [path.name for path in output.parent.iterdir()] == [failed.name]


def test_a_kernel_that_is_not_installed_is_an_error_of_one_line(saved, tmp_path, monkeypatch):
    def no_spec(manager, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", no_spec)
    output = tmp_path / "out" / "page.ipynb"
    assert refusal(saved("1 + 1"), output, {}) == (
        "trial.ipynb: no Jupyter kernel python3 is installed; run make, or pip install ipykernel"
    )
    assert list(output.parent.iterdir()) == []


@pytest.fixture(params=COMMITTED, ids=lambda path: path.stem)
def committed(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(page):
    return [cell for cell in page.cells if cell.cell_type == "code"]


def parsed(cell):
    return ast.parse(cell.source)


def test_one_cell_declares_the_parameters_as_plain_literals(committed):
    (cell,) = [cell for cell in committed.cells if "parameters" in cell.metadata.get("tags", [])]
    assert cell is code_cells(committed)[0]
    values = {}
    for statement in parsed(cell).body:
        assert isinstance(statement, ast.Assign)
        (target,) = statement.targets
        assert target.id not in values
        values[target.id] = ast.literal_eval(statement.value)
    assert next(iter(values.items())) == ("study", "embedded/smoke")  # small by default


def test_every_parameter_is_read_in_another_cell_and_never_set_again(committed):
    first, *others = code_cells(committed)
    declared = {statement.targets[0].id for statement in parsed(first).body}
    names = [node for cell in others for node in ast.walk(parsed(cell)) if isinstance(node, ast.Name)]
    assert declared <= {node.id for node in names if isinstance(node.ctx, ast.Load)}
    assert declared.isdisjoint(node.id for node in names if isinstance(node.ctx, ast.Store))


def test_the_outline(committed):
    first = committed.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    for word in ("**Question.**", "**In:**", "**Out:**"):
        assert word in first.source
    asserting = [
        cell for cell in code_cells(committed) if any(isinstance(node, ast.Assert) for node in ast.walk(parsed(cell)))
    ]
    assert asserting
    assert asserting[-1] in code_cells(committed)[-2:]
    # the last words, or a heading and what is computed below it
    learnt = next(cell for cell in reversed(committed.cells) if cell.cell_type == "markdown")
    assert learnt.source.startswith(("**What we learn.** ", "## What we learn"))
    assert committed.cells[committed.cells.index(learnt) + 1 :] in ([], code_cells(committed)[-1:])


def test_cells_are_short_and_hold_no_logic(committed):
    for cell in code_cells(committed):
        lines = cell.source.splitlines()
        assert 1 <= len(lines) <= 12, cell.source  # a teaching cell computes a few lines on one example, loops included
        assert cell.source == cell.source.strip()
        nodes = [type(node) for node in ast.walk(parsed(cell))]
        assert not {ast.While, ast.ClassDef, ast.FunctionDef} & set(nodes), cell.source
        assert not [line for line in lines if line.lstrip().startswith(("%", "!"))]
        for text in ("chdir", "sys.path"):
            assert text not in cell.source


def test_the_library_names_that_are_called_exist(committed):
    """Each attribute of an imported library module, without running the notebook."""
    nodes = [node for cell in code_cells(committed) for node in ast.walk(parsed(cell))]
    modules = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("xqa_lib"):
            names = [alias.name for alias in node.names if alias.name != "load_params"]
            modules |= {name: importlib.import_module(f"{node.module}.{name}") for name in names}
    used = set()
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            used.add(node.value.id)
            assert hasattr(modules[node.value.id], node.attr), f"{node.value.id}.{node.attr}"
    assert used == set(modules)  # nothing is imported in vain


def test_committed_as_executed_from_top_to_bottom(committed):
    assert committed.metadata.kernelspec.name == "python3"
    assert set(committed.metadata) <= {"kernelspec", "language_info"}  # no times
    assert not any({"papermill", "execution"} & set(cell.metadata) for cell in committed.cells)
    cells = code_cells(committed)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [out for cell in cells for out in cell.outputs]
    kinds = {out.output_type for out in outputs}
    assert "error" not in kinds
    assert {"execute_result", "display_data", "stream"} & kinds
    assert "stderr" not in {out.get("name") for out in outputs}
    assert "injected-parameters" not in [tag for cell in cells for tag in cell.metadata.get("tags", [])]


def test_no_absolute_paths_in_outputs(committed):
    folders = {str(ROOT), str(Path.home()), tempfile.gettempdir(), "/home/", "/Users/", "/root/", "/tmp/", "/work/"}
    for cell in code_cells(committed):
        for out in cell.outputs:
            data = {name: text for name, text in out.get("data", {}).items() if not name.startswith("image/png")}
            shown = json.dumps([out.get("text"), data], ensure_ascii=False)
            assert [folder for folder in folders - {"/"} if folder in shown] == []
            assert not re.search(r"\b[A-Z]:\\\\", shown)
