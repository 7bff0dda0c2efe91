"""The first page of an everyday person: hand recordings over, see what runs, open what was finished last."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, render_template, request

from portal.db import db, utcnow
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor, current_person
from portal.http.redirects import home_for
from portal.http.wording import greeting
from portal.models import Role
from portal.services.administration import effective_recording_max_hours, effective_upload_max_bytes
from portal.services.identity.permissions import Permission
from portal.services.recognition import progress
from portal.services.recognition.capabilities import abilities
from portal.services.recordings import choices, uploads
from portal.services.transcripts.search import recent
from portal.views.upload_options import from_form

bp = Blueprint("workspace", __name__)


def _now() -> datetime:
    return utcnow().astimezone(ZoneInfo(current_settings().timezone))


def _live() -> dict[str, Any]:
    session, actor, person = db.session(), current_actor(), current_person()
    put_away = choices.dismissed(person)
    items = [item for item in progress.items_for(session, actor) if str(item.transcription_id) not in put_away]
    items.sort(key=lambda item: not item.is_active)  # what runs first, then what needs a look; each newest first
    arriving = [row for row in uploads.recent_for(session, actor) if str(row.id) not in put_away]
    return {"items": items, "uploads": arriving, "recent": recent(session, actor)}


@bp.get("/")
@requires(Permission.SIGNED_IN, reads=True)
def index() -> Any:
    """The workspace; administrators and auditors are sent to their own first page."""
    person = current_person()
    if person.role != Role.STAFF.value:
        return redirect(home_for(person.role))
    return render_template(
        "workspace/index.html",
        greeting=greeting(_now()),
        person=person,
        choices=choices.choices_for(db.session(), current_actor(), person),
        model=abilities(current_settings()),
        limit_bytes=effective_upload_max_bytes(db.session(), current_settings()),
        chunk_bytes=current_settings().upload_chunk_bytes,
        form_bytes=current_settings().upload_chunk_bytes,
        max_hours=effective_recording_max_hours(db.session(), current_settings()),
        **_live(),
    )


@bp.get("/work/items")
@requires(Permission.TRANSCRIBE, reads=True, polls=True)
def items() -> str:
    """What runs and what was finished last, for the page to bring itself up to date."""
    return render_template("workspace/_live.html", **_live())


@bp.post("/work/options")
@requires(Permission.TRANSCRIBE)
def remember_options() -> Response:
    """Keep the chosen options for the next visit."""
    lists = {found for text in request.form.getlist("hotword_lists") if (found := _uuid(text)) is not None}
    choices.remember(
        db.session(),
        current_actor(),
        current_person(),
        itn=request.form.get("itn") == "1",
        channels=request.form.get("channels", "mix"),
        lists=lists,
        others=from_form(request.form),
    )
    return Response(status=204)


@bp.post("/work/items/<uuid:item_id>/dismiss")
@requires(Permission.TRANSCRIBE)
def dismiss(item_id: uuid.UUID) -> Any:
    """Put a failed item away; it stays in the history."""
    choices.dismiss(current_person(), item_id)
    return redirect("/", 303)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
