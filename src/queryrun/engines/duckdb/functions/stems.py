"""word_stem: Snowball's algorithms, as Trino has them, by languages of two letters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from queryrun.engines.duckdb.functions.registry import InputError, worker_function

_LANGUAGES = {
    "ca": "catalan", "da": "danish", "de": "german", "en": "english", "es": "spanish",
    "eu": "basque", "fi": "finnish", "fr": "french", "hu": "hungarian", "hy": "armenian",
    "ir": "irish", "it": "italian", "lt": "lithuanian", "nl": "dutch", "no": "norwegian",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish",
}  # fmt: skip


@worker_function("qr_word_stem(VARCHAR, VARCHAR) -> VARCHAR")
def _word_stem(word: str, language: str) -> str:
    if language not in _LANGUAGES:
        raise InputError(f"Unknown stemmer language: {language}")
    return _stemmer(_LANGUAGES[language])(word)


@cache
def _stemmer(algorithm: str) -> Callable[[str], str]:
    """Imported when it is first used: it brings every language."""
    stem: Callable[[str], str] = import_module("snowballstemmer").stemmer(algorithm).stemWord
    return stem
