"""Short recordings that the fake engine turns into a text of its own for each."""

from __future__ import annotations

import io
import random
import wave


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
