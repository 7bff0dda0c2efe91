"""Windows, bounded samples, failures and the end that waits: telling people apart without a speaker model."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from portal.asr.engine import voices as room
from portal.asr.engine.backend import OutOfMemory, Speech
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.fake import FakeModels
from portal.asr.engine.model_thread import ModelThread
from portal.asr.engine.protocol import ENGINE_MESSAGES, Message, check
from portal.asr.engine.scheduler import Scheduler
from portal.asr.engine.voices import Voices, windows_of


class Loudness:
    """People tell themselves apart by how loud they are; each print is the loudness of its window."""

    def __init__(self, most: int = 99) -> None:
        self.most = most
        self.batches: list[int] = []
        self.wait = threading.Event()
        self.wait.set()

    def embed(self, windows: Sequence[Any]) -> Any:
        assert all(len(window) == 24_000 and window.dtype == np.int16 for window in windows)
        if len(windows) > self.most:
            raise OutOfMemory
        self.batches.append(len(windows))
        return np.array([[np.abs(window.astype(np.float32)).max()] for window in windows], dtype=np.float32)

    def group(self, windows: Sequence[tuple[int, int]], prints: Any, count: int | None) -> list[tuple[int, int, int]]:
        assert self.wait.wait(10)
        numbers = {value: number for number, value in enumerate(dict.fromkeys(prints[:, 0].tolist()))}
        return [(*window, numbers[value]) for window, value in zip(windows, prints[:, 0].tolist(), strict=True)]


class Broken(Loudness):
    def embed(self, windows: Sequence[Any]) -> Any:
        raise RuntimeError("no")


class Ungrouped(Loudness):
    def group(self, windows: Sequence[tuple[int, int]], prints: Any, count: int | None) -> list[tuple[int, int, int]]:
        raise RuntimeError("no")


class NotNumbers(Loudness):
    def embed(self, windows: Sequence[Any]) -> Any:
        return super().embed(windows) * np.nan

    def group(self, windows: Sequence[tuple[int, int]], prints: Any, count: int | None) -> list[tuple[int, int, int]]:
        return [(0, 1, 0)]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 1_500), [(0, 1_500)]),
        ((100, 700), [(100, 700)]),
        ((0, 3_000), [(0, 1_500), (750, 2_250), (1_500, 3_000)]),
        ((50, 1_600), [(50, 1_550), (100, 1_600)]),
        ((0, 2_260), [(0, 1_500), (750, 2_250), (760, 2_260)]),
        ((5, 5), []),
    ],
)
def test_windows_cover_the_span(span: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert windows_of(*span) == expected


def test_windows_are_those_of_funasr() -> None:
    pytest.importorskip("torch")
    from portal.asr.engine.inference.loading import import_funasr

    import_funasr(("funasr.models.campplus.utils",))
    from funasr.models.campplus.utils import sv_chunk

    dice = random.Random(9)
    for length in [
        10,
        740,
        750,
        760,
        1_500,
        1_510,
        2_250,
        60_000,
        *(dice.randrange(10, 40_000, 10) for _ in range(60)),
    ]:
        begin = dice.randrange(0, 100_000, 10)
        data = np.arange(length * 16, dtype=np.float32)
        theirs = sv_chunk([[begin / 1000, (begin + length) / 1000, data]])
        assert windows_of(begin, begin + length) == [(round(a * 1000), round(b * 1000)) for a, b, _ in theirs]


def feed(voices: Voices, samples: np.ndarray, spans: Sequence[tuple[int, int]], piece_ms: int = 4_000) -> int:
    """A recording in pieces, its spans found with the piece they end in; returns the most samples kept."""
    most = 0
    for start in range(0, len(samples) // 16, piece_ms):
        piece = samples[start * 16 : (start + piece_ms) * 16]
        end = start + len(piece) // 16
        ended = [Speech(b, e, 1, None) for b, e in spans if start < e <= end]
        still_open = min([b for b, e in spans if b < end < e], default=end)
        voices.hear(piece.tobytes(), ended, still_open)
        most = max(most, voices.kept_samples)
    return most


def loud(parts: Sequence[tuple[int, int]]) -> np.ndarray:
    """(milliseconds, level) after one another."""
    return np.concatenate([np.full(length * 16, level, dtype=np.int16) for length, level in parts])


def test_each_window_has_the_samples_of_its_time_and_few_are_kept() -> None:
    stage = Loudness()
    voices = Voices(stage)
    samples = loud([(3_000, 0), (5_000, 100), (7_000, 0), (3_000, 900), (40_000, 0), (400, 50), (1_000, 0)])
    most = feed(voices, samples, [(3_000, 8_000), (15_000, 18_000), (58_000, 58_400)])
    levels = [float(value) for value in np.concatenate(voices.prints)[:, 0]]
    assert dict(zip(voices.windows, levels, strict=True)) == {
        **dict.fromkeys(windows_of(3000, 8000), 100.0),
        **dict.fromkeys(windows_of(15000, 18000), 900.0),
        (58_000, 58_400): 50.0,
    }
    assert most <= 6_000 * 16
    assert {number for _, _, number in voices.group(None)} == {0, 1, 2}


def test_memory_that_runs_out_makes_batches_smaller() -> None:
    stage = Loudness(most=3)
    voices = Voices(stage)
    feed(voices, loud([(20_000, 7)]), [(0, 20_000)])
    assert len(voices.windows) == len(windows_of(0, 20_000)) == sum(stage.batches)
    assert max(stage.batches) <= 3
    hopeless = Voices(Loudness(most=0))
    feed(hopeless, loud([(4_000, 7)]), [(0, 4_000)])
    assert hopeless.failed


@pytest.mark.parametrize("kind", [Broken, Ungrouped, NotNumbers])
def test_failures_name_nobody(kind: type[Loudness]) -> None:
    voices = Voices(kind())
    feed(voices, loud([(4_000, 7), (4_000, 0)]), [(0, 4_000)])
    assert voices.group(2) == []
    assert voices.failed
    assert voices.kept_samples == 0


def test_more_spans_than_a_message_holds_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MOST_SPANS", 2)
    voices = Voices(Loudness())
    feed(voices, loud([(6_000, 7)]), [(0, 6_000)])
    assert voices.group(None) == []
    assert voices.failed


def run(models: FakeModels, options: RecordingOptions, pcm: bytes) -> tuple[list[Message], Scheduler]:
    """A recording through the engine's own thread, and all that it was told; not yet ended when grouping waits."""
    scheduler = Scheduler()
    thread = ModelThread(scheduler, lambda: models, lambda _: None, lambda *_: None)
    thread.start()
    said: list[Message] = []
    for _ in range(500):
        if scheduler.backend is not None:
            break
        time.sleep(0.01)
    recording = scheduler.open(options, said.append)
    for start in range(0, len(pcm), 1 << 20):
        scheduler.push(recording, pcm[start : start + (1 << 20)])
    scheduler.finish(recording)
    return said, scheduler


def wait_for(said: list[Message], kind: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(message.type == kind for message in said):
            return
        time.sleep(0.01)
    raise AssertionError(f"no {kind} in {[message.type for message in said]}")


PCM = loud([(10_000, 30), (10_000, 0), (10_000, 700), (10_000, 30)]).tobytes()


def test_the_end_waits_for_the_speakers() -> None:
    stage = Loudness()
    stage.wait.clear()
    said, scheduler = run(FakeModels(voices=stage), RecordingOptions(speakers=True), PCM)
    wait_for(said, "segment")
    time.sleep(0.3)
    assert "done" not in [message.type for message in said]
    stage.wait.set()
    wait_for(said, "done")
    scheduler.stop()
    kinds = [message.type for message in said]
    assert kinds.index("speakers") < kinds.index("done")
    assert kinds.count("speakers") == kinds.count("done") == 1
    [speakers] = [message for message in said if message.type == "speakers"]
    check(speakers, ENGINE_MESSAGES)
    assert [number for number, _ in itertools.groupby(span[2] for span in speakers["spans"])] == [0, 1, 0]
    assert {tuple(span[:2]) for span in speakers["spans"]} == {
        window for begin in (0, 20_000, 30_000) for window in windows_of(begin, begin + 10_000)
    }
    assert {span[2] for span in speakers["spans"] if 20_000 <= span[0] < 30_000} == {1}
    assert {span[2] for span in speakers["spans"] if span[0] >= 30_000} == {0}


def test_a_failure_leaves_the_text_and_a_notice() -> None:
    said, scheduler = run(FakeModels(voices=Ungrouped()), RecordingOptions(speakers=True), PCM)
    wait_for(said, "done")
    scheduler.stop()
    assert [message["code"] for message in said if message.type == "notice"] == ["SPEAKERS_FAILED"]
    assert sum(message.type == "segment" for message in said) == 3


@pytest.mark.parametrize(
    ("models", "options"),
    [(FakeModels(voices=Loudness()), RecordingOptions()), (FakeModels(), RecordingOptions(speakers=True))],
)
def test_nobody_is_named_unasked_or_without_a_model(models: FakeModels, options: RecordingOptions) -> None:
    said, scheduler = run(models, options, PCM)
    wait_for(said, "done")
    scheduler.stop()
    assert not [message for message in said if message.type in ("speakers", "notice")]


def test_spans_alone_can_have_speakers() -> None:
    said, scheduler = run(FakeModels(voices=Loudness()), RecordingOptions(speakers=True, vad_only=True), PCM)
    wait_for(said, "done")
    scheduler.stop()
    assert sum(message.type == "speakers" for message in said) == 1
    assert not [message for message in said if message.type == "segment"]


def test_a_caller_who_left_is_told_nothing_more() -> None:
    stage = Loudness()
    stage.wait.clear()
    scheduler = Scheduler()
    thread = ModelThread(scheduler, lambda: FakeModels(voices=stage), lambda _: None, lambda *_: None)
    thread.start()
    for _ in range(500):
        if scheduler.backend is not None:
            break
        time.sleep(0.01)
    said: list[Message] = []
    recording = scheduler.open(RecordingOptions(speakers=True), said.append)
    scheduler.push(recording, PCM)
    scheduler.finish(recording)
    wait_for(said, "segment")
    scheduler.close(recording)
    before = len(said)
    stage.wait.set()
    time.sleep(0.3)
    scheduler.stop()
    assert len(said) == before
