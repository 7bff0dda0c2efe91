"""What a worker may do with a transcription: claim it, keep it, hand it back, end it; each step fenced by the token.

A worker that was silent for longer than its lease finds that its token no longer fits: its result is thrown away and
that is recorded. So a recording may be recognised twice, but ends with exactly one transcript.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.types import Transcription as Result
from portal.models import OutboxMessage, Recording, State, Transcription
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.services.recognition import scheduler
from portal.services.recognition.clock import db_now
from portal.services.recognition.results import span_rows, write_transcript
from portal.services.recognition.states import BACK_IN_QUEUE, NO_LEASE, hold_recording, move

MAX_ATTEMPTS = 5
MAX_INTERRUPTIONS = 20
"""Ends of the engine that cost a transcription nothing; each later one counts as an attempt. An engine finds out which
recording ends it within three of them (see ``portal.asr.engine.crash_journal``)."""
KIND = "transcription"
FINISHED = "transcription.finished"
_OUTCOMES = {
    "text": State.DONE,
    "spans": State.DONE,
    "no_speech": State.NO_SPEECH,
    "not_recognised": State.NOT_RECOGNISED,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A transcription that this worker holds until its lease ends."""

    transcription_id: uuid.UUID
    recording_id: uuid.UUID
    token: str
    attempt: int
    interruptions: int
    options: dict[str, Any]
    hotwords: tuple[str, ...]
    lease_seconds: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """``mine``: the token still fits. ``cancel``: somebody asked to stop."""

    mine: bool
    cancel: bool


def claim(session: Session, worker: str, lease_seconds: int) -> Claim | None:
    """Take the row that the scheduler puts first; None when nothing waits. The caller commits."""
    scheduler.lock_claims(session)
    while (candidate := scheduler.next_candidate(session)) is not None:
        now, token = db_now(session), secrets.token_hex(16)
        values = {
            "state": State.RUNNING.value,
            "turn": candidate.turn,
            "attempt": Transcription.attempt + 1,
            "lease_token": token,
            "lease_until": now + timedelta(seconds=lease_seconds),
            "worker": worker[:128],
            "started_at": now,
            "error_code": None,
            "error_params": None,
        }
        if move(session, candidate.transcription_id, [State.QUEUED], values):
            row = session.get_one(Transcription, candidate.transcription_id)
            words = tuple(str(word) for word in row.hotwords)
            return Claim(
                transcription_id=row.id,
                recording_id=row.recording_id,
                token=token,
                attempt=row.attempt,
                interruptions=row.interruptions,
                options=dict(row.options),
                hotwords=words,
                lease_seconds=lease_seconds,
            )
    return None


def renew(
    session: Session, held: Claim, *, done_ms: int, latest_text: str | None, audio_ms: int | None = None
) -> Renewal:
    """Lengthen the lease and show the progress.

    Args:
        done_ms: audio recognised so far, ms.
        audio_ms: the recording's length as known by now (ms); None keeps what is known.
        latest_text: the newest words, shown to the owner while it runs.
    """
    values: dict[str, Any] = {
        "lease_until": db_now(session) + timedelta(seconds=held.lease_seconds),
        "done_ms": done_ms,
        "latest_text": None if latest_text is None else latest_text[-400:],
    }
    if audio_ms is not None:
        values["audio_ms"] = audio_ms
    if not move(session, held.transcription_id, [State.RUNNING], values, token=held.token):
        return Renewal(mine=False, cancel=False)
    return watch(session, held)


def watch(session: Session, held: Claim) -> Renewal:
    """Look whether the lease still holds and whether somebody asked to stop; writes nothing."""
    query = sa.select(Transcription.cancel_requested_at).where(
        Transcription.id == held.transcription_id, Transcription.lease_token == held.token
    )
    row = session.execute(query).one_or_none()
    return Renewal(mine=row is not None, cancel=row is not None and row[0] is not None)


def complete(session: Session, actor: Actor, held: Claim, result: Result) -> bool:
    """End with a result: state, transcript, audit and outbox in the caller's one transaction.

    Returns False when the result is thrown away: another run owns the row now, or the person cancelled in time. Safe
    to repeat after a commit whose answer was lost.
    """
    hold_recording(session, held.recording_id)
    state = _OUTCOMES[result.outcome]
    values = {
        **NO_LEASE,
        "state": state.value,
        "audio_ms": result.audio_ms,
        "speech_ms": result.speech_ms,
        "done_ms": result.audio_ms,
        "latest_text": None,
        "model": asdict(result.model),
        "warnings": list(result.warnings),
        "spans": span_rows(result) if state is State.DONE else None,
        "error_code": None if state is State.DONE else state.value.upper(),
        "error_params": None,
        "finished_at": db_now(session),
    }
    wanted = [Transcription.cancel_requested_at.is_(None)]
    if not move(session, held.transcription_id, [State.RUNNING], values, token=held.token, conditions=wanted):
        if confirm_cancel(session, actor, held):
            return False
        if not _already_mine(session, held):
            discard(session, actor, held)
        return False
    recording_facts = {"duration_ms": result.audio_ms}
    session.execute(sa.update(Recording).where(Recording.id == held.recording_id).values(**recording_facts))
    if state is State.DONE and result.spans is None:
        write_transcript(session, held.transcription_id, held.recording_id, result)
    detail: dict[str, Any] = {"state": state.value, "audio_ms": result.audio_ms, "sentences": len(result.sentences)}
    if result.spans is not None:
        detail["spans"] = len(result.spans)
    _finished(session, actor, held.transcription_id, "ok", values["error_code"], detail)
    return True


def fail(session: Session, actor: Actor, held: Claim, code: str, params: Mapping[str, object] | None = None) -> bool:
    """End for good with a catalogue code."""
    return _fail(session, actor, held.transcription_id, held.token, code, dict(params or {}))


def try_again(session: Session, actor: Actor, held: Claim, code: str) -> bool:
    """Hand back after a failure that may pass; after ``MAX_ATTEMPTS`` it ends as ATTEMPTS_EXHAUSTED."""
    if confirm_cancel(session, actor, held):
        return False
    if held.attempt >= MAX_ATTEMPTS:
        return _fail(
            session, actor, held.transcription_id, held.token, "ATTEMPTS_EXHAUSTED", {"attempts": held.attempt}
        )
    return _requeue(session, actor, held.transcription_id, held.token, code, {"attempt": held.attempt})


def release(session: Session, actor: Actor, held: Claim, code: str) -> bool:
    """Hand back unharmed (engine away, worker stopping): the attempt is not counted."""
    if confirm_cancel(session, actor, held):
        return False
    uncounted = {"attempt": Transcription.attempt - 1}
    return _requeue(session, actor, held.transcription_id, held.token, code, {"attempt": held.attempt}, uncounted)


def interrupted(session: Session, actor: Actor, held: Claim, code: str) -> bool:
    """Hand back after the engine ended in mid-work: uncounted, because most likely another recording ended it, but not
    for ever."""
    if held.interruptions >= MAX_INTERRUPTIONS:
        return try_again(session, actor, held, code)
    if confirm_cancel(session, actor, held):
        return False
    uncounted = {"attempt": Transcription.attempt - 1, "interruptions": Transcription.interruptions + 1}
    detail = {"attempt": held.attempt, "interruptions": held.interruptions + 1}
    return _requeue(session, actor, held.transcription_id, held.token, code, detail, uncounted)


def confirm_cancel(session: Session, actor: Actor, held: Claim) -> bool:
    """Carry out a cancellation that somebody asked for; False when nobody did."""
    return _cancel_running(session, actor, held.transcription_id, held.token)


def discard(session: Session, actor: Actor, held: Claim) -> None:
    """Record that the work of an outdated run was thrown away."""
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPTION_DISCARD,
        object_kind=KIND,
        object_id=held.transcription_id,
        detail={"attempt": held.attempt},
    )


def has_expired(session: Session) -> bool:
    """Whether there is anything for ``take_back_expired``; writes nothing."""
    row = Transcription
    query = sa.select(row.id).where(row.state == State.RUNNING.value, row.lease_until < db_now(session))
    return session.execute(query.limit(1)).first() is not None


def take_back_expired(session: Session, actor: Actor, limit: int = 100) -> list[uuid.UUID]:
    """Give rows whose worker fell silent back to the queue (or end them); returns those that wait again."""
    row = Transcription
    query = sa.select(row.id, row.lease_token, row.attempt).where(
        row.state == State.RUNNING.value, row.lease_until < db_now(session)
    )
    waiting = []
    for transcription_id, lease_token, attempt in session.execute(query.limit(limit)).all():
        token = lease_token or ""  # a running row has one: the table's check says so
        if _cancel_running(session, actor, transcription_id, token):
            continue
        if attempt >= MAX_ATTEMPTS:
            _fail(session, actor, transcription_id, token, "ATTEMPTS_EXHAUSTED", {"attempts": attempt})
        elif _requeue(session, actor, transcription_id, token, "LEASE_EXPIRED", {"attempt": attempt}):
            waiting.append(transcription_id)
    return waiting


def _already_mine(session: Session, held: Claim) -> bool:
    """Whether this very run had been stored before: the commit's answer got lost, not the commit."""
    row = session.get_one(Transcription, held.transcription_id)
    return row.state in {state.value for state in _OUTCOMES.values()} and row.attempt == held.attempt


def _requeue(
    session: Session,
    actor: Actor,
    transcription_id: uuid.UUID,
    token: str,
    reason: str,
    detail: Mapping[str, Any],
    also: Mapping[str, Any] | None = None,
) -> bool:
    values = {**BACK_IN_QUEUE, "rung_at": None, **(also or {})}
    if not move(session, transcription_id, [State.RUNNING], values, token=token):
        return False
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPTION_REQUEUE,
        object_kind=KIND,
        object_id=transcription_id,
        reason=reason,
        detail=detail,
    )
    return True


def _cancel_running(session: Session, actor: Actor, transcription_id: uuid.UUID, token: str) -> bool:
    values = {
        **NO_LEASE,
        "state": State.CANCELLED.value,
        "error_code": "CANCELLED",
        "latest_text": None,
        "finished_at": db_now(session),
    }
    wanted = [Transcription.cancel_requested_at.is_not(None)]
    if not move(session, transcription_id, [State.RUNNING], values, token=token, conditions=wanted):
        return False
    _finished(session, actor, transcription_id, "ok", "CANCELLED", {"state": State.CANCELLED.value})
    return True


def _fail(
    session: Session, actor: Actor, transcription_id: uuid.UUID, token: str, code: str, params: dict[str, Any]
) -> bool:
    values = {
        **NO_LEASE,
        "state": State.FAILED.value,
        "error_code": code,
        "error_params": params or None,
        "latest_text": None,
        "finished_at": db_now(session),
    }
    if not move(session, transcription_id, [State.RUNNING], values, token=token):
        return False
    _finished(session, actor, transcription_id, "failed", code, {"state": State.FAILED.value})
    return True


def _finished(
    session: Session,
    actor: Actor,
    transcription_id: uuid.UUID,
    result: str,
    reason: str | None,
    detail: Mapping[str, Any],
) -> None:
    session.add(OutboxMessage(topic=FINISHED, payload={"transcription_id": str(transcription_id)}))
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPTION_FINISH,
        object_kind=KIND,
        object_id=transcription_id,
        result=result,
        reason=reason,
        detail=detail,
    )
