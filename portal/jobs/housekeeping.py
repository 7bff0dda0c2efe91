"""``python -m portal.jobs.housekeeping``: puts right what stopped halfway. Any number of these may run at once.

Every few seconds: leases of silent workers are taken back, lost rings rung again, the outbox carried out. Every minute
or so: stale uploads, ended sessions, the audit witness, people who left the directory.
"""

from __future__ import annotations

import logging
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from portal import queues
from portal.db import create_engine, read_only, session_factory, utcnow
from portal.jobs import stopping
from portal.logs import configure_logging
from portal.models import Recording
from portal.services.administration import engine, engine_acts
from portal.services.audit import load_audit_key
from portal.services.audit.checkpoints import write_checkpoint
from portal.services.identity import lockout
from portal.services.identity import sessions as browser_sessions
from portal.services.identity.actor import system_actor
from portal.services.identity.leavers import recheck_directory_people
from portal.services.integrations import outbox
from portal.services.recognition import lease, rings
from portal.services.recordings import uploads
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.recordings import ERASE
from portal.settings import Settings, load_settings

log = logging.getLogger(__name__)

MINUTE_S = 60.0
ORPHAN_S = 3600.0
"""A part file without an open upload is removed after so long."""


@dataclass
class Task:
    """A duty and how often it is done."""

    name: str
    every_s: float
    duty: Callable[[], None]
    next_at: float = 0.0


class House:
    """The duties, each in short transactions of its own."""

    def __init__(self, settings: Settings, sessions: sessionmaker[Session]) -> None:
        self._settings = settings
        self._sessions = sessions
        self._store = FileStore.of(settings)
        self._settled: dict[int, str] = {}
        self._handlers: Mapping[str, tuple[outbox.Handler, ...]] = {ERASE: (self._erase,), lease.FINISHED: ()}

    def tasks(self) -> list[Task]:
        """All duties."""
        often = self._settings.reconcile_seconds
        return [
            Task("leases", often, self.take_back_leases),
            Task("rings", often, self.ring_again),
            Task("outbox", often, self.carry_out_effects),
            Task("engines", often, self.settle_engine_changes),
            Task("uploads", MINUTE_S, self.sweep_uploads),
            Task("witness", MINUTE_S, self.witness_audit),
            Task("sessions", 10 * MINUTE_S, self.prune),
            Task("directory", self._settings.ldap_recheck_minutes * MINUTE_S, self.recheck_people),
        ]

    def take_back_leases(self) -> None:
        """Rows whose worker fell silent wait again, or end when somebody asked to cancel them."""
        with read_only(), self._sessions() as session:
            if not lease.has_expired(session):
                return
        with self._sessions.begin() as session:
            waiting = lease.take_back_expired(session, system_actor("housekeeping", "leases"))
        if waiting:
            log.warning("%d transcriptions taken back from silent workers", len(waiting))

    def ring_again(self) -> None:
        """Ring for rows whose ring Redis lost; does nothing while Redis is away."""
        with read_only(), self._sessions() as session:
            if not rings.anybody_waits(session):
                return
        present = queues.rung(self._settings)
        if present is None:
            return
        with self._sessions.begin() as session:
            lost = rings.take_due(session, present, self._settings.reconcile_seconds)
        heard = queues.ring_many(self._settings, lost, timeout_s=5.0)
        if lost:
            log.info("rang again for %d of %d transcriptions", heard, len(lost))

    def carry_out_effects(self) -> None:
        """The outbox."""
        with read_only(), self._sessions() as session:
            messages = outbox.due(session)
        for message in messages:
            try:
                outbox.carry_out(message, self._handlers)
            except Exception as error:
                log.exception("outbox %s", message.topic)
                with self._sessions.begin() as session:
                    outbox.mark_failed(session, message, error)
            else:
                with self._sessions.begin() as session:
                    outbox.mark_done(session, message)

    def settle_engine_changes(self) -> None:
        """The outcome of what engines did by themselves, or later than the person who asked could wait."""
        for view in engine.look_at_all(self._settings):
            change = view.status.change if view.status else None
            if change is None or change.ended is None or time.time() - change.ended < engine_acts.SETTLE_S:
                continue
            if change.id == self._settled.get(view.number):
                continue
            with self._sessions.begin() as session:
                engine_acts.settle(session, system_actor("housekeeping", "engines"), change, number=view.number)
            self._settled[view.number] = change.id

    def sweep_uploads(self) -> None:
        """Uploads past their time, and part files that belong to none."""
        with self._sessions.begin() as session:
            expired = uploads.expire_stale(session)
        for upload_id in expired:
            self._store.discard(upload_id)
            self._store.erase(upload_id)  # adopted by a process that died before its commit
        old = list(self._store.stale_uploads(ORPHAN_S))
        if old:
            with read_only(), self._sessions() as session:
                growing = uploads.growing_among(session, old)
            for upload_id in set(old) - growing:
                self._store.discard(upload_id)

    def witness_audit(self) -> None:
        """Let the file outside the database remember how far the access log has come."""
        with read_only(), self._sessions() as session:
            write_checkpoint(session, self._settings.instance)

    def prune(self) -> None:
        """Ended sessions and done messages, long after."""
        with self._sessions.begin() as session:
            browser_sessions.prune(session)
            lockout.prune(session, self._settings)
            outbox.prune(session)

    def recheck_people(self) -> None:
        """Who left the directory loses access."""
        with self._sessions() as session:
            recheck_directory_people(session, self._settings)
            session.commit()

    def _erase(self, payload: Mapping[str, Any]) -> None:
        recording_id = uuid.UUID(str(payload["recording_id"]))
        self._store.erase(recording_id)
        with self._sessions.begin() as session:
            gone = sa.update(Recording).where(Recording.id == recording_id, Recording.erased_at.is_(None))
            session.execute(gone.values(erased_at=utcnow()))


def run_due(tasks: list[Task], now: float) -> None:
    """Do the duties whose time has come; one that fails is logged and tried again at its next time."""
    for task in tasks:
        if task.next_at <= now and not stopping.process.asked:
            task.next_at = now + task.every_s
            try:
                task.duty()
            except Exception:
                log.exception("housekeeping %s", task.name)


def main() -> None:
    """Keep house until told to end."""
    settings = load_settings()
    configure_logging(settings)
    load_audit_key(settings.instance)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.process.ask())
    engine = create_engine(settings)
    tasks = House(settings, session_factory(engine)).tasks()
    while not stopping.process.asked:
        run_due(tasks, time.monotonic())
        stopping.process.wait(min(1.0, settings.reconcile_seconds))
    engine.dispose()


if __name__ == "__main__":
    main()
