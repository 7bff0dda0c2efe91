"""Who speaks when, beside recognition: windows of the speech that was found, their voice prints, and their grouping.

The prints are made in the model thread while a recording is heard, from samples that are kept no longer than a span can
still be open. Grouping needs no model and may take seconds: it has a thread of its own, and the recording's end waits
for it. When any of it fails, the recording keeps its text and a notice says that nobody is named. Free of torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from portal.asr.engine import pulse
from portal.asr.engine.backend import DeviceLost, OutOfMemory, Speech, VoiceStage
from portal.asr.engine.json_log import log

Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]
SpeakerSpan = tuple[int, int, int]
"""(begin_ms, end_ms, number from 0)."""

WINDOW_MS: Final = 1_500
HOP_MS: Final = 750
"""As FunASR cuts speech for voice prints."""
SPEAKERS_FAILED: Final = "SPEAKERS_FAILED"
"""Notice: the recording has its text, but nobody is named."""
_PER_MS: Final = 16
_TOGETHER: Final = 64
"""Windows in one pass of the speaker model."""
_MOST_SPANS: Final = 30_000
"""What fits into one message of the protocol."""


def windows_of(begin_ms: int, end_ms: int) -> list[tuple[int, int]]:
    """Windows of a span: every 750 ms one of 1.5 s; the last ends with the span, a short span is one window."""
    windows: list[tuple[int, int]] = []
    for begin in range(begin_ms, end_ms, HOP_MS):
        end = min(begin + WINDOW_MS, end_ms)
        if windows and end <= windows[-1][1]:
            break
        windows.append((max(begin_ms, end - WINDOW_MS), end))
    return windows


@dataclass(slots=True)
class Voices:
    """The voices of one recording. Used by the model thread until everything is heard, then by the grouping thread."""

    stage: VoiceStage
    failed: bool = False
    windows: list[tuple[int, int]] = field(default_factory=list)
    prints: list[Floats] = field(default_factory=list)
    _samples: Samples = field(default_factory=lambda: np.zeros(0, dtype=np.int16))
    _begin: int = 0

    @property
    def kept_samples(self) -> int:
        """Samples in memory."""
        return len(self._samples)

    def hear(self, pcm: bytes, speech: Sequence[Speech], waiting_from_ms: int) -> None:
        """Take the samples in which ``speech`` ended. Earlier ones than ``waiting_from_ms`` are not needed any more.

        Raises DeviceLost; any other failure is remembered in ``failed``.
        """
        if self.failed:
            return
        new = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.int16)
        self._samples = np.concatenate([self._samples, new])
        try:
            found = [window for one in speech for window in windows_of(one.begin_ms, one.end_ms)]
            for start in range(0, len(found), _TOGETHER):
                chosen = found[start : start + _TOGETHER]
                self.prints += self._embed([self._cut(*window) for window in chosen])
                self.windows += chosen
                pulse.beat()
        except DeviceLost:
            raise
        except Exception as error:
            self._fail("voices_failed", error)
            return
        passed = min(max(waiting_from_ms * _PER_MS - self._begin, 0), len(self._samples))
        self._samples = self._samples[passed:].copy()
        self._begin += passed

    def group(self, count: int | None) -> list[SpeakerSpan]:
        """The spans of the speakers; empty when it failed or nobody spoke."""
        if self.failed or not self.windows:
            return []
        try:
            order = sorted(range(len(self.windows)), key=lambda index: self.windows[index])
            prints = np.concatenate(self.prints)[order]
            if not np.isfinite(prints).all():
                raise ValueError("a voice print is not a number")
            spans = self.stage.group([self.windows[index] for index in order], prints, count)
            if len(spans) > _MOST_SPANS:
                raise ValueError("more changes of speaker than can be told")
        except Exception as error:
            self._fail("grouping_failed", error)
            return []
        return spans

    def _cut(self, begin_ms: int, end_ms: int) -> Samples:
        """1.5 s of samples; silence fills up what a short span lacks."""
        first = begin_ms * _PER_MS - self._begin
        cut = self._samples[first : first + (end_ms - begin_ms) * _PER_MS]
        return np.pad(cut, (0, WINDOW_MS * _PER_MS - len(cut)))

    def _embed(self, windows: Sequence[Samples]) -> list[Floats]:
        """Their prints, in halves where memory is short."""
        try:
            return [self.stage.embed(windows)]
        except OutOfMemory:
            if len(windows) == 1:
                raise
        middle = len(windows) // 2
        return self._embed(windows[:middle]) + self._embed(windows[middle:])

    def _fail(self, event: str, error: Exception) -> None:
        log(event, error=type(error).__name__)
        self.failed = True
        self.windows, self.prints = [], []
        self._samples = self._samples[:0].copy()


_one_at_a_time = threading.Lock()


def group_apart(voices: Voices, count: int | None, done: Callable[[list[SpeakerSpan]], None]) -> None:
    """Group in another thread, one recording at a time, and call ``done`` there with the spans."""

    def run() -> None:
        with _one_at_a_time:
            spans = voices.group(count)
        done(spans)

    threading.Thread(target=run, name="voices", daemon=True).start()
