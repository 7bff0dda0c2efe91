"""Which characters sound the same, according to espeak-ng (tones included)."""

from __future__ import annotations

import re
from functools import cache

from .synthesis import phonemes

_STRESS = re.compile(r"[',;]")


@cache
def sound(character: str) -> str:
    """The phonemes of one hanzi; a letter sounds like itself only ("#a")."""
    if character.isascii():
        return "#" + character
    # After 一 as a carrier: alone, espeak reads some characters differently.
    parts = [p for p in _STRESS.sub("", phonemes("一" + character)).replace(" ", "").split("_|") if p]
    return parts[-1]


def sound_classes(vocabulary: list[str]) -> list[int]:
    """The class of every token: equal numbers sound the same. Special tokens (`<...>`) stand alone."""
    classes: dict[str, int] = {}
    return [classes.setdefault(token if token.startswith("<") else sound(token), len(classes)) for token in vocabulary]


def members(classes: list[int]) -> dict[int, list[int]]:
    """Token ids of each class."""
    found: dict[int, list[int]] = {}
    for token, number in enumerate(classes):
        found.setdefault(number, []).append(token)
    return found
