"""Which words a recognition model can spell. Free of torch: the web asks before anybody relies on a hotword.

A model knows hotwords only as its own tokens, through the ``seg_dict`` beside it. FunASR takes a word that it can't
spell for one unknown token and says nothing: that word will never be recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

LARGEST: Final = 16 * 1024**2
"""Bytes of a file that is still read; the real ones have less than one MiB."""
_CHARACTERS: Final = re.compile(r"^[\u4E00-\u9FA50-9]+$")
UNKNOWN: Final = "<unk>"


@dataclass(frozen=True, slots=True)
class Unspellable:
    """A hotword that the model can't spell. ``characters``: those without a token; empty when the word as a whole, in
    Latin script or mixed, is not in the model's dictionary."""

    word: str
    characters: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What one model can spell with."""

    seg_dict: Mapping[str, tuple[str, ...]]
    tokens: frozenset[str]

    def unspellable(self, words: Iterable[str]) -> tuple[Unspellable, ...]:
        """The words that will never be recognised, in order."""
        found = []
        for word in words:
            if any(piece not in self.tokens for piece in pieces(word.lower(), self.seg_dict)):
                lacking = dict.fromkeys(c for c in word if _CHARACTERS.match(c) and not self._spells(c))
                found.append(Unspellable(word, "".join(lacking)))
        return tuple(found)

    def _spells(self, character: str) -> bool:
        return all(piece in self.tokens for piece in pieces(character, self.seg_dict))


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


def pieces(word: str, seg_dict: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The tokens of a lower-case word as FunASR finds them."""
    if word in seg_dict:
        return seg_dict[word] or (UNKNOWN,)
    if _CHARACTERS.match(word):
        return tuple(piece for character in word for piece in seg_dict.get(character, (UNKNOWN,)))
    return (UNKNOWN,)


def vocabulary_of(folder: Path) -> Vocabulary | None:
    """The vocabulary of a model's folder; None where it can't be read here or the model takes no such hotwords."""
    try:
        marks = tuple((folder / name).stat() for name in ("seg_dict", "tokens.json"))
    except OSError:
        return None
    if max(mark.st_size for mark in marks) > LARGEST:
        return None
    return _read(folder, tuple((mark.st_mtime_ns, mark.st_size) for mark in marks))


@lru_cache(maxsize=4)
def _read(folder: Path, _marks: tuple[tuple[int, int], ...]) -> Vocabulary | None:
    try:
        tokens = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
        seg_dict = read_seg_dict(folder / "seg_dict")
    except (OSError, ValueError):
        return None
    if seg_dict is None or not isinstance(tokens, list):
        return None
    return Vocabulary(seg_dict, frozenset(str(token) for token in tokens) - {UNKNOWN})
