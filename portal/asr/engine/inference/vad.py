"""Voice activity of recordings, a piece at a time: features, silence probabilities, spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from portal.asr.engine.backend import Speech
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.end_silence import FRAME_MS
from portal.asr.engine.inference.features import (
    FRAME_SAMPLES,
    HOP_SAMPLES,
    Fbank,
    FbankStream,
    FrameBuffer,
    FrontendSettings,
)
from portal.asr.engine.inference.fsmn import Doubles, FsmnScorer
from portal.asr.engine.inference.loading import Loaded
from portal.asr.engine.span_finder import SpanFinder
from portal.asr.engine.vad import VadSettings
from portal.asr.errors import ModelError

Floats = npt.NDArray[np.float32]

_TAIL_FRAMES: Final = 2
"""A span of n hops holds n - 2 whole frames: FunASR cuts the samples of a span and frames those."""


class VadModel:
    """The loaded network and its settings. Not thread-safe: the model thread alone calls it."""

    def __init__(self, loaded: Loaded, encoder_step: int, device: str) -> None:
        """``encoder_step``: frames of 10 ms per frame of the recognition model. Raises ModelError."""
        conf: dict[str, Any] = loaded.config.get("model_conf") or {}
        self.frontend = FrontendSettings.load(loaded.config.get("frontend_conf") or {}, loaded.directory / "am.mvn")
        self.settings = VadSettings.from_config(conf)
        if self.frontend.lfr_n != 1 or int(conf.get("frame_in_ms", 10)) != FRAME_MS or not self.settings.understood:
            raise ModelError(
                "MODEL_FAMILY_REFUSED", "the voice-activity model does not decide every 10 ms", family="vad"
            )
        self.encoder_step = encoder_step
        self.context = (self.frontend.lfr_m - 1) // 2
        self.scorer = FsmnScorer(loaded.model.encoder, [int(n) for n in conf.get("sil_pdf_ids", [0])], device)

    def open(self, options: RecordingOptions) -> VadStream:
        """Begin a recording."""
        return VadStream(self, options)

    def hear(self, pieces: Sequence[tuple[VadStream, bytes, bool]]) -> list[list[Speech]]:
        """(stream, its next samples, whether it ends) each, no stream twice; returns the spans that ended with them.

        One forward pass and one copy to the host serve all pieces. When it raises, no stream has taken anything.
        """
        prepared = [stream.prepare(pcm, final) for stream, pcm, final in pieces]
        scored = [place for place, item in enumerate(prepared) if len(item.features)]
        silences = [np.zeros(0)] * len(pieces)
        pasts = [stream.past for stream, _, _ in pieces]
        if scored:
            found, after = self.scorer([prepared[place].features for place in scored], [pasts[p] for p in scored])
            for place, silence, past in zip(scored, found, after, strict=True):
                silences[place], pasts[place] = silence, past
        heard: list[list[Speech]] = []
        for (stream, _, _), item, silence, past in zip(pieces, prepared, silences, pasts, strict=True):
            stream.past = past
            heard.append(stream.accept(item, silence))
        return heard


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What a piece brings: filter banks, and the features of the frames whose right context is known now."""

    fbank: Fbank
    frames: FrameBuffer
    features: Floats
    final: bool


class VadStream:
    """Features, silence probabilities and spans of one recording. Memory: the open span and one piece."""

    def __init__(self, model: VadModel, options: RecordingOptions) -> None:
        self._model = model
        self._fbank = FbankStream()
        self._frames = FrameBuffer()
        self._scored = 0
        self._samples = 0
        self._decibels: Floats = np.zeros(0, dtype=np.float32)
        self._finder = SpanFinder(
            model.settings,
            max_segment_ms=options.max_segment_ms,
            end_silence_ms=options.end_silence_ms,
            threshold=options.speech_threshold,
            context=model.context,
        )
        self.past = model.scorer.start

    @property
    def waiting_from_ms(self) -> int:
        """Nothing before this time is still open."""
        return min(self._finder.earliest_start, self._scored) * FRAME_MS

    def prepare(self, pcm: bytes, final: bool) -> _Prepared:
        """Features of the next samples. ``final`` with no samples left is allowed. Takes nothing yet."""
        fbank = self._fbank.frames(pcm)
        frames = self._frames.followed_by(fbank.frames)
        context = self._model.context
        ready = frames.end if final else frames.end - context
        if ready <= self._scored:
            return _Prepared(fbank, frames, np.zeros((0, 0), dtype=np.float32), final)
        low, high = max(self._scored - context, 0), min(ready + context, frames.end)
        joined = self._model.frontend.join(frames.view(low, high))
        return _Prepared(fbank, frames, joined[self._scored - low : ready - low], final)

    def accept(self, prepared: _Prepared, silence: Doubles) -> list[Speech]:
        """Take what was prepared, with the silence probabilities of its features; the spans that ended."""
        self._fbank.keep(prepared.fbank)
        self._frames = prepared.frames
        self._scored += len(silence)
        self._samples += len(prepared.fbank.frames) * HOP_SAMPLES
        levels = self._levels(prepared.fbank, len(silence))
        samples = self._samples + len(prepared.fbank.rest)
        spans = self._finder.feed(silence, levels, prepared.final, samples)
        speech = [self._speech(begin, end) for begin, end in spans]
        self._frames.drop_before(min(self._finder.earliest_start, self._scored - self._model.context))
        return speech

    def _levels(self, fbank: Fbank, count: int) -> Floats | None:
        """Levels of the next ``count`` frames; None where no threshold asks for them."""
        if not self._model.settings.needs_levels:
            return None
        self._decibels = np.concatenate([self._decibels, decibels(fbank.samples)])
        levels, self._decibels = self._decibels[:count], self._decibels[count:]
        return levels

    def _speech(self, begin: int, end: int) -> Speech:
        features = self._frames.cut(begin, max(end - _TAIL_FRAMES, begin))
        cost = max(1, -(-len(features) // self._model.encoder_step))
        return Speech(begin * FRAME_MS, end * FRAME_MS, cost, features)


def decibels(samples: npt.NDArray[np.int16]) -> Floats:
    """Level of each whole frame as FunASR counts it: the sum of squares of samples in -1..1, in decibels."""
    if len(samples) < FRAME_SAMPLES:
        return np.zeros(0, dtype=np.float32)
    waveform = samples.astype(np.float32) / np.float32(32768.0)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME_SAMPLES)[::HOP_SAMPLES]
    return np.asarray(10 * np.log10(np.sum(np.square(frames), axis=1) + 0.000001), dtype=np.float32)
