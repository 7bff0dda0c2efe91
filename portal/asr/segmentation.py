"""From the engine's segments to one orderly stream of words.

A model's times may run a little beyond its segment or into the neighbour; pages, subtitles and searches rely on words
that follow each other, so the stream repairs that in one place.
"""

from __future__ import annotations

from collections.abc import Sequence

from portal.asr.types import Segment, Word


class WordStream:
    """Words of one channel in time order: ``begin_ms`` never falls, and no word ends before it begins."""

    def __init__(self) -> None:
        self._last_ms = 0

    def push(self, segments: Sequence[Segment]) -> list[Word]:
        """The words of ``segments``, which must come in time order. Words without text are left out."""
        words: list[Word] = []
        for segment in segments:
            spoken = [word for word in segment.words if word.text.strip()]
            words += [self._place(word, segment) for word in spoken]
        return words

    def _place(self, word: Word, segment: Segment) -> Word:
        begin = max(self._last_ms, min(max(word.begin_ms, segment.begin_ms), segment.end_ms))
        end = max(begin, min(word.end_ms, max(segment.end_ms, begin)))
        self._last_ms = begin
        return Word(word.text.strip(), begin, end, word.confidence)
