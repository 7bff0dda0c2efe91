"""Messages from the decoder to its parent: ``u32 header length | u32 payload length | JSON header | payload``.

Both lengths are bounded, so that a decoder somebody has taken over can't make its parent allocate.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

PREFIX = struct.Struct(">II")
MAX_HEADER = 16 * 1024
MAX_PAYLOAD = 2 * 1024 * 1024


class FrameError(Exception):
    """The other side does not keep to the format."""


def write_frame(stream: BinaryIO, header: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message and flush it."""
    head = json.dumps(header, separators=(",", ":")).encode()
    stream.write(PREFIX.pack(len(head), len(payload)) + head)
    if payload:
        stream.write(payload)
    stream.flush()


def parse_prefix(data: bytes) -> tuple[int, int]:
    """Lengths of header and payload. Raises FrameError when one is out of bounds."""
    head, payload = PREFIX.unpack(data)
    if head > MAX_HEADER or payload > MAX_PAYLOAD:
        raise FrameError("a message is longer than agreed")
    return head, payload


def parse_header(data: bytes) -> dict[str, Any]:
    """The JSON object of a message. Raises FrameError when it is none."""
    try:
        header = json.loads(data)
    except ValueError as error:
        raise FrameError("a header is not JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
        raise FrameError("a header has no kind")
    return header
