"""The device's figures of the last hour, for the administrators' chart."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from portal.asr.engine.contract import Memory

EVERY_S: Final = 5.0
_KEPT: Final = 720


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: ``at`` in seconds since the epoch, memory in bytes, None where the device does not tell."""

    at: float
    used_bytes: int | None
    reserved_bytes: int | None
    other_bytes: int | None
    free_bytes: int | None
    utilisation_percent: int | None
    temperature_c: int | None
    rss_bytes: int

    def to_wire(self) -> list[float | int | None]:
        """The fields in their order."""
        return [
            *(self.at, self.used_bytes, self.reserved_bytes, self.other_bytes, self.free_bytes),
            *(self.utilisation_percent, self.temperature_c, self.rss_bytes),
        ]


class GaugeLog:
    """Keeps one sample every five seconds for an hour."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=_KEPT)

    def add(self, memory: Memory, utilisation_percent: int | None, temperature_c: int | None, rss_bytes: int) -> None:
        """Keep a sample unless the last one is younger than five seconds."""
        now = time.time()
        if self._samples and 0 <= now - self._samples[-1].at < EVERY_S:
            return
        self._samples.append(
            Sample(
                round(now, 1),
                memory.used_bytes,
                memory.reserved_bytes,
                memory.other_bytes,
                memory.free_bytes,
                utilisation_percent,
                temperature_c,
                rss_bytes,
            )
        )

    def rows(self) -> list[list[float | int | None]]:
        """All samples, oldest first."""
        return [sample.to_wire() for sample in self._samples]
