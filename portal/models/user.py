"""People: directory and local accounts, their sessions, failed sign-ins and the set-up token."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, utcnow
from portal.models.department import Department


class Role(enum.StrEnum):
    """What office a person holds. ``admin`` and ``auditor`` exclude each other because a person has exactly one."""

    STAFF = "staff"
    ADMIN = "admin"
    AUDITOR = "auditor"


class AccountKind(enum.StrEnum):
    """Where the password lives."""

    LOCAL = "local"
    DIRECTORY = "directory"


class User(Base):
    """A person. Identity is ``id``; for directory people it hangs on the directory's GUID, never on the typed name."""

    __tablename__ = "users"
    __table_args__ = (
        sa.CheckConstraint("role IN ('staff', 'admin', 'auditor')", name="role"),
        sa.CheckConstraint("kind IN ('local', 'directory')", name="kind"),
        sa.CheckConstraint("(kind = 'directory') = (directory_guid IS NOT NULL)", name="directory_guid"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(sa.String(16))
    login: Mapped[str] = mapped_column(sa.String(256), index=True)
    """As the directory spells it, or the local name; lower-cased in ``login_key``."""
    login_key: Mapped[str] = mapped_column(sa.String(256), unique=True)
    """``local:<name>`` or ``directory:<guid>``: two directory people may bear a re-used name one after the other."""
    directory_guid: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    display_name: Mapped[str] = mapped_column(sa.String(256))
    mail: Mapped[str | None] = mapped_column(sa.String(320))
    department_id: Mapped[uuid.UUID | None] = mapped_column(
        sa.ForeignKey("departments.id", ondelete="SET NULL"), index=True
    )
    role: Mapped[str] = mapped_column(sa.String(16), default=Role.STAFF.value)
    password_hash: Mapped[str | None] = mapped_column(sa.String(256))
    must_change_password: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str | None] = mapped_column(sa.String(8))
    theme: Mapped[str] = mapped_column(sa.String(8), default="auto")
    preferences: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Last choices on the workspace (ITN, channels, hotword lists)."""
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_login_at: Mapped[datetime | None]
    directory_checked_at: Mapped[datetime | None]

    department: Mapped[Department | None] = relationship(lazy="joined")

    @property
    def is_active(self) -> bool:
        """Whether this person may sign in."""
        return self.disabled_at is None


class UserSession(Base):
    """A signed-in browser. Only the SHA-256 of the cookie's opaque 256-bit token is stored."""

    __tablename__ = "user_sessions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    """Absolute end; the idle limit is counted from ``last_seen_at``."""
    address: Mapped[str] = mapped_column(sa.String(64))
    user_agent: Mapped[str] = mapped_column(sa.String(512), default="")
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="joined")


class LoginCounter(Base):
    """Failed sign-ins of one key (a normalised name, a directory GUID, or a source network). Survives restarts."""

    __tablename__ = "login_counters"

    key: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    window_started_at: Mapped[datetime] = mapped_column(default=utcnow)
    lockouts: Mapped[int] = mapped_column(default=0)
    """How often it was locked before: each lock lasts longer."""
    locked_until: Mapped[datetime | None]


class SetupToken(Base):
    """The one-time token whose page makes the first accounts."""

    __tablename__ = "setup_tokens"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
