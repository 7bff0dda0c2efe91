"""What the scheduler gives the model thread to do, and what comes back from hearing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from portal.asr.engine.backend import Speech
from portal.asr.engine.recording import Recording, Segment


@dataclass(frozen=True, slots=True)
class Listen:
    """Hear a piece of samples of each of these recordings, which use the same models: (recording, samples, whether it
    ends with them)."""

    pieces: list[tuple[Recording, bytes, bool]]


@dataclass(frozen=True, slots=True)
class Recognise:
    """Recognise these segments together."""

    segments: list[tuple[Recording, int, Segment]]


@dataclass(frozen=True, slots=True)
class Punctuate:
    """Advance the marks of these recordings by one step."""

    recordings: list[Recording]


@dataclass(frozen=True, slots=True)
class Call:
    """Run a question of an administrator in the model thread."""

    run: Callable[[], None]


Turn = Listen | Recognise | Punctuate | Call


@dataclass(frozen=True, slots=True)
class Found:
    """Speech that was heard. ``digest``: its name in the crash journal; ``alone``: it must not share a batch."""

    speech: Speech
    digest: str = ""
    alone: bool = False
