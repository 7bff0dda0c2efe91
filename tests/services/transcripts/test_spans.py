"""Recordings of which only the times of speech were wanted: stored, read, taken away, by their owner alone."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.types import SpeechSpan
from portal.errors import NotFound, PortalError
from portal.formats import covered_ms
from portal.models import AuditEvent, Recording, State, Transcription
from portal.services.transcripts.exports import Wording, export
from portal.services.transcripts.reading import get_for
from portal.services.transcripts.spans import MIME_TYPES, export_spans, spans_for, timeline
from tests.support.library import add_recording
from tests.support.world import World, actor

WORDS = Wording({0: "坐席", 1: "客户"}, ("序号", "开始", "结束", "秒", "声道"))


@pytest.fixture
def call(session: Session, people: World) -> Recording:
    """Lin's call: the two sides speak over each other for a second."""
    recording = add_recording(session, people.lin, "电话", state=State.QUEUED, audio_ms=10_000)
    row = session.scalars(sa.select(Transcription).where(Transcription.recording_id == recording.id)).one()
    row.state, row.options = State.DONE.value, {"result": "spans"}
    row.spans = [[1_000, 3_000, 0], [2_000, 4_000, 1], [9_000, 10_000, 1]]
    session.flush()
    return recording


def events(session: Session, action: str) -> list[dict[str, object]]:
    rows = session.scalars(sa.select(AuditEvent).where(AuditEvent.action == action))
    return [event.detail for event in rows]


def test_a_moment_counts_once(session: Session, people: World, call: Recording) -> None:
    found = spans_for(session, actor(people.lin), call.id)
    assert found.spans[1] == SpeechSpan(2_000, 4_000, 1)
    assert (found.speech_ms, found.share, found.channels) == (4_000, 0.4, (0, 1))
    assert found.of(0) == (SpeechSpan(1_000, 3_000, 0),)
    assert events(session, "transcript.open") == [{"spans": 3}]
    assert get_for(session, actor(people.lin), call.id).spans_only


@pytest.mark.parametrize("file_format", MIME_TYPES)
def test_each_format_is_audited(session: Session, people: World, call: Recording, file_format: str) -> None:
    made = export_spans(session, actor(people.lin), call.id, file_format, WORDS, copied=True)
    assert made.file_name == f"电话.{file_format}"
    assert made.mimetype == MIME_TYPES[file_format]
    assert ("客户" in made.content) == (file_format != "json")
    assert events(session, "transcript.export") == [{"format": f"spans.{file_format}", "spans": 3, "copied": True}]


def test_json_says_how_much(session: Session, people: World, call: Recording) -> None:
    value = json.loads(export_spans(session, actor(people.lin), call.id, "json", WORDS).content)
    assert (value["audio_seconds"], value["speech_seconds"], value["share"], len(value["spans"])) == (10.0, 4.0, 0.4, 3)


def test_strangers_texts_and_unknown_formats(session: Session, people: World, call: Recording) -> None:
    for person in (people.wang, people.admin, people.auditor):
        with pytest.raises(NotFound):
            spans_for(session, actor(person), call.id)
        with pytest.raises(NotFound):
            export_spans(session, actor(person), call.id, "csv", WORDS)
    with pytest.raises(NotFound):
        export_spans(session, actor(people.lin), call.id, "srt", WORDS)
    text = add_recording(session, people.lin)
    with pytest.raises(NotFound):
        spans_for(session, actor(people.lin), text.id)
    with pytest.raises(PortalError, match="WRONG_STATE"):
        export(session, actor(people.lin), call.id, "txt", WORDS)
    assert events(session, "transcript.export") == []


def test_the_timeline_joins_what_touches_and_shows_what_is_short() -> None:
    spans = [SpeechSpan(0, 1), SpeechSpan(500_000, 500_400), SpeechSpan(500_900, 502_000), SpeechSpan(999_999, 10**6)]
    assert timeline(spans, 1_000_000) == [(0, 1), (500, 2), (999, 1)]
    assert timeline(spans, 0) == []
    many = [SpeechSpan(i * 1_000, i * 1_000 + 500) for i in range(43_200)]  # twelve hours
    drawn = timeline(many, 43_200_000)
    assert len(drawn) <= 500
    assert max(begin + width for begin, width in drawn) == 1_000


def test_covered() -> None:
    assert covered_ms([]) == 0
    assert covered_ms([SpeechSpan(5, 9), SpeechSpan(0, 10), SpeechSpan(10, 12)]) == 12
