"""Small sound files made on the spot; noise of another seed gets another text from the fake engine."""

from __future__ import annotations

import io
import math
import random
import struct
import wave


def tone(seconds: float = 1.0, *, rate: int = 16_000, channels: int = 1, hertz: float = 220.0) -> bytes:
    """A WAV file with a quiet tone."""
    frames = bytearray()
    for i in range(round(seconds * rate)):
        value = round(6000 * math.sin(2 * math.pi * hertz * i / rate))
        frames += struct.pack("<h", value) * channels
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(frames))
    return out.getvalue()


def pcm(seconds: float, seed: int = 0) -> bytes:
    """16 kHz mono noise, the same for the same seed."""
    return random.Random(seed).randbytes(int(seconds * 16_000) * 2)


def wav(seconds: float = 1.0, seed: int = 0, *, samples: bytes | None = None) -> bytes:
    """A WAV file of noise (or of ``samples``); silence with ``samples=bytes(n)``."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm(seconds, seed) if samples is None else samples)
    return out.getvalue()
