"""Which recordings a run measures with: short ones, ordinary ones, long ones; WAV, and MP3 as people upload them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portal.cli.benchmarks import speech

HEADLINE_SECONDS = 47 * 60
"""Of the MP3 that a published deployment on an A10 needed 6 min 23 s for."""
TINY, DEFAULT, FULL = "tiny", "default", "full"


@dataclass(frozen=True, slots=True)
class Recording:
    """A file and its length. ``comparable``: every decoder gives the same samples (WAV), so texts can be equal."""

    path: Path
    seconds: float
    comparable: bool


def lengths(size: str, device: str) -> tuple[list[float], list[float]]:
    """Seconds of the WAV and of the MP3 recordings of a set.

    ``tiny`` proves the machinery. ``default`` is at most six minutes of sound on a CPU, an hour on a GPU. ``full`` is
    (S) 200 of 5 to 30 s, (M) 64 with a median of 400 s, (L) three hours; on a CPU a tenth of the number, M and L a
    tenth as long.
    """
    random = np.random.default_rng(11)
    if size == TINY:
        return [6.0, 14.0], [8.0]
    if size == DEFAULT and device != "cuda":
        return [6.0, 12.0, 18.0, 25.0, 40.0, 60.0, 100.0], [45.0]
    if size == DEFAULT:
        return [float(s) for s in random.uniform(5, 30, 40)] + [180.0] * 10 + [600.0], [180.0] * 4
    scale = 1.0 if device == "cuda" else 0.1
    short = random.uniform(5, 30, int(200 * scale)).tolist()
    medium = (400.0 * scale * np.exp(random.normal(0.0, 0.6, round(64 * scale)))).tolist()
    long = [3600.0 * scale] * (3 if device == "cuda" else 1)
    wav = [*short, *medium[::2], *long]
    return [round(s, 1) for s in wav], [round(s, 1) for s in medium[1::2]]


def make(folder: Path, size: str, device: str, *, headline: bool) -> tuple[list[Recording], list[str]]:
    """Write the recordings into a new ``folder``; returns them and notes on what could not be made."""
    folder.mkdir()
    pool = speech.utterances()
    wav, mp3 = ([], [float(HEADLINE_SECONDS)]) if headline else lengths(size, device)
    made: list[Recording] = []
    notes: list[str] = []
    for number, seconds in enumerate(wav):
        path = folder / f"{number:03}.wav"
        speech.write_wav(path, speech.recording(pool, seconds, number))
        made.append(Recording(path, seconds, comparable=True))
    for number, seconds in enumerate(mp3, start=len(wav)):
        samples = speech.recording(pool, seconds, number)
        try:
            speech.write_mp3(folder / f"{number:03}.mp3", samples)
            made.append(Recording(folder / f"{number:03}.mp3", seconds, comparable=False))
        except LookupError as error:
            notes.append(f"{error}: WAV instead of MP3")
            speech.write_wav(folder / f"{number:03}.wav", samples)
            made.append(Recording(folder / f"{number:03}.wav", seconds, comparable=True))
    return made, notes
