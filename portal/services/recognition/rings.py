"""Which rows must be rung for again: Redis may have lost their ring."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import State, Transcription
from portal.services.recognition.clock import db_now


def anybody_waits(session: Session) -> bool:
    """Whether any row waits; writes nothing."""
    query = sa.select(Transcription.id).where(Transcription.state == State.QUEUED.value)
    return session.execute(query.limit(1)).first() is not None


def take_due(session: Session, present: Collection[uuid.UUID], patience_s: float, limit: int = 1000) -> list[uuid.UUID]:
    """Rows that wait without a ring in Redis, marked as rung for now; the caller rings after the commit.

    Args:
        present: the rows whose ring lies in Redis.
        patience_s: a ring younger than this (seconds) may just be on its way to a worker.
    """
    row, now = Transcription, db_now(session)
    waiting = (
        sa.select(row.id, row.rung_at)
        .where(row.state == State.QUEUED.value)
        .where(sa.or_(row.rung_at.is_(None), row.rung_at < now - timedelta(seconds=patience_s)))
        .order_by(row.lane, row.queued_at)
        .limit(limit)
    )
    taken = []
    for transcription_id, rung_at in session.execute(waiting).all():
        if transcription_id in present:
            continue
        unchanged = row.rung_at.is_(None) if rung_at is None else row.rung_at == rung_at
        statement = sa.update(row).where(row.id == transcription_id, row.state == State.QUEUED.value, unchanged)
        if session.execute(statement.values(rung_at=now)).rowcount == 1:  # type: ignore[attr-defined]
            taken.append(transcription_id)
    return taken
