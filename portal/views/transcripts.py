"""The transcript: read it as a document, hear it, take it away."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext

from portal.db import db
from portal.errors import NotFound
from portal.http.guards import requires
from portal.http.people import current_actor
from portal.services.identity.permissions import Permission
from portal.services.recognition import progress
from portal.services.transcripts import exports, reading
from portal.services.transcripts.document import paragraphs

bp = Blueprint("transcripts", __name__, url_prefix="/transcripts")


def _channels() -> dict[int, str]:
    return {0: gettext("坐席"), 1: gettext("客户")}


@bp.get("/<uuid:recording_id>")
@requires(Permission.TRANSCRIBE)
def show(recording_id: uuid.UUID) -> str:
    """The document; or, while there is no text, what is going on and what to do."""
    session, actor = db.session(), current_actor()
    found = reading.open_transcript(session, actor, recording_id)
    if found.transcript is None:
        return render_template("transcripts/waiting.html", reading=found, item=_item(found))
    return render_template(
        "transcripts/show.html",
        reading=found,
        paragraphs=paragraphs(reading.sentences(session, found.transcript)),
        parts=reading.later_parts(session, found.transcript),
        channels=_channels(),
    )


@bp.get("/<uuid:recording_id>/progress")
@requires(Permission.TRANSCRIBE, reads=True)
def live(recording_id: uuid.UUID) -> str:
    """The state of a recording that has no text yet, for its page to bring itself up to date."""
    found = reading.get_for(db.session(), current_actor(), recording_id)
    return render_template("transcripts/_state.html", reading=found, item=_item(found))


@bp.get("/<uuid:recording_id>/sentences")
@requires(Permission.TRANSCRIBE)
def part(recording_id: uuid.UUID) -> str:
    """A later part of a long document."""
    first = request.args.get("first", "")
    if not first.isascii() or not first.isdigit() or len(first) > 9:
        raise NotFound
    rows = reading.read_part(db.session(), current_actor(), recording_id, int(first))
    return render_template("transcripts/_paragraphs.html", paragraphs=paragraphs(rows), channels=_channels())


@bp.get("/<uuid:recording_id>/export/<file_format>")
@requires(Permission.TRANSCRIBE)
def export(recording_id: uuid.UUID, file_format: str) -> Response:
    """The text as a file."""
    headers = (gettext("开始"), gettext("结束"), gettext("说话人"), gettext("声道"), gettext("文字"), gettext("置信度"))
    copied = request.args.get("copy") == "1"
    made = exports.export(
        db.session(),
        current_actor(),
        recording_id,
        file_format,
        exports.Wording(_channels(), headers),
        copied=copied,
    )
    response = Response(made.content, content_type=f"{made.mimetype}; charset=utf-8")
    if not copied:
        response.headers["Content-Disposition"] = _attachment(made.file_name)
    return response


def _attachment(name: str) -> str:
    """RFC 6266: a plain name for old programs, the real one beside it."""
    extension = name.rpartition(".")[2]
    return f"attachment; filename=\"transcript.{extension}\"; filename*=UTF-8''{quote(name, safe='')}"


def _item(found: reading.Reading) -> Any:
    if found.transcription is None:
        return None
    return progress.item_for(db.session(), current_actor(), found.transcription.id)
