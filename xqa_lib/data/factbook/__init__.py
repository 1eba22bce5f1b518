"""factbook: a parallel extractive-QA corpus that the project generates itself, in 17 languages (see `corpus`)."""

from .corpus import SPLITS, cross_lingual, examples_of, generate, stated_answers, type_guess_baseline
from .language_files import available_languages, language_problems, load_language
from .review import show_languages

__all__ = [
    "SPLITS",
    "available_languages",
    "cross_lingual",
    "examples_of",
    "generate",
    "language_problems",
    "load_language",
    "show_languages",
    "stated_answers",
    "type_guess_baseline",
]
