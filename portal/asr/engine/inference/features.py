"""Filter banks of a growing recording, computed once and shared by voice activity and recognition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from funasr.frontends.wav_frontend import load_cmvn
from funasr.utils.fbank import fbank

from portal.asr.errors import ModelError

Floats = npt.NDArray[np.float32]

FRAME_SAMPLES: Final = 400
"""Samples one frame looks at (25 ms)."""
HOP_SAMPLES: Final = 160
"""Samples between frames (10 ms)."""
MELS: Final = 80


@dataclass(frozen=True, slots=True)
class FrontendSettings:
    """How a model wants filter banks: ``lfr_m`` frames side by side, every ``lfr_n`` frames; then shifted, scaled."""

    lfr_m: int
    lfr_n: int
    cmvn: Floats | None

    @classmethod
    def load(cls, conf: Mapping[str, Any], cmvn_file: Path | None) -> FrontendSettings:
        """Read ``frontend_conf``. Raises ModelError for filter banks other than the ones computed here."""
        expected = {"fs": 16000, "window": "hamming", "n_mels": MELS, "frame_length": 25, "frame_shift": 10}
        for name, value in expected.items():
            if conf.get(name, value) != value:
                raise ModelError("MODEL_FAMILY_REFUSED", f"frontend_conf.{name} is not {value}", family=name)
        cmvn = None if cmvn_file is None else load_cmvn(str(cmvn_file)).numpy()
        return cls(int(conf.get("lfr_m", 1)), int(conf.get("lfr_n", 1)), cmvn)

    def join(self, frames: Floats) -> Floats:
        """(n, 80) filter banks of one whole segment to (ceil(n / lfr_n), 80 * lfr_m) features."""
        left = (self.lfr_m - 1) // 2
        count = -(-len(frames) // self.lfr_n)
        starts = np.arange(count)[:, None] * self.lfr_n + np.arange(self.lfr_m)[None, :] - left
        joined = frames[np.clip(starts, 0, len(frames) - 1)].reshape(count, self.lfr_m * frames.shape[1])
        if self.cmvn is not None:
            joined = (joined + self.cmvn[0]) * self.cmvn[1]
        result: Floats = joined.astype(np.float32, copy=False)
        return result


class FbankStream:
    """Samples in pieces of any length to frames; the frames do not depend on the pieces."""

    def __init__(self) -> None:
        self._rest: npt.NDArray[np.int16] = np.zeros(0, dtype=np.int16)

    def feed(self, pcm: bytes) -> tuple[Floats, npt.NDArray[np.int16]]:
        """Return the new frames (n, 80) and the samples they looked at (empty where n is 0)."""
        samples = np.concatenate([self._rest, np.frombuffer(pcm, dtype="<i2").astype(np.int16)])
        count = (len(samples) - FRAME_SAMPLES) // HOP_SAMPLES + 1 if len(samples) >= FRAME_SAMPLES else 0
        self._rest = samples[count * HOP_SAMPLES :].copy()
        if count == 0:
            return np.zeros((0, MELS), dtype=np.float32), samples[:0]
        used = samples[: (count - 1) * HOP_SAMPLES + FRAME_SAMPLES]
        # FunASR feeds samples/32768*32768: exactly the integers
        waveform = torch.from_numpy(used.astype(np.float32))[None, :]
        frames = fbank(
            waveform,
            num_mel_bins=MELS,
            frame_length=25,
            frame_shift=10,
            dither=0.0,
            energy_floor=0.0,
            window_type="hamming",
            sample_frequency=16000,
            snip_edges=True,
        )
        return frames.numpy().astype(np.float32, copy=False), used


class FrameBuffer:
    """The frames from ``first`` on; older ones are dropped as spans are cut out."""

    def __init__(self) -> None:
        self.first = 0
        self._frames: Floats = np.zeros((0, MELS), dtype=np.float32)

    @property
    def end(self) -> int:
        """Number of the frame after the last one."""
        return self.first + len(self._frames)

    def add(self, frames: Floats) -> None:
        """Append frames."""
        self._frames = np.concatenate([self._frames, frames])

    def cut(self, begin: int, end: int) -> Floats:
        """A copy of frames ``[begin, end)``."""
        return self._frames[begin - self.first : end - self.first].copy()

    def drop_before(self, frame: int) -> None:
        """Forget frames before ``frame``."""
        keep = min(max(frame - self.first, 0), len(self._frames))
        if keep:
            self._frames = self._frames[keep:].copy()
            self.first += keep
