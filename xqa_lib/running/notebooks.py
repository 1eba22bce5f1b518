"""Run a notebook with papermill, strictly: undeclared parameters are errors, the page appears whole or not at all."""

import ast
import contextlib
import json
import math
import os
import re
import signal
import sys
import tempfile
import threading
from pathlib import Path

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import DeadKernelError

from ..errors import DataError
from . import TRAINING
from .files import ROOT, write_text

FOLDER = ROOT / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


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
        parameters: name -> value; a string is read as the type of the default that the notebook declares.

    Raises:
        DataError: no such notebook or none that can be read, a parameter that it does not declare or of another type,
            no kernel, an error in a cell, or the death of the kernel. The page so far is left beside `output` with the
            ending `.failed.ipynb` where a cell has run.
    """
    source = Path(name) if str(name).endswith(".ipynb") else FOLDER / f"{name}.ipynb"
    if not source.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.ipynb")))
        raise DataError(f"{name}: no such notebook; expected a path or one of {known}")
    try:
        nbformat.validate(nbformat.read(source, as_version=4))
    except Exception as error:  # nbformat raises a dozen kinds for what is no notebook
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise DataError(
            f"{source}: expected a notebook, found a file that is none ({reason}); fetch it again"
        ) from None
    declared = declared_parameters(source)
    unknown = [key for key in parameters if key not in declared]
    if unknown:
        raise DataError(
            f"{source.name} does not declare the parameter {', '.join(unknown)}; it declares "
            f"{', '.join(declared) or 'none'}"
        )
    parameters = {name: _value(source.name, name, value, declared[name]) for name, value in parameters.items()}
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
        except NoSuchKernel as error:
            raise DataError(
                f"{source.name}: no Jupyter kernel {error.name} is installed; run make, or pip install ipykernel"
            ) from None
        write_text(output, nbformat.writes(_page(nbformat.read(page, as_version=4))) + "\n")
    failed.unlink(missing_ok=True)


def _run(source, page, parameters):
    # `training.models` itself looks for weights that are missing, and refuses what transformers would warn of
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    papermill.execute_notebook(
        str(source),
        str(page),
        parameters=parameters,
        kernel_name="python3",
        progress_bar=False,
        stderr_file=sys.stderr,
        cwd=str(FOLDER.parent),
        iopub_timeout=60,  # seconds for the last output of a cell; the default, 4, is too few on a busy machine
        extra_arguments=["--log-level=CRITICAL"],  # of the kernel, which else warns of its own connection each time
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


_WORDS = {"true": True, "false": False, "null": None, "none": None}


def _value(notebook, name, text, default):
    """A parameter as the type of its default: Python source, such as '"ce"', '1' or 'None'.

    Raises:
        DataError: a text that is not of this type.
    """
    if not isinstance(text, str):
        return text
    try:
        default = ast.literal_eval(default)
    except (ValueError, SyntaxError):
        default = None  # no literal: as with None, the text alone tells
    readers = {str: str, bool: _boolean, int: _whole, float: _number, list: _list}
    try:
        return readers.get(type(default), _guess)(text)
    except ValueError:
        expected = {bool: "true or false", int: "a whole number", float: "a number", list: "a list"}[type(default)]
        raise DataError(
            f"{notebook}: parameter {name}: expected {expected} like its default {default!r}, found {text!r}"
        ) from None


def _boolean(text):
    if not isinstance(_WORDS.get(text.lower()), bool):
        raise ValueError
    return _WORDS[text.lower()]


def _whole(text):
    if not re.fullmatch("[+-]?[0-9]+", text):  # int() takes 2024_01 for a number
        raise ValueError
    return int(text)


def _number(text):
    number = float(text)
    if not re.fullmatch("[-+.0-9eE]+", text) or not math.isfinite(number):
        raise ValueError
    return number


def _list(text):
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = read(text)
            if isinstance(value, list):
                return value
    raise ValueError


def _guess(text):
    """A number, true, false, null, None or a list where the text is one as JSON writes it; else the text."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    with contextlib.suppress(ValueError):
        return _list(text)
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(text)
        if isinstance(value, int | float) and math.isfinite(value):
            return value
    return text


def _page(notebook):
    """The executed notebook without what differs from run to run: error stream, papermill's times, paths and ids.

    Without addresses in memory, too, and without widgets, bars and controls: a page has no kernel behind them.
    """
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        if cell.cell_type == "code":
            kept = [out for out in cell.outputs if out.get("name") != "stderr"]
            cell.outputs = [out for out in kept if WIDGET not in out.get("data", {})]
            for out in cell.outputs:
                if "text/plain" in out.get("data", {}):  # <... object at 0x7f...>
                    out.data["text/plain"] = re.sub(r" at 0x[0-9a-f]+>", ">", out.data["text/plain"])
    return notebook
