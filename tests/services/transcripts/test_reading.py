"""Who may read a transcript, what a reading leaves in the audit log, and how a long one is cut into parts."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import NotFound
from portal.models import AuditEvent, State, Transcription
from portal.services.transcripts import reading
from tests.support.library import MEETING, add_recording
from tests.support.world import World, actor


def opened(session: Session) -> list[AuditEvent]:
    """Rows that say a transcript was read."""
    return list(session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "transcript.open")))


def test_the_owner_reads_and_the_log_says_so(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin)
    found = reading.open_transcript(session, actor(people.lin), recording.id)
    assert found.transcript is not None
    assert [row.text for row in reading.sentences(session, found.transcript)] == list(MEETING)
    (event,) = opened(session)
    assert (event.object_id, event.actor_name) == (str(recording.id), "lin")
    assert "星澜" not in str(event.detail)


@pytest.mark.parametrize("name", ["wang", "zhao", "admin", "auditor"])
def test_nobody_else_reads_it(session: Session, people: World, name: str) -> None:
    recording = add_recording(session, people.lin)
    with pytest.raises(NotFound):
        reading.open_transcript(session, actor(people.person(name)), recording.id)
    with pytest.raises(NotFound):
        reading.read_part(session, actor(people.person(name)), recording.id, 0)
    assert opened(session) == []


def test_a_deleted_recording_is_gone(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin)
    recording.deleted_at = utcnow()
    for wanted in (recording.id, uuid.uuid4()):
        with pytest.raises(NotFound):
            reading.get_for(session, actor(people.lin), wanted)


def test_without_text_there_is_nothing_to_audit(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin, state=State.QUEUED)
    found = reading.open_transcript(session, actor(people.lin), recording.id)
    assert found.transcript is None
    assert found.transcription is not None
    assert opened(session) == []


def test_the_newest_transcription_is_shown(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin, state=State.FAILED)
    again = Transcription(
        recording_id=recording.id,
        owner_id=people.lin.id,
        created_at=recording.created_at + timedelta(minutes=1),
    )
    session.add(again)
    session.flush()
    assert reading.get_for(session, actor(people.lin), recording.id).transcription is again


def test_a_long_one_comes_in_parts_and_each_part_is_audited(session: Session, people: World) -> None:
    texts = [f"第{i}句。" for i in range(700)]
    recording = add_recording(session, people.lin, texts=texts)
    found = reading.open_transcript(session, actor(people.lin), recording.id)
    assert found.transcript is not None
    assert len(reading.sentences(session, found.transcript)) == 300
    assert reading.later_parts(session, found.transcript) == [
        reading.Part(300, 1_200_000),
        reading.Part(600, 2_400_000),
    ]
    part = reading.read_part(session, actor(people.lin), recording.id, 600)
    assert [row.text for row in part] == texts[600:]
    assert [event.detail.get("first") for event in opened(session)] == [None, 600]


def test_a_short_one_has_no_later_parts(session: Session, people: World) -> None:
    found = reading.get_for(session, actor(people.lin), add_recording(session, people.lin).id)
    assert found.transcript is not None
    assert reading.later_parts(session, found.transcript) == []
