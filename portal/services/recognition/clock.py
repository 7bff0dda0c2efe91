"""The one clock that leases are measured with."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import UtcDateTime, utcnow


def db_now(session: Session) -> datetime:
    """The database's time: the server's on PostgreSQL, this host's on SQLite (which serves one host)."""
    if session.get_bind().dialect.name == "postgresql":
        return session.scalars(sa.select(sa.func.clock_timestamp(type_=UtcDateTime()))).one()
    return utcnow()
