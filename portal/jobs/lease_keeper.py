"""Keeps a worker's lease alive while it recognises, carries its progress to the row, and hears when to stop."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from portal.db import read_only
from portal.services.recognition import lease

log = logging.getLogger(__name__)

TICK_S = 1.0
"""How often it looks whether somebody asked to stop."""
PROGRESS_S = 2.0
"""Progress is written at most this often."""
RENEW_S = 10.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What the owner sees of the progress: audio ms, and the newest words."""

    done_ms: int = 0
    audio_ms: int | None = None
    latest_text: str | None = None


class LeaseKeeper(threading.Thread):
    """A context manager round the work. ``cancelled``: somebody asked to stop. ``lost``: the row is not ours."""

    def __init__(self, sessions: sessionmaker[Session], held: lease.Claim) -> None:
        super().__init__(name="lease", daemon=True)
        self._sessions = sessions
        self._held = held
        self._end = threading.Event()
        self._shown = self._written = Shown()
        self._renewed = self._safe = time.monotonic()
        self.cancelled = False
        self.lost = False

    def __enter__(self) -> LeaseKeeper:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self.join(timeout=10)

    @property
    def must_stop(self) -> bool:
        """Whether the work is for nothing from here on."""
        return self.cancelled or self.lost

    def show(self, shown: Shown) -> None:
        """Note the progress; written with the next renewal."""
        self._shown = shown

    def run(self) -> None:
        """Look every second, renew every few, until the work ends or the lease is lost."""
        while not self.must_stop and not self._end.wait(TICK_S):
            try:
                self._tick()
                self._safe = time.monotonic()
            except SQLAlchemyError as error:
                log.warning("lease of %s not renewed: %s", self._held.transcription_id, type(error).__name__)
                # from here on somebody else may have taken the row, whether we can ask or not
                self.lost = time.monotonic() - self._safe > self._held.lease_seconds

    def _tick(self) -> None:
        shown, age = self._shown, time.monotonic() - self._renewed
        due = age >= min(RENEW_S, self._held.lease_seconds / 3) or (shown != self._written and age >= PROGRESS_S)
        if due:
            with self._sessions.begin() as session:
                answer = lease.renew(
                    session,
                    self._held,
                    done_ms=shown.done_ms,
                    audio_ms=shown.audio_ms,
                    latest_text=shown.latest_text,
                )
            self._renewed, self._written = time.monotonic(), shown
        else:
            with read_only(), self._sessions.begin() as session:
                answer = lease.watch(session, self._held)
        self.cancelled, self.lost = answer.cancel, not answer.mine
