"""The real backend: recognition, voice activity and punctuation models on one device."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch

from portal.asr.engine.backend import BatchOptions, Heard, OutOfMemory, Punctuation, Recognised, Speech
from portal.asr.engine.contract import CacheCleared, Memory, RecordingOptions
from portal.asr.engine.inference.building import FamilyLimits, open_family
from portal.asr.engine.inference.device import Gauges, choose_device, device_memory, frame_budget, limit_memory
from portal.asr.engine.inference.guarding import guarded
from portal.asr.engine.inference.loading import load
from portal.asr.engine.inference.profiles import ProfileWish, open_profiled
from portal.asr.engine.inference.punctuation import PunctuationJob
from portal.asr.engine.inference.punctuation_profiles import open_punctuator
from portal.asr.engine.inference.spare import Spare
from portal.asr.engine.inference.speakers import SpeakerModel
from portal.asr.engine.inference.vad import VadModel, VadStream
from portal.asr.engine.process_info import resident_bytes
from portal.asr.engine.splitting import halved
from portal.asr.types import ModelInfo


class FunasrModels:
    """See ``portal.asr.engine.backend.Backend``."""

    def __init__(
        self,
        asr: Path,
        vad: Path,
        punc: Path | None,
        *,
        device: str,
        threads: int,
        model: ModelInfo,
        limits: FamilyLimits | None = None,
        wish: ProfileWish | None = None,
        speaker: Path | None = None,
        memory_fraction: float = 1.0,
    ) -> None:
        """``device``: auto, cuda, mps or cpu. ``threads``: CPU threads, 0 for all cores. ``limits``: settings of single
        families. ``wish``: the profile. ``speaker``: model of voice prints. ``memory_fraction``: most of a CUDA
        device's memory (0..1).

        Raises ModelError."""
        torch.set_num_threads(threads or os.cpu_count() or 1)
        # fp32 stays fp32: TF32 would change texts from one kind of card to the next
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        logging.getLogger().setLevel(logging.WARNING)
        self._device, self.device_name, self.banner = choose_device(device)
        limit_memory(self._device, memory_fraction)
        self._gauges = Gauges(self._device)
        limits, wish = limits or FamilyLimits(), wish or ProfileWish()
        opened = open_profiled(asr, model.family, self._device, limits, digest=model.digest, wish=wish)
        self._recogniser, self.profile, self.profile_note = opened.family, opened.profile, opened.note
        self._spare = Spare(asr, lambda: open_family(asr, model.family, "cpu", limits))
        # on a GPU the network is there too: its scores come back in one copy per piece
        beside = self._device if self._device == "cuda" else "cpu"
        self._vad = VadModel(load(vad, beside), self._recogniser.frontend.lfr_n, beside)
        self._punctuator = None if punc is None else open_punctuator(punc, self._device, self.profile, wish)
        self.voices = None if speaker is None else SpeakerModel.open(speaker, self._device)
        self.model = ModelInfo(model.name, model.family, model.digest, self._device, model.demo, self.profile)
        self.capabilities = self._recogniser.capabilities
        if self._punctuator is not None:
            self.capabilities |= {"punctuation"}
        if self.voices is not None:
            self.capabilities |= {"speakers"}
        self.languages = self._recogniser.languages
        self.hears_together = 32 if self._device == "cuda" else 4

    @property
    def budget_frames(self) -> int:
        """See Backend; from the memory that is free at this moment."""
        return frame_budget(self._device)

    def open_stream(self, options: RecordingOptions) -> VadStream:
        """Begin a recording."""
        return self._vad.open(options)

    def hear(self, pieces: Sequence[Heard]) -> list[list[Speech]]:
        """See Backend."""
        return guarded(lambda: self._vad.hear([(cast(VadStream, p.stream), p.pcm, p.final) for p in pieces]))

    def recognise(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """See Backend."""
        return guarded(lambda: self._recogniser.recognise(features, options))

    def halve(self, speech: Speech) -> tuple[Speech, Speech] | None:
        """See Backend."""
        return halved(speech, self._recogniser.frontend.lfr_n)

    def recognise_on_cpu(self, features: Sequence[Any], options: BatchOptions) -> list[Recognised | None]:
        """See Backend. The copy is loaded when it is first needed."""
        if self._device == "cpu":
            raise OutOfMemory
        return guarded(lambda: self._spare.family().recognise(features, options))

    def begin_punctuation(self, words: Sequence[str]) -> PunctuationJob:
        """Prepare marks; without a punctuation model the job is done at once and has none."""
        if self._punctuator is None:
            return PunctuationJob(words, [], [])
        return self._punctuator.begin(words)

    def punctuate(self, jobs: Sequence[Punctuation]) -> None:
        """See Backend."""
        punctuator = self._punctuator
        if punctuator is not None:
            guarded(lambda: punctuator.step(cast(Sequence[PunctuationJob], jobs)))

    def memory(self) -> Memory:
        """Memory of the device."""
        return device_memory(self._device)

    def gauges(self) -> tuple[int | None, int | None]:
        """(utilisation in percent, temperature in °C)."""
        return self._gauges.read()

    def close(self) -> None:
        """Free the weights; see Backend."""
        for part in ("_recogniser", "_spare", "_vad", "_punctuator", "voices"):
            self.__dict__.pop(part, None)
        self._release()

    def clear_cache(self) -> CacheCleared:
        """GPU: memory the allocator holds in reserve. CPU: hotword embeddings, and freed memory back to the system."""
        before = self._held()
        self._recogniser.forget_hotwords()
        self._spare.forget()
        self._release()
        return CacheCleared(before, self._held())

    def _release(self) -> None:
        """Give back what nothing refers to any more."""
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        elif self._device == "mps":
            torch.mps.empty_cache()
        else:
            _trim_heap()

    def _held(self) -> int:
        reserved = device_memory(self._device).reserved_bytes
        return resident_bytes() if reserved is None else reserved


def _trim_heap() -> None:
    """Give freed heap pages back where the C library can (glibc)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return
