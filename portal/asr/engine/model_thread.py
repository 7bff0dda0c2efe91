"""The one thread that owns the models. It takes turns from the scheduler until the engine stops. Free of torch.

A failing batch answers every caller: without memory it is halved, after any other error each segment runs alone, and a
segment that fails alone fails its own recording only. A lost device ends the process: a poisoned context would go on
answering with garbage.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from portal.asr.engine.backend import Backend, BatchOptions, DeviceLost, Heard, OutOfMemory, Recognised
from portal.asr.engine.contract import Memory
from portal.asr.engine.json_log import log
from portal.asr.engine.protocol import Message
from portal.asr.engine.recording import Recording, Segment
from portal.asr.engine.scheduler import Call, Listen, Punctuate, Recognise, Scheduler, Turn

_SPEECH_MS: Final = 1_000
"""Found speech longer than this should have words; if not, it is tried once more alone."""
_REFRESH_S: Final = 1.0

Batch = Sequence[tuple[Recording, int, Segment]]
Ending = Callable[[int, str], None]


@dataclass(slots=True)
class Figures:
    """Counters and the last look at the device, written by the model thread only."""

    audio_seconds_done: float = 0.0
    busy_seconds: float = 0.0
    batches: int = 0
    oom_count: int = 0
    memory: Memory = field(default_factory=Memory)
    utilisation_percent: int | None = None
    temperature_c: int | None = None


class ModelThread(threading.Thread):
    """``build`` loads the models inside the thread; then ``ready``; ``ending(exit code, reason)`` on failure."""

    def __init__(
        self,
        scheduler: Scheduler,
        build: Callable[[], Backend],
        ready: Callable[[Backend], None],
        ending: Ending,
    ) -> None:
        super().__init__(name="models", daemon=True)
        self._scheduler = scheduler
        self._build = build
        self._ready = ready
        self._ending = ending
        self._turn_began: float | None = None
        self._refreshed = 0.0
        self.figures = Figures()

    def running_s(self) -> float:
        """Seconds the present turn has lasted; 0 between turns."""
        began = self._turn_began
        return 0.0 if began is None else time.monotonic() - began

    def run(self) -> None:
        """Load, then work until told to stop."""
        try:
            backend = self._build()
            self._refresh(backend)
            self._scheduler.install(backend)
            self._ready(backend)
            while not self._scheduler.stopping:
                turn = self._scheduler.take(_REFRESH_S)
                if turn is not None:
                    self._timed(turn)
                # unloaded models still tell what the device holds
                backend = self._scheduler.backend or backend
                self._refresh(backend)
        except DeviceLost as error:
            log("device_lost", error=str(error))
            self._ending(70, "the device no longer answers")
        except Exception as error:
            log("engine_stopped", error=type(error).__name__, code=getattr(error, "code", ""), detail=_detail(error))
            self._ending(3, _detail(error))

    def _timed(self, turn: Turn) -> None:
        self._turn_began = time.monotonic()
        try:
            self._work(turn)
        finally:
            self.figures.busy_seconds += time.monotonic() - self._turn_began
            self._turn_began = None

    def _work(self, turn: Turn) -> None:
        match turn:
            case Call():
                turn.run()
                # the answer to "how much memory now" must not be the one from before
                self._refreshed = 0.0
            case Listen():
                self._listen(turn.pieces[0][0].backend, turn.pieces)
            case Recognise():
                self._recognise(turn.segments[0][0].backend, turn.segments)
            case Punctuate():
                for backend, recordings in _by_backend(turn.recordings):
                    self._punctuate(backend, recordings)

    def _listen(self, backend: Backend, pieces: Sequence[tuple[Recording, bytes, bool]]) -> None:
        try:
            heard: list[Heard] = []
            for recording, pcm, final in pieces:
                recording.stream = recording.stream or backend.open_stream(recording.options)
                heard.append(Heard(recording.stream, pcm, final))
            found = backend.hear(heard)
        except DeviceLost:
            raise
        except Exception as error:
            log("listening_failed", error=type(error).__name__, recordings=len(pieces))
            if len(pieces) == 1:
                self._scheduler.fail(pieces[0][0], "ENGINE_FAILED", "voice activity failed")
            else:
                for piece in pieces:
                    self._listen(backend, [piece])
            return
        for (recording, pcm, final), speech in zip(pieces, found, strict=True):
            self.figures.audio_seconds_done += len(pcm) / 32_000
            self._scheduler.heard(recording, pcm, final, speech)

    def _recognise(self, backend: Backend, batch: Batch) -> None:
        try:
            results = backend.recognise([s.speech.features for _, _, s in batch], BatchOptions.of(batch[0][0].options))
            if len(results) != len(batch):
                raise RuntimeError("the model answered for another number of segments")
        except DeviceLost:
            raise
        except Exception as error:
            failure = error
        else:
            self.figures.batches += 1
            self._scheduler.budget.clean()
            for (recording, key, segment), result in zip(batch, results, strict=True):
                self._accept(recording, key, segment, result, shared=len(batch) > 1)
            return
        self._recover(backend, batch, failure)

    def _recover(self, backend: Backend, batch: Batch, failure: Exception) -> None:
        if isinstance(failure, OutOfMemory):
            self.figures.oom_count += 1
            self._scheduler.budget.shrink()
        log("batch_failed", error=type(failure).__name__, segments=len(batch))
        if len(batch) == 1 and isinstance(failure, OutOfMemory) and not batch[0][2].retried:
            # what the failed attempt held is free again
            batch[0][2].retried = True
            self._recognise(backend, batch)
        elif len(batch) == 1:
            detail = "no memory for one segment" if isinstance(failure, OutOfMemory) else "the model failed"
            self._scheduler.fail(batch[0][0], "ENGINE_FAILED", detail)
        elif isinstance(failure, OutOfMemory):
            middle = len(batch) // 2
            self._recognise(backend, batch[:middle])
            self._recognise(backend, batch[middle:])
        else:
            for one in batch:
                self._recognise(backend, [one])

    def _accept(
        self, recording: Recording, key: int, segment: Segment, result: Recognised | None, *, shared: bool
    ) -> None:
        if result is None:
            self._scheduler.fail(recording, "ENGINE_FAILED", "the result of a segment is not a number")
            return
        long = segment.speech.end_ms - segment.speech.begin_ms > _SPEECH_MS
        if not result.words and long and shared and not segment.retried:
            self._scheduler.again_alone(recording, key)
            return
        self._scheduler.recognised(recording, key, result)

    def _punctuate(self, backend: Backend, recordings: Sequence[Recording]) -> None:
        for recording in recordings:
            self._scheduler.begin_questions(recording, backend.begin_punctuation)
        jobs = [job for recording in recordings for job in self._scheduler.open_questions(recording)]
        waiting = [job for job in jobs if not job.done]
        try:
            if waiting:
                backend.punctuate(waiting)
        except DeviceLost:
            raise
        except Exception as error:
            log("punctuation_failed", error=type(error).__name__)
            for recording in recordings:
                self._scheduler.fail(recording, "ENGINE_FAILED", "punctuation failed")
            return
        for recording in recordings:
            for number, job in self._scheduler.answered(recording):
                recording.send(Message("punctuated", {"id": number}, "\n".join(job.marks).encode()))

    def _refresh(self, backend: Backend) -> None:
        now = time.monotonic()
        if now - self._refreshed >= _REFRESH_S:
            self._refreshed = now
            self.figures.memory = backend.memory()
            self.figures.utilisation_percent, self.figures.temperature_c = backend.gauges()


def _by_backend(recordings: Sequence[Recording]) -> list[tuple[Backend, list[Recording]]]:
    """The recordings grouped by the models they use: more than one group only around a switch."""
    groups: dict[int, tuple[Backend, list[Recording]]] = {}
    for recording in recordings:
        groups.setdefault(recording.generation, (recording.backend, []))[1].append(recording)
    return list(groups.values())


def _detail(error: Exception) -> str:
    """What may be shown of an error: our own details, never a library's text with data in it."""
    return str(getattr(error, "detail", "")) or type(error).__name__
