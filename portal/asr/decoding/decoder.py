"""One recording from its open file to 16 kHz blocks, inside the decoder's process.

Only the demuxer ``sniff`` names is tried, no protocol is allowed and opening a second file fails, so a recording can't
bring in another one. Nothing a header says about length is believed: samples are counted as they come out.
"""

from __future__ import annotations

import array
import contextlib
import importlib
import io
import math
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

import av
import av.error
import av.logging
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from portal.asr.decoding import endings
from portal.asr.decoding.limits import DecodeLimits
from portal.asr.decoding.protection import is_protected
from portal.asr.decoding.sniff import HEAD_BYTES, sniff
from portal.asr.errors import MediaError
from portal.asr.types import SAMPLE_RATE

BLOCK_SAMPLES = 2 * SAMPLE_RATE
_DEMUXERS = "wav,flac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,asf,amr,amrnb,amrwb,aac,mp3"
_CODECS = (
    "aac,aac_fixed,aac_latm,ac3,eac3,alac,amrnb,amrwb,flac,gsm,gsm_ms,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,libopus,"
    "libspeex,speex,vorbis,libvorbis,wmav1,wmav2,wmapro,wmavoice,wmalossless,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_g726,"
    "adpcm_g722,g722,g729,g723_1,truespeech,libopencore_amrnb,libopencore_amrwb,pcm_alaw,pcm_mulaw,pcm_u8,pcm_s8,pcm_s16le,"
    "pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be"
)
_OPTIONS = {
    "format_whitelist": _DEMUXERS,
    "protocol_whitelist": "none",  # no protocol has this name; the bytes come from our own file object
    "codec_whitelist": _CODECS,  # pictures and video are never opened
}
_MOV_OPTIONS = {"enable_drefs": "0", "use_absolute_path": "0"}  # no tracks that lie in other files

_LATE_MODULES = ("av.subtitles.stream", "av.video.stream", "av.sidedata.sidedata", "encodings.idna")

Emit = Callable[[list[bytes], int], None]
Tick = Callable[[int], None]


def warm_up() -> None:
    """Make PyAV load what it loads late, by decoding four milliseconds of silence in memory."""
    for name in _LATE_MODULES:
        importlib.import_module(name)
    silence = b"RIFF" + struct.pack("<I", 164) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 32_000, 64_000, 2, 16)
    stream = io.BytesIO(silence + b"data" + struct.pack("<I", 128) + bytes(128))
    container = av.open(stream, mode="r", format="wav", io_open=_refuse_other_files, container_options=_OPTIONS)
    Decoder(container, False, DecodeLimits(), lambda _channels, _begin: None, lambda _decoded: None).run()
    with contextlib.suppress(av.error.FFmpegError):
        av.open(io.BytesIO(bytes(64)), mode="r", format="wav")


def open_recording(stream: BinaryIO, limits: DecodeLimits) -> tuple[InputContainer, dict[str, Any]]:
    """Open ``stream`` with the one demuxer its first bytes call for. Returns the container and the facts to report.

    Raises MediaError with the specific reason.
    """
    size = os.fstat(stream.fileno()).st_size
    stream.seek(0)
    demuxer = sniff(stream.read(HEAD_BYTES))
    if demuxer == "mov" and is_protected(stream, size):
        raise MediaError("MEDIA_PROTECTED", "encrypted sample description")
    stream.seek(0)
    av.logging.set_level(None)
    try:
        container = av.open(
            stream, mode="r", format=demuxer, metadata_errors="ignore", io_open=_refuse_other_files,
            container_options=_OPTIONS | (_MOV_OPTIONS if demuxer == "mov" else {}),
        )  # fmt: skip
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise MediaError("MEDIA_DAMAGED", f"{demuxer}: {type(error).__name__}") from error
    return container, _facts(container, demuxer, limits)


def _refuse_other_files(_url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise OSError("a recording may not open other files")


def _facts(container: InputContainer, demuxer: str, limits: DecodeLimits) -> dict[str, Any]:
    """What the parent is told before the first sample. Raises MediaError when the sound can't be used."""
    pictures = [s for s in container.streams.video if "attached_pic" not in str(s.disposition)]
    if not container.streams.audio:
        raise MediaError("MEDIA_NO_AUDIO_TRACK", demuxer, has_video=bool(pictures))
    stream = container.streams.audio[0]
    codec, rate, channels = stream.codec_context.name, stream.rate or 0, stream.codec_context.channels
    if codec not in _CODECS.split(","):
        raise MediaError("MEDIA_FORMAT_REFUSED", f"codec {codec}", kind="codec")
    check_shape(channels, rate, limits)
    duration = container.duration
    return {
        "container": demuxer,
        "codec": codec,
        "duration_ms": duration // 1000 if duration is not None and 0 < duration < 10**15 else None,
        "channels": channels,
        "sample_rate": rate,
        "has_video": bool(pictures),
    }


def check_shape(channels: int, rate: int, limits: DecodeLimits) -> None:
    """Raises MediaError when there are more channels or samples a second than ``limits`` allow."""
    if channels > limits.max_channels:
        raise MediaError("MEDIA_TOO_MANY_CHANNELS", channels=channels, limit=limits.max_channels)
    if rate > limits.max_sample_rate:
        raise MediaError("MEDIA_RATE_TOO_HIGH", rate=rate, limit=limits.max_sample_rate)


class Decoder:
    """Packets to blocks of 16 kHz int16, for one opened recording."""

    def __init__(
        self, container: InputContainer, split: bool, limits: DecodeLimits, emit: Emit, tick: Callable[[int], None]
    ) -> None:
        """``emit(channels, begin_sample)`` receives blocks; ``tick(decoded_ms)`` is called each decoded minute."""
        self._container, self._limits, self._emit, self._tick = container, limits, emit, tick
        self._stream: AudioStream = container.streams.audio[0]
        self._stream.codec_context.thread_count = 1
        self._outputs = 2 if split else 1
        self._waiting = [bytearray() for _ in range(self._outputs)]
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None
        self._sent = self._native_bytes = self._packet_bytes = self._ticked = 0
        self.bad_packets = 0

    @property
    def decoded_ms(self) -> int:
        """Milliseconds of sound that came out so far."""
        return (self._sent + len(self._waiting[0]) // 2) * 1000 // SAMPLE_RATE

    @property
    def declared_ms(self) -> int:
        """Length of the sound track by its header; 0 where it says nothing."""
        duration, unit = self._stream.duration, self._stream.time_base
        return int(duration * unit * 1000) if duration is not None and unit is not None else 0

    def run(self) -> None:
        """Decode everything. Raises MediaError for a bound that is reached."""
        for packet in self._packets():
            self._packet_bytes += packet.size
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                self.bad_packets += 1
                continue
            for frame in frames:
                self._take(frame)
            self._check()
        self._drain(None)
        self._flush()

    def _packets(self) -> Iterator[av.Packet[AudioStream]]:
        """The stream's packets, up to the point where the container breaks off."""
        try:
            yield from self._container.demux(self._stream)
        except (av.error.FFmpegError, ValueError):
            self.bad_packets += 1

    def _take(self, frame: AudioFrame) -> None:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            check_shape(frame.layout.nb_channels, frame.sample_rate, self._limits)
            self._drain(None)
            self._resampler = AudioResampler("s16p", "stereo" if self._outputs == 2 else "mono", SAMPLE_RATE)
            self._shape = shape
        self._native_bytes += frame.samples * frame.layout.nb_channels * frame.format.bytes
        if self._stream.codec_context.name.startswith("pcm_f"):
            _replace_nonsense(frame)
        frame.pts = None  # wrong time stamps make the resampler refuse whole frames
        self._drain(frame)

    def _drain(self, frame: AudioFrame | None) -> None:
        if self._resampler is None:
            return
        try:
            ready = self._resampler.resample(frame)
        except (av.error.FFmpegError, ValueError):
            self.bad_packets += 1
            self._resampler = self._shape = None
            return
        for out in ready:
            for waiting, plane in zip(self._waiting, out.planes, strict=True):
                waiting += memoryview(plane)[: out.samples * 2]
        if len(self._waiting[0]) >= BLOCK_SAMPLES * 2:
            self._flush()

    def _flush(self) -> None:
        samples = len(self._waiting[0]) // 2
        if samples:
            self._emit([bytes(waiting) for waiting in self._waiting], self._sent)
            self._sent += samples
            for waiting in self._waiting:
                waiting.clear()

    def _check(self) -> None:
        decoded, limits = self.decoded_ms, self._limits
        if decoded > limits.max_audio_ms:
            raise MediaError("MEDIA_TOO_LONG", limit_hours=limits.max_audio_hours)
        if decoded - self._ticked >= 60_000:
            self._ticked = decoded
            self._tick(decoded)
        if decoded >= limits.expansion_after_ms and self._shape is not None:
            costly = self._stream.codec_context.channels * self._shape[2] > limits.cheap_samples_per_second
            if costly and self._native_bytes > self._packet_bytes * limits.max_expansion:
                bound = {"bound": "expansion", "limit": f"{limits.max_expansion}:1"}
                raise MediaError("MEDIA_DECODE_LIMIT", "far more samples than stored bytes explain", **bound)


def _replace_nonsense(frame: AudioFrame) -> None:
    """Turn NaN and infinite samples into silence; the resampler would make full-scale clicks of them."""
    kind = "d" if frame.format.bytes == 8 else "f"
    for plane in frame.planes:
        samples = array.array(kind, bytes(plane))
        if not math.isfinite(sum(samples)):
            plane.update(array.array(kind, [x if math.isfinite(x) else 0.0 for x in samples]).tobytes())


def broke_off(decoder: Decoder, container: str, stream: BinaryIO) -> bool:
    """True when the recording ends before its own header or last bytes say it should."""
    if decoder.bad_packets:
        return True
    missing = decoder.declared_ms - decoder.decoded_ms
    if container == "flac" and missing > 30:  # counts its samples exactly; a resynchronised frame is a hole
        return True
    if container in ("mov", "asf") and missing > max(1_000, decoder.declared_ms // 50):
        return True
    return endings.is_cut(stream, container)
