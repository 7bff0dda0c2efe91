"""What administrators do to an engine, and the log of it: asked before, what came of it afterwards.

Each act is written down and committed before the engine is asked. Its outcome carries the change's id as object; when
it comes later than the person who asked could wait for, housekeeping writes it (``settle``), and so it does for what
the engine did by itself, such as unloading when idle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.engine.contract import CacheCleared, Change, EngineStatus
from portal.asr.errors import AsrError
from portal.models.audit_event import AuditEvent
from portal.services import audit
from portal.services.administration.engine import client_of, mib
from portal.services.administration.office import need
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission
from portal.settings import Settings

ACT_TIMEOUT_S: Final = 30.0
WAIT_S: Final = 2.5
"""How long a page waits for the end of a change before it shows the steps instead."""
SETTLE_S: Final = 10.0
"""So long after its end housekeeping writes the outcome of a change that nobody waited for."""
_ACTIONS: Final[Mapping[str, audit.Action]] = {
    "clear_cache": audit.Action.ENGINE_CLEAR_CACHE,
    "unload": audit.Action.ENGINE_UNLOAD,
    "idle_unload": audit.Action.ENGINE_UNLOAD,
    "load": audit.Action.ENGINE_LOAD,
    "wake": audit.Action.ENGINE_LOAD,
    "start": audit.Action.ENGINE_LOAD,
    "switch": audit.Action.ENGINE_SWITCH,
}
_BY_ITSELF: Final = frozenset({"idle_unload", "wake", "start"})


def before(
    session: Session, actor: Actor, act: str, *, number: int = 1, status: EngineStatus | None = None, model: str = ""
) -> None:
    """Write down that ``act`` is about to be asked of an engine; commit before asking.

    Args:
        status: how the engine is now, for what was in use and how much memory it held.
        model: digest of the model to switch to.

    Raises:
        Forbidden: the actor is no administrator.
        PortalError: AUDIT_UNAVAILABLE; then the engine is not asked.
    """
    if actor.role != "system":  # the command line on the server
        need(actor, Permission.ADMIN_ENGINE)
    detail: dict[str, Any] = {"step": "asked", "engine": number}
    if status is not None:
        held = status.memory.reserved_bytes
        detail |= {"from_model": status.model.digest, "held_mib": mib(status.rss_bytes if held is None else held)}
        detail["running"] = status.running_recordings
    if model:
        detail["to_model"] = model
    audit.record(session, actor, _ACTIONS[act], object_kind="engine", detail=detail)


def clear_cache(settings: Settings, number: int = 1) -> CacheCleared:
    """Let an engine give back memory that no running work needs; recordings under way go on.

    Raises:
        AsrError: no engine answers, or it could not.
    """
    return client_of(settings, number, timeout_s=ACT_TIMEOUT_S).clear_cache()


def begin(settings: Settings, act: str, *, number: int = 1, model: str = "", wait: bool = False) -> Change:
    """Ask for ``unload`` (``wait``: once the running recordings have ended), ``load`` or ``switch`` (to ``model``), and
    watch for ``WAIT_S``; the change may have ended by then.

    Raises:
        AsrError: no engine answers, or it refuses: ENGINE_IN_USE, ENGINE_CHANGING, MODEL_UNKNOWN.
    """
    client = client_of(settings, number, timeout_s=ACT_TIMEOUT_S)
    if act == "unload":
        change = client.start_unload(wait=wait)
    elif act == "switch":
        change = client.start_switch(model)
    else:
        change = client.start_load()
    return client.until_changed(change, WAIT_S)


def after_clear(session: Session, actor: Actor, cleared: CacheCleared, *, number: int = 1) -> None:
    """Write down what clearing gave, in MiB."""
    detail = {"step": "done", "engine": number, **_effect(cleared.before_bytes, cleared.after_bytes)}
    audit.record(session, actor, audit.Action.ENGINE_CLEAR_CACHE, object_kind="engine", detail=detail)


def refused(session: Session, actor: Actor, act: str, error: AsrError, *, number: int = 1) -> None:
    """Write down that the engine did not even begin."""
    audit.record(session, actor, _ACTIONS[act], object_kind="engine", result="failed", reason=error.code,
                 detail={"step": "failed", "engine": number})  # fmt: skip


def after(session: Session, actor: Actor, change: Change, *, number: int = 1) -> None:
    """Write down how a change ended, or that it has begun."""
    detail: dict[str, Any] = {"step": change.step if change.ended is not None else "begun", "engine": number}
    if change.action in _BY_ITSELF:
        detail["by_itself"] = change.action
    if change.model:
        detail["to_model"] = change.model
    if change.ended is not None:
        detail |= {"seconds": round(change.ended - change.at, 1), **_effect(change.before_bytes, change.after_bytes)}
    audit.record(
        session,
        actor,
        _ACTIONS[change.action],
        object_kind="engine",
        object_id=change.id,
        result="failed" if change.step == "failed" else "ok",
        reason=change.code or None,
        detail=detail,
    )


def settle(session: Session, actor: Actor, change: Change, *, number: int = 1) -> bool:
    """Write the outcome of a change unless it is in the log; whether it did. ``actor``: the system."""
    if change.ended is None:
        return False
    rows = session.scalars(
        sa.select(AuditEvent.detail).where(AuditEvent.object_id == change.id, AuditEvent.object_kind == "engine")
    )
    if any(detail.get("step") in ("done", "failed") for detail in rows):
        return False
    after(session, actor, change, number=number)
    return True


def _effect(before_bytes: int | None, after_bytes: int | None) -> dict[str, int | None]:
    return {"before_mib": mib(before_bytes), "after_mib": mib(after_bytes)}
