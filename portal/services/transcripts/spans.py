"""When somebody spoke, for recordings of which nothing else was wanted: to see, to hear, to take away."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from portal.asr.types import SpeechSpan
from portal.errors import NotFound
from portal.formats.spans import covered_ms, spans_csv, spans_json, spans_txt
from portal.models import State, Transcription
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.services.transcripts.exports import Export, Wording
from portal.services.transcripts.reading import Reading, get_for

SPANS_PER_PART = 300
"""Rows in one part of the page."""
COLUMNS = 1000
"""Steps of the timeline: enough for a wide screen, however long the recording is."""
MIME_TYPES = {"txt": "text/plain", "csv": "text/csv", "json": "application/json"}


@dataclass(frozen=True, slots=True)
class SpeechMap:
    """The speech of one recording. ``speech_ms`` counts a moment once, also when both sides of a call speak."""

    spans: tuple[SpeechSpan, ...]
    audio_ms: int
    speech_ms: int

    @property
    def share(self) -> float:
        """Speech as a part of the recording (0..1)."""
        return min(1.0, self.speech_ms / self.audio_ms) if self.audio_ms else 0.0

    @property
    def channels(self) -> tuple[int | None, ...]:
        """The channels in order; one None for a recording that was mixed."""
        return tuple(sorted({span.channel for span in self.spans}, key=lambda channel: channel or 0))

    def of(self, channel: int | None) -> tuple[SpeechSpan, ...]:
        """The spans of one channel."""
        return tuple(span for span in self.spans if span.channel == channel)


def map_of(row: Transcription) -> SpeechMap:
    """The speech that a finished transcription found.

    Raises:
        NotFound: something else was wanted of it, or it is not done.
    """
    if row.state != State.DONE.value or row.spans is None:
        raise NotFound
    spans = tuple(SpeechSpan(begin, end, channel) for begin, end, channel in row.spans)
    return SpeechMap(spans, row.audio_ms or 0, covered_ms(spans))


def timeline(spans: Sequence[SpeechSpan], audio_ms: int, columns: int = COLUMNS) -> list[tuple[int, int]]:
    """The spans drawn on ``columns`` steps: (first step, number of steps), touching ones joined."""
    runs: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda span: span.begin_ms):
        if audio_ms <= 0:
            break
        begin = min(columns - 1, span.begin_ms * columns // audio_ms)
        end = min(columns, max(begin + 1, -(-span.end_ms * columns // audio_ms)))
        if runs and begin <= runs[-1][0] + runs[-1][1]:
            first = runs[-1][0]
            runs[-1] = (first, max(end, first + runs[-1][1]) - first)
        else:
            runs.append((begin, end - begin))
    return runs


def spans_for(session: Session, actor: Actor, recording_id: uuid.UUID) -> SpeechMap:
    """The speech of one's own recording, audited as reading; for pages and for programs.

    Raises:
        NotFound: not one's own, or nothing of the kind was wanted of it.
    """
    found = _of(get_for(session, actor, recording_id))
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPT_OPEN,
        object_kind="recording",
        object_id=recording_id,
        detail={"spans": len(found.spans)},
    )
    return found


def export_spans(
    session: Session, actor: Actor, recording_id: uuid.UUID, file_format: str, wording: Wording, *, copied: bool = False
) -> Export:
    """The speech of one's own recording as a file in one of ``MIME_TYPES``: TXT is a label track for Audacity.

    Raises:
        NotFound: as ``spans_for``, or no such format.
    """
    if file_format not in MIME_TYPES:
        raise NotFound
    reading = get_for(session, actor, recording_id)
    found = _of(reading)
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPT_EXPORT,
        object_kind="recording",
        object_id=recording_id,
        detail={"format": f"spans.{file_format}", "spans": len(found.spans), "copied": copied},
    )
    return Export(
        f"{reading.recording.title}.{file_format}", MIME_TYPES[file_format], _written(found, file_format, wording)
    )


def _of(reading: Reading) -> SpeechMap:
    if reading.transcription is None:
        raise NotFound
    return map_of(reading.transcription)


def _written(found: SpeechMap, file_format: str, wording: Wording) -> str:
    if file_format == "csv":
        return spans_csv(found.spans, headers=wording.headers, channels=wording.channels)
    if file_format == "txt":
        return spans_txt(found.spans, channels=wording.channels)
    return spans_json(found.spans, audio_ms=found.audio_ms, speech_ms=found.speech_ms)
