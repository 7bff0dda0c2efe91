"""What the models do next. The only meeting point of the connections and the model thread: one lock, no torch.

Live captions go first; then batches as soon as enough speech has gathered for a full one, or nothing is left to hear;
hearing goes round the recordings so that short and long ones advance alike.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from portal.asr.engine.backend import Backend, Punctuation, Recognised, Speech
from portal.asr.engine.batching import Budget, Item, choose
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.hotword_check import check_hotwords, digest_of
from portal.asr.engine.protocol import Message
from portal.asr.engine.recording import MAX_PUNCTUATIONS, WINDOW, Recording, Segment, Send
from portal.asr.errors import EngineBusy, EngineUnavailable, ProtocolError

MAX_RECORDINGS: Final = 64
"""Open recordings; the next one is told ENGINE_BUSY."""
_STEPS_TOGETHER: Final = 32


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


class Scheduler:
    """See the module. Every public method may be called from any thread."""

    def __init__(self, max_recordings: int = MAX_RECORDINGS) -> None:
        self._changed = threading.Condition()
        self._recordings: OrderedDict[int, Recording] = OrderedDict()
        self._calls: list[Callable[[], None]] = []
        self._served: dict[int, float] = {}
        self._max = max_recordings
        self._numbers = 0
        self._keys = 0
        self._punctuated_last = False
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
        tokens = check_hotwords(options.hotwords)
        with self._changed:
            if self._draining:
                raise EngineUnavailable(detail="the engine is shutting down")
            if self._backend is None:
                raise EngineUnavailable(detail=self._closed)
            if len(self._recordings) >= self._max:
                raise EngineBusy(detail=f"{self._max} recordings are open")
            self._numbers += 1
            # generations never share a batch: what is recognised together has one digest
            digest = f"{self._generation}:{digest_of(tokens)}"
            recording = Recording(self._numbers, options, digest, send, self._backend, self._generation)
            # a newcomer starts level with the least served, not ahead of everybody
            self._served[recording.number] = min(self._served.values(), default=0.0)
            self._recordings[recording.number] = recording
            return recording

    def push(self, recording: Recording, pcm: bytes) -> None:
        """Add samples. Raises ProtocolError when the caller ignores its window or has finished."""
        with self._changed:
            if recording.ended:
                return
            if recording.finished:
                raise ProtocolError(detail="samples after the end")
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
            self._served.pop(recording.number, None)

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
        with self._changed:
            turn = self._next()
            if turn is None and not self._stopping:
                self._changed.wait(timeout_s)
                turn = self._next()
            return turn

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    def heard(self, recording: Recording, pcm: bytes, final: bool, speech: list[Speech]) -> None:
        """Register the spans found in a piece, and give the caller its window back."""
        with self._changed:
            if recording.number not in self._recordings or recording.ended:
                return
            for found in speech:
                self._keys += 1
                item = Item(self._keys, recording.number, found.frames, recording.live, recording.digest, self._keys)
                recording.waiting[self._keys] = Segment(found, item)
                recording.speech_ms += found.end_ms - found.begin_ms
            recording.heard_all = recording.heard_all or final
            if speech:
                recording.send(Message("spans", {"spans": [[s.begin_ms, s.end_ms] for s in speech]}))
            if pcm and not final:
                recording.send(Message("window", {"bytes": len(pcm)}))
            recording.deliver()

    def recognised(self, recording: Recording, key: int, result: Recognised) -> None:
        """A segment has its words: send what is next in time."""
        with self._changed:
            segment = recording.waiting.get(key)
            if recording.number in self._recordings and segment is not None:
                segment.result = result
                self._served[recording.number] = self._served.get(recording.number, 0.0) + segment.item.frames
                recording.deliver()

    def again_alone(self, recording: Recording, key: int) -> None:
        """Let a segment be recognised once more, in a batch of its own."""
        with self._changed:
            segment = recording.waiting.get(key)
            if segment is not None:
                old = segment.item
                segment.item = Item(old.key, old.recording, old.frames, old.live, old.digest, old.order, alone=True)
                segment.retried = True

    def begin_questions(self, recording: Recording, begin: Callable[[list[str]], Punctuation]) -> None:
        """Start the questions for punctuation that have come in."""
        with self._changed:
            questions = [recording.questions.popleft() for _ in range(len(recording.questions))]
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
            done = [(number, job) for number, job in recording.punctuations.items() if job.done]
            for number, _ in done:
                del recording.punctuations[number]
            return done

    def _next(self) -> Turn | None:
        if self._calls:
            return Call(self._calls.pop(0))
        recordings = list(self._recordings.values())
        waiting = {key: (r, s) for r in recordings for key, s in r.waiting.items() if s.result is None}
        listeners = [r for r in recordings if r.wants_to_listen() and (r.finished or not self._draining)]
        live = [r for r in listeners if r.live]
        if live:
            return self._listen(live)
        if any(segment.item.live for _, segment in waiting.values()):
            return self._batch(waiting)
        return self._next_file(recordings, waiting, listeners)

    def _next_file(
        self,
        recordings: list[Recording],
        waiting: dict[int, tuple[Recording, Segment]],
        listeners: list[Recording],
    ) -> Turn | None:
        asking = [r for r in recordings if r.questions or r.punctuations]
        if asking and not (self._punctuated_last and (waiting or listeners)):
            self._punctuated_last = True
            return Punctuate(asking[:_STEPS_TOGETHER])
        self._punctuated_last = False
        gathered = sum(segment.item.frames for _, segment in waiting.values())
        if listeners and gathered < 2 * self.budget.frames:
            return self._listen(listeners)
        return self._batch(waiting) if waiting else None

    def _listen(self, recordings: list[Recording]) -> Listen:
        backend = recordings[0].backend
        together = [recording for recording in recordings if recording.backend is backend]
        pieces: list[tuple[Recording, bytes, bool]] = []
        for recording in together[: backend.hears_together]:
            self._recordings.move_to_end(recording.number)
            pieces.append((recording, *recording.take_piece()))
        return Listen(pieces)

    def _batch(self, waiting: dict[int, tuple[Recording, Segment]]) -> Recognise:
        items = [segment.item for _, segment in waiting.values()]
        chosen = choose(items, self._served, budget_frames=self.budget.frames)
        return Recognise([(waiting[item.key][0], item.key, waiting[item.key][1]) for item in chosen])
