"""Paragraphs of factbook for reviewers, with marked answers, and the commands `check` and `sample`."""

import argparse
import operator
import sys

from ...errors import DataError
from .corpus import _chooser, _draw, _draw_name, _draw_values, _Drawn, _render, _Stream
from .language_files import GROUPS, RELATIONS, WORDINGS, language_problems, load_language


def main(arguments=None):
    """`check FILE ...`: one line per problem, exit status 1 if any. `sample LANG`: paragraphs for a reviewer."""
    parser = argparse.ArgumentParser(
        prog="python -m xqa_lib.data.factbook",
        description="Check the language files of factbook, or print paragraphs of one for review.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="list the problems of language files")
    check.add_argument("files", nargs="+", metavar="FILE")
    sample = commands.add_parser("sample", help="print paragraphs with [marked] answers and their questions")
    sample.add_argument("language", metavar="LANG", help="a language code, or the path of a language file")
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--paragraphs", type=int, default=3, help="how many (default: 3)")
    sample.add_argument("--all", action="store_true", help="instead, every sentence of the file once")
    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            return _main_check(options.files)
        data = load_language(options.language)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n\n".join(_review(data, options.seed, None if options.all else options.paragraphs)))
    return 0


def _main_check(paths):
    problems = [problem for path in paths for problem in language_problems(path)]
    print("\n".join(problems) if problems else f"{len(paths)} files, no problems")
    return 1 if problems else 0


def _review(data, seed, paragraphs):
    """Paragraphs with marked answers and questions; `paragraphs` None: each wording of each entity type in turn."""
    if paragraphs is not None:
        drawn = _draw(paragraphs=paragraphs, seed=seed, split="test")
        choose = _chooser(_Stream("sample", seed, data.language), WORDINGS)
        return [_marked(_render(data, item, choose, item.relations)) for item in drawn]
    found = []
    for entity in RELATIONS:
        stream, taken = _Stream("sample", seed, entity), []
        subject = _draw_name(stream, entity, "test", taken)
        values = _draw_values(stream, entity, GROUPS[entity], "test", taken)
        drawn = _Drawn("test", 0, entity, subject, tuple(RELATIONS[entity]), values)
        for index in range(WORDINGS):
            paragraph = _render(data, drawn, operator.itemgetter(index), drawn.relations)
            found.append(f"{entity}, wording {index + 1}\n{_marked(paragraph)}")
    return found


def _bracketed(paragraph):
    """The paragraph's text with each fact's answer in brackets."""
    text, at = "", 0
    for fact in paragraph.facts:
        end = fact.answer.start + len(fact.answer.text)
        text += f"{paragraph.context[at : fact.answer.start]}[{fact.answer.text}]"
        at = end
    return text + paragraph.context[at:]


def _marked(paragraph):
    lines = [_bracketed(paragraph)]
    lines += [f"  {example.question}  [{example.answers[0].text}]" for example in paragraph.examples]
    return "\n".join(lines)
