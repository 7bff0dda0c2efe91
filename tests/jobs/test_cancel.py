"""Stopping what waits and what runs."""

from __future__ import annotations

import time

import pytest

from portal.errors import PortalError
from portal.services.recognition import transcriptions
from portal.services.recordings import recordings
from tests.support.workplace import Workplace
from tests.support.world import actor

pytestmark = [pytest.mark.redis, pytest.mark.processes]


def test_a_running_one_stops_within_five_seconds_and_runs_again_on_retry(place: Workplace) -> None:
    engine = place.start_engine(0.1)
    place.start_worker()
    lin = actor(place.world.lin)
    item = place.submit(place.world.lin, 300.0, seed=1)
    place.until_recognising(item)
    with place.sessions.begin() as session:
        transcriptions.cancel(session, lin, item)
    assert place.until_state(item, "cancelled", 10) < 5
    assert place.texts(item) == []
    assert place.row(item).error_code == "CANCELLED"
    engine.kill()
    place.start_engine(0.0)
    with place.sessions.begin() as session:
        transcriptions.retry(session, lin, item, settings=place.settings)
    place.until_state(item, "done")
    assert len(place.texts(item)) == 1
    assert place.audited(item) == [
        "transcription.start",
        "transcription.cancel",
        "transcription.finish",
        "transcription.retry",
        "transcription.finish",
    ]


def test_a_waiting_one_stops_at_once_and_twice_is_refused(place: Workplace) -> None:
    item = place.submit(place.world.lin)
    lin = actor(place.world.lin)
    with place.sessions.begin() as session:
        transcriptions.cancel(session, lin, item)
    assert place.row(item).state == "cancelled"
    with pytest.raises(PortalError, match="WRONG_STATE"), place.sessions.begin() as session:
        transcriptions.cancel(session, lin, item)


def test_deleting_a_running_recording_leaves_neither_text_nor_file(place: Workplace) -> None:
    place.start_engine(0.1)
    place.start_worker()
    place.start_housekeeping()
    item = place.submit(place.world.lin, 60.0, seed=2)
    place.until_recognising(item)
    recording_id = place.row(item).recording_id
    with place.sessions.begin() as session:
        recordings.delete(session, actor(place.world.lin), recording_id)
    place.until(lambda: "transcription.discard" in place.audited(item), 10)
    place.until(lambda: not list(place.settings.store_dir.glob(f"*/{recording_id}")), 10)
    time.sleep(0.5)
    assert place.texts(item) == []
    assert place.row(item).state == "cancelled"
    assert place.row(item).recording.erased_at is not None
