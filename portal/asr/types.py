"""What recognition speaks about: samples, segments, words, sentences. Free of Flask, SQL, torch and FunASR.

All times are whole milliseconds from the start of the recording. Samples are 16 kHz mono.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SAMPLE_RATE = 16_000
"""Samples per second of everything inside the portal (Hz)."""

ChannelMode = Literal["mix", "split"]
"""``mix``: all channels averaged into one. ``split``: a two-channel telephone recording, each side on its own."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of speech that VAD found: ``[begin_ms, end_ms)``."""

    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Word:
    """One written unit: a Chinese character, a Latin word, or a number group made by ITN.

    ``confidence`` is the model's probability of the recognised token (0..1), None where unknown.
    """

    text: str
    begin_ms: int
    end_ms: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """What recognition returned for one span: words without punctuation."""

    begin_ms: int
    end_ms: int
    words: tuple[Word, ...]
    channel: int | None = None
    marks: tuple[str, ...] | None = None
    """'' or the mark after each word where the recognition model punctuates itself; None: ask for punctuation."""
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A punctuated sentence with its words. ``paragraph`` counts from 0; a new one starts after a long pause."""

    text: str
    begin_ms: int
    end_ms: int
    words: tuple[Word, ...]
    paragraph: int = 0
    speaker: str | None = None
    channel: int | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """What a person may choose for one transcription. ``hotwords`` are cleaned tokens, never raw user text."""

    hotwords: tuple[str, ...] = ()
    itn: bool = True
    channels: ChannelMode = "mix"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model made a text: a name for people, FunASR's class, the digest of its manifest, and the profile of its
    arithmetic (``exact``, ``cpu-exact`` or ``fast``; empty where unknown)."""

    name: str
    family: str
    digest: str
    device: str
    demo: bool = False
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Transcription:
    """The result of ``pipeline.transcribe``.

    ``speech_ms`` is what VAD found; ``sentences`` may be empty: then ``outcome`` says why
    (``no_speech``: VAD found none; ``not_recognised``: speech found, no text came out of it).
    ``warnings`` are catalogue codes, such as ``TRUNCATED_MEDIA``.
    """

    sentences: tuple[Sentence, ...]
    audio_ms: int
    speech_ms: int
    model: ModelInfo
    outcome: Literal["text", "no_speech", "not_recognised"]
    warnings: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """The whole text; sentences run together, paragraphs are separated by a newline."""
        parts: list[str] = []
        last: int | None = None
        for sentence in self.sentences:
            if last is not None and sentence.paragraph != last:
                parts.append("\n")
            elif parts and parts[-1][-1:].isascii() and not parts[-1][-1:].isspace() and sentence.text[:1].isascii():
                parts.append(" ")
            parts.append(sentence.text)
            last = sentence.paragraph
        return "".join(parts)
