"""The one thread that owns the models. It takes turns from the scheduler until the engine stops. Free of torch.

A failing batch answers every caller (see ``recovery``). A lost device ends the process: a poisoned context would go on
answering with garbage. So does a canary that is not understood any more: after start and change of models
``lifecycle`` listens to it, here it is heard again after idle minutes and before speech without words is believed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from portal.asr.engine import pulse
from portal.asr.engine.backend import Backend, DeviceLost, Heard, OutOfMemory, Speech
from portal.asr.engine.contract import Check
from portal.asr.engine.crash_journal import CrashJournal, content_digest
from portal.asr.engine.figures import Figures
from portal.asr.engine.json_log import log
from portal.asr.engine.protocol import Message
from portal.asr.engine.recording import Recording
from portal.asr.engine.recovery import Recovery
from portal.asr.engine.scheduler import Scheduler
from portal.asr.engine.turns import Call, Found, Listen, Punctuate, Recognise, Turn
from portal.asr.engine.voices import Voices, group_apart
from portal.asr.errors import ModelError

_REFRESH_S: Final = 1.0
_FRESH_S: Final = 300.0
"""A canary heard so long ago (s) at most still vouches for models that hear speech without words."""

Ending = Callable[[int, str], None]
Canary = Callable[[Backend], bool]
"""Let models recognise a known recording. Raises EngineFailed when they give other words than they should."""


@dataclass(frozen=True, slots=True)
class Care:
    """How the model thread looks after the models. ``journal``: where crashes are noted. ``canary`` is heard after
    ``canary_idle_s`` seconds without work (0: never). ``cpu_rescue``: see ``recovery``."""

    journal: CrashJournal = field(default_factory=lambda: CrashJournal(None))
    canary: Canary | None = None
    canary_idle_s: float = 0.0
    cpu_rescue: bool = True


class ModelThread(threading.Thread):
    """``build`` loads the models inside the thread; then ``ready``; ``ending(exit code, reason)`` on failure."""

    def __init__(
        self,
        scheduler: Scheduler,
        build: Callable[[], Backend],
        ready: Callable[[Backend], None],
        ending: Ending,
        care: Care | None = None,
    ) -> None:
        super().__init__(name="models", daemon=True)
        self._scheduler = scheduler
        self._build = build
        self._ready = ready
        self._ending = ending
        self._turn_began: float | None = None
        self._refreshed = 0.0
        self._care = care or Care()
        self._worked_at = time.monotonic()
        self.figures = Figures()
        self._recovery = Recovery(
            scheduler,
            self.figures,
            self._care.journal,
            cpu_rescue=self._care.cpu_rescue,
            trust=self._trust,
            stirring=self._stir,
        )

    def running_s(self) -> float:
        """Seconds the present step of the models has lasted; 0 between steps."""
        began = self._turn_began
        return 0.0 if began is None else time.monotonic() - began

    def run(self) -> None:
        """Load, then work until told to stop."""
        pulse.listen(self._stir)
        try:
            backend = self._build()
            self._refresh(backend)
            self._scheduler.install(backend)
            self._ready(backend)
            while not self._scheduler.stopping:
                turn = self._scheduler.take(_REFRESH_S)
                if turn is not None:
                    self._timed(turn)
                else:
                    self._idle()
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
        self._turn_began = began = time.monotonic()
        try:
            self._work(turn)
        finally:
            self._turn_began = None
            if not isinstance(turn, Call):
                self._worked_at = time.monotonic()
                self.figures.worked(self._worked_at - began)

    def _stir(self) -> None:
        """The turn goes on. Outside a turn (the first load, a change in its own thread) nobody looks at the clock."""
        if self._turn_began is not None and threading.get_ident() == self.ident:
            self._turn_began = time.monotonic()

    def _idle(self) -> None:
        """Nothing to do: look whether the models are still well when that has lasted long enough."""
        backend, pause = self._scheduler.backend, self._care.canary_idle_s
        if backend is None or not pause or time.monotonic() - self._worked_at < pause:
            return
        self._worked_at = self._turn_began = time.monotonic()
        try:
            self._hear_canary(backend)
        finally:
            self._turn_began = None

    def _trust(self, backend: Backend) -> None:
        """See ``recovery``."""
        last = self.figures.canary
        if last is None or not last.passed or not 0 <= time.time() - last.at < _FRESH_S:
            self._hear_canary(backend)

    def _hear_canary(self, backend: Backend) -> None:
        """Raises DeviceLost when the known recording is not understood: only a new process may help."""
        if self._care.canary is None:
            return
        try:
            sang = self._care.canary(backend)
        except DeviceLost:
            raise
        except (OutOfMemory, ModelError) as error:
            # no memory, or its files are registered no more: that says nothing of what the models understand
            log("canary_skipped", reason=type(error).__name__)
            return
        except Exception as error:
            self.figures.canary = Check(time.time(), False, _detail(error))
            log("canary_red", detail=_detail(error))
            raise DeviceLost("the canary was not understood") from None
        if sang:
            self.figures.canary = Check(time.time(), True)

    def _work(self, turn: Turn) -> None:
        match turn:
            case Call():
                turn.run()
                # the answer to "how much memory now" must not be the one from before
                self._refreshed = 0.0
            case Listen():
                self._listen(turn.pieces[0][0].backend, turn.pieces)
            case Recognise():
                self._recovery.recognise(turn.segments)
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
        for (recording, pcm, final), ears, speech in zip(pieces, heard, found, strict=True):
            self.figures.heard(len(pcm) / 32_000)
            found_here = self._looked_up(recording, speech)
            if found_here is not None:
                self._tell_apart(backend, recording, ears, speech)
                self._scheduler.heard(recording, pcm, final, found_here)

    def _tell_apart(self, backend: Backend, recording: Recording, ears: Heard, speech: Sequence[Speech]) -> None:
        """Take the voice prints of what was just heard; when that was all, have them grouped."""
        if not recording.options.speakers or backend.voices is None:
            return
        voices = recording.voices = recording.voices or Voices(backend.voices)
        voices.hear(ears.pcm, speech, ears.stream.waiting_from_ms)
        if ears.final:
            recording.telling_apart = True
            tell = self._scheduler.told_apart
            group_apart(voices, recording.options.speaker_count, lambda spans: tell(recording, spans, voices.failed))

    def _looked_up(self, recording: Recording, speech: Sequence[Speech]) -> list[Found] | None:
        """The speech with what the crash journal says of it; None when it may not be run, and the caller was told."""
        found: list[Found] = []
        for one in speech:
            digest = content_digest(one.features, recording.backend.model.digest)
            verdict = self._care.journal.verdict(digest)
            if verdict == "poison":
                self.figures.poisoned += 1
                log("segment_refused", recording=recording.number)
                self._scheduler.fail(recording, "POISON", "a segment of it has ended the engine before")
                return None
            found.append(Found(one, digest, alone=verdict == "suspect"))
        return found

    def _punctuate(self, backend: Backend, recordings: Sequence[Recording]) -> None:
        for recording in recordings:
            self._prepare(backend, recording)
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

    def _prepare(self, backend: Backend, recording: Recording) -> None:
        """Begin its questions; words that can't be prepared fail their own recording."""
        try:
            self._scheduler.begin_questions(recording, backend.begin_punctuation)
        except DeviceLost:
            raise
        except Exception as error:
            log("punctuation_failed", error=type(error).__name__)
            self._scheduler.fail(recording, "ENGINE_FAILED", "punctuation failed")

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
