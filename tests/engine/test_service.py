"""The engine process over its real socket, with the fake models: what callers meet when things go wrong."""

from __future__ import annotations

import os
import random
import signal
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.asr.engine.client import EngineClient, EngineRecording
from portal.asr.engine.connection import is_allowed
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.fake import SEGMENT_MS, expected_text, marker
from portal.asr.errors import EngineFailed, EngineUnavailable, ProtocolError
from portal.asr.types import Segment
from tests.engine.support import Running, engine, recognise, text_of, wait_ready

SECOND = 32_000
PIECE = SEGMENT_MS * 32


def noise(seconds: float, seed: int) -> bytes:
    return random.Random(seed).randbytes(int(seconds * SECOND) // 2 * 2)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with engine("fake", tmp_path_factory.mktemp("fake")) as running:
        wait_ready(running)
        yield running


def test_the_text_belongs_to_the_samples_whatever_the_pieces(fake: Running) -> None:
    pcm = noise(47.3, 1)
    for step in (2_000, 100_002, 1 << 21):
        assert text_of(recognise(fake.client, pcm, step=step)) == expected_text(pcm)


def test_a_long_recording_is_pushed_without_reading_a_result(fake: Running) -> None:
    pcm = noise(60, 2) * 30
    with fake.client.open(options=RecordingOptions()) as recording:
        recording.push(pcm[: 2 << 20])
        for start in range(2 << 20, len(pcm), 2 << 20):
            recording.push(pcm[start : start + (2 << 20)])
        recording.finish()
        segments = list(recording.results())
        assert text_of(segments) == expected_text(pcm)
        assert recording.audio_ms == recording.done_ms == recording.speech_ms == 30 * 60_000
        assert [s.begin_ms for s in segments] == sorted(s.begin_ms for s in segments)
        marks = recording.punctuate([w.text for s in segments for w in s.words])
        assert marks[-1] == "。"
        assert marks[9] == "，"
    assert fake.client.status().rss_bytes < 120 << 20


def test_silence_has_no_segments(fake: Running) -> None:
    with fake.client.open(options=RecordingOptions()) as recording:
        recording.push(bytes(25 * SECOND))
        recording.finish()
        assert list(recording.results()) == []
        assert (recording.audio_ms, recording.speech_ms) == (25_000, 0)


def test_an_empty_recording_ends(fake: Running) -> None:
    assert recognise(fake.client, b"") == []


def test_poll_never_waits(fake: Running) -> None:
    with fake.client.open(options=RecordingOptions()) as recording:
        assert recording.poll() == []
        recording.push(noise(30, 3))
        deadline = time.monotonic() + 5
        got: list[Segment] = []
        while len(got) < 3 and time.monotonic() < deadline:
            got += recording.poll()
        assert len(got) == 3


def test_two_clients_with_different_hotwords_never_mix(fake: Running) -> None:
    results: dict[str, set[str]] = {"甲甲": set(), "乙乙": set()}

    def work(word: str, seed: int) -> None:
        for turn in range(8):
            pcm = noise(21, seed + turn)
            assert text_of(recognise(fake.client, pcm, (word,))) == expected_text(pcm, (word,))
            results[word].add(word)

    threads = [threading.Thread(target=work, args=(word, n * 100)) for n, word in enumerate(results)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(results.values())


def test_refused_hotwords_open_nothing(fake: Running) -> None:
    with pytest.raises(EngineFailed) as refusal:
        fake.client.open(options=RecordingOptions(hotwords=("http://x",)))
    assert refusal.value.code == "HOTWORD_REFUSED"
    assert fake.client.status().running_recordings == 0
    assert "http" not in fake.log.read_text()


def test_the_socket_is_for_the_group_and_the_own_user(fake: Running) -> None:
    assert stat.S_IMODE(fake.socket.stat().st_mode) == 0o660
    assert is_allowed(os.geteuid(), frozenset({os.geteuid()}))
    assert not is_allowed(12_345, frozenset({os.geteuid()}))
    assert not is_allowed(None, frozenset({os.geteuid()}))


@pytest.mark.parametrize("mode", ["empty", "nan", "oom", "garbage"])
def test_a_faulty_segment_touches_only_its_own_recording(fake: Running, mode: str) -> None:
    good = noise(40, 5)
    bad = noise(10, 6) + (marker(mode) + noise(10, 7))[:PIECE] + noise(10, 8)
    outcome: dict[str, str] = {}

    def run(name: str, pcm: bytes) -> None:
        try:
            outcome[name] = text_of(recognise(fake.client, pcm))
        except EngineFailed as error:
            outcome[name] = error.code

    threads = [threading.Thread(target=run, args=pair) for pair in (("good", good), ("bad", bad))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcome["good"] == expected_text(good)
    whole = expected_text(bad[:PIECE]) + expected_text(bad[2 * PIECE :])
    if mode == "empty":
        assert outcome["bad"] == whole
    elif mode == "nan":
        assert outcome["bad"] == "ENGINE_FAILED"
    elif mode == "garbage":
        assert "乱" in outcome["bad"]


def test_a_batch_without_memory_is_halved_and_nobody_fails(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--script", "1:oom,3:oom"]) as running:
        wait_ready(running)
        pcm = noise(80, 9)
        assert text_of(recognise(running.client, pcm)) == expected_text(pcm)
        assert running.client.status().oom_count == 2


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">II", 2**31, 2**31), b"\x80\x04K\x01."])
def test_garbage_closes_its_own_connection_only(fake: Running, garbage: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(fake.socket))
        raw.settimeout(5)
        raw.sendall(garbage + bytes(64))
        answer = b""
        while chunk := raw.recv(4_096):
            answer += chunk
    assert b"ENGINE_PROTOCOL" in answer
    assert fake.client.status().ready


def test_random_frames_leave_the_engine_standing(fake: Running) -> None:
    source = random.Random(11)
    for _ in range(60):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(fake.socket))
            header = source.randbytes(source.randrange(40))
            raw.sendall(struct.pack(">II", len(header), source.randrange(50)) + header + source.randbytes(60))
    status = fake.client.status()
    assert status.ready
    assert status.running_recordings == 0


def flood(recording: EngineRecording) -> None:
    for _ in range(30):
        recording.push(noise(1, 1) * 60)
    recording.finish()
    list(recording.results())


def test_more_samples_than_granted_end_the_recording(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--rtf", "1"]) as running:
        wait_ready(running)
        with running.client.open(options=RecordingOptions()) as recording:
            recording._window = 1 << 40
            with pytest.raises((ProtocolError, EngineUnavailable)):
                flood(recording)
        assert running.client.status().ready


def test_the_work_of_a_dead_client_is_dropped(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--rtf", "0.05"]) as running:
        wait_ready(running)
        dying = running.client.open(options=RecordingOptions())
        dying.push(noise(60, 1) * 1)
        deadline = time.monotonic() + 5
        while not running.client.status().queued_segments and time.monotonic() < deadline:
            time.sleep(0.01)
        dying.close()
        pcm = noise(10, 2)
        assert text_of(recognise(running.client, pcm)) == expected_text(pcm)
        status = running.client.status()
        assert (status.running_recordings, status.queued_segments) == (0, 0)


def test_a_killed_engine_is_noticed_at_once(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--rtf", "1"]) as running:
        wait_ready(running)
        with running.client.open(options=RecordingOptions()) as recording:
            recording.push(noise(30, 1))
            recording.finish()
            running.process.send_signal(signal.SIGKILL)
            began = time.monotonic()
            with pytest.raises(EngineUnavailable):
                list(recording.results())
            assert time.monotonic() - began < 5
        with pytest.raises(EngineUnavailable):
            running.client.status()


def test_poisoned_audio_kills_the_process_and_the_caller_learns_it(tmp_path: Path) -> None:
    with engine("fake", tmp_path) as running:
        wait_ready(running)
        with pytest.raises(EngineUnavailable):
            recognise(running.client, marker("abort") + noise(9, 1))
        assert running.process.wait(10) == -signal.SIGABRT


def test_a_hang_is_noticed_by_the_caller_and_ends_the_process(tmp_path: Path) -> None:
    arguments = ["--script", "1:hang", "--heartbeat-s", "0.2", "--stall-s", "3"]
    with engine("fake", tmp_path, arguments, timeout_s=1.0) as running:
        wait_ready(running)
        with pytest.raises(EngineUnavailable):
            recognise(running.client, noise(20, 1))
        assert running.process.wait(10) == 75


def test_a_slow_engine_is_not_taken_for_dead(tmp_path: Path) -> None:
    arguments = ["--rtf", "0.08", "--heartbeat-s", "0.1"]
    with engine("fake", tmp_path, arguments, timeout_s=0.6) as running:
        wait_ready(running)
        pcm = noise(30, 4)
        assert text_of(recognise(running.client, pcm)) == expected_text(pcm)


def test_sigterm_finishes_what_is_under_way_and_exits_clean(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--rtf", "0.02", "--drain-s", "10"]) as running:
        wait_ready(running)
        complete, partial = noise(60, 1), noise(30, 2)
        first = running.client.open(options=RecordingOptions())
        second = running.client.open(options=RecordingOptions())
        first.push(complete)
        first.finish()
        second.push(partial)
        time.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        segments = list(first.results())
        assert text_of(segments) == expected_text(complete)
        assert first.punctuate([w.text for s in segments for w in s.words])[-1] == "。"
        first.close()
        with second, pytest.raises(EngineUnavailable):
            list(second.results())
        with pytest.raises(EngineUnavailable):
            running.client.open(options=RecordingOptions())
        assert running.process.wait(10) == 0
        assert not running.socket.exists()


def test_loading_answers_status_and_refuses_recordings(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--load-s", "1.5", "--gpu", "--banner", "CPU_FALLBACK"]) as running:
        deadline = time.monotonic() + 5
        while not running.socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        status = running.client.status()
        assert (status.state, status.ready) == ("loading", False)
        with pytest.raises(EngineUnavailable):
            running.client.open(options=RecordingOptions())
        wait_ready(running)
        status = running.client.status()
        assert status.banner == "CPU_FALLBACK"
        assert status.memory.total_bytes == 24 << 30
        cleared = running.client.clear_cache()
        assert cleared.before_bytes > cleared.after_bytes


def test_a_second_engine_does_not_take_the_socket(fake: Running, tmp_path: Path) -> None:
    link = tmp_path / "e.sock"
    link.symlink_to(fake.socket)
    with engine("fake", tmp_path) as second:
        assert second.process.wait(10) != 0
    assert fake.client.status().ready


def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        EngineClient(tmp_path / "none.sock").status()
