"""A user's own parallel questions: a folder that is checked whole, and split by passage.

    FOLDER/parallel/<code>.json   a file for each language, English among them, with the same ids in all of them: any
                                  form that `squad_format` reads; codes as in BCP 47 (ro, pt-BR, sr-Cyrl, x-mine)
    FOLDER/reader/*.json          may be left out: English questions that teach the reader, in place of SQuAD's

Nothing is left out in silence: whatever is wrong is listed, and then nothing is made.
"""

import hashlib
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ..errors import DataError
from ..languages import CODE, in_order
from ..sampling import pseudo_random_key
from . import leakage, squad_format

PARTS = ("train", "dev", "test")
HELD_OUT = 0.2  # share of the ids in each of dev and test
LEAST_IDS, LEAST_PASSAGES = 20, 5  # of fewer, a fifth is less than four questions, or than a passage
READER_QUESTIONS = 10_000
FORMS = (".json", ".jsonl", ".csv")
# standard deviation, in points, of the change of one question's F1 in one language pair by training: 32 and 34 for the
# two methods of the real-data study (results/xquad), so that n questions tell it to 1.96 * 33 / sqrt(n)
CHANGE_DEVIATION = 33.0


def half_width(questions):
    """Half of the 95% interval to expect, in points of F1, of a language pair's change over so many questions."""
    return 1.96 * CHANGE_DEVIATION / questions**0.5


def examine(folder):
    """(parallel, problems, notes) of a folder.

    Returns:
        parallel: language -> list of `squad_format.Example`, English first; what could be read.
        problems: lines of text, expected, found and likely fix; the data can be used if there are none.
        notes: lines of text about choices that were made, such as of an answer that occurs twice.
    """
    place = Path(folder) / "parallel"
    if not place.is_dir():
        return {}, [f"{place}: expected this folder with a file for each language, found none; check the path"], []
    problems, notes, paths = [], [], {}
    for path in _files(place, problems):
        paths.setdefault(usual_spelling(_code(path)), []).append((_code(path), path))
    for code, found in paths.items():
        names = ", ".join(path.name for _, path in found)
        if len(found) > 1:
            problems.append(f"{place}: expected one file for {code}, found {names}: keep one of them, named {code}")
        elif found[0][0] != code or not re.fullmatch(CODE, code):
            known = re.fullmatch(CODE, code)
            fix = f"rename it to {code}" if known else "rename it to the language's code, or to one such as x-mine"
            problems.append(f"{place}: expected a code such as ro, pt-BR or x-mine (BCP 47), found {names}: {fix}")
    codes = in_order(code for code in paths if re.fullmatch(CODE, code))
    if "en" not in codes:
        fix = "add en.json with the English versions of the same questions: the reader learns to read in English"
        problems.append(f"{place}: expected English among the languages, found {', '.join(codes) or 'none'}; {fix}")
    if len(codes) < 2:
        problems.append(f"{place}: expected English and a language of yours, found {len(codes)} language(s)")
    parallel = {}
    for code in codes:
        path = paths[code][0][1]
        if (examples := _examples(path, problems, notes)) is not None:
            parallel[code] = [replace(example, question_lang=code, context_lang=code) for example in examples]
    problems += [] if problems else _misfits(parallel, place)
    return parallel, [*problems, *_reader_problems(folder, notes)], notes


def _files(place, problems):
    """The paths in a folder that can be data, in the order of their names; others are problems."""
    found = []
    for path in sorted(path for path in place.iterdir() if not path.name.startswith(".")):
        if path.is_dir() or path.suffix.lower() in FORMS:
            found.append(path)
            continue
        forms = f"{', '.join(FORMS)} or a saved dataset"
        problems.append(f"{place}: expected {forms}, found {path.name}: save it as one of these, or take it away")
    return found


def _code(path):
    return path.name if path.is_dir() else path.stem


def _examples(path, problems, notes):
    """The good examples of a file; None of one that cannot be read. What is wrong or chosen is added to the lists."""
    try:
        examples, wrong = squad_format.examine(path)
        notes += squad_format.repeated_answers(path)
    except DataError as error:
        problems.append(str(error))
        return None
    problems += [f"{path}: {problem}" for problem in wrong]
    return examples


def _reader_problems(folder, notes):
    """What is wrong with FOLDER/reader, where there is one."""
    place = Path(folder) / "reader"
    problems, seen = [], {}  # id -> the file that has it
    for path in _files(place, problems) if place.is_dir() else ():
        for example in _examples(path, problems, notes) or ():
            if example.id in seen:
                problems.append(
                    f"{place}: expected each id once, found {squad_format.quote(example.id)} in {seen[example.id]} and "
                    f"{path.name}: rename one of them"
                )
                break
            seen[example.id] = path.name
    return problems


def _misfits(parallel, place):
    """What is wrong between the languages, or with their size."""
    ids = {language: {example.id for example in examples} for language, examples in parallel.items()}
    every = set().union(*ids.values())
    problems = []
    for language, found in ids.items():
        if missing := sorted(every - found):
            named = ", ".join(map(squad_format.quote, missing[:5])) + (", ..." if len(missing) > 5 else "")
            problems.append(
                f"{place}: expected the same {len(every)} ids in every language, found {len(found)} in {language}, "
                f"without {named}: add these questions to {language}, or take them out of the other files"
            )
    passages = len(set(passages_of(parallel).values()))
    if not problems and (len(every) < LEAST_IDS or passages < LEAST_PASSAGES):
        problems.append(
            f"{place}: expected at least {LEAST_IDS} questions about {LEAST_PASSAGES} passages, found {len(every)} "
            f"about {passages}: a fifth of them tests, and could show nothing; translate more, 100 are a good start"
        )
    return problems


def usual_spelling(code):
    """A language code as BCP 47 recommends to write it: "pt-BR" of "PT_br"; other texts stay odd."""
    first, *others = re.split("[-_]", code)
    spelling = {} if first.lower() == "x" else {2: str.upper, 4: str.title}
    return "-".join([first.lower(), *(spelling.get(len(other), str.lower)(other) for other in others)])


def passages_of(parallel):
    """id -> the first id, by its text, of its passage: equal for ids that any language has in one passage.

    Copies are one passage, also where white space differs or a word was edited (`leakage.near_duplicates`).
    """
    parent = {}

    def root(example_id):
        while parent.setdefault(example_id, example_id) != example_id:
            example_id = parent[example_id]
        return example_id

    def join(one, other):
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    for examples in parallel.values():
        first = {}
        for example in examples:
            join(example.id, first.setdefault(leakage.normalised_context(example.context), example.id))
        for one, other in leakage.near_duplicates(first, first):
            join(first[one], first[other])
    return {example_id: root(example_id) for example_id in list(parent)}


def split(parallel, seed):
    """id -> one of `PARTS`: whole passages, drawn by the seed, until test and dev have about `HELD_OUT` of the ids.

    Raises:
        DataError: passages so large that less than a third of the ids would be left to train on.
    """
    passage = passages_of(parallel)
    sizes = Counter(passage.values())
    part_of, held, parts = {}, 0, ["test", "dev", "train"]
    enough = HELD_OUT * len(passage) - len(passage) / len(sizes) / 2  # to within half a passage
    for name in sorted(sizes, key=lambda name: pseudo_random_key(seed, "part", name)):
        part_of[name] = parts[0]
        held += sizes[name]
        if parts[0] != "train" and held >= enough:
            parts.pop(0)
            held = 0
    if parts != ["train"] or held < len(passage) / 3:
        raise DataError(
            f"expected passages small enough to be shared out among training, development and test, found one with "
            f"{max(sizes.values())} of {len(passage)} questions; split it, or add questions about others "
            "(texts that are nearly the same count as one passage)"
        )
    return {example_id: part_of[name] for example_id, name in passage.items()}


def reader_questions(folder):
    """The English examples of FOLDER/reader in the order of the files' names; [] where there are none.

    Raises:
        DataError: a file that cannot be read.
    """
    place = Path(folder) / "reader"
    paths = _files(place, []) if place.is_dir() else []
    return [e for path in paths for e in squad_format.read_squad(path, question_lang="en", context_lang="en")]


def fingerprint(folder):
    """SHA-256 of all that a study reads of a folder, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in ("parallel", "reader"):
        for path in sorted(p for p in (Path(folder) / part).rglob("*") if p.is_file() and not p.name.startswith(".")):
            digest.update(f"{path.relative_to(folder).as_posix()}\x1f{path.stat().st_size}\x1f".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read(folder, sha256):
    """language -> examples of a folder that was checked when the parameters were composed.

    Args:
        folder: as `data.folder`; None of a profile that was composed without one.
        sha256: its fingerprint at that time.

    Raises:
        DataError: no folder, another content than that time's, or a problem (`examine`).
    """
    again = f"compose the parameters again: make reproduce PROFILE=own DATA={folder or 'FOLDER'}"
    if folder is None:
        raise DataError(f"the profile own has no data: {again}")
    parallel, problems, _ = examine(folder)
    if problems:
        raise DataError(f"{problems[0]}{f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''}")
    if fingerprint(folder) != sha256:
        raise DataError(f"{folder}: its files are not those that params.yaml was composed for; {again}")
    return parallel
