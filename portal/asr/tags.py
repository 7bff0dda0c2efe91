"""What a model says of a segment beside its words (language, emotion, sounds), carried over to sentences. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from portal.asr.types import Segment, Sentence


class Tags:
    """Collects the tagged segments of one channel, in time order."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._begins: list[int] = []
        self._any = False

    def add(self, segment: Segment) -> None:
        """Remember what was said of ``segment``; one without tags is only an edge for its neighbours."""
        self._segments.append(replace(segment, words=(), marks=None))
        self._begins.append(segment.begin_ms)
        self._any = self._any or bool(segment.language or segment.emotion or segment.events)

    def of(self, sentence: Sentence) -> Sentence:
        """``sentence`` with its tags: language and emotion of the segment it shares most time with, sounds of all."""
        if not self._any:
            return sentence
        shared = [(_overlap(segment, sentence), segment) for segment in self._near(sentence)]
        touched = [(length, segment) for length, segment in shared if length > 0]
        if not touched:
            return sentence
        main = max(touched, key=lambda item: item[0])[1]
        events = tuple(dict.fromkeys(event for _, segment in touched for event in segment.events))
        return replace(sentence, language=main.language, emotion=main.emotion, events=events)

    def _near(self, sentence: Sentence) -> Sequence[Segment]:
        first = max(0, bisect_right(self._begins, sentence.begin_ms) - 1)
        return self._segments[first : bisect_right(self._begins, max(sentence.begin_ms, sentence.end_ms - 1))]


def _overlap(segment: Segment, sentence: Sentence) -> int:
    """Milliseconds that both share; a sentence without length counts as one."""
    end = max(sentence.end_ms, sentence.begin_ms + 1)
    return min(segment.end_ms, end) - max(segment.begin_ms, sentence.begin_ms)
