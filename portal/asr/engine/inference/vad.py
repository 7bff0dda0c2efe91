"""The FSMN voice-activity network over one recording, a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from portal.asr.engine.backend import Speech
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.inference.features import (
    FRAME_SAMPLES,
    HOP_SAMPLES,
    FbankStream,
    FrameBuffer,
    FrontendSettings,
)
from portal.asr.engine.vad import FRAME_MS, SpanFinder, VadSettings

Floats = npt.NDArray[np.float32]

_TAIL_FRAMES = 2
"""A span of n hops holds n - 2 whole frames: FunASR cuts the samples of a span and frames those."""


@dataclass(frozen=True, slots=True)
class VadModel:
    """The loaded network (CPU: it is tiny, and its per-piece results are needed on the host) and its settings."""

    encoder: Any
    settings: VadSettings
    frontend: FrontendSettings
    silence_ids: tuple[int, ...]
    encoder_step: int

    def open(self, options: RecordingOptions) -> VadStream:
        """Begin a recording."""
        return VadStream(self, options)


class VadStream:
    """Features, silence probabilities and spans of one recording. Memory: the open span and one piece."""

    def __init__(self, model: VadModel, options: RecordingOptions) -> None:
        self._model = model
        self._fbank = FbankStream()
        self._frames = FrameBuffer()
        self._cache: dict[str, torch.Tensor] = {}
        self._scored = 0
        self._decibels: Floats = np.zeros(0, dtype=np.float32)
        self._finder = SpanFinder(
            model.settings,
            max_segment_ms=options.max_segment_ms,
            end_silence_ms=options.end_silence_ms or model.settings.max_end_silence_time,
        )

    @property
    def waiting_from_ms(self) -> int:
        """Nothing before this time is still open."""
        return min(self._finder.earliest_start, self._scored) * FRAME_MS

    def feed(self, pcm: bytes, final: bool) -> list[Speech]:
        """Take samples, return the spans that ended. ``final`` with no samples left is allowed."""
        frames, samples = self._fbank.feed(pcm)
        self._frames.add(frames)
        self._decibels = np.concatenate([self._decibels, _decibels(samples, len(frames))])
        silence = self._silence(final)
        levels, self._decibels = self._decibels[: len(silence)], self._decibels[len(silence) :]
        spans = self._finder.feed(silence, levels, final)
        speech = [self._speech(begin, end) for begin, end in spans]
        context = (self._model.frontend.lfr_m - 1) // 2
        self._frames.drop_before(min(self._finder.earliest_start, self._scored - context))
        return speech

    def _silence(self, final: bool) -> Floats:
        """Silence probability of the frames whose right context is known; of all frames at the end."""
        context = (self._model.frontend.lfr_m - 1) // 2
        ready = self._frames.end if final else self._frames.end - context
        if ready <= self._scored:
            return np.zeros(0, dtype=np.float32)
        low, high = max(self._scored - context, 0), min(ready + context, self._frames.end)
        joined = self._model.frontend.join(self._frames.cut(low, high))
        features = joined[self._scored - low : ready - low]
        self._scored = ready
        with torch.inference_mode():
            scores = self._model.encoder(torch.from_numpy(features)[None], cache=self._cache)
            silence: Floats = scores[0][:, list(self._model.silence_ids)].sum(dim=1).numpy().astype(np.float32)
        return silence

    def _speech(self, begin: int, end: int) -> Speech:
        features = self._frames.cut(begin, max(end - _TAIL_FRAMES, begin))
        cost = max(1, -(-len(features) // self._model.encoder_step))
        return Speech(begin * FRAME_MS, end * FRAME_MS, cost, features)


def _decibels(samples: npt.NDArray[np.int16], count: int) -> Floats:
    """Level of each frame as FunASR counts it: the sum of squares of samples in -1..1, in decibels."""
    if count == 0:
        return np.zeros(0, dtype=np.float32)
    squares = np.square(samples.astype(np.float64) / 32768.0)
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    starts = np.arange(count) * HOP_SAMPLES
    energy = sums[starts + FRAME_SAMPLES] - sums[starts]
    return np.asarray(10.0 * np.log10(np.maximum(energy, 0.0) + 1e-6), dtype=np.float32)
