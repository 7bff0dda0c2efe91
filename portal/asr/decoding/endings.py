"""Whether a file was cut off, judged by its last bytes: for containers whose decoders do not complain.

WAV: the data chunk is longer than the file (a size of 0 or 0xFFFFFFFF means "written while recording", nothing else).
Ogg (RFC 3533, 6): the last page carries the end-of-stream flag. ISO media (ISO/IEC 14496-12, 4.2) and Matroska
(RFC 8794, 6): the last box, or the segment, is longer than the file.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_TAIL = 128 * 1024  # an Ogg page is at most 65,307 bytes
_END_OF_STREAM = 0x04


def is_cut(stream: BinaryIO, container: str) -> bool:
    """True when the end of ``stream`` is missing. False where the container gives no way to know."""
    check = {"ogg": _ogg_cut, "wav": _wav_cut, "mov": _mov_cut, "matroska": _matroska_cut}.get(container)
    return check(stream, os.fstat(stream.fileno()).st_size) if check else False


def _ogg_cut(stream: BinaryIO, size: int) -> bool:
    stream.seek(max(0, size - _TAIL))
    tail = stream.read(_TAIL)
    page = tail.rfind(b"OggS")
    if page < 0 or page + 27 > len(tail):
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    whole = page + 27 + len(segments) + sum(segments) <= len(tail)
    return not (whole and tail[page + 5] & _END_OF_STREAM)


def _wav_cut(stream: BinaryIO, size: int) -> bool:
    stream.seek(0)
    if stream.read(4) != b"RIFF":
        return False  # the 64-bit forms keep their sizes elsewhere
    position = 12
    while position + 8 <= size:
        stream.seek(position)
        kind, length = struct.unpack("<4sI", stream.read(8))
        if kind == b"data":
            return bool(0 < length < 0xFFFFFFFF and position + 8 + length > size)
        position += 8 + length + length % 2
    return True


def _mov_cut(stream: BinaryIO, size: int) -> bool:
    position = 0
    while position + 8 <= size:
        stream.seek(position)
        header = stream.read(16)
        length = struct.unpack(">I", header[:4])[0]
        if length == 1 and len(header) == 16:
            length = struct.unpack(">Q", header[8:])[0]
        if length < 8:
            return False  # 0: up to the end of the file
        position += length
    return position > size


def _matroska_cut(stream: BinaryIO, size: int) -> bool:
    stream.seek(0)
    head = stream.read(4096)
    length, used = _element_size(head, 4)
    segment = 4 + used + length
    if head[segment : segment + 4] != b"\x18\x53\x80\x67":
        return False
    length, used = _element_size(head, segment + 4)
    unknown = length == (1 << 7 * used) - 1  # written while recording
    return not unknown and segment + 4 + used + length > size


def _element_size(data: bytes, at: int) -> tuple[int, int]:
    """Value and width of the variable-length number at ``at`` (RFC 8794, section 4)."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    if width > 8:
        return 0, 1
    return int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1), width
