"""Uploads over tus 1.0 (core, creation, termination, checksum, expiration), and a plain form for use without script."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import format_date_time

from flask import Blueprint, Response, jsonify, make_response, redirect, request
from werkzeug.exceptions import ClientDisconnected

from portal.db import db
from portal.errors import PortalError
from portal.http.error_pages import sentence
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.http.redirects import local_path
from portal.http.transactions import short_transaction
from portal.models import Upload
from portal.services.identity.permissions import Permission
from portal.services.recordings import receiving, uploads
from portal.services.recordings.file_store import FileStore
from portal.services.recordings.options import UploadOptions, parse_options
from portal.views.upload_options import FIELDS, from_form

bp = Blueprint("uploads", __name__, url_prefix="/uploads")

TUS_VERSION = "1.0.0"
ALGORITHMS = ("sha256", "sha1")
_BLOCK = 256 * 1024
_TUS_TYPE = "application/offset+octet-stream"


def _receiver() -> receiving.Receiver:
    settings = current_settings()
    return receiving.Receiver(short_transaction, FileStore.of(settings), settings)


def _answer(status: int, **headers: object) -> Response:
    response = make_response("", status)
    response.headers["Tus-Resumable"] = TUS_VERSION
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = str(value)
    return response


@bp.before_request
def speak_tus() -> Response | None:
    """Refuse another version of the protocol, as it asks for."""
    asked = request.headers.get("Tus-Resumable")
    if asked is None or asked == TUS_VERSION or request.method == "OPTIONS":
        return None
    return _answer(412, Tus_Version=TUS_VERSION)


@bp.route("", methods=["OPTIONS"], provide_automatic_options=False)
@requires(Permission.TRANSCRIBE, reads=True)
def abilities() -> Response:
    """What this server speaks."""
    return _answer(
        204,
        Tus_Version=TUS_VERSION,
        Tus_Extension="creation,termination,checksum,expiration",
        Tus_Max_Size=current_settings().upload_max_bytes,
        Tus_Checksum_Algorithm=",".join(ALGORITHMS),
    )


@bp.post("")
@requires(Permission.TRANSCRIBE)
def begin() -> Response:
    """Begin an upload; ``Location`` says where its bytes go."""
    metadata = _metadata(request.headers.get("Upload-Metadata", ""))
    total = _whole_number("Upload-Length")
    settings = current_settings()
    row = uploads.begin(
        db.session(),
        current_actor(),
        file_name=metadata.get("filename", ""),
        total_bytes=total,
        options=_options(metadata.get("options", "")),
        settings=settings,
        store=FileStore.of(settings),
        idempotency_key=_idempotency_key(),
    )
    return _answer(201, Location=f"/uploads/{row.id}", Upload_Offset=row.received_bytes, Upload_Expires=_expires(row))


@bp.route("/<uuid:upload_id>", methods=["HEAD"])
@requires(Permission.TRANSCRIBE, reads=True)
def offset(upload_id: uuid.UUID) -> Response:
    """How far an upload came; the sender goes on from there."""
    row = uploads.open_for(db.session(), current_actor(), upload_id)
    return _answer(200, Upload_Offset=row.received_bytes, Upload_Length=row.total_bytes, Upload_Expires=_expires(row))


@bp.get("/<uuid:upload_id>")
@requires(Permission.TRANSCRIBE, reads=True)
def status(upload_id: uuid.UUID) -> Response:
    """The same as JSON, with what became of it."""
    row = uploads.get_for(db.session(), current_actor(), upload_id)
    error = None
    if row.error_code is not None:
        problem = PortalError(row.error_code, **(row.error_params or {}))
        message, remedy = sentence(problem.entry, dict(problem.params))
        error = {"code": row.error_code, "message": message, "remedy": remedy}
    return jsonify(
        id=str(row.id),
        name=row.original_name,
        state=row.state,
        received_bytes=row.received_bytes,
        total_bytes=row.total_bytes,
        recording_id=str(row.recording_id) if row.recording_id else None,
        error=error,
    )


@bp.patch("/<uuid:upload_id>")
@requires(Permission.TRANSCRIBE)
def append(upload_id: uuid.UUID) -> Response:
    """Take the next bytes."""
    if request.mimetype != _TUS_TYPE:
        return _answer(415)
    at = _whole_number("Upload-Offset")
    checksum = _checksum(request.headers.get("Upload-Checksum"))
    request.max_content_length = current_settings().upload_max_bytes
    actor, length = current_actor(), request.content_length
    db.session.commit()  # ends the request's own transaction: none is open while bytes flow
    reached = receiving.receive(_receiver(), actor, upload_id, at, _body(), length=length, checksum=checksum)
    return _answer(204, Upload_Offset=reached)


@bp.delete("/<uuid:upload_id>")
@requires(Permission.TRANSCRIBE)
def give_up(upload_id: uuid.UUID) -> Response:
    """Cancel an upload."""
    uploads.cancel(db.session(), current_actor(), upload_id, FileStore.of(current_settings()))
    return _answer(204)


@bp.post("/form")
@requires(Permission.TRANSCRIBE)
def form() -> Response:
    """The same in one request, for a browser without script: one file of at most the request limit."""
    unknown = set(request.form) - {"csrf_token", "next"} - FIELDS
    if unknown:
        raise PortalError("UNKNOWN_FIELD", field=min(unknown)[:64])
    file = request.files.get("file")
    if file is None or not file.filename:
        raise PortalError("UPLOAD_EMPTY")
    options = parse_options(
        {
            "itn": request.form.get("itn", "") not in ("", "0", "off"),
            "channels": request.form.get("channels", "mix"),
            "hotword_lists": request.form.getlist("hotword_lists"),
            "hotwords": request.form.get("hotwords", ""),
            **from_form(request.form),
        }
    )
    total = file.stream.seek(0, 2)
    file.stream.seek(0)
    receiver, actor = _receiver(), current_actor()
    db.session.commit()
    with short_transaction() as session:
        row = uploads.begin(
            session,
            actor,
            file_name=file.filename,
            total_bytes=total,
            options=options,
            settings=receiver.settings,
            store=receiver.store,
        )
        upload_id = row.id
    receiving.receive(receiver, actor, upload_id, 0, iter(lambda: file.stream.read(_BLOCK), b""), length=total)
    target = redirect(local_path(request.form.get("next")) or "/", 303)
    return make_response(target)


# reading a request --------------------------------------------------------------------------------------------------
def _body() -> Iterator[bytes]:
    """The request's bytes in blocks; ends early when the sender goes away."""
    while True:
        try:
            block = request.stream.read(_BLOCK)
        except (ClientDisconnected, OSError):
            return
        if not block:
            return
        yield block


def _whole_number(header: str) -> int:
    value = request.headers.get(header, "")
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise PortalError("BAD_REQUEST")
    return int(value)


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not key.strip() or len(key) > uploads.KEY_LENGTH:
        raise PortalError("BAD_REQUEST")
    return key.strip()


def _metadata(header: str) -> dict[str, str]:
    """``name base64,name base64``; only ``filename`` and ``options`` are known (``filetype`` is read over)."""
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, value = pair.partition(" ")
        if name not in ("filename", "options", "filetype"):
            raise PortalError("UNKNOWN_FIELD", field=name[:64])
        try:
            found[name] = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            raise PortalError("BAD_REQUEST") from None
    return found


def _options(text: str) -> UploadOptions:
    if not text:
        return UploadOptions()
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise PortalError("BAD_REQUEST") from None
    return parse_options(values)


def _checksum(header: str | None) -> receiving.Checksum | None:
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        raise PortalError("BAD_REQUEST") from None
    if algorithm not in ALGORITHMS:
        raise PortalError("BAD_REQUEST")
    return receiving.Checksum(algorithm, digest)


def _expires(row: Upload) -> str:
    return format_date_time(row.expires_at.timestamp())
