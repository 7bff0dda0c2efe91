"""One channel's way through the engine to sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from portal.asr.asking import Asked
from portal.asr.punctuation import END_MARKS, PAUSE_MARKS, SILENT_END_MS, Punctuator
from portal.asr.segmentation import WordStream
from portal.asr.sentences import SentenceBuilder, render
from portal.asr.speakers import label
from portal.asr.tags import Tags
from portal.asr.types import ModelInfo, Segment, Sentence, Span, SpeechSpan, Word

_FULL_WIDTH = {",": "，", ".": "。", "?": "？", "!": "！", ";": "；", ":": "："}


class RecordingLike(Protocol):
    """One recording in the engine; see ``portal.asr.engine.client.EngineRecording``."""

    speech_ms: int
    audio_ms: int
    done_ms: int
    spans: list[Span]
    speakers: list[tuple[int, int, int]]
    notices: dict[str, int]

    @property
    def model(self) -> ModelInfo: ...
    def push(self, pcm: bytes) -> None: ...
    def finish(self) -> None: ...
    def results(self) -> Iterator[Segment]: ...
    def poll(self) -> list[Segment]: ...
    def punctuate(self, words: Sequence[str]) -> list[str]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Track:
    """Takes the segments of one recording in the engine and grows ``sentences``."""

    def __init__(self, recording: RecordingLike, channel: int | None, asked: Asked) -> None:
        self.recording = recording
        self.sentences: list[Sentence] = []
        self.latest_text = ""
        self._channel, self._asked = channel, asked
        self._words = WordStream(timed=asked.timed)
        self._punctuator = Punctuator(recording.punctuate)
        self._builder = SentenceBuilder(channel=channel, itn=asked.itn, replacements=asked.replacements)
        self._tags = Tags()
        self._own_end: int | None = None
        """Where the last word ended that came with its own mark (ms); None while the others wait for marks."""

    def take(self, segments: Sequence[Segment]) -> None:
        """Add segments in time order."""
        for segment in segments:
            marked = self._words.take(segment)
            if not marked:
                continue
            self._tags.add(segment)
            words = [word for word, _ in marked]
            self.latest_text = render(words, [""] * len(words))[-80:]
            if segment.marks is None:
                self._grow(self._close_own() + self._builder.push(self._punctuator.push(words)))
            else:
                self._grow(self._with_own_marks(marked))

    def finish(self) -> None:
        """No more segments will come: close what is open, and say who speaks where that was asked."""
        self._grow(self._close_own() + self._builder.push(self._punctuator.finish()) + self._builder.finish())
        if self._asked.recording.speakers and self.recording.speakers:
            self.sentences = list(label(self.sentences, self.recording.speakers))

    @property
    def spans(self) -> list[SpeechSpan]:
        """The speech that VAD found, in order."""
        return [SpeechSpan(span.begin_ms, span.end_ms, self._channel) for span in self.recording.spans]

    def _with_own_marks(self, marked: Sequence[tuple[Word, str]]) -> list[Sentence]:
        """The recognition model punctuates: its marks are used as they are, and only a long silence has a say too."""
        ended = self._builder.push(self._punctuator.finish())
        if self._own_end is not None and marked[0][0].begin_ms - self._own_end > SILENT_END_MS:
            ended += self._close_own()
        self._own_end = max(word.end_ms for word, _ in marked)
        return ended + self._builder.push((word, _known(mark)) for word, mark in marked)

    def _close_own(self) -> list[Sentence]:
        if self._own_end is None:
            return []
        self._own_end = None
        return self._builder.finish()

    def _grow(self, sentences: Sequence[Sentence]) -> None:
        for sentence in sentences:
            self.sentences.append(replace(self._tags.of(sentence), timed=self._asked.timed))


def _known(mark: str) -> str:
    """One of our marks, written in full width, or none."""
    mark = _FULL_WIDTH.get(mark.strip(), mark.strip())
    return mark if mark and mark in END_MARKS + PAUSE_MARKS else ""
