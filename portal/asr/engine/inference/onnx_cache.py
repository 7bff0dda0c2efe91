"""Graphs for ONNX Runtime, written once per model and kept in a folder of our own.

An entry is used only when every file has the SHA-256 that was recorded when we wrote it, for exactly this model, these
bits and this version of the runtime; a damaged or unfinished entry is written anew. Nothing else is ever loaded, and
the whole folder may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from portal.asr.engine.json_log import log
from portal.asr.engine.manifest import fact_of

_LAYOUT: Final = 2
"""Raise it when the graphs that are written change."""
_MANIFEST: Final = "manifest.json"
_MAKING: Final = ".making-"
_KEEP_S: Final = 30 * 86_400.0
"""Seconds an entry is kept after its last use."""
_STALE_S: Final = 86_400.0


class GraphCache:
    """One folder of entries. Without ``root`` graphs are written to a private folder that ``close`` removes: what was
    opened before stays usable."""

    def __init__(self, root: Path | None) -> None:
        self._private = None if root is not None else tempfile.TemporaryDirectory(prefix="portal-graphs-")
        self._root = root if root is not None else Path(self._private.name if self._private else "")
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def obtain(self, key: Mapping[str, str | int], write: Callable[[Path], None]) -> Path:
        """The folder of the entry for ``key``; ``write`` fills an empty folder with it when there is none yet.

        ``key``: everything the content depends on. Raises OSError when there is no room or no right to write.
        """
        facts = {"layout": _LAYOUT, **key}
        name = sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
        entry = self._root / name
        if entry.is_dir():
            if _intact(entry, facts):
                os.utime(entry / _MANIFEST)
                return entry
            log("graph_damaged", entry=name)
            shutil.rmtree(entry)
        self._make(entry, facts, write)
        self._forget_old(entry)
        return entry

    def close(self) -> None:
        """Remove a private folder."""
        if self._private is not None:
            self._private.cleanup()

    def _make(self, entry: Path, facts: Mapping[str, Any], write: Callable[[Path], None]) -> None:
        began = time.monotonic()
        making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=self._root))
        try:
            write(making)
            files = {path.name: asdict(fact_of(path)) for path in sorted(making.iterdir())}
            (making / _MANIFEST).write_text(json.dumps({"key": facts, "files": files}, indent=1), encoding="utf-8")
            for path in making.iterdir():
                _flush(path)
            try:
                making.rename(entry)
            except OSError:
                # another engine was faster
                if not _intact(entry, facts):
                    raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
        log("graph_written", entry=entry.name, seconds=round(time.monotonic() - began, 2), **facts)

    def _forget_old(self, current: Path) -> None:
        now = time.time()
        for path in self._root.iterdir():
            unfinished = path.name.startswith(_MAKING)
            marker = path if unfinished else path / _MANIFEST
            try:
                age = now - marker.stat().st_mtime
            except OSError:
                continue
            if path != current and age > (_STALE_S if unfinished else _KEEP_S):
                shutil.rmtree(path, ignore_errors=True)


def _intact(entry: Path, facts: Mapping[str, Any]) -> bool:
    """Whether an entry is what was written for these facts, file by file."""
    try:
        manifest = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        present = {path.name for path in entry.iterdir()} - {_MANIFEST}
        if manifest["key"] != facts or present != set(files):
            return False
        return all(asdict(fact_of(entry / name)) == files[name] for name in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
