"""The public data sets of the study: what each is for, where it is found, and how its questions are loaded.

A file is looked for under its official name in the folder `data_dir`, by default the one that the environment variable
XQA_DATA_DIR names: in the folder itself and in the usual sub-folders (xquad/, mlqa/dev/, MLQA_V1/dev/, squad/,
tydiqa-goldp/train/ ...; the archives MLQA_V1.zip and mlqa-translate-train.tar.gz are read in place). Otherwise it is
downloaded once into the user's cache folder and checked against the SHA-256 of the official file. Nothing is unpacked.

Files of other languages under names of the same form (xquad.sw.json, dev-context-pt-BR-question-en.json) are read, too:
their codes are those in their names.
"""

import functools
import os
import re
import sys
import tarfile
import warnings
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..languages import CODE, LANGUAGES, PARALLEL, ZERO_SHOT_XQUAD, in_order, language_of
from ..running import files
from . import squad_format


@dataclass(frozen=True, slots=True)
class Corpus:
    """One split of a data set.

    `metric` ("squad" or "mlqa") is the one its authors score it with. `cross_lingual`: question and context may be in
    different languages.
    """

    name: str
    role: str
    languages: tuple[str, ...]
    metric: str
    cross_lingual: bool


@dataclass(frozen=True, slots=True)
class Download:
    """An official file: its address and the SHA-256 of its bytes."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the files of a corpus are. {question}, {context} and {language} (its English name) are filled in."""

    files: tuple[str, ...]  # names to look for, the preferred one first
    folders: tuple[str, ...]  # below the data folder
    download: str  # what to download: the first of `files`, or an archive that holds it


# Romanian came to XQuAD later; the study does not use it.
_XQUAD_LANGUAGES = (*PARALLEL, *ZERO_SHOT_XQUAD, "ro")
_TYDIQA_LANGUAGES = ("en", "ar", "bn", "fi", "id", "ko", "ru", "sw", "te")

CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus("squad-train", "trains the English base model (SQuAD v1.1)", ("en",), "squad", False),
        Corpus(
            "squad-dev",
            "checks the English base model; XQuAD is taken from it, so leave out those paragraphs when both are used",
            ("en",),
            "squad",
            False,
        ),
        Corpus(
            "xquad",
            "1,190 parallel questions: few-shot training in en es de ar hi vi zh; zero-shot test in el ru tr th "
            "(unseen languages, but the content of the training data)",
            _XQUAD_LANGUAGES,
            "squad",
            True,
        ),
        Corpus("mlqa-dev", "chooses hyper-parameters; 49 language pairs", PARALLEL, "mlqa", True),
        Corpus("mlqa-test", "final test; 49 language pairs", PARALLEL, "mlqa", True),
        Corpus("tydiqa-goldp-train", "further natural questions in 9 languages", _TYDIQA_LANGUAGES, "squad", False),
        Corpus("tydiqa-goldp-dev", "final test, partly in unseen languages", _TYDIQA_LANGUAGES, "squad", False),
        Corpus(
            "mlqa-translate-train",
            "SQuAD v1.1 train by machine translation: the baseline that translates instead of distilling",
            tuple(code for code in PARALLEL if code != "en"),
            "squad",
            False,
        ),
    )
}

_MLQA_FOLDERS = ("", "{split}", "mlqa", "mlqa/{split}", "MLQA_V1", "MLQA_V1/{split}", "mlqa/MLQA_V1/{split}")
_TYDIQA_FOLDERS = ("", "tydiqa-goldp", "tydiqa-goldp/{split}", "tydiqa", "tydiqa/{split}")


def _mlqa(split):
    folders = tuple(folder.format(split=split) for folder in _MLQA_FOLDERS)
    return _Layout((f"{split}-context-{{context}}-question-{{question}}.json",), folders, "MLQA_V1.zip")


def _tydiqa(split):
    folders = tuple(folder.format(split=split) for folder in _TYDIQA_FOLDERS)
    combined = f"tydiqa-goldp-v1.1-{split}.json"
    # The other two: as in the XTREME preparation, and as in the official archive of single languages.
    names = (combined, f"tydiqa.goldp.{{context}}.{split}.json", f"tydiqa-goldp-{split}-{{language}}.json")
    return _Layout(names, folders, combined)


_LAYOUTS = {
    "squad-train": _Layout(("train-v1.1.json",), ("", "squad"), "train-v1.1.json"),
    "squad-dev": _Layout(("dev-v1.1.json",), ("", "squad"), "dev-v1.1.json"),
    "xquad": _Layout(("xquad.{context}.json",), ("", "xquad"), "xquad.{context}.json"),
    "mlqa-dev": _mlqa("dev"),
    "mlqa-test": _mlqa("test"),
    "tydiqa-goldp-train": _tydiqa("train"),
    "tydiqa-goldp-dev": _tydiqa("dev"),
    "mlqa-translate-train": _Layout(
        ("{context}_squad-translate-train-train-v1.1.json",),
        ("", "mlqa-translate-train", "mlqa", "mlqa/mlqa-translate-train"),
        "mlqa-translate-train.tar.gz",
    ),
}

_SQUAD_SITE = "https://rajpurkar.github.io/SQuAD-explorer/dataset/"
_MLQA_SITE = "https://dl.fbaipublicfiles.com/MLQA/"
_TYDIQA_SITE = "https://storage.googleapis.com/tydiqa/v1.1/"
_XQUAD_SITE = "https://raw.githubusercontent.com/google-deepmind/xquad/master/"

# Official file name -> where it is and what it must be.
DOWNLOADS = {
    name: Download(site + name, sha256)
    for site, name, sha256 in (
        (_SQUAD_SITE, "train-v1.1.json", "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
        (_SQUAD_SITE, "dev-v1.1.json", "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"),
        (_MLQA_SITE, "MLQA_V1.zip", "246e8089933d13007fe80684d5c5c0713d6834cf8b3b4a0ec7c66f0a0d2baac8"),
        (
            _MLQA_SITE,
            "mlqa-translate-train.tar.gz",
            "e510277b0bc3c0639f53839aba8591aebfe803b8b84c5c2ef0513768b86b7cf9",
        ),
        (
            _TYDIQA_SITE,
            "tydiqa-goldp-v1.1-train.json",
            "cefc8e09ff2548d9b10a678d3a6bbbe5bc036be543f92418819ea676c97be23b",
        ),
        (
            _TYDIQA_SITE,
            "tydiqa-goldp-v1.1-dev.json",
            "b286e0f34bc7f52259359989716f369b160565bd12ad8f3a3e311f9b0dbad1c0",
        ),
        (_XQUAD_SITE, "xquad.ar.json", "abdabd7afed5c635d99cca0f3f0d0c9d9ed0bc77451e963c2e4e0638c29e486d"),
        (_XQUAD_SITE, "xquad.de.json", "990b5d746746ed65ed4702ea5f35f99ffa4e2f1c390c07d003642acd937916f9"),
        (_XQUAD_SITE, "xquad.el.json", "821cf0f88e73fa258fd2f548b19b6ec39f7025059e16f6f9fc8cd797c9c3663e"),
        (_XQUAD_SITE, "xquad.en.json", "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29"),
        (_XQUAD_SITE, "xquad.es.json", "dcbae93ec3a9f4b9e78fd834a171d6f96c1a875e10e15b7530b7e4ef4971e37e"),
        (_XQUAD_SITE, "xquad.hi.json", "df2cce3532b37e9beb8979704b5c9a4bf874358f105395a298b89427b43b9d24"),
        (_XQUAD_SITE, "xquad.ro.json", "94f8d54e93ad2b7dd2e76dd921a666b5b8eff2d4379df9f179c42b445f09643f"),
        (_XQUAD_SITE, "xquad.ru.json", "208d5b1aa154c52b1b5c5eda16281e455e8fd198cdb9af3f469f0d6037d973bf"),
        (_XQUAD_SITE, "xquad.th.json", "5cdda11d0e1e075f7872abf4e6ae830388ce7f617964d542308e9ae4257e0f43"),
        (_XQUAD_SITE, "xquad.tr.json", "92179a564774b7696100d144c1e10870d0a966b6fccbdd254a65b9d2ab1971cc"),
        (_XQUAD_SITE, "xquad.vi.json", "f619a1eb11fb42d3ab0834259e488a65f585447ef6154437bfb7199d85161a04"),
        (_XQUAD_SITE, "xquad.zh.json", "691d0b3359bc6b8faa8de931dfdfe21d50a65861ae348e32a0d1a0190b0c8835"),
    )
}


def corpus_of(name):
    """The `Corpus` of this name; raises DataError naming the known ones."""
    if name not in CORPORA:
        raise DataError(f"unknown data set {name!r}: expected one of {', '.join(CORPORA)}")
    return CORPORA[name]


def languages_of(name):
    """Codes of the languages a data set officially has, as a tuple; raises DataError for an unknown name."""
    return corpus_of(name).languages


def load(name, *, question_lang=None, context_lang=None, data_dir=None, require_answers=True):
    """The questions of one data set in one pair of languages.

    - XQuAD has one file for each language; for two languages the questions of the one are joined by id to the
      contexts and answers of the other, in the order of the context file.
    - TyDiQA-GoldP comes as one official file (languages are told by the ids' prefix) or as a file for each language.
      The copy prepared for XTREME cut the ids of its training files to a number that repeats. Where ids of a language
      repeat, every id becomes "<language>-<position from 0, 6 digits>-<id>", for instance "ko-000012-0": unique, and
      the same on every machine.
    - mlqa-translate-train was made by machine: questions whose answer is missing or is not at its offset are left out,
      and a warning says how many.

    Args:
        name: a key of `CORPORA`.
        question_lang, context_lang: language codes, those of the data set or of a file of the user's own in the data
            folder. If one is None it is the same as the other; both may be None only for a data set in one language.
        data_dir: folder to look in; default: $XQA_DATA_DIR. What is not there is downloaded.
        require_answers: refuse files without gold answers.
    Raises:
        DataError: unknown data set, a language or pair that it lacks, a data folder that does not exist, a failed
            download, an unexpected checksum of a download, or a file that `read_squad` refuses.
    """
    corpus = corpus_of(name)
    folder = _data_folder(data_dir)
    question_lang, context_lang = _pair(corpus, question_lang, context_lang, folder)
    if name == "xquad" and question_lang != context_lang:
        questions = load(name, context_lang=question_lang, data_dir=data_dir, require_answers=False)
        contexts = load(name, context_lang=context_lang, data_dir=data_dir, require_answers=require_answers)
        return _joined(questions, contexts)
    layout = _LAYOUTS[name]
    fill = _filler(question_lang, context_lang)
    official = {question_lang, context_lang} <= set(corpus.languages)
    names = (*layout.files, layout.download) if official else _own_names(corpus)
    path = _find(names, layout.folders, fill, folder) or _download(fill(layout.download), folder)
    raw, source = _read(path, fill(layout.files[0]))
    is_tydiqa = name.startswith("tydiqa")
    problems = []
    examples = squad_format.parse_squad(
        raw,
        source,
        question_lang=question_lang,
        context_lang=context_lang,
        require_answers=require_answers,
        unique_ids=not is_tydiqa,
        on_problem=problems.append if name == "mlqa-translate-train" else None,
    )
    if problems:
        if not examples:
            raise DataError(problems[0])
        warnings.warn(f"{len(problems)} problems, those questions are left out; first: {problems[0]}", stacklevel=2)
    if is_tydiqa:
        if path.name == layout.download:
            examples = _of_language(examples, context_lang, source)
        examples = _with_unique_ids(examples)
    return examples


def available(name, data_dir=None):
    """The (question_lang, context_lang) pairs of a data set that `load` finds in the data folder, without a download.

    A local archive or combined file counts for all official languages without being opened.

    Returns:
        list in the order of the data set's languages, then those of the user's own files; empty without a data folder.
    Raises:
        DataError: unknown data set, or a data folder that does not exist.
    """
    corpus = corpus_of(name)
    folder = _data_folder(data_dir)
    layout = _LAYOUTS[name]
    names = (*layout.files, layout.download)
    own = _own_pairs(corpus, folder)
    if name == "xquad":
        found = [code for code in corpus.languages if _find(names, layout.folders, _filler(code, code), folder)]
        found += [code for code, _ in own]
        return [(question, context) for question in found for context in found]
    pairs = [
        (question, context)
        for question in corpus.languages
        for context in corpus.languages
        if corpus.cross_lingual or question == context
    ]
    return [pair for pair in pairs if _find(names, layout.folders, _filler(*pair), folder)] + own


def _pair(corpus, question_lang, context_lang, folder):
    known = ", ".join(corpus.languages)
    if question_lang is None and context_lang is None:
        if len(corpus.languages) > 1:
            raise DataError(f"{corpus.name} has several languages: give question_lang or context_lang, one of {known}")
        return corpus.languages * 2
    question_lang, context_lang = question_lang or context_lang, context_lang or question_lang
    for role, code in (("question", question_lang), ("context", context_lang)):
        # XQuAD's files are of one language; any two of them make a pair
        pair = (code, code) if corpus.name == "xquad" else (question_lang, context_lang)
        if code in corpus.languages or pair in _own_pairs(corpus, folder):
            continue
        language_of(code)
        names = [_filler(*pair)(template) for template in _own_names(corpus)]
        where = f", or a file {names[0]} in {folder or 'the folder that XQA_DATA_DIR names'}" if names else ""
        raise DataError(f"{corpus.name} has no {role} language {code!r}: expected one of {known}{where}")
    if question_lang != context_lang and not corpus.cross_lingual:
        raise DataError(
            f"{corpus.name} has question and context in the same language only, found question_lang {question_lang!r} "
            f"and context_lang {context_lang!r}; use the same for both"
        )
    return question_lang, context_lang


def _filler(question_lang, context_lang):
    language = LANGUAGES[context_lang].name.lower() if context_lang in LANGUAGES else ""
    return lambda template: template.format(question=question_lang, context=context_lang, language=language)


def _own_names(corpus):
    """Those of the corpus' file names that tell their languages by code, as templates."""
    return [template for template in _LAYOUTS[corpus.name].files if "{context}" in template]


def _own_pairs(corpus, folder):
    """The (question, context) codes in such names of files in the data folder that are not both official ones."""
    pairs = set()
    for template in _own_names(corpus):
        pattern = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
        pattern = pattern.format(context=f"(?P<context>{CODE})", question=f"(?P<question>{CODE})")
        for below in _LAYOUTS[corpus.name].folders if folder else ():
            for path in (folder / below).glob(template.format(context="*", question="*")):
                if named := re.fullmatch(pattern, path.name):
                    codes = named.groupdict()
                    pairs.add((codes.get("question", codes["context"]), codes["context"]))
    order = in_order(code for pair in pairs for code in pair)
    own = [pair for pair in pairs if not set(pair) <= set(corpus.languages)]
    return sorted(own, key=lambda pair: (order.index(pair[0]), order.index(pair[1])))


def _data_folder(data_dir):
    """The folder to look in, or None. One that was named but does not exist is an error, not a reason to download."""
    source = "data_dir"
    if data_dir is None:
        data_dir, source = os.environ.get("XQA_DATA_DIR") or None, "XQA_DATA_DIR"
    if data_dir is None:
        return None
    if not Path(data_dir).is_dir():
        raise DataError(f"{source} names {data_dir}, expected a folder with the data sets; correct or unset it")
    return Path(data_dir)


def _find(templates, folders, fill, folder):
    """Path of the first local file (or archive) of these names in these folders below the data folder, or None."""
    if folder is None:
        return None
    for template in templates:
        for below in folders:
            path = folder / below / fill(template)
            if path.is_file():
                return path
    return None


def _download(name, folder):
    """Path of an official file in the user's cache, downloaded if need be and always checked."""
    import pooch  # only here: most runs find their data locally

    try:
        return Path(_fetch(name, DOWNLOADS[name], str(pooch.os_cache("xqa_lib"))))
    except DataError:
        raise
    except (OSError, ValueError) as error:  # the errors of requests are OSErrors
        where = f"not found in {folder}" if folder else "XQA_DATA_DIR is not set"
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{name}: {where}, and it could not be downloaded from {DOWNLOADS[name].url} ({reason}); put the file into "
            "the folder that XQA_DATA_DIR names, or try again with a network connection"
        ) from None


@functools.cache  # checks the sum of a large archive once per process, not once per language pair
def _fetch(name, download, cache):
    import pooch

    transfer = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16)

    def checked_transfer(url, output_file, pooch_or_none):
        """Compare the sum here, so that the message can give it together with the fix."""
        transfer(url, output_file, pooch_or_none)
        found = files.sha256_of(output_file)
        if found != download.sha256:
            raise DataError(
                f"{name}: the download from {url} has SHA-256 {found}, expected {download.sha256}; it was not kept: "
                "try again (was it cut off or a login page?), or fetch the official file by hand into the folder that "
                "XQA_DATA_DIR names"
            )

    return pooch.retrieve(
        download.url, known_hash=f"sha256:{download.sha256}", fname=name, path=cache, downloader=checked_transfer
    )


def _read(path, member):
    """(bytes, name for messages) of a file, or of an archive's member of that name; nothing is unpacked to disk."""
    try:
        if path.suffix == ".zip":
            return _read_zip(path, member), f"{path}/{member}"
        if path.name.endswith(".tar.gz"):
            return _read_tar(path, member), f"{path}/{member}"
        return files.read_whole(path), str(path)
    # RuntimeError: an encrypted member
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise DataError(
            f"{path}: cannot be read ({' '.join(str(error).split())}); if it was cut off, delete it and fetch it again"
        ) from None


def _read_zip(path, member):
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if _is_member(entry.filename, member):
                _refuse_bomb(path, entry.filename, entry.file_size)
                with archive.open(entry) as file:  # never gives more than the size that was declared
                    return file.read()
    raise _no_member(path, member)


def _read_tar(path, member):
    with tarfile.open(path, "r:gz") as archive:
        for entry in archive:
            _refuse_bomb(path, entry.name, entry.size)  # of any member: it is unpacked to find the next one
            if entry.isfile() and _is_member(entry.name, member):
                return archive.extractfile(entry).read()
    raise _no_member(path, member)


def _refuse_bomb(path, name, size):
    if size > files.LARGEST:
        raise DataError(
            f"{path}: its member {squad_format.quote(name)} unpacks to {size:,} bytes, expected at most "
            f"{files.LARGEST:,}; this is not the official archive: fetch it again"
        )


def _is_member(name, member):
    # Archives packed on macOS carry shadow files of the same ending in this folder.
    return PurePosixPath(name).name == member and "__MACOSX" not in name


def _no_member(path, member):
    return DataError(f"{path}: expected the file {member} in this archive, found none; is it the official archive?")


def _joined(questions, contexts):
    """XQuAD in two languages: question texts of the one, the rest of the other, joined by id."""
    texts = {example.id: example for example in questions}
    joined = []
    for example in contexts:
        if example.id not in texts:
            raise DataError(
                f"xquad: the id {example.id!r} is in the {example.context_lang} file but not in the "
                f"{questions[0].question_lang} file, expected parallel files; take both from the same release"
            )
        question = texts[example.id]
        joined.append(replace(example, question=question.question, question_lang=question.question_lang))
    return joined


def _of_language(examples, code, source):
    """Those examples of the combined TyDiQA file whose id starts with the English name of the language."""
    codes = {LANGUAGES[known].name.lower(): known for known in _TYDIQA_LANGUAGES}
    chosen = []
    for example in examples:
        prefix = example.id.partition("-")[0]
        if prefix not in codes:
            raise DataError(
                f"{source}: expected ids such as arabic-2387335860751143628-1, found {squad_format.quote(example.id)}, "
                "which names no language; is this the official combined file?"
            )
        if codes[prefix] == code:
            chosen.append(example)
    if not chosen:
        raise DataError(f"{source}: expected questions in {LANGUAGES[code].name} ({code}), found none")
    return chosen


def _with_unique_ids(examples):
    """The examples as they are, or all with their position in the id if any id repeats (see `load`)."""
    if len({example.id for example in examples}) == len(examples):
        return examples
    return [
        replace(example, id=f"{example.context_lang}-{position:06d}-{example.id}")
        for position, example in enumerate(examples)
    ]
