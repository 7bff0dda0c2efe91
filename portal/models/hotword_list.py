"""Hotword lists and their versions. A version never changes; editing a list adds one."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, utcnow
from portal.models.department import Department
from portal.models.user import User


class HotwordList(Base):
    """A named list that belongs to a department, to a person, or to the whole company."""

    __tablename__ = "hotword_lists"
    __table_args__ = (
        sa.CheckConstraint("scope IN ('department', 'personal', 'company')", name="scope"),
        sa.CheckConstraint(
            "(scope = 'department' AND department_id IS NOT NULL) OR (scope = 'personal' AND owner_id IS NOT NULL)"
            " OR scope = 'company'",
            name="belongs",
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(sa.String(128))
    scope: Mapped[str] = mapped_column(sa.String(16))
    department_id: Mapped[uuid.UUID | None] = mapped_column(
        sa.ForeignKey("departments.id", ondelete="CASCADE"), index=True
    )
    owner_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    current_version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    deleted_at: Mapped[datetime | None]

    department: Mapped[Department | None] = relationship(lazy="joined")
    owner: Mapped[User | None] = relationship(lazy="joined")


class HotwordListVersion(Base):
    """The words of a list at one time. ``words``: ``[{"text": …, "note": …}, …]`` in the order people gave them."""

    __tablename__ = "hotword_list_versions"
    __table_args__ = (sa.UniqueConstraint("list_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    list_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("hotword_lists.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    words: Mapped[list[Any]] = mapped_column(default=list)
    digest: Mapped[str] = mapped_column(sa.String(64))
    author_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    author: Mapped[User | None] = relationship(lazy="joined")
