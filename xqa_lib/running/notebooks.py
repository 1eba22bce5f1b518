"""Run a notebook with papermill, strictly: undeclared parameters are errors, the page appears whole or not at all."""

import contextlib
import os
import re
import signal
import sys
import tempfile
import threading
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError

from ..errors import DataError
from . import TRAINING
from .files import ROOT, write_text

FOLDER = ROOT / "notebooks"


def declared_parameters(path):
    """Name -> default (Python source) of the parameters that a notebook declares in its cell tagged `parameters`."""
    declared = papermill.inspect_notebook(str(path))
    return {name: entry["default"] for name, entry in declared.items()}


def execute(name, output, parameters):
    """Execute `notebooks/<name>.ipynb` and write the executed notebook to `output`.

    The kernel's error stream (progress bars, warnings) goes to this process' own and is left out of the page, and so
    are the timestamps and paths that papermill notes: what remains are results.

    Args:
        name: file name without ending, such as "03_sampling", or a path to a notebook.
        output: path of the executed notebook.
        parameters: name -> value; strings are read as numbers, true, false or null (or None) where they look like it,
            much as papermill does for its option -p.

    Raises:
        DataError: no such notebook, a parameter that it does not declare, an error in a cell, or the death of the
            kernel. The page so far is then left beside `output` with the ending `.failed.ipynb`.
    """
    source = Path(name) if str(name).endswith(".ipynb") else FOLDER / f"{name}.ipynb"
    if not source.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.ipynb")))
        raise DataError(f"{name}: no such notebook; expected a path or one of {known}")
    declared = declared_parameters(source)
    unknown = [key for key in parameters if key not in declared]
    if unknown:
        raise DataError(
            f"{source.name} does not declare the parameter {', '.join(unknown)}; it declares "
            f"{', '.join(declared) or 'none'}"
        )
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_suffix(".failed.ipynb")
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}-") as folder:
        page = Path(folder).absolute() / output.name  # papermill writes it from the kernel's folder
        try:
            with _signals_reach_the_training(Path(folder).absolute() / "training-process"):
                _run(source, page, parameters)
        except papermill.PapermillExecutionError as error:
            page.replace(failed)
            raise DataError(
                f"{source.name}, cell {error.exec_count}: {error.ename}: {_plain(error.evalue)} (see {failed})"
            ) from None
        except DeadKernelError:
            page.replace(failed)
            raise DataError(f"{source.name}: its kernel died; is there too little memory? (see {failed})") from None
        write_text(output, nbformat.writes(_page(nbformat.read(page, as_version=4))) + "\n")
    failed.unlink(missing_ok=True)


def _run(source, page, parameters):
    papermill.execute_notebook(
        str(source),
        str(page),
        parameters={key: _value(value) for key, value in parameters.items()},
        kernel_name="python3",
        progress_bar=False,
        stderr_file=sys.stderr,
        cwd=str(FOLDER.parent),
    )


@contextlib.contextmanager
def _signals_reach_the_training(process_file):
    """Pass SIGTERM and Ctrl-C on to a training in the kernel, which then writes a checkpoint and ends its cell.

    The kernel is in a session of its own, so that neither would reach it. Where nothing is being trained they end the
    notebook as usual.
    """
    if threading.current_thread() is not threading.main_thread():  # Python leaves signals to the main thread
        yield
        return

    def pass_on(number, frame):
        try:
            os.kill(int(process_file.read_text()), signal.SIGTERM)
        except (OSError, ValueError):
            raise KeyboardInterrupt from None

    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, pass_on) for number in signals}
    outer = os.environ.get(TRAINING)
    os.environ[TRAINING] = str(process_file)  # the kernel inherits it
    try:
        yield
    finally:
        os.environ.pop(TRAINING) if outer is None else os.environ.update({TRAINING: outer})
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", str(text)).strip()


def _value(text):
    if not isinstance(text, str):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False, "null": None, "none": None}.get(text.lower(), text)


def _page(notebook):
    """The executed notebook without what differs from run to run: the error stream, and papermill's times and paths."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    return notebook
