"""Where a person's recordings are: place in the queue, time to wait, audio recognised so far. All of it measured."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import Recording, State, Transcription
from portal.services.identity.actor import Actor
from portal.services.recognition import scheduler
from portal.services.recognition.clock import db_now

SPEED_SAMPLE = 20
"""How many finished transcriptions the measured speed is taken from."""
_RANGE = (0.8, 1.5)
_START_S = 5
"""Decoding and queueing before the first word (s)."""


@dataclass(frozen=True, slots=True)
class ProgressItem:
    """One transcription as its owner sees it. Times in ms of audio unless named; ``wait_*_s`` in seconds from now.

    ``position`` counts from 1 and is None unless it waits; ``ahead_ms`` is the audio before it, running ones included.
    ``wait_low_s`` and ``wait_high_s`` are None while no speed was measured yet. ``percent`` is None until known.
    """

    transcription_id: uuid.UUID
    recording_id: uuid.UUID
    title: str
    original_name: str
    state: str
    position: int | None
    ahead_ms: int | None
    wait_low_s: int | None
    wait_high_s: int | None
    done_ms: int
    audio_ms: int | None
    latest_text: str | None
    cancelling: bool
    attempt: int
    error_code: str | None
    error_params: dict[str, Any]
    warnings: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def percent(self) -> int | None:
        """Recognised share, 0..100."""
        if self.state == State.DONE.value:
            return 100
        if not self.audio_ms:
            return None
        return min(100, self.done_ms * 100 // self.audio_ms)

    @property
    def is_active(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in (State.QUEUED.value, State.RUNNING.value)


@dataclass(frozen=True, slots=True)
class Pace:
    """What the waiting time is worked out from. ``speed``: audio ms a worker finishes in one wall ms; None unknown."""

    speed: float | None
    running: int
    running_left_ms: int


def items_for(session: Session, actor: Actor, *, recent: timedelta = timedelta(days=1)) -> list[ProgressItem]:
    """The actor's transcriptions that wait or run, or ended without text within ``recent``; newest first."""
    row = Transcription
    troubled = [State.FAILED.value, State.NO_SPEECH.value, State.NOT_RECOGNISED.value, State.CANCELLED.value]
    query = (
        sa.select(row)
        .join(Recording, Recording.id == row.recording_id)
        .where(
            row.owner_id == actor.user_id,
            Recording.deleted_at.is_(None),
            sa.or_(
                row.state.in_([State.QUEUED.value, State.RUNNING.value]),
                sa.and_(row.state.in_(troubled), row.finished_at > db_now(session) - recent),
            ),
        )
        .order_by(row.created_at.desc(), row.id)
    )
    return _items(session, list(session.scalars(query)))


def item_for(session: Session, actor: Actor, transcription_id: uuid.UUID) -> ProgressItem | None:
    """One of the actor's transcriptions, whatever its state; None when it is not theirs."""
    row = session.get(Transcription, transcription_id)
    if row is None or row.owner_id != actor.user_id or row.recording.deleted_at is not None:
        return None
    return _items(session, [row])[0]


def pace(session: Session) -> Pace:
    """The measured speed of recent transcriptions and of those under way, and how much of the latter is left.

    What runs counts with the audio recognised so far, as its worker wrote it: so a speed is known while the very first
    long recording runs, and it follows the engine when that becomes slower, faster or another one.
    """
    row = Transcription
    recent = (
        sa.select(row.audio_ms, row.started_at, row.finished_at)
        .where(row.state == State.DONE.value)
        .order_by(row.finished_at.desc())
        .limit(SPEED_SAMPLE)
    )
    audio = wall = 0.0
    for audio_ms, started, finished in session.execute(recent):
        if started is not None and finished is not None:
            audio += audio_ms or 0
            wall += max(1.0, (finished - started).total_seconds() * 1000)
    running = left_ms = 0
    now = db_now(session)
    under_way = sa.select(row.audio_ms, row.done_ms, row.started_at).where(row.state == State.RUNNING.value)
    for audio_ms, done_ms, started in session.execute(under_way):
        running += 1
        left_ms += max(0, (audio_ms or 0) - done_ms)
        seconds = 0.0 if started is None else (now - started).total_seconds()
        if done_ms and seconds >= _START_S:
            audio += done_ms
            wall += seconds * 1000
    return Pace(audio / wall if audio and wall else None, running, left_ms)


def wait_range(measured: Pace, ahead_ms: int) -> tuple[int, int] | tuple[None, None]:
    """Seconds until a row with ``ahead_ms`` of audio before it starts, as a low and a high guess."""
    if measured.speed is None:
        return None, None
    seconds = ahead_ms / 1000 / measured.speed / max(1, measured.running)
    return round(seconds * _RANGE[0]), round(seconds * _RANGE[1]) + _START_S


def _items(session: Session, rows: list[Transcription]) -> list[ProgressItem]:
    waiting = any(row.state == State.QUEUED.value for row in rows)
    places = scheduler.positions(session, rows[0].owner_id) if waiting else {}
    measured = pace(session) if waiting else None
    return [_item(row, places.get(row.id), measured) for row in rows]


def _item(row: Transcription, place: scheduler.Place | None, measured: Pace | None) -> ProgressItem:
    ahead = low = high = None
    if place is not None and measured is not None:
        ahead = place.ahead_ms + measured.running_left_ms
        low, high = wait_range(measured, ahead)
    return ProgressItem(
        transcription_id=row.id,
        recording_id=row.recording_id,
        title=row.recording.title,
        original_name=row.recording.original_name,
        state=row.state,
        position=place.position if place else None,
        ahead_ms=ahead,
        wait_low_s=low,
        wait_high_s=high,
        done_ms=row.done_ms,
        audio_ms=row.audio_ms,
        latest_text=row.latest_text,
        cancelling=row.state == State.RUNNING.value and row.cancel_requested_at is not None,
        attempt=row.attempt,
        error_code=row.error_code,
        error_params=dict(row.error_params or {}),
        warnings=tuple(str(code) for code in row.warnings),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
