"""Transcripts: the text people read, as sentences with words."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, utcnow


class Transcript(Base):
    """The text of one finished transcription."""

    __tablename__ = "transcripts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    transcription_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("transcriptions.id", ondelete="CASCADE"), unique=True
    )
    recording_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("recordings.id"), index=True)
    sentence_count: Mapped[int] = mapped_column(default=0)
    character_count: Mapped[int] = mapped_column(default=0)
    substitution_count: Mapped[int] = mapped_column(default=0)
    excerpt: Mapped[str] = mapped_column(sa.String(200), default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class TranscriptSentence(Base):
    """One sentence. ``words``: ``[[text, begin_ms, end_ms, confidence|null], …]``; times in ms of the recording, null
    where the model gives words no times of their own (the sentence's are estimates then).

    ``speaker``: the number of a voice from 1. ``language``, ``emotion`` and ``events`` (``[code, …]``) are codes that
    the recognition model gave. ``substitutions``: what the wrong→right table changed, ``[{"begin_ms", "end_ms",
    "heard", "written", "replacement", "word", "near"}, …]`` as in ``asr.types.Substitution``.
    """

    __tablename__ = "sentences"
    __table_args__ = (sa.UniqueConstraint("transcript_id", "position"),)

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    transcript_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("transcripts.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    paragraph: Mapped[int]
    begin_ms: Mapped[int] = mapped_column(sa.BigInteger)
    end_ms: Mapped[int] = mapped_column(sa.BigInteger)
    text: Mapped[str] = mapped_column(sa.Text)
    words: Mapped[list[Any]] = mapped_column(default=list)
    speaker: Mapped[str | None] = mapped_column(sa.String(64))
    channel: Mapped[int | None]
    confidence: Mapped[float | None]
    language: Mapped[str | None] = mapped_column(sa.String(32))
    emotion: Mapped[str | None] = mapped_column(sa.String(32))
    events: Mapped[list[Any]] = mapped_column(default=list)
    substitutions: Mapped[list[Any]] = mapped_column(default=list)
