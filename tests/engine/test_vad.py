"""Voice activity: the decisions of FunASR's state machine, whatever the pieces; long speech cut where it is quiet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.engine.span_finder import SpanFinder
from portal.asr.engine.vad import SpeechDetector, VadSettings
from tests.engine.vad_reference import frames_of, import_reference, probabilities, spans_of

_EDGES = (-161, -160, -81, -80, -1, 0, 1, 79, 80, 81, 159, 160, 161, 240, 399, 400)
_NARROW = {
    "speech_to_sil_time_thres": 100,
    "sil_to_speech_time_thres": 120,
    "window_size_ms": 250,
    "lookback_time_start_point": 90,
    "lookahead_time_end_point": 60,
}


@pytest.fixture(scope="module", autouse=True)
def _funasr() -> None:
    import_reference()


@dataclass(frozen=True)
class Case:
    """A recording as the network might see it, and how it is asked for."""

    silence: np.ndarray
    samples: int
    end_silence: int | None
    threshold: float | None
    options: dict[str, Any]
    chunk_ms: int
    step: int
    sound: np.ndarray

    def by_funasr(self) -> list[tuple[int, int]]:
        request: dict[str, Any] = {"chunk_size": self.chunk_ms}
        if self.end_silence is not None:
            request["max_end_silence_time"] = self.end_silence
            if self.threshold is not None:
                request["speech_noise_thres"] = self.threshold
        return spans_of(self.silence, self.sound, self.options, request)

    def by_us(self) -> list[tuple[int, int]]:
        chosen = VadSettings.from_config(self.options)
        # where the schedule rules, FunASR does not listen to the caller's threshold
        threshold = None if self.end_silence is None else self.threshold
        detector = SpeechDetector(chosen, self.end_silence, threshold=threshold, chunk_ms=self.chunk_ms)
        levels = _levels(self.sound) if chosen.needs_levels else None
        spans: list[tuple[int, int]] = []
        scored = 0
        for start in range(0, self.samples, self.step):
            heard = min(self.samples, start + self.step)
            final = heard == self.samples
            ready = frames_of(heard) if final else max(scored, frames_of(heard) - 2)
            piece = None if levels is None else levels[scored:ready]
            spans += detector.feed(self.silence[scored:ready], piece, final, heard)
            scored = ready
        return spans


def _levels(sound: np.ndarray) -> np.ndarray:
    if len(sound) < 400:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(sound, 400)[::160]
    return np.asarray(10 * np.log10(np.sum(np.square(frames), axis=1) + 0.000001))


def _case(number: int) -> Case:
    source = np.random.default_rng(number)
    chunk_ms = 60_000 if number % 20 == 0 else 15_000
    match number % 5:
        case 0:
            chunks = int(source.integers(1, 4)) if number % 100 == 0 else 1
            samples = chunks * chunk_ms * 16 + _EDGES[number // 5 % len(_EDGES)]
        case 1:
            samples = int(source.uniform(0.3, 50) * 16_000)
        case _:
            samples = int(source.uniform(0.3, 14) * 16_000)
    options: dict[str, Any] = {}
    if number % 7 == 0:
        options |= {"snr_thres": float(source.choice([-20.0, 0.0, 5.0])), "decibel_thres": -30.0}
    if number % 11 == 0:
        options["do_extend"] = 0
    if number % 13 == 0:
        options |= _NARROW
    sound = np.full(samples, 0.1, dtype=np.float32)
    if number % 7 == 0:
        loudness = np.repeat(source.uniform(1e-4, 0.3, samples // 3_200 + 1), 3_200)[:samples]
        sound = (source.normal(0, 1, samples) * loudness).astype(np.float32)
    return Case(
        silence=probabilities(source, frames_of(samples), longest=float(source.choice([1, 1, 20]))),
        samples=samples,
        end_silence=None if number % 2 == 0 else int(source.choice([155, 200, 300, 500, 800, 1_000, 2_000, 3_000])),
        threshold=None if number % 3 else float(source.choice([0.3, 0.5, 0.8])),
        options=options,
        chunk_ms=chunk_ms,
        step=int(source.choice([16_000, 53_333, 960_000, 10**9])),
        sound=sound,
    )


@pytest.mark.parametrize("block", range(10))
def test_the_spans_are_those_of_funasr(block: int) -> None:
    """500 random recordings of 0.3 to 180 s: the schedule and fixed silences, all edges of chunks, any pieces."""
    found = 0
    for number in range(block * 50, block * 50 + 50):
        case = _case(number)
        expected = case.by_funasr()
        assert case.by_us() == expected, number
        found += len(expected)
    assert found > 50


def test_one_probability_away_from_the_threshold() -> None:
    """Where speech is exactly as much more probable as it must be, FunASR's rounding decides."""
    edge = np.nextafter(np.float32(0.2), np.asarray([0, 0.2, 1], dtype=np.float32))
    for value in [*edge, np.float32(0.25), np.float32(0.05)]:
        silence = np.full(400, value, dtype=np.float32)
        for threshold in (0.6, 0.5, 0.9):
            request = {"max_end_silence_time": 800, "speech_noise_thres": threshold}
            expected = spans_of(silence, np.full(64_240, 0.1, dtype=np.float32), {}, request)
            detector = SpeechDetector(VadSettings(), 800, threshold=threshold)
            assert detector.feed(silence, None, True, 64_240) == expected


def test_certainty_does_not_stop_the_engine() -> None:
    """A softmax may round to 0 or 1: FunASR then ends with a mathematical error."""
    silence = np.concatenate([np.ones(100), np.zeros(100), np.ones(300)]).astype(np.float32)
    [span] = SpeechDetector(VadSettings(), 800).feed(silence, None, True, 80_400)
    assert span[0] < 100 < 200 < span[1] < 300


def test_the_schedule_waits_the_shorter_the_longer_speech_lasts() -> None:
    """A pause of a second ends nothing in the first minute; after a minute of speech less than a quarter does."""

    def spans(before: int) -> int:
        parts = [np.full(before, 0.05), np.full(100, 0.95), np.full(500, 0.05), np.full(300, 0.95)]
        silence = np.concatenate(parts).astype(np.float32)
        return len(SpeechDetector(VadSettings()).feed(silence, None, True, len(silence) * 160 + 240))

    assert spans(3_000) == 1
    assert spans(6_500) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 900),
    st.sampled_from([200, 800, 3_000, None]),
    st.sampled_from([5_000, 30_000]),
)
def test_spans_do_not_depend_on_the_pieces(seed: int, step: int, end_silence: int | None, longest: int) -> None:
    silence = probabilities(np.random.default_rng(seed), 7_000, longest=20.0 if seed % 3 == 0 else 1.0)
    total = 7_000 * 160 + 240

    def spans(size: int) -> list[tuple[int, int]]:
        finder = SpanFinder(VadSettings(), max_segment_ms=longest, end_silence_ms=end_silence)
        found: list[tuple[int, int]] = []
        for start in range(0, len(silence), size):
            before = finder.earliest_start
            final = start + size >= len(silence)
            heard = total if final else (start + size + 1) * 160 + 400
            new = finder.feed(silence[start : start + size], None, final, heard)
            # frames before earliest_start may be dropped: no later span may need them
            assert all(begin >= before for begin, _ in new)
            found += new
        return found

    whole = spans(len(silence))
    assert spans(step) == whole
    assert all(0 < end - begin <= longest // 10 for begin, end in whole)
    assert all(first[1] <= second[0] for first, second in pairwise(whole))


def test_a_limit_that_nothing_reaches_changes_nothing() -> None:
    for seed in range(20):
        silence = probabilities(np.random.default_rng(seed), 5_000)
        whole = SpeechDetector(VadSettings(), 800).feed(silence, None, True, 800_240)
        finder = SpanFinder(VadSettings(), max_segment_ms=60_000, end_silence_ms=800)
        assert finder.feed(silence, None, True, 800_240) == whole


def test_long_speech_is_cut_in_its_quietest_moment() -> None:
    silence = np.full(5_000, 0.05, dtype=np.float32)
    silence[2_200:2_230] = 0.4
    finder = SpanFinder(VadSettings(), max_segment_ms=30_000, end_silence_ms=800)
    [first, second] = finder.feed(silence, None, True, 800_240)
    assert 2_200 <= first[1] <= 2_230
    assert second[0] == first[1]


def test_memory_does_not_grow_with_silence_or_with_speech() -> None:
    finder = SpanFinder(VadSettings(), max_segment_ms=30_000, end_silence_ms=800)
    for level in (0.95, 0.05):
        for count in range(60):
            finder.feed(np.full(1_000, level, dtype=np.float32), None, False, (count + 1) * 160_000)
            assert len(finder._silence) < 3_200 + 1_000
