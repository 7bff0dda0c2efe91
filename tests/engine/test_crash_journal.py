"""A segment that kills the engine is found by its successors; its mates are cleared as soon as they ran alone."""

from __future__ import annotations

import json
import signal
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.crash_journal import KEPT, KEPT_S, CrashJournal, content_digest
from portal.asr.engine.fake import expected_text, marker
from portal.asr.errors import EngineFailed, EngineUnavailable
from tests.engine.support import Running, engine, recognise, text_of, wait_ready
from tests.engine.test_recovery import PIECE, noise

FAST_HANG = ("--heartbeat-s", "0.1", "--stall-s", "0.6")


def opened(folder: Path, now: float = 1e9) -> CrashJournal:
    journal = CrashJournal(folder / "engine.journal", clock=lambda: now)
    journal.open()
    return journal


def verdicts(journal: CrashJournal, names: Sequence[str]) -> list[str]:
    return [journal.verdict(name) for name in names]


def test_what_was_in_the_models_is_suspect_and_after_two_deaths_alone_poison(tmp_path: Path) -> None:
    opened(tmp_path).begin(["a", "b", "c"])
    second = opened(tmp_path)
    assert verdicts(second, "abcd") == ["suspect"] * 3 + ["clean"]
    second.begin(["a"])
    second.end()
    second.survived("a")
    second.begin(["b"])
    third = opened(tmp_path)
    assert verdicts(third, "abc") == ["clean", "suspect", "suspect"]
    third.begin(["b"])
    fourth = opened(tmp_path)
    assert verdicts(fourth, "abc") == ["clean", "poison", "suspect"]
    fourth.survived("b")
    assert fourth.verdict("b") == "poison", "nothing takes that back but time"


def test_a_batch_that_was_answered_leaves_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.begin(["a" * 64] * 100)
    journal.end()
    journal.begin(["b"])
    journal.end()
    assert verdicts(opened(tmp_path), ["a" * 64, "b"]) == ["clean", "clean"]


def test_a_short_batch_after_a_long_one_is_read_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.begin(["a" * 64] * 100)
    journal.begin(["b"])
    assert verdicts(opened(tmp_path), ["a" * 64, "b"]) == ["clean", "suspect"]


def test_an_orderly_end_in_the_middle_of_a_batch_blames_nobody(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.begin(["a"])
    journal.close()
    journal.begin(["b"])
    assert verdicts(opened(tmp_path), "ab") == ["clean", "clean"]


def test_old_verdicts_and_too_many_are_forgotten(tmp_path: Path) -> None:
    opened(tmp_path, 1e9).begin(["old"])
    assert opened(tmp_path, 1e9).verdict("old") == "suspect"
    assert opened(tmp_path, 1e9 + KEPT_S + 1).verdict("old") == "clean"
    for start in range(0, KEPT + 600, 300):
        opened(tmp_path).begin([f"{n:064}" for n in range(start, start + 300)])
    journal = opened(tmp_path)
    known = json.loads((tmp_path / "engine.suspects").read_text())
    assert len(known) == KEPT
    assert journal.verdict(f"{KEPT + 599:064}") == "suspect"


@pytest.mark.parametrize(
    "rest", [b"", b"{", b'{"segments": 5}', b"\xff\xfe\n", b'{"segments":["a"]}', b"[]", b"\n" * 9]
)
def test_a_damaged_journal_stops_nothing(tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "engine.journal").write_bytes(rest)
    (tmp_path / "engine.suspects").write_bytes(rest)
    journal = opened(tmp_path)
    assert journal.verdict("a") == "clean"
    journal.begin(["a"])
    assert opened(tmp_path).verdict("a") == "suspect"


def test_a_folder_that_refuses_costs_the_protection_only(tmp_path: Path) -> None:
    journal = CrashJournal(tmp_path / "none" / "engine.journal")
    journal.open()
    journal.begin(["a"])
    journal.end()
    journal.survived("a")
    journal.close()
    without = CrashJournal(None)
    without.open()
    without.begin(["a"])
    without.close()


def test_the_journal_is_private_and_holds_digests_only(tmp_path: Path) -> None:
    opened(tmp_path).begin(["f" * 64])
    path = tmp_path / "engine.journal"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes().splitlines()[0]) == {"alone": True, "segments": ["f" * 64]}


def test_segments_are_told_apart_by_content_and_model() -> None:
    frames = np.random.default_rng(1).normal(size=(3_000, 80)).astype(np.float32)
    name = content_digest(frames, "model")
    assert len(name) == 64
    assert content_digest(frames.copy(), "model") == name
    assert content_digest(np.asfortranarray(frames), "model") == name
    others = [frames[:-1], frames * 1.001, frames.astype(np.float64), frames.reshape(1_500, 160)]
    assert name not in {content_digest(other, "model") for other in others}
    assert content_digest(frames, "another") != name
    assert content_digest(object(), "model") == ""
    assert content_digest(frames[:0], "model") != ""


def test_naming_a_segment_is_cheap() -> None:
    frames = np.random.default_rng(1).normal(size=(3_000, 80)).astype(np.float32)
    began = time.perf_counter()
    for _ in range(200):
        content_digest(frames, "model")
    assert (time.perf_counter() - began) / 200 < 0.001


def poison(mode: str) -> bytes:
    return (marker(mode) + noise(10, 99))[:PIECE]


def outcome(running: Running, pcm: bytes) -> str:
    """The text, or the code of the failure."""
    try:
        return text_of(recognise(running.client, pcm))
    except (EngineFailed, EngineUnavailable) as error:
        return error.code


@pytest.mark.parametrize(("mode", "status"), [("abort", -signal.SIGABRT), ("hang", 75)])
def test_poison_is_refused_after_two_deaths_alone_and_its_mates_are_not(tmp_path: Path, mode: str, status: int) -> None:
    mates = [noise(10, seed) for seed in range(3)]
    lives = 0
    results: dict[str, str] = {}
    waiting = {**{f"mate{n}": pcm for n, pcm in enumerate(mates)}, "bad": poison(mode)}
    while waiting:
        lives += 1
        assert lives <= 4, results
        with engine("fake", tmp_path, FAST_HANG, timeout_s=5) as running:
            wait_ready(running)
            found = together(running, waiting)
            if "ENGINE_UNAVAILABLE" in found.values():
                assert running.process.wait(10) == status
            results |= found
            waiting = {name: pcm for name, pcm in waiting.items() if found[name] == "ENGINE_UNAVAILABLE"}
    assert results == {**{f"mate{n}": expected_text(pcm) for n, pcm in enumerate(mates)}, "bad": "POISON"}
    assert lives <= 4
    known = json.loads((tmp_path / "e.suspects").read_text())
    assert [deaths for deaths, _ in known.values()] == [2], "who ran alone and lived is no suspect any more"
    with engine("fake", tmp_path, FAST_HANG) as running:
        wait_ready(running)
        assert outcome(running, noise(20, 5) + poison(mode)) == "POISON", "in another recording, too"
        assert running.client.status().poisoned == 1
        assert outcome(running, noise(20, 5)) == expected_text(noise(20, 5))


def together(running: Running, waiting: dict[str, bytes]) -> dict[str, str]:
    """All recordings at once."""
    found: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda name=name, pcm=pcm: found.update({name: outcome(running, pcm)}))
        for name, pcm in waiting.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return found


def test_another_model_gets_its_own_chance(tmp_path: Path) -> None:
    for _ in range(2):
        with engine("fake", tmp_path, ["--models", "first"]) as running:
            wait_ready(running)
            assert outcome(running, poison("abort")) == "ENGINE_UNAVAILABLE"
    with engine("fake", tmp_path, ["--models", "first"]) as running:
        wait_ready(running)
        assert outcome(running, poison("abort")) == "POISON"
    with engine("fake", tmp_path, ["--models", "second"]) as running:
        wait_ready(running)
        assert outcome(running, poison("abort")) == "ENGINE_UNAVAILABLE"


def test_sigterm_in_the_middle_of_a_batch_makes_no_suspects(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--rtf", "1", "--drain-s", "0.2"]) as running:
        wait_ready(running)
        with running.client.open(options=RecordingOptions()) as recording:
            recording.push(noise(10, 1))
            recording.finish()
            deadline = time.monotonic() + 5
            while b"alone" not in (tmp_path / "e.journal").read_bytes()[:10] and time.monotonic() < deadline:
                time.sleep(0.01)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(10) == 0
    journal = CrashJournal(tmp_path / "e.journal")
    journal.open()
    assert not (tmp_path / "e.suspects").exists()


def test_a_second_engine_reads_nobody_elses_journal(tmp_path: Path) -> None:
    with engine("fake", tmp_path, ["--rtf", "1"]) as running:
        wait_ready(running)
        (tmp_path / "e.journal").write_bytes(b'{"alone": true, "segments": ["' + b"a" * 64 + b'"]}\n')
        before = (tmp_path / "e.journal").read_bytes()
        other = tmp_path / "other"
        other.mkdir()
        (other / "e.sock").symlink_to(running.socket)
        (other / "e.journal").symlink_to(tmp_path / "e.journal")
        with engine("fake", other) as second:
            assert second.process.wait(10) != 0
        assert (tmp_path / "e.journal").read_bytes() == before
        assert not (other / "e.suspects").exists()
