"""The rooms of the library: imports between them go one way, and no module acts when it is imported."""

import ast
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tool(name):
    """A script of `.ci`, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


deps = tool("deps")
# room -> those that it may import from, beside itself; "method" are the modules of no room
MAY = {
    "method": {"running"},
    "data": {"method", "running"},
    "training": {"method", "running"},
    "reading": {"method", "data", "training", "running"},
    "study": {"method", "data", "training", "reading", "running"},
    "reporting": {"method", "data", "training", "reading", "study", "running"},
    "running": set(),
}


def room(name):
    place = name.split(".")[1:]
    return place[0] if place and place[0] in MAY else "method"


def wrong_imports(modules):
    """What an import breaks, as "module -> module"; the command line, which stands above all rooms, may import all."""
    return [
        f"{name} -> {other}"
        for name, module in modules.items()
        for other in sorted(deps.imports_of(module, modules))
        if name != "xqa_lib.__main__"
        and other != "xqa_lib.errors"
        and room(other) not in {room(name), *MAY[room(name)]}
    ]


def circles(modules):
    """The modules that import themselves through others."""
    inner = {name: deps.imports_of(module, modules) - {name} for name, module in modules.items()}
    # a module that imports nothing is in no circle; without it the next ones are found
    while free := {name for name, others in inner.items() if not others}:
        inner = {name: others - free for name, others in inner.items() if name not in free}
    return sorted(inner)


@pytest.fixture(scope="module")
def modules():
    return deps.sources()


def planted(modules, name, line):
    """The modules, one of them with a line more."""
    module = modules[name]
    text = (ROOT / module.path).read_text(encoding="utf-8")
    return modules | {name: deps.Module(name, f"{text}\n{line}\n", module.path)}


def test_imports_between_rooms_go_one_way(modules):
    assert {room(name) for name in modules} == set(MAY)
    assert wrong_imports(modules) == []


@pytest.mark.parametrize(
    ("name", "line", "found"),
    [
        ("xqa_lib.losses", "from .training import models", "xqa_lib.losses -> xqa_lib.training.models"),
        ("xqa_lib.data.leakage", "from ..training.models import x", "xqa_lib.data.leakage -> xqa_lib.training.models"),
        ("xqa_lib.running.files", "import xqa_lib.metrics", "xqa_lib.running.files -> xqa_lib.metrics"),
        (
            "xqa_lib.reading.predict",
            "def inside():\n    from ..study import layout",
            "xqa_lib.reading.predict -> xqa_lib.study.layout",
        ),
    ],
)
def test_a_wrong_import_is_found(modules, name, line, found):
    assert wrong_imports(planted(modules, name, line)) == [found]


def test_no_module_imports_itself_through_others(modules):
    assert circles(modules) == []
    assert {"xqa_lib.losses", "xqa_lib.training.trainer"} <= set(
        circles(planted(modules, "xqa_lib.losses", "def inside():\n    from .training import trainer"))
    )


def acts(tree):
    """The statements at the top of a module that are no import, definition or constant: importing it runs them."""
    quiet = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    for node in tree.body:
        names = [target for target in getattr(node, "targets", [getattr(node, "target", None)]) if target]
        binds = names and all(isinstance(leaf, ast.Name | ast.Tuple) for leaf in names)
        says = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        started = isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        if not (isinstance(node, quiet) or binds or says or started):
            yield ast.unparse(node)


def test_no_module_acts_when_it_is_imported(modules):
    # the tool that writes dvc.yaml traces what is called, and would not see it
    found = {name: list(acts(module.tree)) for name, module in modules.items()}
    free = [name for name in found if name.endswith(".__main__") or room(name) == "running"]
    assert [name for name, statements in found.items() if statements and name not in free] == []
    assert list(acts(ast.parse("import torch\ntorch.set_num_threads(1)\ntorch.x = 1"))) == [
        "torch.set_num_threads(1)",
        "torch.x = 1",
    ]
