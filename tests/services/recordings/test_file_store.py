"""The file store: paths from ids alone, private, durable steps that can be repeated."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

import pytest

from portal.errors import PortalError
from portal.services.recordings.file_store import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "recordings", tmp_path / "uploads")


def put(store: FileStore, item: uuid.UUID, data: bytes = b"abc") -> None:
    with store.append(item) as writer:
        writer.write_at(0, data)
        writer.sync()


def test_from_upload_to_recording_and_gone(store: FileStore, tmp_path: Path) -> None:
    item = uuid.uuid4()
    put(store, item, b"0123456789")
    store.adopt(item)
    place = tmp_path / "recordings" / str(item)[:2] / str(item)
    assert [path.name for path in place.iterdir()] == ["source.bin"]
    assert stat.S_IMODE((place / "source.bin").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    with store.open(item) as reader:
        reader.seek(4)
        assert reader.read(3) == b"456"
    assert store.size(item) == 10
    store.write_peaks(item, b"\x01\x02")
    assert store.read_peaks(item) == b"\x01\x02"
    store.erase(item)
    store.erase(item)
    assert not place.exists()
    with pytest.raises(PortalError, match="FILE_MISSING"):
        store.open(item)
    assert store.read_peaks(item) is None
    store.write_peaks(item, b"late")
    assert not place.exists()


def test_one_writer_at_a_time(store: FileStore) -> None:
    item = uuid.uuid4()
    with store.append(item), pytest.raises(PortalError, match="UPLOAD_LOCKED"):
        store.append(item)
    with store.append(item) as writer:
        assert writer.size == 0


def test_an_adoption_that_was_never_committed_is_undone(store: FileStore) -> None:
    item = uuid.uuid4()
    put(store, item)
    store.adopt(item)
    with store.append(item) as writer:
        store.restage(item)
        assert writer.size == 3
        writer.write_at(3, b"d")
    store.adopt(item)
    with store.open(item) as reader:
        assert reader.read() == b"abcd"


def test_links_are_not_followed(store: FileStore, tmp_path: Path) -> None:
    item, secret = uuid.uuid4(), tmp_path / "secret"
    secret.write_bytes(b"secret")
    put(store, item)
    store.adopt(item)
    source = tmp_path / "recordings" / str(item)[:2] / str(item) / "source.bin"
    source.unlink()
    source.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic"):
        store.open(item)


def test_stale_parts(store: FileStore, tmp_path: Path) -> None:
    old, fresh = uuid.uuid4(), uuid.uuid4()
    put(store, old)
    put(store, fresh)
    os.utime(tmp_path / "uploads" / f"{old}.part", (0, 0))
    (tmp_path / "uploads" / "strange.part").touch()
    assert list(store.stale_uploads(60)) == [old]
    store.discard(old)
    store.discard(old)
    assert list(store.stale_uploads(60)) == []
