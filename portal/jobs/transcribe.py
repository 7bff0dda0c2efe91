"""What runs in RQ's work-horse: claim what the scheduler puts first, recognise it, store it; then the next one.

The ring's id is only logged: which row is worked on, the scheduler decides. As long as rows wait the horse goes on, so
one ring that is heard makes up for any number that were lost.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from portal import queues
from portal.asr.engine.client import EngineClient
from portal.asr.engine.pool import EnginePool
from portal.asr.errors import AsrError, Cancelled, EngineBusy, EngineUnavailable
from portal.asr.peaks import PeakCollector
from portal.asr.pipeline import Progress, transcribe
from portal.asr.types import Transcription as Result
from portal.db import create_engine, read_only, session_factory
from portal.errors import PortalError
from portal.jobs import stopping
from portal.jobs.lease_keeper import LeaseKeeper, Shown
from portal.services.audit import load_audit_key
from portal.services.hotwords import replacements_at
from portal.services.identity.actor import Actor, system_actor
from portal.services.recognition import lease
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.media_errors import params_for_people
from portal.services.recordings.options import transcribe_options
from portal.services.recordings.receiving import decode_limits
from portal.settings import Settings, load_settings

log = logging.getLogger(__name__)

ENGINE_PATIENCE_S = 60.0
"""How long a claimed row waits for an engine that restarts, before it goes back to the queue uncounted."""
STOP_GRACE_S = 5.0
"""What runs may still finish within this time after the process was told to end."""
_HOPELESS = frozenset({"HOTWORD_REFUSED", "POISON", "TEXT_CUT_OFF"})
"""Codes of the engine that the same request would meet again."""
SHIFT_S = 3600.0
"""After so long the horse makes place for a fresh one."""


def run(transcription_id: str) -> None:
    """RQ's entry. ``transcription_id`` says whose ring this was."""
    log.info("ring of %s heard", transcription_id)
    settings = load_settings()
    load_audit_key(settings.instance)
    engine = create_engine(settings)  # after the fork: a connection must not be shared with the parent
    try:
        worker = os.environ.get("RQ_WORKER_ID") or f"{socket.gethostname()}-{os.getpid()}"
        Shift(settings, session_factory(engine), worker).work_off()
    finally:
        engine.dispose()


class Shift:
    """One horse's work: row after row until none waits."""

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Session],
        worker: str,
        stop: stopping.Stopping = stopping.process,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._store = FileStore.of(settings)
        self._worker = worker
        self._stop = stop
        self._engines = EnginePool(settings.engine_addresses)

    def work_off(self) -> int:
        """Work until nothing waits, the engine stays away, or the process is told to end; returns how many rows."""
        began, count = time.monotonic(), 0
        while not self._stop.asked and (held := self._claim()) is not None:
            count += 1
            if not self._one(held):
                break
            if time.monotonic() - began > SHIFT_S:
                queues.ring(self._settings, held.transcription_id)
                break
        return count

    def _claim(self) -> lease.Claim | None:
        with self._sessions.begin() as session:
            return lease.claim(session, self._worker, self._settings.lease_seconds)

    def _one(self, held: lease.Claim) -> bool:
        """Recognise one row and settle it; whether to go on with the next."""
        actor = system_actor("worker", f"job-{held.token[:12]}")
        with LeaseKeeper(self._sessions, held) as keeper:
            try:
                engine = self._wait_for_engine(keeper)
            except (EngineUnavailable, Cancelled) as error:
                self._give_back(held, actor, keeper, error.code)
                return False
            try:
                result = self._recognise(held, keeper, engine)
            except Cancelled:
                self._give_back(held, actor, keeper, "WORKER_STOPPING")
                return not self._stop.asked
            except EngineBusy as error:
                self._give_back(held, actor, keeper, error.code)
                self._stop.wait(1.0)
                return False
            except EngineUnavailable as error:
                code = error.code
                log.warning("transcription %s: the engine %s ended under it", held.transcription_id, engine.address)
                self._engines.leave_out(engine.address)
                self._settle(held, lambda session: lease.interrupted(session, actor, held, code))
                return True
            except Exception as error:
                self._failed(held, actor, error)
                return True
            self._settle(held, lambda session: lease.complete(session, actor, held, result))
        return True

    def _recognise(self, held: lease.Claim, keeper: LeaseKeeper, engine: EngineClient) -> Result:
        def on_progress(progress: Progress) -> None:
            keeper.show(Shown(progress.done_ms, progress.total_ms, progress.latest_text or None))

        with read_only(), self._sessions() as session:
            limits = decode_limits(session, self._settings)
            table = replacements_at(session, held.options.get("replacements", ()))
        options = transcribe_options(held.options, held.hotwords, table)
        with self._store.open(held.recording_id) as reader:
            return transcribe(
                reader.fileno(),
                options,
                engine,
                limits=limits,
                on_progress=on_progress,
                should_stop=lambda: keeper.must_stop or self._stop.over(STOP_GRACE_S),
                on_peaks=lambda peaks: self._keep_peaks(held, peaks),
            )

    def _keep_peaks(self, held: lease.Claim, peaks: PeakCollector) -> None:
        try:
            self._store.write_peaks(held.recording_id, peaks.result())
        except (PortalError, OSError) as error:
            log.warning("no waveform for %s: %s", held.recording_id, type(error).__name__)

    def _wait_for_engine(self, keeper: LeaseKeeper) -> EngineClient:
        """The engine to use. Raises EngineUnavailable after ``ENGINE_PATIENCE_S``, Cancelled when the work is for
        nothing."""
        deadline, pause = time.monotonic() + ENGINE_PATIENCE_S, 0.25
        while True:
            try:
                return self._engines.pick()
            except EngineUnavailable:
                pass
            if keeper.must_stop or self._stop.asked:
                raise Cancelled
            if time.monotonic() > deadline:
                raise EngineUnavailable
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)

    def _give_back(self, held: lease.Claim, actor: Actor, keeper: LeaseKeeper, code: str) -> None:
        if keeper.lost:
            self._settle(held, lambda session: lease.discard(session, actor, held))
        else:  # a cancellation that somebody asked for is carried out on the way
            self._settle(held, lambda session: lease.release(session, actor, held, code))

    def _failed(self, held: lease.Claim, actor: Actor, error: Exception) -> None:
        if isinstance(error, AsrError):
            code, params = error.code, params_for_people(error)
            permanent = error.permanent or code in _HOPELESS
        elif isinstance(error, PortalError):
            code, params, permanent = error.code, dict(error.params), error.code == "FILE_MISSING"
        else:
            code, params, permanent = "ASR_FAILED", {}, False
            log.exception("transcription %s", held.transcription_id)
        log.warning("transcription %s attempt %d: %s", held.transcription_id, held.attempt, code)
        if permanent:
            self._settle(held, lambda session: lease.fail(session, actor, held, code, params))
        else:
            self._settle(held, lambda session: lease.try_again(session, actor, held, code))

    def _settle(self, held: lease.Claim, step: Callable[[Session], object]) -> None:
        """Commit the end of a run; a database that is away is asked again until the lease is over."""
        deadline = time.monotonic() + held.lease_seconds
        while True:
            try:
                with self._sessions.begin() as session:
                    step(session)
                return
            except (DBAPIError, PoolTimeout) as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("transcription %s not stored yet: %s", held.transcription_id, type(error).__name__)
                time.sleep(0.5)
