"""A user's folder for tests: a made-up language, written right to left, as CSV beside English."""

import csv
import io

TOWNS = {"Karama": "كرمة", "Sulun": "سولون", "Tamat": "تمات", "Birza": "برزا", "Nahal": "نهال", "Wadan": "ودان"}
DAYS = {"Monday": "ديرا", "Friday": "جمرا", "Sunday": "يكرا"}
GOODS = {"salt": "ملحون", "wool": "سوفان", "dates": "تمران", "honey": "عسلان"}
TEMPLATES = {
    "en": (
        "The market of {town} opens on {day}. Traders from {other} bring {good} there.",
        ["On which day does the market of {town} open?", "Where do the traders come from?", "What do they bring?"],
    ),
    "x-sahra": (
        "سوقا {town} فاتح {day}. تاجران من {other} بارن {good} هونا.",
        ["كيما سوقا {town} فاتح؟", "تاجران من وين؟", "شو بارن تاجران؟"],
    ),
}


def rows(code, passages=8):
    """The rows id, title, context, question, answer of a language: three questions about each passage."""
    found = []
    for number in range(passages):
        pick = {
            name: list(table.items())[at % len(table)]
            for name, table, at in (
                ("town", TOWNS, number),
                ("other", TOWNS, number + 2 + number // len(TOWNS)),  # or the seventh nearly repeats the first
                ("day", DAYS, number),
                ("good", GOODS, number + 1),
            )
        }
        words = {name: pair[code != "en"] for name, pair in pick.items()}
        passage, questions = TEMPLATES[code]
        # a passage of its own, also where the words come back
        context = f"{number + 1}. {passage.format(**words)}"
        answers = words["day"], words["other"], words["good"]
        for at, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            found.append((f"q{number}-{at}", f"Market {number}", context, question.format(**words), answer))
    return found


def table(found, header=("id", "title", "context", "question", "answer"), **options):
    """The text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", **options).writerows([header, *found])
    return text.getvalue()


def write(folder, *, passages=8, reader=12):
    """A folder with both languages, and `reader` English passages of other towns to learn to read from."""
    (folder / "parallel").mkdir(parents=True)
    for code in TEMPLATES:
        (folder / "parallel" / f"{code}.csv").write_text(table(rows(code, passages)), encoding="utf-8")
    (folder / "reader").mkdir()
    taught = []
    for example_id, title, context, question, answer in rows("en", reader):
        change = str.maketrans("KSTBNW", "MPLGHF")  # names of its own
        taught.append((f"r-{example_id}", title, *(t.translate(change) for t in (context, question, answer))))
    (folder / "reader" / "questions.csv").write_text(table(taught), encoding="utf-8")
    return folder
