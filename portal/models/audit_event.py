"""The audit log: append-only rows, each chained to the one before it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, utcnow


class AuditEvent(Base):
    """Who did what to which object, from where, with which result. ``mac`` chains the rows (see services.audit)."""

    __tablename__ = "audit_events"
    __table_args__ = (
        sa.CheckConstraint("result IN ('ok', 'refused', 'failed')", name="result"),
        sa.Index("ix_audit_events_actor_seq", "actor_id", "seq"),
        sa.Index("ix_audit_events_action_seq", "action", "seq"),
        sa.Index("ix_audit_events_object_seq", "object_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    """Without gaps, given under the lock of the chain's head."""
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    actor_id: Mapped[uuid.UUID | None]
    actor_name: Mapped[str] = mapped_column(sa.String(256))
    """The login as known then; for failed sign-ins the typed name."""
    actor_role: Mapped[str] = mapped_column(sa.String(16))
    address: Mapped[str] = mapped_column(sa.String(64))
    action: Mapped[str] = mapped_column(sa.String(64))
    object_kind: Mapped[str | None] = mapped_column(sa.String(32))
    object_id: Mapped[str | None] = mapped_column(sa.String(64))
    result: Mapped[str] = mapped_column(sa.String(16))
    reason: Mapped[str | None] = mapped_column(sa.String(64))
    request_id: Mapped[str] = mapped_column(sa.String(32))
    session_hash: Mapped[str | None] = mapped_column(sa.String(16))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Counts, sizes, names of settings; never recognised text, titles or search words."""
    mac: Mapped[str] = mapped_column(sa.String(64))


class AuditHead(Base):
    """The chain's newest link; its row lock orders writers on PostgreSQL."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    mac: Mapped[str] = mapped_column(sa.String(64), default="0" * 64)
    seal: Mapped[str] = mapped_column(sa.String(64), default="")
    """Keyed over ``seq`` and ``mac``: whoever cuts off the newest rows can't set the head back to an older one."""
