"""The wire: what is refused, and that nothing large is allocated for a lie."""

from __future__ import annotations

import json
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.asr.engine.protocol import CLIENT_MESSAGES, ENGINE_MESSAGES, Decoder, Message, encode
from portal.asr.errors import ProtocolError

OPEN = {
    "version": 2,
    "lane": "file",
    "hotwords": ["达摩院"],
    "want_words": True,
    "max_segment_ms": 30_000,
    "end_silence_ms": None,
    "hotword_weight": 1.0,
    "speech_threshold": 0.5,
    "vad_only": False,
    "language": "auto",
    "itn": True,
    "speakers": True,
    "speaker_count": 2,
}


def frame(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">II", len(header), len(body)) + header + body


@given(st.binary(max_size=4_000).map(lambda raw: raw[: len(raw) // 2 * 2]), st.integers(1, 400))
def test_a_message_survives_the_wire_in_pieces_of_any_size(body: bytes, step: int) -> None:
    raw = encode(Message("open", OPEN), CLIENT_MESSAGES) + encode(Message("push", {}, body), CLIENT_MESSAGES)
    decoder = Decoder(CLIENT_MESSAGES)
    messages = [m for start in range(0, len(raw), step) for m in decoder.feed(raw[start : start + step])]
    assert [(m.type, dict(m.fields), m.body) for m in messages] == [("open", OPEN, b""), ("push", {}, body)]


@pytest.mark.parametrize(("header", "body"), [(2**31, 0), (2**32 - 1, 2**32 - 1), (2, 2**31), (1 << 20 | 1, 0), (0, 0)])
def test_a_lying_length_is_refused_before_anything_is_kept(header: int, body: int) -> None:
    decoder = Decoder(CLIENT_MESSAGES)
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        decoder.feed(struct.pack(">II", header, body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    "header",
    [
        b"\x80\x04\x95",
        b"[]",
        b'{"type":7}',
        b'{"type":"exec"}',
        b'{"type":"push","path":"/etc/passwd"}',
        b'{"type":"open","url":"http://127.0.0.1/x.wav"}',
        b'{"type":"status","version":NaN}',
        b'{"type":"status","version":true}',
        b'{"type":"status"}',
        b"[" * 100_000,
        json.dumps({"type": "open", **OPEN, "lane": "first"}).encode(),
        json.dumps({"type": "open", **OPEN, "hotwords": "达摩院"}).encode(),
        json.dumps({"type": "open", **OPEN, "hotwords": ["x"] * 1001}).encode(),
        json.dumps({"type": "open", **OPEN, "max_segment_ms": 10**9}).encode(),
        json.dumps({"type": "open", **OPEN, "speech_threshold": 1.5}).encode(),
        json.dumps({"type": "open", **OPEN, "speaker_count": True}).encode(),
        json.dumps({"type": "switch", "version": 2, "model": "../../etc"}).encode(),
        json.dumps({"type": "open", **OPEN, "trust_remote_code": True}).encode(),
    ],
)
def test_a_header_outside_the_schema_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder(CLIENT_MESSAGES).feed(frame(header))


def test_bodies_belong_to_the_messages_that_carry_them() -> None:
    for raw in (
        frame(b'{"type":"finish"}', b"xx"),
        frame(b'{"type":"push"}', b"odd"),
        frame(b'{"type":"close"}', b"x"),
    ):
        with pytest.raises(ProtocolError):
            Decoder(CLIENT_MESSAGES).feed(raw)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    for schema in (CLIENT_MESSAGES, ENGINE_MESSAGES):
        try:
            Decoder(schema).feed(data)
        except ProtocolError:
            continue


VALID: dict[str, dict[str, object]] = {
    "status": {"version": 2},
    "clear_cache": {"version": 2},
    "unload": {"version": 2, "wait": True},
    "load": {"version": 2},
    "history": {"version": 2},
    "switch": {"version": 2, "model": "0" * 64},
    "open": OPEN,
    "push": {},
    "finish": {},
    "punctuate": {"id": 7},
    "close": {},
}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
json_values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=5), scalars, max_size=3)


def test_there_is_an_example_of_every_message() -> None:
    assert VALID.keys() == CLIENT_MESSAGES.keys()
    for kind, fields in VALID.items():
        [message] = Decoder(CLIENT_MESSAGES).feed(frame(json.dumps({"type": kind, **fields}).encode()))
        assert message.fields == fields


# a busy machine draws slowly: that says nothing about the decoder
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(sorted(CLIENT_MESSAGES)),
    st.dictionaries(st.sampled_from([*OPEN, "id", "model", "wait", "path"]), json_values, max_size=3),
    st.sets(st.sampled_from(sorted(OPEN)), max_size=1),
)
def test_random_fields_are_accepted_only_as_the_schema_says(
    kind: str, changed: dict[str, object], dropped: set[str]
) -> None:
    fields = {name: value for name, value in {**VALID[kind], **changed}.items() if name not in dropped}
    try:
        [message] = Decoder(CLIENT_MESSAGES).feed(frame(json.dumps({"type": kind, **fields}).encode()))
    except ProtocolError:
        return
    schema = CLIENT_MESSAGES[kind]
    assert message.fields.keys() == schema.keys()
    assert message.fields == fields
    for name, value in message.fields.items():
        known = VALID[kind][name]
        nullable = name in ("end_silence_ms", "speech_threshold", "speaker_count")
        # a value of another type never passes; whole numbers may stand for others, true and false for none
        types = (int, float) if isinstance(known, float) else (int,) if name in NUMBERS else (type(known),)
        assert (nullable and value is None) or type(value) in types, (name, value)


NUMBERS = {"version", "id", "max_segment_ms", "end_silence_ms", "speaker_count"}


def test_what_may_not_be_sent_is_refused_before_it_leaves() -> None:
    with pytest.raises(ProtocolError):
        encode(Message("segment", {"span": [5, 3], "words": [], "tags": None}), ENGINE_MESSAGES)
    with pytest.raises(ProtocolError):
        encode(Message("segment", {"span": [0, 3], "words": [["字", 0, 3, 1.5]], "tags": None}), ENGINE_MESSAGES)
    tags = {"marks": None, "language": "zh", "emotion": None, "events": ["x" * 99]}
    with pytest.raises(ProtocolError):
        encode(Message("segment", {"span": [0, 3], "words": [], "tags": tags}), ENGINE_MESSAGES)
    with pytest.raises(ProtocolError):
        encode(Message("speakers", {"spans": [[3, 2, 0]]}), ENGINE_MESSAGES)
