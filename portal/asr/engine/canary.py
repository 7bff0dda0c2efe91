"""A known recording through the loaded models before anybody may use them."""

from __future__ import annotations

import difflib
import wave
from collections import Counter
from pathlib import Path
from typing import Final

from portal.asr.engine.backend import Backend, BatchOptions, Heard
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.json_log import log
from portal.asr.errors import EngineFailed
from portal.asr.types import SAMPLE_RATE

_ALIKE: Final = 0.9
"""Least similarity (difflib's ratio) to the known text. Another CPU or GPU may hear one character otherwise; a broken
model or device gives garbage, which shares next to nothing with it."""
_SHORT: Final = 8
_NAMES: Final = ("sample.wav", "example/sample.wav", "../sample.wav", "example/asr_example.wav")
_SHIPPED: Final = Path(__file__).parents[1] / "models" / "sample.wav"
"""For models that bring no sample. Its text belongs to the demonstration models; others only have to hear words."""


def sing(backend: Backend, directory: Path) -> bool:
    """Recognise the sample beside the model, or the one that ships with the portal; whether there was one to recognise.

    Raises EngineFailed when no words come out, the same one over and over, or quite others than those in
    ``sample.txt`` where that file lies beside the model's own sample.
    """
    path = next((directory / name for name in _NAMES if (directory / name).is_file()), None)
    own = path is not None
    path = path or _SHIPPED
    pcm = _samples(path) if path.is_file() else None
    if pcm is None:
        log("canary_skipped", reason="there is no sample of 16 kHz mono int16")
        return False
    speech = backend.hear([Heard(backend.open_stream(RecordingOptions()), pcm, True)])[0]
    results = backend.recognise([found.features for found in speech], BatchOptions()) if speech else []
    text = "".join(word.text for result in results if result for word in result.words)
    expected = path.with_suffix(".txt") if own else None
    if not text:
        raise EngineFailed(detail="the canary recording gave no words")
    if _monotonous(text):
        raise EngineFailed(detail="the canary recording gave the same sound over and over")
    if expected is not None and expected.is_file() and _likeness(expected.read_text(encoding="utf-8"), text) < _ALIKE:
        raise EngineFailed(detail="the canary recording gave other words than expected")
    log("canary_sang", seconds=round(len(pcm) / 2 / SAMPLE_RATE, 2))
    return True


def _samples(path: Path) -> bytes | None:
    with wave.open(str(path)) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (SAMPLE_RATE, 1, 2):
            return None
        return bytes(sound.readframes(sound.getnframes()))


def _likeness(said: str, heard: str) -> float:
    return difflib.SequenceMatcher(None, _letters(said), _letters(heard), autojunk=False).ratio()


def _monotonous(text: str) -> bool:
    """Whether one character makes up most of a text: what a network with broken weights says to anything."""
    return len(text) >= _SHORT and Counter(text).most_common(1)[0][1] > len(text) / 2


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
