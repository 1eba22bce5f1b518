"""The command line: `python -m xqa_lib COMMAND ...`.

Exit status: 0 done; 1 bad data (one line `error: ...` on standard error), or problems found by `check`; 2 wrong usage.
Modules that a command needs are imported when it runs: `evaluate` and `check` start without the neural network library.
"""

import argparse
import json
import os
import sys
from collections import Counter

from .errors import DataError


def main(arguments=None):
    """Run one command; returns the exit status. `arguments`: list of strings, default those of the process."""
    for stream in (sys.stdout, sys.stderr):
        # The languages here do not fit into every locale's encoding, and a file name may not even be valid Unicode.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments)
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output has had enough, as in `... | head`
        # Python flushes once more at exit; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except DataError as error:
        return _fail(error)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error)
    except KeyboardInterrupt:
        return _fail("interrupted", status=130)


def _fail(message, status=1):
    print(f"error: {' '.join(str(message).split())}", file=sys.stderr)
    return status


def _evaluate(options):
    from .reading import score_file

    if options.metric == "mlqa" and not (options.context_language or score_file.language_in_name(options.gold)):
        options.parser.error(
            "--metric mlqa needs --context-language (or a gold file named ...context-xx-question-yy...)"
        )
    score = score_file.score_files(
        options.gold, options.predictions, metric=options.metric, context_language=options.context_language
    )
    for line in score.warnings:
        print(f"warning: {line}", file=sys.stderr)
    if options.json:
        print(json.dumps(score.as_dict()))
    else:
        print(
            f"exact match {score.exact_match:.2f}, F1 {score.f1:.2f} over {score.questions} questions "
            f"({score.answered} answered), {options.metric} metric"
        )
    return 0


def _check(options):
    from .data import squad_format

    if options.answerable_only and (len(options.files) > 1 or options.no_answers):
        options.parser.error("--answerable-only takes one FILE, with answers")
    status = 0
    for path in options.files:
        try:
            examples, problems = squad_format.examine(
                path, require_answers=not options.no_answers, answerable_only=bool(options.answerable_only)
            )
        except DataError as error:
            print(" ".join(str(error).splitlines()))
            status = 1
            continue
        for line in _with_hints_once(problems):
            print(" ".join(f"{path}: {line}".splitlines()))
        if problems:
            status = 1
            continue
        if options.answerable_only:
            path = options.answerable_only
            squad_format.write_squad(path, examples, version="1.1")
        contexts = len({(example.title, example.context) for example in examples})
        answers = sum(len(example.answers) for example in examples)
        for line in squad_format.repeated_answers(path):
            print(f"note: {' '.join(line.splitlines())}")
        print(f"{path}: good: {len(examples)} questions, {contexts} different contexts, {answers} answers")
    return status


def _with_hints_once(problems):
    """A line of text for each problem; a hint that many have stands only in the first of them, with their number."""
    times = Counter(problem.hint for problem in problems)
    for problem in problems:
        count = times.pop(problem.hint, 0)
        if not count or not problem.hint:
            yield problem.text
        else:
            yield f"{problem} (holds for {count} problems of this file)" if count > 1 else str(problem)


def _answer(options):
    from .reading import predict

    context = options.context
    if context is None:
        from .running import files

        try:
            context = files.read_whole(options.context_file).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return _fail(f"{options.context_file}: expected UTF-8, found another byte at offset {error.start}")
    answers = predict.answer(
        options.model,
        options.question,
        context,
        n_best=options.n_best,
        max_answer_tokens=options.max_answer_tokens,
    )
    if options.json:
        print(json.dumps({"answers": _listed(answers)}, ensure_ascii=False))
        return 0
    if not answers:
        print("no answer found")
        return 0
    print("probability   score  characters  answer")
    for answer in answers:
        span = f"{answer.start}-{answer.end}"
        print(f"{answer.probability:11.3f} {answer.score:7.2f}  {span:<10}  {' '.join(answer.text.split())}")
    return 0


def _listed(answers):
    keys = ("text", "start", "end", "score", "probability")
    return [{key: getattr(answer, key) for key in keys} for answer in answers]


def _predict(options):
    from .reading import predict
    from .running import files

    outputs = [path for path in (options.output, options.n_best) if path]
    if len({os.path.abspath(path) for path in outputs}) < len(outputs):
        options.parser.error("--output and --n-best name the same file")
    for path in outputs:  # what could not be written is said before the reading, not after it
        if os.path.isdir(path):
            return _fail(f"{path}: is a folder, expected a file to write")
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    texts, n_best = {}, {}
    for example, answers in predict.answer_file(
        options.model, options.data, max_answer_tokens=options.max_answer_tokens
    ):
        texts[example.id] = answers[0].text if answers else ""
        if options.n_best:
            n_best[example.id] = _listed(answers)
    files.write_json(options.output, texts)
    if options.n_best:
        files.write_json(options.n_best, n_best)
    print(f"{options.output}: {len(texts)} questions, {sum(map(bool, texts.values()))} answered")
    return 0


def _params(options):
    from .running import files
    from .study import params

    if (options.profile == "own") != bool(options.data):
        return _fail(
            f"a folder with questions is read by the profile own alone, found {options.profile}: add PROFILE=own"
            if options.data
            else "the profile own needs a folder with questions (docs/your-language.md): make reproduce PROFILE=own "
            "DATA=FOLDER"
        )
    if options.data:
        from .data import own
        from .study import own_study

        parallel, problems, notes = own.examine(options.data)
        for line in [*problems, *(f"note: {note}" for note in notes)]:
            print(" ".join(line.splitlines()), file=sys.stderr)
        if problems:
            return _fail(f"{options.data}: {len(problems)} problem(s), see above; nothing was changed")
        text, lines = own_study.compose(options.data, parallel, options.size)
        print(*lines, sep="\n", file=sys.stderr)
    else:
        text = params.compose(options.profile, options.size)
    if not options.output:
        sys.stdout.write(text)
    elif not _holds(options.output, text):
        files.write_text(options.output, text)
    return 0


def _holds(path, text):
    """Whether the file has exactly this content: then it is left alone, and nothing that watches it sees a change."""
    try:
        with open(path, "rb") as file:
            return file.read() == text.encode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return False


def _train(options):
    from .study import layout, params, stages

    cfg = params.load_params(options.params)
    log = stages.train_student(cfg, options.method, options.seed)
    folder = layout.student_folder(cfg, options.method, options.seed)
    print(f"{folder}: {len(log)} steps, last loss {float(log['loss'].iloc[-1]):.4f}")
    return 0


def _export(options):
    from .reporting import take_away
    from .study import params

    folder, notes = take_away.write(params.load_params(options.study), onnx=options.onnx)
    for note in notes:
        print(f"note: {note}")
    print(f"{folder}: the model to take away; its card is README.md, how to use it: docs/use-the-model.md")
    return 0


def _notebook(options):
    parameters = dict(options.parameter)
    if len(parameters) < len(options.parameter):
        names = [name for name, _ in options.parameter]
        repeated = next(name for name in names if names.count(name) > 1)
        options.parser.error(f"parameter {repeated} is given more than once")
    from .running import notebooks

    notebooks.execute(options.name, options.output, parameters)
    return 0


def _compare(options):
    from .reporting import experiments_section
    from .running import files
    from .study.params import load_params

    study = load_params(options.study)
    table, missing = experiments_section.comparison(study)
    for line in missing:
        print(f"missing: {line}", file=sys.stderr)
    if not len(table):
        return _fail(
            f"{options.study}: no experiment has run yet: run `dvc repro`, or for grids "
            f"`dvc exp run --queue -S profile={study.profile} -S ...`"
        )
    if options.output:
        files.write_text(options.output, table.to_csv(index=False, lineterminator="\n"))
    else:
        from .reporting.tables import markdown

        print(markdown(table))
    return 0


def _positive(text):
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return number


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m xqa_lib",
        description="Cross-lingual extractive question answering: score predictions, check data, ask a model, run "
        "parts of the study.",
        epilog="Exit status: 0 done, 1 bad data or problems found, 2 wrong usage. `COMMAND --help` explains a command.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name, run, summary, description=""):
        added = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {description}")
        added.set_defaults(run=run, parser=added)
        return added

    evaluate = command(
        "evaluate",
        _evaluate,
        "score predictions against gold answers",
        "Exact match and F1 in percent over all gold questions; questions without a prediction score 0.",
    )
    evaluate.add_argument(
        "--gold",
        required=True,
        metavar="FILE",
        help="file with gold answers: SQuAD format, or the flat form of datasets as JSON, JSON Lines or a saved folder",
    )
    evaluate.add_argument(
        "--predictions",
        required=True,
        metavar="FILE",
        help='JSON: {"question id": "predicted text", ...}, the same with a list of n-best answers for each id, or a '
        "list of objects with id and prediction_text",
    )
    evaluate.add_argument(
        "--metric",
        required=True,
        choices=("squad", "mlqa"),
        help="squad: SQuAD v1.1 (for XQuAD and TyDiQA, too); mlqa: MLQA, by the language of the contexts",
    )
    evaluate.add_argument(
        "--context-language",
        metavar="xx",
        help="language of the contexts for mlqa (en es de ar hi vi zh have rules of their own); default: from a gold "
        "file name such as dev-context-ar-question-de.json",
    )
    evaluate.add_argument(
        "--json", action="store_true", help="print exact_match, f1, questions and answered as JSON, in full precision"
    )

    check = command(
        "check",
        _check,
        "validate files of questions",
        "Prints one line for each problem and exits with 1 if there is any; otherwise one summary line for each file.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="file in one of the forms that evaluate --gold reads")
    check.add_argument(
        "--no-answers", action="store_true", help="accept questions without gold answers: files that are only inputs"
    )
    check.add_argument(
        "--answerable-only",
        metavar="OUT",
        help="accept the unanswerable questions of SQuAD 2.0 and write a file without them",
    )

    answer = command("answer", _answer, "answer one question from one passage with a trained model")
    answer.add_argument("--model", required=True, metavar="DIR", help="folder of a trained reader")
    answer.add_argument("--question", required=True, metavar="TEXT", help="the question, in any language of the model")
    passage = answer.add_mutually_exclusive_group(required=True)
    passage.add_argument("--context", metavar="TEXT", help="the passage that holds the answer")
    passage.add_argument("--context-file", metavar="FILE", help="the passage as a text file in UTF-8")
    answer.add_argument(
        "--n-best", type=_positive, default=1, metavar="N", help="print the N best answers (default: %(default)s)"
    )
    answer.add_argument(
        "--json",
        action="store_true",
        help='print {"answers": [...]} with text, start, end (characters), score and probability, best first',
    )

    predict = command(
        "predict",
        _predict,
        "answer every question of a file with a trained model",
        "Writes what evaluate reads; the file needs no gold answers. A progress bar is shown on standard error.",
    )
    predict.add_argument("--model", required=True, metavar="DIR", help="folder of a trained reader")
    predict.add_argument(
        "--data", required=True, metavar="FILE", help="questions in SQuAD format, or in the flat form of datasets"
    )
    predict.add_argument(
        "--output", required=True, metavar="FILE", help='JSON file to write: {"question id": "answer", ...}'
    )
    predict.add_argument(
        "--n-best", metavar="FILE", help="JSON file to write: each id's 20 best answers, as answer --json lists them"
    )
    for reading in (answer, predict):
        reading.add_argument(
            "--max-answer-tokens",
            type=_positive,
            default=30,
            metavar="N",
            help="tokens of an answer at most (default: %(default)s)",
        )

    params = command("params", _params, "compose the parameters of a profile", "The result is what params.yaml holds.")
    params.add_argument("--profile", required=True, metavar="NAME", help="a file of conf/profile: embedded, xquad, ...")
    params.add_argument("--data", metavar="FOLDER", help="of the profile own: FOLDER/parallel/CODE.json or .csv")
    params.add_argument(
        "--size", choices=("full", "smoke"), default="full", help="smoke: seconds, for tests (default: %(default)s)"
    )
    params.add_argument("--output", metavar="FILE", help="file to write; default: standard output")

    compare = command(
        "compare",
        _compare,
        "make the table of the experiments that have run",
        "One row per setting, mean over language pairs and seeds in points; what is missing is said on standard error. "
        "After `dvc exp apply NAME` it is that experiment's.",
    )
    compare.add_argument(
        "--study", default="params.yaml", metavar="FILE", help="parameter file or profile (default: %(default)s)"
    )
    compare.add_argument("--output", metavar="FILE", help="CSV file to write; default: a Markdown table is printed")

    export = command(
        "export",
        _export,
        "write the best model of a study of your own language",
        "The development set chose it. The folder, runs/own/best, has weights, tokenizer and model card, for plain "
        "transformers.",
    )
    export.add_argument(
        "--study", default="params.yaml", metavar="FILE", help="parameter file of the study (default: %(default)s)"
    )
    export.add_argument("--onnx", action="store_true", help="write model.onnx, too, which onnxruntime reads")

    train = command(
        "train",
        _train,
        "train a student of the study",
        "The sample and the reader it starts from must be there. Killed, it goes on from its last checkpoint. "
        "Several processes: torchrun --nproc-per-node=N -m xqa_lib train ... (docs/scale-out.md).",
    )
    train.add_argument("--params", default="params.yaml", metavar="FILE", help="parameter file or profile/size")
    train.add_argument("--method", required=True, metavar="NAME", help="one of the methods of the study")
    train.add_argument("--seed", required=True, type=int, metavar="N", help="one of the seeds of the study")

    notebook = command("notebook", _notebook, "run a notebook of the study with parameters")
    notebook.add_argument("name", metavar="NAME", help="notebook, for instance 05_evaluation")
    notebook.add_argument("output", metavar="OUTPUT", help="where the executed notebook is written")
    notebook.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter that the notebook declares; may be repeated",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
