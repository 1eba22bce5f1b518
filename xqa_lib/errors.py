"""The error for bad input: data, parameters or files that a user can put right."""

import re
import reprlib
from typing import get_args


class DataError(ValueError):
    """Bad input. The message is one line: where, what was expected, what was found, the likely fix.

    The command line prints it without a traceback and exits with status 1.
    """


KEYS = {"missing": "no", "extra_forbidden": "also", "unexpected_keyword_argument": "also"}


def problems_of(error, kind):
    """The problems of a `pydantic.ValidationError` as lines "place: expected ..., found ...".

    Missing keys of one place share a line, and so do unknown ones. What a validator of ours raises stands as it is.

    Args:
        kind: the pydantic model or dataclass that was validated.
    """
    lines, keys = {}, {}
    for problem in error.errors(include_url=False):
        loc, how = problem["loc"], KEYS.get(problem["type"])
        if how is None:
            lines[loc, len(lines)] = f"{_place(loc)}: {_message(problem)}"
            continue
        found = keys.setdefault((loc[:-1], how), [])
        found.append(str(loc[-1]))
        expected = f"the keys {_some(_known(kind, loc[:-1]))}"
        lines[loc[:-1], how] = (
            f"{_place(loc[:-1])}: expected {'only ' if how == 'also' else ''}{expected}, found {how} {_some(found)}"
        )
    return list(lines.values())


def _place(loc):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc).lstrip(".") or "top level"


def _known(kind, loc):
    """The keys of the model that stands at a place inside another."""
    for key in loc:
        fields = getattr(kind, "__pydantic_fields__", None)
        kind = fields[key].annotation if fields else get_args(kind)[-1]  # of a list, or the values of a mapping
    return list(kind.__pydantic_fields__)


def _some(keys, most=25):
    return ", ".join(keys[:most]) + (f", ... ({len(keys)} in all)" if len(keys) > most else "")


def _message(problem):
    facts = problem.get("ctx", {})
    if problem["type"] == "value_error":
        return str(facts["error"])
    if "actual_length" in facts:
        bound = f"at least {facts['min_length']}" if "min_length" in facts else f"at most {facts['max_length']}"
        return f"expected {bound} entries, found {facts['actual_length']}"
    expected = problem["msg"].removeprefix("Input should be ")
    expected = re.sub(r"a (valid )?dictionary or (an )?instance of \w+", "a mapping", expected)
    return f"expected {expected}, found {reprlib.repr(problem['input'])}"
