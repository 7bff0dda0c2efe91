"""Decoder refusals in the words of the error catalogue."""

from __future__ import annotations

from typing import Any

from portal.asr.errors import AsrError


def params_for_people(error: AsrError) -> dict[str, Any]:
    """The values that a refusal's sentence may name, fit to be stored as JSON."""
    return {name: value for name, value in error.params.items() if isinstance(value, int | float | str)}
