"""Decoder refusals in the words of the error catalogue."""

from __future__ import annotations

from typing import Any

from portal.asr.errors import AsrError

_MS_PER_HOUR = 3_600_000


def params_for_people(error: AsrError) -> dict[str, Any]:
    """The values that a refusal's sentence names, in people's units (hours, not ms)."""
    params = {name: value for name, value in error.params.items() if isinstance(value, int | float | str)}
    limit_ms = params.pop("limit_ms", None)
    if isinstance(limit_ms, int | float):
        params["limit_hours"] = f"{limit_ms / _MS_PER_HOUR:g}"
    return params
