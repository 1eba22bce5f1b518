"""Compare regenerated metrics with the committed ones: python .ci/compare_metrics.py COMMITTED REGENERATED

Both files are JSON trees. Numbers with a decimal point are scores in points, from -100 to 100 (differences of scores
may be negative): they may differ by TOLERANCE, because training on other processors and library builds rounds
differently, and small models turn that into points. Whole numbers are counts: they must be equal, and so must texts.
A key that only one file has is an error.

Prints the largest differences. Exit status: 0 the same within the tolerance, 1 not, 2 a file cannot be read.
"""

import argparse
import json
import sys

TOLERANCE = 3.0  # points
ROWS = 15


def leaves(tree, place=""):
    """Yield (place, value) of every leaf of a JSON tree; a place is like `students.ce.f1` or `seeds[0]`."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{place}.{key}" if place else key)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{place}[{index}]")
    else:
        yield place, tree


def compare(committed, regenerated, *, tolerance=TOLERANCE):
    """Compare two JSON trees.

    Returns:
        (differences, problems): rows (|difference|, place, committed, regenerated) of all scores, largest first; lines
        that say what is wrong, empty if nothing is.
    """
    old, new = dict(leaves(committed)), dict(leaves(regenerated))
    problems = [f"{place}: committed, but not regenerated" for place in old if place not in new]
    problems += [f"{place}: regenerated, but not committed" for place in new if place not in old]
    if not old:
        problems.append("the committed file holds no number")
    differences = []
    for place in (place for place in old if place in new):
        before, after = old[place], new[place]
        if type(before) is not type(after):
            problems.append(f"{place}: expected {_kind(before)} as committed ({before!r}), found {after!r}")
        elif not isinstance(before, float):
            if before != after:
                problems.append(f"{place}: expected exactly {before!r}, found {after!r}")
        elif not (abs(before) <= 100 and abs(after) <= 100):  # also true of NaN
            problems.append(f"{place}: expected points from -100 to 100, found {before!r} and {after!r}")
        else:
            difference = abs(after - before)
            differences.append((difference, place, before, after))
            if difference > tolerance + 1e-9:  # 53.1 - 50.1 is a little more than 3
                problems.append(
                    f"{place}: expected {before:.2f} within {tolerance:g} points, found {after:.2f} "
                    f"({after - before:+.2f})"
                )
    differences.sort(key=lambda row: (-row[0], row[1]))
    return differences, problems


def _kind(value):
    names = {float: "a score", int: "a count", str: "a text", bool: "true or false"}
    return names.get(type(value), "null")


def table(differences, rows=ROWS):
    """The largest differences as aligned lines."""
    shown = differences[:rows]
    width = max([len("score"), *(len(place) for _, place, _, _ in shown)])
    lines = [f"{'score':<{width}}  committed  regenerated  difference"]
    lines += [
        f"{place:<{width}}  {before:9.2f}  {after:11.2f}  {after - before:+10.2f}" for _, place, before, after in shown
    ]
    if len(differences) > rows:
        lines.append(f"... and {len(differences) - rows} scores that differ no more than these")
    return "\n".join(lines)


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        sys.exit(_unreadable(path, error.strerror))
    except ValueError as error:
        sys.exit(_unreadable(path, f"not JSON in UTF-8: {error}"))


def _unreadable(path, reason):
    print(f"error: {path}: {reason}", file=sys.stderr)
    return 2


def main(arguments=None):
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("committed", metavar="COMMITTED")
    parser.add_argument("regenerated", metavar="REGENERATED")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="points (default: %(default)s)")
    options = parser.parse_args(arguments)
    committed, regenerated = _read(options.committed), _read(options.regenerated)
    differences, problems = compare(committed, regenerated, tolerance=options.tolerance)
    print(table(differences))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(
        f"{len(list(leaves(committed)))} values, {len(differences)} of them scores with a tolerance of "
        f"{options.tolerance:g} points: {len(problems)} problems"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
