"""Spoken Chinese numbers become written ones (二零二五年三月十五号 → 2025年3月15日), and every word keeps its times.

wetext (Apache-2.0) finds which stretches of a clause are numbers, dates, money; its own spelling (2025/03/15, ¥1234,
6.8km) is not how Chinese minutes are written, so only the numerals inside a stretch are replaced and the units stay as
spoken. Idioms, approximate numbers and fractions stay in characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from portal.asr.itn_numbers import NUMERALS, Change, written
from portal.asr.types import Word

_NUMERAL = re.compile(f"[{NUMERALS}]")
_UNSAFE = re.compile(r'["\\]')  # wetext's mapping answers these escaped, which moves every offset
_STAY = re.compile(
    f"(?<![{NUMERALS}点])(?:"
    "万一|一等(?!于)|三心二意|二百五(?![十百])|百分百|千万(?=别|不|要|得|记|小)|十分(?![钟之秒]|$)|十足|十字|十全十美|十有八九"
    "|十之八九|十拿九稳|十万火急|百万富翁|千万富翁|亿万|成千上万|三十而立|四十不惑|三十六计|七十二变|十一(?=假期|长假|黄金周|国庆)"
    "|双十一|国庆十一|一千零一夜|九九乘法|一五一十|三七二十一|十来|十几|十多|十余|十里|几十|数十(?![一二三四五六七八九])|八九不离十|三三两两|七七八八|百里|千里|万里|百年好合|百分制|一百单八"
    "|五一|六一儿童|七一建党|八一建军|一二九|九一八|三八妇女|百科|百姓|百货|万能|万岁|万事|万分|万物)"
)
_DAYPART = "凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|今早|明早|今晚|明晚"
_CLOCK = re.compile(f"(?<={_DAYPART})[一二两三四五六七八九十]{{1,3}}点(?![零二三四五六七八九十])")
_NOT_NUMBERS = frozenset({"fraction"})


@lru_cache(maxsize=1)
def _wetext() -> Any:
    """The normalizer, loaded on first use: 0.2 s and 20 MB that a recording without numbers does not pay."""
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="itn")


def normalise(words: Sequence[Word], marks: Sequence[str]) -> tuple[tuple[Word, ...], tuple[str, ...]]:
    """Write the numbers in ``words`` with digits. ``marks`` holds the punctuation after each word.

    Words that became one number are merged: first begin, last end, mean confidence. Nothing else changes: every word's
    time lies inside exactly one word of the result.
    """
    out_words: list[Word] = []
    out_marks: list[str] = []
    for begin, end in _clauses(marks):
        merged = _clause(words[begin:end])
        out_words += merged
        out_marks += [""] * (len(merged) - 1) + [marks[end - 1]]
    return tuple(out_words), tuple(out_marks)


def itn_text(text: str) -> str:
    """The same for a bare clause of text, for replacements and tests."""
    return "".join(word.text for word in _clause([Word(c, 0, 0) for c in text]))


def _clauses(marks: Sequence[str]) -> Iterator[tuple[int, int]]:
    begin = 0
    for index, mark in enumerate(marks):
        if mark or index == len(marks) - 1:
            yield begin, index + 1
            begin = index + 1


def _clause(words: Sequence[Word]) -> list[Word]:
    text, offsets = _joined(words)
    changes = _changes(text) if _NUMERAL.search(text) and not _UNSAFE.search(text) else []
    return _merge(words, offsets, text, changes) if changes else list(words)


def _joined(words: Sequence[Word]) -> tuple[str, list[int]]:
    """The clause as one string, and where each word begins in it. Latin words are kept apart by a space."""
    text, offsets = "", []
    for word in words:
        if text and _latin(text[-1]) and _latin(word.text[:1]):
            text += " "
        offsets.append(len(text))
        text += word.text
    return text, offsets


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _changes(text: str) -> list[Change]:
    """What to replace in ``text``: changes in order, none overlapping."""
    normalizer = _wetext()
    spans = [(m.start(), m.end(), "time") for m in _CLOCK.finditer(text)]
    if normalizer.normalize(text) != text:  # ten times faster than the mapping; most clauses end here
        found = normalizer.normalize_with_mapping(text).mappings
        spans += [(m.input_start, m.input_end, m.token_type) for m in found if not _keep(m.token_type, text, m)]
    blocked = [m.span() for m in _STAY.finditer(text)]
    changes: list[Change] = []
    for begin, end, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
        if any(begin < b and a < end for a, b in blocked) or (changes and begin < changes[-1].end):
            continue
        changes += written(text, begin, end, kind)
    return changes


def _keep(kind: str, text: str, mapping: Any) -> bool:
    """True for stretches that read better in characters: fractions, and 五六十人, which wetext would make 50~60人."""
    spoken = text[mapping.input_start : mapping.input_end]
    if kind in _NOT_NUMBERS or text[mapping.input_end : mapping.input_end + 2] == "分之":
        return True
    return "~" in mapping.output_text and not re.search("[到至]", spoken)


def _merge(words: Sequence[Word], offsets: Sequence[int], text: str, changes: Sequence[Change]) -> list[Word]:
    ends = [*offsets[1:], len(text)]
    out: list[Word] = []
    index = 0
    pending = list(changes)
    while index < len(words):
        last, used = index, 0
        while used < len(pending) and pending[used].begin < ends[last]:  # grows while changes reach into further words
            while ends[last] < pending[used].end:
                last += 1
            used += 1
        if used:
            out.append(_group(words[index : last + 1], _apply(text, offsets[index], ends[last], pending[:used])))
            del pending[:used]
        else:
            out.append(words[index])
        index = last + 1
    return out


def _apply(text: str, begin: int, end: int, changes: Sequence[Change]) -> str:
    parts, position = [], begin
    for change in changes:
        parts += [text[position : change.begin], change.text]
        position = change.end
    return "".join([*parts, text[position:end]]).strip()


def _group(words: Sequence[Word], text: str) -> Word:
    known = [word.confidence for word in words if word.confidence is not None]
    confidence = sum(known) / len(known) if known else None
    return Word(text, words[0].begin_ms, max(word.end_ms for word in words), confidence)
