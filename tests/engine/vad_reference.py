"""FunASR's own voice activity, driven by scripted probabilities or by real sound."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

CHUNK = 960_000
"""Samples of the chunks in which FunASR reads a recording."""


def frames_of(samples: int) -> int:
    """Frames of 25 ms every 10 ms in so many samples."""
    return (samples - 400) // 160 + 1 if samples >= 400 else 0


def probabilities(source: np.random.Generator, frames: int, longest: float = 1.0) -> np.ndarray:
    """Silence probabilities as of speech with pauses of every length (``longest`` scales the speech), and flicker."""
    parts: list[np.ndarray] = []
    speaking = bool(source.integers(2))
    gathered = 0
    while gathered < frames:
        scale = source.uniform(0.5, 1.5) * (longest if speaking else 1.0)
        length = int(source.choice([3, 12, 25, 60, 90, 200, 500]) * scale) + 1
        parts.append(np.clip(source.normal(0.1 if speaking else 0.9, source.choice([0.05, 0.2]), length), 0.01, 0.99))
        gathered += length
        speaking = not speaking
    return np.concatenate([*parts, np.zeros(0)])[:frames].astype(np.float32)


class _Scripted:
    """Stands for the network: gives the scripted scores."""

    def __init__(self, silence: np.ndarray) -> None:
        self.silence = silence
        self.position = 0

    def __call__(self, feats: Any, cache: Any = None) -> Any:
        import torch

        count = feats.shape[1]
        piece = torch.from_numpy(self.silence[self.position : self.position + count])
        self.position += count
        return torch.stack([piece, 1 - piece], dim=1)[None]


def machine(silence: np.ndarray, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """FunASR's FsmnVADStreaming with a scripted network, and its frontend without the filter banks."""
    import torch
    from funasr.frontends import wav_frontend
    from funasr.models.fsmn_vad_streaming.model import FsmnVADStreaming, VADXOptions

    class Frontend(wav_frontend.WavFrontendOnline):  # type: ignore[misc]
        """The real cutting into frames; the frames themselves are empty, nothing reads them."""

        def forward_fbank(self, input: Any, input_lengths: Any, cache: Any = None, **_: Any) -> Any:
            samples = torch.cat((cache["input_cache"], input), dim=1)
            count = self.compute_frame_num(samples.shape[-1], 400, 160)
            cache["input_cache"] = samples[:, count * 160 :]
            if not count:
                return torch.empty(0), torch.empty(0), torch.empty(0)
            return samples[:, : (count - 1) * 160 + 400], torch.zeros(1, count, 2), torch.as_tensor([count])

    built = FsmnVADStreaming.__new__(FsmnVADStreaming)
    torch.nn.Module.__init__(built)
    built.vad_opts = VADXOptions(**{"max_single_segment_time": 10**9, **options})
    built.__dict__["encoder"] = _Scripted(silence)
    return built, Frontend(lfr_m=5, lfr_n=1, n_mels=2)


def spans_of(
    silence: np.ndarray, samples: np.ndarray, options: Mapping[str, Any], request: Mapping[str, Any]
) -> list[tuple[int, int]]:
    """Spans in frames by FsmnVADStreaming.inference, in its own chunks of 60 s; ``request``: as to ``generate``."""

    built, frontend = machine(silence, options)
    with contextlib.redirect_stdout(io.StringIO()):
        [result], _ = built.inference([samples], key=["x"], frontend=frontend, device="cpu", cache={}, **request)
    return [(begin // 10, end // 10) for begin, end in result["value"]]


def import_reference() -> None:
    """Make FunASR's voice-activity classes importable."""
    from portal.asr.engine.inference.loading import import_funasr

    import_funasr()
    importlib.import_module("funasr.frontends.wav_frontend")
