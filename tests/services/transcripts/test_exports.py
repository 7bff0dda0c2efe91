"""Transcripts as files: each format, whose, and what the audit log keeps."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import NotFound, PortalError
from portal.models import AuditEvent, State
from portal.services.transcripts.exports import MIME_TYPES, Wording, export
from tests.support.library import MEETING, add_recording
from tests.support.world import World, actor

WORDS = Wording({0: "坐席", 1: "客户"}, ("开始", "结束", "说话人", "声道", "文字", "置信度"))


def exported(session: Session) -> list[AuditEvent]:
    """Rows that say a transcript was taken away."""
    return list(session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "transcript.export")))


def test_text_keeps_its_paragraphs(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin, per_paragraph=2)
    made = export(session, actor(people.lin), recording.id, "txt", WORDS)
    assert made.content == "".join(MEETING[:2]) + "\n\n" + "".join(MEETING[2:]) + "\n"
    assert made.file_name == "星澜项目需求评审.txt"


@pytest.mark.parametrize("file_format", MIME_TYPES)
def test_each_format_holds_the_text_and_is_audited(session: Session, people: World, file_format: str) -> None:
    recording = add_recording(session, people.lin)
    made = export(session, actor(people.lin), recording.id, file_format, WORDS)
    assert "跨部门要由" in made.content
    assert made.mimetype == MIME_TYPES[file_format]
    (event,) = exported(session)
    assert event.object_id == str(recording.id)
    assert event.detail == {"format": file_format, "sentences": 4, "copied": False}


def test_json_says_which_model_wrote_it(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin)
    made = json.loads(export(session, actor(people.lin), recording.id, "json", WORDS).content)
    assert made["model"]["demo"] is True
    assert made["audio_seconds"] == 16.0
    assert made["sentences"][0]["words"][0]["text"] == "好"


def test_sides_of_a_call_are_named(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin, texts=["您好。", "我想问一下。"], per_paragraph=1, split=True)
    made = export(session, actor(people.lin), recording.id, "txt", WORDS).content
    assert made == "坐席：您好。\n\n客户：我想问一下。\n"


def test_copying_is_told_apart(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin)
    export(session, actor(people.lin), recording.id, "txt", WORDS, copied=True)
    assert exported(session)[0].detail["copied"] is True


def test_strangers_unknown_formats_and_unfinished_ones(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin)
    for person in (people.wang, people.admin, people.auditor):
        with pytest.raises(NotFound):
            export(session, actor(person), recording.id, "txt", WORDS)
    with pytest.raises(NotFound):
        export(session, actor(people.lin), recording.id, "exe", WORDS)
    waiting = add_recording(session, people.lin, state=State.RUNNING)
    with pytest.raises(PortalError, match="WRONG_STATE"):
        export(session, actor(people.lin), waiting.id, "txt", WORDS)
    assert exported(session) == []
