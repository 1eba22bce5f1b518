"""Write the licences of the locked packages as Markdown: python .ci/licences.py requirements.lock docs/licences.md

Read from the metadata of the installed packages: the SPDX expression where there is one, else the classifiers, else the
first line of the free text. Exit status: 1 if a package is not installed, or installed in another version.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

HEAD = """# Licences of the dependencies

Made by `make licences` from `requirements.lock` and the metadata of the installed packages; do not edit. They are
installed from their own sources; none is part of this repository.

| package | version | licence |
|---|---|---|
"""


def locked(text):
    """[(name, version)] of the lines NAME==VERSION of a lock file."""
    return re.findall(r"^([\w.\-]+)==(\S+)", text, flags=re.M)


def licence_of(package):
    """A package's licence as its metadata tell it, or "not stated"."""
    expression = package.get("License-Expression")
    classifiers = [c.split(" :: ")[-1] for c in package.get_all("Classifier") or [] if c.startswith("License :: ")]
    text = (package.get("License") or "").strip().split("\n")[0]
    # some put the whole licence's text there
    free = text if len(text) <= 60 else ""
    named = [name for name in classifiers if name != "OSI Approved"]
    return expression or "; ".join(named) or free or "not stated"


def table(lock):
    """(Markdown, problems) of the text of a lock file."""
    rows, problems = [], []
    for name, version in locked(lock):
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            problems.append(f"{name}: locked at {version}, but not installed; run make test first")
            continue
        # a suffix such as +cpu names the build, not the version
        if found.version.split("+")[0] != version:
            problems.append(f"{name}: locked at {version}, but {found.version} is installed")
        rows.append(f"| {name} | {version} | {licence_of(found.metadata).replace('|', '/')} |")
    return HEAD + "\n".join(rows) + "\n", problems


def main(arguments):
    lock, output = map(Path, arguments)
    text, problems = table(lock.read_text(encoding="utf-8"))
    if problems:
        print("\n".join(f"error: {problem}" for problem in problems), file=sys.stderr)
        return 1
    output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
