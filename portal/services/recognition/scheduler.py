"""The one order in which queued transcriptions run, in SQL. Positions shown to people are row numbers of this order.

First the lane, then turns between people, then age. Turns are start-time fair queueing with one step a recording: in
each round of a lane a person starts one recording. The round under way is the highest turn given so far; who was
served in it waits for the next one, and a person's n-th recording waits n-1 rounds. Starting the first row changes
nothing for the others, whoever finishes when, so what a person sees is what happens; only new arrivals of people who
were not served yet come in between.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import State, Transcription

_CLAIM_LOCK = 0x5055_4C4C
"""PostgreSQL advisory lock: claims follow one another, so two workers never reach for the same row."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The row that runs next and the turn it takes."""

    transcription_id: uuid.UUID
    turn: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the queue. ``position`` counts from 1; ``ahead_ms`` is the audio of all rows before this one."""

    position: int
    ahead_ms: int


def lock_claims(session: Session) -> None:
    """Hold off other claims until this transaction ends; on SQLite ``BEGIN IMMEDIATE`` did so already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLAIM_LOCK)))


def _turns() -> sa.Subquery:
    """Every queued row with its turn."""
    row = Transcription
    queued = (
        sa.select(row.id, row.owner_id, row.lane, row.queued_at, row.audio_ms)
        .where(row.state == State.QUEUED.value)
        .cte("queued")
    )
    lanes = sa.select(queued.c.lane).distinct().cte("lanes")
    newest = sa.select(sa.func.max(row.turn)).where(row.lane == lanes.c.lane).scalar_subquery()
    current = sa.select(lanes.c.lane, newest.label("turn")).cte("current_round")
    served = (
        sa.select(row.lane, row.owner_id)
        .join(current, sa.and_(row.lane == current.c.lane, row.turn == current.c.turn))
        .distinct()
        .cte("served")
    )
    own = sa.func.row_number().over(
        partition_by=(queued.c.lane, queued.c.owner_id), order_by=(queued.c.queued_at, queued.c.id)
    )
    waits = sa.case((served.c.owner_id.is_not(None), 0), else_=-1)
    return (
        sa.select(queued, (sa.func.coalesce(current.c.turn, 0) + waits + own).label("turn"))
        .join(current, current.c.lane == queued.c.lane)
        .outerjoin(served, sa.and_(served.c.lane == queued.c.lane, served.c.owner_id == queued.c.owner_id))
        .subquery("turns")
    )


def next_candidate(session: Session) -> Candidate | None:
    """The row that runs next, None when nothing waits."""
    turns = _turns()
    order = (turns.c.lane, turns.c.turn, turns.c.queued_at, turns.c.id)
    first = session.execute(sa.select(turns.c.id, turns.c.turn).order_by(*order).limit(1)).one_or_none()
    return None if first is None else Candidate(first.id, int(first.turn))


def positions(session: Session, owner_id: uuid.UUID | None = None) -> dict[uuid.UUID, Place]:
    """The place of every queued row, or of one person's rows, among all."""
    turns = _turns()
    order = (turns.c.lane, turns.c.turn, turns.c.queued_at, turns.c.id)
    audio = sa.func.coalesce(turns.c.audio_ms, 0)
    places = sa.select(
        turns.c.id,
        turns.c.owner_id,
        sa.func.row_number().over(order_by=order).label("position"),
        (sa.func.sum(audio).over(order_by=order, rows=(None, 0)) - audio).label("ahead_ms"),
    ).subquery("places")
    query = sa.select(places.c.id, places.c.position, places.c.ahead_ms)
    if owner_id is not None:
        query = query.where(places.c.owner_id == owner_id)
    return {row.id: Place(int(row.position), int(row.ahead_ms)) for row in session.execute(query)}
