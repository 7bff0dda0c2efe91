"""The witness: a file outside the database that remembers how far the log had come.

Who puts yesterday's database back, or cuts off the newest rows with the head, can't make this file forget. Copied to
another machine (it holds no secret and no personal data) it also survives the loss of the whole instance folder.
"""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models.audit_event import AuditHead
from portal.services.audit.key import audit_key
from portal.services.audit.log import HEAD_ID, seal

FILE_NAME = "audit_checkpoints.jsonl"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """At some time the newest row was ``seq`` and bore ``mac``."""

    seq: int
    mac: str


def write_checkpoint(session: Session, instance: Path) -> Checkpoint | None:
    """Append the present head to the witness file and force it to disk; None when nothing is new.

    Called by housekeeping every minute. A head whose seal is wrong is not witnessed.
    """
    head = session.execute(
        sa.select(AuditHead.seq, AuditHead.mac, AuditHead.seal).where(AuditHead.id == HEAD_ID)
    ).one_or_none()
    if head is None or head.seq == 0 or head.seal != seal(audit_key(), head.seq, head.mac):
        return None
    last = _last_line(instance / FILE_NAME)
    if last is not None and last.seq >= head.seq:
        return None
    line = json.dumps(
        {"seq": head.seq, "mac": head.mac, "at": utcnow().isoformat(), "seal": _witness(head.seq, head.mac)}
    )
    fd = os.open(instance / FILE_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Checkpoint(head.seq, head.mac)


def read_checkpoints(instance: Path) -> list[Checkpoint]:
    """What the witness file remembers. Lines that the portal did not write are passed over."""
    path = instance / FILE_NAME
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as file:
        return [point for point in map(_parse, file) if point is not None]


def _witness(seq: int, mac: str) -> str:
    return hmac.new(audit_key(), f"audit witness {seq} {mac}".encode(), "sha256").hexdigest()


def _parse(line: str) -> Checkpoint | None:
    try:
        values = json.loads(line)
        point = Checkpoint(int(values["seq"]), str(values["mac"]))
        genuine = hmac.compare_digest(str(values["seal"]), _witness(point.seq, point.mac))
    except (ValueError, KeyError, TypeError):
        return None  # a line cut off by a power failure
    return point if genuine else None


def _last_line(path: Path) -> Checkpoint | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1024))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    return next((point for point in map(_parse, reversed(lines)) if point is not None), None)
