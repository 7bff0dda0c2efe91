"""What stopped halfway is put right, whoever does it and how often."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from portal.cli.demo import add_sample
from portal.db import utcnow
from portal.jobs import housekeeping
from portal.models import OutboxMessage, Recording, Transcription, Upload
from portal.services.integrations import outbox
from portal.services.recordings import recordings, uploads
from portal.services.recordings.options import UploadOptions
from tests.support.sounds import wav
from tests.support.workplace import Workplace
from tests.support.world import actor

pytestmark = pytest.mark.redis


@pytest.fixture
def house(place: Workplace) -> housekeeping.House:
    return housekeeping.House(place.settings, place.sessions)


def begin(place: Workplace) -> uuid.UUID:
    with place.sessions.begin() as session:
        row = uploads.begin(
            session, actor(place.world.lin), file_name="会议.wav", total_bytes=100, options=UploadOptions(),
            settings=place.settings, store=place.store,
        )  # fmt: skip
        return row.id


def test_uploads_past_their_time_go(place: Workplace, house: housekeeping.House) -> None:
    old, alive = begin(place), begin(place)
    for item in (old, alive):
        with place.store.append(item) as writer:
            writer.write_at(0, b"x" * 10)
    orphan = uuid.uuid4()
    with place.store.append(orphan) as writer:
        writer.write_at(0, b"x")
    for item in (orphan, alive):
        os.utime(place.settings.instance / "uploads" / f"{item}.part", (0, 0))
    with place.sessions.begin() as session:
        past = utcnow() - timedelta(seconds=1)
        session.execute(sa.update(Upload).where(Upload.id == old).values(expires_at=past))
    for _ in range(2):
        house.sweep_uploads()
    assert [path.stem for path in (place.settings.instance / "uploads").iterdir()] == [str(alive)]
    with place.sessions() as session:
        assert session.get_one(Upload, old).state == "expired"


def test_a_file_adopted_right_before_the_machine_stopped_goes_with_its_upload(
    place: Workplace, house: housekeeping.House
) -> None:
    expires, given_up = begin(place), begin(place)
    for item in (expires, given_up):
        with place.store.append(item) as writer:
            writer.write_at(0, b"x")
        place.store.adopt(item)  # and the commit that should follow never came
    with place.sessions.begin() as session:
        uploads.cancel(session, actor(place.world.lin), given_up, place.store)
    with place.sessions.begin() as session:
        past = utcnow() - timedelta(seconds=1)
        session.execute(sa.update(Upload).where(Upload.id == expires).values(expires_at=past))
    house.sweep_uploads()
    assert list(place.settings.store_dir.glob("*/*")) == []


def test_erasing_is_promised_and_kept_even_when_it_fails_at_first(
    place: Workplace, house: housekeeping.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id = place.row(place.submit(place.world.lin)).recording_id
    with place.sessions.begin() as session:
        recordings.delete(session, actor(place.world.lin), recording_id)
    with monkeypatch.context() as broken:
        broken.setattr(type(place.store), "erase", lambda *_: (_ for _ in ()).throw(OSError("disk away")))
        house.carry_out_effects()
    with place.sessions.begin() as session:
        (row,) = session.scalars(sa.select(OutboxMessage).where(OutboxMessage.topic == recordings.ERASE))
        assert (row.done_at, row.attempts, row.last_error) == (None, 1, "OSError")
        assert row.next_at > utcnow()
        row.next_at = utcnow()
    assert list(place.settings.store_dir.glob("*/*"))
    for _ in range(2):
        house.carry_out_effects()
    assert list(place.settings.store_dir.glob("*/*")) == []
    with place.sessions() as session:
        assert session.get_one(Recording, recording_id).erased_at is not None
        assert outbox.due(session) == []


def test_five_hundred_lost_rings_come_back_at_once(place: Workplace, house: housekeeping.House) -> None:
    item = place.submit(place.world.lin)
    first = place.row(item)
    old = utcnow() - timedelta(seconds=60)
    rows = [
        {"id": uuid.uuid4(), "recording_id": first.recording_id, "owner_id": first.owner_id, "rung_at": old}
        for _ in range(499)
    ]
    with place.sessions.begin() as session:
        session.execute(sa.insert(Transcription), rows)
        session.execute(sa.update(Transcription).values(rung_at=old))
    place.redis.flush()
    began = time.monotonic()
    for _ in range(3):
        house.ring_again()
    assert time.monotonic() - began < 10
    with place.redis.client() as client:
        assert client.llen("rq:queue:transcribe") == 500


def test_nothing_happens_while_redis_is_away(place: Workplace, house: housekeeping.House) -> None:
    place.redis.kill()
    item = place.submit(place.world.lin)
    house.ring_again()
    place.redis.start()
    with place.sessions.begin() as session:
        session.execute(sa.update(Transcription).values(rung_at=utcnow() - timedelta(seconds=60)))
    house.ring_again()
    with place.redis.client() as client:
        assert client.llen("rq:queue:transcribe") == 1
    assert place.row(item).state == "queued"


def test_a_duty_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def fail() -> None:
        raise RuntimeError("broken")

    tasks = [housekeeping.Task("one", 5, fail), housekeeping.Task("two", 5, lambda: done.append("two"))]
    housekeeping.run_due(tasks, 100.0)
    housekeeping.run_due(tasks, 104.0)
    housekeeping.run_due(tasks, 105.0)
    assert done == ["two", "two"]
    assert caplog.text.count("housekeeping one") == 2


def test_the_sample_goes_through_the_services(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sample = tmp_path / "sample.wav"
    sample.write_bytes(wav(1.0))
    monkeypatch.setattr("portal.cli.demo.SAMPLE", sample)
    for _ in range(2):
        add_sample(place.settings, "lin")
    with place.sessions() as session:
        (row,) = session.scalars(sa.select(Transcription))
        assert (row.state, row.owner_id, row.recording.title) == ("queued", place.world.lin.id, "示例录音")
    with pytest.raises(LookupError):
        add_sample(place.settings, "nobody")
