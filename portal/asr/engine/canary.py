"""A known recording through the loaded models before anybody may use them."""

from __future__ import annotations

import difflib
import wave
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
_NAMES: Final = ("sample.wav", "example/sample.wav", "../sample.wav")


def sing(backend: Backend, directory: Path) -> None:
    """Recognise ``sample.wav`` beside the model; without one nothing happens.

    Raises EngineFailed when no words come out, or quite others than those in ``sample.txt`` where that file exists too.
    """
    path = next((directory / name for name in _NAMES if (directory / name).is_file()), None)
    if path is None:
        return
    pcm = _samples(path)
    if pcm is None:
        log("canary_skipped", reason="sample.wav is not 16 kHz mono int16")
        return
    speech = backend.hear([Heard(backend.open_stream(RecordingOptions()), pcm, True)])[0]
    results = backend.recognise([found.features for found in speech], BatchOptions()) if speech else []
    text = "".join(word.text for result in results if result for word in result.words)
    expected = path.with_suffix(".txt")
    if not text:
        raise EngineFailed(detail="the canary recording gave no words")
    if expected.is_file() and _likeness(expected.read_text(encoding="utf-8"), text) < _ALIKE:
        raise EngineFailed(detail="the canary recording gave other words than expected")
    log("canary_sang", seconds=round(len(pcm) / 2 / SAMPLE_RATE, 2))


def _samples(path: Path) -> bytes | None:
    with wave.open(str(path)) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (SAMPLE_RATE, 1, 2):
            return None
        return bytes(sound.readframes(sound.getnframes()))


def _likeness(said: str, heard: str) -> float:
    return difflib.SequenceMatcher(None, _letters(said), _letters(heard), autojunk=False).ratio()


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
