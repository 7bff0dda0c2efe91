"""What people do with their recordings: find, rename, delete."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import NotFound, PortalError
from portal.models import OutboxMessage, Recording, Transcript
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.services.recognition import transcriptions
from portal.services.recordings.names import clean_file_name

KIND = "recording"
ERASE = "file.erase"
TITLE_LENGTH = 200


def get_for(session: Session, actor: Actor, recording_id: uuid.UUID) -> Recording:
    """The actor's own recording. Raises NotFound for strangers' and deleted ones alike."""
    row = session.get(Recording, recording_id)
    if row is None or row.owner_id != actor.user_id or row.deleted_at is not None:
        raise NotFound
    return row


def rename(session: Session, actor: Actor, recording_id: uuid.UUID, title: str) -> Recording:
    """Give a recording another title (1..200 characters).

    Raises:
        NotFound: not one's own.
        PortalError: INVALID_VALUE for an empty title.
    """
    row = get_for(session, actor, recording_id)
    cleaned = clean_file_name(title.replace("/", "／").replace("\\", "＼"))[:TITLE_LENGTH].strip()
    if not title.strip() or not cleaned:
        raise PortalError("INVALID_VALUE", field="title")
    row.title = cleaned
    audit.record(session, actor, audit.Action.RECORDING_RENAME, object_kind=KIND, object_id=row.id)
    return row


def delete(session: Session, actor: Actor, recording_id: uuid.UUID) -> None:
    """Delete a recording, its file and its text. What waits or runs of it ends at once.

    The text goes in this transaction; the file follows from the outbox, however often the machine stops before.
    Raises NotFound for strangers' recordings.
    """
    row = get_for(session, actor, recording_id)
    row.deleted_at = utcnow()
    session.flush()
    transcriptions.cancel_all_of(session, recording_id)
    # sentences go with their transcript (ON DELETE CASCADE)
    session.execute(sa.delete(Transcript).where(Transcript.recording_id == recording_id))
    session.add(OutboxMessage(topic=ERASE, payload={"recording_id": str(recording_id)}))
    audit.record(session, actor, audit.Action.RECORDING_DELETE, object_kind=KIND, object_id=recording_id)
