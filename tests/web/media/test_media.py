"""Listening: ranges, types, rights, and one audit row for one listening."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.db import db
from portal.models import AuditEvent, Recording, User
from portal.services.recordings import playback
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.playback import mimetype_of
from portal.settings import Settings
from tests.support.sounds import wav
from tests.support.world import World

DATA = wav(1.0, seed=1)


@pytest.fixture
def recording_id(app: Flask, world: World, settings: Settings) -> uuid.UUID:
    """A recording of Lin's, with its waveform."""
    item, store = uuid.uuid4(), FileStore.of(settings)
    with store.append(item) as writer:
        writer.write_at(0, DATA)
    store.adopt(item)
    store.write_peaks(item, bytes([0, 127, 64]))
    with app.app_context():
        db.session.add(
            Recording(
                id=item, owner_id=world.lin.id, title="会议", original_name="<b>.html", bytes=len(DATA),
                sha256=hashlib.sha256(DATA).hexdigest(), container="wav", duration_ms=1000,
            )
        )  # fmt: skip
        db.session.commit()
    return item


def plays(app: Flask) -> int:
    with app.app_context():
        query = sa.select(sa.func.count()).where(AuditEvent.action == "recording.play")
        return int(db.session.scalar(query) or 0)


def test_ranges(app: Flask, client_of: Callable[[User], FlaskClient], world: World, recording_id: uuid.UUID) -> None:
    client, place = client_of(world.lin), f"/recordings/{recording_id}/audio"
    whole = client.get(place, buffered=True)
    assert (whole.status_code, whole.data, whole.mimetype) == (200, DATA, "audio/wav")
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Content-Disposition"] == "inline"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    for asked, begin, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, len(DATA)),
        ("bytes=-7", len(DATA) - 7, len(DATA)),
    ):
        part = client.get(place, buffered=True, headers={"Range": asked})
        assert (part.status_code, part.data) == (206, DATA[begin:end])
        assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(DATA)}"
    assert client.get(place, buffered=True, headers={"Range": f"bytes={len(DATA)}-"}).status_code == 416
    assert client.get(place, buffered=True, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert plays(app) == 1
    client_of(world.lin).get(place, buffered=True)
    assert plays(app) == 2, "another browser session is another listening"


def test_strangers_and_other_offices(
    client_of: Callable[[User], FlaskClient], client: FlaskClient, world: World, recording_id: uuid.UUID
) -> None:
    for path in ("audio", "peaks.json"):
        place = f"/recordings/{recording_id}/{path}"
        assert client_of(world.wang).get(place).status_code == 404
        assert client_of(world.admin).get(place).status_code == 403
        assert client_of(world.auditor).get(place).status_code == 403
        assert client.get(place, buffered=True, headers={"Accept": "application/json"}).status_code == 401
    assert client_of(world.lin).get(f"/recordings/{uuid.uuid4()}/audio").status_code == 404


def test_a_commit_that_fails_leaves_no_file_open(
    app: Flask,
    client_of: Callable[[User], FlaskClient],
    world: World,
    recording_id: uuid.UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, opened = client_of(world.lin), []
    listen = playback.listen

    def keep(*arguments: Any) -> playback.Playback:
        opened.append(listen(*arguments))
        monkeypatch.setattr(Session, "commit", refuse)
        return opened[0]

    def refuse(_session: Session) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    monkeypatch.setattr(playback, "listen", keep)
    with pytest.raises(sa.exc.OperationalError):  # outside of tests it becomes an error page
        client.get(f"/recordings/{recording_id}/audio")
    assert opened[0].reader.closed


def test_waveform(client_of: Callable[[User], FlaskClient], world: World, recording_id: uuid.UUID) -> None:
    answer = client_of(world.lin).get(f"/recordings/{recording_id}/peaks.json")
    assert answer.get_json() == {"duration_ms": 1000, "peaks": [0.0, 1.0, 0.504]}


def test_a_missing_file_is_said(
    client_of: Callable[[User], FlaskClient], world: World, settings: Settings, recording_id: uuid.UUID
) -> None:
    FileStore.of(settings).erase(recording_id)
    answer = client_of(world.lin).get(f"/recordings/{recording_id}/audio", headers={"Accept": "application/json"})
    assert answer.get_json()["error"]["code"] == "FILE_MISSING"


@pytest.mark.parametrize(
    ("container", "mimetype"),
    [
        ("mov,mp4,m4a", "video/mp4"),
        ("mp3", "audio/mpeg"),
        ("html", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_types_come_from_the_content(container: str | None, mimetype: str) -> None:
    assert mimetype_of(container) == mimetype
