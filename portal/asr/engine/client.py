"""How RQ workers, the command line and the pages speak to the engine. Synchronous, one thread per client object.

Every call ends: the engine sends a sign of life every few seconds while it works, and its silence for ``timeout_s``
becomes EngineUnavailable, as does a lost connection. The engine grants a window of samples, so ``push`` reads what
the engine has to say while it waits for room: it cannot deadlock against results nobody has fetched.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from portal.asr.engine.address import EngineAddress
from portal.asr.engine.contract import CacheCleared, Change, EngineStatus, RecordingOptions
from portal.asr.engine.protocol import PROTOCOL_VERSION, Message
from portal.asr.engine.wire import Wire, error_of
from portal.asr.errors import EngineUnavailable, ProtocolError
from portal.asr.types import ModelInfo, Segment, Span, Word

_CHUNK: Final = 1 << 18
"""Samples travel in pieces of 256 KiB (8 s), so that waiting for room and progress stay fine-grained."""
_LOOK_S: Final = 0.2
__all__ = ["EngineClient", "EngineRecording", "RecordingOptions"]


class EngineClient:
    """Where the engine listens. Holds no connection by itself; cheap to create."""

    def __init__(self, where: Path | EngineAddress, *, timeout_s: float = 30.0) -> None:
        """``where``: a Unix socket's path, or an address of either kind."""
        self.address = where if isinstance(where, EngineAddress) else EngineAddress(path=where)
        self._timeout_s = timeout_s

    def status(self) -> EngineStatus:
        """What the engine is doing. Raises EngineUnavailable when none answers."""
        answer = self._ask("status", "status")
        return EngineStatus.from_wire(answer["status"])

    def clear_cache(self) -> CacheCleared:
        """Free memory that no running work needs. Raises EngineUnavailable, also while models are loading."""
        answer = self._ask("clear_cache", "cache_cleared")
        return CacheCleared(answer["before_bytes"], answer["after_bytes"])

    def history(self) -> list[list[float | int | None]]:
        """The device's figures of the last hour, oldest first; the columns are the fields of ``gauge_log.Sample``."""
        rows: list[list[float | int | None]] = self._ask("history", "history")["rows"]
        return rows

    def start_unload(self, *, wait: bool = False) -> Change:
        """Begin to free the models; they stay away until ``load``. With ``wait`` once the running recordings are done.

        Raises EngineFailed(ENGINE_IN_USE) when recordings run and ``wait`` is false, EngineBusy(ENGINE_CHANGING) during
        another change, EngineUnavailable."""
        return self._begin("unload", wait=wait)

    def start_load(self) -> Change:
        """Begin to load the models again, from the files the settings name now. Work goes on with the loaded ones until
        the new ones are proven. Raises EngineBusy(ENGINE_CHANGING), EngineUnavailable."""
        return self._begin("load")

    def start_switch(self, digest: str) -> Change:
        """Begin to switch to the recognition model with this digest; work goes on meanwhile.

        Raises EngineFailed(MODEL_UNKNOWN), EngineBusy(ENGINE_CHANGING), EngineUnavailable."""
        return self._begin("switch", model=digest)

    def until_changed(
        self, change: Change, timeout_s: float, on_step: Callable[[Change], None] | None = None
    ) -> Change:
        """Follow a change to its end (``done`` or ``failed``), or return it as it is after ``timeout_s``.

        ``on_step`` hears each new step. Raises EngineUnavailable when the engine goes away or has begun another one."""
        deadline, said = time.monotonic() + timeout_s, ""
        while True:
            if on_step is not None and change.step != said:
                said = change.step
                on_step(change)
            if change.ended is not None or time.monotonic() >= deadline:
                return change
            time.sleep(_LOOK_S)
            latest = self.status().change
            if latest is None or latest.id != change.id:
                raise EngineUnavailable(detail="the engine no longer knows this change")
            change = latest

    def open(self, *, options: RecordingOptions) -> EngineRecording:
        """Begin a recording; close it, or use it as a context manager.

        Raises EngineUnavailable (none answers, loading, draining), EngineBusy, EngineFailed(HOTWORD_REFUSED)."""
        wire = Wire(self.address, self._timeout_s)
        try:
            fields = {
                "version": PROTOCOL_VERSION,
                "lane": options.lane,
                "hotwords": list(options.hotwords),
                "want_words": options.want_words,
                "max_segment_ms": options.max_segment_ms,
                "end_silence_ms": options.end_silence_ms,
                "hotword_weight": options.hotword_weight,
                "speech_threshold": options.speech_threshold,
                "vad_only": options.vad_only,
                "language": options.language,
                "itn": options.itn,
                "speakers": options.speakers,
                "speaker_count": options.speaker_count,
            }
            wire.send(Message("open", fields))
            opened = _expect(wire, "opened")
        except BaseException:
            wire.close()
            raise
        return EngineRecording(wire, opened["window"], ModelInfo(**opened["model"]))

    def _begin(self, question: str, **fields: object) -> Change:
        change: dict[str, Any] = self._ask(question, "changed", **fields)["change"]
        try:
            return Change(**change)
        except TypeError:
            raise ProtocolError(detail="a change has other fields than expected") from None

    def _ask(self, question: str, answer: str, **fields: object) -> Message:
        wire = Wire(self.address, self._timeout_s)
        try:
            wire.send(Message(question, {"version": PROTOCOL_VERSION, **fields}))
            return _expect(wire, answer)
        finally:
            wire.close()


def _expect(wire: Wire, kind: str) -> Message:
    message = wire.receive()
    while message is not None and message.type == "alive":  # models that slept for idleness are being loaded
        message = wire.receive()
    assert message is not None
    if message.type == "error":
        raise error_of(message)
    if message.type != kind:
        raise ProtocolError(detail=f"{message.type} instead of {kind}")
    return message


def _segment(begin_ms: int, end_ms: int, words: tuple[Word, ...], tags: Mapping[str, Any] | None) -> Segment:
    if tags is None:
        return Segment(begin_ms, end_ms, words)
    marks = None if tags["marks"] is None else tuple(tags["marks"])
    return Segment(
        begin_ms,
        end_ms,
        words,
        marks=marks,
        language=tags["language"],
        emotion=tags["emotion"],
        events=tuple(tags["events"]),
    )


class EngineRecording:
    """One recording in the engine. ``speech_ms``, ``audio_ms`` and ``done_ms`` follow its progress; ``model`` is the
    one that recognises it, whatever the engine is switched to meanwhile."""

    def __init__(self, wire: Wire, window: int, model: ModelInfo) -> None:
        self.model = model
        self._wire = wire
        self._window = window
        self._segments: deque[Segment] = deque()
        self._marks: dict[int, list[str]] = {}
        self._questions = 0
        self._finished = False
        self._ended = False
        self._closed = False
        self.spans: list[Span] = []
        self.speakers: list[tuple[int, int, int]] = []
        """Who speaks: (begin_ms, end_ms, number from 0); complete once ``results`` has ended."""
        self.notices: dict[str, int] = {}
        """Catalogue codes of what the engine had to do, such as OOM_SPLIT, and how often."""
        self.speech_ms = 0
        self.audio_ms = 0
        self.done_ms = 0

    def push(self, pcm: bytes) -> None:
        """Send int16 little-endian samples (16 kHz mono), at most 2 MiB; waits while the engine has no room.

        Raises EngineUnavailable, EngineFailed, or ValueError for half a sample or after ``finish``."""
        if len(pcm) % 2 or self._finished:
            raise ValueError("push takes whole samples, before finish")
        for start in range(0, len(pcm), _CHUNK):
            piece = pcm[start : start + _CHUNK]
            while self._window < len(piece):
                self._take(self._wire.receive())
            self._window -= len(piece)
            self._wire.send(Message("push", {}, piece))
            self._drain()

    def finish(self) -> None:
        """Say that the audio is complete. Calling it again has no effect."""
        if not self._finished:
            self._finished = True
            self._wire.send(Message("finish"))

    def results(self) -> Iterator[Segment]:
        """Segments in time order; ends when the engine has sent the last one (call ``finish`` for that)."""
        while self._segments or not self._ended:
            if not self._segments:
                self._take(self._wire.receive())
            while self._segments:
                yield self._segments.popleft()

    def poll(self) -> list[Segment]:
        """Segments that have arrived; never waits."""
        self._drain()
        ready = list(self._segments)
        self._segments.clear()
        return ready

    def punctuate(self, words: Sequence[str]) -> list[str]:
        """For each word the mark after it: '', '，', '。', '？' or '、'. The last one ends a sentence."""
        if not words:
            return []
        number, self._questions = self._questions, self._questions + 1
        # a line break would be read as the border of two words
        body = "\n".join(word.replace("\n", " ") or " " for word in words).encode()
        self._wire.send(Message("punctuate", {"id": number}, body))
        self._until(lambda: number in self._marks)
        marks = self._marks.pop(number)
        if len(marks) != len(words):
            raise ProtocolError(detail="marks for another number of words")
        return marks

    def close(self) -> None:
        """Leave; the engine drops what still waits. This also cancels."""
        if not self._closed:
            self._closed = True
            self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._take(self._wire.receive())

    def _drain(self) -> None:
        while (message := self._wire.receive(0.0)) is not None:
            self._take(message)

    def _take(self, message: Message | None) -> None:
        assert message is not None
        match message.type:
            case "window":
                self._window += message["bytes"]
            case "spans":
                self.spans += [Span(begin, end) for begin, end in message["spans"]]
            case "progress":
                self.audio_ms, self.speech_ms = message["audio_ms"], message["speech_ms"]
                self.done_ms = message["done_ms"]
            case "segment":
                begin, end = message["span"]
                words = tuple(Word(text, first, last, sure) for text, first, last, sure in message["words"])
                self._segments.append(_segment(begin, end, words, message["tags"]))
            case "speakers":
                self.speakers = [(begin, end, number) for begin, end, number in message["spans"]]
            case "notice":
                self.notices[message["code"]] = self.notices.get(message["code"], 0) + message["count"]
            case "punctuated":
                self._marks[message["id"]] = message.body.decode().split("\n")
            case "done":
                self._ended = True
                self.audio_ms = self.done_ms = message["audio_ms"]
            case "error":
                raise error_of(message)
            case "alive":
                pass
            case _:
                raise ProtocolError(detail=f"unexpected {message.type}")
