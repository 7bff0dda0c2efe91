"""Numbers and codes as sentences: waiting times as ranges, failures with what to do, case numbers."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Flask
from flask_babel import gettext

from portal.db import utcnow
from portal.errors import counted, entry
from portal.http.error_pages import sentence

_LOW, _HIGH = 0.8, 1.5
_LOUD = frozenset(
    {
        *("TRUNCATED_MEDIA", "CHANNELS_NOT_SPLIT", "SEGMENT_EMPTY", "OOM_SPLIT"),
        *("HOTWORDS_NOT_USED", "LANGUAGE_NOT_OFFERED", "SPEAKERS_NOT_OFFERED", "SPEAKERS_FAILED"),
    }
)
_ENOUGH_MS = 3_000
"""Wall time after which a running transcription's own speed says something (ms)."""


def wait_text(low_s: int | None, high_s: int | None) -> str | None:
    """A range of seconds as people say it; None while nothing was measured."""
    if low_s is None or high_s is None:
        return None
    low, high = max(1, math.floor(low_s / 60)), max(1, math.ceil(high_s / 60))
    if high_s < 60:
        return str(gettext("不到 1 分钟"))
    if high >= 120:
        return str(gettext("约 %(low)s–%(high)s 小时", low=f"{low / 60:.1f}", high=f"{high / 60:.1f}"))
    if low == high:
        return str(gettext("约 %(minutes)s 分钟", minutes=high))
    return str(gettext("约 %(low)s–%(high)s 分钟", low=low, high=high))


def remaining_text(done_ms: int, audio_ms: int | None, started_at: datetime | None) -> str | None:
    """How long a running transcription still takes, from its own speed so far; None before that is known."""
    if not audio_ms or not done_ms or started_at is None:
        return None
    elapsed_ms = (utcnow() - started_at).total_seconds() * 1000
    if elapsed_ms < _ENOUGH_MS:
        return None
    left_s = (audio_ms - done_ms) * elapsed_ms / done_ms / 1000
    return wait_text(round(left_s * _LOW), round(left_s * _HIGH))


def problem(code: str | None, params: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What happened and what to do, for a stored code or warning."""
    name, count = counted(code or "INTERNAL")
    message, remedy = sentence(entry(name), {**count, **(params or {})})
    return {"code": name, "message": message, "remedy": remedy}


def is_loud(code: str) -> bool:
    """Whether a warning stands above the text, because the text lacks something; the others stand with the details."""
    return counted(code)[0] in _LOUD


def case_number(value: uuid.UUID) -> str:
    """The beginning of an id, short enough to read out on the telephone."""
    text = value.hex[:8].upper()
    return f"{text[:4]}-{text[4:]}"


def greeting(now: datetime) -> str:
    """The greeting of the hour; ``now`` in the reader's zone."""
    if now.hour < 5:
        return str(gettext("夜深了"))
    if now.hour < 11:
        return str(gettext("早上好"))
    if now.hour < 13:
        return str(gettext("中午好"))
    return str(gettext("下午好") if now.hour < 18 else gettext("晚上好"))


def init_app(app: Flask) -> None:
    """Attach the globals."""
    app.jinja_env.globals.update(
        wait_text=wait_text, remaining_text=remaining_text, problem=problem, is_loud=is_loud, case_number=case_number
    )
