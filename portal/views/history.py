"""One's own recordings: the list, search through the text, rename, delete, cancel, try again."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext

from portal.db import db
from portal.errors import PortalError
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.http.redirects import local_path
from portal.models import State
from portal.services.identity.permissions import Permission
from portal.services.recognition import transcriptions
from portal.services.recordings import recordings
from portal.services.transcripts.search import HistoryFilter, Key, list_history, search_history, split_terms

bp = Blueprint("history", __name__)

STATES = tuple(state.value for state in State)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# reading the address ------------------------------------------------------------------------------------------------
def _day(name: str) -> date | None:
    try:
        day = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None


def _midnight(day: date | None) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(day, time(), ZoneInfo(current_settings().timezone)).astimezone(UTC)


def _wanted() -> HistoryFilter:
    until, state = _day("to"), request.args.get("state", "")
    return HistoryFilter(
        terms=split_terms(request.args.get("q", "")[:200]),
        state=state if state in STATES else None,
        since=_midnight(_day("from")),
        until=_midnight(until + timedelta(days=1)) if until else None,
    )


def _key(name: str) -> Key | None:
    """A key as ``_address`` wrote it; anything else counts as none."""
    instant, _, identity = request.args.get(name, "").partition("_")
    try:
        return Key(_EPOCH + timedelta(microseconds=int(instant)), uuid.UUID(identity))
    except (ValueError, OverflowError):
        return None


def _address(key: Key | None, name: str) -> str | None:
    if key is None:
        return None
    since = key.created_at - _EPOCH
    assert request.endpoint is not None
    place = f"{since // timedelta(microseconds=1)}_{key.id}"
    return url_for(request.endpoint, **_asked(), **{name: place})  # type: ignore[arg-type]


def _asked() -> dict[str, str]:
    # named one by one: url_for takes _scheme and _external from its keywords, too
    return {word: request.args[word] for word in ("q", "state", "from", "to") if request.args.get(word)}


def _page(find: Any) -> str:
    wanted = _wanted()
    page = find(db.session(), current_actor(), wanted, older_than=_key("before"), newer_than=_key("after"))
    return render_template(
        "history/index.html",
        page=page,
        wanted=wanted,
        filtered=bool(wanted.terms or wanted.state or wanted.since or wanted.until),
        newer=_address(page.newer, "after"),
        older=_address(page.older, "before"),
        states=STATES,
    )


@bp.get("/history")
@requires(Permission.TRANSCRIBE, reads=True)
def index() -> Any:
    """The list; a search goes to its own address, which leaves an audit row."""
    if request.args.get("q", "").strip():
        return redirect(url_for("history.search", **_asked()))  # type: ignore[arg-type]
    return _page(list_history)


@bp.get("/history/search")
@requires(Permission.TRANSCRIBE)
def search() -> Any:
    """The list, searched through titles, file names and everything that was said."""
    if not request.args.get("q", "").strip():
        return redirect(url_for("history.index"))
    return _page(search_history)


# acting on one ------------------------------------------------------------------------------------------------------
def _back(default: str) -> Response:
    answer = redirect(local_path(request.form.get("next")) or default, 303)
    assert isinstance(answer, Response)
    return answer


@bp.post("/recordings/<uuid:recording_id>/rename")
@requires(Permission.TRANSCRIBE)
def rename(recording_id: uuid.UUID) -> Response:
    """Another title."""
    try:
        recordings.rename(db.session(), current_actor(), recording_id, request.form.get("title", ""))
    except PortalError as error:
        if error.code != "INVALID_VALUE":
            raise
        flash(gettext("名称不能是空的。"), "bad")
    else:
        flash(gettext("已改名。"), "ok")
    return _back(url_for("history.index"))


@bp.post("/recordings/<uuid:recording_id>/delete")
@requires(Permission.TRANSCRIBE)
def delete(recording_id: uuid.UUID) -> Response:
    """Delete recording and text for good."""
    recordings.delete(db.session(), current_actor(), recording_id)
    flash(gettext("录音和文字都已删除。"), "ok")
    return _back(url_for("history.index"))


@bp.post("/transcriptions/<uuid:transcription_id>/cancel")
@requires(Permission.TRANSCRIBE)
def cancel(transcription_id: uuid.UUID) -> Response:
    """Stop what waits or runs."""
    transcriptions.cancel(db.session(), current_actor(), transcription_id)
    flash(gettext("已取消，录音还在，随时可以重试。"), "ok")
    return _back("/")


@bp.post("/transcriptions/<uuid:transcription_id>/retry")
@requires(Permission.TRANSCRIBE)
def retry(transcription_id: uuid.UUID) -> Response:
    """Once more with the same options."""
    transcriptions.retry(db.session(), current_actor(), transcription_id, settings=current_settings())
    flash(gettext("已重新排队，选项和上次一样。"), "ok")
    return _back("/")
