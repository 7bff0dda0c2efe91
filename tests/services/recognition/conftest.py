"""Recordings in the queue, without files or processes."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from portal.models import Recording, Transcription, User
from portal.services.recognition import transcriptions
from portal.settings import Settings
from tests.support.world import actor

Queue = Callable[..., uuid.UUID]


@pytest.fixture
def queue(session: Session, any_settings: Settings) -> Queue:
    """``queue(world.lin, audio_ms=60_000)``: a recording of that person waits; returns the transcription's id."""

    def put(user: User, *, audio_ms: int = 60_000) -> uuid.UUID:
        recording = Recording(
            owner_id=user.id,
            department_id=user.department_id,
            title="会议",
            original_name="会议.wav",
            bytes=1,
            sha256="0" * 64,
            duration_ms=audio_ms,
        )
        session.add(recording)
        session.flush()
        row: Transcription = transcriptions.submit(
            session,
            actor(user),
            recording,
            options={"itn": True, "channels": "mix"},
            hotwords=["达摩院"],
            hotword_versions=[],
            settings=any_settings,
        )
        session.commit()
        return row.id

    return put
