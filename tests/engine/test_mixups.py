"""Sixty-four recordings with three lists of hotwords in two lanes at once: nobody reads another's words."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from portal.asr.engine import fake
from portal.asr.engine.batching import MAX_WASTE, waste
from tests.engine.in_process import Watched, house

_JOBS = 64
_PIECES = 157
_PIECE_BYTES = 16_000
_LISTS: tuple[tuple[str, ...], ...] = ((), ("数据仓库",), ("致远项目", "数据仓库"))


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake cuts every half second instead of every ten."""
    monkeypatch.setattr(fake, "_BYTES", _PIECE_BYTES)


def _sound(job: int) -> bytes:
    """No two jobs share a piece; lengths of the pieces differ by up to a factor of five within a job."""
    source = np.random.default_rng(job)
    pcm = source.integers(1, 30_000, _PIECES * _PIECE_BYTES // 2, dtype=np.int16)
    return pcm.astype("<i2").tobytes()[: _PIECES * _PIECE_BYTES - int(source.integers(0, 8_000)) * 2]


def test_ten_thousand_segments_of_sixty_four_recordings(short_pieces: None) -> None:
    backend = Watched(budget_frames=400)
    sounds = [_sound(job) for job in range(_JOBS)]
    hotwords = [_LISTS[job % 3] for job in range(_JOBS)]
    with house(backend) as home:
        callers = [
            home.open(finish=False, hotwords=words, lane="live" if job % 16 == 5 else "file")
            for job, words in enumerate(hotwords)
        ]

        def push(some: list[int]) -> None:
            step = 37 * 1_000
            for start in range(0, _PIECES * _PIECE_BYTES, step):
                for job in some:
                    home.scheduler.push(callers[job].recording, sounds[job][start : start + step])
            for job in some:
                home.scheduler.finish(callers[job].recording)

        threads = [threading.Thread(target=push, args=([*range(first, _JOBS, 4)],)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        home.until(lambda: all(caller.of("done") or caller.error for caller in callers), 120)
        assert [caller.error for caller in callers] == [None] * _JOBS
        mixed = [
            job for job, caller in enumerate(callers) if caller.text != fake.expected_text(sounds[job], hotwords[job])
        ]
    assert mixed == []
    segments = sum(len(caller.of("segment")) for caller in callers)
    assert segments >= 10_000
    for caller in callers:
        spans = [message["span"] for message in caller.of("segment")]
        assert spans == sorted(spans)
    # they did share batches: of several recordings, never of several lists
    assert max(len(pieces) for pieces, _ in backend.seen) > 8
    assert {batch.hotwords for _, batch in backend.seen} == set(_LISTS)
    assert len(backend.seen) < segments / 4


def test_batches_waste_little() -> None:
    """What the scheduler really hands over: at most a tenth of padding in every batch."""
    from portal.asr.engine.batching import Item, choose

    source = np.random.default_rng(4)
    waiting = [
        Item(key, key % 64, int(np.clip(source.lognormal(4.6, 0.8), 1, 1_000)), False, str(key % 3), key)
        for key in range(2_000)
    ]
    served: dict[int, float] = {}
    frames = padded = 0
    while waiting:
        batch = choose(waiting, served, budget_frames=5_000)
        assert waste(batch) <= MAX_WASTE
        assert len({item.digest for item in batch}) == 1
        frames += sum(item.frames for item in batch)
        padded += max(item.frames for item in batch) * len(batch)
        for item in batch:
            served[item.recording] = served.get(item.recording, 0.0) + item.frames
            waiting.remove(item)
    assert frames / padded > 0.93
