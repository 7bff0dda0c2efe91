"""How speech may be cut: the presets people choose from, and the limits of what they may set themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from portal.asr.types import VadOptions

FilePreset = Literal["general", "telephone", "lecture", "custom"]
"""What may be chosen for a file; ``custom`` brings its own numbers."""

CUSTOM: Final = "custom"
MAX_SEGMENT_MS: Final = (5_000, 60_000)
END_SILENCE_MS: Final = (200, 3_000)
THRESHOLD: Final = (0.1, 0.9)

PRESETS: Final[Mapping[str, VadOptions]] = MappingProxyType(
    {
        "general": VadOptions(),
        "telephone": VadOptions(max_segment_ms=20_000),
        "lecture": VadOptions(max_segment_ms=60_000),
        "live": VadOptions(end_silence_ms=300),
    }
)
"""``live`` is for captions, where a long silence would keep people waiting; it is not offered for files."""
FILE_PRESETS: Final = ("general", "telephone", "lecture")


class OutOfLimits(ValueError):
    """A value beyond its limits; ``field`` names it: ``max_segment_ms``, ``end_silence_ms`` or ``threshold``."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is out of its limits")
        self.field = field


def within_limits(options: VadOptions) -> VadOptions:
    """``options`` unchanged.

    Raises:
        OutOfLimits: one of them lies outside ``MAX_SEGMENT_MS``, ``END_SILENCE_MS`` or ``THRESHOLD``.
    """
    if not MAX_SEGMENT_MS[0] <= options.max_segment_ms <= MAX_SEGMENT_MS[1]:
        raise OutOfLimits("max_segment_ms")
    if options.end_silence_ms is not None and not END_SILENCE_MS[0] <= options.end_silence_ms <= END_SILENCE_MS[1]:
        raise OutOfLimits("end_silence_ms")
    if options.threshold is not None and not THRESHOLD[0] <= options.threshold <= THRESHOLD[1]:  # refuses NaN as well
        raise OutOfLimits("threshold")
    return options
