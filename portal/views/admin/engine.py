"""The engines: device, model, memory, work; clearing the cache, unloading, loading again, switching the model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from portal.asr.engine.contract import Change
from portal.asr.errors import AsrError, ModelError
from portal.db import db
from portal.errors import entry
from portal.http.error_pages import sentence
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.administration import engine, engine_acts
from portal.services.identity.permissions import Permission
from portal.services.recognition.jobs_overview import queue_facts
from portal.views.admin.blueprint import bp


def _number() -> int:
    """Which engine is meant, from 1; nonsense is the first."""
    count = len(current_settings().engine_addresses)
    number = request.values.get("engine", 1, type=int)
    return number if 1 <= number <= count else 1


def _values() -> dict[str, Any]:
    session = db.session()
    queue = queue_facts(session)
    session.rollback()  # asking the engine takes time
    settings, number = current_settings(), _number()
    many = len(settings.engine_addresses) > 1
    engines = engine.look_at_all(settings) if many else [engine.look(settings)]
    return {
        "engine": engines[number - 1],
        "engines": engines,
        "queue": queue,
        "models": engine.installed(settings),
        "mib": engine.mib,
        "reason": _reason,
        "moment": _moment,
        "added": datetime.fromisoformat,
        "idle_minutes": settings.engine_idle_unload_minutes,
    }


@bp.get("/engine", endpoint="engine")
@requires(Permission.ADMIN_ENGINE, reads=True)
def index() -> str:
    """How the engine is right now."""
    return render_template("admin/engine.html", **_values())


@bp.get("/engine/live", endpoint="engine_live")
@requires(Permission.ADMIN_ENGINE, reads=True, polls=True)
def live() -> str:
    """The numbers alone, for the page that is open."""
    return render_template("admin/_engine.html", **_values())


@bp.get("/engine/history", endpoint="engine_history")
@requires(Permission.ADMIN_ENGINE, reads=True)
def history() -> Response:
    """The figures of the last hour for the chart."""
    return jsonify({"rows": engine.history(current_settings(), _number())})


@bp.post("/engine/clear-cache", endpoint="engine_clear_cache")
@requires(Permission.ADMIN_ENGINE)
def clear_cache() -> Any:
    """Give back memory that no running work needs."""
    actor, number = current_actor(), _number()
    _ask_first("clear_cache", number)
    try:
        cleared = engine_acts.clear_cache(current_settings(), number)
    except AsrError as error:
        engine_acts.refused(db.session(), actor, "clear_cache", error, number=number)
        flash(gettext("没有清理：%(reason)s", reason=_reason(error.code)), "bad")
        return _back(number)
    engine_acts.after_clear(db.session(), actor, cleared, number=number)
    before, after = engine.mib(cleared.before_bytes) or 0, engine.mib(cleared.after_bytes) or 0
    text = gettext("缓存已清理：%(before)s → %(after)s MiB，放出 %(freed)s MiB。",
                   before=f"{before:,}", after=f"{after:,}", freed=f"{max(0, before - after):,}")  # fmt: skip
    flash(text, "ok")
    return _back(number)


@bp.post("/engine/unload", endpoint="engine_unload")
@requires(Permission.ADMIN_ENGINE)
def unload() -> Any:
    """Free the models until they are loaded again."""
    return _change("unload", wait=request.form.get("how") == "wait")


@bp.post("/engine/load", endpoint="engine_load")
@requires(Permission.ADMIN_ENGINE)
def load() -> Any:
    """Load the models again, beside the ones in use."""
    return _change("load")


@bp.post("/engine/switch", endpoint="engine_switch")
@requires(Permission.ADMIN_ENGINE)
def switch() -> Any:
    """Use another installed model."""
    digest = request.form.get("model", "")
    known = {release.digest for release in engine.installed(current_settings())}
    if digest not in known:
        error = ModelError("MODEL_UNKNOWN")
        engine_acts.refused(db.session(), current_actor(), "switch", error, number=_number())
        flash(gettext("没有开始：%(reason)s", reason=_reason(error.code)), "bad")
        return _back(_number())
    return _change("switch", model=digest)


def _ask_first(act: str, number: int, model: str = "") -> None:
    """In the log before the engine is asked; and no lock while it works."""
    status = engine.look(current_settings(), number).status
    engine_acts.before(db.session(), current_actor(), act, number=number, status=status, model=model)
    db.session.commit()


def _change(act: str, *, model: str = "", wait: bool = False) -> Any:
    actor, number = current_actor(), _number()
    _ask_first(act, number, model)
    try:
        change = engine_acts.begin(current_settings(), act, number=number, model=model, wait=wait)
    except AsrError as error:
        engine_acts.refused(db.session(), actor, act, error, number=number)
        flash(gettext("没有开始：%(reason)s", reason=_reason(error.code)), "bad")
        return _back(number)
    engine_acts.after(db.session(), actor, change, number=number)
    flash(*_outcome(change))
    return _back(number)


def _outcome(change: Change) -> tuple[str, str]:
    """What is said after a change, and its tone."""
    if change.ended is None:
        return gettext("已经开始，进展显示在下面。"), "info"
    if change.step == "failed":
        return gettext("没有完成：%(reason)s", reason=_reason(change.code, change.params)), "bad"
    before, after = f"{engine.mib(change.before_bytes) or 0:,}", f"{engine.mib(change.after_bytes) or 0:,}"
    texts = {
        "unload": gettext("模型已卸载：占用 %(before)s → %(after)s MiB。", before=before, after=after),
        "load": gettext("模型已重新加载：占用 %(before)s → %(after)s MiB。", before=before, after=after),
        "switch": gettext("已切换模型：占用 %(before)s → %(after)s MiB。", before=before, after=after),
    }
    return texts.get(change.action, gettext("已完成。")), "ok"


def _reason(code: str, params: Mapping[str, str] | None = None) -> str:
    """What a code means and what to do."""
    return " ".join(sentence(entry(code), dict(params or {})))


def _moment(seconds: float) -> datetime:
    """Seconds since the epoch as a time."""
    return datetime.fromtimestamp(seconds, UTC)


def _back(number: int) -> Any:
    return redirect(url_for("admin.engine", engine=number if number > 1 else None))
