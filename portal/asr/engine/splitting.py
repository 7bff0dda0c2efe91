"""A segment in two halves at its quietest place, and their results as one again. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from portal.asr.engine.backend import Recognised, Speech
from portal.asr.types import Word

FRAME_MS: Final = 10
SHORTEST_FRAMES: Final = 100
"""A segment of fewer frames (1 s) is not cut: its halves would hold parts of words."""
_SMOOTH: Final = 11

Floats = npt.NDArray[np.float32]


def halved(speech: Speech, step: int) -> tuple[Speech, Speech] | None:
    """Two segments for one with filter banks (frames, bands) as its features; None when it is too short.

    The cut lies in the middle half, where 110 ms of sound have the least energy. ``step``: frames per encoder frame.
    """
    frames: Floats = speech.features
    if len(frames) < SHORTEST_FRAMES:
        return None
    cut = quietest(frames)
    middle_ms = speech.begin_ms + cut * FRAME_MS
    return (
        Speech(speech.begin_ms, middle_ms, max(1, -(-cut // step)), frames[:cut]),
        Speech(middle_ms, speech.end_ms, max(1, -(-(len(frames) - cut) // step)), frames[cut:]),
    )


def quietest(frames: Floats) -> int:
    """The frame in the middle half of (frames, bands) log filter banks around which there is the least energy."""
    low, high = len(frames) // 4, len(frames) - len(frames) // 4
    levels = np.asarray(frames, dtype=np.float64).mean(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(levels)])
    places = np.arange(low, high)
    first = np.maximum(places - _SMOOTH // 2, 0)
    last = np.minimum(places + _SMOOTH // 2 + 1, len(frames))
    return int(places[np.argmin((sums[last] - sums[first]) / (last - first))])


def joined(parts: Sequence[Speech], results: Sequence[Recognised]) -> Recognised:
    """One result for a segment from those of its parts, in order. Times count from the first part's begin (ms)."""
    words: list[Word] = []
    marks: list[str] = []
    for part, result in zip(parts, results, strict=True):
        shift = part.begin_ms - parts[0].begin_ms
        words += [Word(w.text, w.begin_ms + shift, w.end_ms + shift, w.confidence) for w in result.words]
        marks += result.marks or [""] * len(result.words)
    punctuated = all(result.marks is not None for result in results)
    return Recognised(
        tuple(words),
        marks=tuple(marks) if punctuated else None,
        language=next((result.language for result in results if result.language), None),
        emotion=next((result.emotion for result in results if result.emotion), None),
        cut_off=any(result.cut_off for result in results),
        events=tuple(dict.fromkeys(event for result in results for event in result.events)),
    )
