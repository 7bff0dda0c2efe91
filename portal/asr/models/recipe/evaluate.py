"""Figures of the models through FunASR's own AutoModel, on lists of sentences spoken here and now."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import held_out
from .synthesis import RATE, Speech, speak

Samples = NDArray[np.float32]
LEAD = 0.25  # s of silence put before a spoken item
TAIL = 0.4  # s of silence put after it


@dataclass(frozen=True)
class Item:
    """A row of a held-out list; `hotword` is empty in lists that have none."""

    voice: str
    rate: int
    pitch: int
    hotword: str
    text: str

    def speech(self) -> Speech:
        """Spoken, with silence around it; onsets moved accordingly."""
        spoken = speak(self.text, self.voice, self.rate, self.pitch)
        quiet = [np.zeros(int(seconds * RATE), np.float32) for seconds in (LEAD, TAIL)]
        samples = np.concatenate([quiet[0], spoken.samples, quiet[1]])
        return Speech(samples, None if spoken.onsets is None else [t + LEAD for t in spoken.onsets])


def read_list(path: Path) -> list[Item]:
    """The items of one .tsv list."""
    items = []
    for line in path.read_text(encoding="utf-8").splitlines():
        voice, rate, pitch, *rest = line.split("\t")
        items.append(Item(voice, int(rate), int(pitch), rest[0] if len(rest) == 2 else "", rest[-1]))
    return items


def load(models: Path, kinds: Sequence[str] = ("seaco",), threads: int = 1) -> Any:
    """FunASR's AutoModel over local directories: no network, no code from the model directory."""
    from funasr import AutoModel

    names = {"seaco": "model", "vad": "vad_model", "punc": "punc_model"}
    paths = {names[kind]: str((models / kind).resolve()) for kind in kinds}
    if "model" not in paths:
        paths = {"model": next(iter(paths.values()))}
    with contextlib.redirect_stdout(io.StringIO()):
        return AutoModel(
            **paths, disable_update=True, trust_remote_code=False, device="cpu", ncpu=threads,
            disable_pbar=True, log_level="ERROR",
        )  # fmt: skip


def recognise(model: Any, samples: Samples, hotwords: str = "", **options: Any) -> dict[str, Any]:
    """The first result of `generate`, or an empty text where FunASR gives no result at all."""
    extra = {"hotword": hotwords} if hotwords else {}
    found = model.generate(input=samples, **extra, **options)
    result: dict[str, Any] = found[0] if found else {"text": ""}
    return result


def distance(reference: str, hypothesis: str) -> int:
    """Levenshtein distance over characters."""
    row = list(range(len(hypothesis) + 1))
    for i, a in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Character error rate of (reference, hypothesis) pairs without punctuation and spaces, 0..1."""
    plain = [(held_out.normalised(a), held_out.normalised(b)) for a, b in pairs]
    return sum(distance(a, b) for a, b in plain) / sum(len(a) for a, _ in plain)


def transcribe_all(model: Any, items: Sequence[Item], hotwords: Callable[[Item], str] = lambda _: "") -> list[str]:
    """The text of each item."""
    return [str(recognise(model, item.speech().samples, hotwords(item))["text"]) for item in items]
