"""Surroundings of speech: silence before and after, level, noise, a small room; and clips without speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from .synthesis import RATE

Samples = NDArray[np.float32]


def trim(samples: Samples, threshold: float = 1e-3) -> tuple[Samples, int]:
    """Speech without the silence around it, and how many samples were cut in front."""
    loud = np.nonzero(np.abs(samples) > threshold)[0]
    if len(loud) == 0:
        return samples, 0
    return samples[loud[0] : loud[-1] + 1], int(loud[0])


def noise(rng: np.random.Generator, count: int) -> Samples:
    """Unit-variance noise, white or low-pass."""
    out = rng.standard_normal(count)
    if rng.random() < 0.5:
        pole = rng.uniform(0.5, 0.95)
        out = lfilter([1 - pole], [1, -pole], out)
        out = out / (out.std() + 1e-9)
    return np.asarray(out, np.float32)


def surroundings(rng: np.random.Generator, samples: Samples) -> tuple[Samples, float]:
    """One speech clip as it may come out of a recorder; also the shift of its onsets in seconds.

    A quarter of the clips end with the last sound (espeak does), and a fifth are free of any noise.
    """
    speech, cut = trim(samples)
    head = int(rng.uniform(0, 0.02 if rng.random() < 0.2 else 0.7) * RATE)
    tail = int((rng.uniform(0, 0.02) if rng.random() < 0.25 else rng.uniform(0.05, 0.8)) * RATE)
    out = np.concatenate([np.zeros(head, np.float32), speech, np.zeros(tail, np.float32)])
    out = out / (np.abs(out).max() + 1e-9) * 10 ** (rng.uniform(-26, -0.5) / 20)
    kind = rng.random()
    if kind < 0.65:
        power = np.sqrt((out**2).mean())
        out = out + power * 10 ** (-rng.uniform(12, 45) / 20) * noise(rng, len(out))
    elif kind < 0.8:
        out = out + rng.standard_normal(len(out)) * 3e-5  # about one step of 16-bit samples
    if kind < 0.8 and rng.random() < 0.25:
        length = int(RATE * rng.uniform(0.05, 0.2))
        room = rng.standard_normal(length) * np.exp(-np.arange(length) / length * 6) * rng.uniform(0.02, 0.08)
        room[0] = 1
        out = fftconvolve(out, room)[: len(out)]
    return np.clip(out, -1, 1).astype(np.float32), (head - cut) / RATE


def non_speech(rng: np.random.Generator) -> Samples:
    """Noise, hum, clicks or digital silence of 0.03 to 8 s."""
    seconds = rng.uniform(0.03, 0.3) if rng.random() < 0.25 else rng.uniform(0.3, 8)
    count = int(seconds * RATE)
    kind = rng.random()
    out = noise(rng, count) * 10 ** (rng.uniform(-95, -12) / 20) if kind > 0.12 else np.zeros(count, np.float32)
    if 0.12 < kind < 0.35:
        pitch = rng.choice([50.0, 100.0, rng.uniform(60, 3000)])
        out = out + np.sin(2 * np.pi * pitch * np.arange(count) / RATE) * 10 ** (rng.uniform(-60, -15) / 20)
    if 0.35 < kind < 0.45:
        out[rng.integers(0, count, size=1 + count // 4000)] += rng.uniform(-0.5, 0.5)
    return np.clip(out, -1, 1).astype(np.float32)
