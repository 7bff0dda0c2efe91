"""The engine process around any backend: socket, connections, heartbeats, watchdog, draining. Free of torch."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.asr.engine.address import EngineAddress
from portal.asr.engine.backend import Backend
from portal.asr.engine.connection import Connection, is_allowed, peer_uid
from portal.asr.engine.contract import CacheCleared, Change, Check, EngineState, EngineStatus
from portal.asr.engine.crash_journal import CrashJournal
from portal.asr.engine.gauge_log import GaugeLog
from portal.asr.engine.json_log import log
from portal.asr.engine.lifecycle import Lifecycle, Source
from portal.asr.engine.listening import serve
from portal.asr.engine.model_thread import Care, ModelThread
from portal.asr.engine.process_info import resident_bytes
from portal.asr.engine.protocol import Message
from portal.asr.engine.scheduler import MAX_QUEUED_S, MAX_RECORDINGS, Scheduler
from portal.asr.errors import EngineUnavailable
from portal.asr.types import ModelInfo

_IN_TRANSIT_S: Final = 0.25
_TICK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """``heartbeat_s``: how often callers hear that the engine lives. ``stall_s``: a turn of the models longer than this
    ends the process (a hang), callers stop hearing from it after half of that. ``drain_s``: patience after SIGTERM.
    ``idle_unload_s``: the models leave the memory after so long without a recording; 0: never. ``canary_idle_s``: the
    canary is heard again after so long without work; 0: never. ``cpu_rescue``: what finds no memory on the device may
    run on the CPU. ``remote``: where callers on other hosts are served, over TLS.
    ``max_recordings``, ``max_queued_s``: above it callers are told ENGINE_BUSY."""

    socket: Path
    allowed_uids: frozenset[int]
    heartbeat_s: float = 5.0
    stall_s: float = 60.0
    drain_s: float = 20.0
    max_connections: int = 256
    idle_unload_s: float = 0.0
    canary_idle_s: float = 0.0
    cpu_rescue: bool = True
    remote: EngineAddress | None = None
    max_recordings: int = MAX_RECORDINGS
    max_queued_s: float = MAX_QUEUED_S


class Service:
    """One engine process. ``run`` returns its exit status."""

    def __init__(self, settings: ServiceSettings, source: Source, model: ModelInfo) -> None:
        """``model``: what the status tells until the first models are loaded."""
        self.scheduler = Scheduler(settings.max_recordings, settings.max_queued_s)
        self.lifecycle = Lifecycle(
            self.scheduler,
            source,
            idle_unload_s=settings.idle_unload_s,
            lost=lambda reason: self._must_end(70, reason),
        )
        self._settings = settings
        self._model = model
        self._ending: EngineState | None = None
        self._gauges = GaugeLog()
        self._exit: int | None = None
        self._began = time.monotonic()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._journal = CrashJournal(settings.socket.with_suffix(".journal"))
        care = Care(
            self._journal,
            canary=lambda backend: source.check(backend.model.digest, backend),
            canary_idle_s=settings.canary_idle_s,
            cpu_rescue=settings.cpu_rescue,
        )
        self._thread = ModelThread(self.scheduler, self.lifecycle.first, self._became_ready, self._must_end, care)

    def run(self) -> int:
        """Serve until SIGTERM or failure."""
        return asyncio.run(self._main())

    async def _main(self) -> int:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._drain_asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._drain_asked.set)
        servers = await serve(self._settings.socket, self._settings.remote, self._accept)
        self._journal.open()
        self._thread.start()
        log("engine_started", socket=str(self._settings.socket), pid=os.getpid())
        helpers = [asyncio.ensure_future(duty) for duty in (self._beat(), self._tick(), self._drain())]
        await self._over.wait()
        for server in servers:
            server.close()
        for helper in helpers:
            helper.cancel()
        self.scheduler.fail_all("ENGINE_UNAVAILABLE", "the engine is shutting down")
        self.scheduler.stop()
        await asyncio.sleep(0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._exit:
            self._journal.close()
        self._settings.socket.unlink(missing_ok=True)
        log("engine_ended", status=self._exit or 0)
        return self._exit or 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # over TLS the handshake has already asked for a certificate of our authority
        vouched = writer.get_extra_info("ssl_object") is not None
        uid = None if vouched else peer_uid(writer.get_extra_info("socket"))
        welcome = vouched or is_allowed(uid, self._settings.allowed_uids)
        if not welcome or len(self._connections) >= self._settings.max_connections:
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
                    if connection.recording is not None or connection.waits:
                        connection.write(Message("alive"))

    async def _tick(self) -> None:
        """Old models, idleness, the figures of the last hour."""
        while True:
            await asyncio.sleep(_TICK_S)
            if self._ending is None:
                self.lifecycle.tick()
            figures = self._thread.figures
            self._gauges.add(figures.memory, figures.utilisation_percent, figures.temperature_c, resident_bytes())

    async def _drain(self) -> None:
        await self._drain_asked.wait()
        log("engine_draining", recordings=self.scheduler.counts()[0])
        self._ending = "draining"
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
        self.lifecycle.began(backend, self.scheduler.generation)
        log("engine_ready", device=backend.model.device, banner=backend.banner, seconds=round(self._uptime(), 2))

    def _must_end(self, status: int, reason: str) -> None:
        """Called by the model thread when it can't go on."""
        self._ending = "failed"
        self._exit = status
        self._loop.call_soon_threadsafe(self._over.set)

    def clear_cache(self, answer: Callable[[CacheCleared], None]) -> None:
        """See connection.Engine."""
        backend = self.scheduler.backend
        if backend is None:
            raise EngineUnavailable(detail="the models are being loaded")

        def clear() -> None:
            cleared = backend.clear_cache()
            self._loop.call_soon_threadsafe(answer, cleared)

        self.scheduler.call(clear)

    def unload(self, *, wait: bool) -> Change:
        """See connection.Engine."""
        self._refuse_while_ending()
        return self.lifecycle.unload(wait=wait)

    def load(self) -> Change:
        """See connection.Engine."""
        self._refuse_while_ending()
        return self.lifecycle.load()

    def switch(self, digest: str) -> Change:
        """See connection.Engine."""
        self._refuse_while_ending()
        return self.lifecycle.switch(digest)

    def history(self) -> list[list[float | int | None]]:
        """See connection.Engine."""
        return self._gauges.rows()

    async def admit(self) -> None:
        """See connection.Engine."""
        while self._ending is None and self.lifecycle.waking():
            await asyncio.sleep(0.05)

    def _refuse_while_ending(self) -> None:
        if self._ending is not None:
            raise EngineUnavailable(detail="the engine is shutting down")

    def _last_canary(self) -> Check | None:
        known = [check for check in (self._thread.figures.canary, self.lifecycle.canary) if check is not None]
        return max(known, key=lambda check: check.at, default=None)

    def status(self) -> EngineStatus:
        """A snapshot from the last look of the model thread."""
        recordings, segments = self.scheduler.counts()
        figures, backend, life = self._thread.figures, self.lifecycle.backend, self.lifecycle
        model = life.model or self._model
        state = self._ending or life.state
        hour_audio, hour_busy = figures.hour.totals()
        return EngineStatus(
            ready=state in ("ready", "asleep"),
            state=state,
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
            queued_seconds=round(self.scheduler.queued_s(), 3),
            hour_audio_seconds=round(hour_audio, 3),
            hour_busy_seconds=round(hour_busy, 3),
            split_segments=figures.split_segments,
            cpu_segments=figures.cpu_segments,
            poisoned=figures.poisoned,
            rescued=figures.rescued,
            useful_frames=figures.useful_frames,
            computed_frames=figures.computed_frames,
            canary=self._last_canary(),
            change=life.change,
            old_models=len(life.old_generations),
            loaded_at=life.loaded_at,
            load_seconds=life.load_seconds,
        )

    def _uptime(self) -> float:
        return time.monotonic() - self._began


def allowed_uids(named: Collection[int]) -> frozenset[int]:
    """The users that may call: the engine's own and the named ones."""
    return frozenset({os.geteuid(), *named})
