"""The waveform of a recording for its page: the loudest sample of each tenth of a second, found while decoding.

A page that has these draws a three-hour recording without loading it.
"""

from __future__ import annotations

import array
import itertools
from collections.abc import Sequence

from portal.asr.types import SAMPLE_RATE

PEAKS_PER_SECOND = 10


class PeakCollector:
    """Takes int16 blocks in order and keeps one byte (0..127) for each tenth of a second: 36 KB an hour."""

    def __init__(self, per_second: int = PEAKS_PER_SECOND) -> None:
        """``per_second`` must divide 16,000."""
        if per_second <= 0 or SAMPLE_RATE % per_second:
            raise ValueError("per_second must divide 16,000")
        self._window = SAMPLE_RATE // per_second
        self._peaks = bytearray()
        self._rest = array.array("h")

    def push(self, *channels: bytes) -> None:
        """Add a block of int16 little-endian samples at 16 kHz: of as many channels each time, all of one length."""
        samples, window = self._rest, self._window * len(channels)
        samples.extend(_interleaved(channels))
        whole = len(samples) - len(samples) % window
        self._peaks.extend(_peak(samples[i : i + window]) for i in range(0, whole, window))
        self._rest = samples[whole:]

    def result(self, max_points: int = 4000) -> bytes:
        """The waveform as at most ``max_points`` bytes, 0..127, evenly spread; empty without samples."""
        peaks = bytes(self._peaks) + (bytes([_peak(self._rest)]) if self._rest else b"")
        if len(peaks) <= max_points:
            return peaks
        edges = [i * len(peaks) // max_points for i in range(max_points + 1)]
        return bytes(max(peaks[a:b]) for a, b in itertools.pairwise(edges))


def _interleaved(channels: Sequence[bytes]) -> array.array[int]:
    samples = array.array("h", b"".join(channels))
    if len(channels) > 1:
        for index, pcm in enumerate(channels):
            samples[index :: len(channels)] = array.array("h", pcm)
    return samples


def _peak(samples: array.array[int]) -> int:
    return min(127, max(max(samples), -min(samples)) >> 8)
