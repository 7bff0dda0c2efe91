"""Listening to a recording: the right to it, the audit row, what a browser is told about it."""

from __future__ import annotations

import io
import os
import uuid
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models import AuditEvent
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.recordings import KIND, get_for

ONE_LISTENING = timedelta(minutes=10)
"""A player asks for many ranges; within this time they count as one listening of one session."""
MIME_TYPES = {
    "wav": "audio/wav",
    "w64": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "amr": "audio/amr",
    "mov": "video/mp4",
    "mp4": "video/mp4",
    "m4a": "audio/mp4",
    "matroska": "video/webm",
    "webm": "video/webm",
    "asf": "video/x-ms-asf",
    "avi": "video/x-msvideo",
    "aiff": "audio/aiff",
    "caf": "audio/x-caf",
}
"""Content types by what the decoder found in the file; a person's claim never counts."""


@dataclass(frozen=True, slots=True)
class Playback:
    """An open recording. ``size`` in bytes; the caller closes ``reader``."""

    reader: io.FileIO
    size: int
    mimetype: str
    etag: str


def listen(session: Session, actor: Actor, store: FileStore, recording_id: uuid.UUID) -> Playback:
    """Open one's own recording for the player; the first range of a listening leaves an audit row.

    Raises:
        NotFound: not one's own.
        PortalError: FILE_MISSING.
    """
    row = get_for(session, actor, recording_id)
    if not _listened_before(session, actor, recording_id):
        audit.record(session, actor, audit.Action.RECORDING_PLAY, object_kind=KIND, object_id=recording_id)
    reader = store.open(recording_id)
    size = os.fstat(reader.fileno()).st_size
    return Playback(reader, size, mimetype_of(row.container), row.sha256[:32])


def mimetype_of(container: str | None) -> str:
    """The content type of a container name such as ``mov,mp4,m4a``; an unknown one is just bytes."""
    for name in (container or "").split(","):
        if name in MIME_TYPES:
            return MIME_TYPES[name]
    return "application/octet-stream"


def _listened_before(session: Session, actor: Actor, recording_id: uuid.UUID) -> bool:
    event = AuditEvent
    query = sa.select(event.seq).where(
        event.object_id == str(recording_id),
        event.action == audit.Action.RECORDING_PLAY.value,
        event.actor_id == actor.user_id,
        event.session_hash == actor.session_hash,
        event.at > utcnow() - ONE_LISTENING,
    )
    return session.execute(query.limit(1)).first() is not None
