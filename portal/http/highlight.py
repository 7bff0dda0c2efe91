"""Searched words marked in what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import Flask
from markupsafe import Markup, escape

_BEFORE, _AFTER = 24, 60
"""How much of a sentence is shown around the first found word (characters)."""


def _pattern(terms: Sequence[str]) -> re.Pattern[str] | None:
    longest_first = sorted(filter(None, terms), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if longest_first else None


def marked(text: str, terms: Sequence[str]) -> Markup:
    """The text, escaped, with each found word inside ``<mark>``."""
    pattern = _pattern(terms)
    if pattern is None:
        return escape(text)
    parts: list[Markup] = []
    at = 0
    for found in pattern.finditer(text):
        parts += [escape(text[at : found.start()]), Markup("<mark>{}</mark>").format(found.group())]
        at = found.end()
    return Markup("").join([*parts, escape(text[at:])])


def around(text: str, terms: Sequence[str]) -> Markup:
    """The neighbourhood of the first found word, marked; whole sentences that are short."""
    pattern = _pattern(terms)
    found = pattern.search(text) if pattern else None
    start = max(0, (found.start() if found else 0) - _BEFORE)
    end = min(len(text), (found.end() if found else 0) + _AFTER)
    shown = ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
    return marked(shown, terms)


def file_stem(name: str) -> str:
    """A file name without its extension."""
    return name.rpartition(".")[0] or name


def init_app(app: Flask) -> None:
    """Attach the filters."""
    app.jinja_env.filters.update(marked=marked, around=around, file_stem=file_stem)
