"""A question and a passage to try: what the zero-shot reader and the trained systems answer, side by side."""

from html import escape

from IPython.display import HTML, display

from ..data import prepared
from ..data.squad_format import Example
from ..languages import language_of
from ..metrics import best_metric
from ..reading.side_by_side import characters_per_piece, unknown_characters
from ..study import layout
from .passages import Span, listed, marked
from .worked_answers import gold

TYPED = "und"  # the language code of a text of which only the script can be told
SHOWN = 3  # answers of a system, at most


def systems(params, seed):
    """label -> model folder: the English reader and the student of each method with this seed."""
    students = {params.method(name).label: layout.student_folder(params, name, seed) for name in params.trained}
    return {"zero-shot": layout.reader_folder(params), **students}


def pair_of(params, question_lang, context_lang):
    """The pair of languages; of a study whose development set lacks it, as a user's own may, its first across them."""
    pairs = prepared.language_pairs(params, params.data.evaluation_sets[0])
    across = [pair for pair in pairs if pair[0] != pair[1]] or pairs
    return (question_lang, context_lang) if (question_lang, context_lang) in pairs else across[0]


def examples(params, question_lang, context_lang):
    """The questions of the development set in a pair of languages (`pair_of`): list of `Example`."""
    pair = pair_of(params, question_lang, context_lang)
    found = prepared.read_evaluation(params, params.data.evaluation_sets[0])
    return [e for e in found if (e.question_lang, e.context_lang) == pair]


def typed(question, context):
    """An `Example` of texts that somebody types, without a gold answer."""
    return Example("", question, context, (), "", TYPED, TYPED)


def compared(params, readers, example):
    """What each system answers, as `HTML`: its best answers that do not overlap, with their probabilities.

    Args:
        readers: `side_by_side.Readers` of `systems`.
        example: from `examples`, or `typed`.
    """
    if not example.question.strip() or not example.context.strip():
        return HTML("<p>Type a question and a passage.</p>")
    known = [gold(example)] if example.answers else []
    blocks = [("question", marked(example.question, lang=example.question_lang))]
    for name, (found,) in readers.answers([example]).items():
        best = _apart(found)
        spans = [Span(a.start, a.end, f"{place}. {a.probability:.0%}") for place, a in enumerate(best, 1)]
        heading = name + (f": {best[0].text}" if best else ": no answer") + _scored(params, example, best)
        blocks.append((heading, marked(example.context, [*known, *spans], example.context_lang)))
    return HTML(listed(blocks).data + _vocabulary(params, readers.tokenizer, example))


def _apart(answers):
    """The best answers, each in a place that no better one has a part of."""
    kept = []
    for answer in answers:
        if all(answer.end <= other.start or other.end <= answer.start for other in kept):
            kept.append(answer)
    return kept[:SHOWN]


def _scored(params, example, best):
    if not example.answers or not best:
        return ""
    measure = best_metric(prepared.metric_of(params.data.evaluation_sets[0]))
    _, f1 = measure(best[0].text, [answer.text for answer in example.answers], example.context_lang)
    return f" (F1 {100 * f1:.0f})"


def _vocabulary(params, tokenizer, example):
    """What of a typed text the readers' vocabulary does not know, and whether it cuts it finer than the study's."""
    if example.context_lang != TYPED:
        return ""
    text = f"{example.question} {example.context}"
    unknown = unknown_characters(tokenizer, text)
    said = ["The readers keep the whole vocabulary of their encoder."]
    if params.encoder.vocabulary == "study":
        said = ["Of the encoder's vocabulary, single characters and the pieces of this study's texts alone are kept."]
    if unknown:
        characters = ", ".join(unknown)
        said.append(f"Unknown to the readers, which take each of them for one and the same sign: {characters}.")
    script = language_of(TYPED, text).script
    read = prepared.read_evaluation(params, params.data.evaluation_sets[0])
    own = list(dict.fromkeys(e.context for e in read if language_of(e.context_lang).script == script))
    if own:
        here, there = characters_per_piece(tokenizer, [text]), characters_per_piece(tokenizer, own)
        said.append(
            f"A piece of these texts has {here:.1f} characters, of the study's passages in this script {there:.1f}: "
            + ("they are cut finer than those." if here < there else "no finer than those.")
        )
    else:
        said.append("No passage of the study is in this script: nobody has trained or tested the readers on it here.")
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in said)


def in_words(params, readers, question_lang, context_lang):
    """How many questions of the development set in a pair each reader answers exactly, and how sure it is: `HTML`."""
    asked = examples(params, question_lang, context_lang)
    measure = best_metric(prepared.metric_of(params.data.evaluation_sets[0]))
    sentences = []
    for name, found in readers.answers(asked).items():
        sure = {True: [], False: []}
        for example, (best, *_) in zip(asked, found, strict=True):
            exact, _ = measure(best.text, [answer.text for answer in example.answers], example.context_lang)
            sure[exact == 1].append(best.probability)
        means = [
            f"where it is {word} its probability is {sum(sure[exact]) / len(sure[exact]):.0%} on average"
            for word, exact in (("right", True), ("wrong", False))
            if sure[exact]
        ]
        count = f"{len(sure[True])} of {len(asked)} questions"
        sentences.append(f"{name} answers {count} in this pair of languages exactly; {', '.join(means)}.")
    return HTML("<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>")


def controls(params, readers, question_lang, context_lang):
    """Widgets to choose an example and to change its texts; needs a running kernel."""
    import ipywidgets as widgets

    question_lang, context_lang = pair_of(params, question_lang, context_lang)
    pairs = prepared.language_pairs(params, params.data.evaluation_sets[0])
    languages = list(dict.fromkeys(code for pair in pairs for code in pair))
    named = [(language_of(code).name, code) for code in languages]
    question_in = widgets.Dropdown(options=named, value=question_lang, description="question in")
    passage_in = widgets.Dropdown(options=named, value=context_lang, description="passage in")
    chosen = widgets.Dropdown(description="example", layout={"width": "50em"})
    question = widgets.Textarea(description="question", layout={"width": "50em"})
    context = widgets.Textarea(description="passage", layout={"width": "50em", "height": "12em"})
    ask, shown = widgets.Button(description="answer", button_style="primary"), widgets.Output()

    def offer(_=None):
        found = examples(params, question_in.value, passage_in.value)
        chosen.options = [(f"{place}. {e.question}", e) for place, e in enumerate(found, 1)]
        chosen.index = 0 if found else None

    def fill(_=None):
        if chosen.value is not None:
            question.value, context.value = chosen.value.question, chosen.value.context

    def answer(_=None):
        texts, example = (question.value, context.value), chosen.value
        if example is None or (example.question, example.context) != texts:
            example = typed(*texts)
        shown.clear_output(wait=True)
        with shown:
            display(compared(params, readers, example))

    for language in (question_in, passage_in):
        language.observe(offer, "value")
    chosen.observe(fill, "value")
    ask.on_click(answer)
    offer()
    return widgets.VBox([widgets.HBox([question_in, passage_in]), chosen, question, context, ask, shown])
