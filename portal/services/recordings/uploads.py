"""Uploads as rows: begin, look up, cancel, expire. How their bytes arrive stands in ``receiving``."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.after_commit import after_commit
from portal.db import utcnow
from portal.errors import NotFound, PortalError
from portal.models import Upload
from portal.services import audit
from portal.services.administration import effective_upload_max_bytes
from portal.services.identity.actor import Actor
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.names import clean_file_name
from portal.services.recordings.options import UploadOptions, snapshot_options
from portal.settings import Settings

KIND = "upload"
KEY_LENGTH = 128
HEADROOM_BYTES = 64 * 1024**2
"""Kept free for the database, its journal and the audit log."""


def begin(
    session: Session,
    actor: Actor,
    *,
    file_name: str,
    total_bytes: int,
    options: UploadOptions,
    settings: Settings,
    store: FileStore,
    idempotency_key: str | None = None,
) -> Upload:
    """Begin an upload.

    Args:
        file_name: as the browser sent it; kept as data, cleaned for showing.
        total_bytes: size of the file (bytes).
        idempotency_key: the same key of the same person gives the same upload back while that one is alive.

    Raises:
        PortalError: UPLOAD_EMPTY, UPLOAD_TOO_LARGE, DISK_FULL, HOTWORD_REFUSED, HOTWORDS_TOO_MANY; CONFLICT for a key
            that named a file of another size.
    """
    if idempotency_key is not None:
        known = _by_key(session, actor, idempotency_key)
        if known is not None and known.total_bytes != total_bytes:
            raise PortalError("CONFLICT")
        if known is not None:
            return known
    _check_size(total_bytes, effective_upload_max_bytes(session, settings), store)
    now = utcnow()
    row = Upload(
        id=uuid.uuid4(),
        owner_id=actor.user_id,
        idempotency_key=idempotency_key,
        original_name=clean_file_name(file_name),
        total_bytes=total_bytes,
        received_bytes=0,
        options=snapshot_options(session, actor, options, settings),
        state="open",
        created_at=now,
        updated_at=now,
        expires_at=now + timedelta(hours=settings.upload_expire_hours),
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        known = _by_key(session, actor, idempotency_key or "")
        if known is None:
            raise
        return known
    note(session, actor, audit.Action.UPLOAD_START, row.id, detail={"bytes": total_bytes})
    return row


def get_for(session: Session, actor: Actor, upload_id: uuid.UUID) -> Upload:
    """The actor's own upload in any state. Raises NotFound."""
    row = session.get(Upload, upload_id)
    if row is None or row.owner_id != actor.user_id:
        raise NotFound
    return row


def open_for(session: Session, actor: Actor, upload_id: uuid.UUID) -> Upload:
    """The actor's own upload that still grows.

    Raises:
        NotFound: not one's own.
        PortalError: UPLOAD_GONE when it was cancelled, refused or expired; for a finished one use ``get_for``.
    """
    row = get_for(session, actor, upload_id)
    if row.state in ("expired", "refused") or (row.state == "open" and row.expires_at <= utcnow()):
        raise PortalError("UPLOAD_GONE")
    return row


def cancel(session: Session, actor: Actor, upload_id: uuid.UUID, store: FileStore) -> None:
    """Give up an upload; its bytes go after the commit.

    Raises:
        NotFound: not one's own.
        PortalError: UPLOAD_GONE when it had ended.
    """
    get_for(session, actor, upload_id)
    if not leave(session, upload_id, "expired", "UPLOAD_GONE"):
        raise PortalError("UPLOAD_GONE")
    note(session, actor, audit.Action.UPLOAD_CANCEL, upload_id)

    def forget() -> None:
        store.discard(upload_id)
        store.erase(upload_id)  # adopted by a process that died before its commit

    after_commit(session, forget)


def recent_for(session: Session, actor: Actor, *, recent: timedelta = timedelta(days=1)) -> list[Upload]:
    """The actor's uploads that still grow, and those refused within ``recent``; newest first."""
    refused = sa.and_(Upload.state == "refused", Upload.updated_at > utcnow() - recent)
    growing = sa.and_(Upload.state == "open", Upload.expires_at > utcnow())
    query = sa.select(Upload).where(Upload.owner_id == actor.user_id, sa.or_(refused, growing))
    return list(session.scalars(query.order_by(Upload.created_at.desc(), Upload.id)))


def expire_stale(session: Session, limit: int = 100) -> list[uuid.UUID]:
    """End uploads past their time; the caller discards their bytes after the commit."""
    query = sa.select(Upload.id).where(Upload.state == "open", Upload.expires_at <= utcnow()).limit(limit)
    return [item for item in session.scalars(query).all() if leave(session, item, "expired", "UPLOAD_GONE")]


def growing_among(session: Session, upload_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of ``upload_ids`` that are still open."""
    query = sa.select(Upload.id).where(Upload.id.in_(list(upload_ids)), Upload.state == "open")
    return set(session.scalars(query))


def _by_key(session: Session, actor: Actor, key: str) -> Upload | None:
    query = sa.select(Upload).where(Upload.owner_id == actor.user_id, Upload.idempotency_key == key)
    known = session.scalars(query).one_or_none()
    if known is not None and known.state in ("refused", "expired"):
        known.idempotency_key = None  # the same file may be tried again
        session.flush()
        return None
    return known


def _check_size(total_bytes: int, limit: int, store: FileStore) -> None:
    if total_bytes <= 0:
        raise PortalError("UPLOAD_EMPTY")
    if total_bytes > limit:
        raise PortalError("UPLOAD_TOO_LARGE", limit=_readable(limit))
    if store.free_bytes() < total_bytes + HEADROOM_BYTES:
        raise PortalError("DISK_FULL")


def _readable(count: int) -> str:
    if count >= 1024**3:
        return f"{count / 1024**3:g} GB"
    return f"{count / 1024**2:.3g} MB" if count >= 1024**2 else f"{count} B"


def leave(session: Session, upload_id: uuid.UUID, state: str, code: str, params: dict[str, Any] | None = None) -> bool:
    statement = (
        sa.update(Upload)
        .where(Upload.id == upload_id, Upload.state == "open")
        .values(state=state, error_code=code, error_params=params or None, updated_at=utcnow())
        .execution_options(synchronize_session=False)
    )
    changed = session.execute(statement).rowcount == 1  # type: ignore[attr-defined]
    session.expire_all()
    return bool(changed)


def note(
    session: Session,
    actor: Actor,
    action: audit.Action,
    upload_id: uuid.UUID,
    *,
    result: str = "ok",
    reason: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """The audit row of an act on an upload."""
    audit.record(
        session, actor, action, object_kind=KIND, object_id=upload_id, result=result, reason=reason, detail=detail
    )
