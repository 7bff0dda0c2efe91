"""Opening a transcript: only its owner may, and each reading leaves a row in the audit log."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import NotFound
from portal.models import Recording, State, Transcript, Transcription, TranscriptSentence
from portal.services import audit
from portal.services.identity.actor import Actor

CHANGES_SHOWN = 100
SENTENCES_PER_PART = 300
"""Sentences in one part of the page: a long transcript is drawn part by part as the reader gets there."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A recording with its newest transcription and its newest text; either may be missing."""

    recording: Recording
    transcription: Transcription | None
    transcript: Transcript | None

    @property
    def spans_only(self) -> bool:
        """Whether it is finished and only the times of speech were wanted: see ``transcripts.spans``."""
        attempt = self.transcription
        if attempt is None or self.transcript is not None:
            return False
        return attempt.state == State.DONE.value and (attempt.options or {}).get("result") == "spans"


@dataclass(frozen=True, slots=True)
class TableChange:
    """``heard`` was written as ``written`` in ``count`` places, the first in the sentence at ``begin_ms``."""

    heard: str
    written: str
    count: int
    begin_ms: int


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part of a transcript begins: the position of its first sentence and that sentence's time (ms)."""

    first: int
    begin_ms: int


def get_for(session: Session, actor: Actor, recording_id: uuid.UUID) -> Reading:
    """What there is to read of one's own recording.

    Raises:
        NotFound: no such recording, a deleted one, or somebody else's.
    """
    recording = session.get(Recording, recording_id)
    if recording is None or recording.owner_id != actor.user_id or recording.deleted_at is not None:
        raise NotFound
    return Reading(recording, _newest(session, recording_id), _text_of(session, recording_id))


def open_transcript(session: Session, actor: Actor, recording_id: uuid.UUID) -> Reading:
    """The same for a person who is going to read it; audited where there is text.

    Raises:
        NotFound: as ``get_for``.
    """
    reading = get_for(session, actor, recording_id)
    if reading.transcript is not None:
        audit.record(
            session,
            actor,
            audit.Action.TRANSCRIPT_OPEN,
            object_kind="recording",
            object_id=recording_id,
            detail={"sentences": reading.transcript.sentence_count},
        )
    return reading


def read_part(session: Session, actor: Actor, recording_id: uuid.UUID, first: int) -> list[TranscriptSentence]:
    """The part that begins at sentence ``first``, audited as well: nobody reads around the log part by part.

    Raises:
        NotFound: as ``get_for``, and for a recording without text.
    """
    reading = get_for(session, actor, recording_id)
    if reading.transcript is None:
        raise NotFound
    found = sentences(session, reading.transcript, first)
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPT_OPEN,
        object_kind="recording",
        object_id=recording_id,
        detail={"first": first, "sentences": len(found)},
    )
    return found


def sentences(
    session: Session, transcript: Transcript, first: int = 0, limit: int = SENTENCES_PER_PART
) -> list[TranscriptSentence]:
    """``limit`` sentences from position ``first`` on, in order."""
    query = (
        sa.select(TranscriptSentence)
        .where(TranscriptSentence.transcript_id == transcript.id, TranscriptSentence.position >= first)
        .order_by(TranscriptSentence.position)
        .limit(limit)
    )
    return list(session.scalars(query))


def all_sentences(session: Session, transcript: Transcript) -> list[TranscriptSentence]:
    """Every sentence, in order; for exports."""
    query = (
        sa.select(TranscriptSentence)
        .where(TranscriptSentence.transcript_id == transcript.id)
        .order_by(TranscriptSentence.position)
    )
    return list(session.scalars(query))


def changes_by_table(session: Session, transcript: Transcript) -> list[TableChange]:
    """What the wrong→right table changed in a transcript, the most frequent first; at most ``CHANGES_SHOWN``."""
    if not transcript.substitution_count:
        return []
    rows = session.execute(
        sa.select(TranscriptSentence.begin_ms, TranscriptSentence.substitutions)
        .where(
            TranscriptSentence.transcript_id == transcript.id,
            sa.func.json_array_length(TranscriptSentence.substitutions) > 0,
        )
        .order_by(TranscriptSentence.position)
    )
    found: dict[tuple[str, str], TableChange] = {}
    for begin_ms, substitutions in rows:
        for made in substitutions:
            key = (str(made["heard"]), str(made["written"]))
            before = found.get(key)
            found[key] = (
                TableChange(*key, before.count + 1, before.begin_ms) if before else TableChange(*key, 1, begin_ms)
            )
    return sorted(found.values(), key=lambda change: -change.count)[:CHANGES_SHOWN]


def later_parts(session: Session, transcript: Transcript) -> list[Part]:
    """Where the parts after the first begin; the page keeps a place for each."""
    starts = range(SENTENCES_PER_PART, transcript.sentence_count, SENTENCES_PER_PART)
    query = (
        sa.select(TranscriptSentence.position, TranscriptSentence.begin_ms)
        .where(TranscriptSentence.transcript_id == transcript.id, TranscriptSentence.position.in_(starts))
        .order_by(TranscriptSentence.position)
    )
    return [Part(position, begin_ms) for position, begin_ms in session.execute(query)] if starts else []


def _newest(session: Session, recording_id: uuid.UUID) -> Transcription | None:
    return session.scalars(
        sa.select(Transcription)
        .where(Transcription.recording_id == recording_id)
        .order_by(Transcription.created_at.desc(), Transcription.id.desc())
        .limit(1)
    ).first()


def _text_of(session: Session, recording_id: uuid.UUID) -> Transcript | None:
    return session.scalars(
        sa.select(Transcript)
        .where(Transcript.recording_id == recording_id)
        .order_by(Transcript.created_at.desc(), Transcript.id.desc())
        .limit(1)
    ).first()
