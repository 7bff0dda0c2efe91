"""Switching, loading again and unloading over the real socket, while recordings run."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import EngineStatus, RecordingOptions
from portal.asr.engine.fake import expected_text, fake_model
from portal.asr.errors import EngineBusy, EngineFailed, EngineUnavailable
from tests.engine.support import Running, engine, recognise, text_of, wait_ready

SECOND = 32_000
NEXT = fake_model(name="next").digest
NAMES = "fake,next,broken,missing,large"


def noise(seconds: float, seed: int) -> bytes:
    return random.Random(seed).randbytes(int(seconds * SECOND) // 2 * 2)


def until(client: EngineClient, wanted: Callable[[EngineStatus], bool], seconds: float = 10.0) -> EngineStatus:
    deadline = time.monotonic() + seconds
    while not wanted(status := client.status()):
        assert time.monotonic() < deadline, status
        time.sleep(0.03)
    return status


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Running]:
    """An engine that knows several models and pretends to be a GPU."""
    with engine("fake", tmp_path, ["--models", NAMES, "--gpu", "--heartbeat-s", "0.2"]) as running:
        wait_ready(running)
        yield running


def test_a_switch_serves_the_next_recording_and_leaves_the_running_one_its_model(two: Running) -> None:
    pcm = noise(35, 1)
    with two.client.open(options=RecordingOptions()) as before:
        before.push(pcm[: 15 * SECOND])
        change = two.client.until_changed(two.client.start_switch(NEXT), 10)
        assert (change.step, change.code, change.model) == ("done", "", NEXT)
        with two.client.open(options=RecordingOptions()) as after:
            after.push(pcm)
            after.finish()
            assert text_of(list(after.results())) == expected_text(pcm, model="next")
            assert after.model.name == "next"
        assert two.client.status().old_models == 1
        time.sleep(1.2)  # the engine looks twice a second for models that nobody uses
        before.push(pcm[15 * SECOND :])
        before.finish()
        assert text_of(list(before.results())) == expected_text(pcm)
        assert before.model.name == "fake"
        assert before.punctuate(["甲"]) == ["。"]
    status = until(two.client, lambda now: now.old_models == 0)
    assert status.model.digest == NEXT
    assert status.state == "ready"
    assert status.canary is not None
    assert status.canary.passed
    assert expected_text(pcm) != expected_text(pcm, model="next")


def test_no_transcript_mixes_models_under_switches_back_and_forth(two: Running) -> None:
    stop = threading.Event()
    wrong: list[str] = []
    seen: set[str] = set()

    def keep_recognising(seed: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            pcm = noise(random.Random(seed + number).uniform(3, 40), seed * 1000 + number)
            with EngineClient(two.socket, timeout_s=20).open(options=RecordingOptions()) as recording:
                recording.push(pcm)
                recording.finish()
                text = text_of(list(recording.results()))
                seen.add(recording.model.name)
                if text != expected_text(pcm, model=recording.model.name):
                    wrong.append(recording.model.name)

    threads = [threading.Thread(target=keep_recognising, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for target in ("next", "fake") * 4:
        change = two.client.until_changed(two.client.start_switch(fake_model(name=target).digest), 20)
        assert change.step == "done", change
    stop.set()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert seen == {"fake", "next"}


@pytest.mark.parametrize(
    ("name", "code"), [("broken", "MODEL_CANARY"), ("missing", "MODEL_MISSING_FILE"), ("large", "ENGINE_NO_ROOM")]
)
def test_a_switch_that_fails_leaves_the_old_model_at_work(two: Running, name: str, code: str) -> None:
    pcm = noise(5, 2)
    change = two.client.until_changed(two.client.start_switch(fake_model(name=name).digest), 10)
    assert (change.step, change.code) == ("failed", code)
    status = two.client.status()
    assert (status.ready, status.state, status.model.name) == (True, "ready", "fake")
    assert text_of(recognise(two.client, pcm)) == expected_text(pcm)


def test_only_known_models_can_be_named(two: Running) -> None:
    with pytest.raises(EngineFailed) as refused:
        two.client.start_switch("0" * 64)
    assert refused.value.code == "MODEL_UNKNOWN"
    assert two.client.status().change is None


def test_one_change_at_a_time(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--models", NAMES, "--load-s", "1.5"]) as running:
        wait_ready(running)
        first = running.client.start_switch(NEXT)
        with pytest.raises(EngineBusy) as refused:
            running.client.start_load()
        assert refused.value.code == "ENGINE_CHANGING"
        pcm = noise(12, 3)
        assert text_of(recognise(running.client, pcm)) == expected_text(pcm), "work goes on while the other one loads"
        assert running.client.until_changed(first, 10).step == "done"


def test_unloaded_models_stay_away_until_they_are_loaded_again(two: Running) -> None:
    change = two.client.until_changed(two.client.start_unload(), 10)
    assert change.step == "done"
    assert change.before_bytes is not None
    assert change.after_bytes is not None
    assert change.after_bytes < change.before_bytes
    status = two.client.status()
    assert (status.state, status.ready) == ("unloaded", False)
    assert status.memory.total_bytes, "the page still shows the device"
    with pytest.raises(EngineUnavailable):
        two.client.open(options=RecordingOptions())
    with pytest.raises(EngineUnavailable):
        two.client.clear_cache()
    assert two.client.until_changed(two.client.start_load(), 10).step == "done"
    pcm = noise(5, 4)
    assert text_of(recognise(two.client, pcm)) == expected_text(pcm)
    assert two.client.status().load_seconds is not None


def test_a_load_that_fails_leaves_the_models_unloaded(tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.write_text("fake")
    with engine("fake", tmp_path, ["--models", NAMES, "--current", str(current)]) as running:
        wait_ready(running)
        running.client.until_changed(running.client.start_unload(), 10)
        current.write_text("broken")
        change = running.client.until_changed(running.client.start_load(), 10)
        assert (change.step, change.code) == ("failed", "MODEL_CANARY")
        assert running.client.status().state == "unloaded"
        current.write_text("next")
        assert running.client.until_changed(running.client.start_load(), 10).step == "done"


def test_models_that_do_not_wake_are_tried_again(tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.write_text("fake")
    arguments = ["--models", NAMES, "--current", str(current), "--idle-unload-s", "0.3"]
    with engine("fake", tmp_path, arguments) as running:
        wait_ready(running)
        until(running.client, lambda now: now.state == "asleep")
        current.write_text("large")
        with pytest.raises(EngineUnavailable):
            running.client.open(options=RecordingOptions())
        status = running.client.status()
        assert (status.state, status.ready) == ("unloaded", False), "workers keep their recordings in the queue"
        assert status.change is not None
        assert status.change.code == "ENGINE_NO_ROOM"
        current.write_text("fake")
        until(running.client, lambda now: now.change is not None and now.change.step == "done", 40)


def test_unloading_refuses_while_somebody_is_recognised_or_waits_for_them(two: Running) -> None:
    pcm = noise(12, 5)
    with two.client.open(options=RecordingOptions()) as recording:
        recording.push(pcm)
        with pytest.raises(EngineFailed) as refused:
            two.client.start_unload()
        assert refused.value.code == "ENGINE_IN_USE"
        waiting = two.client.start_unload(wait=True)
        until(two.client, lambda now: now.state == "unloading")
        with pytest.raises(EngineUnavailable):
            EngineClient(two.socket).open(options=RecordingOptions())
        recording.finish()
        assert text_of(list(recording.results())) == expected_text(pcm)
    assert two.client.until_changed(waiting, 10).step == "done"
    assert two.client.status().state == "unloaded"


def test_an_unload_that_waits_is_called_off_by_loading(two: Running) -> None:
    with two.client.open(options=RecordingOptions()) as recording:
        recording.push(noise(1, 6))
        waiting = two.client.start_unload(wait=True)
        until(two.client, lambda now: now.change is not None and now.change.step == "waiting")
        two.client.start_load()
        ended = two.client.until_changed(waiting, 10)
        assert (ended.step, ended.code) == ("failed", "CANCELLED")
        pcm = noise(4, 7)
        assert text_of(recognise(EngineClient(two.socket), pcm)) == expected_text(pcm)


def test_idle_models_leave_and_the_next_recording_brings_them_back(tmp_path: Path) -> None:
    arguments = ["--idle-unload-s", "0.5", "--load-s", "0.7", "--heartbeat-s", "0.2", "--gpu"]
    with engine("fake", tmp_path, arguments, timeout_s=0.6) as running:
        wait_ready(running)
        status = until(running.client, lambda now: now.state == "asleep")
        assert status.ready, "workers may open recordings"
        assert status.change is not None
        assert status.change.action == "idle_unload"
        pcm = noise(5, 8)
        # the client hears nothing but signs of life for longer than its own patience
        assert text_of(recognise(running.client, pcm)) == expected_text(pcm)
        woken = running.client.status().change
        assert woken is not None
        assert (woken.action, woken.step) == ("wake", "done")
        until(running.client, lambda now: now.state == "asleep")


def test_loading_again_follows_the_configuration(tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.write_text("fake")
    with engine("fake", tmp_path, ["--models", NAMES, "--current", str(current)]) as running:
        wait_ready(running)
        assert running.client.until_changed(running.client.start_load(), 10).model == fake_model().digest
        current.write_text("next")
        assert running.client.until_changed(running.client.start_load(), 10).step == "done"
        assert running.client.status().model.name == "next"


def test_the_last_hour_is_kept(two: Running) -> None:
    deadline = time.monotonic() + 10
    while not (rows := two.client.history()) and time.monotonic() < deadline:
        time.sleep(0.1)
    at, used, reserved, other, free, utilisation, temperature, rss = rows[-1]
    assert at is not None
    assert abs(at - time.time()) < 30
    assert (used, reserved, other, free) == (2 << 30, 4 << 30, 3 << 30, 17 << 30)
    assert (utilisation, temperature) == (37, 54)
    assert rss
