"""Opening a recording in the engine: with what the model that takes it can do, and only that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from portal.asr.asking import Asked, ask
from portal.asr.engine.contract import RecordingOptions
from portal.asr.errors import EngineUnavailable
from portal.asr.track import RecordingLike
from portal.asr.types import ModelInfo, TranscribeOptions


class StatusLike(Protocol):
    """What the pipeline wants to know of the engine."""

    @property
    def model(self) -> ModelInfo: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...


class EngineLike(Protocol):
    """An engine; see ``portal.asr.engine.client.EngineClient``."""

    def open(self, *, options: RecordingOptions) -> RecordingLike: ...
    def status(self) -> StatusLike: ...


def open_recordings(
    engine: EngineLike, options: TranscribeOptions, *, split: bool
) -> tuple[Asked, list[RecordingLike]]:
    """Open a recording for each channel, and what was asked for: what the model that took them can do.

    The engine may wake its models for us, or exchange them between our question and the opening; then we ask again.
    Raises EngineUnavailable when it does not come to rest, and what ``open`` and ``status`` raise.
    """
    for last in (False, False, True):
        status = engine.status()
        asked = ask(options, status.capabilities, status.languages, split=split)
        recordings: list[RecordingLike] = []
        try:
            for _ in range(2 if split else 1):
                recordings.append(engine.open(options=asked.recording))
            same = {recording.model.digest for recording in recordings} == {status.model.digest}
            if same and (status.capabilities or last):
                return asked, recordings
        except BaseException:
            _close(recordings)
            raise
        _close(recordings)
    raise EngineUnavailable(detail="the engine keeps exchanging its models")


def _close(recordings: Sequence[RecordingLike]) -> None:
    for recording in recordings:
        recording.close()
