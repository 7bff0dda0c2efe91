"""Writing the audit log: in the caller's transaction, chained, or not at all.

``mac_i = HMAC-SHA256(key, mac_{i-1} ‖ canonical JSON of row i)``. The key lies in the instance folder, not in the
database: somebody who owns only the database can't forge a row. The head row carries a seal made with the same key, so
cutting off the newest rows shows too. If the row can't be written the caller's act is rolled back with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import PortalError
from portal.models.audit_event import AuditEvent, AuditHead
from portal.services.audit.actions import Action
from portal.services.audit.key import audit_key
from portal.services.identity.actor import Actor

HEAD_ID = 1


def canonical(event: AuditEvent | sa.Row[Any]) -> bytes:
    """The bytes of a row that its ``mac`` covers: JSON with sorted keys, UTC time in microseconds."""
    fields: dict[str, Any] = {
        "seq": event.seq,
        "at": event.at.isoformat(timespec="microseconds"),
        "actor_id": str(event.actor_id) if event.actor_id else None,
        "actor_name": event.actor_name,
        "actor_role": event.actor_role,
        "address": event.address,
        "action": event.action,
        "object_kind": event.object_kind,
        "object_id": event.object_id,
        "result": event.result,
        "reason": event.reason,
        "request_id": event.request_id,
        "session_hash": event.session_hash,
        "detail": event.detail,
    }
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def link(key: bytes, previous_mac: str, event: AuditEvent | sa.Row[Any]) -> str:
    """The mac of ``event`` after ``previous_mac`` (hex, 64 characters)."""
    return hmac.new(key, bytes.fromhex(previous_mac) + canonical(event), hashlib.sha256).hexdigest()


def seal(key: bytes, seq: int, mac: str) -> str:
    """The seal of the head: proves that the portal, not the owner of the database, called this link the newest."""
    return hmac.new(key, f"audit head {seq} {mac}".encode(), hashlib.sha256).hexdigest()


def record(
    session: Session,
    actor: Actor,
    action: Action,
    *,
    object_kind: str | None = None,
    object_id: object | None = None,
    result: str = "ok",
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Append one row in the caller's transaction.

    Args:
        object_id: the id of the object acted on; stored as text.
        result: ``ok``, ``refused`` or ``failed``.
        reason: a catalogue code for refusals and failures.
        detail: counts, sizes, names of settings; never recognised text, titles, file names or search words.

    Raises:
        PortalError: ``AUDIT_UNAVAILABLE`` when the row can't be written; the caller's transaction must then roll back.
    """
    session.flush()  # the caller's own mistakes must not look like a broken log
    try:
        return _append(session, actor, action, object_kind, object_id, result, reason, detail)
    except DBAPIError as error:
        if _passes_by_itself(error):
            raise
        raise PortalError("AUDIT_UNAVAILABLE") from error


def _passes_by_itself(error: DBAPIError) -> bool:
    # a busy database or a full disk has its own sentence; the act is rolled back either way
    text = str(error.orig).lower()
    return any(word in text for word in ("locked", "lock timeout", "full", "no space", "connection"))


def _newest(session: Session) -> AuditHead:
    locked = sa.select(AuditHead).where(AuditHead.id == HEAD_ID).with_for_update()
    head = session.scalars(locked).one_or_none()
    if head is not None:
        return head
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    first = {"id": HEAD_ID, "seq": 0, "mac": "0" * 64, "seal": ""}
    session.execute(insert(AuditHead).values(first).on_conflict_do_nothing())
    return session.scalars(locked).one()


def _append(
    session: Session,
    actor: Actor,
    action: Action,
    object_kind: str | None,
    object_id: object | None,
    result: str,
    reason: str | None,
    detail: Mapping[str, Any] | None,
) -> AuditEvent:
    head = _newest(session)
    event = AuditEvent(
        seq=head.seq + 1,
        at=utcnow(),
        actor_id=actor.user_id,
        actor_name=_one_line(actor.login)[:256],
        actor_role=actor.role,
        address=actor.address,
        action=action.value,
        object_kind=object_kind,
        object_id=None if object_id is None else str(object_id)[:64],
        result=result,
        reason=reason,
        request_id=actor.request_id,
        session_hash=actor.session_hash,
        detail=dict(detail or {}),
    )
    key = audit_key()
    event.mac = link(key, head.mac, event)
    head.seq, head.mac, head.seal = event.seq, event.mac, seal(key, event.seq, event.mac)
    session.add(event)
    session.flush()
    return event


def _one_line(text: str) -> str:
    # control and bidirectional characters would let a typed name forge or reorder lines of a report
    return "".join(ch if ch.isprintable() and not 0x202A <= ord(ch) <= 0x202E and not 0x2066 <= ord(ch) <= 0x2069
                   else f"\\u{ord(ch):04x}" for ch in text)  # fmt: skip
