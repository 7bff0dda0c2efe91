"""What callers of the engine see: options of a recording, the engine's status, the effect of clearing caches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from portal.asr.errors import ProtocolError
from portal.asr.types import ModelInfo

Lane = Literal["file", "live"]
EngineState = Literal["loading", "ready", "asleep", "unloading", "unloaded", "draining", "failed"]
"""``asleep``: unloaded for idleness, the next recording loads the models; ``unloaded``: an administrator decides."""
Profile = Literal["exact", "cpu-exact", "fast"]
"""``exact``: fp32 as FunASR computes; ``cpu-exact``: the same on a CPU; ``fast``: fewer bits, checked before use."""
Capability = Literal[
    "hotwords",
    "hotword_weight",
    "word_times",
    "punctuation",
    "own_punctuation",
    "language_choice",
    "model_itn",
    "emotion",
    "events",
    "speakers",
]
"""What pages may offer. ``own_punctuation``: the recognition model punctuates; ``model_itn``: it can write numbers."""


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """How one recording is recognised.

    ``hotwords`` are cleaned tokens; ``hotword_weight`` (0..1) says how much they count where the model supports it.
    ``lane``: ``live`` goes ahead of ``file``. ``want_words``: word times are wanted; without them the timestamp head is
    not run and every word gets the times of its segment. ``max_segment_ms`` (5 000..60 000): longer speech is cut at
    its quietest place. ``end_silence_ms`` (200..3 000): silence that ends a segment; None: FunASR's schedule, which
    waits the shorter the longer the speech has lasted. ``speech_threshold`` (0..1): how sure of speech the model must
    be; None: as the voice-activity model says. ``vad_only``: spans, no words. ``language``: ``auto`` or a code such as
    ``zh``; ``itn``: numbers written by the model itself (``model_itn``). ``speakers``: label who speaks;
    ``speaker_count`` (1..20) when it is known.
    """

    hotwords: tuple[str, ...] = ()
    hotword_weight: float = 1.0
    lane: Lane = "file"
    want_words: bool = True
    max_segment_ms: int = 30_000
    end_silence_ms: int | None = 800
    speech_threshold: float | None = None
    vad_only: bool = False
    language: str = "auto"
    itn: bool = True
    speakers: bool = False
    speaker_count: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the device in bytes; None where the device does not tell (the CPU). ``other_bytes``: what other
    processes hold; ``cap_bytes``: the limit an administrator set."""

    used_bytes: int | None = None
    reserved_bytes: int | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None
    other_bytes: int | None = None
    cap_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """The last canary: a known recording through the loaded models. ``at``: seconds since the epoch."""

    at: float
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of the models. ``action``: ``load``, ``switch``, ``unload``, ``idle_unload``, ``wake`` (a
    recording came after an idle unload) or ``start`` (the remembered model could not be used). ``step``: ``waiting``
    (for running recordings), ``loading``, ``checking``, ``done`` or ``failed``; ``code`` names the failure. ``model``:
    digest wanted. ``at``, ``ended``: seconds since the epoch. ``before_bytes``/``after_bytes``: device memory (CPU:
    resident) around it; after a switch the latter falls once the last recording has left the old model."""

    action: str
    step: str
    model: str
    at: float
    code: str = ""
    detail: str = ""
    before_bytes: int | None = None
    after_bytes: int | None = None
    id: str = ""
    ended: float | None = None
    params: dict[str, str] = field(default_factory=dict)
    """Fills the places of the code's sentence, such as ``file``; names without folders."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """A snapshot for administrators and for health checks.

    ``banner`` is a catalogue code to show (``CPU_FALLBACK``: ``auto`` found no accelerator) or None. ``capabilities``
    is a set of ``Capability``; ``languages`` the codes of ``language_choice``. ``busy_seconds`` is the time the models
    were at work, ``hour_audio_seconds`` and ``hour_busy_seconds`` the same for the last hour. ``profile_note`` is a
    catalogue code when another profile than the wanted one is in use. Counters: ``oom_count`` times memory ran out,
    ``split_segments`` segments cut in two for it, ``cpu_segments`` those finished on the CPU, ``poisoned`` segments
    refused because they had killed the engine, ``rescued`` those that gave words only at the second try;
    ``useful_frames`` and ``computed_frames`` the encoder frames (60 ms) of speech and those computed for them, padding
    included.
    ``ready``: recordings may be opened. ``old_models``: models that were switched away from and serve their last
    recordings. ``loaded_at`` (seconds since the epoch) and ``load_seconds``: when the models came, and how long that
    took.
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
    profile: str = ""
    profile_note: str | None = None
    languages: tuple[str, ...] = ()
    queued_seconds: float = 0.0
    hour_audio_seconds: float = 0.0
    hour_busy_seconds: float = 0.0
    split_segments: int = 0
    cpu_segments: int = 0
    poisoned: int = 0
    rescued: int = 0
    useful_frames: int = 0
    computed_frames: int = 0
    canary: Check | None = None
    change: Change | None = None
    old_models: int = 0
    loaded_at: float | None = None
    load_seconds: float | None = None

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
            fields["languages"] = tuple(fields["languages"])
            fields["canary"] = Check(**fields["canary"]) if fields["canary"] else None
            fields["change"] = Change(**fields["change"]) if fields["change"] else None
            return cls(**fields)
        except (TypeError, KeyError) as error:
            raise ProtocolError(detail="status has other fields than expected") from error


@dataclass(frozen=True, slots=True)
class CacheCleared:
    """Bytes before and after. On a GPU: memory reserved from the device. On the CPU: resident memory of the engine."""

    before_bytes: int
    after_bytes: int
