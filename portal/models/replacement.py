"""Wrong→right tables: what recognition mishears in a department, or in the whole company, and how it is written.

A pair never changes: editing one ends it and begins another. So every version of a table can be read at any time, and a
transcription needs to keep no more than the number of the version it uses.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, utcnow
from portal.models.user import User

COMPANY_TABLE = uuid.UUID(int=1)
"""Id of the whole company's table."""


class ReplacementTable(Base):
    """The table of a department, made with its first pair. ``id`` is the department's id, or ``COMPANY_TABLE``."""

    __tablename__ = "replacement_tables"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    department_id: Mapped[uuid.UUID | None] = mapped_column(
        sa.ForeignKey("departments.id", ondelete="SET NULL"), index=True
    )
    """None for the company's, and after the department is gone: its transcriptions may still be retried."""
    current_version: Mapped[int] = mapped_column(default=0)


class ReplacementVersion(Base):
    """Who made a version of a table, and when."""

    __tablename__ = "replacement_versions"

    table_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("replacement_tables.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    author_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class ReplacementPair(Base):
    """One pair, in force from version ``since`` on and no more from version ``until`` on."""

    __tablename__ = "replacement_pairs"
    __table_args__ = (
        sa.Index(
            "uq_replacement_pairs_in_force",
            "table_id",
            "spelling",
            unique=True,
            sqlite_where=sa.text("until IS NULL"),
            postgresql_where=sa.text("until IS NULL"),
        ),
        sa.CheckConstraint("until IS NULL OR until > since", name="order"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    table_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("replacement_tables.id", ondelete="CASCADE"), index=True)
    spelling: Mapped[str] = mapped_column(sa.String(128))
    """``wrong`` in the form under which spellings are compared (``asr.replacements.canonical``)."""
    wrong: Mapped[str] = mapped_column(sa.String(64))
    right: Mapped[str] = mapped_column(sa.String(64))
    near: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    note: Mapped[str] = mapped_column(sa.String(200), default="")
    since: Mapped[int]
    until: Mapped[int | None]
    created_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    creator: Mapped[User | None] = relationship(lazy="joined")
