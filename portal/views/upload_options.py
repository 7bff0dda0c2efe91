"""The options of an upload as the fields of a form, for the browser without script and for remembering choices."""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import MultiDict

from portal.asr.vad_presets import CUSTOM
from portal.errors import PortalError

FIELDS = frozenset(
    {
        *("itn", "channels", "hotword_lists", "hotwords", "result", "language", "speakers", "speaker_count"),
        "hotword_strength",
        *("vad_preset", "vad_max_segment", "vad_end_silence", "vad_threshold"),
    }
)
"""Every field that the workspace's form may send; ``vad_max_segment`` in seconds, ``vad_end_silence`` in ms."""


def from_form(form: MultiDict[str, str]) -> dict[str, Any]:
    """The fields that were sent, as ``recordings.options`` takes them; what is missing stays missing.

    Raises:
        PortalError: INVALID_VALUE for something that is no number where one belongs.
    """
    found: dict[str, Any] = {}
    if "vad_preset" in form:
        found["vad"] = _vad(form)
    for name in ("result", "language", "hotword_strength"):
        if name in form:
            found[name] = form[name]
    if "speakers" in form:
        found["speakers"] = form["speakers"] == "1"
    if "speaker_count" in form:
        found["speaker_count"] = _number(form, "speaker_count")
    return found


def _vad(form: MultiDict[str, str]) -> dict[str, Any]:
    preset = form["vad_preset"]
    if preset != CUSTOM:  # the fold's fields are sent as well, whether anybody opened it or not
        return {"preset": preset}
    longest, silence, threshold = (_number(form, f"vad_{name}") for name in ("max_segment", "end_silence", "threshold"))
    return {
        "preset": preset,
        "max_segment_ms": None if longest is None else round(longest * 1000),
        "end_silence_ms": silence,
        "threshold": threshold,
    }


def _number(form: MultiDict[str, str], name: str) -> float | int | None:
    """A number with at most seven characters; None for an empty field."""
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text) if len(text) <= 7 else float("nan")
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e6:  # neither a number nor finite
        raise PortalError("INVALID_VALUE", field=name)
    return int(value) if value.is_integer() else value
