"""What people do with transcriptions: submit, cancel, retry, and (administrators) move ahead."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal import queues
from portal.after_commit import after_commit
from portal.errors import NotFound, PortalError
from portal.models import Recording, State, Transcription
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.services.recognition.clock import db_now
from portal.services.recognition.states import BACK_IN_QUEUE, NO_LEASE, hold_recording, move
from portal.settings import Settings

KIND = "transcription"
LANE_URGENT = 0
LANE_FILES = 10
RETRIABLE = (State.FAILED, State.CANCELLED, State.NO_SPEECH, State.NOT_RECOGNISED)


def get_for(session: Session, actor: Actor, transcription_id: uuid.UUID) -> Transcription:
    """The actor's own transcription of a recording that is not deleted. Raises NotFound otherwise."""
    row = session.get(Transcription, transcription_id)
    if row is None or row.owner_id != actor.user_id or row.recording.deleted_at is not None:
        raise NotFound
    return row


def submit(
    session: Session,
    actor: Actor,
    recording: Recording,
    *,
    options: dict[str, Any],
    hotwords: list[str],
    hotword_versions: list[Any],
    settings: Settings,
    idempotency_key: str | None = None,
) -> Transcription:
    """Put a recording into the queue and, after the commit, ring.

    Args:
        options: the choices as ``recordings.options`` wrote them.
        hotwords: cleaned words; kept as they are for every retry.
        hotword_versions: which lists they came from.
        idempotency_key: the same key of the same person gives the same transcription back.
    """
    if idempotency_key is not None:
        same = sa.select(Transcription).where(
            Transcription.owner_id == recording.owner_id, Transcription.idempotency_key == idempotency_key
        )
        if (known := session.scalars(same).one_or_none()) is not None:
            return known
    now = db_now(session)
    row = Transcription(
        recording_id=recording.id,
        owner_id=recording.owner_id,
        department_id=recording.department_id,
        idempotency_key=idempotency_key,
        state=State.QUEUED.value,
        lane=LANE_FILES,
        options=options,
        hotwords=hotwords,
        hotword_versions=hotword_versions,
        audio_ms=recording.duration_ms,
        created_at=now,
        queued_at=now,
        rung_at=now,
    )
    session.add(row)
    session.flush()
    detail = {"audio_ms": recording.duration_ms, "hotwords": len(hotwords), **options}
    audit.record(session, actor, audit.Action.TRANSCRIPTION_START, object_kind=KIND, object_id=row.id, detail=detail)
    _ring_later(session, settings, row.id)
    return row


def cancel(session: Session, actor: Actor, transcription_id: uuid.UUID) -> None:
    """Stop one's own transcription: at once while it waits, within seconds while it runs.

    Raises:
        NotFound: not one's own.
        PortalError: WRONG_STATE when it had ended.
    """
    get_for(session, actor, transcription_id)
    _cancel(session, actor, transcription_id, by_administrator=False)


def retry(session: Session, actor: Actor, transcription_id: uuid.UUID, *, settings: Settings) -> None:
    """Run one's own transcription again with the options and hotwords it was given.

    Raises:
        NotFound: not one's own, or its recording was deleted.
        PortalError: WRONG_STATE when it waits, runs or was done.
    """
    if not hold_recording(session, get_for(session, actor, transcription_id).recording_id):
        raise NotFound
    now = db_now(session)
    values = {
        **BACK_IN_QUEUE,
        "attempt": 0,
        "interruptions": 0,
        "queued_at": now,
        "rung_at": now,
        "finished_at": None,
        "error_code": None,
        "error_params": None,
        "warnings": [],
        "lane": LANE_FILES,
    }
    if not move(session, transcription_id, RETRIABLE, values):
        raise PortalError("WRONG_STATE")
    audit.record(session, actor, audit.Action.TRANSCRIPTION_RETRY, object_kind=KIND, object_id=transcription_id)
    _ring_later(session, settings, transcription_id)


def cancel_any(session: Session, actor: Actor, transcription_id: uuid.UUID) -> None:
    """An administrator stops anybody's transcription (the route asks for ``ADMIN_JOBS``).

    Raises:
        NotFound: there is none.
        PortalError: WRONG_STATE when it had ended.
    """
    if session.get(Transcription, transcription_id) is None:
        raise NotFound
    _cancel(session, actor, transcription_id, by_administrator=True)


def set_priority(session: Session, actor: Actor, transcription_id: uuid.UUID, *, urgent: bool) -> None:
    """An administrator moves a waiting transcription ahead of all files, or back among them.

    Raises:
        NotFound: there is none.
        PortalError: WRONG_STATE unless it waits.
    """
    if session.get(Transcription, transcription_id) is None:
        raise NotFound
    lane = LANE_URGENT if urgent else LANE_FILES
    if not move(session, transcription_id, [State.QUEUED], {"lane": lane}):
        raise PortalError("WRONG_STATE")
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPTION_PRIORITY,
        object_kind=KIND,
        object_id=transcription_id,
        detail={"lane": lane},
    )


def cancel_all_of(session: Session, recording_id: uuid.UUID) -> None:
    """End what waits or runs of a recording that is being deleted, at once: a late result finds its token gone."""
    unfinished = sa.select(Transcription.id).where(
        Transcription.recording_id == recording_id,
        Transcription.state.in_([State.QUEUED.value, State.RUNNING.value]),
    )
    for transcription_id in session.scalars(unfinished).all():
        move(session, transcription_id, [State.QUEUED, State.RUNNING], _cancelled(session))


def _cancel(session: Session, actor: Actor, transcription_id: uuid.UUID, *, by_administrator: bool) -> None:
    detail = {"by_administrator": by_administrator}
    waits = move(session, transcription_id, [State.QUEUED], _cancelled(session))
    if not waits:
        asked = {"cancel_requested_at": db_now(session)}
        first_time = [Transcription.cancel_requested_at.is_(None)]
        if not move(session, transcription_id, [State.RUNNING], asked, conditions=first_time):
            row = session.get_one(Transcription, transcription_id)
            if row.state == State.RUNNING.value:
                return  # asked before; the worker is about to stop
            raise PortalError("WRONG_STATE")
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPTION_CANCEL,
        object_kind=KIND,
        object_id=transcription_id,
        detail={**detail, "was": (State.QUEUED if waits else State.RUNNING).value},
    )


def _cancelled(session: Session) -> dict[str, Any]:
    return {
        **NO_LEASE,
        "state": State.CANCELLED.value,
        "error_code": "CANCELLED",
        "latest_text": None,
        "finished_at": db_now(session),
    }


def _ring_later(session: Session, settings: Settings, transcription_id: uuid.UUID) -> None:
    def effect() -> None:
        queues.ring(settings, transcription_id)

    after_commit(session, effect)
