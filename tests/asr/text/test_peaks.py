"""The waveform keeps the loudest sample of each tenth of a second, however the blocks are cut."""

from __future__ import annotations

import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.asr.peaks import PeakCollector


def test_loudest_of_each_tenth() -> None:
    samples = array.array("h", [0] * 1600 + [100] * 800 + [-32768] + [0] * 799 + [25600] * 10)
    collector = PeakCollector()
    collector.push(samples.tobytes())
    assert collector.result() == bytes([0, 127, 100])
    assert collector.result() == bytes([0, 127, 100])


def test_nothing() -> None:
    assert PeakCollector().result() == b""
    with pytest.raises(ValueError, match="divide"):
        PeakCollector(7)


def test_long_recordings_are_thinned_without_losing_a_peak() -> None:
    collector = PeakCollector()
    for i in range(1000):
        collector.push(array.array("h", [256 * (100 if i == 777 else 1)] * 1600).tobytes())
    thin = collector.result(max_points=100)
    assert len(thin) == 100
    assert thin[77] == 100
    assert set(thin[:77]) == {1}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-32768, 32767), max_size=4000), st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_the_cut_of_blocks_does_not_matter(samples: list[int], cuts: list[int]) -> None:
    whole, parts = PeakCollector(100), PeakCollector(100)
    data = array.array("h", samples)
    whole.push(data.tobytes())
    position = 0
    for size in [*cuts, len(samples)]:
        parts.push(data[position : position + size].tobytes())
        position += size
    assert whole.result() == parts.result()


def test_both_sides_of_a_call_are_seen() -> None:
    quiet, loud = array.array("h", [0] * 2_000), array.array("h", [-16_384] * 2_000)
    peaks = PeakCollector()
    peaks.push(quiet.tobytes(), loud.tobytes())
    peaks.push(loud.tobytes(), quiet.tobytes())
    peaks.push(quiet.tobytes(), quiet.tobytes())
    assert list(peaks.result()) == [64, 64, 64, 0]
