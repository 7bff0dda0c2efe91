"""One batch through the models, and what is done when that does not work out. Runs in the model thread. Free of torch.

Out of memory: smaller batches from now on, this one in halves; a segment that does not fit alone is cut at its
quietest place, twice at most; what still does not fit runs on the CPU, unless that is switched off. Any other error:
each segment alone, and one that fails alone fails its own recording. Speech without words is tried again alone, then
in halves, and believed only from models that still understand the canary. People are told what was done to their
recording by notices, administrators by counters. A lost device is nobody's to recover here: it ends the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from portal.asr.engine.backend import Backend, BatchOptions, DeviceLost, OutOfMemory, Recognised, Speech
from portal.asr.engine.crash_journal import CrashJournal
from portal.asr.engine.figures import Figures
from portal.asr.engine.json_log import log
from portal.asr.engine.recording import Recording, Segment
from portal.asr.engine.scheduler import Scheduler
from portal.asr.engine.splitting import joined

SPEECH_MS: Final = 1_000
"""Found speech longer than this should have words."""
CUTS: Final = 2
"""A segment without memory is halved so often: into quarters."""

Row = tuple[Recording, int, Segment]
Run = Callable[[Sequence[Any], BatchOptions], list[Recognised | None]]
"""``Backend.recognise``, or the same on the CPU."""


class Recovery:
    """See the module. ``cpu_rescue``: the last step against lack of memory may be taken. ``trust(backend)`` raises
    DeviceLost when its models no longer understand a known recording. ``stirring`` is called before each step of the
    models, so that a long rescue is not taken for a hang."""

    def __init__(
        self,
        scheduler: Scheduler,
        figures: Figures,
        journal: CrashJournal,
        *,
        cpu_rescue: bool,
        trust: Callable[[Backend], None],
        stirring: Callable[[], None],
    ) -> None:
        self._scheduler = scheduler
        self._figures = figures
        self._journal = journal
        self._cpu_rescue = cpu_rescue
        self._trust = trust
        self._stirring = stirring

    def recognise(self, batch: Sequence[Row]) -> None:
        """Recognise segments that share models and options, and hand every result on. Raises DeviceLost."""
        wanted = [row for row in batch if self._scheduler.wanted(row[0], row[1])]
        if not wanted:
            return
        backend, options = wanted[0][0].backend, BatchOptions.of(wanted[0][0].options)
        try:
            results = self._attempt(
                backend.recognise, [s.speech for _, _, s in wanted], options, [s.digest for _, _, s in wanted]
            )
        except DeviceLost:
            raise
        except OutOfMemory:
            failure: Exception = OutOfMemory()
        except Exception as error:
            failure = error
        else:
            self._figures.ran([segment.speech.frames for _, _, segment in wanted])
            self._scheduler.budget.clean()
            for row, result in zip(wanted, results, strict=True):
                self._accept(row, result, shared=len(wanted) > 1)
            return
        # outside the except block: a traceback would pin the tensors that have to go
        self._failed(wanted, failure)

    def _attempt(
        self, run: Run, speech: Sequence[Speech], options: BatchOptions, digests: Sequence[str]
    ) -> list[Recognised | None]:
        self._stirring()
        self._journal.begin(digests)
        try:
            results = run([one.features for one in speech], options)
        except DeviceLost:
            raise  # it may have been the segment's doing: the journal keeps it
        except BaseException:
            self._journal.end()
            raise
        self._journal.end()
        if len(results) != len(speech):
            raise RuntimeError("the model answered for another number of segments")
        return results

    def _failed(self, batch: Sequence[Row], failure: Exception) -> None:
        short = isinstance(failure, OutOfMemory)
        log("batch_failed", error=type(failure).__name__, segments=len(batch))
        if short:
            self._figures.oom_count += 1
            self._scheduler.budget.shrink()
        recording, key, segment = batch[0]
        if len(batch) > 1 and short:
            self.recognise(batch[: len(batch) // 2])
            self.recognise(batch[len(batch) // 2 :])
        elif len(batch) > 1:
            for mate, number, _ in batch:
                self._scheduler.again_alone(mate, number, "error")
        elif not short:
            self._scheduler.fail(recording, "ENGINE_FAILED", "the model failed")
        elif segment.again != "memory":
            # what the failed attempt held is free again; live captions and others go first
            self._scheduler.again_alone(recording, key, "memory")
        else:
            self._without_memory(recording, key, segment)

    def _without_memory(self, recording: Recording, key: int, segment: Segment) -> None:
        options = BatchOptions.of(recording.options)
        result: Recognised | None = None
        try:
            result = self._in_parts(recording.backend, segment, segment.speech, options, CUTS)
            hopeless = False
        except DeviceLost:
            raise
        except OutOfMemory:
            hopeless = True
        except Exception as error:
            log("segment_failed", error=type(error).__name__)
            self._scheduler.fail(recording, "ENGINE_FAILED", "the model failed")
            return
        if hopeless:
            result = self._on_cpu(recording, segment, options)
        else:
            self._figures.split_segments += 1
            self._scheduler.notice(recording, "OOM_SPLIT")
        if self._scheduler.wanted(recording, key):
            self._accept((recording, key, segment), result, shared=False)

    def _on_cpu(self, recording: Recording, segment: Segment, options: BatchOptions) -> Recognised | None:
        """None also when it did not work: the recording has been told then."""
        if not self._cpu_rescue:
            self._scheduler.fail(recording, "ENGINE_NO_MEMORY", "no memory for one segment")
            return None
        run = recording.backend.recognise_on_cpu
        try:
            [result] = self._attempt(run, [segment.speech], options, [segment.digest])
        except DeviceLost:
            raise
        except Exception as error:
            log("cpu_rescue_failed", error=type(error).__name__)
            self._scheduler.fail(recording, "ENGINE_NO_MEMORY", "no memory for one segment, nor on the CPU")
            return None
        self._figures.cpu_segments += 1
        self._scheduler.notice(recording, "OOM_CPU")
        return result

    def _in_parts(
        self, backend: Backend, segment: Segment, speech: Speech, options: BatchOptions, cuts: int
    ) -> Recognised | None:
        """The result of ``speech`` cut in two, each half again where memory is short. Raises OutOfMemory in the end."""
        parts = backend.halve(speech) if cuts else None
        if parts is None:
            raise OutOfMemory
        results: list[Recognised] = []
        for part in parts:
            try:
                [result] = self._attempt(backend.recognise, [part], options, [segment.digest])
            except OutOfMemory:
                self._figures.oom_count += 1
                smaller = True
            else:
                smaller = False
            if smaller:
                result = self._in_parts(backend, segment, part, options, cuts - 1)
            if result is None:
                return None
            results.append(result)
        return joined(parts, results)

    def _accept(self, row: Row, result: Recognised | None, *, shared: bool) -> None:
        recording, key, segment = row
        if result is None and shared:
            self._scheduler.again_alone(recording, key, "error")
        elif result is None:
            self._scheduler.fail(recording, "ENGINE_FAILED", "the result of a segment is not a number")
        elif result.cut_off and shared:
            self._scheduler.again_alone(recording, key, "error")
        elif result.cut_off:
            self._cut_off(row)
        elif result.words or segment.speech.end_ms - segment.speech.begin_ms <= SPEECH_MS:
            self._figures.rescued += bool(result.words) and segment.again == "empty"
            self._hand_on(row, result)
        elif shared:
            self._scheduler.again_alone(recording, key, "empty")
        else:
            self._hand_on(row, self._listened_again(recording, segment, result))

    def _cut_off(self, row: Row) -> None:
        """A model that writes came to its limit in mid-text: shorter speech may be enough, half a text is not."""
        recording, _, segment = row
        result = self._in_halves(recording, segment)
        if result is None or result.cut_off:
            self._scheduler.fail(recording, "TEXT_CUT_OFF", "the model's text of a segment was longer than its limit")
        else:
            self._hand_on(row, result)

    def _in_halves(self, recording: Recording, segment: Segment) -> Recognised | None:
        """The result of a segment from its two halves; None when that is not to be had."""
        try:
            return self._in_parts(recording.backend, segment, segment.speech, BatchOptions.of(recording.options), 1)
        except DeviceLost:
            raise
        except Exception as error:
            if not isinstance(error, OutOfMemory):  # too short to be cut, or no memory
                log("segment_failed", error=type(error).__name__)
            return None

    def _hand_on(self, row: Row, result: Recognised) -> None:
        recording, key, segment = row
        self._journal.survived(segment.digest)
        self._scheduler.recognised(recording, key, result)

    def _listened_again(self, recording: Recording, segment: Segment, empty: Recognised) -> Recognised:
        """Speech that gave no words alone: its halves' words, or nothing if the models are proven to be well."""
        result = self._in_halves(recording, segment)
        if result is not None and result.words:
            self._figures.rescued += 1
            return result
        self._stirring()
        self._trust(recording.backend)
        self._scheduler.notice(recording, "SEGMENT_EMPTY")
        return empty
