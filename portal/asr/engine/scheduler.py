"""The one meeting point of the connections and the model thread: a lock, no torch. What comes next says ``choosing``.

What may wait is bounded: beyond that a caller is told ENGINE_BUSY rather than kept waiting.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from portal.asr.engine.backend import Backend, BatchOptions, Punctuation, Recognised
from portal.asr.engine.batching import Budget
from portal.asr.engine.choosing import Choosing
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.hotword_check import check_hotwords
from portal.asr.engine.protocol import Message
from portal.asr.engine.recording import MAX_PUNCTUATIONS, WINDOW, Again, Recording, Send
from portal.asr.engine.turns import Call, Found, Turn
from portal.asr.errors import EngineBusy, EngineUnavailable, ProtocolError

MAX_RECORDINGS: Final = 64
"""Open recordings; the next one is told ENGINE_BUSY."""
MAX_QUEUED_S: Final = 4 * 3_600.0
"""Seconds of audio that may wait, unheard or unrecognised; above it the next recording is told ENGINE_BUSY."""


class Scheduler:
    """See the module. Every public method may be called from any thread."""

    def __init__(
        self,
        max_recordings: int = MAX_RECORDINGS,
        max_queued_s: float = MAX_QUEUED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changed = threading.Condition()
        self._recordings: OrderedDict[int, Recording] = OrderedDict()
        self._calls: list[Callable[[], None]] = []
        self._choosing = Choosing(self._recordings)
        self._order = self._choosing.order
        self._max = max_recordings
        self._max_queued_s = max_queued_s
        self._clock = clock
        self._numbers = 0
        self._keys = 0
        self._backend: Backend | None = None
        self._generation = 0
        self._closed = "the models are being loaded"
        self._draining = False
        self._stopping = False
        self.budget = Budget(1_000)

    def install(self, backend: Backend) -> int:
        """Let recordings that are opened from now on use these models; returns their generation. Recordings that are
        open keep theirs."""
        with self._changed:
            self.budget = Budget(backend.budget_frames)
            self._backend = backend
            self._generation += 1
            self._changed.notify_all()
            return self._generation

    def resize(self, budget_frames: int) -> None:
        """The device's memory has changed: batches may hold so many frames."""
        with self._changed:
            self.budget = Budget(budget_frames)

    def retire(self, reason: str, *, only_idle: bool) -> bool:
        """Refuse new recordings for this reason until models are installed again; with ``only_idle`` not while any is
        open. Returns whether it did."""
        with self._changed:
            if only_idle and self._recordings:
                return False
            self._backend, self._closed = None, reason
            return True

    def restore(self, backend: Backend) -> None:
        """Take back ``retire``: these models, which were in use before, go on."""
        with self._changed:
            self._backend = backend

    @property
    def backend(self) -> Backend | None:
        """The models that new recordings get; None while there are none."""
        return self._backend

    @property
    def generation(self) -> int:
        """The number of the models installed last."""
        return self._generation

    def generations(self) -> frozenset[int]:
        """Which models open recordings still use."""
        with self._changed:
            return frozenset(recording.generation for recording in self._recordings.values())

    def drain(self) -> None:
        """Refuse new recordings and new samples; what was found so far is still recognised."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Let ``take`` return None."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def open(self, options: RecordingOptions, send: Send) -> Recording:
        """Register a recording. Raises EngineUnavailable, EngineBusy or EngineFailed(HOTWORD_REFUSED)."""
        options = dataclasses.replace(options, hotwords=check_hotwords(options.hotwords))
        with self._changed:
            if self._draining:
                raise EngineUnavailable(detail="the engine is shutting down")
            if self._backend is None:
                raise EngineUnavailable(detail=self._closed)
            self._refuse_when_full()
            self._numbers += 1
            # what is recognised together has one digest: everything the result depends on, and the models' number
            digest = f"{self._generation}:{BatchOptions.of(options).digest}"
            recording = Recording(self._numbers, options, digest, send, self._backend, self._generation)
            self._order.join(recording.number)
            self._recordings[recording.number] = recording
            return recording

    def _refuse_when_full(self) -> None:
        count, seconds = len(self._recordings), self._queued_s()
        if count >= self._max or seconds >= self._max_queued_s:
            detail = f"{count} of {self._max} recordings are open, {seconds:.0f} of {self._max_queued_s:.0f} s wait"
            raise EngineBusy(detail=detail)

    def push(self, recording: Recording, pcm: bytes) -> None:
        """Add samples. Raises ProtocolError when the caller ignores its window or has finished."""
        with self._changed:
            if recording.finished:
                raise ProtocolError(detail="samples after the end")
            if recording.ended:
                return
            if recording.pending_bytes + len(pcm) > WINDOW:
                raise ProtocolError(detail="more samples than the window allows")
            if pcm:
                recording.pending.append(pcm)
                recording.pending_bytes += len(pcm)
                self._changed.notify_all()

    def finish(self, recording: Recording) -> None:
        """No more samples will come."""
        with self._changed:
            recording.finished = True
            self._changed.notify_all()

    def ask_punctuation(self, recording: Recording, number: int, words: list[str]) -> None:
        """Queue a question for marks. Raises EngineBusy when too many are open."""
        with self._changed:
            if len(recording.questions) + len(recording.punctuations) >= MAX_PUNCTUATIONS:
                raise EngineBusy(detail="too many open questions for punctuation")
            recording.questions.append((number, words))
            self._changed.notify_all()

    def close(self, recording: Recording) -> None:
        """Drop a recording and everything of it that waits. The caller is gone or has cancelled."""
        with self._changed:
            recording.drop()
            self._recordings.pop(recording.number, None)
            self._order.leave(recording.number)

    def fail(self, recording: Recording, code: str, detail: str) -> None:
        """End one recording with an error."""
        with self._changed:
            if recording.number in self._recordings:
                recording.fail(code, detail)

    def call(self, run: Callable[[], None]) -> None:
        """Have ``run`` run in the model thread, before other work."""
        with self._changed:
            self._calls.append(run)
            self._changed.notify_all()

    def counts(self) -> tuple[int, int]:
        """(open recordings, segments that wait)."""
        with self._changed:
            segments = sum(len(recording.waiting) for recording in self._recordings.values())
            return len(self._recordings), segments

    def queued_s(self) -> float:
        """Seconds of audio that wait to be heard or recognised."""
        with self._changed:
            return self._queued_s()

    def _queued_s(self) -> float:
        return sum(recording.queued_ms for recording in self._recordings.values()) / 1000

    def drained(self) -> bool:
        """While draining: fails the recordings that can't go on, and says whether no other is left."""
        with self._changed:
            for recording in self._recordings.values():
                unfinished = not recording.finished and not recording.waiting
                if unfinished and not recording.ended and not recording.questions and not recording.punctuations:
                    recording.fail("ENGINE_UNAVAILABLE", "the engine is shutting down")
            busy = [r for r in self._recordings.values() if not r.ended or r.questions or r.punctuations]
            return not busy

    def fail_all(self, code: str, detail: str) -> None:
        """Tell every open recording that it can't be finished here."""
        with self._changed:
            for recording in self._recordings.values():
                if not recording.ended:
                    recording.fail(code, detail)

    def take(self, timeout_s: float) -> Turn | None:
        """The next work, or None after ``timeout_s`` without any, or when stopping."""
        deadline = self._clock() + timeout_s
        with self._changed:
            while (turn := self._next()) is None and not self._stopping:
                left = deadline - self._clock()
                if left <= 0.0:
                    break
                self._changed.wait(min(left, self._choosing.gather_s or left))
            return turn

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    def heard(self, recording: Recording, pcm: bytes, final: bool, speech: Sequence[Found]) -> None:
        """Register the spans found in a piece, and give the caller its window back."""
        with self._changed:
            if recording.number not in self._recordings or recording.ended:
                return
            if not recording.waiting:
                self._order.join(recording.number)
            for found in speech:
                recording.speech_ms += found.speech.end_ms - found.speech.begin_ms
                if not recording.options.vad_only:
                    self._keys += 1
                    recording.add(self._keys, found.speech, self._clock(), found.digest, alone=found.alone)
            recording.heard_all |= final
            recording.tell_heard([found.speech for found in speech], 0 if final else len(pcm))

    def wanted(self, recording: Recording, key: int) -> bool:
        """Whether anybody still waits for this segment: its recording may have been cancelled meanwhile."""
        with self._changed:
            return recording.number in self._recordings and key in recording.waiting

    def recognised(self, recording: Recording, key: int, result: Recognised) -> None:
        """A segment has its words: send what is next in time."""
        with self._changed:
            segment = recording.waiting.get(key)
            if recording.number in self._recordings and segment is not None:
                segment.result = result
                self._order.charge(recording.number, segment.item.frames)
                recording.deliver()

    def again_alone(self, recording: Recording, key: int, why: Again) -> None:
        """Let a segment be recognised once more, in a batch of its own."""
        with self._changed:
            if key in recording.waiting:
                recording.waiting[key].run_alone(why)

    def told_apart(self, recording: Recording, spans: Sequence[tuple[int, int, int]], failed: bool) -> None:
        """The voices of a recording are grouped, or could not be: its end waited for that."""
        with self._changed:
            if recording.number in self._recordings and not recording.ended:
                recording.tell_speakers(spans, failed)

    def notice(self, recording: Recording, code: str) -> None:
        """Tell the caller of a recording what had to be done for one of its segments, a catalogue code."""
        with self._changed:
            if recording.number in self._recordings and not recording.ended:
                recording.send(Message("notice", {"code": code, "count": 1}))

    def begin_questions(self, recording: Recording, begin: Callable[[list[str]], Punctuation]) -> None:
        """Start the questions for punctuation that have come in."""
        with self._changed:
            questions = list(recording.questions)
            recording.questions.clear()
        started = {number: begin(words) for number, words in questions}
        with self._changed:
            if recording.number in self._recordings:
                recording.punctuations.update(started)

    def open_questions(self, recording: Recording) -> list[Punctuation]:
        """Questions that have begun."""
        with self._changed:
            return list(recording.punctuations.values())

    def answered(self, recording: Recording) -> list[tuple[int, Punctuation]]:
        """Remove and return the questions that are done."""
        with self._changed:
            return recording.pop_answered()

    def _next(self) -> Turn | None:
        if self._calls:
            return Call(self._calls.pop(0))
        return self._choosing.next(self._clock(), self.budget.frames, draining=self._draining)
