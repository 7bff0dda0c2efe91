"""Whether two arms wrote the same: words, and the times of words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

MAX_EXAMPLES = 1_000
"""Differences named; on a GPU every one is meant to be looked at."""


@dataclass(slots=True)
class Count:
    """``equal`` of ``of``."""

    equal: int = 0
    of: int = 0

    def add(self, equal: bool) -> None:
        """Count one more."""
        self.of += 1
        self.equal += equal

    def to_json(self) -> dict[str, int]:
        """As in the report."""
        return {"equal": self.equal, "of": self.of}


@dataclass(slots=True)
class Likeness:
    """What equals what: ``text`` in files (or segments), ``times`` in words of our text.

    ``characters`` of the reference and how many of them differ; ``examples`` names the first differences.
    """

    text: Count = field(default_factory=Count)
    times: Count = field(default_factory=Count)
    characters: int = 0
    different: int = 0
    examples: list[str] = field(default_factory=list)

    def take(
        self, name: str, words: Sequence[str], times: Sequence[Sequence[int]], reference: Mapping[str, Any]
    ) -> None:
        """Compare one file or segment with the reference's ``words`` and ``times`` (begin, end in ms)."""
        wanted, wanted_times = list(reference["words"]), [list(pair) for pair in reference["times"]]
        same = list(words) == wanted
        self.text.add(same)
        self.characters += len("".join(wanted))
        if not same:
            self._differ(name, "".join(words), "".join(wanted))
        # a word has equal times only where it is the same word: times of different texts prove nothing
        pairs = _aligned(list(words), wanted)
        self.times.of += max(len(times), len(wanted_times))
        for ours, theirs in pairs:
            if ours < len(times) and theirs < len(wanted_times):
                equal = list(times[ours]) == wanted_times[theirs]
                self.times.equal += equal
                if not equal:
                    self._note(f"{name}#{theirs} {words[ours]}: {wanted_times[theirs]} → {list(times[ours])} ms")

    def _differ(self, name: str, ours: str, wanted: str) -> None:
        blocks = SequenceMatcher(None, wanted, ours, autojunk=False).get_opcodes()
        for kind, first, last, begin, end in blocks:
            if kind == "equal":
                continue
            self.different += max(last - first, end - begin)
            self._note(f"{name}@{first}: {wanted[first:last][:12]!r} → {ours[begin:end][:12]!r}")

    def _note(self, example: str) -> None:
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)

    @property
    def error_rate(self) -> float:
        """Share of the reference's characters that differ."""
        return self.different / self.characters if self.characters else 0.0


def _aligned(ours: list[str], theirs: list[str]) -> list[tuple[int, int]]:
    if ours == theirs:
        return [(index, index) for index in range(len(ours))]
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    return [(block.a + step, block.b + step) for block in matcher.get_matching_blocks() for step in range(block.size)]


def flat(result: Mapping[str, Any]) -> tuple[list[str], list[list[int]]]:
    """Words and times of a whole file as the engine's clients report it."""
    words = [word for segment in result["segments"] for word in segment["words"]]
    times = [pair for segment in result["segments"] for pair in segment["times"]]
    return words, times


def whole_files(
    names: Sequence[str], ours: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]
) -> Likeness:
    """Files against files: cutting, text and times must all be as the reference's."""
    likeness = Likeness()
    for name, mine, wanted in zip(names, ours, reference, strict=True):
        words, times = flat(mine)
        likeness.take(name, words, times, {**wanted, "times": _clamped(wanted["times"], mine["segments"])})
    return likeness


def _clamped(times: Sequence[Sequence[int]], segments: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """FunASR's times within their segments.

    Its first word may begin up to 30 ms before the segment, and its last one end up to 60 ms after it (frames rounded
    up). Nothing was heard there; the engine's words stay in their segment, and that is no difference.
    """
    spans = [segment["span"] for segment in segments for _ in segment["words"]]
    if len(spans) != len(times):
        return [list(pair) for pair in times]
    return [[max(begin, span[0]), min(end, span[1])] for (begin, end), span in zip(times, spans, strict=True)]


def segments(
    names: Sequence[str], ours: Sequence[Mapping[str, Any]], reference: Sequence[Sequence[Mapping[str, Any]]]
) -> Likeness:
    """Our segments against the same spans recognised alone by FunASR."""
    likeness = Likeness()
    for name, mine, wanted in zip(names, ours, reference, strict=True):
        for segment, alone in zip(mine["segments"], wanted, strict=True):
            place = f"{name}[{segment['span'][0]}]"
            wanted_times = _clamped(alone["times"], [segment])
            likeness.take(place, segment["words"], segment["times"], {**alone, "times": wanted_times})
    return likeness
