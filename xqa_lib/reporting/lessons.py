"""What notebooks show of one example: an answer in seven languages, a guess by kind, a reader before and after, a loss.

No stage reads anything of it. Tensors of two rows are start and end of an answer, over the L tokens of one window.
"""

import copy
from dataclasses import dataclass

import pandas as pd
import torch
from IPython.display import HTML

from ..coefficients import COEFFICIENTS
from ..data import prepared, roles
from ..data.squad_format import Example
from ..features import encode_pairs
from ..languages import in_order, language_of
from ..study import arithmetic, layout, samples, stages
from ..study.params import Method
from ..training import models, parallel_view
from ..training.dataset import PadToBatch, training_features
from ..training.trainer import distillation_loss, read_teacher
from . import passages

BOUNDARIES = ("start", "end")
LOOKED_AT = 16  # examples that a reader is asked about, to choose the one that is shown


# ------------------------------------------------------------------------------------------------ 01: data


def parallel_question(params, index=0):
    """One question of the parallel data in every training language, its answer marked in its passage, as `HTML`."""
    return passages.listed([_named(found[index]) for found in prepared.read_parallel(params).values()])


def untrained_languages(params):
    """The first question of each language that is scored and never trained on, as `parallel_question`."""
    found = {}
    for name in params.data.all_sets:
        for example in prepared.read_evaluation(params, name):
            if example.context_lang == example.question_lang not in params.sampling.languages:
                found.setdefault(example.context_lang, example)
    return passages.listed([_named(found[language]) for language in in_order(found)])


def _named(example):
    language = example.context_lang
    question = passages.marked(example.question, lang=example.question_lang)
    return f"{language_of(language).name} ({language})", [question, _with_answer(example)]


def _with_answer(example, spans=(), weights=()):
    answer = example.answers[0]
    truth = passages.Span(answer.start, answer.start + len(answer.text), "answer", passages.GOLD)
    return passages.marked(example.context, [*spans, truth], example.context_lang, weights)


def guess_by_kind(params):
    """What a guess by the kind of the answer is right in, and why, on one passage of the development set, as `HTML`.

    The passage is that of the first question in one language that has several answers of its kind. Of real data the
    kinds of answers are not known.
    """
    kinds = prepared.read_kinds(params)
    if not len(kinds):
        return passages.listed(
            [("In real text nobody has marked what else could be an answer, so this study has no guess by kind.", [])]
        )
    name = params.data.evaluation_sets[0]
    for example in prepared.read_evaluation(params, name):
        stated = kinds.query("set == @name and id == @example.id and context_lang == @example.context_lang")
        answers = stated[stated["kind"] == stated.loc[stated["right"] == 1, "kind"].iloc[0]]["answer"]
        if example.question_lang == example.context_lang and len(answers) > 1:
            break
    spans = [(start := example.context.find(answer), start + len(answer)) for answer in answers]
    question = passages.marked(example.question, lang=example.question_lang)
    return passages.listed(
        [
            (
                f"{len(answers)} answers are of the kind that is asked for: a guess is right once in {len(answers)}.",
                [question, _with_answer(example, spans)],
            ),
            (f"Over all questions of {name} a guess by kind is right in {roles.type_guess(params)}%: the floor.", []),
        ]
    )


def written(table, style=None):
    """A DataFrame as `HTML`, the same on every run: four decimals, nothing where a number is missing.

    Args:
        style: DataFrame of its shape, the CSS of each cell; None for none.
    """
    shown = table.style.set_uuid("numbers").format(precision=4, na_rep="", escape="html")  # in place of a random name
    return HTML((shown if style is None else shown.apply(lambda _: style, axis=None)).to_html())


# ------------------------------------------------------------------------------------------ 02, 03: encoder, sample


def layers_in_words(right):
    """What the layers of an encoder add to its embeddings, from a table of `encoder_probe.translation_retrieval`."""
    means = right.mean(axis=1)
    best = right.loc[means.idxmax()]
    return (
        f"Layer 0, the pieces by themselves, finds {means.iloc[0]:.0f}%. At layer {best.name} the language found best "
        f"is {best.idxmax()} ({best.max():.0f}%), the one found least {best.idxmin()} ({best.min():.0f}%)."
    )


def language_grid(table, ntl):
    """From which ntl on each pair of the first id of a sample is trained on, the pairs of `ntl` shaded, as a table."""
    one = table[table["id"] == table["id"].iloc[0]]
    grid = one.pivot_table(index="question_lang", columns="context_lang", values="ntl", aggfunc="min").astype("Int64")
    grid = grid.loc[in_order(grid.index), in_order(grid.columns)]
    trained = samples.sampled_pairs(one, ntl)
    trained = set(zip(trained["question_lang"], trained["context_lang"], strict=True))
    shade = pd.DataFrame(
        [
            ["background:rgba(86,180,233,0.45);font-weight:bold" if (q, c) in trained else "" for c in grid.columns]
            for q in grid.index
        ],
        grid.index,
        grid.columns,
    )
    return written(grid, shade)


def pairs_in_words(pairs, params, ntl):
    """How often the pivot takes part in the pairs that are trained on."""
    pivot = params.sampling.pivot
    said = f"With ntl = {ntl}, {pairs['id'].nunique()} ids give {len(pairs)} examples"
    if pivot is None:
        return f"{said}."
    crossing = pairs[pairs["question_lang"] != pairs["context_lang"]]
    with_pivot = (crossing[["question_lang", "context_lang"]] == pivot).any(axis=1).sum()
    return f"{said}; of the {len(crossing)} with two languages, {with_pivot} have {pivot} as one of them."


# ------------------------------------------------------------------------------------------ one window, one reader


def _windows(tokenizer, examples, params):
    """(features, offsets): `training_features` of examples, and the character spans (W, L, 2) of their tokens."""
    sizes = stages.vars_of(params.features)
    windows = encode_pairs(tokenizer, [e.question for e in examples], [e.context for e in examples], **sizes)
    return training_features(tokenizer, examples, params.features), windows.offsets


def _tokens(tokenizer, ids, offsets, context):
    """How each token is written: a piece of the passage, or (in brackets) one of the question or a special token."""
    pieces = tokenizer.convert_ids_to_tokens(ids)
    return [
        context[start:end] if start >= 0 else f"({piece.strip('▁')})"
        for piece, (start, end) in zip(pieces, offsets.tolist(), strict=True)
    ]


def _shares(probabilities, offsets):
    """(first character, last character, probability) of each token of the passage, as `passages.marked` takes them."""
    return [(*span, p) for span, p in zip(offsets.tolist(), probabilities.tolist(), strict=True) if span[0] >= 0]


@dataclass(frozen=True)
class StartSeen:
    """Where a reader sees the start of an answer.

    Attributes:
        shares: (first character, last character, probability) of each token of the passage.
        truth: probability of the token at which the answer starts.
        rank: of that token among the `tokens` of the window, from 1.
    """

    example: Example
    shares: list
    truth: float
    rank: int
    tokens: int

    def shown(self):
        """The passage, shaded by the probabilities."""
        return _with_answer(self.example, weights=self.shares)

    def question(self):
        return passages.marked(self.example.question, lang=self.example.question_lang)

    def in_words(self):
        return (
            f"the start of the answer has {self.truth:.1%}, rank {self.rank} of {self.tokens} tokens "
            f"(spread evenly, each would have {1 / self.tokens:.1%})"
        )


def start_seen(model, tokenizer, example, params):
    """Where a reader sees the start of the answer of an example, in the first window that holds it: `StartSeen`."""
    arithmetic.use_threads(params)
    features, offsets = _windows(tokenizer, [example], params)
    row = next((row for row, start in enumerate(features["start_positions"]) if start), 0)
    with torch.inference_mode():
        logits, _ = models.span_logits(model, PadToBatch(tokenizer)([features[row]]))
    start, probabilities = features[row]["start_positions"], logits[0].softmax(-1)
    return StartSeen(
        example,
        _shares(probabilities, offsets[row, : len(probabilities)]),
        probabilities[start].item(),
        1 + int((probabilities > probabilities[start]).sum()),
        len(probabilities),
    )


def unseen_question(params):
    """A question in English, or else in any one language, of the evaluation data, about a passage in that language."""
    name = params.gate.set or params.data.evaluation_sets[0]
    same = [e for e in prepared.read_evaluation(params, name) if e.question_lang == e.context_lang]
    return next((example for example in same if example.context_lang == "en"), same[0])


def before_and_after(params):
    """`StartSeen` of the encoder with an untrained answer layer, as training begins, and of the trained reader."""
    encoder, tokenizer = models.load_reader(stages.encoder_source(params), seed=params.reader.seed)
    reader, _ = models.load_reader(layout.reader_folder(params))
    return tuple(start_seen(model, tokenizer, unseen_question(params), params) for model in (encoder, reader))


# ------------------------------------------------------------------------------------------------ 04: the loss


def settings_in_words(method):
    """What the symbols of the loss stand for in a method, one sentence in Markdown."""
    if method.coefficient is None:
        return (
            f"**{method.label}** learns from the label alone: $\\alpha_{{\\mathrm{{CE}}}}$ = {method.alpha_ce:g} and "
            "$\\alpha_{\\mathrm{KL}}$ = 0. What a teacher would say is shown below all the same."
        )
    kl = {"forward": "KL(teacher ‖ student)", "reverse": "KL(student ‖ teacher)", "symmetric": "KL both ways, added"}
    weight = {
        "constant": "$\\alpha_{\\mathrm{KL}}$ = 1, whatever the teacher says",
        "windowed_reciprocal_rank": f"$\\alpha_{{\\mathrm{{KL}}}}$ as above with k = {method.k}, Δ = {method.window}",
    }.get(method.coefficient, f"$\\alpha_{{\\mathrm{{KL}}}}$ is the {method.coefficient.replace('_', ' ')}, not 1/rank")
    view = " The teacher reads the question in the passage's language." if method.view == "parallel" else ""
    return (
        f"**{method.label}**: $\\alpha_{{\\mathrm{{CE}}}}$ = {method.alpha_ce:g}, {kl[method.direction]} at T = "
        f"{method.temperature:g}, {weight}.{view}"
    )


@dataclass(frozen=True, eq=False)
class Worked:
    """One training example with all that its loss is computed from.

    Attributes:
        example: question and passage, in two languages where the sample has such pairs.
        translation: the question in the passage's language.
        tokens: L strings.
        offsets: (L, 2) character spans in the passage, (-1, -1) elsewhere.
        truth: (2,) token positions of start and end of the answer.
        teacher: (2, L) logits of the English reader, generation 1's teacher, at the student's positions.
        student: (2, L) logits of the reader after one optimiser step on this example alone.
        method: `params.Method`.
    """

    example: Example
    translation: str
    tokens: list
    offsets: torch.Tensor
    truth: torch.Tensor
    teacher: torch.Tensor
    student: torch.Tensor
    method: Method
    compared: torch.Tensor | None

    @property
    def compared_student(self):
        """`student` where both read the same token: only a teacher with a view of its own reads others."""
        return self.student if self.compared is None else _hide(self.student, ~self.compared)

    def loss(self):
        """The loss of this example as the training computes it (`trainer.distillation_loss`)."""
        return _loss(self.student, self.teacher, self.truth, self.compared, self.method)

    def alpha(self):
        """α_KL of this example: the method's coefficient, mean of start and end; 0 for a method without a teacher."""
        if self.method.coefficient is None:
            return torch.tensor(0.0)
        score = COEFFICIENTS[self.method.coefficient]
        return score(self.teacher, self.truth, k=self.method.k, window=self.method.window).mean()

    def trust_in_words(self):
        """The coefficient, and why it is what it is."""
        if self.method.coefficient is None:
            return f"{self.method.label} has no teacher: $\\alpha_{{\\mathrm{{KL}}}}$ = 0."
        reason = {
            "constant": f", for {self.method.label} trusts its teacher always",
            "windowed_reciprocal_rank": ", the mean",
        }.get(self.method.coefficient, f", the {self.method.coefficient.replace('_', ' ')}")
        return f"$\\alpha_{{\\mathrm{{KL}}}}$ = {self.alpha():.4f}{reason}."

    # -------------------------------------------------------------------------------------------- as shown

    def shown(self):
        """Question, its translation, and the passage with its answer."""
        example = self.example
        rows = [(f"question ({example.question_lang})", passages.marked(example.question, lang=example.question_lang))]
        if self.translation != example.question:
            translated = passages.marked(self.translation, lang=example.context_lang)
            rows.append((f"the same in the passage's language ({example.context_lang})", translated))
        return passages.listed([*rows, (f"passage ({example.context_lang})", _with_answer(example))])

    def truth_table(self):
        """Token, probability p that the student gives it, and -ln p, of start and end of the answer, and their mean."""
        rows = []
        for boundary, position, logits in zip(BOUNDARIES, self.truth.tolist(), self.student, strict=True):
            p = logits.softmax(-1)[position]
            rows.append((boundary, self.tokens[position], p.item(), -p.log().item()))
        rows.append(("mean", "", float("nan"), (rows[0][3] + rows[1][3]) / 2))
        table = pd.DataFrame(rows, columns=["boundary", "token", "student p", "−ln p"])
        table = table.set_index("boundary").rename_axis(None)
        return table

    def divergence_table(self, most=10):
        """The teacher's best tokens with the softened probabilities of both, and their part of the divergence.

        The rows below are all other tokens together, the sum, and the sum times T².
        """
        parts = {}
        for index, boundary in enumerate(BOUNDARIES):
            t, s = (
                torch.softmax(logits[index] / self.method.temperature, -1).double()
                for logits in (self.teacher, self.compared_student)
            )
            terms = {"forward": _term(t, s), "reverse": _term(s, t), "symmetric": _term(t, s) + _term(s, t)}
            term = terms[self.method.direction]
            best = self.best(index, most)
            rows = [(self.tokens[p], t[p].item(), s[p].item(), term[p].item()) for p in best]
            rest = [i for i in range(len(t)) if i not in best]
            rows += [
                (f"the other {len(rest)}", t[rest].sum().item(), s[rest].sum().item(), term[rest].sum().item()),
                ("", t.sum().item(), s.sum().item(), term.sum().item()),
                ("", float("nan"), float("nan"), self.method.temperature**2 * term.sum().item()),
            ]
            name = {"forward": "t·ln(t/s)", "reverse": "s·ln(s/t)", "symmetric": "(t−s)·ln(t/s)"}
            columns = ["token", "teacher t", "student s", name[self.method.direction]]
            parts[boundary] = pd.DataFrame(rows, columns=columns)
        table = pd.concat(parts, axis=1)
        table.index = [*range(1, len(table) - 2), "rest", "sum", "sum × T²"]
        return table

    def rank_table(self):
        """The teacher's k best tokens: how far each is from the truth, and whether that counts as right."""
        parts = {}
        for index, boundary in enumerate(BOUNDARIES):
            away = [position - self.truth[index].item() for position in self.best(index, self.method.k)]
            right = [-self.method.window <= distance < self.method.window for distance in away]
            parts[boundary] = pd.DataFrame(
                {
                    "token": [self.tokens[position] for position in self.best(index, self.method.k)],
                    "from the truth": [f"{distance:+d}" if distance else "0" for distance in away],
                    "right": ["✓" if inside else "" for inside in right],
                }
            )
        table = pd.concat(parts, axis=1)
        table.index = pd.RangeIndex(1, len(table) + 1, name="rank")
        return table

    def best(self, index, most):
        """Positions of the teacher's best tokens of a boundary (0 start, 1 end), in the order of `coefficients`."""
        logits = self.teacher[index]
        order = torch.sort(logits, descending=True, stable=True).indices[:most].tolist()
        return [position for position in order if logits[position] > torch.finfo(logits.dtype).min / 2]

    def around_the_truth(self):
        """The teacher's start probabilities on the passage, with the tokens at which a start counts as right."""
        first = max(0, self.truth[0].item() - self.method.window)
        inside = [
            span for span in self.offsets[first : self.truth[0].item() + self.method.window].tolist() if span[0] >= 0
        ]
        window = passages.Span(inside[0][0], inside[-1][1], "counts as right", passages.GOLD)
        weights = _shares(self.teacher[0].softmax(-1), self.offsets)
        return passages.marked(self.example.context, [window], self.example.context_lang, weights)


def worked_example(params, method, seed):
    """One of the sampled examples of a method, the teacher's logits and those of a student after one step: `Worked`.

    Before the first step the student is its teacher, and their divergence is 0: the step makes one to be shown. Of the
    first sampled pairs with a passage in the pivot's language and another question's, it is the one whose coefficient
    is nearest to a half, the shortest of equal ones: where the teacher is right at once there is little to see.
    """
    arithmetic.use_threads(params)
    settings, parallel = params.method(method), prepared.read_parallel(params)
    sampled = samples.sampled_examples(parallel, samples.read_sample(params, seed), settings.ntl)
    pivot = params.sampling.pivot or params.sampling.languages[0]
    crossing = [e for e in sampled if e.context_lang == pivot != e.question_lang] or sampled
    examples = crossing[:LOOKED_AT]
    translations = samples.questions_in_the_passage_s_language(examples, parallel)
    model, tokenizer = models.load_reader(layout.reader_folder(params))
    features, offsets = _windows(tokenizer, examples, params)
    if settings.view == "parallel":
        for name, values in parallel_view.teacher_columns(tokenizer, examples, translations, params.features)[
            0
        ].items():
            features = features.add_column(name, values)
    found = []
    for row, start in enumerate(features["start_positions"]):
        if start:  # the window holds the answer
            inputs = PadToBatch(tokenizer)([features[row]])
            truth = torch.cat([inputs["start_positions"], inputs["end_positions"]])
            logits, compared = read_teacher(model, inputs)
            teacher = torch.cat(logits)
            score = COEFFICIENTS["windowed_reciprocal_rank"](
                teacher, truth, k=settings.k, window=settings.window
            ).mean()
            found.append((abs(score.item() - 0.5), len(inputs["input_ids"][0]), row, inputs, truth, teacher, compared))
    *_, row, inputs, truth, teacher, compared = min(found, key=lambda entry: entry[:3])
    index = int(inputs["example"])
    student = _after_one_step(model, inputs, truth, teacher, compared, settings, params, method)
    offsets = offsets[row, : teacher.shape[1]]
    tokens = _tokens(tokenizer, inputs["input_ids"][0], offsets, examples[index].context)
    return Worked(examples[index], translations[index], tokens, offsets, truth, teacher, student, settings, compared)


def _after_one_step(model, inputs, truth, teacher, compared, settings, params, method):
    """(2, L) logits of a copy of the model after a step of the optimiser of the training."""
    student, optimisation = copy.deepcopy(model), params.distillation_of(method)
    if params.encoder.frozen:
        models.freeze_word_embeddings(student)
    weights = [weight for weight in student.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(
        weights, lr=optimisation.learning_rate, betas=(0.9, optimisation.beta2), weight_decay=0.0
    )
    _loss(torch.cat(models.span_logits(student, inputs)), teacher, truth, compared, settings).backward()
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimiser.step()
    with torch.no_grad():
        return torch.cat(models.span_logits(student, inputs))


def _loss(student, teacher, truth, compared, method):
    teacher = None if method.coefficient is None else tuple(teacher[:, None])
    return distillation_loss(tuple(student[:, None]), teacher, truth[:1], truth[1:], method, compared=compared)[0]


def _hide(logits, where):
    return logits.masked_fill(where, torch.finfo(logits.dtype).min)


def _term(p, q):
    return torch.where(p > 0, p * (p / q).log(), 0.0)
