"""The sound of a recording for the player: ranges of the file, and its waveform."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, jsonify, request
from werkzeug.wsgi import wrap_file

from portal.db import db
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.identity.permissions import Permission
from portal.services.recordings import playback, recordings
from portal.services.recordings.file_store import FileStore

bp = Blueprint("media", __name__, url_prefix="/recordings")

_BLOCK = 64 * 1024


def _store() -> FileStore:
    return FileStore.of(current_settings())


@bp.get("/<uuid:recording_id>/audio")
@requires(Permission.TRANSCRIBE)
def audio(recording_id: uuid.UUID) -> Response:
    """The file, whole or a range of it; the first request of a listening leaves an audit row."""
    found = playback.listen(db.session(), current_actor(), _store(), recording_id)
    body = wrap_file(request.environ, found.reader, _BLOCK)
    response = Response(body, mimetype=found.mimetype, direct_passthrough=True)
    response.call_on_close(found.reader.close)
    response.content_length = found.size
    response.set_etag(found.etag)
    response.headers["Content-Disposition"] = "inline"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; media-src 'self'"
    response.headers["Cache-Control"] = "private, no-cache"
    try:
        response.make_conditional(request.environ, accept_ranges=True, complete_length=found.size)
    except BaseException:  # a range outside of the file: another answer goes out, nobody closes this one
        response.close()
        raise
    return response


@bp.get("/<uuid:recording_id>/peaks.json")
@requires(Permission.TRANSCRIBE, reads=True)
def peaks(recording_id: uuid.UUID) -> Response:
    """The waveform: values 0..1, evenly spread over ``duration_ms``; none before it was recognised."""
    row = recordings.get_for(db.session(), current_actor(), recording_id)
    data = _store().read_peaks(row.id) or b""
    return jsonify(duration_ms=row.duration_ms, peaks=[round(value / 127, 3) for value in data])
