"""Recordings for tests, made with PyAV: every container, hostile shapes, playlists that name other files."""

from __future__ import annotations

import array
import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

ENCODED: dict[str, tuple[str, str, int, int]] = {
    # extension: muxer, codec, rate, channels
    "wav": ("wav", "pcm_s16le", 16_000, 1),
    "mp3": ("mp3", "libmp3lame", 44_100, 2),
    "flac": ("flac", "flac", 48_000, 2),
    "m4a": ("mp4", "aac", 44_100, 2),
    "aac": ("adts", "aac", 22_050, 1),
    "ogg": ("ogg", "vorbis", 44_100, 2),
    "opus": ("ogg", "libopus", 48_000, 1),
    "amr": ("amr", "libopencore_amrnb", 8_000, 1),
    "wma": ("asf", "wmav2", 44_100, 1),
    "mp4": ("mp4", "aac", 48_000, 2),
    "mov": ("mov", "pcm_s16le", 32_000, 1),
    "mkv": ("matroska", "flac", 96_000, 1),
    "webm": ("webm", "libopus", 48_000, 2),
}
VIDEO = ("mp4", "mov", "mkv", "webm")


def tone(seconds: float, rate: int, channels: int, hertz: float = 440.0) -> array.array[int]:
    """Interleaved int16 samples of a sine at a quarter of full scale."""
    samples = [int(8000 * math.sin(2 * math.pi * hertz * i / rate)) for i in range(int(seconds * rate))]
    return array.array("h", [s for s in samples for _ in range(channels)])


def wav_bytes(
    data: bytes, *, rate: int = 16_000, channels: int = 1, bits: int = 16, kind: int = 1, declared: int | None = None
) -> bytes:
    """A RIFF/WAVE file of ``data``; ``kind`` 1 is integer, 3 float; ``declared`` lies about the length."""
    step = channels * bits // 8
    head = struct.pack("<IHHIIHH", 16, kind, channels, rate, rate * step, step, bits)
    size = len(data) if declared is None else declared
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + size, 0xFFFFFFFF))
        + b"WAVEfmt "
        + head
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def wav_tone(seconds: float, *, rate: int = 16_000, channels: int = 1, hertz: float = 440.0) -> bytes:
    """A 16-bit WAV of a sine."""
    return wav_bytes(tone(seconds, rate, channels, hertz).tobytes(), rate=rate, channels=channels)


def _frames(samples: array.array[int], rate: int, channels: int, size: int = 1024) -> Iterator[AudioFrame]:
    step = size * channels
    for start in range(0, len(samples), step):
        part = samples[start : start + step]
        frame = AudioFrame(format="s16", layout="stereo" if channels == 2 else "mono", samples=len(part) // channels)
        frame.planes[0].update(part.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = rate, start // channels, Fraction(1, rate)
        yield frame


def encode(
    path: Path, extension: str, seconds: float = 3.0, *, video: bool | None = None, sound: bool = True, **options: str
) -> Path:
    """Write a tone as the container of ``extension``; the four video containers get pictures too unless told not to."""
    muxer, codec, rate, channels = ENCODED[extension]
    with av.open(str(path), "w", format=muxer, options=options) as container:
        pictures = _add_pictures(container, extension) if (extension in VIDEO if video is None else video) else None
        stream: AudioStream | None = None
        if sound:
            added = container.add_stream(codec, rate=rate, options={"strict": "experimental"})
            assert isinstance(added, AudioStream)
            stream = added
            stream.layout = "stereo" if channels == 2 else "mono"
            if codec in ("wmav2", "aac"):
                stream.bit_rate = 64_000  # the WMA encoder has no default
        if pictures:
            _draw(container, pictures, seconds)
        if stream:
            context = stream.codec_context
            resampler = AudioResampler(context.format, context.layout, rate, frame_size=context.frame_size or 0)
            for frame in _frames(tone(seconds, rate, channels), rate, channels):
                for out in resampler.resample(frame):
                    container.mux(stream.encode(out))
            for out in resampler.resample(None):
                container.mux(stream.encode(out))
            container.mux(stream.encode(None))
    return path


def _add_pictures(container: av.container.OutputContainer, extension: str) -> VideoStream:
    stream = container.add_stream("libvpx" if extension == "webm" else "mpeg4", rate=5)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _draw(container: av.container.OutputContainer, stream: VideoStream, seconds: float) -> None:
    for number in range(int(seconds * 5)):
        frame = VideoFrame(64, 48, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([number * 7 % 256]) * plane.buffer_size)
        frame.pts = number
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def silent_flac(path: Path, seconds: int, *, rate: int = 16_000, channels: int = 1, layout: str = "mono") -> Path:
    """A FLAC of nothing but constant frames: hours in a few hundred kilobytes."""
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout = layout
        stream.codec_context.options = {"frame_size": "65535"}
        size = 0
        for start in range(0, seconds * rate, 65_535 - 65_535 % 16):
            size = min(65_520, seconds * rate - start)
            frame = AudioFrame(format="s16", layout=layout, samples=size)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def playlists(victim: Path) -> dict[str, bytes]:
    """Texts that make FFmpeg read ``victim`` when it may guess the format."""
    name = str(victim)
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT5S">'
        f'<Period><AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="1"><BaseURL>file://{name}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:5,\n{name}\n#EXT-X-ENDLIST\n".encode(),
        "hls-bom": b"\xef\xbb\xbf"
        + f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:5,\nfile://{name}\n#EXT-X-ENDLIST\n".encode(),
        "ffconcat": f"ffconcat version 1.0\nfile '{name}'\n".encode(),
        "ffconcat-relative": f"ffconcat version 1.0\nfile {victim.name}\n".encode(),
        "dash": dash.encode(),
        "sdp": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
        "pls": f"[playlist]\nFile1={name}\nNumberOfEntries=1\n".encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{name}"/></entry></asx>'.encode(),
        "subfile": f"subfile,,start,0,end,0,,:{name}\n".encode(),
    }
