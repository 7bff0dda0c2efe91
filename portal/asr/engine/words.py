"""From model tokens to written words. Free of torch.

A Chinese character is a word; ``@@`` joins the pieces of an English word; single letters spoken one after another
become one abbreviation in capitals (``a p i`` is written ``API``), as FunASR writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from portal.asr.types import Word

_SILENT: Final = frozenset({"<s>", "</s>", "<unk>", "<OOV>", "<blank>", "<nobias>", ""})


def words_of(tokens: Sequence[Word]) -> tuple[Word, ...]:
    """Join tokens, each with its own times and confidence, into words. Marks such as ``<unk>`` are left out."""
    pieces = _join_pieces([token for token in tokens if token.text.strip() not in _SILENT])
    words: list[Word] = []
    letters: list[Word] = []
    for piece in pieces:
        if _is_letter(piece.text):
            letters.append(piece)
            continue
        words += _abbreviation(letters)
        letters = []
        words.append(piece)
    return tuple(words + _abbreviation(letters))


def _join_pieces(tokens: Sequence[Word]) -> list[Word]:
    joined: list[Word] = []
    held: list[Word] = []
    for token in tokens:
        continues = token.text.endswith("@@")
        text = token.text.removesuffix("@@").replace(" ", "")
        if held and not (text.isascii() and text.replace("'", "").isalpha()):
            # the model broke a word off: what was said of it stays a word
            joined.append(_merge(held))
            held = []
        held.append(Word(text, token.begin_ms, token.end_ms, token.confidence))
        if not continues:
            joined.append(_merge(held))
            held = []
    if held:
        joined.append(_merge(held))
    return [word for word in joined if word.text]


def _is_letter(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text.isalpha()


def _abbreviation(letters: Sequence[Word]) -> list[Word]:
    if len(letters) < 2:
        return list(letters)
    word = _merge(letters)
    return [Word(word.text.upper(), word.begin_ms, word.end_ms, word.confidence)]


def _merge(parts: Sequence[Word]) -> Word:
    """One word from its parts; it is as sure as the least sure of them."""
    known = [part.confidence for part in parts if part.confidence is not None]
    text = "".join(part.text for part in parts)
    return Word(text, parts[0].begin_ms, parts[-1].end_ms, min(known) if known else None)
