"""Several engines behind one door: work goes to the one that will be done first; a dead one is left out for a while.

One recording is recognised by one engine from its first sample to its last, so a transcript never mixes models. The
choice is made anew for each recording, from what the engines say of themselves.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from portal.asr.engine.address import EngineAddress
from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import EngineStatus
from portal.asr.errors import AsrError, EngineUnavailable

DEAD_S: Final = 10.0
"""An engine that did not answer is not asked again for so long: a machine that swallows packets costs a time-out."""
STATUS_TIMEOUT_S: Final = 2.0


def load_of(status: EngineStatus) -> tuple[float, int]:
    """What stands between a new recording and its text, smallest first: seconds of work that wait, then company.

    Seconds that wait are audio; they are divided by the engine's measured speed once it has one.
    """
    speed = status.hour_audio_seconds / status.hour_busy_seconds if status.hour_busy_seconds >= 1 else 1.0
    return round(status.queued_seconds / max(speed, 0.01), 1), status.running_recordings


class EnginePool:
    """The engines of this installation. Not thread-safe; make one per thread or process."""

    def __init__(
        self,
        addresses: Sequence[EngineAddress],
        *,
        status_timeout_s: float = STATUS_TIMEOUT_S,
        dead_s: float = DEAD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``addresses``: at least one."""
        if not addresses:
            raise ValueError("a pool needs at least one engine")
        self.addresses = tuple(addresses)
        self._status_timeout_s = status_timeout_s
        self._dead_s = dead_s
        self._clock = clock
        self._dead_until: dict[EngineAddress, float] = {}

    def pick(self) -> EngineClient:
        """The engine that a new recording should go to.

        Raises:
            EngineUnavailable: none is ready.
        """
        # chance between equals: workers that begin at the same moment must not all take the first
        ready = [
            (load_of(status), secrets.randbelow(1 << 30), place) for place, status in self._statuses() if status.ready
        ]
        if not ready:
            raise EngineUnavailable(detail=f"none of {len(self.addresses)} engines is ready")
        _, _, place = min(ready)
        return EngineClient(self.addresses[place])

    def leave_out(self, address: EngineAddress) -> None:
        """Don't offer this engine for a while: it was lost in the middle of something."""
        if len(self.addresses) > 1:
            self._dead_until[address] = self._clock() + self._dead_s

    def statuses(self) -> list[tuple[EngineAddress, EngineStatus | None]]:
        """Every engine with its status, None for one that does not answer."""
        answers = dict(self._statuses())
        return [(address, answers.get(place)) for place, address in enumerate(self.addresses)]

    def _statuses(self) -> list[tuple[int, EngineStatus]]:
        answers: list[tuple[int, EngineStatus]] = []
        for place, address in enumerate(self.addresses):
            if self._dead_until.get(address, 0.0) > self._clock():
                continue
            try:
                answers.append((place, EngineClient(address, timeout_s=self._status_timeout_s).status()))
                self._dead_until.pop(address, None)
            except AsrError:
                self.leave_out(address)
        return answers
