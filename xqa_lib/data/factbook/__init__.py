"""factbook: a parallel extractive-QA corpus that the project generates itself, in 17 languages (see `corpus`)."""

from .corpus import SPLITS, cross_lingual, examples_of, generate, stated_answers, type_guess_baseline
from .language_files import available_languages, language_problems, load_language

__all__ = [
    "SPLITS",
    "available_languages",
    "cross_lingual",
    "examples_of",
    "generate",
    "language_problems",
    "load_language",
    "stated_answers",
    "type_guess_baseline",
]
