"""One recording inside the engine: samples not yet heard, segments on their way, what was sent back. Not thread-safe by
itself: the scheduler's lock guards it. Memory is bounded by the caller's window and by the backlog of segments."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from portal.asr.engine.backend import Backend, Punctuation, Recognised, Speech, Stream
from portal.asr.engine.batching import Item
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.protocol import Message
from portal.asr.engine.voices import SPEAKERS_FAILED, Voices

WINDOW: Final = 8 << 20
"""Bytes of samples a caller may have under way (262 s)."""
PIECE: Final = 60 * 32_000
"""Bytes of samples heard in one turn of the models (60 s)."""
BACKLOG_FRAMES: Final = 3_000
"""Encoder frames (60 ms) of found speech that may wait before more samples are heard (180 s)."""
MAX_PUNCTUATIONS: Final = 4

Send = Callable[[Message], None]


Again = Literal["", "empty", "memory", "error"]


@dataclass(slots=True)
class Segment:
    """A span between being found (``since``, seconds of the scheduler's clock) and being sent. ``digest``: its name in
    the crash journal. ``again``: why it is recognised a second time, '' the first time."""

    speech: Speech
    item: Item
    since: float
    digest: str = ""
    result: Recognised | None = None
    again: Again = ""

    def run_alone(self, why: Again) -> None:
        """Once more, in a batch of its own."""
        self.item, self.again = replace(self.item, alone=True), why


@dataclass(slots=True)
class Recording:
    """State of one open recording. ``backend``: the models that were in use when it was opened; it keeps them to its
    end, whatever is switched meanwhile. ``generation`` is their number."""

    number: int
    options: RecordingOptions
    digest: str
    send: Send
    backend: Backend
    generation: int = 0
    stream: Stream | None = None
    pending: deque[bytes] = field(default_factory=deque)
    pending_bytes: int = 0
    finished: bool = False
    heard_all: bool = False
    ended: bool = False
    audio_bytes: int = 0
    speech_ms: int = 0
    sent: int = 0
    waiting: dict[int, Segment] = field(default_factory=dict)
    punctuations: dict[int, Punctuation] = field(default_factory=dict)
    questions: deque[tuple[int, list[str]]] = field(default_factory=deque)
    voices: Voices | None = None
    telling_apart: bool = False
    """Everything is heard, and the voices are still being grouped: the end waits."""

    @property
    def live(self) -> bool:
        """Whether captions wait for this recording."""
        return self.options.lane == "live"

    @property
    def audio_ms(self) -> int:
        """Milliseconds of samples heard so far."""
        return self.audio_bytes // 32

    @property
    def queued_ms(self) -> int:
        """Milliseconds of samples not heard yet and of speech not recognised yet."""
        speech = (s.speech for s in self.waiting.values() if s.result is None)
        return self.pending_bytes // 32 + sum(found.end_ms - found.begin_ms for found in speech)

    @property
    def done_ms(self) -> int:
        """Milliseconds from the start that are fully recognised."""
        if self.waiting:
            return next(iter(self.waiting.values())).speech.begin_ms
        if self.heard_all or self.stream is None:
            return self.audio_ms
        return min(self.stream.waiting_from_ms, self.audio_ms)

    def wants_to_listen(self) -> bool:
        """Whether there are samples (or the end) to hear and room for the speech in them."""
        if self.ended or self.heard_all or not (self.pending or self.finished):
            return False
        return sum(segment.item.frames for segment in self.waiting.values()) < BACKLOG_FRAMES

    def take_piece(self) -> tuple[bytes, bool]:
        """Remove up to one piece of samples; the flag says that the recording ends with it."""
        parts: list[bytes] = []
        size = 0
        while self.pending and size < PIECE:
            part = self.pending.popleft()
            if size + len(part) > PIECE:
                self.pending.appendleft(part[PIECE - size :])
                part = part[: PIECE - size]
            parts.append(part)
            size += len(part)
        self.pending_bytes -= size
        self.audio_bytes += size
        return b"".join(parts), self.finished and not self.pending

    def add(self, key: int, speech: Speech, since: float, digest: str, *, alone: bool) -> None:
        """Speech was found that is to be recognised; keys count up over all recordings."""
        item = Item(key, self.number, speech.frames, self.live, self.digest, key, alone=alone)
        self.waiting[key] = Segment(speech, item, since, digest)

    def tell_heard(self, speech: Sequence[Speech], free: int) -> None:
        """Send the spans that were found, ``free`` bytes of the window for more samples, and what is recognised."""
        if speech:
            self.send(Message("spans", {"spans": [[one.begin_ms, one.end_ms] for one in speech]}))
        if free:
            self.send(Message("window", {"bytes": free}))
        self.deliver()

    def tell_speakers(self, spans: Sequence[tuple[int, int, int]], failed: bool) -> None:
        """Send who spoke when, or that it could not be worked out, and the end that waited for it."""
        if failed:
            self.send(Message("notice", {"code": SPEAKERS_FAILED, "count": 1}))
        self.send(Message("speakers", {"spans": [list(span) for span in spans]}))
        self.telling_apart = False
        self.deliver()

    def pop_answered(self) -> list[tuple[int, Punctuation]]:
        """Remove and return the questions that are done."""
        done = [(number, job) for number, job in self.punctuations.items() if job.done]
        self.punctuations = {number: job for number, job in self.punctuations.items() if not job.done}
        return done

    def deliver(self) -> None:
        """Send, in time order, what is recognised; then the progress, and the end when all is sent."""
        for key in list(self.waiting):
            segment = self.waiting[key]
            if segment.result is None:
                break
            del self.waiting[key]
            self.sent += 1
            self.send(_segment_message(segment.speech, segment.result, self.options.want_words))
        self.send(
            Message("progress", {"audio_ms": self.audio_ms, "speech_ms": self.speech_ms, "done_ms": self.done_ms})
        )
        if self.heard_all and not (self.waiting or self.telling_apart or self.ended):
            self.ended = True
            self.send(Message("done", {"audio_ms": self.audio_ms, "speech_ms": self.speech_ms, "segments": self.sent}))

    def fail(self, code: str, detail: str) -> None:
        """Tell the caller once, and keep nothing."""
        self.send(Message("error", {"code": code, "detail": detail[:400]}))
        self.drop()

    def drop(self) -> None:
        """Forget everything that waits."""
        self.ended = True
        self.pending.clear()
        self.pending_bytes = 0
        self.waiting.clear()
        self.questions.clear()
        self.punctuations.clear()
        self.stream = self.voices = None


def _segment_message(speech: Speech, result: Recognised, with_times: bool) -> Message:
    length = speech.end_ms - speech.begin_ms
    rows: list[list[Any]] = []
    for word in result.words:
        begin, end = min(word.begin_ms, length), min(word.end_ms, length)
        if not with_times:
            begin, end = 0, length
        rows.append([word.text, speech.begin_ms + begin, speech.begin_ms + end, word.confidence])
    fields = {"span": [speech.begin_ms, speech.end_ms], "words": rows, "tags": _tags(result)}
    return Message("segment", fields)


def _tags(result: Recognised) -> dict[str, Any] | None:
    if result.marks is None and not (result.language or result.emotion or result.events):
        return None
    return {
        "marks": None if result.marks is None else list(result.marks),
        "language": result.language,
        "emotion": result.emotion,
        "events": list(result.events),
    }
