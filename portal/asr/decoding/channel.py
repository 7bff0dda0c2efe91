"""The parent's end of the decoder's pipe: bounded reads, a limit on silence, and the meaning of the child's death."""

from __future__ import annotations

import select
import signal
import subprocess
import time
from typing import Any

from portal.asr.decoding.frames import PREFIX, FrameError, parse_header, parse_prefix
from portal.asr.errors import MediaError

_REASONS = (
    "EMPTY", "NOT_AUDIO", "NO_AUDIO_TRACK", "FORMAT_REFUSED", "DAMAGED", "TOO_LONG", "TOO_MANY_CHANNELS",
    "RATE_TOO_HIGH", "DECODE_LIMIT", "TOO_SHORT", "PROTECTED",
)  # fmt: skip
_CODES = frozenset(f"MEDIA_{reason}" for reason in _REASONS)
_CPU_SIGNALS = (signal.SIGXCPU, signal.SIGKILL)


class Channel:
    """Messages of one child. ``stall_seconds`` bounds how long one read waits."""

    def __init__(self, process: subprocess.Popen[bytes], stall_seconds: float) -> None:
        self._process, self._stall = process, stall_seconds

    def read(self, kinds: tuple[str, ...]) -> tuple[dict[str, Any], bytes]:
        """The next message, which must be one of ``kinds``. Raises MediaError for the child's errors and its death."""
        try:
            head, payload = parse_prefix(self._exactly(PREFIX.size))
            header, body = parse_header(self._exactly(head)), self._exactly(payload)
        except FrameError as error:
            raise MediaError("MEDIA_DAMAGED", f"decoder: {error}") from error
        if header["kind"] == "error":
            raise _reported(header)
        if header["kind"] not in kinds:
            raise MediaError("MEDIA_DAMAGED", "decoder: a message out of turn")
        return header, body

    def _exactly(self, count: int) -> bytes:
        stream = self._process.stdout
        if stream is None:
            raise MediaError("MEDIA_DAMAGED", "the decoder has no output")
        data, deadline = bytearray(), time.monotonic() + self._stall
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                raise _limit("time", f"{self._stall:g} s")
            part = stream.read(min(count - len(data), 1 << 16))
            if not part:
                raise self._death()
            data += part
        return bytes(data)

    def _death(self) -> MediaError:
        """Why the pipe ended early. A child that the kernel stopped for its processor time is not a damaged file."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return MediaError("MEDIA_DAMAGED", "the decoder closed its output")
        if -status in _CPU_SIGNALS:
            return _limit("cpu", "CPU")
        return MediaError("MEDIA_DAMAGED", f"the decoder ended with status {status}")

    def close(self) -> None:
        """Kill the child and take its exit status, so that neither an orphan nor a zombie stays."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _limit(bound: str, limit: str) -> MediaError:
    return MediaError("MEDIA_DECODE_LIMIT", f"the decoder reached its limit of {bound}", bound=bound, limit=limit)


def _reported(header: dict[str, Any]) -> MediaError:
    code, params = header.get("code"), header.get("params")
    known = {
        str(key): value
        for key, value in (params.items() if isinstance(params, dict) else ())
        if isinstance(value, int | float | str) and str(key).isidentifier() and key not in ("code", "detail")
    }
    return MediaError(code if code in _CODES else "MEDIA_DAMAGED", str(header.get("detail", ""))[:200], **known)
