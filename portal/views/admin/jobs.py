"""The queue: whose, how long, in which state. Never titles."""

from __future__ import annotations

import uuid

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from portal.db import db
from portal.http.guards import requires
from portal.http.people import current_actor
from portal.services.identity.permissions import Permission
from portal.services.recognition import jobs_overview, transcriptions
from portal.views.admin.blueprint import bp


def _table(template: str) -> str:
    session, actor = db.session(), current_actor()
    jobs = jobs_overview.admin_jobs(session, actor)
    return render_template(template, jobs=jobs, queue=jobs_overview.queue_facts(session))


@bp.get("/jobs", endpoint="jobs")
@requires(Permission.ADMIN_JOBS, reads=True)
def index() -> str:
    """What runs, what waits in the order it will run, what failed within a day."""
    return _table("admin/jobs.html")


@bp.get("/jobs/table", endpoint="jobs_table")
@requires(Permission.ADMIN_JOBS, reads=True, polls=True)
def table() -> str:
    """The same table alone, for the page that is open."""
    return _table("admin/_jobs.html")


@bp.post("/jobs/<uuid:transcription_id>/cancel", endpoint="jobs_cancel")
@requires(Permission.ADMIN_JOBS)
def cancel(transcription_id: uuid.UUID) -> Response:
    """Stop one."""
    transcriptions.cancel_any(db.session(), current_actor(), transcription_id)
    flash(gettext("已取消。录音还在，它的主人可以随时重试。"), "ok")
    return redirect(url_for("admin.jobs"))


@bp.post("/jobs/<uuid:transcription_id>/first", endpoint="jobs_first")
@requires(Permission.ADMIN_JOBS)
def first(transcription_id: uuid.UUID) -> Response:
    """Ahead of the others."""
    transcriptions.set_priority(db.session(), current_actor(), transcription_id, urgent=True)
    flash(gettext("已排到最前。"), "ok")
    return redirect(url_for("admin.jobs"))


@bp.post("/jobs/<uuid:transcription_id>/normal", endpoint="jobs_normal")
@requires(Permission.ADMIN_JOBS)
def normal(transcription_id: uuid.UUID) -> Response:
    """Back among the others."""
    transcriptions.set_priority(db.session(), current_actor(), transcription_id, urgent=False)
    flash(gettext("已恢复正常顺序。"), "ok")
    return redirect(url_for("admin.jobs"))
