"""Which segments were in the models when the process died, so that one poisonous segment can't end everybody's work.

Before each batch the engine writes down what is in it, and wipes that out afterwards. What a new process finds there
killed the old one, or shared its batch with what did: these segments are *suspects* and run alone. A segment that
kills the engine alone twice is *poison* and is never run again. Segments are named by a digest of their features and of
the model, so another model gets its own chance, and none of the portal's names or texts is written.

The notes must survive the death of the process (a crash, a hang, a lost device), not that of the machine: they are
written without waiting for the disk. One file holds the batch, a second one the suspects; both lie beside the socket.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from portal.asr.engine.json_log import log

Verdict = Literal["clean", "suspect", "poison"]
DEATHS_ALONE: Final = 2
"""So many times a segment may end the engine while it runs alone."""
KEPT_S: Final = 7 * 24 * 3_600.0
"""Seconds after which a suspect or a poisonous segment is forgotten: the next version may cope with it."""
KEPT: Final = 2_000
"""Most segments remembered; the oldest go first."""
_ROWS: Final = 64


def content_digest(features: Any, model: str) -> str:
    """A name for a segment's content under this model; '' for features it can't read, which are not journaled.

    Of an array at most 64 rows spread over all of it are read: that tells recordings apart as surely as all of them
    would and takes microseconds, while the whole of 30 s takes a millisecond of the thread that feeds the device.
    """
    state = hashlib.sha256(model.encode())
    if isinstance(features, np.ndarray):
        rows = features[:: max(1, len(features) // _ROWS)]
        state.update(repr((features.shape, features.dtype.str)).encode())
        state.update(np.ascontiguousarray(rows).tobytes())
    elif isinstance(getattr(features, "digest", None), bytes):
        state.update(features.digest)
    else:
        return ""
    return state.hexdigest()


class CrashJournal:
    """See the module. ``path``: the batch's file; None keeps notes of nothing (tests, benchmarks).

    The model thread alone writes, but for ``close``. A disk that refuses is logged once and costs the protection, not
    the work.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._memory = None if path is None else path.with_suffix(".suspects")
        self._clock = clock
        self._lock = threading.Lock()
        self._file: int | None = None
        self._known: dict[str, tuple[int, float]] = {}

    def open(self) -> None:
        """Read what an earlier process left, and begin to write. Call it once the engine's place is surely ours."""
        if self._path is None or self._memory is None:
            return
        self._known = _read_known(self._memory, self._clock() - KEPT_S)
        self._charge(*_read_batch(self._path))
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log("journal_refused", error=type(error).__name__)
        self.end()

    def verdict(self, digest: str) -> Verdict:
        """How a segment is to be run: as usual, alone, or not at all."""
        deaths, _ = self._known.get(digest, (-1, 0.0))
        if deaths < 0:
            return "clean"
        return "poison" if deaths >= DEATHS_ALONE else "suspect"

    def begin(self, digests: Sequence[str]) -> None:
        """These segments go into the models together."""
        known = [digest for digest in digests if digest]
        self._write(json.dumps({"alone": len(digests) == 1, "segments": known}).encode())

    def end(self) -> None:
        """The models answered, well or badly: the process lived."""
        self._write(b"")

    def survived(self, digest: str) -> None:
        """A suspect ran alone and nothing happened: it is none any more."""
        if self.verdict(digest) == "suspect":
            del self._known[digest]
            self._remember()

    def close(self) -> None:
        """The process ends in good order: what it leaves unfinished is nobody's fault. From any thread."""
        with self._lock:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    os.pwrite(self._file, b"\n", 0)
            self._shut()

    def _shut(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _charge(self, segments: Sequence[str], alone: bool) -> None:
        if not segments:
            return
        log("crash_found", segments=len(segments), alone=alone)
        for digest in segments:
            deaths, _ = self._known.pop(digest, (0, 0.0))
            self._known[digest] = (deaths + alone, self._clock())
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        self._remember()

    def _write(self, line: bytes) -> None:
        with self._lock:
            if self._file is None:
                return
            try:
                # one short write from the start: what follows the line break is of an earlier, longer batch
                os.pwrite(self._file, line + b"\n", 0)
            except OSError as error:
                log("journal_refused", error=type(error).__name__)
                self._shut()

    def _remember(self) -> None:
        if self._memory is None:
            return
        beside = self._memory.with_name(self._memory.name + ".new")
        try:
            beside.write_text(json.dumps({name: list(value) for name, value in self._known.items()}), "utf-8")
            beside.replace(self._memory)
        except OSError as error:
            log("journal_refused", error=type(error).__name__)


def _read_batch(path: Path) -> tuple[list[str], bool]:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        with path.open("rb") as file:
            line = file.readline(1 << 20).strip()
        if line:
            found = json.loads(line)
            return [str(digest) for digest in found["segments"]], bool(found["alone"])
    return [], False


def _read_known(path: Path, since: float) -> dict[str, tuple[int, float]]:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        rows = json.loads(path.read_text("utf-8")).items()
        known = {str(name): (int(deaths), float(at)) for name, (deaths, at) in rows}
        return {name: value for name, value in known.items() if value[1] >= since}
    return {}
