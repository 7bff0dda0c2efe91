"""What people write as a wrong→right pair, checked; pasted lines as pairs; and a table tried on a text."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from portal.asr.replacements import Replacer, canonical
from portal.asr.sounds import CHINESE
from portal.asr.types import Replacement

PairProblemCode = Literal[
    "NO_ARROW", "EMPTY", "TOO_SHORT", "TOO_LONG", "BAD_CHARACTER", "SAME", "TWICE", "NOT_CHINESE", "TOO_MANY"
]

SHORTEST: Final = 2
"""Characters of a wrong spelling at least: a single one stands in far too many words."""
LONGEST_LINE: Final = 512
"""Characters of a line at most, spaces included: looking for an arrow may take the square of it."""
_SHOWN = 40  # characters of a refused line that go into a message
_SPACES = re.compile(r"\s+")
_ARROWS = re.compile(r"\s*(?:→|⇒|=+>|-+>|＝>|=>)\s*")
_COMMAS = re.compile(r"\s*[\t,，]\s*")
_WESTERN = r"[0-9A-Za-z]+(?:[\-_.+&'’/@][0-9A-Za-z]+)*[+%]*"
_UNIT = re.compile(f"{CHINESE.pattern}|{_WESTERN}")
_MARKS = frozenset("，。、；：？！,;?!")


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair as it will be kept."""

    wrong: str
    right: str


@dataclass(frozen=True, slots=True)
class PairProblem:
    """Why a line can't be used. ``line`` counts from 1; ``text`` is what was written, shortened.

    ``NO_ARROW``: not two sides; ``EMPTY``: a side is; ``TOO_SHORT``: the wrong one is a single character; ``TOO_LONG``;
    ``BAD_CHARACTER``: ``detail`` is the first; ``SAME``: both sides are equal; ``TWICE``: an earlier line has another
    right side; ``NOT_CHINESE``: matching by sound needs two Chinese characters; ``TOO_MANY``: beyond the limit.
    """

    line: int
    text: str
    code: PairProblemCode
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PairCheck:
    """Pairs fit to be kept, each wrong spelling once, and the lines that are not."""

    pairs: tuple[Pair, ...]
    problems: tuple[PairProblem, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """A run of the tried text. ``heard`` is what stood there when the table changed it, else None."""

    text: str
    heard: str | None = None


def parse_pairs(raw: str, *, near: bool = False, max_pairs: int = 1_000, max_length: int = 16) -> PairCheck:
    """Read lines such as ``新兰→星澜``, ``新兰 -> 星澜``, ``新兰,星澜``, or two columns; empty ones are skipped.

    Args:
        near: the pairs are to match by sound, which asks more of them.
        max_length: characters of either side.
    """
    found: dict[str, Pair] = {}
    problems: list[PairProblem] = []
    for number, line in enumerate(raw.splitlines(), 1):
        if not (shown := _visible(line).strip()):
            continue
        fits = len(line) <= LONGEST_LINE
        parts = _sides(line) if fits else None
        problem: tuple[PairProblemCode] | tuple[PairProblemCode, str] | None = ("NO_ARROW",) if fits else ("TOO_LONG",)
        if parts is not None:
            pair = clean_pair(*parts)
            key = canonical(pair.wrong)
            problem = check_pair(pair, near=near, max_length=max_length)
            if problem is None and key in found:
                problem = None if found[key] == pair else ("TWICE",)
            elif problem is None and len(found) >= max_pairs:
                problem = ("TOO_MANY",)
            if problem is None:
                found.setdefault(key, pair)
        if problem is not None:
            problems.append(PairProblem(number, shown[:_SHOWN], *problem))
    return PairCheck(tuple(found.values()), tuple(problems))


def clean_pair(wrong: str, right: str) -> Pair:
    """The two sides without what can't be seen, ``wrong`` besides in plain forms (NFKC), as recognition writes it."""
    return Pair(
        _tidy(unicodedata.normalize("NFKC", _visible(wrong)[:256])),
        _tidy(_visible(right)[:256]),
    )


def check_pair(
    pair: Pair, *, near: bool, max_length: int
) -> tuple[PairProblemCode] | tuple[PairProblemCode, str] | None:
    """What is wrong with a cleaned pair: a code, sometimes with the character it is about; None for a good one."""
    bare = _UNIT.sub("", pair.wrong).replace(" ", "")
    if not pair.wrong or not pair.right:
        return ("EMPTY",)
    if bare:
        return "BAD_CHARACTER", bare[0]
    if unfit := next((c for c in pair.right if c in _MARKS or unicodedata.category(c) in ("Zl", "Zp")), None):
        return "BAD_CHARACTER", unfit
    if max(len(pair.wrong), len(pair.right)) > max_length:
        return ("TOO_LONG",)
    if len(pair.wrong.replace(" ", "")) < SHORTEST:
        return ("TOO_SHORT",)
    if pair.wrong == pair.right:
        return ("SAME",)
    if near and len(CHINESE.findall(pair.wrong)) < SHORTEST:
        return ("NOT_CHINESE",)
    return None


def try_on(text: str, pairs: Sequence[Replacement]) -> tuple[Tried, ...]:
    """``text`` with the table applied, in runs; joined they are the new text, with ``heard`` in place the old one."""
    places = list(_UNIT.finditer(text))
    words = [place.group() for place in places]
    between = [text[place.end() : after.start()] for place, after in itertools.pairwise(places)]
    stops = [*(bool(gap.strip()) for gap in between), True][: len(places)]
    runs: list[Tried] = []
    at = 0
    for match in Replacer(pairs).find(words, stops):
        begin, end = places[match.begin].start(), places[match.end - 1].end()
        if begin > at:
            runs.append(Tried(text[at:begin]))
        runs.append(Tried(match.pair.right, text[begin:end]))
        at = end
    return (*runs, Tried(text[at:])) if at < len(text) else tuple(runs)


def _sides(line: str) -> tuple[str, str] | None:
    # a run of spaces would be looked at again from each of them
    short = _SPACES.sub(lambda run: "\t" if "\t" in run.group() else " ", line.strip())
    for separator in (_ARROWS, _COMMAS):
        parts = separator.split(short)
        if len(parts) == 2:
            return parts[0], parts[1]
        if len(parts) > 2:
            return None
    return None


def _visible(text: str) -> str:
    """Without control, format (bidirectional, zero-width) and unassigned characters; a tab counts as space."""
    return "".join(c for c in text.replace("\t", " ") if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


def _tidy(text: str) -> str:
    return " ".join(text.split())
