"""The administrator's first page: is work being done, how fast, is there room, what went wrong. Counts only."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from redis.exceptions import RedisError
from rq import Worker
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models.audit_event import AuditEvent
from portal.models.transcription import State, Transcription
from portal.queues import quick_connection
from portal.services.administration.office import need
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission
from portal.settings import Settings

DAY = timedelta(days=1)
DISK_WARN_PERCENT = 80
DISK_FULL_PERCENT = 90
REDIS_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Speed:
    """What was recognised within a day: audio, the time it took from claim to result, seconds of audio per second."""

    recordings: int
    audio_ms: int
    factor: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """One way in which transcriptions ended badly, how often, and when last."""

    code: str
    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of the recordings, in bytes. ``state``: ``ok``, ``warn`` (80 %) or ``full`` (90 %)."""

    used: int
    free: int
    total: int
    state: str

    @property
    def percent(self) -> int:
        """Used, of what people may use."""
        return round(100 * self.used / max(1, self.used + self.free))


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One RQ worker process."""

    name: str
    busy: bool
    host: str
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The rows that the database knows."""

    speed: Speed
    failures: list[Failure]
    refused_sign_ins: int


def overview(session: Session, actor: Actor) -> Overview:
    """What happened within 24 hours.

    Raises:
        Forbidden: the actor is no administrator.
    """
    need(actor, Permission.ADMIN_JOBS)
    since = utcnow() - DAY
    refused = sa.select(sa.func.count()).where(
        AuditEvent.action == "session.sign_in", AuditEvent.result != "ok", AuditEvent.at > since
    )
    return Overview(_speed(session, since), _failures(session, since), session.scalar(refused) or 0)


def _speed(session: Session, since: datetime) -> Speed:
    rows = session.execute(
        sa.select(Transcription.audio_ms, Transcription.started_at, Transcription.finished_at).where(
            Transcription.state == State.DONE.value, Transcription.finished_at > since
        )
    ).all()
    timed = [row for row in rows if row.audio_ms and row.started_at and row.finished_at]
    audio_ms = sum(row.audio_ms for row in timed)
    took_s = sum((row.finished_at - row.started_at).total_seconds() for row in timed)
    return Speed(len(rows), audio_ms, audio_ms / 1000 / took_s if took_s > 0 else None)


def _failures(session: Session, since: datetime) -> list[Failure]:
    code = sa.func.coalesce(Transcription.error_code, "INTERNAL")
    rows = session.execute(
        sa.select(code, sa.func.count(), sa.func.max(Transcription.finished_at, type_=Transcription.finished_at.type))
        .where(Transcription.state == State.FAILED.value, Transcription.finished_at > since)
        .group_by(code)
        .order_by(sa.func.count().desc(), code)
    )
    return [Failure(name, count, last) for name, count, last in rows if last is not None]


def disk(settings: Settings) -> Disk:
    """How full the place of the recordings is."""
    place: Path = settings.store_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    usage = shutil.disk_usage(place)
    found = Disk(usage.used, usage.free, usage.total, "ok")
    state = "full" if found.percent >= DISK_FULL_PERCENT else "warn" if found.percent >= DISK_WARN_PERCENT else "ok"
    return Disk(usage.used, usage.free, usage.total, state)


def workers(settings: Settings) -> list[WorkerRow] | None:
    """The worker processes that Redis knows; None while Redis is away. Takes half a second at most per answer."""
    try:
        with quick_connection(settings, timeout_s=REDIS_TIMEOUT_S) as connection:
            found = Worker.all(connection=connection)
            rows = [
                WorkerRow(worker.name, worker.get_state() == "busy", str(worker.hostname or ""), worker.last_heartbeat)
                for worker in found
            ]
    except (RedisError, OSError):
        return None
    return sorted(rows, key=lambda row: row.name)
