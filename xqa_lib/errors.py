"""The error for bad input: data, parameters or files that a user can put right."""

import re
import reprlib
from difflib import get_close_matches
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
            lines[loc, len(lines)] = f"{_place(loc)}: {_message(problem)}" if loc else _message(problem)
            continue
        found = keys.setdefault((loc[:-1], how), [])
        found.append(str(loc[-1]))
        known = _known(kind, loc[:-1])
        expected = f"the keys {_some(known)}"
        near = get_close_matches(found[0], known, 1) if how == "also" else []
        meant = f" (meant {near[0]}?)" if near else ""
        only = "only " if how == "also" else ""
        lines[loc[:-1], how] = f"{_place(loc[:-1])}: expected {only}{expected}, found {how} {_some(found)}{meant}"
    return list(lines.values())


def _place(loc):
    names = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc if key != "[key]"]  # a mapping's key
    return "".join(names).lstrip(".") or "top level"


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
    for name, bound in (("min_length", "at least"), ("max_length", "at most")):
        if name in facts and "actual_length" in facts:
            return f"expected {bound} {facts[name]}, found {facts['actual_length']} entries"
    expected = re.sub(r"^\w+ should (be|have) ", "", problem["msg"])
    for words, sign in (("greater than", ">"), ("less than", "<"), ("> or equal to", ">="), ("< or equal to", "<=")):
        expected = expected.replace(words, sign)
    expected = re.sub(r"a (valid )?dictionary( or (an )?instance of \w+)?", "a mapping", expected)
    return f"expected {expected}, found {reprlib.repr(problem['input'])}"
