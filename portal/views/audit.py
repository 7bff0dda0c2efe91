"""The auditors' pages: the access log with filters, one event in full, verification, the CSV."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session

from portal.db import db, read_only, session_factory
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services import audit
from portal.services.audit import AuditFilter
from portal.services.identity.permissions import Permission
from portal.views.audit_words import ACTIONS, FAMILIES, KINDS, PROBLEMS, RESULTS

bp = Blueprint("audit", __name__)

FIELDS = ("person", "action", "object_kind", "object_id", "result", "address", "request_id")
LONGEST = 128


def _day(text: str | None, *, end: bool = False) -> datetime | None:
    """The begin (or the end) of a day in the portal's zone; None for anything that is no date."""
    try:
        day = date.fromisoformat(text or "")
        day = day + timedelta(days=1) if end else day
        return datetime.combine(day, time(), ZoneInfo(current_settings().timezone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _filter(values: Any) -> AuditFilter:
    texts = {name: str(values.get(name, "")).strip()[:LONGEST] for name in FIELDS}
    return AuditFilter(**texts, since=_day(values.get("from")), until=_day(values.get("to"), end=True))


def _query(wanted: AuditFilter) -> dict[str, Any]:
    """The filter as it stands in addresses and hidden fields."""
    chosen: dict[str, Any] = {name: getattr(wanted, name) for name in FIELDS if getattr(wanted, name)}
    return chosen | {name: request.values[name] for name in ("from", "to") if request.values.get(name)}


def _key(name: str) -> int | None:
    value = request.args.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 16 else None


@bp.app_context_processor
def words() -> dict[str, Any]:
    """How the templates say actions, kinds and results."""
    return {"audit_words": {"actions": ACTIONS, "families": FAMILIES, "kinds": KINDS, "results": RESULTS}}


@bp.get("/audit")
@requires(Permission.AUDIT_READ)
def index() -> str:
    """The log, newest first."""
    wanted = _filter(request.args)
    page = audit.page(db.session(), current_actor(), wanted, before=_key("before"), after=_key("after"))
    query = _query(wanted)
    return render_template(
        "audit/index.html",
        page=page,
        wanted=wanted,
        query=query,
        older=url_for("audit.index", **query, before=page.older) if page.older else None,
        newer=url_for("audit.index", **query, after=page.newer) if page.newer else None,
        verified=audit.last_verification(db.session()),
        problems=PROBLEMS,
        timezone=current_settings().timezone,
    )


@bp.get("/audit/<int:seq>")
@requires(Permission.AUDIT_READ)
def event(seq: int) -> str:
    """One event in full."""
    row, previous = audit.one_event(db.session(), current_actor(), seq)
    return render_template("audit/event.html", row=row, previous=previous)


@bp.post("/audit/verify")
@requires(Permission.AUDIT_READ)
def verify() -> Any:
    """Walk the chain and say what was found."""
    actor, settings = current_actor(), current_settings()
    audit.may_verify(actor)
    db.session.rollback()  # the walk takes seconds for a long log: no write lock meanwhile
    with read_only(), Session(db.engine) as session:
        found = audit.verify(session, audit.read_checkpoints(settings.instance))
    audit.record_verification(db.session(), actor, found)
    if found.ok:
        flash(gettext("已校验 %(count)s 条，链条完整。", count=f"{found.count:,}"), "ok")
    else:
        problem = gettext(PROBLEMS[str(found.problem)])
        flash(
            gettext("第 %(seq)s 条有问题：%(problem)s。请立即保全数据库和备份。", seq=found.bad_seq, problem=problem),
            "bad",
        )
    if found.guards_missing:
        flash(gettext("数据库里防改动的触发器不全，请让管理员查明原因。"), "warn")
    return redirect(url_for("audit.index"))


@bp.post("/audit/export")
@requires(Permission.AUDIT_EXPORT)
def export() -> Response:
    """Everything that the filter matches, as CSV; written into the log before the first byte leaves."""
    begun = audit.begin_export(db.session(), current_actor(), _filter(request.form), request.form.get("why", ""))
    name = f"audit-{datetime.now(ZoneInfo(current_settings().timezone)):%Y%m%d-%H%M%S}.csv"
    body = audit.stream_csv(session_factory(db.engine), begun)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    return Response(body, mimetype="text/csv", headers=headers)
