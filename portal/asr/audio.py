"""From a recording's file to 16 kHz int16 blocks. The decoder is its own locked-in process: ``portal.asr.decoding``.

The caller opens the file, the child inherits that one open file and nothing else. Blocks stream through a pipe, so
neither side holds the recording.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from portal.asr.decoding.channel import Channel
from portal.asr.decoding.limits import DecodeLimits
from portal.asr.decoding.lockdown import MEASURES
from portal.asr.errors import MediaError
from portal.asr.types import SAMPLE_RATE, ChannelMode

__all__ = ["MEASURES", "DecodeLimits", "Decoding", "MediaFacts", "PcmBlock", "decode", "probe"]

TRUNCATED_MEDIA = "TRUNCATED_MEDIA"
CHANNELS_NOT_SPLIT = "CHANNELS_NOT_SPLIT"
_CHILD = "portal.asr.decoding.child"
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}  # nothing of ours: secrets live in environments


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a recording's header says; ``duration_ms`` may be wrong and is None where the header has none.

    ``sandbox`` names the measures of ``MEASURES`` that held while it was read.
    """

    container: str
    codec: str
    duration_ms: int | None
    channels: int
    sample_rate: int
    has_video: bool
    sandbox: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PcmBlock:
    """About two seconds of sound: for each channel int16 little-endian at 16 kHz, all of one length.

    ``channels`` holds one entry when mixed, two when a telephone recording is split.
    """

    begin_ms: int
    channels: tuple[bytes, ...]

    @property
    def end_ms(self) -> int:
        """Where the block ends, in whole milliseconds."""
        return self.begin_ms + len(self.channels[0]) // 2 * 1000 // SAMPLE_RATE


class Decoding:
    """A running decoder: iterate for blocks, then read ``warnings``. A context manager; leaving it ends the child."""

    def __init__(self, source: Path | int, mode: str, limits: DecodeLimits) -> None:
        """Start the child on a path, or on a descriptor open for reading. Raises MediaError for an unusable file."""
        self._limits, self._samples, self._done = limits, 0, False
        self._process = _start(source, mode, limits)
        self._channel = Channel(self._process, limits.stall_seconds)
        self.warnings: tuple[str, ...] = ()
        try:
            header, _ = self._channel.read(("facts",))
            self.split = bool(header["split"])
            self.facts = _facts(header)
        except BaseException:
            self.close()
            raise
        if mode == "split" and not self.split:
            self.warnings = (CHANNELS_NOT_SPLIT,)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[PcmBlock]:
        return self

    def __next__(self) -> PcmBlock:
        """The next block. Raises MediaError for everything that keeps the rest from coming."""
        if self._done:
            raise StopIteration
        try:
            header, payload = self._channel.read(("pcm", "end"))
            if header["kind"] == "pcm":
                return self._block(header, payload)
        except BaseException:
            self.close()
            raise
        if header.get("truncated"):
            self.warnings = (TRUNCATED_MEDIA, *self.warnings)
        self.close()
        raise StopIteration

    def _block(self, header: dict[str, Any], payload: bytes) -> PcmBlock:
        """Check a block as if its sender were hostile: it reads what strangers uploaded."""
        expected = 2 if self.split else 1
        if header.get("channels") != expected or len(payload) % (2 * expected) or not payload:
            raise MediaError("MEDIA_DAMAGED", "the decoder sent a block of the wrong shape")
        begin, size = self._samples, len(payload) // expected
        self._samples += size // 2
        if self._samples > (self._limits.max_audio_ms + 60_000) * SAMPLE_RATE // 1000:
            raise MediaError("MEDIA_TOO_LONG", limit_hours=self._limits.max_audio_hours)
        parts = tuple(payload[i * size : (i + 1) * size] for i in range(expected))
        return PcmBlock(begin * 1000 // SAMPLE_RATE, parts)

    def kill(self) -> None:
        """End the child from another thread; whoever iterates gets MEDIA_DECODE_LIMIT and closes."""
        self._process.kill()

    def close(self) -> None:
        """End the child, whatever it is doing. Safe to call twice."""
        self._done = True
        self._channel.close()


def decode(source: Path | int, *, limits: DecodeLimits | None = None, channels: ChannelMode = "mix") -> Decoding:
    """Decode ``source`` (a path, or an open descriptor) to 16 kHz blocks.

    ``split`` keeps the two sides of a telephone recording apart; anything but two channels is mixed and noted in
    ``warnings`` as CHANNELS_NOT_SPLIT. A recording that breaks off gives what it has and the warning TRUNCATED_MEDIA.
    Raises MediaError, here or while iterating.
    """
    return Decoding(source, channels, limits or DecodeLimits())


def probe(source: Path | int, *, limits: DecodeLimits | None = None) -> MediaFacts:
    """Read a recording's header in the locked-in child. Raises MediaError."""
    with Decoding(source, "probe", limits or DecodeLimits()) as decoding:
        return decoding.facts


def _start(source: Path | int, mode: str, limits: DecodeLimits) -> subprocess.Popen[bytes]:
    descriptor = _open(source) if isinstance(source, Path) else os.dup(source)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise MediaError("MEDIA_NOT_AUDIO", "not a regular file")
        if facts.st_size == 0:
            raise MediaError("MEDIA_EMPTY", "the file has no bytes")
        return subprocess.Popen(
            [sys.executable, "-I", "-m", _CHILD, mode, limits.to_json(), str(os.getpid())],
            stdin=descriptor, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT, cwd="/", close_fds=True, bufsize=0, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open without following a link in the last place and without waiting for a pipe's other end."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise MediaError("MEDIA_DAMAGED", f"can't be opened: {error.strerror}") from error


def _facts(header: dict[str, Any]) -> MediaFacts:
    duration = header["duration_ms"]
    return MediaFacts(
        container=str(header["container"]),
        codec=str(header["codec"]),
        duration_ms=None if duration is None else int(duration),
        channels=int(header["channels"]),
        sample_rate=int(header["sample_rate"]),
        has_video=bool(header["has_video"]),
        sandbox=tuple(str(name) for name in header["sandbox"]),
    )
