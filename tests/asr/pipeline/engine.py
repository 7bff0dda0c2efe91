"""An engine in memory for the pipeline's tests: it hears every sample that is not silent and says words about it."""

from __future__ import annotations

import array
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from portal.asr.engine.contract import RecordingOptions
from portal.asr.types import ModelInfo, Segment, Span, Word

TEXT = "今天会议讨论三件事情第一是预算一千二百三十四元第二是时间二零二五年三月十五号"


@dataclass
class MemoryRecording:
    """Ten-second segments; one character a quarter of a second, as long as somebody speaks."""

    options: RecordingOptions
    engine: MemoryEngine
    speech_ms: int = 0
    audio_ms: int = 0
    done_ms: int = 0
    closed: bool = False
    finished: bool = False
    spans: list[Span] = field(default_factory=list)
    speakers: list[tuple[int, int, int]] = field(default_factory=list)
    notices: dict[str, int] = field(default_factory=dict)
    _buffer: bytearray = field(default_factory=bytearray)
    _ready: list[Segment] = field(default_factory=list)

    @property
    def model(self) -> ModelInfo:
        return self.engine.model

    def push(self, pcm: bytes) -> None:
        self.engine.on_push(self)
        self._buffer += pcm
        while len(self._buffer) >= 320_000:
            self._recognise(320_000)

    def _recognise(self, size: int) -> None:
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        begin, length = self.audio_ms, len(piece) // 32
        self.audio_ms = self.done_ms = begin + length
        samples = array.array("h", piece)
        if max(samples, default=0) < 100:
            return
        self.speech_ms += length
        self.spans.append(Span(begin, begin + length))
        if self.options.vad_only:
            return
        if self.engine.deaf:
            words: tuple[Word, ...] = ()
        else:
            count = length // 250
            words = tuple(
                Word(TEXT[(begin // 250 + i) % len(TEXT)], begin + i * 250, begin + i * 250 + 200, 0.9)
                for i in range(count)
            )
        self._ready.append(self.engine.dress(Segment(begin, begin + length, words)))

    def finish(self) -> None:
        self.finished = True
        self.notices |= self.engine.notices
        while self._buffer:
            self._recognise(320_000)
        if self.options.speakers:
            self.speakers = [(span.begin_ms, span.end_ms, i % 2) for i, span in enumerate(self.spans)]

    def results(self) -> Iterator[Segment]:
        assert self.finished
        yield from self.poll()

    def poll(self) -> list[Segment]:
        ready, self._ready = self._ready, []
        return ready

    def punctuate(self, words: Sequence[str]) -> list[str]:
        assert not self.closed
        assert len(words) <= 200
        self.engine.punctuated += 1
        return ["。" if word in "元号" else "，" if word == "情" else "" for word in words[:-1]] + ["。"]

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()


@dataclass(frozen=True)
class MemoryStatus:
    model: ModelInfo
    capabilities: frozenset[str]
    languages: tuple[str, ...]


@dataclass
class MemoryEngine:
    """Remembers its recordings. ``deaf``: hears speech, understands nothing. ``on_push`` is called at each push;
    ``dress`` may add marks and tags to a segment."""

    deaf: bool = False
    on_push: Callable[[MemoryRecording], None] = lambda recording: None
    dress: Callable[[Segment], Segment] = lambda segment: segment
    capabilities: frozenset[str] = frozenset({"hotwords", "word_times", "punctuation"})
    languages: tuple[str, ...] = ()
    notices: dict[str, int] = field(default_factory=dict)
    model: ModelInfo = field(default=ModelInfo("memory", "Fake", "0" * 64, "cpu", True))
    recordings: list[MemoryRecording] = field(default_factory=list)
    punctuated: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    def open(self, *, options: RecordingOptions) -> MemoryRecording:
        recording = MemoryRecording(options, self)
        self.recordings.append(recording)
        return recording

    def status(self) -> MemoryStatus:
        return MemoryStatus(self.model, self.capabilities, self.languages)
