"""The file store: the only object that builds paths under the instance folder. Paths come from UUIDs, never from names.

``<root>/ab/<uuid>/source.bin`` is a recording, ``peaks.bin`` beside it its waveform; ``<uploads>/<uuid>.part`` is what
has arrived so far of an upload. Callers read and write blocks of seekable files and never see a path, so that another
kind of store (encrypted, or on other machines) can take this one's place. Folders are 0700, files 0600.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from portal.errors import PortalError
from portal.settings import Settings

SOURCE = "source.bin"
PEAKS = "peaks.bin"
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class BlockWriter:
    """A file that grows by blocks. At most one writer holds a file at a time; others get UPLOAD_LOCKED."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise PortalError("UPLOAD_LOCKED") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def write_at(self, offset: int, block: bytes) -> None:
        """Write ``block`` at byte ``offset``. Raises PortalError DISK_FULL."""
        view = memoryview(block)
        try:
            while view:
                count = os.pwrite(self._fd, view, offset)
                view, offset = view[count:], offset + count
        except OSError as error:
            raise _as_portal_error(error) from error

    def sync(self) -> None:
        """Wait until everything written is on the disk. Raises PortalError DISK_FULL."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise _as_portal_error(error) from error

    def cut(self, size: int) -> None:
        """Forget what lies beyond ``size`` bytes."""
        os.ftruncate(self._fd, size)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._fd).st_size

    def reader(self) -> io.FileIO:
        """A seekable reader of the same file, at its beginning; the caller closes it."""
        return io.FileIO(os.open(f"/proc/self/fd/{self._fd}", os.O_RDONLY | os.O_CLOEXEC), "rb")


class FileStore:
    """Recordings and the uploads they come from."""

    def __init__(self, root: Path, uploads: Path) -> None:
        self._root = root
        self._uploads = uploads
        for folder in (root, uploads):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store that these settings name; makes its folders when missing."""
        return cls(settings.store_dir, settings.instance / "uploads")

    # uploads ------------------------------------------------------------------------------------------------------
    def append(self, upload_id: uuid.UUID) -> BlockWriter:
        """Open an upload's file for the next block; makes it at the first one.

        Where a process died between ``adopt`` and its commit, this is the adopted file: ask ``restage`` once the
        database says, under this writer's lock, that the upload is still open.

        Raises:
            PortalError: UPLOAD_LOCKED while another writer holds it.
        """
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        for path in (self._part(upload_id), self._folder(upload_id) / SOURCE):
            try:
                return BlockWriter(os.open(path, flags))
            except FileNotFoundError:
                continue
        try:
            return BlockWriter(os.open(self._part(upload_id), flags | os.O_CREAT, 0o600))
        except OSError as error:
            raise _as_portal_error(error) from error

    def restage(self, upload_id: uuid.UUID) -> None:
        """Undo an ``adopt`` that was never committed; nothing happens where there was none."""
        source = self._folder(upload_id) / SOURCE
        if source.exists() and not self._part(upload_id).exists():
            source.rename(self._part(upload_id))
            self._remove_folder(self._folder(upload_id))

    def discard(self, upload_id: uuid.UUID) -> None:
        """Remove an upload's file; nothing happens where there is none."""
        self._part(upload_id).unlink(missing_ok=True)

    def adopt(self, upload_id: uuid.UUID) -> None:
        """Make a finished upload the source of the recording of the same id: one durable rename."""
        folder = self._folder(upload_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._part(upload_id).rename(folder / SOURCE)
        for directory in (folder, folder.parent, self._root, self._uploads):
            _sync_directory(directory)

    def free_bytes(self) -> int:
        """Bytes that may still be written."""
        facts = os.statvfs(self._uploads)
        return facts.f_bavail * facts.f_frsize

    def stale_uploads(self, older_than_s: float) -> Iterator[uuid.UUID]:
        """Uploads whose file nobody wrote to for so many seconds."""
        limit = time.time() - older_than_s
        for path in self._uploads.glob("*.part"):
            try:
                upload_id = uuid.UUID(path.stem)
                old = path.stat().st_mtime < limit
            except (ValueError, FileNotFoundError):
                continue
            if old:
                yield upload_id

    # recordings ---------------------------------------------------------------------------------------------------
    def open(self, recording_id: uuid.UUID) -> io.FileIO:
        """A seekable reader of a recording. Raises PortalError FILE_MISSING."""
        try:
            path = self._folder(recording_id) / SOURCE
            return io.FileIO(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except FileNotFoundError:
            raise PortalError("FILE_MISSING") from None

    def size(self, recording_id: uuid.UUID) -> int:
        """Bytes of a recording. Raises PortalError FILE_MISSING."""
        with self.open(recording_id) as reader:
            return os.fstat(reader.fileno()).st_size

    def write_peaks(self, recording_id: uuid.UUID, data: bytes) -> None:
        """Keep a recording's waveform; replaces the one before in one step."""
        folder = self._folder(recording_id)
        temporary = folder / f"{PEAKS}.{uuid.uuid4().hex}"
        try:
            with os.fdopen(os.open(temporary, _NEW, 0o600), "wb") as file:
                file.write(data)
            temporary.replace(folder / PEAKS)
        except FileNotFoundError:
            return  # erased meanwhile: there is nothing to draw any more
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _as_portal_error(error) from error

    def read_peaks(self, recording_id: uuid.UUID) -> bytes | None:
        """A recording's waveform, None before it was recognised."""
        try:
            return (self._folder(recording_id) / PEAKS).read_bytes()
        except FileNotFoundError:
            return None

    def erase(self, recording_id: uuid.UUID) -> None:
        """Remove everything of a recording, durably. Safe to repeat."""
        folder = self._folder(recording_id)
        if not folder.exists():
            return
        self._remove_folder(folder)
        _sync_directory(folder.parent)

    # paths --------------------------------------------------------------------------------------------------------
    def _folder(self, recording_id: uuid.UUID) -> Path:
        name = str(uuid.UUID(int=recording_id.int))
        return self._root / name[:2] / name

    def _part(self, upload_id: uuid.UUID) -> Path:
        return self._uploads / f"{uuid.UUID(int=upload_id.int)}.part"

    @staticmethod
    def _remove_folder(folder: Path) -> None:
        try:
            for path in folder.iterdir():
                path.unlink(missing_ok=True)
            folder.rmdir()
        except FileNotFoundError:
            return


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_portal_error(error: OSError) -> Exception:
    return PortalError("DISK_FULL") if error.errno in _NO_SPACE else error
