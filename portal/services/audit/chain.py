"""Walking the chain: which row, if any, is not what the portal wrote.

Found and named by number: a changed field, swapped rows, an added row, a removed first, middle or last row, a head set
back, and a whole database put back to an older state (by the witness file, see ``checkpoints``). The walk needs the
key of the instance folder; it holds no lock and keeps 1,000 rows in memory.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models.audit_event import AuditEvent, AuditHead
from portal.services.audit.checkpoints import Checkpoint
from portal.services.audit.key import audit_key
from portal.services.audit.log import HEAD_ID, link, seal

ROWS_AT_ONCE = 1_000
EXPECTED_GUARDS = {"sqlite": 5, "postgresql": 7}


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of one walk."""

    count: int
    """Rows walked."""
    bad_seq: int | None
    """The first number at which the log is not what the portal wrote."""
    problem: str | None
    """``altered``, ``missing``, ``added``, ``head`` or ``rolled_back``."""
    guards_missing: bool
    """Whether the database's own triggers are gone."""

    @property
    def ok(self) -> bool:
        """Whether every row is as it was written and none is missing."""
        return self.problem is None


def verify(session: Session, checkpoints: Iterable[Checkpoint] = ()) -> Verification:
    """Walk the whole chain and compare it with its head and with the witness file.

    Args:
        session: a session of its own, best begun inside ``db.read_only()``: the walk takes about 10 s per million rows.
        checkpoints: what the witness file remembers, in any order.
    """
    witnesses = {point.seq: point.mac for point in checkpoints}
    head = session.execute(
        sa.select(AuditHead.seq, AuditHead.mac, AuditHead.seal).where(AuditHead.id == HEAD_ID)
    ).one_or_none()
    guards_missing = _guards(session) < EXPECTED_GUARDS.get(session.get_bind().dialect.name, 0)
    head_seq = head.seq if head is not None else 0
    count, bad, problem, last_mac = _walk(session, witnesses, head_seq)
    if problem is None:
        bad, problem = _compare_head(head, count, last_mac, max(witnesses, default=0))
    return Verification(count, bad, problem, guards_missing)


def _walk(session: Session, witnesses: dict[int, str], head_seq: int) -> tuple[int, int | None, str | None, str]:
    columns = AuditEvent.__table__.c
    walk = sa.select(*columns).order_by(columns.seq).execution_options(yield_per=ROWS_AT_ONCE)
    with session.execute(walk) as rows:  # PostgreSQL keeps a cursor open until this ends
        key, mac, count = audit_key(), "0" * 64, 0
        for row in rows:
            if row.seq != count + 1:
                return count, count + 1, "missing", mac
            if row.seq > head_seq:
                return count, row.seq, "added", mac
            if not hmac.compare_digest(link(key, mac, row), row.mac):
                return count, row.seq, "altered", mac
            if witnesses.get(row.seq, row.mac) != row.mac:
                return count, row.seq, "rolled_back", mac
            mac, count = row.mac, row.seq
    return count, None, None, mac


def _compare_head(head: Any, count: int, last_mac: str, witnessed: int) -> tuple[int | None, str | None]:
    if head is not None and head.seq > count:
        return count + 1, "missing"
    if witnessed > count:
        return count + 1, "rolled_back"
    if head is None:
        return (count + 1, "head") if count else (None, None)
    if head.mac != last_mac or (count and head.seal != seal(audit_key(), head.seq, head.mac)):
        return count + 1, "head"
    return None, None


def _guards(session: Session) -> int:
    if session.get_bind().dialect.name == "sqlite":
        query = (
            "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('audit_events', 'audit_head')"
        )
    else:
        query = (
            "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
            " AND tgrelid IN ('audit_events'::regclass, 'audit_head'::regclass)"
        )
    return int(session.scalar(sa.text(query)) or 0)
