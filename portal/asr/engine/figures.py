"""What the engine counts. Written by the model thread, read by anybody for the status."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from portal.asr.engine.contract import Check, Memory

_MINUTES: Final = 60


class Hour:
    """Seconds of audio and of work in the last hour, kept by the minute: sixty small rows however long it runs.

    ``clock`` gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: list[tuple[int, float, float]] = [(-_MINUTES, 0.0, 0.0)] * _MINUTES

    def add(self, *, audio_s: float = 0.0, busy_s: float = 0.0) -> None:
        """Count for the present minute."""
        minute = int(self._clock() // 60)
        then, audio, busy = self._rows[minute % _MINUTES]
        if then != minute:
            audio = busy = 0.0
        # a row is replaced whole, so a reader in another thread never sees half of it
        self._rows[minute % _MINUTES] = (minute, audio + audio_s, busy + busy_s)

    def totals(self) -> tuple[float, float]:
        """(seconds of audio, seconds of work) of the last sixty minutes, the present one included."""
        oldest = int(self._clock() // 60) - _MINUTES
        rows = [row for row in self._rows if row[0] > oldest]
        return sum(row[1] for row in rows), sum(row[2] for row in rows)


@dataclass(slots=True)
class Figures:
    """Counters and the last look at the device; see ``contract.EngineStatus`` for the fields."""

    audio_seconds_done: float = 0.0
    busy_seconds: float = 0.0
    batches: int = 0
    oom_count: int = 0
    split_segments: int = 0
    cpu_segments: int = 0
    poisoned: int = 0
    rescued: int = 0
    useful_frames: int = 0
    computed_frames: int = 0
    canary: Check | None = None
    memory: Memory = field(default_factory=Memory)
    utilisation_percent: int | None = None
    temperature_c: int | None = None
    hour: Hour = field(default_factory=Hour)

    def heard(self, seconds: float) -> None:
        """Audio went through voice activity."""
        self.audio_seconds_done += seconds
        self.hour.add(audio_s=seconds)

    def ran(self, frames: Sequence[int]) -> None:
        """A batch of segments of so many encoder frames was recognised, padded to the longest."""
        self.batches += 1
        self.useful_frames += sum(frames)
        self.computed_frames += max(frames) * len(frames)

    def worked(self, seconds: float) -> None:
        """The models were at work for recordings."""
        self.busy_seconds += seconds
        self.hour.add(busy_s=seconds)
