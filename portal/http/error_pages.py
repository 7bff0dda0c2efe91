"""Every failure as a page (or JSON) in the reader's language: what happened, what to do, the request number."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, jsonify, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from portal.db import db, set_read_only
from portal.errors import CatalogueEntry, Forbidden, NotFound, PortalError, entry
from portal.http.people import current_actor, request_id
from portal.services import audit

log = logging.getLogger(__name__)

_HTTP_CODES = {400: "BAD_REQUEST", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "TOO_LARGE"}


def wants_json() -> bool:
    """Whether the asker is a script: JSON body, ``Accept: application/json``, or a tus client."""
    return (
        request.is_json
        or "Tus-Resumable" in request.headers
        or request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
    )


def sentence(item: CatalogueEntry, params: dict[str, Any]) -> tuple[str, str]:
    """The translated message and remedy with their places filled."""
    return gettext(item.message).format_map(_Lenient(params)), gettext(item.remedy).format_map(_Lenient(params))


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def _body(code: str, params: dict[str, Any]) -> dict[str, str]:
    message, remedy = sentence(entry(code), params)
    return {"code": code, "message": message, "remedy": remedy, "request_id": request_id()}


def shown_error(error: PortalError) -> dict[str, str]:
    """What ``error_box`` shows on a page that stays: sentence, next step, request number."""
    return _body(error.code, dict(error.params))


def error_response(code: str, params: dict[str, Any] | None = None, status: int | None = None) -> Response:
    """The page or JSON for one catalogue code."""
    body = _body(code, params or {})
    status = status or entry(code).status
    if wants_json():
        response = jsonify(error=body)
    elif request.headers.get("HX-Request"):
        response = make_response(render_template("errors/fragment.html", error=body))
    else:
        response = make_response(render_template("errors/page.html", error=body))
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _audit_refusal(reason: str) -> None:
    # the request's own transaction is gone; the refusal gets one of its own
    set_read_only(False)
    try:
        audit.record(
            db.session(),
            current_actor(),
            audit.Action.ACCESS_REFUSED,
            object_kind="route",
            object_id=request.endpoint,
            result="refused",
            reason=reason,
            detail={"method": request.method},
        )
        db.session.commit()
    except Exception:
        db.session.rollback()
        log.exception("the refusal could not be audited")


def on_portal_error(error: PortalError) -> Any:
    """A refusal with a code; strangers' objects and forbidden acts are audited."""
    db.session.rollback()
    if error.code == "NOT_SIGNED_IN" and not wants_json() and request.method == "GET":
        target = url_for("identity.sign_in", next=request.full_path.rstrip("?"))
        if request.headers.get("HX-Request"):
            response = make_response("", 401)
            response.headers["HX-Redirect"] = url_for("identity.sign_in")
            return response
        return redirect(target)
    if isinstance(error, Forbidden | NotFound):
        _audit_refusal(error.code)
    return error_response(error.code, dict(error.params))


def on_http_error(error: HTTPException) -> Response | HTTPException:
    """Werkzeug's own errors, in our words; redirects pass."""
    if error.code is None or error.code < 400:
        return error
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, OperationalError | PoolTimeout):  # the commit after the view failed
        return on_database_error(cause)
    db.session.rollback()
    code = _HTTP_CODES.get(error.code, "BAD_REQUEST" if error.code < 500 else "INTERNAL")
    return error_response(code, status=error.code)


def on_csrf_error(error: CSRFError) -> Response:
    """A missing or stale token."""
    db.session.rollback()
    return error_response("CSRF")


def on_database_error(error: OperationalError | PoolTimeout) -> Response:
    """A locked, full or restarting database: the person is asked to try again, nothing was half done."""
    log.exception("database unavailable")
    db.session.rollback()
    full = "full" in str(error).lower() or "no space" in str(error).lower()
    return error_response("DISK_FULL" if full else "BUSY")


def on_anything(error: Exception) -> Response:
    """What nobody foresaw: logged with its trace, shown without."""
    log.exception("unforeseen error")
    db.session.rollback()
    return error_response("INTERNAL")


def init_app(app: Flask) -> None:
    """Attach the handlers."""
    app.register_error_handler(PortalError, on_portal_error)
    app.register_error_handler(CSRFError, on_csrf_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(OperationalError, on_database_error)
    app.register_error_handler(PoolTimeout, on_database_error)
    app.register_error_handler(Exception, on_anything)
