"""The administrators' view of the queue: whose, how long, in which state. Never titles, file names or text."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import Department, State, Transcription, User
from portal.services.identity.actor import Actor
from portal.services.recognition import scheduler
from portal.services.recognition.clock import db_now

PAGE = 200
_RECENT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AdminJob:
    """One transcription. ``age_s``: since it was put into the queue; ``wait_s``: until it started, or so far."""

    transcription_id: uuid.UUID
    owner_name: str
    department_name: str | None
    state: str
    urgent: bool
    position: int | None
    audio_ms: int | None
    done_ms: int
    attempt: int
    worker: str | None
    cancelling: bool
    error_code: str | None
    error_params: dict[str, Any]
    wait_s: int
    age_s: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """Counts for the overview. ``failed_day``: ended as failed within 24 hours."""

    queued: int
    running: int
    queued_audio_ms: int
    failed_day: int
    done_day: int


def admin_jobs(session: Session, actor: Actor, *, limit: int = PAGE) -> list[AdminJob]:
    """Running rows, then waiting ones in the order they will run, then those that failed within a day.

    The route asks for ``ADMIN_JOBS``; ``actor`` is taken so that every service reads alike.
    """
    row, now = Transcription, db_now(session)
    query = (
        sa.select(row, User.display_name, Department.name)
        .join(User, User.id == row.owner_id)
        .outerjoin(Department, Department.id == row.department_id)
        .where(
            sa.or_(
                row.state.in_([State.RUNNING.value, State.QUEUED.value]),
                sa.and_(row.state == State.FAILED.value, row.finished_at > now - _RECENT),
            )
        )
        .options(sa.orm.lazyload(Transcription.recording))
    )
    places = scheduler.positions(session)
    jobs = [_job(item, owner, department, places, now) for item, owner, department in session.execute(query)]
    order = {State.RUNNING.value: 0, State.QUEUED.value: 1}
    jobs.sort(key=lambda job: (order.get(job.state, 2), job.position or 0, -(job.started_at or now).timestamp()))
    return jobs[:limit]


def queue_facts(session: Session) -> QueueFacts:
    """How much waits, runs and went wrong."""
    row, since = Transcription, db_now(session) - _RECENT
    rows = session.execute(
        sa.select(row.state, sa.func.count())
        .where(sa.or_(row.state.in_([State.QUEUED.value, State.RUNNING.value]), row.finished_at > since))
        .group_by(row.state)
    )
    counts: dict[str, int] = {found[0]: found[1] for found in rows}
    audio = session.scalar(sa.select(sa.func.sum(row.audio_ms)).where(row.state == State.QUEUED.value))
    return QueueFacts(
        queued=counts.get(State.QUEUED.value, 0),
        running=counts.get(State.RUNNING.value, 0),
        queued_audio_ms=int(audio or 0),
        failed_day=counts.get(State.FAILED.value, 0),
        done_day=counts.get(State.DONE.value, 0),
    )


def _job(
    row: Transcription,
    owner: str,
    department: str | None,
    places: dict[uuid.UUID, scheduler.Place],
    now: datetime,
) -> AdminJob:
    place = places.get(row.id)
    return AdminJob(
        transcription_id=row.id,
        owner_name=owner,
        department_name=department,
        state=row.state,
        urgent=row.lane == 0,
        position=place.position if place else None,
        audio_ms=row.audio_ms,
        done_ms=row.done_ms,
        attempt=row.attempt,
        worker=row.worker,
        cancelling=row.state == State.RUNNING.value and row.cancel_requested_at is not None,
        error_code=row.error_code,
        error_params=dict(row.error_params or {}),
        wait_s=round(((row.started_at or row.finished_at or now) - row.queued_at).total_seconds()),
        age_s=round((now - row.queued_at).total_seconds()),
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
