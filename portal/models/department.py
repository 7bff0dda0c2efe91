"""Departments: from the directory or made by hand."""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, utcnow


class Department(Base):
    """A department. ``directory_name`` is the value of the directory's department attribute that maps to it."""

    __tablename__ = "departments"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(sa.String(128), unique=True)
    directory_name: Mapped[str | None] = mapped_column(sa.String(256), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
