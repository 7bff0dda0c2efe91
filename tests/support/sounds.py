"""Small sound files made on the spot."""

from __future__ import annotations

import io
import math
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
