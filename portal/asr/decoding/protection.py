"""Whether an m4a, mp4 or mov is encrypted: its sample descriptions say so (ISO/IEC 14496-12, 8.5.2 and 8.12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_NESTED = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_PROTECTED = (b"enca", b"drms")
_MAX_BOXES = 10_000


def is_protected(stream: BinaryIO, size: int) -> bool:
    """True when a sound track's sample description is one of the encrypted kinds. Reads box headers only."""
    return any(kind in _PROTECTED for kind in _sample_kinds(stream, size))


def _sample_kinds(stream: BinaryIO, size: int) -> Iterator[bytes]:
    pending, seen = [(0, size)], 0
    while pending:
        position, end = pending.pop()
        while position + 8 <= end and seen < _MAX_BOXES:
            seen += 1
            stream.seek(position)
            header = stream.read(16)
            if len(header) < 8:
                break
            length, kind, body = struct.unpack(">I", header[:4])[0], header[4:8], 8
            if length == 1 and len(header) == 16:
                length, body = struct.unpack(">Q", header[8:16])[0], 16
            length = length or end - position
            if length < body:
                break
            if kind in _NESTED:
                pending.append((position + body, min(position + length, end)))
            elif kind == b"stsd":
                stream.seek(position + body + 8)  # version, flags and the count come first
                yield stream.read(8)[4:8]
            position += length
