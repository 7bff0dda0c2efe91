"""How much one recording may cost before it is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on one recording, all counted on what was really decoded, never on what a header says.

    ``cpu_base_seconds`` plus ``cpu_seconds_per_hour`` for each decoded hour is the processor time the decoder may use;
    ``memory_bytes`` is its address space; ``stall_seconds`` is the longest silence of the decoder while somebody waits
    for it. ``min_audio_ms`` is the shortest recording worth recognising.

    A silent FLAC of eight channels at 192 kHz stores an hour in 400 KB. More than ``cheap_samples_per_second`` samples
    a second at more than ``max_expansion`` decoded bytes for each stored byte is such a file and nothing a person
    recorded: it is refused after ``expansion_after_ms`` instead of after minutes of processor time.
    """

    max_audio_ms: int = 12 * MS_PER_HOUR
    min_audio_ms: int = 100
    max_channels: int = 8
    max_sample_rate: int = 192_000
    cpu_base_seconds: int = 30
    cpu_seconds_per_hour: int = 60
    memory_bytes: int = 1024 * 1024 * 1024
    stall_seconds: float = 60.0
    cheap_samples_per_second: int = 2 * 192_000
    max_expansion: int = 1_000
    expansion_after_ms: int = 60_000

    @property
    def max_audio_hours(self) -> int | float:
        """The longest recording in hours, whole where it is whole, for people."""
        hours = self.max_audio_ms / MS_PER_HOUR
        return int(hours) if hours.is_integer() else round(hours, 2)

    def cpu_seconds(self, decoded_ms: int) -> int:
        """Processor seconds allowed once ``decoded_ms`` of audio came out."""
        return self.cpu_base_seconds + self.cpu_seconds_per_hour * decoded_ms // MS_PER_HOUR

    def to_json(self) -> str:
        """The limits as one JSON object, for the decoder's command line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> DecodeLimits:
        """What ``to_json`` wrote. Raises TypeError for unknown keys."""
        return DecodeLimits(**json.loads(text))
