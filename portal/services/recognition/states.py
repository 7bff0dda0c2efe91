"""How a transcription changes its state: one conditional UPDATE; no row touched means that somebody else won."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import Recording, State, Transcription

NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_until": None}
BACK_IN_QUEUE: dict[str, Any] = {
    **NO_LEASE,
    "state": State.QUEUED.value,
    "turn": None,
    "worker": None,
    "started_at": None,
    "done_ms": 0,
    "latest_text": None,
    "cancel_requested_at": None,
}
"""A row that waits again takes a new turn and shows no old progress."""


def hold_recording(session: Session, recording_id: uuid.UUID) -> bool:
    """Let nobody delete a recording until this transaction ends; False when it is deleted already.

    Taken before the transcription's row, as deleting does: two that wait for each other would end in a deadlock.
    """
    held = sa.select(Recording.deleted_at).where(Recording.id == recording_id).with_for_update(key_share=True)
    return session.scalars(held).one() is None


def move(
    session: Session,
    transcription_id: uuid.UUID,
    sources: Iterable[State],
    values: dict[str, Any],
    *,
    token: str | None = None,
    conditions: Iterable[sa.ColumnElement[bool]] = (),
) -> bool:
    """Change a row that is in one of ``sources`` (and holds ``token``); whether it was."""
    row = Transcription
    statement = sa.update(row).where(
        row.id == transcription_id, row.state.in_([state.value for state in sources]), *conditions
    )
    if token is not None:
        statement = statement.where(row.lease_token == token)
    statement = statement.values(**values).execution_options(synchronize_session=False)
    result = session.execute(statement)
    session.expire_all()
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]
