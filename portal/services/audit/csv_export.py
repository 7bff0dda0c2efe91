"""The log as CSV: everything that a filter matches, in slices, safe to open in a spreadsheet.

Rows are read 1,000 at a time, each slice in a short transaction of its own: an export of any length holds no lock and
a constant amount of memory. The last line states the number of rows and the SHA-256 of every byte before it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import read_only
from portal.errors import PortalError
from portal.models.audit_event import AuditEvent
from portal.services.audit.actions import Action
from portal.services.audit.log import record
from portal.services.audit.office import need
from portal.services.audit.reading import AuditFilter, conditions
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission

ROWS_AT_ONCE = 1_000
COLUMNS = (
    "seq", "at", "actor_id", "actor_name", "actor_role", "address", "action", "object_kind", "object_id", "result",
    "reason", "request_id", "session_hash", "detail", "mac",
)  # fmt: skip
WHY_AT_LEAST = 6
WHY_AT_MOST = 200
_DANGEROUS = "=+-@\t\r\n\0＝＋－＠"


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is already in the log: which rows it will hold."""

    wanted: AuditFilter
    upto: int
    """Rows with a greater number came later and are not in the file."""


def begin_export(session: Session, actor: Actor, wanted: AuditFilter, why: str) -> Export:
    """Write the export into the log; the file may be sent once this is committed.

    Args:
        why: the reason, 6 to 200 characters, kept in the log.

    Raises:
        Forbidden: the actor is no auditor.
        PortalError: ``INVALID_VALUE`` when the reason is too short or too long.
    """
    need(actor, Permission.AUDIT_EXPORT)
    why = " ".join(why.split())
    if not WHY_AT_LEAST <= len(why) <= WHY_AT_MOST:
        raise PortalError("INVALID_VALUE", field="why")
    event = record(session, actor, Action.AUDIT_EXPORT, detail={"filters": wanted.names(), "why": why})
    return Export(wanted, event.seq - 1)


def cell(value: object) -> str:
    """A value that no spreadsheet takes for a formula and that stays on one line."""
    text = "" if value is None else str(value)
    text = text.replace("\r", "\\r").replace("\n", "\\n").replace("\0", "\\0")
    return "'" + text if text.lstrip(" 　")[:1] in tuple(_DANGEROUS) or text[:1] in ("'", "\\") else text


def stream_csv(sessions: Callable[[], Session], export: Export) -> Iterator[bytes]:
    """The file in pieces: UTF-8 with BOM, RFC 4180, oldest row first, a trailer with row count and SHA-256.

    Args:
        sessions: makes a session for each slice; the request's own session is gone while the body is sent.
    """
    digest, count, last = hashlib.sha256(), 0, 0

    def piece(lines: list[list[str]]) -> bytes:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\r\n").writerows(lines)
        data = buffer.getvalue().encode()
        digest.update(data)
        return data

    digest.update(b"\xef\xbb\xbf")
    yield b"\xef\xbb\xbf" + piece([list(COLUMNS)])
    while True:
        slice_ = _slice(sessions, export, last)
        if slice_:
            yield piece(slice_)
            count, last = count + len(slice_), int(slice_[-1][0])
        if len(slice_) < ROWS_AT_ONCE:
            break
    yield f"# rows={count} sha256={digest.hexdigest()}\r\n".encode()


def _slice(sessions: Callable[[], Session], export: Export, last: int) -> list[list[str]]:
    columns = AuditEvent.__table__.c
    with read_only(), sessions() as session:
        rows = session.execute(
            sa.select(*(columns[name] for name in COLUMNS))
            .where(*conditions(session, export.wanted), columns.seq > last, columns.seq <= export.upto)
            .order_by(columns.seq)
            .limit(ROWS_AT_ONCE)
        )
        return [_line(row) for row in rows]


def _line(row: Any) -> list[str]:
    values: dict[str, object] = dict(zip(COLUMNS, row, strict=True))
    values["at"] = row.at.isoformat(timespec="microseconds")
    values["detail"] = json.dumps(row.detail, ensure_ascii=False, sort_keys=True)
    return [cell(values[name]) for name in COLUMNS]
