"""Transcriptions: one attempt of the portal to recognise a recording, with its state machine's columns."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, utcnow
from portal.models.recording import Recording


class State(enum.StrEnum):
    """``queued → running →`` one of the terminal states; ``running`` may fall back to ``queued``."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    NO_SPEECH = "no_speech"
    NOT_RECOGNISED = "not_recognised"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.DONE, State.NO_SPEECH, State.NOT_RECOGNISED, State.FAILED, State.CANCELLED})


class Transcription(Base):
    """One transcription. Options and hotwords are a snapshot: a retry keeps them whatever lists became meanwhile."""

    __tablename__ = "transcriptions"
    __table_args__ = (
        sa.UniqueConstraint("owner_id", "idempotency_key"),
        sa.CheckConstraint(
            "state IN ('queued','running','done','no_speech','not_recognised','failed','cancelled')",
            name="state",
        ),
        sa.CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="lease"),
        sa.Index("ix_transcriptions_queue", "state", "lane", "queued_at"),
        sa.Index("ix_transcriptions_owner_created", "owner_id", "created_at"),
        sa.Index("ix_transcriptions_lane_turn", "lane", "turn"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    recording_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("recordings.id"), index=True)
    owner_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("users.id"), index=True)
    department_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("departments.id", ondelete="SET NULL"))
    idempotency_key: Mapped[str | None] = mapped_column(sa.String(128))
    state: Mapped[str] = mapped_column(sa.String(16), default=State.QUEUED.value)
    lane: Mapped[int] = mapped_column(default=10)
    """Smaller first: 0 urgent (set by an administrator), 10 files."""
    turn: Mapped[int | None] = mapped_column(sa.BigInteger)
    """The round of its lane in which it was started (see services.recognition.scheduler); None while queued."""
    attempt: Mapped[int] = mapped_column(default=0)
    interruptions: Mapped[int] = mapped_column(default=0)
    """How often the engine ended under it. Not attempts: whose recording it was, is not known at that moment."""
    lease_token: Mapped[str | None] = mapped_column(sa.String(64))
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(sa.String(128))
    cancel_requested_at: Mapped[datetime | None]
    rung_at: Mapped[datetime | None]
    """When RQ was last told; the reconciler rings again what Redis lost."""

    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The choices as ``services.recordings.options.snapshot_options`` wrote them; missing ones mean their defaults."""
    hotwords: Mapped[list[Any]] = mapped_column(default=list)
    """The cleaned words handed to the engine."""
    hotword_versions: Mapped[list[Any]] = mapped_column(default=list)
    """``[{"list_id", "name", "version"}]``: which lists they came from."""
    model: Mapped[dict[str, Any] | None]
    """``ModelInfo`` of the engine that made the text."""

    audio_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
    speech_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
    done_ms: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    """Audio milliseconds recognised so far: the measured progress."""
    latest_text: Mapped[str | None] = mapped_column(sa.String(400))
    error_code: Mapped[str | None] = mapped_column(sa.String(64))
    error_params: Mapped[dict[str, Any] | None]
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    spans: Mapped[list[Any] | None] = mapped_column(deferred=True)
    """``[[begin_ms, end_ms, channel|null], …]`` where only they were wanted; read when a page asks for them."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    queued_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    recording: Mapped[Recording] = relationship(lazy="joined")
