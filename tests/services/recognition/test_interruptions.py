"""An engine that ends under a transcription costs it nothing, but not for ever; the speed shown follows what runs."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models import AuditEvent, State, Transcription
from portal.services.identity.actor import system_actor
from portal.services.recognition import lease, progress, transcriptions
from portal.settings import Settings
from tests.services.recognition.conftest import Queue
from tests.support.world import World, actor

WORKER = system_actor("worker", "job")


def interrupt(session: Session) -> None:
    held = lease.claim(session, "w", 30)
    assert held is not None
    assert lease.interrupted(session, WORKER, held, "ENGINE_UNAVAILABLE")
    session.commit()


def row(session: Session, item: uuid.UUID) -> Transcription:
    session.expire_all()
    return session.get_one(Transcription, item)


def test_an_end_of_the_engine_is_no_attempt(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    for _ in range(lease.MAX_ATTEMPTS + 2):
        interrupt(session)
    found = row(session, item)
    assert (found.state, found.attempt, found.interruptions) == ("queued", 0, lease.MAX_ATTEMPTS + 2)
    query = sa.select(AuditEvent.reason).where(AuditEvent.action == "transcription.requeue")
    assert set(session.scalars(query)) == {"ENGINE_UNAVAILABLE"}


def test_too_many_ends_count(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    for _ in range(lease.MAX_INTERRUPTIONS + lease.MAX_ATTEMPTS - 1):
        interrupt(session)
    assert row(session, item).attempt == lease.MAX_ATTEMPTS - 1
    interrupt(session)
    found = row(session, item)
    assert (found.state, found.error_code) == ("failed", "ATTEMPTS_EXHAUSTED")


def test_a_retry_by_hand_starts_counting_anew(
    session: Session, people: World, queue: Queue, any_settings: Settings
) -> None:
    item = queue(people.lin)
    interrupt(session)
    held = lease.claim(session, "w", 30)
    assert held is not None
    lease.fail(session, WORKER, held, "POISON")
    session.commit()
    transcriptions.retry(session, actor(people.lin), item, settings=any_settings)
    session.commit()
    assert (row(session, item).interruptions, row(session, item).state) == (0, "queued")


def test_a_cancelled_one_is_not_queued_again(session: Session, people: World, queue: Queue) -> None:
    item = queue(people.lin)
    held = lease.claim(session, "w", 30)
    assert held is not None
    transcriptions.cancel(session, actor(people.lin), item)
    assert not lease.interrupted(session, WORKER, held, "ENGINE_UNAVAILABLE")
    assert row(session, item).state == "cancelled"


@pytest.mark.parametrize(
    ("done_ms", "seconds", "speed"),
    [(0, 60, None), (120_000, 2, None), (120_000, 60, 2.0), (600_000, 60, 10.0)],
)
def test_what_runs_tells_the_speed(
    session: Session, people: World, queue: Queue, done_ms: int, seconds: float, speed: float | None
) -> None:
    item = queue(people.lin, audio_ms=3_600_000)
    assert lease.claim(session, "w", 30) is not None
    began = utcnow() - timedelta(seconds=seconds)
    changed = sa.update(Transcription).where(Transcription.id == item)
    session.execute(changed.values(started_at=began, done_ms=done_ms))
    session.commit()
    measured = progress.pace(session)
    assert (measured.running, measured.running_left_ms) == (1, 3_600_000 - done_ms)
    assert measured.speed == (None if speed is None else pytest.approx(speed, rel=0.05))
    assert session.get_one(Transcription, item).state == State.RUNNING.value
