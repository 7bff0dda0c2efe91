"""One caller's connection: who it is, what it asks, what it gets. Runs in the engine's I/O loop."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Final, Protocol

from portal.asr.engine.contract import CacheCleared, Change, EngineStatus, RecordingOptions
from portal.asr.engine.json_log import log
from portal.asr.engine.protocol import (
    CLIENT_MESSAGES,
    ENGINE_MESSAGES,
    PROTOCOL_VERSION,
    Decoder,
    Message,
    encode,
)
from portal.asr.engine.recording import WINDOW, Recording
from portal.asr.engine.scheduler import Scheduler
from portal.asr.errors import AsrError, ProtocolError

_FIRST_MESSAGE_S: Final = 30.0
_READ: Final = 1 << 18
_UCRED: Final = struct.Struct("3i")


class Engine(Protocol):
    """What a connection needs of the process around it."""

    scheduler: Scheduler

    def status(self) -> EngineStatus:
        """A snapshot."""

    def clear_cache(self, answer: Callable[[CacheCleared], None]) -> None:
        """Clear in the model thread; ``answer`` is called in the I/O loop."""

    def unload(self, *, wait: bool) -> Change:
        """Begin to unload, see ``lifecycle``."""

    def load(self) -> Change:
        """Begin to load again, see ``lifecycle``."""

    def switch(self, digest: str) -> Change:
        """Begin to switch, see ``lifecycle``."""

    def history(self) -> list[list[float | int | None]]:
        """Figures of the last hour, see ``gauge_log``."""

    async def admit(self) -> None:
        """Return when models that slept for idleness have been loaded again, or can't be."""


def peer_uid(peer: socket.socket) -> int | None:
    """Numeric user of the other end of a Unix socket, as the kernel vouches for it; None where it can't."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return int(uid)


def is_allowed(uid: int | None, allowed: Collection[int]) -> bool:
    """Whether a caller may speak to the engine. A caller the kernel can't name may not."""
    return uid is not None and uid in allowed


class Connection:
    """Serves one caller until it leaves, errs, or the engine ends."""

    def __init__(self, engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder(CLIENT_MESSAGES)
        self.recording: Recording | None = None
        self.waits = False

    async def serve(self) -> None:
        """Read and answer. Whatever ends the connection, the recording's waiting work is dropped."""
        try:
            await self._read()
        except AsrError as error:
            self.write(Message("error", {"code": error.code, "detail": error.detail[:400]}))
        except (ConnectionError, TimeoutError):
            pass
        finally:
            if self.recording is not None:
                self._engine.scheduler.close(self.recording)
            await self._leave()

    async def _read(self) -> None:
        while True:
            patience = _FIRST_MESSAGE_S if self.recording is None else None
            data = await asyncio.wait_for(self._reader.read(_READ), patience)
            messages = self._decoder.feed(data) if data else [Message("close")]
            for message in messages:
                if message.type == "close":
                    return
                await self._handle(message)
                # one answer can be a thousand times its question; and others are served between two of them
                await self._writer.drain()
                await asyncio.sleep(0)

    async def _leave(self) -> None:
        try:
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), 5.0)
        except (ConnectionError, TimeoutError, OSError):
            self._writer.transport.abort()

    def write(self, message: Message) -> None:
        """Queue a message; call in the I/O loop only."""
        if not self._writer.is_closing():
            self._writer.write(encode(message, ENGINE_MESSAGES))

    def send(self, message: Message) -> None:
        """Queue a message from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.write, message)

    async def _handle(self, message: Message) -> None:
        if "version" in message.fields and message["version"] != PROTOCOL_VERSION:
            raise ProtocolError(detail=f"this engine speaks version {PROTOCOL_VERSION}")
        match message.type:
            case "status":
                self.write(Message("status", {"status": self._engine.status().to_wire()}))
            case "clear_cache":
                self._engine.clear_cache(self._cleared)
            case "unload":
                self._changed(self._engine.unload(wait=message["wait"]))
            case "load":
                self._changed(self._engine.load())
            case "switch":
                self._changed(self._engine.switch(message["model"]))
            case "history":
                self.write(Message("history", {"rows": self._engine.history()}))
            case "open":
                await self._open(message)
            case _:
                self._continue(message, self._opened())

    def _opened(self) -> Recording:
        if self.recording is None:
            raise ProtocolError(detail="no recording is open on this connection")
        return self.recording

    def _continue(self, message: Message, recording: Recording) -> None:
        scheduler = self._engine.scheduler
        if message.type == "push":
            scheduler.push(recording, message.body)
        elif message.type == "finish":
            scheduler.finish(recording)
        elif message.type == "punctuate":
            try:
                words = message.body.decode("utf-8").split("\n") if message.body else []
            except UnicodeDecodeError:
                raise ProtocolError(detail="words are not UTF-8") from None
            scheduler.ask_punctuation(recording, message["id"], words)

    async def _open(self, message: Message) -> None:
        if self.recording is not None:
            raise ProtocolError(detail="one connection carries one recording")
        options = RecordingOptions(
            hotwords=tuple(dict.fromkeys(message["hotwords"])),
            lane=message["lane"],
            want_words=message["want_words"],
            max_segment_ms=message["max_segment_ms"],
            end_silence_ms=message["end_silence_ms"],
            hotword_weight=message["hotword_weight"],
            speech_threshold=message["speech_threshold"],
            vad_only=message["vad_only"],
            language=message["language"],
            itn=message["itn"],
            speakers=message["speakers"],
            speaker_count=message["speaker_count"],
        )
        self.waits = True
        await self._engine.admit()
        self.waits = False
        self.recording = self._engine.scheduler.open(options, self.send)
        log("recording_opened", recording=self.recording.number, lane=options.lane, hotwords=len(options.hotwords))
        self.write(Message("opened", {"window": WINDOW, "model": asdict(self.recording.backend.model)}))

    def _changed(self, change: Change) -> None:
        self.write(Message("changed", {"change": asdict(change)}))

    def _cleared(self, cleared: CacheCleared) -> None:
        fields = {"before_bytes": cleared.before_bytes, "after_bytes": cleared.after_bytes}
        self.write(Message("cache_cleared", fields))
