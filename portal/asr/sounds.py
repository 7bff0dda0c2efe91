"""How Chinese text sounds, roughly: syllables without tones, with the pairs that speakers and models mix up made equal.

zh/z, ch/c, sh/s and n/l at the front of a syllable are one sound, and so are ang/an, eng/en and ing/in at its end.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3007]")

_INITIALS = {"zh": "z", "ch": "c", "sh": "s"}
_FINALS = ("ang", "eng", "ing")


@lru_cache(maxsize=1)
def _pypinyin() -> Any:
    """The dictionary, loaded on first use: 0.3 s and 60 MB that only tables with pairs by sound pay."""
    import pypinyin

    return pypinyin


def rough(syllable: str) -> str:
    """One syllable without tone, such as ``zhang``, as the sound it shares with its neighbours: ``zan``."""
    for careful, careless in _INITIALS.items():
        if syllable.startswith(careful):
            syllable = careless + syllable[len(careful) :]
    if syllable.startswith("l"):
        syllable = "n" + syllable[1:]
    return syllable[:-1] if syllable.endswith(_FINALS) else syllable


def sounds_of(text: str, *, usual: bool = True) -> list[frozenset[str]]:
    """For every character of ``text`` how it may sound here: its reading in this text and, if ``usual``, its usual one.

    A character that is not Chinese sounds like itself.
    """
    in_place = _pypinyin().lazy_pinyin(text, errors=list)
    if len(in_place) != len(text):  # an entry of the dictionary for a run of characters it has no syllables for
        return [_usual(character) for character in text]
    return [
        frozenset({rough(str(here))}) | (_usual(character) if usual else frozenset())
        if CHINESE.match(character)
        else frozenset({character})
        for here, character in zip(in_place, text, strict=True)
    ]


@lru_cache(maxsize=16_384)
def _usual(character: str) -> frozenset[str]:
    if not CHINESE.match(character):
        return frozenset({character})
    return frozenset(rough(str(reading)) for reading in _pypinyin().lazy_pinyin(character, errors=list))
