"""Hotwords as token numbers, from the model's own ``seg_dict``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_CHARACTERS: Final = re.compile(r"^[\u4E00-\u9FA50-9]+$")


def read_seg_dict(path: Path) -> dict[str, tuple[str, ...]] | None:
    """Each word of ``seg_dict`` with its model tokens; None where the model has no such file (then: no hotwords)."""
    if not path.exists():
        return None
    entries: dict[str, tuple[str, ...]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            word, *tokens = line.split() or [""]
            if word:
                entries[word] = tuple(tokens)
    return entries


def encode_hotwords(
    hotwords: Sequence[str], seg_dict: Mapping[str, tuple[str, ...]], tokens: Sequence[str]
) -> list[list[int]]:
    """One list of token numbers per hotword; characters the model has no token for become ``<unk>``."""
    numbers = {token: number for number, token in enumerate(tokens)}
    unknown = numbers["<unk>"]
    return [[numbers.get(piece, unknown) for piece in _pieces(word.lower(), seg_dict)] for word in hotwords]


def _pieces(word: str, seg_dict: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if word in seg_dict:
        return seg_dict[word] or ("<unk>",)
    if _CHARACTERS.match(word):
        return tuple(piece for character in word for piece in seg_dict.get(character, ("<unk>",)))
    return ("<unk>",)
