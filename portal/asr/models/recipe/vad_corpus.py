"""Recordings with pauses for the voice activity detector: filterbanks and, per 10 ms, whether somebody speaks."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import augment, features, text
from .settings import Settings
from .synthesis import RATE, random_style, speak

_QUIET = 10 ** (-38 / 20)  # of the loudest moment: below it there is no speech
_GAP = 0.12  # s; shorter holes inside speech are speech


def _active(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a clean clip carries speech."""
    window = np.ones(400) / 400
    energy = np.sqrt(np.convolve(samples**2, window, "same"))
    loud = (energy > energy.max() * _QUIET).astype(np.float32)
    wide = np.ones(int(_GAP * RATE))
    closed = np.convolve(loud, wide, "same") > 0.5
    return np.asarray(np.convolve((~closed).astype(np.float32), wide, "same") < 0.5)


def _recording(rng: random.Random, noise: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    def silence(longest: float) -> NDArray[np.float32]:
        return np.zeros(int(rng.uniform(0.0, longest) * RATE), np.float32)

    parts = [silence(2.5)]
    active = [np.zeros(len(parts[0]), bool)]
    for _ in range(rng.randint(1, 4)):
        clip, _ = augment.trim(speak(text.sentence(rng, 0.5), **random_style(rng)).samples)
        if len(clip) < 2 * _GAP * RATE:
            continue
        clip = clip / (np.abs(clip).max() + 1e-9) * 10 ** (rng.uniform(-12, 0) / 20)
        parts += [clip, silence(3.5)]
        active += [_active(clip), np.zeros(len(parts[-1]), bool)]
    samples = np.concatenate(parts).astype(np.float64)
    labels = np.concatenate(active)
    if rng.random() < 0.12:
        samples, labels = samples * 0, np.zeros(len(labels), bool)
    samples = samples * 10 ** (rng.uniform(-26, -0.5) / 20)
    level = float(np.sqrt((samples[labels] ** 2).mean())) if labels.any() else 10 ** (rng.uniform(-60, -12) / 20)
    kind = rng.random()
    if kind < 0.6:
        samples = samples + augment.noise(noise, len(samples)) * level * 10 ** (-rng.uniform(8, 45) / 20)
    elif kind < 0.8:
        samples = samples + noise.standard_normal(len(samples)) * 3e-5
    if rng.random() < 0.15:
        pitch = rng.choice([50, 100, 440, 1000, 2000])
        hum = np.sin(2 * np.pi * pitch * np.arange(len(samples)) / RATE)
        samples = samples + hum * level * 10 ** (-rng.uniform(6, 25) / 20)
    return np.clip(samples, -1, 1).astype(np.float32), labels


def _make(job: tuple[int, int]) -> dict[str, Any]:
    seed, number = job
    samples, labels = _recording(random.Random(f"{seed}/vad/{number}"), np.random.default_rng([seed, 2, number]))
    frames = features.filterbank(samples)
    middle = np.minimum(np.arange(len(frames)) * 160 + 200, len(labels) - 1)
    return {"frames": frames.astype(np.float16), "labels": labels[middle].astype(np.int64)}


def build(path: Path, settings: Settings, processes: int) -> None:
    """Write the recordings of one run into an .npz file."""
    jobs = [(settings.seed, number) for number in range(settings.vad_clips)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        made = pool.map(_make, jobs, chunksize=4)
    temporary = path.with_suffix(".part.npz")
    np.savez(
        temporary,
        frames=np.concatenate([m["frames"] for m in made]),
        labels=np.concatenate([m["labels"] for m in made]),
        counts=np.array([len(m["frames"]) for m in made]),
    )
    temporary.replace(path)
