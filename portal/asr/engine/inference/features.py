"""Filter banks of a growing recording, computed once and shared by voice activity and recognition."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import kaldi_native_fbank as knf
import numpy as np
import numpy.typing as npt

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
        cmvn = None if cmvn_file is None else read_cmvn(cmvn_file)
        return cls(int(conf.get("lfr_m", 1)), int(conf.get("lfr_n", 1)), cmvn)

    def join(self, frames: Floats) -> Floats:
        """(n, 80) filter banks of one whole segment to (ceil(n / lfr_n), 80 * lfr_m) features."""
        left, width = (self.lfr_m - 1) // 2, frames.shape[1]
        count = -(-len(frames) // self.lfr_n)
        right = max((count - 1) * self.lfr_n + self.lfr_m - left - len(frames), 0)
        line = np.concatenate([np.repeat(frames[:1], left, 0), frames, np.repeat(frames[-1:], right, 0)])
        row = line.strides[0]
        shape, strides = (count, self.lfr_m * width), (row * self.lfr_n, line.itemsize)
        joined = np.lib.stride_tricks.as_strided(line, shape, strides, writeable=False)
        if self.cmvn is None:
            return joined.copy()
        result: Floats = joined + self.cmvn[0]
        result *= self.cmvn[1]
        return result


class FbankStream:
    """Samples in pieces of any length to frames; the frames do not depend on the pieces."""

    def __init__(self) -> None:
        self._rest: npt.NDArray[np.int16] = np.zeros(0, dtype=np.int16)

    def frames(self, pcm: bytes) -> Fbank:
        """The new frames that ``pcm`` completes; it is taken only by ``keep``."""
        samples = np.concatenate([self._rest, np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.int16)])
        count = (len(samples) - FRAME_SAMPLES) // HOP_SAMPLES + 1 if len(samples) >= FRAME_SAMPLES else 0
        rest = samples[count * HOP_SAMPLES :].copy()
        used = samples[: (count - 1) * HOP_SAMPLES + FRAME_SAMPLES] if count else samples[:0]
        return Fbank(filter_banks(used), used, rest)

    def keep(self, fbank: Fbank) -> None:
        """Go on after these frames."""
        self._rest = fbank.rest


@dataclass(frozen=True, slots=True)
class Fbank:
    """Frames (n, 80), the samples they looked at (empty where n is 0), and the samples that the next ones need."""

    frames: Floats
    samples: npt.NDArray[np.int16]
    rest: npt.NDArray[np.int16]


def filter_banks(samples: npt.NDArray[np.int16]) -> Floats:
    """(n, 80) filter banks of samples that hold n whole frames and no more."""
    if len(samples) < FRAME_SAMPLES:
        return np.zeros((0, MELS), dtype=np.float32)
    # FunASR feeds samples/32768*32768: exactly the integers
    bank = knf.OnlineFbank(_options())
    bank.accept_waveform(16_000.0, samples.astype(np.float32))
    bank.input_finished()
    frames: Floats = np.stack([bank.get_frame(number) for number in range(bank.num_frames_ready)])
    return frames


def _options() -> Any:
    """Kaldi filter banks as FunASR's frontends compute them, without the random dither."""
    options = knf.FbankOptions()
    frame, mel = options.frame_opts, options.mel_opts
    frame.samp_freq, frame.frame_length_ms, frame.frame_shift_ms = 16_000.0, 25.0, 10.0
    frame.dither, frame.snip_edges, frame.window_type = 0.0, True, "hamming"
    frame.preemph_coeff, frame.remove_dc_offset, frame.round_to_power_of_two = 0.97, True, True
    mel.num_bins, mel.low_freq, mel.high_freq = MELS, 20.0, 0.0
    options.energy_floor = 0.0
    options.raw_energy, options.use_energy = True, False
    options.use_log_fbank, options.use_power, options.htk_compat = True, True, False
    return options


def read_cmvn(path: Path) -> Floats:
    """Shift and scale, (2, dimensions), from Kaldi's text form. Raises ModelError(MODEL_ALTERED) for another file."""
    rows: dict[str, list[str]] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for line, following in itertools.pairwise(lines):
        kind = line.split()[:1]
        values = following.split()
        if kind in (["<AddShift>"], ["<Rescale>"]) and values[:1] == ["<LearnRateCoef>"]:
            rows[kind[0]] = values[3:-1]
    try:
        return np.asarray([rows["<AddShift>"], rows["<Rescale>"]], dtype=np.float32)
    except (KeyError, ValueError):
        raise ModelError("MODEL_ALTERED", f"{path} holds no shift and scale", file=path.name) from None


class FrameBuffer:
    """The frames from ``first`` on; older ones are dropped as spans are cut out."""

    def __init__(self, first: int = 0, frames: Floats | None = None) -> None:
        self.first = first
        self._frames: Floats = np.zeros((0, MELS), dtype=np.float32) if frames is None else frames

    @property
    def end(self) -> int:
        """Number of the frame after the last one."""
        return self.first + len(self._frames)

    def followed_by(self, frames: Floats) -> FrameBuffer:
        """Another buffer, with these frames at its end."""
        return FrameBuffer(self.first, np.concatenate([self._frames, frames]))

    def view(self, begin: int, end: int) -> Floats:
        """Frames ``[begin, end)``, valid until the buffer changes."""
        return self._frames[begin - self.first : end - self.first]

    def cut(self, begin: int, end: int) -> Floats:
        """A copy of frames ``[begin, end)``."""
        return self.view(begin, end).copy()

    def drop_before(self, frame: int) -> None:
        """Forget frames before ``frame``."""
        keep = min(max(frame - self.first, 0), len(self._frames))
        if keep:
            self._frames = self._frames[keep:].copy()
            self.first += keep
