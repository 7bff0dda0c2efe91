"""Whole recordings: several sentences with pauses, what the voice activity detector cut, which marks were set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import augment
from .evaluate import Item
from .synthesis import RATE, speak

MARKS = "，。？"
# FunASR writes ASCII marks after letters.
_ASCII_MARKS = str.maketrans(",.?", MARKS)


@dataclass(frozen=True)
class Recording:
    """`samples` at 16 kHz; `spoken`: (start, end) in s of each sentence; `text`: all of it with punctuation."""

    samples: NDArray[np.float32]
    spoken: list[tuple[float, float]]
    text: str


def sentences(text: str) -> list[str]:
    """A paragraph cut after its sentence ends."""
    out = [""]
    for char in text:
        out[-1] += char
        if char in "。？":
            out.append("")
    return [s for s in out if s]


def record(
    items: Sequence[Item], seed: int, pauses: tuple[float, ...] = (0.5, 0.8, 1.2, 2.0), noise: float = 3e-4
) -> Recording:
    """The items' sentences one after the other with pauses (s) between them, over faint noise (RMS `noise`)."""
    rng = random.Random(seed)
    parts = [np.zeros(int(0.6 * RATE), np.float32)]
    spoken: list[tuple[float, float]] = []
    for item in items:
        for sentence in sentences(item.text):
            clip, _ = augment.trim(speak(sentence, item.voice, item.rate, item.pitch).samples)
            start = sum(len(p) for p in parts) / RATE
            spoken.append((start, start + len(clip) / RATE))
            clip = clip / np.abs(clip).max() * rng.uniform(0.3, 0.8)
            parts += [clip, np.zeros(int(rng.choice(pauses) * RATE), np.float32)]
    speech = np.concatenate(parts)
    samples = speech + np.random.default_rng(seed).standard_normal(len(speech)) * noise
    return Recording(samples.astype(np.float32), spoken, "".join(i.text for i in items))


def missed_speech(spoken: Sequence[tuple[float, float]], found: Sequence[Sequence[int]]) -> float:
    """Share of spoken time outside the found segments (ms), 0..1."""
    lost = total = 0
    for start, end in spoken:
        for moment in range(int(start * 1000), int(end * 1000), 10):
            total += 1
            lost += not any(a <= moment < b for a, b in found)
    return lost / max(total, 1)


def cut_pauses(
    spoken: Sequence[tuple[float, float]], found: Sequence[Sequence[int]], shortest: float = 2.5
) -> tuple[int, int]:
    """How many pauses longer than `shortest` s hold a boundary between segments, and how many there are."""
    cut = total = 0
    for (_, end), (start, _) in pairwise(spoken):
        if start - end > shortest:
            total += 1
            cut += any(end * 1000 - 200 < segment[1] < start * 1000 + 200 for segment in found)
    return cut, total


def _split(text: str) -> tuple[str, dict[int, str]]:
    """Characters without marks, and the mark after the n-th of them."""
    plain, marks = "", {}
    for char in text.translate(_ASCII_MARKS).lower():
        if char in MARKS:
            marks[len(plain)] = char
        elif char not in " 、":
            plain += char
    return plain, marks


def _aligned(reference: str, hypothesis: str) -> dict[int, int]:
    """Positions of `hypothesis` (counted after characters) for those of `reference`, by edit distance."""
    rows = [list(range(len(hypothesis) + 1))]
    for i, a in enumerate(reference, 1):
        row = [i]
        for j, b in enumerate(hypothesis, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b)))
        rows.append(row)
    i, j = len(reference), len(hypothesis)
    where: dict[int, int] = {}
    while i and j:
        where.setdefault(i, j)
        if rows[i][j] == rows[i - 1][j - 1] + (reference[i - 1] != hypothesis[j - 1]):
            i, j = i - 1, j - 1
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return where


def mark_figures(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """Precision and recall of each mark over (reference, hypothesis) texts."""
    hits = dict.fromkeys(MARKS, 0)
    wanted = dict.fromkeys(MARKS, 0)
    made = dict.fromkeys(MARKS, 0)
    for reference, hypothesis in pairs:
        plain, marks = _split(reference)
        other, found = _split(hypothesis)
        where = _aligned(plain, other)
        for mark in found.values():
            made[mark] += 1
        for position, mark in marks.items():
            wanted[mark] += 1
            hits[mark] += position in where and found.get(where[position]) == mark
    return {m: (hits[m] / max(1, made[m]), hits[m] / max(1, wanted[m])) for m in MARKS}


def segments_of(model: Any, samples: NDArray[np.float32]) -> list[list[int]]:
    """(start, end) in ms of FunASR's voice activity detector."""
    found: list[list[int]] = model.generate(input=samples)[0]["value"]
    return found
