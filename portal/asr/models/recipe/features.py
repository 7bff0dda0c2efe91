"""Log-mel filterbanks as FunASR's WavFrontend computes them, and low frame rate stacking done in the batch."""

from __future__ import annotations

from typing import Any

import kaldi_native_fbank as knf
import numpy as np
import torch
from numpy.typing import NDArray

MELS = 80
FRAME = 0.01  # s between filterbank frames
LOW_RATE_FRAME = 0.06  # s between stacked frames of the recogniser
MIN_SAMPLES = 400  # one 25 ms window at 16 kHz


def _options() -> Any:
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = 16_000
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hamming"
    options.frame_opts.frame_shift_ms = 10.0
    options.frame_opts.frame_length_ms = 25.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = MELS
    options.energy_floor = 0.0
    return options


def filterbank(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(frames, 80) log-mel energies of 16 kHz samples in -1..1; FunASR scales to 16-bit values first."""
    computer = knf.OnlineFbank(_options())
    computer.accept_waveform(16_000, (samples * 32768).tolist())
    computer.input_finished()
    count = computer.num_frames_ready
    return np.stack([computer.get_frame(i) for i in range(count)]) if count else np.zeros((0, MELS), np.float32)


def stacked_length(frames: int, step: int = 6) -> int:
    """Number of stacked frames that `frames` filterbank frames give."""
    return -(-frames // step)


def stack_batch(frames: torch.Tensor, lengths: torch.Tensor, width: int = 7, step: int = 6) -> torch.Tensor:
    """(batch, T, 80) padded filterbanks to (batch, ceil(T/step), width*80).

    Equal to `apply_lfr` of funasr.frontends.wav_frontend: the first frame is repeated (width-1)//2 times before,
    the last one after. `lengths`: true frames of each row.
    """
    batch, total, mels = frames.shape
    centres = torch.arange(stacked_length(total, step), device=frames.device) * step
    index = centres[:, None] + torch.arange(width, device=frames.device)[None] - (width - 1) // 2
    rows = torch.minimum(index[None].clamp(min=0), (lengths.to(frames.device) - 1).view(-1, 1, 1))
    flat = rows.reshape(batch, -1, 1).expand(-1, -1, mels)
    return frames.gather(1, flat).view(batch, len(centres), width * mels)
