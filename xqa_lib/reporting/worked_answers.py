"""What a reader answered: right, near and wrong, in several scripts, with the English beside it."""

from html import escape

from IPython.display import HTML

from ..data import factbook, prepared
from ..languages import language_of
from ..reading import evaluation, kinds
from ..sampling import KEY, pseudo_random_key
from ..study import arithmetic, layout
from .passages import GOLD, Span, listed, marked
from .tables import TASK_NAMES

VERDICTS = {"right": "✓", "near": "≈", "wrong": "✗"}
NEAR = 0.6  # F1, from which on an answer that is not right is near


def verdict(em, f1):
    """ "right", "near", "wrong", or None for what lies between the last two."""
    if em == 1:
        return "right"
    return "near" if f1 >= NEAR else "wrong" if f1 == 0 else None


def drawn(scores, each=2):
    """Some rows of a table of scores: `each` of every verdict, as far as there are, drawn and not picked by hand.

    Passages in scripts that no row before has come first, then pairs of two languages, then the hash of the row's key.

    Args:
        scores: as `evaluation.score`, of one set.

    Returns:
        list of (verdict, row), rows as named tuples.
    """
    rows = list(scores.itertuples(index=False))
    hashes = {row: pseudo_random_key(0, row.id, row.question_lang, row.context_lang) for row in rows}
    found, scripts = [], set()
    for wanted in VERDICTS:
        left = [row for row in rows if verdict(row.em, row.f1) == wanted]
        for _ in range(min(each, len(left))):
            best = min(
                left,
                key=lambda row: (_script(row) in scripts, row.question_lang == row.context_lang, hashes[row]),
            )
            left.remove(best)
            scripts.add(_script(best))
            found.append((wanted, best))
    return found


def _script(row):
    return language_of(row.context_lang).script


def worked_answers(params, scores, method, seed):
    """A few answers of a system to the development set, as `HTML`: question, passage, gold and answer, and the English.

    Args:
        scores: of the system, as `scoring.evaluate_system`.
        method, seed: the system.
    """
    from ..reading.side_by_side import Readers  # the network libraries

    arithmetic.use_threads(params)
    name = params.data.evaluation_sets[0]
    chosen = drawn(scores[scores["set"] == name])
    known = {(e.id, e.question_lang, e.context_lang): e for e in prepared.read_evaluation(params, name)}
    examples = [known[tuple(getattr(row, key) for key in KEY)] for _, row in chosen]
    folder = layout.model_folder(params, method, seed)
    readers = Readers({method: folder}, features=params.features, evaluation=params.evaluation)
    found = readers.answers(examples)[method]
    english = _english(params, name, examples)
    blocks = []
    for (judged, row), example, answers in zip(chosen, examples, found, strict=True):
        # the one that was scored, even if this machine computes another digit and prefers the next
        answer = next((answer for answer in answers if answer.text == row.prediction), None)
        question, context = (language_of(code).name for code in (row.question_lang, row.context_lang))
        heading = f"{VERDICTS[judged]} {judged}: question in {question}, passage in {context}, F1 {100 * row.f1:.0f}"
        label = f"answer, {answer.probability:.0%}" if answer else ""
        blocks.append((heading, [*_shown(example, answer, label), *english(example, answer)]))
    return listed(blocks) if blocks else HTML("<p>No question was scored.</p>")


def _shown(example, answer, label="answer"):
    spans = [gold(example)] + ([Span(answer.start, answer.end, label)] if answer else [])
    return [marked(example.question, lang=example.question_lang), marked(example.context, spans, example.context_lang)]


def gold(example):
    """The `Span` of an example's first gold answer."""
    answer = example.answers[0]
    return Span(answer.start, answer.start + len(answer.text), "gold", GOLD)


def _english(params, name, examples):
    """A function from an example and its `Answer` to the same in English, a list of `HTML`, as far as that is known.

    Of factbook the answer, too: the fact that it names most of is the same in every language.
    """
    if params.data.source == "factbook":
        languages = dict.fromkeys(["en", *(example.context_lang for example in examples)])
        corpus = factbook.generate(
            paragraphs=params.data.evaluation_paragraphs,
            languages=list(languages),
            seed=params.data.seed,
            split=prepared.evaluation_set(name)[0],
            wordings="evaluation",
            questions_per_paragraph=params.data.questions_per_paragraph or None,
        )
        stated = {(p.language, e.id): (p, e) for paragraphs in corpus.values() for p in paragraphs for e in p.examples}

        def of_factbook(example, answer):
            paragraph, _ = stated[example.context_lang, example.id]
            translated, english = stated["en", example.id]
            return _quoted(example, _shown(english, _same_fact(paragraph, translated, answer)))

        return of_factbook
    ids = {example.id for example in examples}
    every = [example for example in prepared.read_evaluation(params, name) if example.id in ids]
    questions = {example.id: example.question for example in every if example.question_lang == "en"}
    contexts = {example.id: example for example in every if example.context_lang == "en"}

    def of_real(example, answer):
        question, context = questions.get(example.id), contexts.get(example.id)
        return _quoted(
            example,
            [question and marked(question), context and marked(context.context, [gold(context)])],
        )

    return of_real


def _same_fact(paragraph, translated, answer):
    """The `Span` in a translated paragraph of the fact whose answer shares most characters with a reader's, or None."""
    if answer is None:
        return None
    golds = [fact.answer for fact in paragraph.facts]
    shared = [min(answer.end, g.start + len(g.text)) - max(answer.start, g.start) for g in golds]
    if max(shared) <= 0:
        return None
    same = translated.facts[shared.index(max(shared))].answer
    return Span(same.start, same.start + len(same.text))


def _quoted(example, english):
    """The English question and passage, each `HTML` or None, without what is English already."""
    languages = (example.question_lang, example.context_lang)
    parts = [part.data for part, language in zip(english, languages, strict=True) if part and language != "en"]
    return [HTML(f"<blockquote>In English:{''.join(parts)}</blockquote>")] if parts else []


# --------------------------------------------------------------------------------------------- in words


def kinds_in_words(params, scores):
    """How much of a system's exact match on the development set is knowing what kind of answer is asked for: `HTML`."""
    name = params.data.evaluation_sets[0]
    stated = prepared.read_kinds(params)
    if not len(stated):
        return HTML("<p>Of these data nobody has marked what else an answer could be: the share is not known.</p>")
    found = kinds.shares(scores[scores["set"] == name].assign(system="", seed=0), stated).set_index("task")
    sentences = []
    for task, row in found.iterrows():
        if row["right_kind"] == 0:
            sentences.append(f"{TASK_NAMES[task]}: no answer is of the right kind.")
            continue
        understood = "more" if row["above_chance"] else "it does not show that the question was understood: no more"
        sentences.append(
            f"{TASK_NAMES[task]}: {row['right_kind']:.0f}% of the answers are of the right kind, and of these "
            f"{row['right_given_kind']:.0f}% are right (95% interval {row['low']:.0f} to {row['high']:.0f}): "
            f"{understood} than a guess among the answers of that kind, {row['chance']:.0f}%."
        )
    return HTML("<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>")


def in_words(params, scores):
    """What a table of scores says, in sentences: `HTML`."""
    name = params.data.evaluation_sets[0]
    means = evaluation.summary(scores).set_index(["set", "task"])["f1"]
    guess = kinds.guess_scores(scores, prepared.read_kinds(params))
    floor = evaluation.summary(guess).set_index(["set", "task"])["f1"]
    sentences = []
    for (found, task), f1 in means.items():
        if task == "gxlt":
            continue
        beside = f", a guess by the kind of the answer {floor[found, task]:.1f}" if (found, task) in floor else ""
        sentences.append(f"{found}, {TASK_NAMES[task]}: F1 {f1:.1f}{beside}.")
    pairs = 100 * scores[scores["set"] == name].groupby(KEY[1:])["f1"].mean()
    for word, pair in (("best", pairs.idxmax()), ("worst", pairs.idxmin())):
        question, context = (language_of(code).name for code in pair)
        sentences.append(f"The {word} pair of {name}: question in {question}, passage in {context}, {pairs[pair]:.1f}.")
    return HTML("<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>")
