"""Receiving without HTTP, on both databases: what happens between two steps of somebody else."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import create_engine, session_factory
from portal.errors import PortalError
from portal.models import Recording, Transcription, Upload
from portal.services.recordings import receiving, uploads
from portal.services.recordings.file_store import BlockWriter, FileStore
from portal.services.recordings.options import UploadOptions
from portal.settings import Settings
from tests.support.sounds import wav
from tests.support.world import World, actor

DATA = wav(0.5, seed=1)


class InterruptedStore(FileStore):
    """Lets something happen right before a file is opened for writing, or right after it was adopted."""

    before_append: Callable[[], object] | None = None
    after_adopt: Callable[[], object] | None = None

    def append(self, upload_id: uuid.UUID) -> BlockWriter:
        step, self.before_append = self.before_append, None
        if step is not None:
            step()
        return super().append(upload_id)

    def adopt(self, upload_id: uuid.UUID) -> None:
        super().adopt(upload_id)
        step, self.after_adopt = self.after_adopt, None
        if step is not None:
            step()


@pytest.fixture
def receiver(session: Session, any_settings: Settings) -> Iterator[receiving.Receiver]:
    engine = create_engine(any_settings)
    store = InterruptedStore(any_settings.store_dir, any_settings.instance / "uploads")
    yield receiving.Receiver(session_factory(engine).begin, store, any_settings)
    engine.dispose()


@pytest.fixture
def upload_id(people: World, receiver: receiving.Receiver) -> uuid.UUID:
    with receiver.transactions() as own:
        row = uploads.begin(
            own, actor(people.lin), file_name="会议.wav", total_bytes=len(DATA), options=UploadOptions(),
            settings=receiver.settings, store=receiver.store,
        )  # fmt: skip
        return row.id


def stored(receiver: receiving.Receiver, item: uuid.UUID) -> bytes:
    with receiver.store.open(item) as reader:
        return reader.read()


def test_a_rival_between_the_check_and_the_lock_is_not_overwritten(
    session: Session, people: World, receiver: receiving.Receiver, upload_id: uuid.UUID
) -> None:
    store, lin = receiver.store, actor(people.lin)
    assert isinstance(store, InterruptedStore)
    store.before_append = lambda: receiving.receive(receiver, lin, upload_id, 0, [DATA[:500]])
    with pytest.raises(PortalError, match="UPLOAD_OFFSET"):
        receiving.receive(receiver, lin, upload_id, 0, [b"x" * 500])
    receiving.receive(receiver, lin, upload_id, 500, [DATA[500:]])
    assert stored(receiver, upload_id) == DATA


def test_dying_between_rename_and_commit_loses_nothing(
    session: Session, people: World, receiver: receiving.Receiver, upload_id: uuid.UUID
) -> None:
    store, lin = receiver.store, actor(people.lin)
    assert isinstance(store, InterruptedStore)

    def die() -> None:
        raise KeyboardInterrupt

    store.after_adopt = die
    receiving.receive(receiver, lin, upload_id, 0, [DATA[:500]])
    with pytest.raises(KeyboardInterrupt):
        receiving.receive(receiver, lin, upload_id, 500, [DATA[500:]])
    assert session.get_one(Upload, upload_id).received_bytes == 500
    session.rollback()
    assert receiving.receive(receiver, lin, upload_id, 500, [DATA[500:]]) == len(DATA)
    assert stored(receiver, upload_id) == DATA
    assert len(session.scalars(sa.select(Recording)).all()) == len(session.scalars(sa.select(Transcription)).all()) == 1


def test_cancelled_while_it_is_being_checked(
    session: Session, people: World, receiver: receiving.Receiver, upload_id: uuid.UUID
) -> None:
    store, lin = receiver.store, actor(people.lin)
    assert isinstance(store, InterruptedStore)

    def give_up() -> None:
        with receiver.transactions() as own:
            uploads.cancel(own, lin, upload_id, store)

    store.after_adopt = give_up
    with pytest.raises(PortalError, match="UPLOAD_GONE"):
        receiving.receive(receiver, lin, upload_id, 0, [DATA])
    assert session.scalars(sa.select(Recording)).all() == []
    assert [path for path in receiver.settings.instance.rglob("*") if path.suffix in (".bin", ".part")] == []


def test_a_full_disk_is_said_before_and_while_it_happens(
    session: Session,
    people: World,
    receiver: receiving.Receiver,
    upload_id: uuid.UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lin = actor(people.lin)

    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.pwrite", full)
        with pytest.raises(PortalError, match="DISK_FULL"):
            receiving.receive(receiver, lin, upload_id, 0, [DATA])
    assert receiving.receive(receiver, lin, upload_id, 0, [DATA]) == len(DATA)
    monkeypatch.setattr(FileStore, "free_bytes", lambda _store: 1000)
    with pytest.raises(PortalError, match="DISK_FULL"):
        uploads.begin(
            session, lin, file_name="x", total_bytes=10, options=UploadOptions(),
            settings=receiver.settings, store=receiver.store,
        )  # fmt: skip


def test_the_last_of_the_disk_is_not_for_uploads(
    people: World, receiver: receiving.Receiver, upload_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of many uploads fits when it begins; together they must not fill what the audit log needs."""
    lin = actor(people.lin)
    left = iter([uploads.HEADROOM_BYTES + 600, uploads.HEADROOM_BYTES + 100])
    monkeypatch.setattr(FileStore, "free_bytes", lambda _store: next(left))
    with pytest.raises(PortalError, match="DISK_FULL"):
        receiving.receive(receiver, lin, upload_id, 0, [DATA[:500], DATA[500:1000]])
    with receiver.store.append(upload_id) as writer:
        assert writer.size == 0
    monkeypatch.undo()
    assert receiving.receive(receiver, lin, upload_id, 0, [DATA]) == len(DATA)
