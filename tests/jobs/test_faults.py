"""What dies in the middle of a recording, and what is lost in Redis: the recording ends with exactly one text."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from portal import queues
from tests.support.running import alive, descendants
from tests.support.workplace import Workplace

pytestmark = [pytest.mark.redis, pytest.mark.processes]

LONG_S = 40.0
"""Sound of the recordings that are interrupted; the fake engine below takes a tenth of it."""
RTF = 0.1


def horses(worker: subprocess.Popen[bytes]) -> set[int]:
    return descendants(worker.pid)


def test_kill_worker_and_horse(any_place: Workplace) -> None:
    place = any_place
    place.start_engine(RTF)
    place.start_housekeeping()
    worker = place.start_worker()
    item = place.submit(place.world.lin, LONG_S, seed=3)
    place.until_recognising(item)
    victims = horses(worker)
    assert victims
    for pid in (worker.pid, *victims):
        os.kill(pid, signal.SIGKILL)
    worker.wait()
    place.start_worker()
    assert place.until_state(item, "done", 40) < 40
    assert len(place.texts(item)) == 1
    assert place.row(item).attempt == 2
    assert place.audited(item) == ["transcription.start", "transcription.requeue", "transcription.finish"]


def test_kill_the_worker_alone_and_its_horse_dies_too(place: Workplace) -> None:
    place.start_engine(RTF)
    worker = place.start_worker()
    item = place.submit(place.world.lin, LONG_S, seed=4)
    place.until(lambda: place.row(item).state == "running" and bool(horses(worker)))
    children = horses(worker)
    worker.kill()
    worker.wait()
    place.until(lambda: not any(alive(pid) for pid in children), 5)
    place.start_housekeeping()
    place.start_worker()
    place.until_state(item, "done", 30)
    assert len(place.texts(item)) == 1


def test_kill_the_engine(any_place: Workplace) -> None:
    place = any_place
    engine = place.start_engine(RTF)
    place.start_housekeeping()
    place.start_worker()
    item = place.submit(place.world.lin, LONG_S, seed=5)
    place.until_recognising(item)
    engine.kill()
    engine.wait()
    time.sleep(1.0)
    place.start_engine(0.0)
    place.until_state(item, "done", 30)
    assert len(place.texts(item)) == 1
    assert place.audited(item)[-1] == "transcription.finish"


def test_a_frozen_horse_wakes_up_too_late_and_its_work_is_thrown_away(place: Workplace) -> None:
    place.start_engine(RTF)
    frozen = place.start_worker()
    item = place.submit(place.world.lin, LONG_S, seed=6)
    place.until(lambda: place.row(item).state == "running" and bool(horses(frozen)))
    sleepers = [frozen.pid, *horses(frozen)]
    for pid in sleepers:
        os.kill(pid, signal.SIGSTOP)
    place.start_housekeeping()
    place.start_worker()
    place.until_state(item, "done", 30)
    for pid in reversed(sleepers):
        os.kill(pid, signal.SIGCONT)
    place.until(lambda: "transcription.discard" in place.audited(item), 20)
    assert len(place.texts(item)) == 1
    assert place.audited(item).count("transcription.finish") == 1


def test_redis_loses_everything(place: Workplace) -> None:
    place.start_engine()
    items = [place.submit(place.world.lin, 0.5, seed=n) for n in range(12)]
    place.redis.flush()
    place.start_housekeeping()
    place.start_worker()
    place.until(lambda: all(place.row(item).state == "done" for item in items), 40)


def test_redis_is_killed_in_the_middle_and_comes_back_empty(place: Workplace) -> None:
    place.start_engine(RTF)
    place.start_housekeeping()
    worker = place.start_worker()
    running = place.submit(place.world.lin, LONG_S, seed=7)
    place.until_state(running, "running")
    place.redis.kill()
    began = time.monotonic()
    waiting = place.submit(place.world.zhao, 1.0, seed=8)
    assert time.monotonic() - began < 3.0, "submitting waited for Redis"
    time.sleep(0.5)
    place.redis.start()
    place.until_state(running, "done", 30)
    place.until_state(waiting, "done", 30)
    assert worker.poll() is None
    assert place.row(running).attempt == 1
    again = place.submit(place.world.zhao, 1.0, seed=9)
    place.until_state(again, "done", 30)


def test_a_pickle_in_redis_runs_nothing(place: Workplace) -> None:
    place.start_engine()
    worker = place.start_worker()
    proof = place.settings.instance / "pickled"
    body = f"cos\nsystem\n(S'touch {proof}'\ntR.".encode()
    with place.redis.client() as client:
        client.hset("rq:job:evil", mapping={"data": body, "status": "queued", "created_at": "2026-01-01T00:00:00Z"})
        client.rpush(queues.queue_on(client).key, "evil")
    item = place.submit(place.world.lin)
    place.start_housekeeping()
    place.until_state(item, "done")
    assert not proof.exists()
    assert worker.poll() is None


def test_rings_three_times_and_three_houses_make_one_run(place: Workplace) -> None:
    place.start_engine()
    items = [place.submit(place.world.lin, 0.5, seed=n) for n in range(5)]
    for _ in range(3):
        queues.ring_many(place.settings, items)
    for _ in range(3):
        place.start_housekeeping()
    place.start_worker()
    place.start_worker()
    place.until(lambda: all(place.row(item).state == "done" for item in items), 40)
    for item in items:
        assert place.row(item).attempt == 1
        assert len(place.texts(item)) == 1
        assert place.audited(item) == ["transcription.start", "transcription.finish"]


def test_the_engine_is_away_at_first_and_nothing_is_counted(place_with: Callable[..., Workplace]) -> None:
    place = place_with()
    place.start_worker()
    item = place.submit(place.world.lin)
    place.until_state(item, "running")
    time.sleep(1.5)
    place.start_engine()
    place.until_state(item, "done")
    assert place.row(item).attempt == 1


@pytest.mark.parametrize("seconds", [LONG_S * 10])
def test_sigterm_hands_the_lease_back_in_time(place: Workplace, seconds: float) -> None:
    place.start_engine(RTF)
    worker = place.start_worker()
    item = place.submit(place.world.lin, seconds, seed=10)
    place.until_recognising(item)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(20)
    assert time.monotonic() - began < 14
    row = place.row(item)
    assert (row.state, row.attempt) == ("queued", 0)


def test_sigterm_while_idle_and_while_redis_is_away(place: Workplace) -> None:
    worker = place.start_worker()
    place.until(lambda: b"rq:worker" in b"".join(_keys(place)), 15)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    other = place.start_worker()
    place.until(lambda: b"rq:worker" in b"".join(_keys(place)), 15)
    place.redis.kill()
    time.sleep(0.5)
    other.send_signal(signal.SIGTERM)
    other.wait(14)


def _keys(place: Workplace) -> list[bytes]:
    with place.redis.client() as client:
        return [bytes(key) for key in client.smembers("rq:workers")]
