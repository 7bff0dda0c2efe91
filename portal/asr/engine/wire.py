"""Messages of the engine's protocol over one socket, seen from the caller."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import deque
from typing import Final

from portal.asr.engine.address import EngineAddress, connect
from portal.asr.engine.protocol import CLIENT_MESSAGES, ENGINE_MESSAGES, Decoder, Message, encode
from portal.asr.errors import AsrError, EngineBusy, EngineFailed, EngineUnavailable, ProtocolError

_ERRORS: Final[dict[str, type[AsrError]]] = {
    "ENGINE_UNAVAILABLE": EngineUnavailable,
    "ENGINE_BUSY": EngineBusy,
    "ENGINE_CHANGING": EngineBusy,
    "ENGINE_PROTOCOL": ProtocolError,
}


class Wire:
    """Messages over one socket."""

    def __init__(self, address: EngineAddress, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._decoder = Decoder(ENGINE_MESSAGES)
        self._ready: deque[Message] = deque()
        self._socket = connect(address, timeout_s)

    def send(self, message: Message) -> None:
        """Send one message. Raises the engine's own last word, or EngineUnavailable."""
        try:
            self._socket.sendall(encode(message, CLIENT_MESSAGES))
        except OSError as error:
            self._raise_last_word()
            raise EngineUnavailable(detail=f"the engine went away: {type(error).__name__}") from error

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message; None when none came within ``timeout_s`` (default: raise after the client's own)."""
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while not self._ready:
            left = deadline - time.monotonic()
            if not self._wait(max(left, 0.0)):
                if timeout_s is not None:
                    return None
                raise EngineUnavailable(detail=f"the engine was silent for {self._timeout_s:g} s")
            self._read()
        return self._ready.popleft()

    def _wait(self, timeout_s: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True  # already decrypted: the kernel has nothing more to tell
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(timeout_s * 1000))

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except OSError as error:
            raise EngineUnavailable(detail=f"the engine went away: {type(error).__name__}") from error
        if not data:
            raise EngineUnavailable(detail="the engine closed the connection")
        self._ready += self._decoder.feed(data)

    def _raise_last_word(self) -> None:
        """A connection the engine closed may still hold the reason."""
        try:
            while (message := self.receive(0.0)) is not None:
                if message.type == "error":
                    raise error_of(message)
        except EngineUnavailable:
            return

    def close(self) -> None:
        """Leave; whoever waits for this socket wakes up."""
        # closing alone would not wake another thread that waits for this socket
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def error_of(message: Message) -> AsrError:
    """The exception for an ``error`` message."""
    code, detail = str(message["code"]), str(message["detail"])
    return _ERRORS.get(code, EngineFailed)(code, detail)
