"""Continuous integrate-and-fire on the host, and the times of tokens. numpy only.

The model gives each frame a weight; a token is complete whenever the running sum reaches the threshold. FunASR walks
the frames in Python on the device, thousands of launches per batch; here it is one walk over a few hundred numbers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_SHIFT: Final = -1.5
_EDGE: Final = 5
_LONGEST: Final = 12
_NOTHING: Final = 1e-6
"""Weights with a smaller sum say nothing, and could not be scaled without overflow."""


def fire_weights(alphas: Floats, threshold: float) -> Floats:
    """Weights of frames in tokens: ``alphas`` (frames,) to (tokens, frames), one row per token that fired.

    The sum is kept in float32, step by step, as the model was trained; a different order would move borders.
    """
    one = np.float32(1.0)
    limit = np.float32(threshold)
    total = np.float32(0.0)
    rows: list[Floats] = []
    row = np.zeros(len(alphas), dtype=np.float32)
    for frame, alpha in enumerate(alphas):
        completion = one - total
        total = total + alpha
        if total >= limit:
            row[frame] += completion
            rows.append(row)
            row = np.zeros(len(alphas), dtype=np.float32)
            row[frame] = alpha - completion
            total = total - one
        else:
            row[frame] += alpha
    return np.stack(rows) if rows else np.zeros((0, len(alphas)), dtype=np.float32)


def fire_places(alphas: Floats, threshold: float) -> npt.NDArray[np.int64]:
    """Frames at which the running sum of ``alphas`` reaches ``threshold``."""
    limit = np.float32(threshold)
    total = np.float32(0.0)
    places: list[int] = []
    for frame, alpha in enumerate(alphas):
        total = total + alpha
        if total >= limit:
            places.append(frame)
            total = total - limit
    return np.asarray(places, dtype=np.int64)


def token_times(alphas: Floats, tokens: int, frame_ms: float, *, scale_to: int | None = None) -> list[tuple[int, int]]:
    """Begin and end (ms from the segment's start) of ``tokens`` tokens from timestamp weights of ``frame_ms`` each.

    ``scale_to``: the weights are first scaled to this sum, as FunASR does with the predicted number of tokens. A token
    lasts from its fire to the next one, at most 12 frames; times never run backwards and never leave the segment.
    """
    if tokens == 0:
        return []
    limit = np.float32(1.0 - 1e-4)
    weights = alphas
    if scale_to is not None and weights.sum() > _NOTHING:
        weights = weights * np.float32(np.float32(scale_to) / weights.sum())
    fires = fire_places(weights, float(limit))
    if len(fires) != tokens + 1 and weights.sum() > _NOTHING:
        fires = fire_places(weights / np.float32(weights.sum() / np.float32(tokens + 1)), float(limit))
    places = _exactly(fires.astype(np.float64) + _SHIFT, tokens + 1, len(alphas))
    return _clamped(_durations(places, len(alphas)), len(alphas), frame_ms)


def _exactly(places: npt.NDArray[np.float64], count: int, frames: int) -> npt.NDArray[np.float64]:
    """Cut or fill up to ``count`` places: rounding can leave one fire too few or too many."""
    if len(places) >= count:
        return places[:count]
    last = places[-1] if len(places) else _SHIFT
    missing = count - len(places)
    steps = np.linspace(last, max(frames, last), missing + 1)[1:]
    return np.concatenate([places, steps])


def _durations(places: npt.NDArray[np.float64], frames: int) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    split = False
    for begin, following in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
        split = following - begin > _LONGEST
        spans.append((begin, begin + _LONGEST if split else following))
    last = float(places[-1])
    # FunASR stretches the last *entry*, which is the silence after a token that was cut at its longest duration
    if not split:
        spans[-1] = (spans[-1][0], (frames + last) * 0.5 if frames - last > _EDGE else float(frames))
    return spans


def _clamped(spans: list[tuple[float, float]], frames: int, frame_ms: float) -> list[tuple[int, int]]:
    longest = int(frames * frame_ms)
    times: list[tuple[int, int]] = []
    floor = 0
    for begin, end in spans:
        first = min(max(int(begin * (frame_ms / 1000.0) * 1000), floor), longest)
        second = min(max(int(end * (frame_ms / 1000.0) * 1000), first), longest)
        times.append((first, second))
        floor = first
    return times
