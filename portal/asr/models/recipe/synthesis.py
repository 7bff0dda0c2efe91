"""Speech from espeak-ng through its library: samples and the onset of every character.

The voice is `cmn-latn-pinyin`: in espeak-ng 1.51 `cmn` and `zh` read most hanzi as spelled-out pinyin letters.
The library's WORD events carry the position of each character in the text and its onset in milliseconds, which
gives a free forced alignment. The library holds one global state per process, hence processes and not threads.
"""

from __future__ import annotations

import ctypes
import random
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from . import held_out

RATE = 16_000  # Hz, what the recogniser takes
BASE_VOICE = "cmn-latn-pinyin"
# Variants of espeak-ng that stay intelligible; whispering, echoing and robot ones are left out.
TRAINING_VOICES: tuple[str, ...] = tuple(
    (
        "default m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f5 Andy Annie Michael Lee Alicia anika antonio ed linda steph "
        "norbert pablo marcelo Denis Alex Diogo Gene Gene2 Marco Mike Nguyen adam aunty belinda benjamin boris david "
        "edward edward2 gustave iven iven3 Jacky john max michel miguel paul pedro quincy rob robert sandro shelby "
        "steph2 steph3 travis victor grandma grandpa klatt2 klatt3 klatt4 klatt6"
    ).split()
)
assert not set(TRAINING_VOICES) & set(held_out.VOICES), "a held-out voice must not be trained on"

_RATE_PARAMETER, _PITCH_PARAMETER, _RANGE_PARAMETER = 1, 3, 4
_EVENT_END, _EVENT_WORD = 0, 1
_UTF8, _SYNCHRONOUS = 1, 2


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


@dataclass(frozen=True)
class Speech:
    """`samples`: float32 in -1..1 at 16 kHz; `onsets`: seconds, one per token of the text, or None if uncertain."""

    samples: NDArray[np.float32]
    onsets: list[float] | None


class _Espeak:
    """The library with its callback and buffers."""

    def __init__(self) -> None:
        self.library: Any = ctypes.CDLL("libespeak-ng.so.1")
        self.blocks: list[NDArray[np.int16]] = []
        self.words: list[tuple[int, int, int]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self.callback = kind(self._receive)  # kept: the library calls it later
        self.sample_rate: int = self.library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0)
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng could not be started: is espeak-ng-data installed?")
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, wave: Any, count: int, events: Any) -> int:
        if count > 0 and wave:
            self.blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            if event.type == _EVENT_WORD and event.length > 0:
                self.words.append((event.text_position, event.length, event.audio_position))
            index += 1
        return 0


@lru_cache(maxsize=1)
def _espeak() -> _Espeak:
    return _Espeak()


def spoken_form(text: str) -> str:
    """Letters upper-case and apart, so that espeak spells them (it reads "api" as a pinyin word)."""
    out = ""
    for index, char in enumerate(text):
        if char.isascii() and char.isalpha():
            before = text[index - 1] if index else " "
            out += (" " if before != " " else "") + char.upper()
            after = text[index + 1] if index + 1 < len(text) else " "
            out += " " if not (after.isascii() and after.isalpha()) else ""
        else:
            out += char
    return out


def speak(text: str, voice: str, rate: int, pitch: int, pitch_range: int = 50, throat: float = 1.0) -> Speech:
    """Synthesise `text`; `rate` in words per minute (80..450), `pitch` and `pitch_range` 0..100.

    `throat` plays the voice that many times faster, which moves pitch and formants like a shorter throat does.
    """
    engine = _espeak()
    engine.blocks.clear()
    engine.words.clear()
    name = BASE_VOICE if voice == "default" else f"{BASE_VOICE}+{voice}"
    if engine.library.espeak_SetVoiceByName(name.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {name}")
    for parameter, value in ((_RATE_PARAMETER, rate), (_PITCH_PARAMETER, pitch), (_RANGE_PARAMETER, pitch_range)):
        engine.library.espeak_SetParameter(parameter, value, 0)
    said = spoken_form(text)
    raw = said.encode()
    engine.library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, _UTF8, None, None)
    engine.library.espeak_Synchronize()
    wave = np.concatenate(engine.blocks) if engine.blocks else np.zeros(0, np.int16)
    ratio = Fraction(RATE, engine.sample_rate)
    down = round(ratio.denominator * throat)
    samples = resample_poly(wave.astype(np.float32) / 32768, ratio.numerator, down)
    onsets = _onsets(said, engine.words)
    if onsets is not None:
        onsets = [t * ratio.denominator / down for t in onsets]
    return Speech(samples.astype(np.float32), onsets)


def _onsets(said: str, events: list[tuple[int, int, int]]) -> list[float] | None:
    """Seconds of each spoken character from the library's events (1-based positions); None if one is missing."""
    at = {position - 1: milliseconds / 1000 for position, _, milliseconds in events}
    wanted = [index for index, char in enumerate(said) if char not in "，。？！、 "]
    if any(index not in at for index in wanted):
        return None
    onsets = [at[index] for index in wanted]
    return onsets if onsets == sorted(onsets) else None


def phonemes(text: str) -> str:
    """espeak's phoneme mnemonics of a text, tones included."""
    library = _espeak().library
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_SetVoiceByName(BASE_VOICE.encode())
    buffer = ctypes.c_char_p(text.encode())
    pointer = ctypes.pointer(buffer)
    out = []
    while buffer.value:
        out.append(library.espeak_TextToPhonemes(pointer, _UTF8, 0).decode())
    return " ".join(out)


def random_style(rng: random.Random, voices: tuple[str, ...] = TRAINING_VOICES) -> dict[str, Any]:
    """A voice and how it speaks, as keywords of `speak`; half of them with another length of throat."""
    return {
        "throat": 1.0 if rng.random() < 0.5 else rng.uniform(0.88, 1.15),
        "voice": rng.choice(voices),
        "rate": rng.randint(150, 270),
        "pitch": rng.randint(25, 75),
        "pitch_range": rng.randint(30, 70),
    }
