"""The wrong→right table, applied to recognised words: what a department knows to be misheard is written right.

The words of one sentence are read from left to right; at each place the longest pair that fits wins, a pair by letters
before one by sound, an earlier one before a later. What was written is not read again. A match never crosses a
punctuation mark and begins and ends with whole words, so that ``and`` is not found in ``brand``. The first word still
begins and the last one still ends when it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from portal.asr.itn import itn_text
from portal.asr.sounds import CHINESE, sounds_of
from portal.asr.types import Replacement, Substitution, Word

MOST_PER_RECORDING: Final = 2_000
"""Pairs that one recording may use; the surplus is left out, last first."""


@dataclass(frozen=True, slots=True)
class Match:
    """Words ``[begin, end)`` are to be written as ``pair`` says. ``near``: they only sound like it."""

    begin: int
    end: int
    pair: Replacement
    near: bool = False


class Replacer:
    """A table made ready for searching."""

    def __init__(self, pairs: Sequence[Replacement]) -> None:
        """The more important pairs come first. Numbers are looked for as spoken and as ITN writes them."""
        self._exact: dict[str, Replacement] = {}
        self._near: dict[str, list[tuple[tuple[frozenset[str], ...], Replacement]]] = {}
        for pair in pairs[:MOST_PER_RECORDING]:
            for wrong in _spellings(pair.wrong):
                self._exact.setdefault(wrong, pair)
            if pair.near:
                wanted = units_of(pair.wrong)
                sounds = tuple(_unit_sounds(wanted, [False] * len(wanted), usual=False))
                for first in sounds[0] if sounds else ():
                    self._near.setdefault(first, []).append((sounds, pair))
        for candidates in self._near.values():
            candidates.sort(key=lambda candidate: -len(candidate[0]))  # stable: earlier pairs stay ahead
        self._longest = max(map(len, self._exact), default=0)

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._exact)

    def find(self, units: Sequence[str], stops: Sequence[bool]) -> list[Match]:
        """What to replace in ``units``, words in a row; ``stops`` says after which of them a mark stands.

        In order, none overlapping. A run that is already written right is passed over as a whole.
        """
        sounds = _unit_sounds(units, stops) if self._near else []
        found: list[Match] = []
        at = 0
        while at < len(units):
            match = self._at(units, stops, sounds, at)
            if match is None:
                at += 1
                continue
            if spelled(units[match.begin : match.end]) != match.pair.right:
                found.append(match)
            at = match.end
        return found

    def apply(
        self, words: Sequence[Word], marks: Sequence[str]
    ) -> tuple[tuple[Word, ...], tuple[str, ...], tuple[Substitution, ...]]:
        """Write the words of a sentence right. ``marks`` holds the punctuation after each word."""
        out_words: list[Word] = []
        out_marks: list[str] = []
        made: list[Substitution] = []
        done = 0
        for match in self.find([word.text for word in words], [bool(mark) for mark in marks]) if self else ():
            heard = words[match.begin : match.end]
            written = _written(heard, match.pair.right)
            out_words += [*words[done : match.begin], *written]
            out_marks += [*marks[done : match.begin], *[""] * (len(written) - 1), marks[match.end - 1]]
            made.append(_record(heard, match, len(out_words) - len(written)))
            done = match.end
        return (*out_words, *words[done:]), (*out_marks, *marks[done:]), tuple(made)

    def _at(
        self, units: Sequence[str], stops: Sequence[bool], sounds: Sequence[frozenset[str]], begin: int
    ) -> Match | None:
        exact = self._exact_at(units, stops, begin)
        near = self._near_at(stops, sounds, begin) if sounds else None
        if exact is None or near is None:
            return exact or near
        return near if near.end > exact.end else exact

    def _exact_at(self, units: Sequence[str], stops: Sequence[bool], begin: int) -> Match | None:
        best: Match | None = None
        text = ""
        for end in range(begin + 1, len(units) + 1):
            text = _joined(text, units[end - 1].casefold())
            if len(text) > self._longest:
                break
            if (pair := self._exact.get(text)) is not None:
                best = Match(begin, end, pair)
            if stops[end - 1]:
                break
        return best

    def _near_at(self, stops: Sequence[bool], sounds: Sequence[frozenset[str]], begin: int) -> Match | None:
        best: tuple[int, Replacement] | None = None
        for first in sorted(sounds[begin]):
            for wanted, pair in self._near.get(first, ()):
                if best is not None and len(wanted) <= best[0]:
                    break  # the longest come first
                if _fits(wanted, sounds, stops, begin):
                    best = (len(wanted), pair)
                    break
        return Match(begin, begin + best[0], best[1], near=True) if best else None


def _fits(
    wanted: Sequence[frozenset[str]], sounds: Sequence[frozenset[str]], stops: Sequence[bool], begin: int
) -> bool:
    end = begin + len(wanted)
    if end > len(sounds) or any(stops[begin : end - 1]):
        return False
    return all(here & asked for here, asked in zip(sounds[begin:end], wanted, strict=True))


def units_of(text: str) -> list[str]:
    """A spelling as recognition would give it word by word: each Chinese character, each run of others."""
    units: list[str] = []
    for piece in text.split():
        fresh = True
        for character in piece:
            chinese = CHINESE.match(character) is not None
            if chinese or fresh:
                units.append(character)
            else:
                units[-1] += character
            fresh = chinese
    return units


def spelled(units: Sequence[str]) -> str:
    """Words in a row as text: a space between two Western ones."""
    text = ""
    for unit in units:
        text = _joined(text, unit)
    return text


def canonical(text: str) -> str:
    """The form under which spellings are compared: no difference of case, spaces only between Western words."""
    return spelled([unit.casefold() for unit in units_of(text)])


def _joined(left: str, right: str) -> str:
    apart = left and right and not CHINESE.match(left[-1]) and not CHINESE.match(right[0])
    return f"{left} {right}" if apart else left + right


def _spellings(wrong: str) -> Iterator[str]:
    yield canonical(wrong)
    if not any(character.isascii() for character in wrong) and (written := itn_text(wrong)) != wrong:
        yield canonical(written)


def _unit_sounds(units: Sequence[str], stops: Sequence[bool], *, usual: bool = True) -> list[frozenset[str]]:
    """How each word sounds. Chinese characters are read in the run they stand in; other words sound like themselves."""
    sounds: list[frozenset[str]] = []
    run = ""
    for unit, stop in zip(units, stops, strict=True):
        chinese = len(unit) == 1 and CHINESE.match(unit) is not None
        run += unit if chinese else ""
        if run and (stop or not chinese):
            sounds += sounds_of(run, usual=usual)
            run = ""
        if not chinese:
            sounds.append(frozenset({unit.casefold()}))
    return sounds + (sounds_of(run, usual=usual) if run else [])


def _written(heard: Sequence[Word], right: str) -> list[Word]:
    """``right`` as words over the time of ``heard``: character by character where it is all Chinese."""
    begin, end = heard[0].begin_ms, max(word.end_ms for word in heard)
    known = [word.confidence for word in heard if word.confidence is not None]
    confidence = sum(known) / len(known) if known else None
    if not all(CHINESE.match(character) for character in right):
        return [Word(right, begin, end, confidence)]
    if len(right) == len(heard):
        return [Word(new, old.begin_ms, old.end_ms, old.confidence) for new, old in zip(right, heard, strict=True)]
    edges = [begin + (end - begin) * index // len(right) for index in range(len(right) + 1)]
    return [Word(new, edges[i], edges[i + 1], confidence) for i, new in enumerate(right)]


def _record(heard: Sequence[Word], match: Match, word: int) -> Substitution:
    text = spelled([word.text for word in heard])
    end = max(word.end_ms for word in heard)
    return Substitution(heard[0].begin_ms, end, text, match.pair.right, match.pair.id, word, match.near)
