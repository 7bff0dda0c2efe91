"""Text that a model wrote with its own marks, back into words and the mark after each. Free of torch.

Joined again the words and marks give the same text, but for spaces and the width of marks.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from portal.asr.types import Word

_MARKS: Final = {
    **{mark: mark for mark in "。？！，、；："},
    **dict(zip(".?!,;:", "。？！，；：", strict=True)),
    **dict(zip("｡؟।،؛", "。？。，；", strict=True)),
}
"""Marks as the portal writes them; pages write them narrow again in Western sentences."""
_STOPS: Final = "。？！"
_OPENING: Final = "（(《〈「『【［[{“‘¿¡<"
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x312F),  # radicals, kana, bopomofo
    (0x31A0, 0x33FF),
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x323AF),
)
"""Scripts without spaces between words: a character is a word there."""


def words_and_marks(characters: Sequence[Word]) -> tuple[tuple[Word, ...], tuple[str, ...]]:
    """Join single characters, each with its times and confidence, into words; second: '' or the mark after each.

    White space divides words; a character of a script without spaces is a word of its own. Brackets and quotes stay
    with the word they enclose. Points, commas and colons inside numbers and abbreviations (``3.5``, ``U.S.``) are no
    marks.
    """
    words: list[Word] = []
    marks: list[str] = []
    held: list[Word] = []
    before = ""

    def close() -> None:
        if held:
            words.append(_merge(held))
            marks.append("")
            held.clear()

    for index, character in enumerate(characters):
        text = character.text
        after = characters[index + 1].text if index + 1 < len(characters) else ""
        if text.isspace() or not text:
            close()
        elif text in _MARKS and not _inside(before, text, after):
            close()
            if marks:
                marks[-1] = _stronger(marks[-1], _MARKS[text])
        elif text in _OPENING:
            close()
            held.append(character)
        elif _joins(text, held):
            held.append(character)
        elif _trails(text) and words and not held and not before.isspace():
            words[-1] = _merge([words[-1], character])
        else:
            if held and not _only_opening(held):
                close()
            held.append(character)
            if _unspaced(text):
                close()
        before = text
    close()
    return tuple(words), tuple(marks)


def _inside(before: str, mark: str, after: str) -> bool:
    """Whether ``mark`` belongs to a number, a time or an abbreviation: letters or digits touch it on both sides."""
    if mark not in ".,:" or not (before.isascii() and after.isascii() and before.isalnum() and after.isalnum()):
        return False
    return mark == "." or (before.isdigit() and after.isdigit())


def _stronger(old: str, new: str) -> str:
    """One mark stands for several in a row: the first that ends a sentence, or else the first."""
    return new if not old or (new in _STOPS and old not in _STOPS) else old


def _joins(text: str, held: Sequence[Word]) -> bool:
    """Whether a character goes on the word that is open."""
    return bool(held) and not _only_opening(held) and not _unspaced(text)


def _trails(text: str) -> bool:
    """Signs that stay with the word before them although it is closed: 》, %, combining accents."""
    return not text.isalnum()


def _only_opening(held: Sequence[Word]) -> bool:
    return all(word.text in _OPENING for word in held)


def _unspaced(text: str) -> bool:
    return any(low <= ord(text[0]) <= high for low, high in _UNSPACED) and not unicodedata.category(text).startswith(
        ("P", "S")
    )


def _merge(parts: Sequence[Word]) -> Word:
    """One word; it is as sure as the least sure of its parts."""
    known = [part.confidence for part in parts if part.confidence is not None]
    text = "".join(part.text for part in parts)
    return Word(text, parts[0].begin_ms, parts[-1].end_ms, min(known) if known else None)
