"""Recordings (the file and its facts) and the uploads they come from."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, utcnow
from portal.models.user import User


class Recording(Base):
    """A file that a person handed over. The original name is data; the path is made from ``id`` alone."""

    __tablename__ = "recordings"
    __table_args__ = (sa.Index("ix_recordings_owner_created", "owner_id", "created_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    owner_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("users.id"), index=True)
    department_id: Mapped[uuid.UUID | None] = mapped_column(
        sa.ForeignKey("departments.id", ondelete="SET NULL"), index=True
    )
    title: Mapped[str] = mapped_column(sa.String(400))
    original_name: Mapped[str] = mapped_column(sa.String(400))
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str] = mapped_column(sa.String(64), index=True)
    container: Mapped[str | None] = mapped_column(sa.String(32))
    codec: Mapped[str | None] = mapped_column(sa.String(32))
    channels: Mapped[int | None]
    sample_rate: Mapped[int | None]
    duration_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Counted in decoded samples once recognised; before that what the header says, or None."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    deleted_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]

    owner: Mapped[User] = relationship(lazy="joined")


class Upload(Base):
    """An upload under way: ``received_bytes`` are on disk (fsync) before they are acknowledged."""

    __tablename__ = "uploads"
    __table_args__ = (
        sa.UniqueConstraint("owner_id", "idempotency_key"),
        sa.CheckConstraint("state IN ('open', 'complete', 'refused', 'expired')", name="state"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    owner_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    idempotency_key: Mapped[str | None] = mapped_column(sa.String(128))
    original_name: Mapped[str] = mapped_column(sa.String(400))
    total_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    received_bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(sa.String(16), default="open")
    error_code: Mapped[str | None] = mapped_column(sa.String(64))
    error_params: Mapped[dict[str, Any] | None]
    recording_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("recordings.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
