"""Cross-lingual sampling: which parallel examples are trained on, in which (question, context) language pairs.

Paper section "cross-lingual sampling" (arXiv 2309.17134). The released code draws from a Python `set`, so that it makes
other training data on every run; here the draw is a function of the seed, the id and the language codes alone.
"""

import hashlib

KEY = ["id", "question_lang", "context_lang"]  # what tells an example from all others, in every table


def pseudo_random_key(seed, *parts):
    """A sort key drawn from seed and parts. SHA-256, for `random.sample` may change between Python versions."""
    key = "\x1f".join(str(part) for part in (seed, *parts))
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def draw_ids(ids, count, *, seed):
    """Draw `count` of the ids (all if 0), in their order; fewer ids are a part of more ids of the same seed.

    Args:
        ids: iterable of distinct ids.
        count: how many, an integer >= 0.
        seed: integer or string.

    Returns:
        List of ids.

    Raises:
        ValueError: a count below 0, or of more ids than there are.
    """
    ids = list(ids)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(ids):
        raise ValueError(f"count must be an integer from 0 (all) to the number of ids, {len(ids)}, got {count!r}")
    if not count:
        return ids
    drawn = set(sorted(ids, key=lambda example_id: pseudo_random_key(seed, "ids", example_id))[:count])
    return [example_id for example_id in ids if example_id in drawn]


def sample_pairs(ids_to_languages, *, languages, ntl, seed, pivot="en"):
    """Draw target languages for each id and emit all pairs of the drawn languages.

    For each id, `ntl` target languages are drawn without replacement from `languages` without the pivot; with
    S = targets + pivot, all |S|**2 pairs (question language, context language) are emitted. `ntl` >= |languages| - 1
    (without a pivot >= |languages|) gives all |languages|**2 pairs; `ntl` = 0 the same-language pairs of all languages
    and no others.
    On XQuAD (1,190 ids, 7 languages), ntl 0...6: 8,330 / 4,760 / 10,710 / 19,040 / 29,750 / 42,840 / 58,310 pairs.

    The draw of an id depends on seed, id and language codes only: the same on every platform and Python version, in
    any order of the mapping, and the targets for a smaller `ntl` are a subset of those for a larger one.

    Args:
        ids_to_languages: mapping id -> the languages in which the example exists.
        languages: the languages to draw from, in the order in which pairs are emitted.
        ntl: number of target languages, an integer >= 0.
        seed: integer or string.
        pivot: the language that always takes part; None draws all of S, `ntl` languages, from all of `languages`.

    Returns:
        List of (id, question_lang, context_lang), ids in the order of the mapping.

    Raises:
        ValueError: ntl is not an integer >= 0, a pivot that is not one of
            `languages`, a repeated language, or an id that lacks one of the languages.
    """
    languages = list(languages)
    if len(set(languages)) != len(languages) or not languages:
        raise ValueError(f"languages must be distinct and at least one, got {languages}")
    if isinstance(ntl, bool) or not isinstance(ntl, int) or ntl < 0:
        raise ValueError(f"ntl (number of target languages) must be an integer >= 0, got {ntl!r}")
    if pivot is not None and pivot not in languages:
        raise ValueError(f"the pivot {pivot!r} is not one of the languages {languages}; name one of them, or None")
    pairs = []
    for example_id, available in ids_to_languages.items():
        missing = [language for language in languages if language not in available]
        if missing:
            raise ValueError(
                f"id {example_id!r} has no version in {', '.join(missing)}; expected all of {', '.join(languages)}: "
                "drop the id or the language"
            )
        if ntl == 0:
            pairs += [(example_id, language, language) for language in languages]
            continue
        candidates = [language for language in languages if language != pivot]
        candidates.sort(key=lambda language: pseudo_random_key(seed, example_id, language))
        chosen = {pivot, *candidates[:ntl]}
        drawn = [language for language in languages if language in chosen]
        pairs += [(example_id, question, context) for question in drawn for context in drawn]
    return pairs
