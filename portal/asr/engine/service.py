"""The engine process around any backend: socket, connections, heartbeats, watchdog, draining. Free of torch."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.asr.engine.backend import Backend
from portal.asr.engine.connection import Connection, is_allowed, peer_uid
from portal.asr.engine.contract import CacheCleared, EngineState, EngineStatus
from portal.asr.engine.json_log import log
from portal.asr.engine.model_thread import ModelThread
from portal.asr.engine.process_info import resident_bytes
from portal.asr.engine.protocol import Message
from portal.asr.engine.scheduler import Scheduler
from portal.asr.errors import EngineUnavailable
from portal.asr.types import ModelInfo

_IN_TRANSIT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """``heartbeat_s``: how often callers hear that the engine lives. ``stall_s``: a turn of the models longer than this
    ends the process (a hang), callers stop hearing from it after half of that. ``drain_s``: patience after SIGTERM."""

    socket: Path
    allowed_uids: frozenset[int]
    heartbeat_s: float = 5.0
    stall_s: float = 60.0
    drain_s: float = 20.0
    max_connections: int = 256


class Service:
    """One engine process. ``run`` returns its exit status."""

    def __init__(self, settings: ServiceSettings, build: Callable[[], Backend], model: ModelInfo) -> None:
        self.scheduler = Scheduler()
        self._settings = settings
        self._model = model
        self._backend: Backend | None = None
        self._state: EngineState = "loading"
        self._exit: int | None = None
        self._began = time.monotonic()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = ModelThread(self.scheduler, build, self._became_ready, self._must_end)

    def run(self) -> int:
        """Serve until SIGTERM or failure."""
        return asyncio.run(self._main())

    async def _main(self) -> int:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._drain_asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._drain_asked.set)
        server = await asyncio.start_unix_server(self._accept, sock=listen(self._settings.socket))
        self._thread.start()
        log("engine_started", socket=str(self._settings.socket), pid=os.getpid())
        helpers = [asyncio.ensure_future(self._beat()), asyncio.ensure_future(self._drain())]
        await self._over.wait()
        server.close()
        for helper in helpers:
            helper.cancel()
        self.scheduler.fail_all("ENGINE_UNAVAILABLE", "the engine is shutting down")
        self.scheduler.stop()
        await asyncio.sleep(0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._settings.socket.unlink(missing_ok=True)
        log("engine_ended", status=self._exit or 0)
        return self._exit or 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.get_extra_info("socket"))
        if not is_allowed(uid, self._settings.allowed_uids) or len(self._connections) >= self._settings.max_connections:
            log("caller_refused", uid=uid, connections=len(self._connections))
            writer.close()
            return
        connection = Connection(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(connection)
        self._tasks.add(task)
        try:
            await connection.serve()
        except asyncio.CancelledError:
            return
        finally:
            self._connections.discard(connection)
            self._tasks.discard(task)

    async def _beat(self) -> None:
        """Tell callers that the engine lives while the models move on; end the process when they hang."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_s)
            running = self._thread.running_s()
            if running > self._settings.stall_s:
                log("models_hang", seconds=round(running, 1))
                os._exit(75)
            if running < self._settings.stall_s / 2:
                for connection in self._connections:
                    if connection.recording is not None:
                        connection.write(Message("alive"))

    async def _drain(self) -> None:
        await self._drain_asked.wait()
        log("engine_draining", recordings=self.scheduler.counts()[0])
        self._state = "draining"
        self.scheduler.drain()
        deadline = time.monotonic() + self._settings.drain_s
        # samples, and the end of a recording, that callers had sent before are still on their way through the socket
        await asyncio.sleep(_IN_TRANSIT_S)
        while not self.scheduler.drained() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        # a caller whose recording has just ended may still ask for punctuation
        while any(c.recording is not None for c in self._connections) and time.monotonic() < deadline:
            if not any(c.recording and c.recording.finished and c.recording.sent for c in self._connections):
                break
            await asyncio.sleep(0.05)
        self._over.set()

    def _became_ready(self, backend: Backend) -> None:
        self._backend = backend
        if self._state == "loading":
            self._state = "ready"
        log("engine_ready", device=backend.model.device, banner=backend.banner, seconds=round(self._uptime(), 2))

    def _must_end(self, status: int, reason: str) -> None:
        """Called by the model thread when it can't go on."""
        self._state = "failed"
        self._exit = status
        self._loop.call_soon_threadsafe(self._over.set)

    def clear_cache(self, answer: Callable[[CacheCleared], None]) -> None:
        """See connection.Engine."""
        backend = self._backend
        if backend is None:
            raise EngineUnavailable(detail="the models are being loaded")

        def clear() -> None:
            cleared = backend.clear_cache()
            self._loop.call_soon_threadsafe(answer, cleared)

        self.scheduler.call(clear)

    def status(self) -> EngineStatus:
        """A snapshot from the last look of the model thread."""
        recordings, segments = self.scheduler.counts()
        figures, backend = self._thread.figures, self._backend
        model = self._model if backend is None else backend.model
        return EngineStatus(
            ready=self._state == "ready",
            state=self._state,
            device=model.device,
            device_name="" if backend is None else backend.device_name,
            banner=None if backend is None else backend.banner,
            model=model,
            capabilities=frozenset() if backend is None else backend.capabilities,
            memory=figures.memory,
            rss_bytes=resident_bytes(),
            running_recordings=recordings,
            queued_segments=segments,
            uptime_s=round(self._uptime(), 3),
            audio_seconds_done=figures.audio_seconds_done,
            busy_seconds=figures.busy_seconds,
            utilisation_percent=figures.utilisation_percent,
            temperature_c=figures.temperature_c,
            batches=figures.batches,
            oom_count=figures.oom_count,
            profile="" if backend is None else backend.profile,
            profile_note=None if backend is None else backend.profile_note,
            languages=() if backend is None else backend.languages,
        )

    def _uptime(self) -> float:
        return time.monotonic() - self._began


def listen(path: Path) -> socket.socket:
    """Bind the engine's socket with mode 0660, replacing one that nobody answers on. Raises OSError when one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise OSError(f"an engine already answers on {path}")
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        bound.bind(str(path))
    finally:
        os.umask(before)
    bound.listen(128)
    bound.setblocking(False)
    return bound


def allowed_uids(named: Collection[int]) -> frozenset[int]:
    """The users that may call: the engine's own and the named ones."""
    return frozenset({os.geteuid(), *named})
