"""The one path from a recording's file to sentences: decode → engine → punctuation → ITN → sentences.

The work runs in a thread of its own, so that the caller is asked about stopping every quarter of a second even while
the engine keeps the work waiting. Everything streams: what is held is the text, never the sound.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from portal.asr.audio import DecodeLimits, Decoding, PcmBlock, decode
from portal.asr.errors import AsrError, Cancelled
from portal.asr.opening import EngineLike, open_recordings
from portal.asr.peaks import PeakCollector
from portal.asr.sentences import paragraphed
from portal.asr.track import Track
from portal.asr.types import Outcome, Sentence, SpeechSpan, TranscribeOptions, Transcription

_ASK_SECONDS = 0.25
_REPORT_SECONDS = 0.5
_FAREWELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transcription is. ``total_ms`` comes from the header and may be wrong or None; ``latest_text`` is a
    glimpse of what was just recognised, without punctuation."""

    done_ms: int
    decoded_ms: int
    total_ms: int | None
    latest_text: str


def transcribe(
    source: Path | int,
    options: TranscribeOptions,
    engine: EngineLike,
    *,
    limits: DecodeLimits,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    on_peaks: Callable[[PeakCollector], None] | None = None,
) -> Transcription:
    """Transcribe ``source``: a path, or an open descriptor.

    Callbacks run in the calling thread; ``on_peaks`` once, before the result.

    No speech, or none recognised, is a result with an ``outcome`` of its own, not an error.
    Raises MediaError for the recording, EngineUnavailable, EngineBusy or EngineFailed for the engine, Cancelled when
    ``should_stop`` said so (asked at least once a second), and whatever a callback raises.
    """
    work = _Work(source, options, engine, limits)
    thread = threading.Thread(target=work.run, name="transcribe", daemon=True)
    thread.start()
    try:
        _watch(work, on_progress, should_stop)
    except BaseException:
        work.abandon()
        thread.join(_FAREWELL_SECONDS)
        raise
    thread.join()
    transcription = work.result()
    if on_peaks is not None:
        on_peaks(work.peaks)
    return transcription


def _watch(work: _Work, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]) -> None:
    shown, next_report = None, 0.0
    while not work.finished.wait(_ASK_SECONDS):
        if should_stop():
            raise Cancelled
        if work.progress != shown and time.monotonic() >= next_report:
            shown, next_report = work.progress, time.monotonic() + _REPORT_SECONDS
            on_progress(shown)
    if should_stop():
        raise Cancelled
    if work.error is None:
        on_progress(work.progress)


class _Abandoned(Exception):
    """The caller has left; nobody wants the rest."""


class _Work:
    """One transcription in its thread. The caller reads ``progress``; ``finished`` is set at the end, good or bad."""

    def __init__(
        self, source: Path | int, options: TranscribeOptions, engine: EngineLike, limits: DecodeLimits
    ) -> None:
        self._source, self._options, self._engine, self._limits = source, options, engine, limits
        self._decoding: Decoding | None = None
        self._tracks: list[Track] = []
        self._abandoned = False
        self._transcription: Transcription | None = None
        self.finished = threading.Event()
        self.error: BaseException | None = None
        self.progress = Progress(0, 0, None, "")
        self.peaks = PeakCollector()

    def run(self) -> None:
        try:
            with ExitStack() as stack:
                self._transcription = self._transcribe(stack)
        except BaseException as error:  # carried over to the caller's thread
            self.error = error
        finally:
            self.finished.set()

    def abandon(self) -> None:
        """End everything from outside: the decoder is killed, the engine's connections are closed."""
        self._abandoned = True
        if self._decoding is not None:
            self._decoding.kill()
        for track in self._tracks:
            track.recording.close()

    def result(self) -> Transcription:
        if self.error is not None:
            raise self.error
        if self._transcription is None:
            raise AsrError(detail="the work ended without a result")
        return self._transcription

    def _transcribe(self, stack: ExitStack) -> Transcription:
        decoding = stack.enter_context(decode(self._source, limits=self._limits, channels=self._options.channels))
        self._decoding = decoding
        asked, recordings = open_recordings(self._engine, self._options, split=decoding.split)
        for number, recording in enumerate(recordings):
            channel = number if decoding.split else None
            self._tracks.append(Track(stack.enter_context(recording), channel, asked))
        samples = self._feed(decoding)
        self._collect()
        sentences = paragraphed(sentence for track in self._tracks for sentence in track.sentences)
        speech_ms = sum(track.recording.speech_ms for track in self._tracks)
        spans = in_order(self._tracks) if self._options.spans_only else None
        return Transcription(
            sentences,
            samples // 16,
            speech_ms,
            recordings[0].model,
            outcome_of(sentences, speech_ms, spans),
            warnings_of((*decoding.warnings, *asked.warnings), self._tracks),
            spans,
        )

    def _feed(self, decoding: Decoding) -> int:
        """Decoder → engine, taking results as they come. Returns the number of samples."""
        samples = 0
        for block in decoding:
            self._look_at(block)
            for track, pcm in zip(self._tracks, block.channels, strict=True):
                track.recording.push(pcm)
                track.take(track.recording.poll())
            samples += len(block.channels[0]) // 2
            self._report(samples // 16)
        return samples

    def _look_at(self, block: PcmBlock) -> None:
        if self._abandoned:
            raise _Abandoned
        self.peaks.push(*block.channels)

    def _collect(self) -> None:
        """The results that are still to come after the last block."""
        for track in self._tracks:
            track.recording.finish()
        for track in self._tracks:
            for segment in track.recording.results():
                if self._abandoned:
                    raise _Abandoned
                track.take([segment])
                self._report(self.progress.decoded_ms)
            track.finish()
        self._report(self.progress.decoded_ms)

    def _report(self, decoded_ms: int) -> None:
        done = min(track.recording.done_ms for track in self._tracks)
        declared = self._decoding.facts.duration_ms if self._decoding else None
        total = None if declared is None else max(declared, decoded_ms)
        latest = max(self._tracks, key=lambda track: track.recording.done_ms).latest_text
        self.progress = Progress(min(done, decoded_ms), decoded_ms, total, latest)


def outcome_of(sentences: Sequence[Sentence], speech_ms: int, spans: Sequence[SpeechSpan] | None = None) -> Outcome:
    """Why a text is empty, or that it is not; ``spans`` is given where only they were wanted."""
    if spans is not None:
        return "spans" if spans else "no_speech"
    if sentences:
        return "text"
    return "not_recognised" if speech_ms > 0 else "no_speech"


def in_order(tracks: Sequence[Track]) -> tuple[SpeechSpan, ...]:
    """The speech of all channels by time."""
    spans = [span for track in tracks for span in track.spans]
    return tuple(sorted(spans, key=lambda span: (span.begin_ms, span.channel or 0)))


def warnings_of(own: Sequence[str], tracks: Sequence[Track]) -> tuple[str, ...]:
    """Codes without repeats: our own first, then what the engine had to do and how often (``CODE:3``)."""
    counts: Counter[str] = Counter()
    for track in tracks:
        counts.update(track.recording.notices)
    return tuple(dict.fromkeys((*own, *(f"{code}:{count}" for code, count in sorted(counts.items())))))
