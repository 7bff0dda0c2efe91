"""The engine: device, model, memory, work; and the button that clears its cache."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext

from portal.asr.errors import AsrError
from portal.db import db
from portal.errors import entry
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.administration import engine
from portal.services.identity.permissions import Permission
from portal.services.recognition.jobs_overview import queue_facts
from portal.views.admin.blueprint import bp


def _values() -> dict[str, Any]:
    session = db.session()
    queue = queue_facts(session)
    session.rollback()  # asking the engine takes time
    return {"engine": engine.look(current_settings()), "queue": queue, "mib": engine.mib}


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


@bp.post("/engine/clear-cache", endpoint="engine_clear_cache")
@requires(Permission.ADMIN_ENGINE)
def clear_cache() -> Any:
    """Give back memory that no running work needs."""
    actor = current_actor()
    engine.before_clear(db.session(), actor)
    db.session.commit()  # in the log before the engine is asked, and no lock while it works
    try:
        cleared = engine.clear_cache(current_settings())
    except AsrError as error:
        engine.after_clear(db.session(), actor, error)
        flash(gettext("没有清理：%(reason)s", reason=gettext(entry(error.code).message)), "bad")
        return redirect(url_for("admin.engine"))
    engine.after_clear(db.session(), actor, cleared)
    before, after = engine.mib(cleared.before_bytes), engine.mib(cleared.after_bytes)
    assert before is not None
    assert after is not None
    freed = max(0, before - after)
    text = gettext("缓存已清理：%(before)s → %(after)s MiB，放出 %(freed)s MiB。",
                   before=f"{before:,}", after=f"{after:,}", freed=f"{freed:,}")  # fmt: skip
    flash(text, "ok")
    return redirect(url_for("admin.engine"))
