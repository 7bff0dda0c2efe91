"""The first page: the queue, the workers, the engine, the disk, what went wrong within a day."""

from __future__ import annotations

from flask import render_template

from portal.db import db
from portal.errors import entry
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.administration import engine, overview, people
from portal.services.identity.permissions import Permission
from portal.services.recognition.jobs_overview import queue_facts
from portal.views.admin.blueprint import bp


@bp.get("/", endpoint="overview")
@requires(Permission.ADMIN_JOBS, reads=True)
def index() -> str:
    """Counts, states and sizes; never titles or text."""
    session, actor = db.session(), current_actor()
    found, queue = overview.overview(session, actor), queue_facts(session)
    counts = people.counts(session, current_settings())
    session.rollback()  # asking Redis and the engine takes time
    return render_template(
        "admin/overview.html",
        found=found,
        queue=queue,
        people=counts,
        disk=overview.disk(current_settings()),
        workers=overview.workers(current_settings()),
        engine=engine.look(current_settings()),
        sentences={failure.code: entry(failure.code).message for failure in found.failures},
    )
