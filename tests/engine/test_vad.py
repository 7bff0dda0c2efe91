"""Voice activity: the decisions of FunASR's state machine, whatever the pieces; long speech cut where it is quiet."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.engine.vad import SpanFinder, SpeechDetector, VadSettings


def probabilities(seed: int, frames: int) -> np.ndarray:
    """Silence probabilities as of speech with pauses of every length, and some flicker."""
    source = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    speaking = bool(seed % 2)
    while sum(map(len, parts)) < frames:
        length = int(source.choice([3, 12, 25, 60, 90, 200, 500]) * source.uniform(0.5, 1.5)) + 1
        parts.append(np.clip(source.normal(0.1 if speaking else 0.9, 0.15, length), 0.01, 0.99))
        speaking = not speaking
    return np.concatenate(parts)[:frames].astype(np.float32)


class _Scripted:
    """Stands for the network: gives the scripted scores."""

    def __init__(self, silence: np.ndarray) -> None:
        self.silence = silence
        self.position = 0

    def __call__(self, feats: Any, cache: Any = None) -> Any:
        import torch

        count = feats.shape[1]
        piece = torch.from_numpy(self.silence[self.position : self.position + count])
        self.position += count
        return torch.stack([piece, 1 - piece], dim=1)[None]


def by_funasr(silence: np.ndarray, end_silence_ms: int, step: int) -> list[tuple[int, int]]:
    """The spans of FsmnVADStreaming itself, fed ``step`` frames at a time, in frames."""
    import torch
    from funasr.models.fsmn_vad_streaming.model import FsmnVADStreaming

    machine = FsmnVADStreaming.__new__(FsmnVADStreaming)
    torch.nn.Module.__init__(machine)
    from funasr.models.fsmn_vad_streaming.model import VADXOptions

    machine.vad_opts = VADXOptions(max_single_segment_time=10**9, max_end_silence_time=end_silence_ms)
    machine.__dict__["encoder"] = _Scripted(silence)
    cache: dict[str, Any] = {}
    machine.init_cache(cache)
    spans: list[tuple[int, int]] = []
    for start in range(0, len(silence), step):
        count = min(step, len(silence) - start)
        samples = torch.full((1, (count - 1) * 160 + 400), 0.1)
        final = start + count == len(silence)
        feats = torch.zeros(1, count, 4)
        found = machine.forward(feats, samples, cache=cache, is_final=final, is_streaming_input=False)
        spans += [(begin // 10, end // 10) for batch in found for begin, end in batch]
    return spans


@pytest.fixture(scope="module", autouse=True)
def _funasr() -> None:
    from portal.asr.engine.inference.loading import import_funasr

    import_funasr()


@pytest.mark.parametrize("seed", range(24))
def test_the_spans_are_those_of_funasr(seed: int) -> None:
    silence = probabilities(seed, 700 + 137 * seed)
    end_silence = (200, 500, 800, 2_000)[seed % 4]
    detector = SpeechDetector(VadSettings(), end_silence)
    mine = detector.feed(silence.tolist(), None, True)
    assert mine == by_funasr(silence, end_silence, 6_000 if seed % 3 else 211)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 900), st.sampled_from([200, 800, 3_000]), st.sampled_from([5_000, 30_000])
)
def test_spans_do_not_depend_on_the_pieces(seed: int, step: int, end_silence: int, longest: int) -> None:
    silence = probabilities(seed, 7_000)

    def spans(size: int) -> list[tuple[int, int]]:
        finder = SpanFinder(VadSettings(), max_segment_ms=longest, end_silence_ms=end_silence)
        found: list[tuple[int, int]] = []
        for start in range(0, len(silence), size):
            before = finder.earliest_start
            new = finder.feed(silence[start : start + size], None, start + size >= len(silence))
            # frames before earliest_start may be dropped: no later span may need them
            assert all(begin >= before for begin, _ in new)
            found += new
        return found

    whole = spans(len(silence))
    assert spans(step) == whole
    assert all(0 < end - begin <= longest // 10 for begin, end in whole)
    assert all(first[1] <= second[0] for first, second in pairwise(whole))


def test_long_speech_is_cut_in_its_quietest_moment() -> None:
    silence = np.full(5_000, 0.05, dtype=np.float32)
    silence[2_200:2_230] = 0.4
    finder = SpanFinder(VadSettings(), max_segment_ms=30_000, end_silence_ms=800)
    [first, second] = finder.feed(silence, None, True)
    assert 2_200 <= first[1] <= 2_230
    assert second[0] == first[1]


def test_memory_does_not_grow_with_silence_or_with_speech() -> None:
    finder = SpanFinder(VadSettings(), max_segment_ms=30_000, end_silence_ms=800)
    for level in (0.95, 0.05):
        for _ in range(60):
            finder.feed(np.full(1_000, level, dtype=np.float32), None, False)
            assert len(finder._silence) < 3_200 + 1_000
