"""What the engine's model thread asks of whatever recognises: the real models or the fake. Free of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from portal.asr.engine.contract import CacheCleared, Memory, RecordingOptions
from portal.asr.types import ModelInfo, Word


class OutOfMemory(Exception):
    """The device has no room for this batch; a smaller one may fit."""


class DeviceLost(Exception):
    """The device answers with errors that do not pass: only a new process helps."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A finished span with what recognition needs of it. ``frames``: its cost in encoder frames (60 ms)."""

    begin_ms: int
    end_ms: int
    frames: int
    features: Any


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What all segments of a batch have in common; see RecordingOptions for the fields."""

    hotwords: tuple[str, ...] = ()
    hotword_weight: float = 1.0
    want_words: bool = True
    language: str = "auto"
    itn: bool = True

    @classmethod
    def of(cls, options: RecordingOptions) -> BatchOptions:
        """The part of a recording's options that recognition depends on."""
        # without hotwords their weight changes nothing: such recordings share batches whatever they say
        weight = options.hotword_weight if options.hotwords else 1.0
        return cls(options.hotwords, weight, options.want_words, options.language, options.itn)

    @property
    def digest(self) -> str:
        """Equal exactly for equal options."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Recognised:
    """One segment's result, times in ms from its begin; the other fields as in ``types.Segment``."""

    words: tuple[Word, ...]
    marks: tuple[str, ...] | None = None
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()
    cut_off: bool = False
    """The model still wrote when it reached its limit: a part of the text is missing."""


class Stream(Protocol):
    """The growing audio of one recording: features and voice activity, with bounded memory."""

    @property
    def waiting_from_ms(self) -> int:
        """Nothing before this time is still open."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The next int16 samples (16 kHz mono) of a stream; ``final``: the recording ends with them."""

    stream: Stream
    pcm: bytes
    final: bool


class Punctuation(Protocol):
    """Marks for one list of words, worked out a step at a time. ``marks`` is complete once ``done`` is true."""

    @property
    def done(self) -> bool:
        """Whether ``marks`` is complete."""

    @property
    def marks(self) -> list[str]:
        """'' or a mark per word."""


class VoiceStage(Protocol):
    """The speaker model and what groups its voice prints; see ``voices``."""

    def embed(self, windows: Sequence[Any]) -> Any:
        """Prints (n, D), float32, of windows of 1.5 s (int16). In the model thread. Raises OutOfMemory, DeviceLost."""

    def group(self, windows: Sequence[tuple[int, int]], prints: Any, count: int | None) -> list[tuple[int, int, int]]:
        """Spans (begin_ms, end_ms, number from 0) of speakers from windows (begin_ms, end_ms) in time order.

        ``count``: how many people, if known. Needs no device: called in a thread of its own."""


class Backend(Protocol):
    """Models on a device. Called by one thread at a time: the one that builds them and hears the canary, then the model
    thread. The names and ``memory`` may be asked for by any."""

    @property
    def model(self) -> ModelInfo:
        """The recognition model and its device."""

    @property
    def device_name(self) -> str:
        """The device's name for people."""

    @property
    def banner(self) -> str | None:
        """What administrators must know of the device, a catalogue code."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What pages may offer, see ``contract.Capability``."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes that ``BatchOptions.language`` may have besides ``auto``; empty without a choice."""

    @property
    def profile(self) -> str:
        """The arithmetic in use, see ``contract.Profile``."""

    @property
    def profile_note(self) -> str | None:
        """Why it is another one than wanted, a catalogue code."""

    @property
    def budget_frames(self) -> int:
        """Encoder frames (60 ms) one batch may hold."""

    @property
    def voices(self) -> VoiceStage | None:
        """What tells people apart by their voices; None without a speaker model."""

    def open_stream(self, options: RecordingOptions) -> Stream:
        """Begin a recording."""

    @property
    def hears_together(self) -> int:
        """How many streams one call of ``hear`` serves best."""

    def hear(self, pieces: Sequence[Heard]) -> list[list[Speech]]:
        """Take the next samples of several streams, one piece each, and return the spans that ended with them.

        When it raises, no stream has taken anything: the pieces may be heard again one by one.
        """

    def recognise(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """One result per item; None for an item whose result is not a number.

        Raises OutOfMemory or DeviceLost."""

    def halve(self, speech: Speech) -> tuple[Speech, Speech] | None:
        """Cut a segment at its quietest place; None when it is too short for that."""

    def recognise_on_cpu(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """``recognise`` with the same weights on the CPU: slower, and not short of the device's memory.

        Raises OutOfMemory where there is no other memory to turn to."""

    def begin_punctuation(self, words: Sequence[str]) -> Punctuation:
        """Prepare marks for ``words``."""

    def punctuate(self, jobs: Sequence[Punctuation]) -> None:
        """Advance each job by one step."""

    def memory(self) -> Memory:
        """Memory of the device."""

    def gauges(self) -> tuple[int | None, int | None]:
        """(utilisation in percent, temperature in °C), None where unknown."""

    def close(self) -> None:
        """Free the weights. Afterwards only ``model``, the names, ``memory`` and ``gauges`` are asked for."""

    def clear_cache(self) -> CacheCleared:
        """Give back memory that no running work needs."""
