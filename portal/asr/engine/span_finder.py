"""Spans of bounded length: longer speech is cut where it is quietest. Free of torch; one object per recording.

FunASR cuts speech that lasts longer than its limit at the limit itself, in the middle of a word if need be; the cut
here is the one knowing difference from its decisions.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from portal.asr.engine.end_silence import FRAME_MS, LONGEST_SILENCE_MS
from portal.asr.engine.vad import Floats, SpeechDetector, VadSettings

_SMOOTH: Final = 20
_SPARE: Final = 100


class SpanFinder:
    """Spans of at most ``max_segment_ms``; remembers silence probabilities only as far back as a cut may fall."""

    def __init__(
        self,
        settings: VadSettings,
        *,
        max_segment_ms: int,
        end_silence_ms: int | None,
        threshold: float | None = None,
        context: int = 2,
    ) -> None:
        self._detector = SpeechDetector(settings, end_silence_ms, threshold=threshold, context=context)
        self._longest = max_segment_ms // FRAME_MS
        # an open span is cut only once it is certain to end beyond its longest: its end may yet be set this far back
        self._certain = self._longest + max((end_silence_ms or LONGEST_SILENCE_MS) // FRAME_MS, _SPARE)
        self._silence: Floats = np.zeros(0, dtype=np.float32)
        self._first = 0
        self._cut_start: int | None = None

    def feed(self, silence: Floats, decibels: Floats | None, final: bool, samples: int) -> list[tuple[int, int]]:
        """Take frames and return finished spans ``[begin, end)`` in frames, in time order; see SpeechDetector."""
        self._silence = np.concatenate([self._silence, silence])
        spans: list[tuple[int, int]] = []
        for begin, end in self._detector.feed(silence, decibels, final, samples):
            spans += self._cut(self._start_of(begin), end)
            self._cut_start = None
        spans += self._cut_open()
        self._forget()
        return spans

    @property
    def earliest_start(self) -> int:
        """Feature frames before this one are needed no more."""
        return self._detector.earliest_start if self._cut_start is None else self._cut_start

    @property
    def open(self) -> bool:
        """True while speech has begun and not ended."""
        return self._detector.open_start is not None

    def _start_of(self, begin: int) -> int:
        return begin if self._cut_start is None else self._cut_start

    def _cut(self, begin: int, end: int) -> list[tuple[int, int]]:
        pieces: list[tuple[int, int]] = []
        while end - begin > self._longest:
            place = self._quietest(begin)
            pieces.append((begin, place))
            begin = place
        return [*pieces, (begin, end)]

    def _cut_open(self) -> list[tuple[int, int]]:
        start = self._detector.open_start
        if start is None:
            return []
        begin = self._start_of(start)
        pieces: list[tuple[int, int]] = []
        while self._first + len(self._silence) - begin > self._certain:
            place = self._quietest(begin)
            pieces.append((begin, place))
            begin = self._cut_start = place
        return pieces

    def _quietest(self, begin: int) -> int:
        """The frame in the second half of the longest span where silence is most probable, averaged over 200 ms."""
        low, high = begin + self._longest // 2, begin + self._longest - _SPARE
        margin = _SMOOTH // 2
        piece = self._silence[low - margin - self._first : high + margin - self._first].astype(np.float64)
        sums = np.concatenate([[0.0], np.cumsum(piece)])
        means = sums[_SMOOTH:] - sums[:-_SMOOTH]
        return low + int(np.argmax(np.round(means, 6)))

    def _forget(self) -> None:
        keep = max(self.earliest_start - _SMOOTH, self._first)
        self._silence = self._silence[keep - self._first :].copy()
        self._first = keep
