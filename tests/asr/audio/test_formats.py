"""Every container the portal takes, and every shape of WAV, becomes the same 16 kHz sound."""

from __future__ import annotations

import array
import itertools
import math
import struct
from pathlib import Path

import pytest

from portal.asr.audio import CHANNELS_NOT_SPLIT, MEASURES, Decoding, PcmBlock, decode, probe
from portal.asr.types import ChannelMode
from tests.asr.audio import corpus


def samples_of(decoding: Decoding, channel: int = 0) -> array.array[int]:
    out = array.array("h")
    with decoding:
        for block in decoding:
            out.frombytes(block.channels[channel])
    return out


def strength(samples: array.array[int], hertz: float) -> float:
    """Amplitude at ``hertz`` by Goertzel's sum, 0..32767."""
    middle = samples[len(samples) // 4 : len(samples) * 3 // 4]
    angle = 2 * math.pi * hertz / 16_000
    real = sum(s * math.cos(angle * i) for i, s in enumerate(middle))
    imaginary = sum(s * math.sin(angle * i) for i, s in enumerate(middle))
    return 2 * math.hypot(real, imaginary) / len(middle)


@pytest.mark.parametrize("extension", corpus.ENCODED)
def test_every_container_gives_its_tone_at_16_khz(tmp_path: Path, extension: str) -> None:
    path = corpus.encode(tmp_path / f"x.{extension}", extension, 2.0)
    with decode(path) as decoding:
        facts = decoding.facts
        samples = array.array("h", b"".join(block.channels[0] for block in decoding))
        assert decoding.warnings == ()
    assert len(samples) / 16_000 == pytest.approx(2.0, abs=0.12)
    assert strength(samples, 440) > 4_000
    assert strength(samples, 1_000) < 200
    assert facts.has_video == (extension in corpus.VIDEO)
    assert (facts.sample_rate, facts.channels) == corpus.ENCODED[extension][2:]
    assert facts.duration_ms == pytest.approx(2_000, abs=150)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_rates_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(1.0, rate=rate, channels=channels))
    samples = samples_of(decode(path))
    assert len(samples) == pytest.approx(16_000, abs=40)
    assert strength(samples, 440) == pytest.approx(8_000, rel=0.05)


@pytest.mark.parametrize("bits", [8, 24, 32, 64])
def test_sample_kinds(tmp_path: Path, bits: int) -> None:
    wave = [0.25 * math.sin(2 * math.pi * 440 * i / 16_000) for i in range(16_000)]
    data, kind = {
        8: (bytes(round(128 + 127 * x) for x in wave), 1),
        24: (b"".join(round(x * 8_388_607).to_bytes(3, "little", signed=True) for x in wave), 1),
        32: (struct.pack(f"<{len(wave)}f", *wave), 3),
        64: (struct.pack(f"<{len(wave)}d", *wave), 3),
    }[bits]
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_bytes(data, bits=bits, kind=kind))
    assert strength(samples_of(decode(path)), 440) == pytest.approx(8_192, rel=0.03)


@pytest.mark.parametrize("kind", ["f", "d"])
def test_nan_and_infinity_become_silence_not_clicks(tmp_path: Path, kind: str) -> None:
    wave = [
        math.nan if 4_000 <= i < 4_400 else math.inf if 6_000 <= i < 6_100 else 0.1 * math.sin(i * 0.17)
        for i in range(16_000)
    ]
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_bytes(array.array(kind, wave).tobytes(), bits=array.array(kind).itemsize * 8, kind=3))
    samples = samples_of(decode(path))
    assert max(abs(s) for s in samples) < 4_000
    assert all(s == 0 for s in samples[4_100:4_300])


def test_split_keeps_the_sides_of_a_call_apart(tmp_path: Path) -> None:
    left, right = corpus.tone(2, 8_000, 1, 440), corpus.tone(2, 8_000, 1, 1_000)
    both = array.array("h", [s for pair in zip(left, right, strict=True) for s in pair])
    path = tmp_path / "call.wav"
    path.write_bytes(corpus.wav_bytes(both.tobytes(), rate=8_000, channels=2))
    first, second = (samples_of(decode(path, channels="split"), side) for side in (0, 1))
    assert strength(first, 440) > 7_000 > 100 > strength(first, 1_000)
    assert strength(second, 1_000) > 7_000 > 100 > strength(second, 440)
    mixed = samples_of(decode(path, channels="mix"))
    assert strength(mixed, 440) == pytest.approx(4_000, rel=0.1)
    assert strength(mixed, 1_000) == pytest.approx(4_000, rel=0.1)


@pytest.mark.parametrize(
    ("channels", "mode", "warnings"),
    [(1, "split", (CHANNELS_NOT_SPLIT,)), (4, "split", (CHANNELS_NOT_SPLIT,)), (1, "mix", ())],
)
def test_what_cannot_be_split_is_mixed_and_said(
    tmp_path: Path, channels: int, mode: ChannelMode, warnings: tuple[str, ...]
) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(0.5, channels=channels))
    with decode(path, channels=mode) as decoding:
        assert all(len(block.channels) == 1 for block in decoding)
        assert decoding.warnings == warnings


def test_blocks_follow_each_other_and_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(11.3, rate=44_100, channels=2))
    blocks: list[PcmBlock] = []
    with decode(path) as decoding:
        blocks.extend(decoding)
    assert blocks[0].begin_ms == 0
    assert all(abs(a.end_ms - b.begin_ms) <= 1 for a, b in itertools.pairwise(blocks))
    assert max(len(b.channels[0]) for b in blocks) < 5 * 32_000
    assert blocks[-1].end_ms == pytest.approx(11_300, abs=10)


def test_probe_reads_an_open_descriptor_and_names_every_measure(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(1))
    with path.open("rb") as stream:
        stream.seek(20)  # where somebody else left it must not matter
        facts = probe(stream.fileno())
    assert (facts.container, facts.codec, facts.duration_ms) == ("wav", "pcm_s16le", 1_000)
    assert set(facts.sandbox) <= set(MEASURES)
    assert {"parent_death", "no_new_privileges", "limits", "no_files", "user"} <= set(facts.sandbox)
