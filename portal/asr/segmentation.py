"""From the engine's segments to one orderly stream of words.

A model's times may run a little beyond its segment or into the neighbour; pages, subtitles and searches rely on words
that follow each other, so the stream repairs that in one place. A model without word times gives every word its
segment's; then the words are spread over the segment, so that sentences begin about where they were said.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from portal.asr.errors import ProtocolError
from portal.asr.types import Segment, Word


class WordStream:
    """Words of one channel in time order: ``begin_ms`` never falls, and no word ends before it begins."""

    def __init__(self, *, timed: bool = True) -> None:
        """``timed``: the model's words have times of their own."""
        self._timed = timed
        self._last_ms = 0

    def push(self, segments: Sequence[Segment]) -> list[Word]:
        """The words of ``segments``, which must come in time order. Words without text are left out."""
        return [word for segment in segments for word, _ in self.take(segment)]

    def take(self, segment: Segment) -> list[tuple[Word, str]]:
        """The words of the next segment, each with the mark that the model itself set after it ('' without one).

        Raises ProtocolError for marks of another number than the words.
        """
        marks = segment.marks or ("",) * len(segment.words)
        if len(marks) != len(segment.words):
            raise ProtocolError(detail="marks for another number of words")
        spoken = segment.words if self._timed else _spread(segment)
        pairs = zip(spoken, marks, strict=True)
        return [(self._place(word, segment), mark) for word, mark in pairs if word.text.strip()]

    def _place(self, word: Word, segment: Segment) -> Word:
        begin = max(self._last_ms, min(max(word.begin_ms, segment.begin_ms), segment.end_ms))
        end = max(begin, min(word.end_ms, max(segment.end_ms, begin)))
        self._last_ms = begin
        return Word(word.text.strip(), begin, end, word.confidence)


def _spread(segment: Segment) -> tuple[Word, ...]:
    """The words with the segment's time divided among them by their length."""
    ends = list(accumulate(max(1, len(word.text.strip())) for word in segment.words))
    total, length = (ends[-1] if ends else 1), segment.end_ms - segment.begin_ms
    edges = [segment.begin_ms, *(segment.begin_ms + length * end // total for end in ends)]
    return tuple(Word(word.text, edges[i], edges[i + 1], word.confidence) for i, word in enumerate(segment.words))
