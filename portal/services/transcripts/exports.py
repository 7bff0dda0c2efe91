"""A transcript as a file to take away; each one leaves a row in the audit log before its first byte."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from portal.asr.types import ModelInfo, Sentence, Substitution, Transcription, Word
from portal.errors import NotFound, PortalError
from portal.formats import to_csv, to_json, to_srt, to_txt, to_vtt
from portal.models import TranscriptSentence
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.services.transcripts.reading import Reading, all_sentences, get_for

MIME_TYPES = {
    "txt": "text/plain",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "json": "application/json",
    "csv": "text/csv",
}
"""The formats and their content types; all are UTF-8."""


@dataclass(frozen=True, slots=True)
class Export:
    """A file: its name as people see it, content type and text."""

    file_name: str
    mimetype: str
    content: str


@dataclass(frozen=True, slots=True)
class Wording:
    """Names in the reader's language: of the two sides of a telephone recording, of the columns of a table, of voices
    by their number, and of what a model says beside the words (languages, emotions, sounds; by kind and code)."""

    channels: Mapping[int, str]
    headers: Sequence[str]
    speaker: Callable[[str | None], str] = field(default=lambda speaker: speaker or "")
    tag: Callable[[str, str], str] = field(default=lambda kind, code: code)


def export(
    session: Session, actor: Actor, recording_id: uuid.UUID, file_format: str, wording: Wording, *, copied: bool = False
) -> Export:
    """One's own transcript in one of ``MIME_TYPES``.

    Args:
        copied: it goes to the clipboard and not into a file; the audit row says so.

    Raises:
        NotFound: not one's own, or no such format.
        PortalError: WRONG_STATE while there is no text.
    """
    if file_format not in MIME_TYPES:
        raise NotFound
    reading = get_for(session, actor, recording_id)
    if reading.transcript is None:
        raise PortalError("WRONG_STATE")
    rows = [sentence_of(row) for row in all_sentences(session, reading.transcript)]
    content = _write(reading, rows, file_format, wording)
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPT_EXPORT,
        object_kind="recording",
        object_id=recording_id,
        detail={"format": file_format, "sentences": len(rows), "copied": copied},
    )
    return Export(f"{reading.recording.title}.{file_format}", MIME_TYPES[file_format], content)


def sentence_of(row: TranscriptSentence) -> Sentence:
    """A stored sentence as recognition speaks about it."""
    timed = all(begin is not None for _, begin, _, _ in row.words)
    words = tuple(
        Word(str(text), begin if timed else row.begin_ms, end if timed else row.end_ms, confidence)
        for text, begin, end, confidence in row.words
    )
    return Sentence(
        row.text,
        row.begin_ms,
        row.end_ms,
        words,
        row.paragraph,
        row.speaker,
        row.channel,
        row.confidence,
        language=row.language,
        emotion=row.emotion,
        events=tuple(str(event) for event in row.events or ()),
        substitutions=tuple(Substitution(**made) for made in row.substitutions or ()),
        timed=timed,
    )


def _write(reading: Reading, rows: list[Sentence], file_format: str, wording: Wording) -> str:
    if file_format == "json":
        return to_json(_result(reading, rows))
    rows = [replace(row, speaker=wording.speaker(row.speaker) or None) for row in rows]
    if file_format == "txt":
        return to_txt(rows, channels=wording.channels)
    if file_format == "srt":
        return to_srt(rows, channels=wording.channels)
    if file_format == "vtt":
        return to_vtt(rows, channels=wording.channels)
    return to_csv(rows, headers=wording.headers, channels=wording.channels, tag=wording.tag)


def _result(reading: Reading, rows: list[Sentence]) -> Transcription:
    attempt = reading.transcription
    model = (attempt.model if attempt else None) or {}
    return Transcription(
        sentences=tuple(rows),
        audio_ms=(attempt.audio_ms if attempt else None) or reading.recording.duration_ms or 0,
        speech_ms=(attempt.speech_ms if attempt else None) or 0,
        model=ModelInfo(
            str(model.get("name", "")),
            str(model.get("family", "")),
            str(model.get("digest", "")),
            str(model.get("device", "")),
            model.get("demo") is True,
            str(model.get("profile", "")),
        ),
        outcome="text",
        warnings=tuple(str(code) for code in (attempt.warnings if attempt else ())),
    )
