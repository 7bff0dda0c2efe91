"""One JSON line per event on standard error. Events carry numbers and codes, never recognised text or hotwords."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime


def log(event: str, **fields: str | int | float | bool | None) -> None:
    """Write one line."""
    record = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    sys.stderr.write(json.dumps(record, ensure_ascii=False) + "\n")
    sys.stderr.flush()
