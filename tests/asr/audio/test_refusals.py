"""Everything that is not a usable recording gets its own reason, whatever its name says."""

from __future__ import annotations

import os
import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from portal.asr.audio import TRUNCATED_MEDIA, DecodeLimits, decode, probe
from portal.asr.errors import MediaError
from tests.asr.audio import corpus


def refusal(path: Path, limits: DecodeLimits | None = None) -> MediaError:
    """The error that decoding ``path`` to its end gives."""
    with pytest.raises(MediaError) as caught:
        consume(path, limits)
    assert caught.value.permanent
    assert str(path.parent) not in caught.value.detail
    return caught.value


def consume(path: Path, limits: DecodeLimits | None = None) -> tuple[int, tuple[str, ...]]:
    """Decoded bytes and warnings."""
    with decode(path, limits=limits) as decoding:
        return sum(len(block.channels[0]) for block in decoding), decoding.warnings


TEXT = "会议纪要。\n今天讨论三件事情。\n".encode() * 400
REFUSED = {
    "empty.wav": (b"", "MEDIA_EMPTY"),
    "one-byte.mp3": (b"\xff", "MEDIA_NOT_AUDIO"),
    "text.mp3": (TEXT, "MEDIA_NOT_AUDIO"),
    "utf16.mp3": (b"\xff\xfe" + "会议".encode("utf-16-le") * 900, "MEDIA_NOT_AUDIO"),
    "zeros.mp3": (bytes(50_000), "MEDIA_NOT_AUDIO"),
    "ff.mp3": (b"\xff" * 50_000, "MEDIA_NOT_AUDIO"),
    "noise.wav": (random.Random(5).randbytes(200_000), "MEDIA_NOT_AUDIO"),
    "html.m4a": (b"<!doctype html><html><script>1</script></html>", "MEDIA_NOT_AUDIO"),
    "picture.wav": (b"\x89PNG\r\n\x1a\n" + bytes(500), "MEDIA_FORMAT_REFUSED"),
    "paper.mp3": (b"%PDF-1.7\n" + bytes(500), "MEDIA_FORMAT_REFUSED"),
    "office.wav": (b"PK\x03\x04" + bytes(500), "MEDIA_FORMAT_REFUSED"),
    "film.avi": (b"RIFF\x00\x01\x00\x00AVI LIST" + bytes(500), "MEDIA_FORMAT_REFUSED"),
    "stream.ts": ((b"\x47" + bytes(187)) * 20, "MEDIA_FORMAT_REFUSED"),
    "program.wav": (b"\x7fELF" + bytes(500), "MEDIA_FORMAT_REFUSED"),
    "header-only.wav": (corpus.wav_bytes(b"", declared=100_000), "MEDIA_DAMAGED"),
    "no-samples.wav": (corpus.wav_bytes(b""), "MEDIA_DAMAGED"),
    "half-header.wav": (corpus.wav_tone(1)[:20], "MEDIA_DAMAGED"),
    "riff-only.wav": (b"RIFF\x24\x00\x00\x00WAVE", "MEDIA_DAMAGED"),
    "broken.flac": (b"fLaC" + random.Random(6).randbytes(5_000), "MEDIA_DAMAGED"),
    "broken.ogg": (b"OggS" + random.Random(7).randbytes(5_000), "MEDIA_DAMAGED"),
    "broken.mkv": (b"\x1a\x45\xdf\xa3" + random.Random(8).randbytes(5_000), "MEDIA_DAMAGED"),
    "broken.mp4": (b"\x00\x00\x00\x18ftypisom" + random.Random(9).randbytes(5_000), "MEDIA_DAMAGED"),
    "broken.wma": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(5_000), "MEDIA_DAMAGED"),
    "broken.amr": (b"#!AMR\n", "MEDIA_DAMAGED"),
    "short.wav": (corpus.wav_tone(0.05), "MEDIA_TOO_SHORT"),
    "nine.wav": (corpus.wav_tone(0.2, channels=9), "MEDIA_TOO_MANY_CHANNELS"),
    "sixty.wav": (corpus.wav_tone(0.01, channels=60), "MEDIA_TOO_MANY_CHANNELS"),
    "fast.wav": (corpus.wav_bytes(bytes(80_000), rate=384_000), "MEDIA_RATE_TOO_HIGH"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_bad_file_has_its_own_reason(tmp_path: Path, name: str) -> None:
    content, code = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path).code == code


@pytest.mark.parametrize("extension", corpus.VIDEO)
def test_video_without_sound(tmp_path: Path, extension: str) -> None:
    error = refusal(corpus.encode(tmp_path / f"x.{extension}", extension, 1.0, sound=False))
    assert (error.code, error.params["has_video"]) == ("MEDIA_NO_AUDIO_TRACK", True)


def test_protected_m4a(tmp_path: Path) -> None:
    path = corpus.encode(tmp_path / "song.m4a", "m4a", 1.0)
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"drms", 1))
    assert refusal(path).code == "MEDIA_PROTECTED"


def test_protected_wma(tmp_path: Path) -> None:
    path = corpus.encode(tmp_path / "song.wma", "wma", 1.0)
    data = path.read_bytes()
    path.write_bytes(data[:30] + bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + data[46:])
    assert refusal(path).code == "MEDIA_PROTECTED"


HEADS = ("ogg", "opus", "flac")


@pytest.mark.parametrize("extension", corpus.ENCODED)
@pytest.mark.parametrize("twentieths", [1, 10, 19])
def test_a_truncated_file_gives_its_part_and_says_so(tmp_path: Path, extension: str, twentieths: int) -> None:
    path = corpus.encode(tmp_path / f"x.{extension}", extension, 5.0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * twentieths // 20])
    if extension in ("m4a", "mp4", "mov"):  # the index at the end is gone with the end
        assert refusal(path).code == "MEDIA_DAMAGED"
        return
    if twentieths == 1 and extension in HEADS:  # the container's header alone decodes to nothing
        assert refusal(path).code in ("MEDIA_DAMAGED", "MEDIA_TOO_SHORT")
        return
    decoded, warnings = consume(path)
    assert 0 < decoded < 5.2 * 32_000
    if extension not in ("mp3", "aac", "amr"):  # streams of frames without an end: whatever is there is the recording
        assert warnings == (TRUNCATED_MEDIA,)


@pytest.mark.parametrize("extension", ["m4a", "mp4"])
def test_a_truncated_download_with_its_index_in_front_still_plays(tmp_path: Path, extension: str) -> None:
    path = corpus.encode(tmp_path / f"x.{extension}", extension, 6.0, movflags="+faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    decoded, warnings = consume(path)
    assert decoded > 2 * 32_000
    assert warnings == (TRUNCATED_MEDIA,)


def test_damage_in_the_middle_costs_only_the_middle(tmp_path: Path) -> None:
    path = corpus.encode(tmp_path / "x.flac", "flac", 6.0)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2_000] = random.Random(3).randbytes(2_000)
    path.write_bytes(data)
    decoded, warnings = consume(path)
    assert decoded > 4 * 32_000
    assert warnings == (TRUNCATED_MEDIA,)


def test_a_wav_written_while_recording_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "live.wav"
    path.write_bytes(corpus.wav_bytes(corpus.tone(1, 16_000, 1).tobytes(), declared=0xFFFFFFFF))
    assert consume(path) == (32_000, ())


def test_a_header_that_lies_about_length_changes_nothing(tmp_path: Path) -> None:
    path = corpus.encode(tmp_path / "x.mkv", "mkv", 2.0, video=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", 3.6e12)
    path.write_bytes(data)
    assert probe(path).duration_ms is None  # 114 years
    assert consume(path)[0] == pytest.approx(2 * 32_000, rel=0.05)


def test_length_is_counted_in_samples(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(3))
    assert refusal(path, replace(DecodeLimits(), max_audio_ms=2_000)).code == "MEDIA_TOO_LONG"
    assert consume(path, replace(DecodeLimits(), max_audio_ms=3_000))[0] == 96_000


NAMES = [
    "../../x.wav",
    "会议录音.wav",
    "a" * 240 + ".wav",
    "\u202egnp.wav",
    "会议.scp",
    "https:x.txt",
    "-i.wav",
    "concat:a|b.wav",
    "%d.wav",
    "a\nb.wav",
    "CON",
    "pipe:0",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_mean_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / os.path.basename(name)
    path.write_bytes(corpus.wav_tone(0.5))
    assert consume(path) == (16_000, ())


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    pipe, link, real = tmp_path / "pipe", tmp_path / "link", tmp_path / "real.wav"
    os.mkfifo(pipe)
    real.write_bytes(corpus.wav_tone(0.5))
    link.symlink_to(real)
    assert refusal(pipe).code == "MEDIA_NOT_AUDIO"
    assert refusal(link).code == "MEDIA_DAMAGED"
    assert refusal(tmp_path / "missing.wav").code == "MEDIA_DAMAGED"
