"""Where speech begins and ends, from per-frame silence probabilities. Free of torch; one object per recording.

``SpeechDetector`` follows the decisions of FunASR's FsmnVADStreaming (multiple utterances, fixed end silence) on plain
numbers, so it needs no device synchronisation per frame and its result does not depend on how the audio was cut into
pieces. ``SpanFinder`` adds the longest segment: longer speech is cut where it is quietest. A frame is 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FRAME_MS: Final = 10
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VadSettings:
    """The fields of a VAD model's ``model_conf`` that decide; times in ms."""

    max_end_silence_time: int = 800
    window_size_ms: int = 200
    sil_to_speech_time_thres: int = 150
    speech_to_sil_time_thres: int = 150
    speech_2_noise_ratio: float = 1.0
    do_extend: int = 1
    lookback_time_start_point: int = 200
    lookahead_time_end_point: int = 100
    snr_thres: float = -100.0
    noise_frame_num_used_for_snr: int = 100
    decibel_thres: float = -100.0
    speech_noise_thres: float = 0.6

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> VadSettings:
        """Take the known fields of ``model_conf``; the others have no effect here."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in config.items() if name in known})


class _Window:
    """Sliding majority over the last frames, with hysteresis: FunASR's WindowDetector."""

    def __init__(self, settings: VadSettings) -> None:
        self.size = settings.window_size_ms // FRAME_MS
        self._to_speech = settings.sil_to_speech_time_thres // FRAME_MS
        self._to_silence = settings.speech_to_sil_time_thres // FRAME_MS
        self.reset()

    def reset(self) -> None:
        self._ring = [0] * self.size
        self._sum = 0
        self._position = 0
        self._speech = False

    def step(self, speech: bool) -> tuple[bool, bool]:
        """Return (was speech, is speech)."""
        self._sum += int(speech) - self._ring[self._position]
        self._ring[self._position] = int(speech)
        self._position = (self._position + 1) % self.size
        before = self._speech
        if not before and self._sum >= self._to_speech:
            self._speech = True
        elif before and self._sum <= self._to_silence:
            self._speech = False
        return before, self._speech


class SpeechDetector:
    """Frame by frame; ``open_start`` is the first frame of the speech that has not ended yet, or None."""

    def __init__(self, settings: VadSettings, end_silence_ms: int | None = None) -> None:
        end_silence = settings.max_end_silence_time if end_silence_ms is None else end_silence_ms
        self._settings = settings
        self._end_silence = max(end_silence - settings.speech_to_sil_time_thres, 0)
        self._window = _Window(settings)
        self._latency = self._window.size
        if settings.do_extend:
            self._latency += settings.lookback_time_start_point // FRAME_MS
        self._lookahead = settings.lookahead_time_end_point // FRAME_MS
        self._noise_decibel = -100.0
        self._frame = 0
        self._taken = 0
        self._silence = 0
        self._last_voice = 0
        self.open_start: int | None = None
        self._open_end = 0
        self._closed: list[tuple[int, int]] = []

    def feed(self, silence: Sequence[float], decibels: Sequence[float] | None, final: bool) -> list[tuple[int, int]]:
        """Take frames (silence probability each; decibels where known) and return spans ``[begin, end)`` in frames."""
        last = len(silence) - 1
        for index, probability in enumerate(silence):
            decibel = None if decibels is None else decibels[index]
            self._step(self._is_speech(probability, decibel), final and index == last)
            self._frame += 1
        if final and self.open_start is not None:
            self._close()
        closed, self._closed = self._closed, []
        return closed

    @property
    def earliest_start(self) -> int:
        """No span found later begins before this frame; feature frames before it may be dropped."""
        if self.open_start is not None:
            return self.open_start
        return max(self._taken, self._frame - self._latency - 1)

    def _is_speech(self, silence: float, decibel: float | None) -> bool:
        settings = self._settings
        if decibel is not None and decibel < settings.decibel_thres:
            return False
        noise = float(silence**settings.speech_2_noise_ratio)
        speaks = (1.0 - silence) >= noise + settings.speech_noise_thres
        if decibel is None:
            return speaks
        if speaks:
            return decibel - self._noise_decibel >= settings.snr_thres
        if self._noise_decibel < -99.9:
            self._noise_decibel = decibel
        else:
            frames = settings.noise_frame_num_used_for_snr
            self._noise_decibel = (decibel + self._noise_decibel * (frames - 1)) / frames
        return False

    def _step(self, speech: bool, final: bool) -> None:
        before, now = self._window.step(speech)
        if before or now:
            self._silence = 0
        else:
            self._silence += 1
        if self.open_start is None:
            self._step_outside(begins=now and not before, silent=not before and not now)
        elif before or now:
            if now and not before:
                self._extend(self._frame - 1)
            self._voice_or_end(final)
        else:
            self._step_trailing_silence(final)

    def _step_outside(self, begins: bool, silent: bool) -> None:
        if begins:
            start = max(self._taken, self._frame - self._latency)
            self.open_start = start
            self._take(start)
            for frame in range(start + 1, self._frame + 1):
                self._voice(frame)
        elif silent and self._frame >= self._latency:
            self._taken = max(self._taken, self._frame - self._latency)

    def _step_trailing_silence(self, final: bool) -> None:
        if self._silence * FRAME_MS >= self._end_silence:
            back = self._end_silence // FRAME_MS
            if self._settings.do_extend:
                back = max(0, back - self._lookahead - 1)
            self._end(self._frame - back)
        elif self._settings.do_extend and not final:
            if self._silence <= self._lookahead:
                self._voice(self._frame)
        elif final:
            self._end(self._frame)

    def _voice_or_end(self, final: bool) -> None:
        if final:
            self._end(self._frame)
        else:
            self._voice(self._frame)

    def _take(self, frame: int) -> None:
        self._taken = max(self._taken, frame) + 1
        self._open_end = frame + 1

    def _voice(self, frame: int) -> None:
        self._last_voice = frame
        self._take(frame)

    def _extend(self, last: int) -> None:
        for frame in range(self._last_voice + 1, last + 1):
            self._voice(frame)

    def _end(self, frame: int) -> None:
        self._extend(frame - 1)
        self._take(frame)
        self._close()

    def _close(self) -> None:
        assert self.open_start is not None
        self._closed.append((self.open_start, self._open_end))
        self.open_start = None
        self._window.reset()
        self._silence = 0
        self._last_voice = 0


_SMOOTH: Final = 20
_SPARE: Final = 100


class SpanFinder:
    """Spans of at most ``max_segment_ms``; remembers silence probabilities only as far back as a cut may fall."""

    def __init__(self, settings: VadSettings, *, max_segment_ms: int, end_silence_ms: int) -> None:
        self._detector = SpeechDetector(settings, end_silence_ms)
        self._longest = max_segment_ms // FRAME_MS
        # an open span is cut only once it is certain to end beyond its longest: its end may yet be set this far back
        self._certain = self._longest + max(end_silence_ms // FRAME_MS, _SPARE)
        self._silence: Floats = np.zeros(0, dtype=np.float32)
        self._first = 0
        self._cut_start: int | None = None

    def feed(self, silence: Floats, decibels: Floats | None, final: bool) -> list[tuple[int, int]]:
        """Take frames and return finished spans ``[begin, end)`` in frames, in time order."""
        self._silence = np.concatenate([self._silence, silence])
        spans: list[tuple[int, int]] = []
        levels = None if decibels is None else decibels.tolist()
        for begin, end in self._detector.feed(silence.tolist(), levels, final):
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
