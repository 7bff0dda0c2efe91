"""Receiving an upload's bytes. They flow while no transaction is open.

Every block follows one order: write, checksum, ``fdatasync``, then the offset is committed. The last block's offset is
committed together with the recording and its transcription, so an upload is either open or has become a recording,
whenever the machine stops. Recordings bear the id of their upload.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.audio import DecodeLimits, MediaFacts, probe
from portal.asr.errors import MediaError
from portal.db import utcnow
from portal.errors import PortalError
from portal.models import Recording, Upload
from portal.services import audit
from portal.services.administration import effective_recording_max_hours
from portal.services.identity.actor import Actor
from portal.services.recognition import transcriptions
from portal.services.recordings.file_store import BlockWriter, FileStore
from portal.services.recordings.media_errors import params_for_people
from portal.services.recordings.names import title_of
from portal.services.recordings.options import of_the_run
from portal.services.recordings.uploads import HEADROOM_BYTES, leave, note, open_for
from portal.settings import Settings

Transactions = Callable[[], AbstractContextManager[Session]]
"""Each call is one transaction, committed at the end of its block."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a block must hash to. ``algorithm``: ``sha1`` or ``sha256``."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Receiver:
    """What receiving needs beside the request: where rows, files and limits come from."""

    transactions: Transactions
    store: FileStore
    settings: Settings


def decode_limits(session: Session, settings: Settings) -> DecodeLimits:
    """The decoder's bounds as the settings name them, or narrower where an administrator made them so."""
    return DecodeLimits(
        max_audio_ms=round(effective_recording_max_hours(session, settings) * 3_600_000),
        cpu_base_seconds=settings.decode_cpu_base_seconds,
        cpu_seconds_per_hour=settings.decode_cpu_seconds_per_hour,
        memory_bytes=settings.decode_memory_bytes,
    )


def receive(
    receiver: Receiver,
    actor: Actor,
    upload_id: uuid.UUID,
    offset: int,
    blocks: Iterable[bytes],
    *,
    length: int | None = None,
    checksum: Checksum | None = None,
) -> int:
    """Take the next bytes of an upload; the last ones make it a recording and put it into the queue.

    Args:
        offset: where the sender believes to be (bytes); must be what was acknowledged last.
        blocks: the bytes; may end early when the connection breaks.
        length: how many bytes were announced, None when the sender did not say.
        checksum: refuses the block unless it matches; without one an interrupted block keeps what arrived.

    Returns:
        The acknowledged offset (bytes): on disk, and committed.

    Raises:
        NotFound: not one's own.
        PortalError: UPLOAD_GONE, UPLOAD_OFFSET, UPLOAD_LONGER, UPLOAD_CHECKSUM, UPLOAD_LOCKED, DISK_FULL, or the code
            for which a finished file was refused.
    """
    total = _expect(receiver, actor, upload_id, offset)
    if length is not None and offset + length > total:
        raise PortalError("UPLOAD_LONGER")
    with receiver.store.append(upload_id) as writer:
        _expect(receiver, actor, upload_id, offset)  # again, now that nobody else can write
        receiver.store.restage(upload_id)
        if writer.size < offset:
            raise PortalError("UPLOAD_GONE")
        reached = _write(writer, offset, total, _while_there_is_room(receiver.store, blocks), length, checksum)
        if reached < total:
            with receiver.transactions() as session:
                _advance(session, upload_id, offset, reached)
            return reached
        _finish(receiver, actor, upload_id, offset, writer)
        return total


def _expect(receiver: Receiver, actor: Actor, upload_id: uuid.UUID, offset: int) -> int:
    """Check in a short transaction that the upload grows from ``offset``; returns its declared size (bytes)."""
    with receiver.transactions() as session:
        row = open_for(session, actor, upload_id)
        if row.state != "open" or row.received_bytes != offset:
            raise PortalError("UPLOAD_OFFSET")
        return row.total_bytes


def _while_there_is_room(store: FileStore, blocks: Iterable[bytes]) -> Iterator[bytes]:
    # every upload fitted when it began; many at once must still leave the database and the audit log their part
    for block in blocks:
        if store.free_bytes() < len(block) + HEADROOM_BYTES:
            raise PortalError("DISK_FULL")
        yield block


def _write(
    writer: BlockWriter, offset: int, total: int, blocks: Iterable[bytes], length: int | None, checksum: Checksum | None
) -> int:
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
    reached = offset
    try:
        for block in blocks:
            if reached + len(block) > total:
                raise PortalError("UPLOAD_LONGER")
            writer.write_at(reached, block)
            reached += len(block)
            if digest is not None:
                digest.update(block)
        if checksum is not None and digest is not None:
            cut_short = length is not None and reached - offset < length
            if cut_short or not hmac.compare_digest(digest.digest(), checksum.digest):
                raise PortalError("UPLOAD_CHECKSUM")
    except BaseException:
        writer.cut(offset)
        raise
    writer.sync()
    return reached


def _advance(session: Session, upload_id: uuid.UUID, offset: int, reached: int, **also: Any) -> None:
    statement = (
        sa.update(Upload)
        .where(Upload.id == upload_id, Upload.state == "open", Upload.received_bytes == offset)
        .values(received_bytes=reached, updated_at=utcnow(), **also)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise PortalError("UPLOAD_GONE")
    session.expire_all()


def _finish(receiver: Receiver, actor: Actor, upload_id: uuid.UUID, offset: int, writer: BlockWriter) -> None:
    with receiver.transactions() as session:
        limits = decode_limits(session, receiver.settings)
    with writer.reader() as reader:
        digest = hashlib.file_digest(reader, "sha256").hexdigest()
        try:
            facts = probe(reader.fileno(), limits=limits)
        except MediaError as error:
            params = params_for_people(error)
            with receiver.transactions() as session:
                _refuse(session, actor, upload_id, error.code, params)
            receiver.store.discard(upload_id)
            raise PortalError(error.code, **params) from None
    try:
        receiver.store.adopt(upload_id)
        with receiver.transactions() as session:
            _become_recording(session, actor, upload_id, offset, digest, facts, receiver.settings)
    except (PortalError, FileNotFoundError):
        receiver.store.erase(upload_id)  # cancelled while it was being checked
        raise PortalError("UPLOAD_GONE") from None


def _refuse(session: Session, actor: Actor, upload_id: uuid.UUID, code: str, params: dict[str, Any]) -> None:
    if leave(session, upload_id, "refused", code, params):
        note(session, actor, audit.Action.UPLOAD_REFUSE, upload_id, result="refused", reason=code)


def _become_recording(
    session: Session,
    actor: Actor,
    upload_id: uuid.UUID,
    offset: int,
    digest: str,
    facts: MediaFacts,
    settings: Settings,
) -> None:
    upload = session.get_one(Upload, upload_id)
    recording = Recording(
        id=upload_id,
        owner_id=upload.owner_id,
        department_id=actor.department_id,
        title=title_of(upload.original_name),
        original_name=upload.original_name,
        bytes=upload.total_bytes,
        sha256=digest,
        container=facts.container[:32],
        codec=facts.codec[:32],
        channels=facts.channels,
        sample_rate=facts.sample_rate,
        duration_ms=facts.duration_ms,
    )
    session.add(recording)
    session.flush()
    _advance(session, upload_id, offset, recording.bytes, state="complete", recording_id=recording.id)
    note(session, actor, audit.Action.UPLOAD_FINISH, upload_id, detail={"bytes": recording.bytes})
    chosen = dict(upload.options)
    transcriptions.submit(
        session,
        actor,
        recording,
        options=of_the_run(chosen),
        hotwords=list(chosen["hotwords"]),
        hotword_versions=list(chosen["hotword_versions"]),
        settings=settings,
    )
