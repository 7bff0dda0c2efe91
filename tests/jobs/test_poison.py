"""An engine that dies under several recordings: the one to blame ends as POISON, the others are not charged."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from portal.asr.engine.fake import SEGMENT_MS, marker
from portal.models import AuditEvent
from tests.support.sounds import pcm, wav
from tests.support.workplace import Workplace

pytestmark = [pytest.mark.redis, pytest.mark.processes]


@contextmanager
def always_an_engine(place: Workplace, *arguments: str) -> Iterator[list[int]]:
    """An engine that is started again whenever it has ended; yields the exit statuses so far."""
    statuses: list[int] = []
    enough = threading.Event()
    engine: list[subprocess.Popen[bytes]] = [place.start_engine(0.01, *arguments)]

    def watch() -> None:
        while not enough.wait(0.05):
            status = engine[-1].poll()
            if status is not None:
                statuses.append(status)
                engine.append(place.start_engine(0.01, *arguments))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield statuses
    finally:
        enough.set()
        thread.join(30)


def poisoned(mode: str) -> bytes:
    """A recording of which the second ten seconds make the engine fail."""
    size = SEGMENT_MS * 32
    return wav(samples=pcm(10, 50) + (marker(mode) + pcm(10, 51))[:size] + pcm(5, 52))


def reasons(place: Workplace, item: object) -> list[str | None]:
    with place.sessions() as session:
        query = sa.select(AuditEvent.reason).where(AuditEvent.object_id == str(item)).order_by(AuditEvent.seq)
        return list(session.scalars(query))


@pytest.mark.parametrize(("mode", "arguments"), [("abort", ()), ("hang", ("--heartbeat-s", "0.2", "--stall-s", "3"))])
def test_poison_ends_alone_and_its_mates_are_not_charged(
    place: Workplace, mode: str, arguments: tuple[str, ...]
) -> None:
    with always_an_engine(place, *arguments) as statuses:
        mates = [place.submit(person, 60.0, seed=n) for n, person in enumerate((place.world.lin, place.world.wang))]
        bad = place.submit(place.world.zhao, content=poisoned(mode))
        place.start_housekeeping()
        for _ in range(3):
            place.start_worker()
        place.until_state(bad, "failed", 60)
        for mate in mates:
            place.until_state(mate, "done", 60)
    row = place.row(bad)
    assert row.error_code == "POISON"
    assert row.attempt == 1
    assert 2 <= len(statuses) <= 3
    assert row.interruptions == len(statuses)
    for mate in mates:
        found = place.row(mate)
        assert found.attempt == 1
        assert len(place.texts(mate)) == 1
    assert set(reasons(place, bad)) == {None, "ENGINE_UNAVAILABLE", "POISON"}


def test_what_was_done_for_lack_of_memory_is_kept_with_the_text(place: Workplace) -> None:
    place.start_engine()
    place.start_worker()
    size = SEGMENT_MS * 32
    parts = [(marker(mode) + pcm(10, n))[:size] for n, mode in enumerate(("oom-long", "oom-always", "empty", "empty"))]
    item = place.submit(place.world.lin, content=wav(samples=b"".join(parts) + pcm(10, 9)))
    place.until_state(item, "done")
    assert place.row(item).warnings == ["OOM_CPU:1", "OOM_SPLIT:1", "SEGMENT_EMPTY:2"]


def test_speech_without_any_words_is_no_silent_success(place: Workplace) -> None:
    place.start_engine()
    place.start_worker()
    item = place.submit(place.world.lin, content=wav(samples=(marker("empty") + pcm(10, 1))[: SEGMENT_MS * 32]))
    place.until_state(item, "not_recognised")
    row = place.row(item)
    assert (row.error_code, row.warnings) == ("NOT_RECOGNISED", ["SEGMENT_EMPTY:1"])


def test_an_engine_without_memory_is_asked_again_later(place: Workplace) -> None:
    place.start_engine(0.0, "--no-cpu-rescue")
    place.start_worker()
    content = wav(samples=(marker("oom-always") + pcm(10, 1))[: SEGMENT_MS * 32])
    item = place.submit(place.world.lin, content=content)
    began = time.monotonic()
    place.until_state(item, "failed", 40)
    assert place.row(item).error_code == "ATTEMPTS_EXHAUSTED"
    assert "ENGINE_NO_MEMORY" in reasons(place, item)
    assert time.monotonic() - began < 40
