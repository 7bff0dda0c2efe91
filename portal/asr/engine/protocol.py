"""The wire between the engine and its callers: framing and the schema of every message. Free of torch and of sockets.

One frame is ``u32 header length | u32 body length | header | body``, both numbers big-endian. The header is a JSON
object with a ``type``; the body is raw bytes (int16 samples, or words separated by newlines). Nothing is ever
unpickled, and both lengths are checked before a byte of the frame is kept, so a peer that announces 2 GB costs 8
bytes of memory. One connection carries one recording, or single questions such as ``status``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from portal.asr.errors import ProtocolError

PROTOCOL_VERSION: Final = 2
MAX_HEADER: Final = 1 << 20
"""Largest JSON header (bytes)."""
MAX_BODY: Final = 4 << 20
"""Largest raw body (bytes)."""
MAX_PUSH: Final = 2 << 20
"""Largest piece of samples in one ``push`` (bytes)."""
MAX_HOTWORDS: Final = 1000
"""Most hotwords one recording may bring."""
PREFIX: Final = struct.Struct(">II")

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Message:
    """One frame: ``fields`` without the type, and the raw ``body``."""

    type: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


def _integer(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _text(longest: int) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= longest


def _one_of(*allowed: str) -> Check:
    return lambda value: isinstance(value, str) and value in allowed


def _list_of(check: Check, longest: int) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= longest and all(check(item) for item in value)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _number(low: float, high: float) -> Check:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and all(letter in "0123456789abcdef" for letter in value)


def _speaker_span(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and _span(value[:2]) and _integer(0, 1 << 10)(value[2])


def _tags(value: Any) -> bool:
    """Fields of a segment beside its words; all four are there."""
    return (
        isinstance(value, dict)
        and value.keys() == {"marks", "language", "emotion", "events"}
        and _or_none(_list_of(_text(4), 20_000))(value["marks"])
        and _or_none(_text(32))(value["language"])
        and _or_none(_text(32))(value["emotion"])
        and _list_of(_text(32), 16)(value["events"])
    )


def _row(value: Any) -> bool:
    """Numbers of one moment, None where unknown."""
    return isinstance(value, list) and all(item is None or type(item) in (int, float) for item in value)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _span(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_MS(item) for item in value) and value[0] <= value[1]


def _word(value: Any) -> bool:
    if not (isinstance(value, list) and len(value) == 4 and isinstance(value[0], str)):
        return False
    text, begin, end, confidence = value
    known = confidence is None or (type(confidence) in (int, float) and 0.0 <= confidence <= 1.0)
    return bool(text) and _MS(begin) and _MS(end) and begin <= end and known


_MS = _integer(0, 1 << 40)
_COUNT = _integer(0, 1 << 50)

CLIENT_MESSAGES: Final[Mapping[str, Mapping[str, Check]]] = {
    "status": {"version": _integer(1, 1 << 16)},
    "clear_cache": {"version": _integer(1, 1 << 16)},
    "unload": {"version": _integer(1, 1 << 16), "wait": _boolean},
    "load": {"version": _integer(1, 1 << 16)},
    "history": {"version": _integer(1, 1 << 16)},
    "switch": {"version": _integer(1, 1 << 16), "model": _digest},
    "open": {
        "version": _integer(1, 1 << 16),
        "lane": _one_of("file", "live"),
        "hotwords": _list_of(_text(64), MAX_HOTWORDS),
        "want_words": _boolean,
        "max_segment_ms": _integer(5_000, 60_000),
        "end_silence_ms": _or_none(_integer(200, 3_000)),
        "hotword_weight": _number(0.0, 1.0),
        "speech_threshold": _or_none(_number(0.0, 1.0)),
        "vad_only": _boolean,
        "language": _text(16),
        "itn": _boolean,
        "speakers": _boolean,
        "speaker_count": _or_none(_integer(1, 20)),
    },
    "push": {},
    "finish": {},
    "punctuate": {"id": _integer(0, 1 << 31)},
    "close": {},
}
"""What a caller may send, field by field; anything else is refused. ``push`` carries samples, ``punctuate`` words."""

ENGINE_MESSAGES: Final[Mapping[str, Mapping[str, Check]]] = {
    "status": {"status": _object},
    "cache_cleared": {"before_bytes": _COUNT, "after_bytes": _COUNT},
    "opened": {"window": _COUNT, "model": _object},
    "history": {"rows": _list_of(_row, 2_000)},
    "window": {"bytes": _COUNT},
    "progress": {"audio_ms": _MS, "speech_ms": _MS, "done_ms": _MS},
    "spans": {"spans": _list_of(_span, 100_000)},
    "segment": {"span": _span, "words": _list_of(_word, 20_000), "tags": _or_none(_tags)},
    "speakers": {"spans": _list_of(_speaker_span, 100_000)},
    "notice": {"code": _text(64), "count": _COUNT},
    "changed": {"change": _object},
    "punctuated": {"id": _integer(0, 1 << 31)},
    "alive": {},
    "done": {"audio_ms": _MS, "speech_ms": _MS, "segments": _COUNT},
    "error": {"code": _text(64), "detail": _text(400)},
}
"""What the engine may answer."""


def encode(message: Message, schema: Mapping[str, Mapping[str, Check]]) -> bytes:
    """Return the frame of ``message`` after checking it. Raises ProtocolError for one that may not be sent."""
    check(message, schema)
    header = json.dumps({"type": message.type, **message.fields}, ensure_ascii=False, separators=(",", ":"))
    raw = header.encode("utf-8", errors="strict")
    _check_lengths(len(raw), len(message.body))
    return PREFIX.pack(len(raw), len(message.body)) + raw + message.body


def check(message: Message, schema: Mapping[str, Mapping[str, Check]]) -> None:
    """Raise ProtocolError unless ``message`` has a known type and exactly the fields of its schema."""
    expected = schema.get(message.type)
    if expected is None:
        raise ProtocolError(detail="unknown message type")
    if message.fields.keys() != expected.keys():
        raise ProtocolError(detail=f"wrong fields in {message.type}")
    for name, is_valid in expected.items():
        if not is_valid(message.fields[name]):
            raise ProtocolError(detail=f"bad value of {name} in {message.type}")
    carries_body = message.type in ("push", "punctuate", "punctuated")
    if message.body and not carries_body:
        raise ProtocolError(detail=f"{message.type} carries no body")
    if message.type == "push" and (len(message.body) > MAX_PUSH or len(message.body) % 2):
        raise ProtocolError(detail="a push holds whole int16 samples, at most 2 MiB")


def _check_lengths(header: int, body: int) -> None:
    if not 2 <= header <= MAX_HEADER:
        raise ProtocolError(detail="header length out of bounds")
    if body > MAX_BODY:
        raise ProtocolError(detail="body length out of bounds")


class Decoder:
    """Turns a stream of bytes into messages. Keeps at most one frame; after an error it must not be fed again."""

    def __init__(self, schema: Mapping[str, Mapping[str, Check]]) -> None:
        self._schema = schema
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Add ``data`` and return the messages completed by it. Raises ProtocolError at the first bad frame."""
        self._buffer += data
        messages: list[Message] = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if len(self._buffer) < PREFIX.size:
            return None
        header_length, body_length = PREFIX.unpack_from(self._buffer)
        _check_lengths(header_length, body_length)
        end = PREFIX.size + header_length + body_length
        if len(self._buffer) < end:
            return None
        header = bytes(self._buffer[PREFIX.size : PREFIX.size + header_length])
        body = bytes(self._buffer[PREFIX.size + header_length : end])
        del self._buffer[:end]
        message = _parse(header, body)
        check(message, self._schema)
        return message


def _parse(header: bytes, body: bytes) -> Message:
    try:
        fields = json.loads(header.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ProtocolError(detail="header is not JSON") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise ProtocolError(detail="header is not an object with a type")
    kind = fields.pop("type")
    return Message(kind, fields, body)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
