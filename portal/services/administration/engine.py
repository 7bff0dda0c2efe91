"""The engine as administrators see it: device, model, memory, work; and the one button, clearing its cache.

Asking the engine is a conversation over a socket: none of it happens inside a database transaction.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy.orm import Session

from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import CacheCleared, EngineStatus
from portal.asr.errors import AsrError
from portal.services import audit
from portal.services.administration.office import need
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission
from portal.settings import Settings

log = logging.getLogger(__name__)

MIB = 1024 * 1024
STATUS_TIMEOUT_S = 2.0
CLEAR_TIMEOUT_S = 30.0
NO_GPU = frozenset({"cpu"})


@dataclass(frozen=True, slots=True)
class EngineView:
    """What is known about the engine right now; ``status`` is None while none answers."""

    status: EngineStatus | None
    error_code: str | None = None

    @property
    def has_gpu(self) -> bool:
        """Whether recognition runs on an accelerator."""
        return self.status is not None and self.status.device.partition(":")[0] not in NO_GPU

    @property
    def speed(self) -> float | None:
        """Seconds of audio recognised per second that the models were at work; None before the first recording."""
        if self.status is None or self.status.busy_seconds < 1:
            return None
        return self.status.audio_seconds_done / self.status.busy_seconds

    @property
    def shares(self) -> tuple[int, int, int] | None:
        """Used, cached and free memory of the device as thousandths of the whole, for the bar."""
        memory = self.status.memory if self.status else None
        if memory is None or not memory.total_bytes:
            return None
        used = min(memory.used_bytes or 0, memory.total_bytes)
        reserved = min(max(memory.reserved_bytes or used, used), memory.total_bytes)
        parts = round(1000 * used / memory.total_bytes), round(1000 * (reserved - used) / memory.total_bytes)
        return parts[0], parts[1], 1000 - parts[0] - parts[1]


def look(settings: Settings) -> EngineView:
    """Ask the engine how it is; an engine that is away is an answer, not an error."""
    try:
        return EngineView(EngineClient(settings.engine_socket, timeout_s=STATUS_TIMEOUT_S).status())
    except AsrError as error:
        return EngineView(None, error.code)


def mib(count: int | None) -> int | None:
    """Bytes as whole MiB (1,048,576 bytes)."""
    return None if count is None else round(count / MIB)


def before_clear(session: Session, actor: Actor) -> None:
    """Write down that the cache is about to be cleared; committed before the engine is asked.

    Raises:
        Forbidden: the actor is no administrator.
        PortalError: AUDIT_UNAVAILABLE; then the engine is not asked.
    """
    need(actor, Permission.ADMIN_ENGINE)
    audit.record(session, actor, audit.Action.ENGINE_CLEAR_CACHE, object_kind="engine", detail={"step": "asked"})


def clear_cache(settings: Settings) -> CacheCleared:
    """Let the engine give back memory that no running work needs; recordings under way go on.

    Raises:
        AsrError: no engine answers, or it could not.
    """
    return EngineClient(settings.engine_socket, timeout_s=CLEAR_TIMEOUT_S).clear_cache()


def after_clear(session: Session, actor: Actor, cleared: CacheCleared | AsrError) -> None:
    """Write down what came of it, in MiB."""
    if isinstance(cleared, AsrError):
        audit.record(session, actor, audit.Action.ENGINE_CLEAR_CACHE, object_kind="engine", result="failed",
                     reason=cleared.code, detail={"step": "failed"})  # fmt: skip
        return
    detail = {"step": "done", "before_mib": mib(cleared.before_bytes), "after_mib": mib(cleared.after_bytes)}
    audit.record(session, actor, audit.Action.ENGINE_CLEAR_CACHE, object_kind="engine", detail=detail)
