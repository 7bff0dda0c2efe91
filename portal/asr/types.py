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

Outcome = Literal["text", "no_speech", "not_recognised", "spans"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of speech that VAD found: ``[begin_ms, end_ms)``."""

    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """A stretch of speech as the answer to "who spoke when, whatever was said": ``[begin_ms, end_ms)`` of a channel."""

    begin_ms: int
    end_ms: int
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class VadOptions:
    """How speech is cut into segments; limits and presets stand in ``portal.asr.vad_presets``.

    ``max_segment_ms``: longer speech is cut at its quietest place. ``end_silence_ms``: silence that ends a segment;
    None: FunASR decides, the longer somebody has spoken the sooner. ``threshold`` (0..1): how sure of speech the model
    must be; None: as the model says.
    """

    max_segment_ms: int = 30_000
    end_silence_ms: int | None = None
    threshold: float | None = None


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
class Replacement:
    """A pair of the wrong→right table: where ``wrong`` was recognised, ``right`` is written.

    ``near``: whatever sounds like ``wrong`` counts as well. ``id`` names the pair, and the version of it, in records.
    """

    id: str
    wrong: str
    right: str
    near: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """One place where the table spoke: ``heard`` was recognised from ``begin_ms`` to ``end_ms``, ``written`` stands
    there now, from the sentence's word number ``word`` on; ``replacement`` is the id of the pair, ``near`` whether it
    matched by sound alone."""

    begin_ms: int
    end_ms: int
    heard: str
    written: str
    replacement: str
    word: int
    near: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """A punctuated sentence with its words. ``paragraph`` counts from 0; a new one starts after a long pause.

    ``speaker`` is the number, from 1, of a voice that was told apart, or a name. ``language``, ``emotion`` and
    ``events`` are what the recognition model says beside the words. ``timed``: the words have times of their own;
    otherwise theirs and the sentence's are spread over the segment and no page shows them word by word.
    ``substitutions`` is what the wrong→right table changed in it.
    """

    text: str
    begin_ms: int
    end_ms: int
    words: tuple[Word, ...]
    paragraph: int = 0
    speaker: str | None = None
    channel: int | None = None
    confidence: float | None = None
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()
    timed: bool = True
    substitutions: tuple[Substitution, ...] = ()


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """What a person may choose for one transcription. ``hotwords`` are cleaned tokens, never raw user text.

    ``spans_only``: when somebody spoke, no text. ``language``: ``auto`` or a code such as ``zh``. ``speakers``: tell
    voices apart, ``speaker_count`` (1..20) when it is known. ``word_times``: whether times of single words are wanted.
    What the model in use cannot do is left out, and a warning says so. ``hotword_weight`` (0..1): how much hotwords
    count. ``replacements``: the wrong→right table, the more important pair first.
    """

    hotwords: tuple[str, ...] = ()
    itn: bool = True
    channels: ChannelMode = "mix"
    vad: VadOptions = VadOptions()
    spans_only: bool = False
    language: str = "auto"
    speakers: bool = False
    speaker_count: int | None = None
    word_times: bool = True
    hotword_weight: float = 1.0
    replacements: tuple[Replacement, ...] = ()


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
    (``no_speech``: VAD found none; ``not_recognised``: speech found, no text came out of it; ``spans``: only ``spans``
    were wanted). ``warnings`` are catalogue codes, such as ``TRUNCATED_MEDIA``, with a count
    where there is one: ``SEGMENT_EMPTY:3``. ``spans`` is None unless wanted.
    """

    sentences: tuple[Sentence, ...]
    audio_ms: int
    speech_ms: int
    model: ModelInfo
    outcome: Outcome
    warnings: tuple[str, ...] = field(default=())
    spans: tuple[SpeechSpan, ...] | None = None

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
