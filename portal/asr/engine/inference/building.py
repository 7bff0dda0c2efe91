"""Which code serves which family of recognition models. Voice activity and punctuation are shared by all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from portal.asr.engine.backend import BatchOptions, Recognised
from portal.asr.engine.inference.features import FrontendSettings
from portal.asr.engine.inference.loading import load
from portal.asr.engine.inference.recognition import Recogniser


@dataclass(frozen=True, slots=True)
class FamilyLimits:
    """Settings of single families. ``nano_max_length``: tokens Fun-ASR-Nano may write for one segment;
    ``nano_batch``: segments it writes at a time."""

    nano_max_length: int = 512
    nano_batch: int = 8


class Family(Protocol):
    """A recognition model: all that ``FunasrModels`` needs of it. Called from the model thread only."""

    @property
    def frontend(self) -> FrontendSettings:
        """How it wants filter banks; ``lfr_n`` gives the cost of a segment."""

    @property
    def capabilities(self) -> frozenset[str]:
        """Its part of ``contract.Capability``."""

    @property
    def languages(self) -> tuple[str, ...]:
        """See ``backend.Backend.languages``."""

    def recognise(self, segments: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """``segments``: filter banks (frames, 80) each. None for an item whose result is not a number."""

    def forget_hotwords(self) -> None:
        """Drop what is cached for lists of hotwords."""


def open_family(directory: Path, family: str, device: str, limits: FamilyLimits) -> Family:
    """Load the recognition model in ``directory``, of the allow-listed class ``family``. Raises ModelError."""
    if family == "SenseVoiceSmall":
        # imported here: what Paraformer does not need costs seconds
        from portal.asr.engine.inference.families.sense_voice import SenseVoice

        return SenseVoice.open(directory, device)
    if family == "FunASRNano":
        from portal.asr.engine.inference.families.nano import Nano

        return Nano.open(directory, device, limits)
    return Recogniser(load(directory, device), device)
