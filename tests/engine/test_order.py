"""Whose segments come first: captions, then those who had least, and nobody waits for ever."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from portal.asr.engine import order
from portal.asr.engine.backend import BatchOptions
from portal.asr.engine.batching import Item
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.fake import FakeModels
from portal.asr.engine.order import GATHER_S, MAX_WAIT_S, OUT_OF_TURN, Order, Waiting, gathering_s
from portal.asr.engine.scheduler import Scheduler
from portal.asr.errors import EngineBusy
from tests.engine.in_process import Watched, house
from tests.engine.test_recovery import noise


def jain(shares: list[float]) -> float:
    """1.0 when everybody has the same, 1/n when one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def waiting(key: int, recording: int, frames: int, since: float = 0.0, *, live: bool = False) -> Waiting:
    return Waiting(Item(key, recording, frames, live, "", key), since)


def test_sixteen_recordings_of_all_lengths_advance_alike() -> None:
    """Each always has work; segments of 1 to 30 s; after every stretch of time nobody has had more than the others."""
    dice = random.Random(5)
    queue: list[Waiting] = []
    turns, got = Order(), Counter[int]()
    lengths = {number: dice.choice([20, 60, 170, 300, 500]) for number in range(16)}
    key = 0
    for number in range(16):
        turns.join(number)
    for turn in range(600):
        while len(queue) < 16 * 6:
            key += 1
            number = min(range(16), key=lambda n: sum(one.item.recording == n for one in queue))
            queue.append(waiting(key, number, max(5, int(dice.gauss(lengths[number], 10))), turn * 0.5))
        batch = turns.next(queue, turn * 0.5, 600)
        for item in batch:
            turns.charge(item.recording, item.frames)
            got[item.recording] += item.frames
        chosen = {item.key for item in batch}
        queue = [one for one in queue if one.item.key not in chosen]
    assert jain([float(got[number]) for number in range(16)]) >= 0.95


def test_a_newcomer_starts_level_and_a_sleeper_does_not_save_up() -> None:
    turns = Order()
    for number in (1, 2):
        turns.join(number)
    for key in range(40):
        turns.next([waiting(key, 1, 100)], 0.0, 100)
        turns.charge(1, 100)
    turns.join(3)
    assert turns.served[3] >= turns.served[1] - 100
    turns.join(2)  # it had nothing to do all the time; now it has
    assert turns.served[2] >= turns.served[1] - 100
    turns.leave(2)
    turns.charge(2, 5)
    assert 2 not in turns.served


def test_a_segment_does_not_wait_for_ever_while_newcomers_stream_in() -> None:
    """Newcomers of one segment each would always be served least; once late, the old one leads every fourth batch."""
    turns = Order()
    turns.join(0)
    turns.charge(0, 10_000)
    old = waiting(0, 0, 300)
    now, key = 0.0, 0
    while now < 10 * MAX_WAIT_S:
        key += 1
        now += 0.25
        turns.join(key)
        turns.charge(key, 1)
        batch = turns.next([old, waiting(key, key, 40, now)], now, 600)
        if any(item.key == 0 for item in batch):
            break
        turns.leave(key)
    assert MAX_WAIT_S < now <= MAX_WAIT_S + OUT_OF_TURN * 0.25


def test_most_batches_stay_fair_when_everything_is_late() -> None:
    turns = Order()
    for number in (1, 2):
        turns.join(number)
    turns.charge(1, 5_000)
    late = [waiting(n, 1, 100 + n) for n in range(10)] + [waiting(100 + n, 2, 300) for n in range(10)]
    leaders = [{item.recording for item in turns.next(late, 60.0, 100)} for _ in range(8)]
    assert leaders == [{2}, {2}, {2}, {1}] * 2


def test_captions_lead_whatever_waits() -> None:
    turns = Order()
    files = [waiting(n, n, 500) for n in range(1, 9)]
    batch = turns.next([*files, waiting(99, 99, 20, 59.9, live=True)], 60.0, 2_000)
    assert [item.key for item in batch] == [99]


def test_a_batch_gathers_for_a_moment_only() -> None:
    few = [waiting(1, 1, 100, 10.0)]
    assert gathering_s(few, 10.0, 600, more_may_come=True) == pytest.approx(GATHER_S)
    assert gathering_s(few, 10.0 + GATHER_S, 600, more_may_come=True) == 0.0
    assert gathering_s(few, 10.0, 600, more_may_come=False) == 0.0
    assert gathering_s([waiting(1, 1, 600, 10.0)], 10.0, 600, more_may_come=True) == 0.0
    assert gathering_s([*few, waiting(2, 2, 10, 10.0, live=True)], 10.0, 600, more_may_come=True) == 0.0
    assert gathering_s([], 10.0, 600, more_may_come=True) == 0.0


def test_segments_of_slow_senders_meet_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "GATHER_S", 2.0)
    backend = Watched()
    with house(backend) as home:
        callers = [home.open(finish=False) for _ in range(4)]
        for seed, caller in enumerate(callers):
            home.scheduler.push(caller.recording, noise(10, seed))
            time.sleep(0.05)
        home.until(lambda: all(caller.of("segment") for caller in callers))
        assert len(backend.seen) == 1
        for caller in callers:
            home.scheduler.finish(caller.recording)
        home.done(*callers)


def test_captions_do_not_gather() -> None:
    backend = Watched()
    with house(backend) as home:
        home.open(finish=False)
        live = home.open(finish=False, lane="live")
        home.scheduler.push(live.recording, noise(10, 1))
        home.until(lambda: live.of("segment"), GATHER_S + 1)
        assert len(backend.seen) == 1


OPTIONS = BatchOptions(("达摩院",), 0.5, True, "zh", True)


@pytest.mark.parametrize(
    "other",
    [
        {"hotwords": ("达摩",)},
        {"hotword_weight": 0.6},
        {"want_words": False},
        {"language": "en"},
        {"itn": False},
    ],
)
def test_only_equal_options_share_a_batch(other: dict[str, Any]) -> None:
    assert replace(OPTIONS, **other).digest != OPTIONS.digest
    backend = Watched(languages=("zh", "en"))
    base: dict[str, Any] = {"hotwords": ("达摩院",), "hotword_weight": 0.5, "language": "zh"}
    with house(backend) as home:
        callers = [home.open(noise(40, n), **(base if n % 2 else {**base, **other})) for n in range(4)]
        home.done(*callers)
    for pieces, options in backend.seen:
        assert options.digest in {OPTIONS.digest, replace(OPTIONS, **other).digest}
        owners = {n % 2 for n in range(4) for piece in pieces if piece.digest in digests(noise(40, n))}
        assert owners == {1 if options.digest == OPTIONS.digest else 0}


def digests(pcm: bytes) -> set[bytes]:
    return {hashlib.sha256(pcm[start : start + 320_000]).digest() for start in range(0, len(pcm), 320_000)}


def test_the_weight_of_no_hotwords_does_not_part_anybody() -> None:
    one = BatchOptions.of(RecordingOptions(hotword_weight=0.3))
    other = BatchOptions.of(RecordingOptions(hotword_weight=0.9))
    assert one.digest == other.digest


def test_models_of_two_generations_never_share_a_batch() -> None:
    scheduler = Scheduler()
    sent: list[object] = []
    first, second = FakeModels(), FakeModels()
    scheduler.install(first)
    one = scheduler.open(RecordingOptions(), sent.append)
    scheduler.install(second)
    two = scheduler.open(RecordingOptions(), sent.append)
    assert one.digest != two.digest
    assert (one.backend, two.backend) == (first, second)


def test_too_many_recordings_are_told_how_many() -> None:
    with house(Watched(), max_recordings=3) as home:
        for _ in range(3):
            home.open(finish=False)
        with pytest.raises(EngineBusy) as refusal:
            home.open()
        assert refusal.value.code == "ENGINE_BUSY"
        assert "3 of 3 recordings" in refusal.value.detail


def test_too_much_waiting_audio_is_told_in_seconds() -> None:
    backend = Watched()
    backend.gate = gate = threading.Event()
    with house(backend, max_queued_s=100.0) as home:
        first = home.open(noise(60, 1) * 2)
        home.until(lambda: home.scheduler.queued_s() >= 100)
        with pytest.raises(EngineBusy) as refusal:
            home.open()
        assert "of 100 s wait" in refusal.value.detail
        gate.set()
        home.done(first)
        assert home.scheduler.queued_s() == 0
        home.done(home.open(noise(5, 2)))


def test_what_a_cancelled_recording_left_is_not_recognised() -> None:
    backend = Watched()
    backend.gate = gate = threading.Event()
    with house(backend, max_queued_s=1e9) as home:
        home.scheduler.budget.frames = 250
        doomed, kept = home.open(noise(60, 1)), home.open(noise(20, 2))
        home.until(lambda: len(doomed.recording.waiting) == 6)
        home.scheduler.close(doomed.recording)
        assert home.scheduler.counts()[0] == 1
        assert not doomed.recording.waiting
        gate.set()
        home.done(kept)
        time_for_more = home.thread.figures.batches
        cancelled = digests(noise(60, 1))
        recognised = [piece for pieces, _ in backend.seen for piece in pieces]
        # what was in the models at that moment can't be taken back
        assert sum(piece.digest in cancelled for piece in recognised) <= 1
        assert time_for_more <= 3
        assert doomed.of("segment") == []


def test_a_cancelled_recording_is_not_rescued_either() -> None:
    """Cancelled while its batch found no memory: the halves of that batch leave it out."""

    class Cancelling(Watched):
        def recognise(self, features: list[object], options: object) -> object:  # type: ignore[override]
            home.scheduler.close(doomed.recording)
            return Watched.recognise(self, features, options)  # type: ignore[arg-type]

    backend = Cancelling(script={1: "oom"})
    with house(backend) as home:
        doomed = home.open(noise(40, 1))
        home.until(lambda: home.thread.figures.oom_count)
        home.done(home.open(noise(10, 2)))
        assert len([pieces for pieces, _ in backend.seen if pieces[0].digest in digests(noise(40, 1))]) == 1


def test_spans_alone_cost_no_recognition() -> None:
    backend = Watched()
    with house(backend) as home:
        caller = home.open(noise(25, 1), vad_only=True)
        home.done(caller)
        spans = [span for message in caller.of("spans") for span in message["spans"]]
        assert spans == [[0, 10_000], [10_000, 20_000], [20_000, 25_000]]
        assert caller.of("segment") == []
        assert backend.seen == []
        assert caller.of("done")[0]["speech_ms"] == 25_000
