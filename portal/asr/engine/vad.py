"""Where speech begins and ends, from per-frame silence probabilities. Free of torch; one object per recording.

``SpeechDetector`` makes the decisions of FunASR's FsmnVADStreaming (multiple utterances) on plain numbers: no device
synchronisation per frame, and a result that does not depend on how the audio was cut into pieces. FunASR walks frame by
frame; here a whole piece is judged at once and only the changes between speech and silence are visited. A frame is
10 ms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from portal.asr.engine.end_silence import CHUNK_MS, FRAME_MS, SCHEDULE_THRESHOLD, EndSilence

_DOUBT: Final = 1e-9
_LEVELS: Final = (-60.1, -86.1)
"""Levels lie between -60 and 26.1 decibels: thresholds below these never decide anything."""

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class VadSettings:
    """The fields of a VAD model's ``model_conf`` that decide; times in ms."""

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

    @property
    def needs_levels(self) -> bool:
        """Whether the level of a frame can decide anything with these thresholds."""
        return self.decibel_thres > _LEVELS[0] or self.snr_thres > _LEVELS[1]

    @property
    def understood(self) -> bool:
        """Whether the window can be followed: FunASR's own bookkeeping breaks where one frame opens a span."""
        return min(self.window_size_ms, self.sil_to_speech_time_thres) >= 2 * FRAME_MS


class _Judge:
    """Which frames are speech by themselves."""

    def __init__(self, settings: VadSettings, threshold: float) -> None:
        self._settings = settings
        self._threshold = threshold
        self._noise_decibel = -100.0

    def flags(self, silence: Floats, decibels: Floats | None) -> Flags:
        ratio = self._settings.speech_2_noise_ratio
        exact = silence.astype(np.float64)
        margins = 1.0 - exact - ((exact if ratio == 1.0 else exact**ratio) + self._threshold)
        speaks = margins >= 0.0
        for place in np.flatnonzero(np.abs(margins) < _DOUBT).tolist():
            speaks[place] = self._closely(float(exact[place]))
        if decibels is not None and self._settings.needs_levels:
            return self._with_levels(speaks, decibels.tolist())
        return speaks

    def _closely(self, silence: float) -> bool:
        """As FunASR works it out, by way of logarithms."""
        if not 0.0 < silence < 1.0:
            return silence <= 0.0
        noise = math.exp(math.log(silence) * self._settings.speech_2_noise_ratio)
        return math.exp(math.log(1.0 - silence)) >= noise + self._threshold

    def _with_levels(self, speaks: Flags, decibels: list[float]) -> Flags:
        settings = self._settings
        frames = settings.noise_frame_num_used_for_snr
        judged = speaks.copy()
        for place, decibel in enumerate(decibels):
            if decibel < settings.decibel_thres:
                judged[place] = False
            elif speaks[place]:
                judged[place] = decibel - self._noise_decibel >= settings.snr_thres
            elif self._noise_decibel < -99.9:
                self._noise_decibel = decibel
            else:
                self._noise_decibel = (decibel + self._noise_decibel * (frames - 1)) / frames
        return judged


class _Window:
    """How many of the last frames are speech, for a whole block of them; as FunASR's it forgets them with each span."""

    def __init__(self, settings: VadSettings) -> None:
        self.size = settings.window_size_ms // FRAME_MS
        self._enough = settings.sil_to_speech_time_thres // FRAME_MS
        self._few = settings.speech_to_sil_time_thres // FRAME_MS
        self._before = np.zeros(self.size, dtype=np.int32)

    def enter(self, flags: Flags) -> None:
        """Take the next block of frames."""
        self._joined = np.concatenate([self._before, flags.astype(np.int32)])
        self._totals = np.concatenate([[0], np.cumsum(self._joined)])
        self._sums = self._totals[self.size + 1 :] - self._totals[1 : -self.size]
        self._speech = self._sums >= self._enough
        self._silence = self._sums <= self._few
        self._before = self._joined[len(flags) :].copy()

    def next_speech(self, place: int) -> int:
        """The first place of the block, from this one on, where silence turns to speech; its length without one."""
        return _first(self._speech, place)

    def next_silence(self, place: int) -> int:
        """The same, where speech turns to silence."""
        return _first(self._silence, place)

    def forget_until(self, place: int) -> None:
        """Forget the frames up to this place of the block, as after a span."""
        count = len(self._sums)
        stop = min(place + self.size, count)
        sums = self._totals[place + 2 + self.size : stop + 1 + self.size] - self._totals[place + 1 + self.size]
        self._speech[place + 1 : stop] = sums >= self._enough
        self._silence[place + 1 : stop] = sums <= self._few
        # of what the next block looks back on, too
        self._before[: max(0, place + 1 - count + self.size)] = 0


def _first(found: Flags, place: int) -> int:
    if place >= len(found):
        return len(found)
    step = int(found[place:].argmax())
    return place + step if found[place + step] else len(found)


class SpeechDetector:
    """Piece by piece; ``open_start`` is the first frame of the speech that has not ended yet, or None.

    ``end_silence_ms``: silence that ends a span; None: FunASR's schedule. ``threshold``: by how much speech must be
    more probable than silence; None: as FunASR has it. ``context``: frames after a frame that the network looks at.
    """

    def __init__(
        self,
        settings: VadSettings,
        end_silence_ms: int | None = None,
        *,
        threshold: float | None = None,
        context: int = 2,
        chunk_ms: int = CHUNK_MS,
    ) -> None:
        default = SCHEDULE_THRESHOLD if end_silence_ms is None else settings.speech_noise_thres
        self._judge = _Judge(settings, default if threshold is None else threshold)
        self._end_silence = EndSilence(end_silence_ms, settings.speech_to_sil_time_thres, context, chunk_ms)
        self._window = _Window(settings)
        self._latency = self._window.size
        self._extends = bool(settings.do_extend)
        if self._extends:
            self._latency += settings.lookback_time_start_point // FRAME_MS
        self._lookahead = settings.lookahead_time_end_point // FRAME_MS if self._extends else 0
        self._frame = 0
        self._taken = 0
        self._speaking = False
        self._silent_from = 0
        self._last_voice = 0
        self.open_start: int | None = None
        self._closed: list[tuple[int, int]] = []

    def feed(self, silence: Floats, decibels: Floats | None, final: bool, samples: int) -> list[tuple[int, int]]:
        """Take frames (silence probability each; decibels where known) and return spans ``[begin, end)`` in frames.

        ``samples``: how many the recording has so far, by which FunASR's chunks are told.
        """
        flags = self._judge.flags(silence, decibels)
        while len(flags):
            count = len(flags)
            if self._end_silence.reached(samples):
                count = min(count, self._end_silence.next_edge - self._frame)
            self._walk(flags[:count])
            flags = flags[count:]
            if self._end_silence.reached(samples) and self._frame == self._end_silence.next_edge:
                self._end_silence.enter_chunk(self.open_start is not None)
        if final and self.open_start is not None:
            self._close(self._frame)
        closed, self._closed = self._closed, []
        return closed

    @property
    def earliest_start(self) -> int:
        """No span found later begins before this frame; feature frames before it may be dropped."""
        if self.open_start is not None:
            return self.open_start
        return max(self._taken, self._frame - self._latency)

    def _walk(self, flags: Flags) -> None:
        """Go from change to change through frames between which the end silence stays the same."""
        self._window.enter(flags)
        place, count = 0, len(flags)
        while place < count:
            if self.open_start is None:
                place = self._wait(place, count)
            elif self._speaking:
                place = self._speak(place, count)
            else:
                place = self._pause(place, count)
        self._frame += count

    def _wait(self, place: int, count: int) -> int:
        begins = self._window.next_speech(place)
        if begins < count:
            self._last_voice = self._frame + begins
            self.open_start = max(self._taken, self._last_voice - self._latency)
            self._speaking = True
        return begins + 1

    def _speak(self, place: int, count: int) -> int:
        ends = self._window.next_silence(place)
        self._last_voice = self._frame + min(ends, count - 1)
        if ends < count:
            self._speaking = False
            self._silent_from = self._last_voice + 1
        return ends + 1

    def _pause(self, place: int, count: int) -> int:
        resumes = self._window.next_speech(place)
        needed = max(1, -(-self._end_silence.ms // FRAME_MS))
        ends = max(place, self._silent_from + needed - 1 - self._frame)
        if resumes < count and resumes <= ends:
            self._last_voice = self._frame + resumes
            self._speaking = True
            return resumes + 1
        if ends >= count:
            return count
        back = self._end_silence.ms // FRAME_MS
        if self._extends:
            back = max(0, back - self._lookahead - 1)
        last = self._frame + ends - back
        heard = min(self._silent_from + self._lookahead, self._frame + ends)
        self._close(last + 1)
        self._taken = max(self._taken, heard + 1)
        self._window.forget_until(ends)
        return ends + 1

    def _close(self, end: int) -> None:
        assert self.open_start is not None
        self._closed.append((self.open_start, end))
        self._end_silence.closed()
        self._taken = end
        self.open_start = None
        self._speaking = False
