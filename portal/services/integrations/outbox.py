"""The outbox: effects outside the database, carried out at least once. Handlers must bear repetition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models import OutboxMessage

KEEP_DONE = timedelta(days=7)
LONGEST_PAUSE_S = 3600

Handler = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Due:
    """A message whose time has come."""

    id: int
    topic: str
    payload: Mapping[str, Any]
    attempts: int


def due(session: Session, limit: int = 50) -> list[Due]:
    """Messages to carry out now, oldest first."""
    row = OutboxMessage
    query = (
        sa.select(row.id, row.topic, row.payload, row.attempts)
        .where(row.done_at.is_(None), row.next_at <= utcnow())
        .order_by(row.id)
        .limit(limit)
    )
    return [Due(item.id, item.topic, dict(item.payload), item.attempts) for item in session.execute(query)]


def carry_out(message: Due, handlers: Mapping[str, Sequence[Handler]]) -> None:
    """Call everybody who subscribed to the topic; a topic without subscribers is done. Raises what a handler raises."""
    for handler in handlers.get(message.topic, ()):
        handler(message.payload)


def mark_done(session: Session, message: Due) -> None:
    """The effect has happened."""
    statement = sa.update(OutboxMessage).where(OutboxMessage.id == message.id, OutboxMessage.done_at.is_(None))
    session.execute(statement.values(done_at=utcnow(), attempts=message.attempts + 1, last_error=None))


def mark_failed(session: Session, message: Due, error: BaseException) -> None:
    """Try again later, each time twice as long, at most an hour."""
    pause = min(LONGEST_PAUSE_S, 5 * 2 ** min(message.attempts, 10))
    statement = sa.update(OutboxMessage).where(OutboxMessage.id == message.id, OutboxMessage.done_at.is_(None))
    session.execute(
        statement.values(
            attempts=message.attempts + 1,
            next_at=utcnow() + timedelta(seconds=pause),
            last_error=type(error).__name__[:200],
        )
    )


def prune(session: Session) -> int:
    """Forget messages done a week ago; returns how many."""
    old = sa.delete(OutboxMessage).where(OutboxMessage.done_at < utcnow() - KEEP_DONE)
    return int(session.execute(old).rowcount)  # type: ignore[attr-defined]
