"""Recordings with texts, put into the database directly: what the pages of an everyday person show."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models import Recording, State, Transcript, Transcription, TranscriptSentence, User

MEETING = (
    "好，那我们往下走。",
    "上一轮大家对星澜的权限模型意见比较多，我先把结论说一下。",
    "默认只有本部门能看，跨部门要由负责人开通。",
    "这个结论昨天跟法务也对过，他们没有问题。",
)


def words_of(text: str, begin_ms: int, end_ms: int, unsure: Sequence[str] = ()) -> list[list[Any]]:
    """A word for each character that is no punctuation, spread evenly over the sentence."""
    marks = "，。？！、；：“”《》 ,.?!"
    spoken = [ch for ch in text if ch not in marks]
    step = (end_ms - begin_ms) / max(1, len(spoken))
    doubted = {ch for word in unsure for ch in word}
    return [
        [ch, begin_ms + round(i * step), begin_ms + round((i + 1) * step), 0.4 if ch in doubted else 0.97]
        for i, ch in enumerate(spoken)
    ]


def add_recording(
    session: Session,
    owner: User,
    title: str = "星澜项目需求评审",
    *,
    state: State = State.DONE,
    texts: Sequence[str] = MEETING,
    name: str | None = None,
    created_at: datetime | None = None,
    per_paragraph: int = 3,
    split: bool = False,
    unsure: Sequence[str] = (),
    **transcription: Any,
) -> Recording:
    """A recording with one transcription; in state ``done`` also its text, four seconds to a sentence."""
    at = created_at or utcnow()
    duration = max(4000, 4000 * len(texts))
    recording = Recording(
        id=uuid.uuid4(),
        owner_id=owner.id,
        department_id=owner.department_id,
        title=title,
        original_name=name or f"{title}.m4a",
        bytes=1_234_567,
        sha256=hashlib.sha256(title.encode()).hexdigest(),
        duration_ms=duration,
        created_at=at,
    )
    values: dict[str, Any] = {
        "options": {"itn": True, "channels": "split" if split else "mix"},
        "created_at": at,
        "queued_at": at,
        "audio_ms": duration,
    }
    if state is State.RUNNING:
        values |= {"lease_token": "t", "started_at": at, "lease_until": at + timedelta(seconds=30)}
    if state is State.DONE:
        values |= {
            "done_ms": duration,
            "speech_ms": duration,
            "started_at": at,
            "finished_at": at + timedelta(seconds=2),
            "model": {"name": "演示模型", "family": "Paraformer", "digest": "ab" * 32, "device": "cpu", "demo": True},
        }
    row = Transcription(
        id=uuid.uuid4(),
        recording_id=recording.id,
        owner_id=owner.id,
        department_id=owner.department_id,
        state=state.value,
        **(values | transcription),
    )
    session.add(recording)
    session.flush()
    session.add(row)
    session.flush()
    if state is State.DONE:
        _add_text(session, recording, row, texts, per_paragraph, split, unsure)
    return recording


def _add_text(
    session: Session,
    recording: Recording,
    row: Transcription,
    texts: Sequence[str],
    per_paragraph: int,
    split: bool,
    unsure: Sequence[str],
) -> None:
    transcript = Transcript(
        id=uuid.uuid4(),
        transcription_id=row.id,
        recording_id=recording.id,
        sentence_count=len(texts),
        character_count=sum(map(len, texts)),
        excerpt="".join(texts)[:200],
        created_at=recording.created_at,
    )
    session.add(transcript)
    session.flush()
    session.add_all(
        TranscriptSentence(
            transcript_id=transcript.id,
            position=i,
            paragraph=i // per_paragraph,
            begin_ms=4000 * i,
            end_ms=4000 * i + 3600,
            text=text,
            words=words_of(text, 4000 * i, 4000 * i + 3600, unsure),
            channel=(i // per_paragraph) % 2 if split else None,
            confidence=0.9,
        )
        for i, text in enumerate(texts)
    )
    session.flush()
