"""The registry: which files are found where, how languages pair up, downloads and their checks; counts of real data."""

import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile

import pooch
import pytest

from xqa_lib.data import corpora
from xqa_lib.data.squad_format import NO_GOLD_HINT, Example, GoldAnswer
from xqa_lib.errors import DataError
from xqa_lib.languages import PARALLEL
from xqa_lib.running.files import sha256_of


def squad_json(*ids, question="Who?", context="by Ada", answer="Ada", start=3):
    """Bytes of a file with one question per paragraph."""
    answers = [{"text": answer, "answer_start": start}]
    paragraphs = [{"context": context, "qas": [{"id": i, "question": question, "answers": answers}]} for i in ids]
    return json.dumps({"version": "1", "data": [{"title": "T", "paragraphs": paragraphs}]}).encode()


@pytest.fixture
def folder(tmp_path):
    """A function that puts a file below the data folder, which it has as `.path`."""

    def put(name, content):
        path = put.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    put.path = tmp_path / "data"
    put.path.mkdir()
    return put


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Nothing is downloaded unless a test serves it, the cache is empty, and the reader's settings do not matter."""
    monkeypatch.delenv("XQA_DATA_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    for name, download in list(corpora.DOWNLOADS.items()):
        unreachable = corpora.Download(f"http://127.0.0.1:9/{name}", download.sha256)
        monkeypatch.setitem(corpora.DOWNLOADS, name, unreachable)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A function that offers bytes for download under an official name, with their own checksum or another."""
    root = tmp_path / "site"
    root.mkdir()
    requests = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *arguments):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def offer(name, content, sha256=None):
        (root / name).write_bytes(content)
        url = f"http://127.0.0.1:{server.server_port}/{name}"
        download = corpora.Download(url, sha256 or hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(corpora.DOWNLOADS, name, download)
        return url

    offer.requests = requests
    yield offer
    server.shutdown()
    server.server_close()


def refusal(*arguments, **options):
    with pytest.raises(DataError) as caught:
        corpora.load(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_registry():
    assert all(corpus.role and corpus.name == name for name, corpus in corpora.CORPORA.items())
    assert corpora.languages_of("mlqa-dev") == PARALLEL
    assert corpora.languages_of("xquad") == (*PARALLEL, "el", "ru", "tr", "th", "ro")
    assert corpora.languages_of("tydiqa-goldp-dev") == ("en", "ar", "bn", "fi", "id", "ko", "ru", "sw", "te")
    assert corpora.languages_of("mlqa-translate-train") == ("es", "de", "ar", "hi", "vi", "zh")
    metrics = {name: corpus.metric for name, corpus in corpora.CORPORA.items()}
    assert {name for name, metric in metrics.items() if metric == "mlqa"} == {"mlqa-dev", "mlqa-test"}
    assert set(metrics.values()) == {"squad", "mlqa"}


@pytest.mark.parametrize("function", [corpora.load, corpora.available, corpora.languages_of], ids=lambda f: f.__name__)
def test_unknown_data_set(function):
    with pytest.raises(DataError, match=r"^unknown data set 'XQuAD': expected one of squad-train, squad-dev, xquad, "):
        function("XQuAD")


@pytest.mark.parametrize(
    ("name", "languages", "expected"),
    [
        ("mlqa-dev", {"question_lang": "en", "context_lang": "fi"}, "mlqa-dev has no context language 'fi': expected"),
        ("xquad", {"context_lang": "sw"}, "xquad has no question language 'sw': expected one of en, es, de, ar, hi"),
        ("xquad", {"context_lang": "EN"}, "unknown language 'EN': expected a code such as sw, pt-BR or sr-Cyrl (BCP"),
        ("xquad", {"context_lang": "../x"}, "unknown language '../x': expected a code such as sw, pt-BR or sr-Cyrl"),
        ("squad-dev", {"question_lang": "de"}, "squad-dev has no question language 'de': expected one of en"),
        ("mlqa-test", {}, "mlqa-test has several languages: give question_lang or context_lang, one of en, es, de, ar"),
        (
            "tydiqa-goldp-dev",
            {"question_lang": "ko", "context_lang": "en"},
            "tydiqa-goldp-dev has question and context in the same language only, found question_lang 'ko' and ",
        ),
    ],
)
def test_languages_that_a_set_lacks(name, languages, expected):
    assert refusal(name, **languages).startswith(expected)


@pytest.mark.parametrize("below", ["", "squad/"])
def test_one_language_needs_no_language(folder, below):
    folder(f"{below}dev-v1.1.json", squad_json("a"))
    assert corpora.load("squad-dev", data_dir=folder.path) == [
        Example("a", "Who?", "by Ada", (GoldAnswer("Ada", 3),), "T", "en", "en")
    ]


def test_the_argument_goes_before_the_environment_variable(folder, monkeypatch, tmp_path):
    assert corpora.available("squad-dev") == []
    folder("squad/dev-v1.1.json", squad_json("a"))
    monkeypatch.setenv("XQA_DATA_DIR", str(folder.path))
    assert [example.id for example in corpora.load("squad-dev")] == ["a"]
    assert corpora.available("squad-dev") == [("en", "en")]
    monkeypatch.setenv("XQA_DATA_DIR", str(tmp_path / "elsewhere"))
    assert [example.id for example in corpora.load("squad-dev", data_dir=str(folder.path))] == ["a"]


def test_folder_that_does_not_exist(monkeypatch, tmp_path):
    missing = tmp_path / "missing"
    expected = f"names {missing}, expected a folder with the data sets; correct or unset it"
    assert refusal("squad-dev", data_dir=missing) == f"data_dir {expected}"
    monkeypatch.setenv("XQA_DATA_DIR", str(missing))
    assert refusal("squad-dev") == f"XQA_DATA_DIR {expected}"


@pytest.mark.parametrize("below", ["", "mlqa/dev/", "dev/", "MLQA_V1/dev/", "mlqa/MLQA_V1/dev/"])
def test_mlqa_pairs(folder, below):
    folder(f"{below}dev-context-ar-question-de.json", squad_json("x"))
    (example,) = corpora.load("mlqa-dev", question_lang="de", context_lang="ar", data_dir=folder.path)
    assert (example.id, example.question_lang, example.context_lang) == ("x", "de", "ar")
    assert corpora.available("mlqa-dev", folder.path) == [("de", "ar")]
    assert corpora.available("mlqa-test", folder.path) == []


def test_xquad_joins_two_languages_by_id(folder):
    folder("xquad/xquad.de.json", squad_json("a", "b", question="Wer?", context="von Ada", answer="von", start=0))
    folder("xquad/xquad.en.json", squad_json("b", "a"))
    pair = corpora.load("xquad", question_lang="de", context_lang="en", data_dir=folder.path)
    assert pair == [
        Example(i, "Wer?", "by Ada", (GoldAnswer("Ada", 3),), "T", question_lang="de", context_lang="en") for i in "ba"
    ]
    assert corpora.available("xquad", folder.path) == [("en", "en"), ("en", "de"), ("de", "en"), ("de", "de")]


def test_files_of_any_other_language_beside_the_official_ones(folder):
    """Codes are those in the files' names; what is named otherwise is no language."""
    folder("xquad/xquad.en.json", squad_json("a"))
    folder("xquad/xquad.sw.json", squad_json("a", question="Nani?", context="na Ada", answer="Ada"))
    folder("xquad/xquad.sr-Cyrl.json", squad_json("a"))
    for name in ("EN", "backup", "sw.old", "pt-br"):
        folder(f"xquad/xquad.{name}.json", squad_json("a"))
    assert corpora.load("xquad", question_lang="sw", context_lang="en", data_dir=folder.path) == [
        Example("a", "Nani?", "by Ada", (GoldAnswer("Ada", 3),), "T", question_lang="sw", context_lang="en")
    ]
    codes = ("en", "sw", "sr-Cyrl")  # the corpus' own first, then those of the study, then by the alphabet
    assert corpora.available("xquad", folder.path) == [(q, c) for q in codes for c in codes]
    message = refusal("xquad", question_lang="sw", context_lang="fr", data_dir=folder.path)
    assert message.endswith(f"or a file xquad.fr.json in {folder.path}")


def test_other_languages_of_pairs_and_of_single_files(folder):
    folder("dev-context-pt-BR-question-en.json", squad_json("x"))
    folder("mlqa/dev/dev-context-pt-BR-question-yue.json", squad_json("y"))
    folder("MLQA_V1.zip", zip_bytes({"MLQA_V1/dev/dev-context-de-question-de.json": squad_json("z")}))
    (example,) = corpora.load("mlqa-dev", question_lang="yue", context_lang="pt-BR", data_dir=folder.path)
    assert (example.id, example.question_lang, example.context_lang) == ("y", "yue", "pt-BR")
    # the archive has the official languages; it is not asked for others
    pairs = corpora.available("mlqa-dev", folder.path)
    assert pairs[49:] == [("en", "pt-BR"), ("yue", "pt-BR")]

    folder("tydiqa-goldp-v1.1-dev.json", squad_json("korean-1-0"))
    folder("tydiqa.goldp.fr.dev.json", squad_json("1"))
    (example,) = corpora.load("tydiqa-goldp-dev", context_lang="fr", data_dir=folder.path)
    assert (example.id, example.context_lang) == ("1", "fr")
    assert corpora.available("tydiqa-goldp-dev", folder.path)[-1] == ("fr", "fr")


def test_xquad_files_must_be_parallel(folder):
    folder("xquad.de.json", squad_json("a"))
    folder("xquad.en.json", squad_json("a", "b"))
    message = refusal("xquad", question_lang="de", context_lang="en", data_dir=folder.path)
    assert message.startswith("xquad: the id 'b' is in the en file but not in the de file, expected parallel files")


def test_tydiqa_combined_file_goes_first(folder):
    path = folder("tydiqa/tydiqa-goldp-v1.1-train.json", squad_json("korean-12-0", "finnish--3-1", "korean--7-5"))
    folder("tydiqa-goldp/train/tydiqa.goldp.ko.train.json", squad_json("korean-1-0"))
    korean = corpora.load("tydiqa-goldp-train", context_lang="ko", data_dir=folder.path)
    assert [(example.id, example.context_lang) for example in korean] == [("korean-12-0", "ko"), ("korean--7-5", "ko")]
    message = refusal("tydiqa-goldp-train", context_lang="te", data_dir=folder.path)
    assert message == f"{path}: expected questions in Telugu (te), found none"
    assert len(corpora.available("tydiqa-goldp-train", folder.path)) == 9
    path = folder("tydiqa-goldp-v1.1-dev.json", squad_json("7"))
    message = refusal("tydiqa-goldp-dev", context_lang="ko", data_dir=folder.path)
    assert message.startswith(f"{path}: expected ids such as arabic-2387335860751143628-1, found ")
    assert '"7", which names no language' in message


@pytest.mark.parametrize(
    ("name", "ids", "expected"),
    [
        ("tydiqa.goldp.ko.train.json", ["12", "3", "12"], ["ko-000000-12", "ko-000001-3", "ko-000002-12"]),
        ("tydiqa-goldp-train-korean.json", ["12", "12"], ["ko-000000-12", "ko-000001-12"]),
        ("tydiqa.goldp.ko.train.json", ["korean-1-0", "korean-1-1"], ["korean-1-0", "korean-1-1"]),
    ],
)
def test_tydiqa_repeated_ids_get_their_position(folder, name, ids, expected):
    folder(f"tydiqa-goldp/train/{name}", squad_json(*ids))
    korean = corpora.load("tydiqa-goldp-train", context_lang="ko", data_dir=folder.path)
    assert [example.id for example in korean] == expected


def zip_bytes(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_bytes(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def files_below(path):
    return sorted(p.name for p in path.rglob("*") if p.is_file())


def test_archive_is_read_in_place(folder):
    members = {
        "__MACOSX/MLQA_V1/dev/dev-context-vi-question-en.json": b"\x00\x05",
        "MLQA_V1/dev/dev-context-vi-question-en.json": squad_json("dev"),
        "../../MLQA_V1/test/test-context-vi-question-en.json": squad_json("test"),
        "MLQA_V1/dev/dev-context-de-question-de.json": b"{}",
    }
    path = folder("mlqa/MLQA_V1.zip", zip_bytes(members))
    for split in ("dev", "test"):
        (example,) = corpora.load(f"mlqa-{split}", question_lang="en", context_lang="vi", data_dir=folder.path)
        assert example.id == split
    assert len(corpora.available("mlqa-dev", folder.path)) == 49
    message = refusal("mlqa-dev", question_lang="en", context_lang="de", data_dir=folder.path)
    assert message.startswith(f"{path}: expected the file dev-context-de-question-en.json in this archive, found none")
    message = refusal("mlqa-dev", context_lang="de", data_dir=folder.path)
    assert message.startswith(f"{path}/dev-context-de-question-de.json: data: missing")
    assert files_below(folder.path.parent) == ["MLQA_V1.zip"]  # nothing was unpacked
    # a file that somebody unpacked goes first
    folder("mlqa/dev/dev-context-de-question-de.json", squad_json("file"))
    assert corpora.load("mlqa-dev", context_lang="de", data_dir=folder.path)[0].id == "file"


@pytest.mark.parametrize("name", ["mlqa-dev", "mlqa-translate-train"])
@pytest.mark.parametrize("content", [b"", b"half", "cut"])
def test_broken_archive(folder, name, content):
    archive, whole = "MLQA_V1.zip", zip_bytes({"a": b"x" * 999})
    if name == "mlqa-translate-train":
        archive, whole = "mlqa-translate-train.tar.gz", tar_bytes({"a": bytes(range(256)) * 99})
    path = folder(archive, whole[: len(whole) // 2] if content == "cut" else content)
    message = refusal(name, context_lang="de", data_dir=folder.path)
    assert message.startswith(f"{path}: cannot be read (")
    assert message.endswith("); if it was cut off, delete it and fetch it again")


def test_translated_training_data_leave_out_bad_questions(folder):
    bad = json.loads(squad_json("good", "no answer", "misplaced"))
    bad["data"][0]["paragraphs"][1]["qas"][0]["answers"] = []
    bad["data"][0]["paragraphs"][2]["qas"][0]["answers"][0]["answer_start"] = 1
    member = "mlqa-translate-train/de_squad-translate-train-train-v1.1.json"
    path = folder("mlqa-translate-train.tar.gz", tar_bytes({member: json.dumps(bad).encode()}))
    with pytest.warns(UserWarning, match=r"^2 problems") as caught:
        examples = corpora.load("mlqa-translate-train", context_lang="de", data_dir=folder.path)
    assert [example.id for example in examples] == ["good"]
    assert (examples[0].question_lang, examples[0].context_lang) == ("de", "de")
    first = f"{path}/{member.split('/')[1]}: data[0].paragraphs[1].qas[0]"
    assert str(caught[0].message).startswith(f"2 problems, those questions are left out; first: {first}")
    folder("de_squad-translate-train-train-v1.1.json", squad_json("a", start=1))  # without a good question
    assert "expected the answer" in refusal("mlqa-translate-train", context_lang="de", data_dir=folder.path)


def test_download_is_cached_and_checked_again_in_a_new_process(serve, tmp_path):
    serve("dev-v1.1.json", squad_json("a"))
    for _ in range(2):
        assert [example.id for example in corpora.load("squad-dev")] == ["a"]
    assert serve.requests == ["/dev-v1.1.json"]
    (cached,) = (tmp_path / "cache").rglob("*.json")
    cached.write_bytes(b"damaged")
    corpora._fetch.cache_clear()
    assert [example.id for example in corpora.load("squad-dev")] == ["a"]
    assert len(serve.requests) == 2


def test_what_the_folder_lacks_is_downloaded(serve, folder):
    serve("dev-v1.1.json", squad_json("downloaded"))
    assert corpora.load("squad-dev", data_dir=folder.path)[0].id == "downloaded"
    folder("dev-v1.1.json", squad_json("local"))
    assert corpora.load("squad-dev", data_dir=folder.path)[0].id == "local"
    assert len(serve.requests) == 1


def test_download_with_another_checksum(serve, tmp_path):
    content = squad_json("a")
    url = serve("dev-v1.1.json", content, sha256="0" * 64)
    found = f"dev-v1.1.json: the download from {url} has SHA-256 {hashlib.sha256(content).hexdigest()}, expected 000"
    assert refusal("squad-dev").startswith(found)
    assert files_below(tmp_path / "cache") == []


def test_download_that_is_not_there(serve, folder):
    url = serve("dev-v1.1.json", b"") + "x"
    corpora.DOWNLOADS["dev-v1.1.json"] = corpora.Download(url, "0" * 64)
    message = refusal("squad-dev", data_dir=folder.path)
    assert message.startswith(
        f"dev-v1.1.json: not found in {folder.path}, and it could not be downloaded from {url} (404 "
    )
    assert "put the file into the folder that XQA_DATA_DIR names, or try again with a network connection" in message


def test_no_network():
    expected = "xquad.en.json: XQA_DATA_DIR is not set, and it could not be downloaded from http://127.0.0.1:9/xquad.en"
    assert refusal("xquad", context_lang="en").startswith(expected)


# questions per file of MLQA dev: rows context, columns question
MLQA_DEV = {
    "en": (1148, 512, 500, 517, 504, 511, 507),
    "de": (512, 512, 196, 207, 190, 182, 163),
    "es": (500, 196, 500, 161, 161, 189, 187),
    "ar": (517, 207, 161, 517, 188, 163, 186),
    "zh": (504, 190, 161, 188, 504, 184, 189),
    "vi": (511, 182, 189, 163, 184, 511, 177),
    "hi": (507, 163, 187, 186, 189, 177, 507),
}


@pytest.mark.real_data
def test_real_mlqa_dev(real_data_dir):
    pairs = corpora.available("mlqa-dev", real_data_dir)
    assert len(pairs) == 49
    for question, context in pairs:
        loaded = corpora.load("mlqa-dev", question_lang=question, context_lang=context, data_dir=real_data_dir)
        assert len(loaded) == MLQA_DEV[context][list(MLQA_DEV).index(question)]


@pytest.mark.real_data
def test_real_xquad(real_data_dir):
    languages = corpora.languages_of("xquad")
    assert len(languages) == 12
    ids = None
    for language in languages:
        examples = corpora.load("xquad", context_lang=language, data_dir=real_data_dir)
        assert len(examples) == 1190
        assert len({example.context for example in examples}) == 240
        assert len({example.title for example in examples}) == 48
        ids = ids or [example.id for example in examples]
        assert [example.id for example in examples] == ids
        name = f"xquad.{language}.json"
        assert sha256_of(real_data_dir / "xquad" / name) == corpora.DOWNLOADS[name].sha256
    pair = corpora.load("xquad", question_lang="de", context_lang="zh", data_dir=real_data_dir)
    assert pair[0].question == "Wie viele Punkte gab die Verteidigung der Panthers ab?"
    assert pair[0].answers == (GoldAnswer("308", 10),)
    assert len(corpora.available("xquad", real_data_dir)) == 144


@pytest.mark.real_data
def test_real_squad_dev(real_data_dir):
    examples = corpora.load("squad-dev", data_dir=real_data_dir)
    assert (len(examples), sum(len(example.answers) for example in examples)) == (10570, 34726)


@pytest.mark.real_data
@pytest.mark.parametrize(("language", "count"), [("en", 3696), ("ko", 1625), ("sw", 2755)])
def test_real_tydiqa_train_gets_unique_ids(real_data_dir, language, count):
    examples = corpora.load("tydiqa-goldp-train", context_lang=language, data_dir=real_data_dir)
    assert len(examples) == len({example.id for example in examples}) == count
    assert examples == corpora.load("tydiqa-goldp-train", question_lang=language, data_dir=real_data_dir)


TYDIQA_DEV = {"ar": 921, "bn": 113, "en": 440, "fi": 782, "id": 565, "ko": 276, "ru": 812, "sw": 499, "te": 669}


@pytest.mark.real_data
def test_real_tydiqa_dev_holds_inputs_only(real_data_dir):
    if not (real_data_dir / "tydiqa-goldp" / "dev" / "tydiqa.goldp.ko.dev.json").is_file():
        pytest.skip("the copy without gold answers is absent")
    assert refusal("tydiqa-goldp-dev", context_lang="ko", data_dir=real_data_dir).endswith(NO_GOLD_HINT)
    counts = {}
    load = functools.partial(corpora.load, "tydiqa-goldp-dev", data_dir=real_data_dir, require_answers=False)
    for language in TYDIQA_DEV:
        examples = load(context_lang=language)
        assert all(example.answers == () for example in examples)
        counts[language] = len({example.id for example in examples})
    assert counts == TYDIQA_DEV


@pytest.mark.real_data
def test_real_mlqa_test_holds_inputs_only(real_data_dir):
    pairs = corpora.available("mlqa-test", real_data_dir)
    if len(pairs) != 16:
        pytest.skip("the partial copy without gold answers is absent")
    load = functools.partial(corpora.load, "mlqa-test", data_dir=real_data_dir)
    assert refusal("mlqa-test", question_lang="ar", context_lang="de", data_dir=real_data_dir).endswith(NO_GOLD_HINT)
    assert sum(len(load(question_lang=q, context_lang=c, require_answers=False)) for q, c in pairs) == 28458
