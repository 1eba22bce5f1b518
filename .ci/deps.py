"""Write into dvc.yaml the files of the library that each stage's result depends on: `make deps`.

They are traced through the sources, without importing them: from the names that the stage's notebook uses to the names
that their definitions use, and so on, imports inside functions included. A file counts as soon as one of its
definitions is reached, whole, for DVC compares whole files; with a module that looks for its own folder (`__file__`)
the data beside it count, too. What is named at run time only, by a text, is not seen.
"""

import ast
import json
import re
import symtable
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "xqa_lib"

# Modules and packages that change no result, with the reason: the tracing ends at them.
NEUTRAL = {
    "xqa_lib.errors": "the name of an error",
    "xqa_lib.running": "how it runs: files that appear whole, progress, records, the pages of notebooks",
    "xqa_lib.reporting": "pictures and words for the pages of notebooks, which no stage reads; but see REPORT",
    "xqa_lib.study.params": "checks the parameters and adds none; DVC itself compares their values",
    "xqa_lib.study.layout": "where results lie: to move one is to change dvc.yaml, as a test sees to",
    "xqa_lib.study.on_demand": "looks whether results are there; what it makes, at smoke size, is not DVC's",
    "xqa_lib.data.factbook.review": "shows the corpus to people",
    "xqa_lib.training.cpu_memory": "who keeps memory that is free",
}
REPORT = ("report", "xqa_lib.reporting")  # the stage whose results are pictures and words, and their room


class Module:
    """One source.

    Args:
        name: with dots.
        text: the source.
        path: relative to the repository.

    Attributes:
        imports: name -> what an import at the top binds it to, as "package.module" or "package.module.name".
        definitions: name -> statements at the top that bind it.
    """

    def __init__(self, name, text, path):
        self.name, self.path, self.tree = name, path, ast.parse(text, path)
        self.imports, self.definitions = {}, {}
        for node in self.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imports |= self.imported(node)
            for bound in _bound(node):
                self.definitions.setdefault(bound, []).append(node)

    def imported(self, node):
        """name -> what an import statement binds it to; of the library alone."""
        base = getattr(node, "module", None) or ""
        if getattr(node, "level", 0):
            parts = [*self.name.split("."), *(["__init__"] if self.path.endswith("__init__.py") else [])]
            base = ".".join([*parts[: -node.level], *([base] if base else [])])
        found = {}
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                found[alias.asname or alias.name] = f"{base}.{alias.name}"
            else:  # `import a.b` binds a, `import a.b as c` binds c to a.b
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        return {name: target for name, target in found.items() if target.split(".")[0] == PACKAGE}

    def uses(self, node):
        """What a statement at the top uses of the library, this module included, as "package.module.name..."."""
        imports = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                imports |= self.imported(inner)
        own = _free_names(node)
        imports |= {name: target for name, target in self.imports.items() if name in own and name not in imports}
        imports |= {name: f"{self.name}.{name}" for name in own if name in self.definitions or name == "__file__"}
        found, met = set(), set()
        for inner in ast.walk(node):  # an attribute is met before the name that it is of
            chain, root = [], inner
            while isinstance(root, ast.Attribute):
                chain, root = [root.attr, *chain], root.value
            if isinstance(root, ast.Name) and root.id in imports and root not in met:
                met.add(root)
                found.add(".".join([imports[root.id], *chain]))
        return found


def _bound(node):
    """The names that a definition or an assignment binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return [leaf.id for target in targets if target for leaf in ast.walk(target) if isinstance(leaf, ast.Name)]


def _free_names(node):
    """The names that a statement uses and does not bind itself, as a variable of a function."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}

    def of(table):
        return {s.get_name() for s in table.get_symbols() if s.is_global()}.union(*map(of, table.get_children()))

    whole = symtable.symtable(ast.unparse(node), "", "exec")
    # decorators, defaults and base classes stand outside
    outer = {symbol.get_name() for symbol in whole.get_symbols() if symbol.is_referenced()}
    return outer.union(*map(of, whole.get_children()))


def sources(root=ROOT):
    """name -> `Module` of all sources of the library in a checkout."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        place = path.relative_to(root)
        name = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, path.read_text(encoding="utf-8"), place.as_posix())
    return found


def imports_of(module, modules):
    """The names of the modules of the library that a module imports, anywhere in it."""
    targets = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            targets |= set(module.imported(node).values())
    parents = {target.rpartition(".")[0] for target in targets if target not in modules}
    return {target for target in targets | parents if target in modules}


def reached(modules, notebook, neutral, root=ROOT):
    """The files of the library, relative to `root`, that a notebook's results depend on.

    Args:
        modules: as `sources`.
        notebook: path of the notebook.
        neutral: names of modules and packages at which the tracing ends.

    Raises:
        ValueError: a name that its module does not have.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code").split("\n")
    start = Module("notebook", "\n".join(line for line in lines if not line.startswith(("%", "!"))), notebook.name)
    files, seen = set(), set()
    waiting = [used for node in start.tree.body for used in start.uses(node)]
    while waiting:
        used = waiting.pop()
        if used in seen:
            continue
        seen.add(used)
        # a.b.c.d: d of the module a.b.c, or c.d of a.b
        parts = used.split(".")
        length = next((k for k in range(len(parts), 0, -1) if ".".join(parts[:k]) in modules), 0)
        name, wanted = ".".join(parts[:length]), parts[length] if length < len(parts) else None
        if not name or any(f"{name}.".startswith(f"{other}.") for other in neutral):
            continue
        module = modules[name]
        files.add(module.path)
        if wanted == "__file__":
            files |= {path.relative_to(root).as_posix() for path in _beside(root / module.path)}
        elif wanted in module.imports:
            waiting.append(".".join([module.imports[wanted], *parts[length + 1 :]]))
        elif wanted is None:  # a module that is handed on whole
            waiting += [f"{name}.{inner}" for inner in (*module.imports, *module.definitions)]
        elif wanted in module.definitions:
            waiting += [inner for node in module.definitions[wanted] for inner in module.uses(node)]
        else:
            raise ValueError(f"{used} is used, but {module.path} has no {wanted}: is it called otherwise now?")
    return files


def _beside(path):
    """Files and folders beside a source that are no sources."""
    for other in path.parent.iterdir():
        if other.suffix != ".py" if other.is_file() else other.name != "__pycache__" and not any(other.rglob("*.py")):
            yield other


STAGE = re.compile(r"^  ([\w-]+):\n(?:(?:    .*)?\n)*", re.MULTILINE)
NOTEBOOK = re.compile(r"^      - (notebooks/.*)\n", re.MULTILINE)


def written(text, root=ROOT):
    """The text of dvc.yaml with the files of the library that each stage depends on, after its notebook."""
    modules = sources(root)

    def rewrite(stage):
        body = re.sub(rf"^      - {PACKAGE}/.*\n", "", stage[0], flags=re.MULTILINE)
        neutral = [name for name in NEUTRAL if (stage[1], name) != REPORT]
        notebook = NOTEBOOK.search(body)
        files = sorted(reached(modules, root / notebook[1], neutral, root))
        return body[: notebook.end()] + "".join(f"      - {file}\n" for file in files) + body[notebook.end() :]

    head, stages = text.split("\nstages:\n")
    return f"{head}\nstages:\n{STAGE.sub(rewrite, stages)}"


def main():
    """Rewrite dvc.yaml."""
    path = ROOT / "dvc.yaml"
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8", newline="")


if __name__ == "__main__":
    sys.exit(main())
