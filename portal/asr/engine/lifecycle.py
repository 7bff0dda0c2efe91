"""Which models serve: the first load, unloading, loading again and switching to another version while work goes on.

New models are loaded beside the old ones in a thread of their own while the model thread keeps recognising. They
serve only after their files were proven and they recognised the known sample; whatever goes wrong before that leaves
the old ones in use. A recording keeps the models it was opened with, so no transcript mixes two; the old models are
freed when their last recording has left. Free of torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import PurePath
from typing import Final, Protocol

from portal.asr.engine.backend import Backend, DeviceLost, OutOfMemory
from portal.asr.engine.contract import Change, Check, EngineState
from portal.asr.engine.json_log import log
from portal.asr.engine.process_info import resident_bytes
from portal.asr.engine.scheduler import Scheduler
from portal.asr.errors import AsrError, EngineBusy, EngineFailed, EngineUnavailable
from portal.asr.types import ModelInfo

_LOOK_S: Final = 0.05
_TRY_AGAIN_S: Final = 10.0
_LOADING: Final = "the models are being loaded"
_UNLOADED: Final = "an administrator has unloaded the models"
_LEAVING: Final = "the models are being unloaded"


class Source(Protocol):
    """Where models come from. May take long. The model thread calls it at the start and for ``check``, the thread of a
    change for the rest, at the same time."""

    def at_start(self) -> ModelInfo:
        """The model to start with. Raises ModelError."""

    def configured(self) -> ModelInfo:
        """The model that the settings name. Raises ModelError."""

    def on_reload(self, in_use: str) -> ModelInfo:
        """The model to load instead of the one in use, or that one again. Raises ModelError."""

    def find(self, digest: str) -> ModelInfo:
        """A model that may be used. Raises ModelError(MODEL_UNKNOWN)."""

    def build(self, digest: str) -> Backend:
        """Prove the files and load them. Raises ModelError, OutOfMemory, DeviceLost."""

    def check(self, digest: str, backend: Backend) -> bool:
        """Recognise the known sample; whether there was one. Raises EngineFailed when the words are wrong."""

    def remember(self, digest: str) -> None:
        """Use this model after a restart too. Raises OSError."""


class Lifecycle:
    """See the module. Public methods may be called from any thread; ``tick`` about once a second, from one."""

    def __init__(
        self,
        scheduler: Scheduler,
        source: Source,
        *,
        idle_unload_s: float = 0.0,
        lost: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """``idle_unload_s``: unload after so long without a recording; 0: never. ``lost``: the device is beyond help,
        only a new process can go on."""
        self._scheduler = scheduler
        self._source = source
        self._idle_unload_s = idle_unload_s
        self._lost = lost
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._keep = threading.Event()
        self._old: list[tuple[int, Backend]] = []
        self._idle_since = time.monotonic()
        self._try_again: float | None = None
        self._generation = 0
        self._backend: Backend | None = None
        self.state: EngineState = "loading"
        self.model: ModelInfo | None = None
        self.change: Change | None = None
        self.canary: Check | None = None
        self.loaded_at: float | None = None
        self.load_seconds: float | None = None

    @property
    def backend(self) -> Backend | None:
        """The models in use, or the last ones: those still tell the device's memory after they were unloaded."""
        return self._backend

    @property
    def old_generations(self) -> frozenset[int]:
        """Models that serve only the recordings that were opened with them."""
        return frozenset(generation for generation, _ in self._old)

    # the first load ---------------------------------------------------------------------------------------------
    def first(self) -> Backend:
        """Load what serves after the start; called by the model thread. Raises what building raises.

        A model that was switched to earlier and is now unusable gives way to the configured one; ``change`` tells.
        """
        wanted = self._source.at_start()
        try:
            return self._ready_made(wanted)
        except (DeviceLost, OutOfMemory):
            raise
        except Exception as error:
            configured = self._source.configured()
            if configured.digest == wanted.digest:
                raise
            self._begin("start", wanted.digest)
            self._failed(error)
            return self._ready_made(configured)

    def _ready_made(self, wanted: ModelInfo) -> Backend:
        self.model = wanted
        began = time.monotonic()
        backend = self._source.build(wanted.digest)
        self._sing(wanted.digest, backend)
        self.load_seconds, self.loaded_at = time.monotonic() - began, time.time()
        return backend

    def began(self, backend: Backend, generation: int) -> None:
        """The first models are in use."""
        with self._lock:
            self._backend, self._generation, self.state = backend, generation, "ready"
            self.model = backend.model
            self._idle_since = time.monotonic()

    # what administrators ask ------------------------------------------------------------------------------------
    def switch(self, digest: str) -> Change:
        """Begin to load another model beside the one in use. Raises ModelError(MODEL_UNKNOWN), EngineBusy."""
        wanted = self._source.find(digest)
        return self._start("switch", wanted.digest, lambda: self._replace(lambda: wanted))

    def load(self) -> Change:
        """Begin to load again, or for the first time since an unload. While an unload waits for recordings, it is
        called off instead. Raises EngineBusy(ENGINE_CHANGING)."""
        with self._lock:
            if self.state == "unloading" and self.change is not None and self.change.step == "waiting":
                self._keep.set()
                return self.change
        in_use = self.model.digest if self.model is not None else ""
        return self._start("load", in_use, lambda: self._replace(lambda: self._source.on_reload(in_use)))

    def unload(self, *, wait: bool) -> Change:
        """Begin to free the models; with ``wait`` once the running recordings have ended. New ones are refused.

        Raises EngineFailed(ENGINE_IN_USE) when recordings run and ``wait`` is false, EngineBusy(ENGINE_CHANGING)."""
        if not wait and self._scheduler.generations():
            raise EngineFailed("ENGINE_IN_USE", "recordings are running")
        return self._start("unload", "", lambda: self._free("unloaded", wait=wait))

    def waking(self) -> bool:
        """Somebody wants to open a recording: load models that were unloaded for idleness; true while that lasts."""
        if self.state == "asleep":
            with contextlib.suppress(EngineBusy):
                self._load_again("wake")
        action = "" if self.change is None else self.change.action
        return action in ("idle_unload", "wake") and self.state in ("asleep", "unloading", "loading")

    def _load_again(self, action: str) -> None:
        in_use = self.model.digest if self.model is not None else ""
        self._start(action, in_use, lambda: self._replace(lambda: self._source.on_reload(in_use)))

    def tick(self) -> None:
        """Free old models that nobody uses any more; unload after long idleness; try a failed wake again."""
        used = self._scheduler.generations()
        now = time.monotonic()
        with self._lock:
            free = [models for generation, models in self._old if generation not in used]
            self._old = [entry for entry in self._old if entry[0] in used]
        for one in free:
            self._scheduler.call(lambda done=one: self._freed(done))  # type: ignore[misc]
        if used:
            self._idle_since = now
        try:
            if self._try_again is not None and now >= self._try_again:
                self._load_again("wake")
            elif self.state == "ready" and self._idle_unload_s and now - self._idle_since >= self._idle_unload_s:
                self._start("idle_unload", "", lambda: self._free("asleep", wait=False))
        except EngineBusy:
            return

    # how it is done ---------------------------------------------------------------------------------------------
    def _start(self, action: str, model: str, work: Callable[[], None]) -> Change:
        with self._lock:
            if self.state in ("loading", "draining", "failed") and self._backend is None:
                raise EngineUnavailable(detail=_LOADING)
            if self._worker is not None and self._worker.is_alive():
                raise EngineBusy("ENGINE_CHANGING", "another change of the models is under way")
            self._try_again = None
            change = self._begin(action, model)
            self._worker = threading.Thread(target=self._run, args=(work,), name="change", daemon=True)
            self._worker.start()
        return change

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except DeviceLost as error:
            self._failed(error)
            self._lost("the device no longer answers")
        except Exception as error:
            self._failed(error)

    def _begin(self, action: str, model: str) -> Change:
        change = Change(action, "loading", model, time.time(), id=uuid.uuid4().hex, before_bytes=self._held())
        self.change = change
        log("change_began", action=action, model=model[:16], change=change.id)
        return change

    def _step(self, step: str) -> None:
        assert self.change is not None
        self.change = dataclasses.replace(self.change, step=step)

    def _end(self, step: str, code: str = "", detail: str = "", params: dict[str, str] | None = None) -> None:
        assert self.change is not None
        self.change = dataclasses.replace(
            self.change,
            step=step,
            code=code,
            detail=detail[:400],
            params=params or {},
            after_bytes=self._held(),
            ended=time.time(),
        )
        log("change_ended", action=self.change.action, step=step, code=code, detail=detail, change=self.change.id)

    def _failed(self, error: Exception) -> None:
        params = error.params if isinstance(error, AsrError) else {}
        named = {name: PurePath(str(value)).name[:80] for name, value in params.items()}
        self._end("failed", _code_of(error), _detail_of(error), named)

    def _replace(self, choose: Callable[[], ModelInfo]) -> None:
        before = self.state
        if before != "ready":
            self.state = "loading"
        built: Backend | None = None
        try:
            wanted = choose()
            assert self.change is not None
            self.change = dataclasses.replace(self.change, model=wanted.digest)
            began = time.monotonic()
            built = self._source.build(wanted.digest)
            self._step("checking")
            self._sing(wanted.digest, built)
            self._source.remember(wanted.digest)
        except BaseException:
            if built is not None:
                built.close()
            self._fall_back(before)
            raise
        self._serve(built, time.monotonic() - began)
        self._end("done")

    def _serve(self, built: Backend, seconds: float) -> None:
        with self._lock:
            old, generation = self._backend, self._generation
            was_serving = self._scheduler.backend is not None
            self._generation = self._scheduler.install(built)
            self._backend, self.model = built, built.model
            self.loaded_at, self.load_seconds = time.time(), seconds
            self._idle_since = time.monotonic()
            if old is not None and was_serving:
                self._old.append((generation, old))
            self.state = "ready"

    def _fall_back(self, before: EngineState) -> None:
        """The old models go on serving. Without any, people who wait are helped by trying again."""
        woken = self.change is not None and self.change.action == "wake"
        self.state = "unloaded" if woken else before
        if woken:
            self._try_again = time.monotonic() + _TRY_AGAIN_S

    def _sing(self, digest: str, backend: Backend) -> None:
        try:
            sang = self._source.check(digest, backend)
        except EngineFailed as error:
            self.canary = Check(time.time(), False, error.detail)
            raise EngineFailed("MODEL_CANARY", error.detail) from error
        self.canary = Check(time.time(), True) if sang else None

    def _free(self, then: EngineState, *, wait: bool) -> None:
        backend = self._scheduler.backend
        if backend is None:
            self.state = then
            self._end("done")
            return
        self._keep.clear()
        if not self._scheduler.retire(_UNLOADED if then == "unloaded" else _LEAVING, only_idle=not wait):
            raise EngineFailed("ENGINE_IN_USE", "recordings are running")
        self.state = "unloading"
        self._step("waiting")
        while self._scheduler.generations():
            if self._keep.wait(_LOOK_S):
                self._scheduler.restore(backend)
                self.state = "ready"
                self._end("failed", "CANCELLED")
                return
        freed = threading.Event()
        with self._lock:
            old, self._old = self._old, []
        for one in (backend, *(models for _, models in old)):
            self._scheduler.call(lambda done=one: self._freed(done))  # type: ignore[misc]
        self._scheduler.call(freed.set)
        freed.wait()
        self.state = then
        self._end("done")

    def _freed(self, backend: Backend) -> None:
        """In the model thread: nothing computes with these models now, and nobody will again."""
        backend.close()
        if (serving := self._scheduler.backend) is not None:
            # measured beside the old models, with their memory taken
            self._scheduler.resize(serving.budget_frames)
        change = self.change
        if change is not None and change.step == "done":
            self.change = dataclasses.replace(change, after_bytes=self._held())

    def _held(self) -> int:
        reserved = None if self._backend is None else self._backend.memory().reserved_bytes
        return resident_bytes() if reserved is None else reserved


def _code_of(error: Exception) -> str:
    if isinstance(error, OutOfMemory | MemoryError):
        return "ENGINE_NO_ROOM"
    return error.code if isinstance(error, AsrError) else "ENGINE_FAILED"


def _detail_of(error: Exception) -> str:
    """What may be shown: our own details, never a library's text."""
    return error.detail if isinstance(error, AsrError) else type(error).__name__
