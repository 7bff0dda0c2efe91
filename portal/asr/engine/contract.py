"""What callers of the engine see: options of a recording, the engine's status, the effect of clearing caches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from portal.asr.errors import ProtocolError
from portal.asr.types import ModelInfo

Lane = Literal["file", "live"]
EngineState = Literal["loading", "ready", "draining", "failed"]


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """How one recording is recognised.

    ``hotwords`` are cleaned tokens. ``lane``: ``live`` goes ahead of ``file``. ``max_segment_ms`` (5 000..60 000):
    longer speech is cut at its quietest place. ``end_silence_ms`` (200..3 000): silence that ends a segment.
    """

    hotwords: tuple[str, ...] = ()
    lane: Lane = "file"
    want_words: bool = True
    max_segment_ms: int = 30_000
    end_silence_ms: int = 800


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the device in bytes; None where the device does not tell (the CPU)."""

    used_bytes: int | None = None
    reserved_bytes: int | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """A snapshot for administrators and for health checks.

    ``banner`` is a catalogue code to show (``CPU_FALLBACK``: ``auto`` found no accelerator) or None. ``capabilities``
    is a subset of ``hotwords``, ``word_times``, ``punctuation``. ``busy_seconds`` is the time the models were at work.
    """

    ready: bool
    state: EngineState
    device: str
    device_name: str
    banner: str | None
    model: ModelInfo
    capabilities: frozenset[str]
    memory: Memory
    rss_bytes: int
    running_recordings: int
    queued_segments: int
    uptime_s: float
    audio_seconds_done: float
    busy_seconds: float
    utilisation_percent: int | None
    temperature_c: int | None
    batches: int
    oom_count: int

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "capabilities": sorted(self.capabilities)}

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> EngineStatus:
        """Rebuild from ``to_wire``. Raises ProtocolError when the values don't fit."""
        try:
            fields = dict(values)
            fields["model"] = ModelInfo(**fields["model"])
            fields["memory"] = Memory(**fields["memory"])
            fields["capabilities"] = frozenset(fields["capabilities"])
            return cls(**fields)
        except (TypeError, KeyError) as error:
            raise ProtocolError(detail="status has other fields than expected") from error


@dataclass(frozen=True, slots=True)
class CacheCleared:
    """Bytes before and after. On a GPU: memory reserved from the device. On the CPU: resident memory of the engine."""

    before_bytes: int
    after_bytes: int
