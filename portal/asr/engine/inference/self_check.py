"""A known recording through two ways of computing one model: how far apart are they?"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from portal.asr.engine.backend import BatchOptions
from portal.asr.engine.inference.encoders import Stages
from portal.asr.engine.inference.features import FRAME_SAMPLES, HOP_SAMPLES, filter_banks
from portal.asr.engine.inference.recognition import Recogniser
from portal.asr.types import SAMPLE_RATE, Word

Floats = npt.NDArray[np.float32]

_NAMES: Final = ("sample.wav", "example/sample.wav", "../sample.wav")
_SHIPPED: Final = Path(__file__).parents[2] / "models" / "sample.wav"
_PIECES_S: Final = (9.0, 4.0, 6.5)
"""Lengths in seconds of the pieces that are compared, as one batch of unequal segments."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest differences from torch's fp32 that a profile may have.

    ``log_probability``: of the best token at any place (None: not limited). ``characters``: share of the characters
    that may be others. ``time_ms``: of the begin or end of any character both agree on.
    """

    log_probability: float | None
    characters: float
    time_ms: int


EXACT: Final = Tolerance(log_probability=1e-3, characters=0.0, time_ms=0)
FAST: Final = Tolerance(log_probability=None, characters=0.03, time_ms=60)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one way made of the recording: the words of all pieces, and of the shortest each place's best
    log-probability."""

    words: tuple[Word, ...]
    probabilities: Floats
    finite: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two answers, in the terms of ``Tolerance``. ``log_probability`` is infinite where token counts differ."""

    log_probability: float
    characters: float
    time_ms: int

    def within(self, tolerance: Tolerance) -> bool:
        """Whether nothing is larger than allowed."""
        if tolerance.log_probability is not None and not self.log_probability <= tolerance.log_probability:
            return False
        return self.characters <= tolerance.characters and self.time_ms <= tolerance.time_ms


def sample_pieces(directory: Path) -> list[Floats]:
    """Filter banks (frames, 80) of pieces of ``sample.wav`` beside the model, else of the shipped one."""
    found = next((directory / name for name in _NAMES if (directory / name).is_file()), _SHIPPED)
    samples = _samples(found)
    if samples is None:
        samples = _samples(_SHIPPED)
    assert samples is not None
    pieces, begin = [], 0
    for seconds in _PIECES_S:
        frames = int(seconds * SAMPLE_RATE) // HOP_SAMPLES
        piece = samples[begin : begin + (frames - 1) * HOP_SAMPLES + FRAME_SAMPLES]
        whole = (len(piece) - FRAME_SAMPLES) // HOP_SAMPLES + 1
        if whole < 1:
            break
        pieces.append(filter_banks(piece[: (whole - 1) * HOP_SAMPLES + FRAME_SAMPLES]))
        begin += frames * HOP_SAMPLES
    return pieces


def _samples(path: Path) -> npt.NDArray[np.int16] | None:
    try:
        with wave.open(str(path)) as sound:
            if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (SAMPLE_RATE, 1, 2):
                return None
            pcm = sound.readframes(int(sum(_PIECES_S) * SAMPLE_RATE) + FRAME_SAMPLES)
    except (wave.Error, EOFError):
        return None
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.int16)
    return samples if len(samples) >= FRAME_SAMPLES else None


@torch.inference_mode()
def answer(model: Any, recogniser: Recogniser, pieces: Sequence[Floats]) -> Answer:
    """Recognise ``pieces`` with ``recogniser`` over ``model``, all in one batch."""
    results = recogniser.recognise(pieces, BatchOptions())
    words = tuple(word for result in results if result is not None for word in result.words)
    # the shortest is enough: every place of it goes through every layer
    shortest = min(pieces, key=len)
    probabilities = _probabilities(model, recogniser.stages, recogniser.frontend.join(shortest))
    finite = all(result is not None for result in results)
    return Answer(words, probabilities, finite and bool(np.isfinite(probabilities).all()))


def _probabilities(model: Any, stages: Stages, features: Floats) -> Floats:
    """Best log-probability at each token's place, with FunASR's own predictor between encoder and decoder."""
    hidden = stages.encoder([features])
    if not torch.isfinite(hidden).all():
        return np.full(1, np.nan, dtype=np.float32)
    lengths = torch.as_tensor([hidden.size(1)], device=hidden.device)
    acoustic, count = model.calc_predictor(hidden, lengths)[:2]
    counts = count.round().long().clamp(max=acoustic.size(1))
    if int(counts) == 0:
        return np.zeros(0, dtype=np.float32)
    scores, _ = stages.decoder(hidden, lengths, acoustic[:, : int(counts)].contiguous(), counts)
    best: Floats = torch.log_softmax(scores, dim=-1).amax(dim=-1)[0].cpu().numpy()
    return best


def compare(exact: Answer, other: Answer) -> Difference:
    """How far ``other`` is from ``exact``; infinitely far where nothing was recognised, for that proves nothing."""
    if not other.finite or not exact.words:
        return Difference(np.inf, 1.0, 0)
    one, two = exact.probabilities, other.probabilities
    furthest = float(np.abs(one - two).max(initial=0.0)) if len(one) == len(two) else np.inf
    mine, theirs = [word.text for word in exact.words], [word.text for word in other.words]
    wrong, agreed = _aligned(mine, theirs)
    times = [
        abs(a - b)
        for i, j in agreed
        for a, b in (
            (exact.words[i].begin_ms, other.words[j].begin_ms),
            (exact.words[i].end_ms, other.words[j].end_ms),
        )
    ]
    return Difference(furthest, wrong / max(len(mine), 1), max(times, default=0))


def _aligned(one: Sequence[str], two: Sequence[str]) -> tuple[int, list[tuple[int, int]]]:
    """Fewest changes from ``one`` to ``two`` (Levenshtein), and the places that stay the same."""
    table = np.zeros((len(one) + 1, len(two) + 1), dtype=np.int64)
    table[:, 0], table[0, :] = np.arange(len(one) + 1), np.arange(len(two) + 1)
    for i, left in enumerate(one, start=1):
        for j, right in enumerate(two, start=1):
            change = table[i - 1, j - 1] + (left != right)
            table[i, j] = min(change, table[i - 1, j] + 1, table[i, j - 1] + 1)
    same: list[tuple[int, int]] = []
    i, j = len(one), len(two)
    while i and j:
        if one[i - 1] == two[j - 1] and table[i, j] == table[i - 1, j - 1]:
            same.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif table[i, j] == table[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
        elif table[i, j] == table[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return int(table[-1, -1]), same
