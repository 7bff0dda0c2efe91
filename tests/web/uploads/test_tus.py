"""The tus protocol: offsets are the server's, a broken line costs nothing, a wrong byte changes nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from portal.asr.types import TranscribeOptions, VadOptions
from portal.db import db
from portal.http.signed_in import cookie_name
from portal.models import AuditEvent, Recording, Transcription, Upload, User
from portal.services.hotwords import replacement_editing as editing
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.options import transcribe_options
from portal.settings import Settings
from tests.support.sounds import wav
from tests.support.world import World, actor
from tests.web.uploads.conftest import Tus, sha256

DATA = wav(1.0, seed=1)
DEFAULTS: dict[str, Any] = {
    "itn": True,
    "channels": "mix",
    "vad": {"preset": "general", "max_segment_ms": 30_000, "end_silence_ms": None, "threshold": None},
    "result": "text",
    "language": "auto",
    "speakers": False,
    "speaker_count": None,
    "hotword_strength": "normal",
    "replacements": [],
}


def rows(app: Flask, model: type) -> list[object]:
    with app.app_context():
        found: list[object] = list(db.session.scalars(sa.select(model)))
        db.session.expunge_all()
        return found


def stored(app: Flask, settings: Settings) -> bytes:
    (recording,) = rows(app, Recording)
    assert isinstance(recording, Recording)
    assert recording.sha256 == hashlib.sha256(DATA).hexdigest()
    with FileStore.of(settings).open(recording.id) as reader:
        return reader.read()


def test_one_piece(app: Flask, tus: Tus, settings: Settings) -> None:
    done = tus.send(DATA, options={"itn": False, "channels": "split", "hotwords": "达摩院 声学模型"})
    assert (done.status_code, done.headers["Upload-Offset"]) == (204, str(len(DATA)))
    assert stored(app, settings) == DATA
    (row,) = rows(app, Transcription)
    assert isinstance(row, Transcription)
    assert (row.state, row.options, row.hotwords) == (
        "queued", {**DEFAULTS, "itn": False, "channels": "split"}, ["达摩院", "声学模型"],
    )  # fmt: skip
    assert row.audio_ms == 1000
    actions = [event.action for event in rows(app, AuditEvent) if isinstance(event, AuditEvent)]
    assert actions == ["upload.start", "upload.finish", "transcription.start"]
    assert "会议" not in repr([event.detail for event in rows(app, AuditEvent) if isinstance(event, AuditEvent)])
    assert list((settings.instance / "uploads").iterdir()) == []


@pytest.mark.parametrize("seed", range(5))
def test_cut_at_random_bytes_and_resumed(app: Flask, tus: Tus, settings: Settings, seed: int) -> None:
    dice = random.Random(seed)
    place = tus.begin(len(DATA)).headers["Location"]
    while (offset := tus.offset(place)) < len(DATA):
        cut = dice.randint(offset + 1, len(DATA))
        answer = tus.patch(place, offset, DATA[offset:cut], checksum=sha256(DATA[offset:cut]))
        assert answer.status_code == 204
    assert stored(app, settings) == DATA


def test_a_line_that_breaks_keeps_what_arrived(app: Flask, tus: Tus, settings: Settings) -> None:
    place = tus.begin(len(DATA)).headers["Location"]
    cookie = tus.client.get_cookie(cookie_name(secure=False))
    assert cookie is not None
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", server.server_port)) as line:
            head = (
                f"PATCH {place} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie.key}={cookie.value}\r\n"
                "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
                f"Content-Length: {len(DATA)}\r\n\r\n"
            )
            line.sendall(head.encode() + DATA[:1000])
        deadline = time.monotonic() + 10
        while (reached := tus.offset(place)) == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert reached == 1000
    assert tus.patch(place, 1000, DATA[1000:]).status_code == 204
    assert stored(app, settings) == DATA


def test_wrong_offset_checksum_length_and_type_change_nothing(app: Flask, tus: Tus, settings: Settings) -> None:
    place = tus.begin(len(DATA)).headers["Location"]
    assert tus.patch(place, 0, DATA[:500]).status_code == 204
    part = next((settings.instance / "uploads").iterdir())
    before = part.read_bytes()
    assert before == DATA[:500]
    refusals = [
        (tus.patch(place, 400, b"x" * 10), 409, "UPLOAD_OFFSET"),
        (tus.patch(place, 600, b"x" * 10), 409, "UPLOAD_OFFSET"),
        (tus.patch(place, 500, b"x" * 10, checksum=sha256(b"y")), 460, "UPLOAD_CHECKSUM"),
        (tus.patch(place, 500, b"x" * 10, checksum="md5 AAAA"), 400, "BAD_REQUEST"),
        (tus.patch(place, 500, b"x" * 10, checksum="sha256 *"), 400, "BAD_REQUEST"),
        (tus.patch(place, 500, b"x" * len(DATA)), 413, "UPLOAD_LONGER"),
    ]
    for answer, status, code in refusals:
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)
        assert answer.get_json()["error"]["message"]
    assert tus.patch(place, 500, b"x", **{"Content-Type": "text/plain"}).status_code == 415
    assert tus.patch(place, 500, b"x", **{"Upload-Offset": "-5"}).status_code == 400
    old = tus.patch(place, 500, b"x", **{"Tus-Resumable": "0.2.2"})
    assert (old.status_code, old.headers["Tus-Version"]) == (412, "1.0.0")
    assert part.read_bytes() == before
    sha1 = "sha1 " + base64.b64encode(hashlib.sha1(DATA[500:]).digest()).decode()
    assert tus.patch(place, 500, DATA[500:], checksum=sha1).status_code == 204
    assert stored(app, settings) == DATA


def test_racing_patches_are_byte_exact(
    app: Flask, tus: Tus, settings: Settings, client_of: Callable[[User], FlaskClient], world: World
) -> None:
    place = tus.begin(len(DATA)).headers["Location"]
    step, answers = len(DATA) // 25 + 1, []
    clients = [Tus(client_of(world.lin)) for _ in range(5)]
    for offset in range(0, len(DATA), step):
        block = DATA[offset : offset + step]

        def race(one: Tus, offset: int = offset, block: bytes = block) -> None:
            answers.append(one.patch(place, offset, block).status_code)

        threads = [threading.Thread(target=race, args=(one,)) for one in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 125
    assert set(answers) <= {204, 409, 423}
    assert answers.count(204) == 25
    assert stored(app, settings) == DATA
    assert len(rows(app, Transcription)) == 1


def test_the_same_key_is_the_same_upload(app: Flask, tus: Tus, stranger: Tus) -> None:
    key: dict[str, Any] = {"Idempotency-Key": "a" * 40}
    first, second = tus.begin(len(DATA), **key), tus.begin(len(DATA), **key)
    assert first.headers["Location"] == second.headers["Location"]
    assert stranger.begin(len(DATA), **key).headers["Location"] != first.headers["Location"]
    assert tus.begin(len(DATA) + 1, **key).status_code == 409
    assert tus.client.delete(first.headers["Location"]).status_code == 204
    assert tus.begin(len(DATA), **key).headers["Location"] != first.headers["Location"]
    assert tus.begin(len(DATA), **dict[str, Any]({"Idempotency-Key": "x" * 200})).status_code == 400


def test_giving_up_and_strangers(app: Flask, tus: Tus, stranger: Tus, settings: Settings) -> None:
    place = tus.begin(len(DATA)).headers["Location"]
    tus.patch(place, 0, DATA[:10])
    assert stranger.patch(place, 10, b"x").status_code == 404
    assert stranger.client.head(place).status_code == 404
    assert stranger.client.get(place).status_code == 404
    assert stranger.client.delete(place).status_code == 404
    assert tus.client.delete(place).status_code == 204
    assert tus.client.delete(place).status_code == 410
    assert tus.patch(place, 10, DATA[10:]).status_code == 410
    assert tus.client.head(place).status_code == 410
    assert list((settings.instance / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"owner_id": "x"}, "UNKNOWN_FIELD"),
        ({"state": "done"}, "UNKNOWN_FIELD"),
        ({"itn": "yes"}, "INVALID_VALUE"),
        ({"channels": "left"}, "INVALID_VALUE"),
        ({"vad": {"preset": "live"}}, "INVALID_VALUE"),
        ({"vad": {"preset": "general", "max_segment_ms": 10_000}}, "INVALID_VALUE"),
        ({"vad": {"preset": "custom", "max_segment_ms": 4_999}}, "INVALID_VALUE"),
        ({"vad": {"preset": "custom", "max_segment_ms": 60_001}}, "INVALID_VALUE"),
        ({"vad": {"preset": "custom", "end_silence_ms": 199}}, "INVALID_VALUE"),
        ({"vad": {"preset": "custom", "end_silence_ms": 3_001}}, "INVALID_VALUE"),
        ({"vad": {"preset": "custom", "threshold": 0.05}}, "INVALID_VALUE"),
        ({"vad": {"preset": "custom", "threshold": float("nan")}}, "INVALID_VALUE"),
        ({"vad": {"preset": "custom", "silence": 1}}, "UNKNOWN_FIELD"),
        ({"result": "both"}, "INVALID_VALUE"),
        ({"language": "http://x"}, "INVALID_VALUE"),
        ({"language": "abcdefgh-Abcdefgh"}, "INVALID_VALUE"),
        ({"speakers": 2}, "INVALID_VALUE"),
        ({"speaker_count": 21}, "INVALID_VALUE"),
        ({"hotword_strength": "strong"}, "INVALID_VALUE"),
        ({"replacements": []}, "UNKNOWN_FIELD"),
        ({"hotword_lists": ["../x"]}, "INVALID_VALUE"),
        ({"hotword_lists": ["6f2f1a3e-0000-4000-8000-000000000000"]}, "NOT_FOUND"),
        ({"hotwords": "http://127.0.0.1/x"}, "HOTWORD_REFUSED"),
    ],
)
def test_options_are_a_schema(app: Flask, tus: Tus, options: dict[str, object], code: str) -> None:
    answer = tus.begin(len(DATA), options=options)
    assert answer.get_json()["error"]["code"] == code
    assert rows(app, Upload) == []


def test_a_way_of_cutting_and_the_rest_are_kept_in_numbers(app: Flask, tus: Tus) -> None:
    chosen = {
        "vad": {"preset": "custom", "max_segment_ms": 12_000, "end_silence_ms": 450, "threshold": 0.7},
        "language": "yue",
        "speakers": True,
        "speaker_count": 3,
        "hotword_strength": "careful",
    }
    assert tus.send(DATA, options=chosen).status_code == 204
    assert tus.send(wav(1.0, seed=2), options={"vad": {"preset": "lecture"}}).status_code == 204
    kept = [row.options for row in rows(app, Transcription) if isinstance(row, Transcription)]
    assert kept[0] == {**DEFAULTS, **chosen}
    assert kept[1]["vad"] == {**DEFAULTS["vad"], "preset": "lecture", "max_segment_ms": 60_000}
    run = transcribe_options(kept[0], ("达摩院",))
    assert run.vad == VadOptions(12_000, 450, 0.7)
    assert (run.language, run.speakers, run.speaker_count, run.hotwords) == ("yue", True, 3, ("达摩院",))
    assert run.hotword_weight == 0.7
    assert transcribe_options({}) == TranscribeOptions()


def test_the_table_in_force_at_the_upload_is_noted(app: Flask, world: World, tus: Tus) -> None:
    with app.app_context():
        draft = editing.Draft("新兰", "星澜")
        editing.add(db.session(), actor(world.admin), world.research.id, draft, editing.Limits())
        db.session.commit()
    assert tus.send(DATA).status_code == 204
    assert tus.send(wav(1.0, seed=2), options={"result": "spans"}).status_code == 204
    kept = [row.options["replacements"] for row in rows(app, Transcription) if isinstance(row, Transcription)]
    assert kept == [[{"table_id": str(world.research.id), "name": world.research.name, "version": 1}], []]


def test_spans_need_no_hotwords(app: Flask, tus: Tus) -> None:
    assert tus.send(DATA, options={"result": "spans", "hotwords": "达摩院"}).status_code == 204
    (row,) = rows(app, Transcription)
    assert isinstance(row, Transcription)
    assert (row.options["result"], row.hotwords) == ("spans", [])
    assert transcribe_options(row.options).spans_only


def test_size_limits(app: Flask, tus: Tus, settings: Settings) -> None:
    assert tus.begin(0).get_json()["error"]["code"] == "UPLOAD_EMPTY"
    too_large = tus.begin(settings.upload_max_bytes + 1)
    assert (too_large.status_code, too_large.get_json()["error"]["code"]) == (413, "UPLOAD_TOO_LARGE")
    assert "2 GB" in too_large.get_json()["error"]["message"]
    abilities = tus.client.options("/uploads")
    assert abilities.headers["Tus-Max-Size"] == str(settings.upload_max_bytes)
    assert set(abilities.headers["Tus-Extension"].split(",")) == {"creation", "termination", "checksum", "expiration"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x00", "MEDIA_NOT_AUDIO"),
        ("这是文字，不是录音。".encode() * 50, "MEDIA_NOT_AUDIO"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "MEDIA_FORMAT_REFUSED"),
        (DATA[:30], None),
    ],
)
def test_what_is_no_recording_is_refused_and_nothing_is_left(
    app: Flask, tus: Tus, settings: Settings, content: bytes, code: str | None
) -> None:
    answer = tus.send(content, "会议.mp3")
    error = answer.get_json()["error"]
    assert answer.status_code == 422
    assert code is None or error["code"] == code
    assert error["message"]
    assert error["remedy"]
    (row,) = rows(app, Upload)
    assert isinstance(row, Upload)
    assert (row.state, row.error_code) == ("refused", error["code"])
    assert tus.client.get(f"/uploads/{row.id}").get_json()["error"]["message"] == error["message"]
    events = [event for event in rows(app, AuditEvent) if isinstance(event, AuditEvent)]
    assert (events[-1].action, events[-1].result, events[-1].reason) == ("upload.refuse", "refused", error["code"])
    assert [path for path in settings.instance.rglob("*") if path.suffix in (".part", ".bin")] == []
    english = tus.client.get(f"/uploads/{row.id}", headers={"Accept-Language": "en"})
    assert english.status_code == 200


@pytest.mark.parametrize("name", ["../../x.wav", "会" * 300 + ".wav", "\u202e会议.wav", "", "会\x00议\r\n.wav"])
def test_names_never_become_paths(app: Flask, tus: Tus, settings: Settings, name: str) -> None:
    before = set(settings.instance.parent.rglob("*"))
    assert tus.send(DATA, name).status_code == 204
    (row,) = rows(app, Recording)
    assert isinstance(row, Recording)
    new = set(settings.instance.parent.rglob("*")) - before
    inside = {settings.store_dir, settings.store_dir / str(row.id)[:2]}
    allowed = [Path("portal.sqlite3"), Path("uploads")]
    for path in new - inside:
        relative = path.relative_to(settings.instance)
        known = any(str(relative).startswith(str(prefix)) for prefix in allowed)
        assert known or str(row.id) in str(relative), relative
    assert row.title
    assert "/" not in row.original_name


def test_a_plain_form_does_the_same(app: Flask, tus: Tus, settings: Settings) -> None:
    answer = tus.client.post(
        "/uploads/form",
        data={
            "file": (io.BytesIO(DATA), "会议.wav"),
            "itn": "1",
            "channels": "mix",
            "hotwords": "达摩院",
            "vad_preset": "custom",
            "vad_max_segment": "12.5",
            "vad_end_silence": "",
            "vad_threshold": "0.3",
            "speakers": "1",
            "speaker_count": "2",
            "next": "/x",
        },
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/x")
    (attempt,) = rows(app, Transcription)
    assert isinstance(attempt, Transcription)
    assert attempt.options == {
        **DEFAULTS,
        "vad": {"preset": "custom", "max_segment_ms": 12_500, "end_silence_ms": None, "threshold": 0.3},
        "speakers": True,
        "speaker_count": 2,
    }
    assert stored(app, settings) == DATA
    refused = tus.client.post("/uploads/form", data={"file": (io.BytesIO(DATA), "会议.wav"), "owner_id": "1"})
    assert refused.status_code == 422
    for wrong in ("1e9", "x", "inf", "2.5"):
        data = {"file": (io.BytesIO(DATA), "会议.wav"), "speakers": "1", "speaker_count": wrong}
        assert tus.client.post("/uploads/form", data=data).status_code == 422
    assert tus.client.post("/uploads/form", data={}).status_code == 422


def test_other_offices_have_no_uploads(
    app: Flask, client_of: Callable[[User], FlaskClient], world: World, client: FlaskClient
) -> None:
    for user in (world.admin, world.auditor):
        assert Tus(client_of(user)).begin(10).status_code == 403
    assert Tus(client).begin(10).status_code == 401
