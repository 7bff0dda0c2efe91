"""Flask-Login over opaque server-side sessions: the cookie holds a random token, SQL holds its hash."""

from __future__ import annotations

import logging

from flask import Flask, Request, current_app, g, request
from flask import Response as FlaskResponse
from flask_login import LoginManager
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from portal.db import db
from portal.http.installation import current_settings
from portal.http.transactions import short_transaction
from portal.models.user import User
from portal.services.identity import sessions
from portal.services.identity.sessions import token_hash

__all__ = ["cookie_name", "forget_cookie", "give_cookie", "init_app", "load_from_request", "own_token", "token_hash"]

log = logging.getLogger(__name__)
login_manager = LoginManager()


def cookie_name(secure: bool) -> str:
    """``__Host-`` binds the cookie to this host and to HTTPS; plain loopback HTTP can't use it."""
    return "__Host-portal-session" if secure else "portal-session"


def own_token() -> str | None:
    """The session token that this browser sent."""
    return request.cookies.get(cookie_name(current_app.config["SESSION_COOKIE_SECURE"]))


def load_from_request(_request: Request) -> User | None:
    """The person of this request's session cookie, if it is alive."""
    row = sessions.load(db.session(), current_settings(), own_token())
    if row is None:
        return None
    g.session_hash = row.token_hash[:16]
    g.user_session = row
    g.session_id = row.id
    g.session_is_stale = sessions.is_stale(row)
    return row.user


def give_cookie(response: Response, token: str) -> None:
    """Put a new session's token into the browser. It ends with the browser; the limits are kept by the server."""
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.set_cookie(cookie_name(secure), token, secure=secure, httponly=True, samesite="Lax", path="/")


def forget_cookie(response: Response) -> None:
    """Take the token out of the browser."""
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.delete_cookie(cookie_name(secure), secure=secure, httponly=True, samesite="Lax", path="/")


def init_app(app: Flask) -> None:
    """Attach Flask-Login without its cookie: only ``request_loader`` is used."""
    login_manager.init_app(app)
    login_manager.request_loader(load_from_request)

    @app.after_request
    def note_activity(response: FlaskResponse) -> FlaskResponse:
        # after the request's own transaction: a page that only reads must not write, and SQLite has one writer.
        # Timers of an open page are not activity: an unattended screen has to sign out
        if g.pop("session_is_stale", False) and not g.get("polls", False):
            try:
                with short_transaction() as session:
                    sessions.touch(session, g.session_id)
            except SQLAlchemyError:
                log.warning("activity could not be noted", exc_info=True)
        return response
