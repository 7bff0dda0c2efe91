"""The key of the audit chain: 32 random bytes in a file (0600) of the instance folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_key: bytes | None = None


def load_audit_key(instance: Path) -> None:
    """Read the key, or make it at the first start. Every process calls this before it writes an audit row."""
    global _key
    path = instance / "audit_key"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _key = path.read_bytes()
        if len(_key) != 32:
            raise RuntimeError("audit_key is damaged: it must hold 32 bytes") from None
        return
    with os.fdopen(fd, "wb") as file:
        _key = secrets.token_bytes(32)
        file.write(_key)
        file.flush()
        os.fsync(file.fileno())


def audit_key() -> bytes:
    """The loaded key.

    Raises:
        RuntimeError: no process start loaded it; nothing may then be audited, so nothing may be done.
    """
    if _key is None:
        raise RuntimeError("the audit key is not loaded")
    return _key
