"""Flask-Login over opaque server-side sessions: the cookie holds a random token, SQL holds its hash."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from flask import Flask, Request, g
from flask_login import LoginManager

from portal.db import db, utcnow
from portal.models.user import User, UserSession

login_manager = LoginManager()


def token_hash(token: str) -> str:
    """SHA-256 of a session token (hex)."""
    return hashlib.sha256(token.encode()).hexdigest()


def cookie_name(secure: bool) -> str:
    """``__Host-`` binds the cookie to this host and to HTTPS; plain loopback HTTP can't use it."""
    return "__Host-portal-session" if secure else "portal-session"


def load_from_request(request: Request) -> User | None:
    """The person of this request's session cookie, if it is alive."""
    from flask import current_app

    token = request.cookies.get(cookie_name(current_app.config["SESSION_COOKIE_SECURE"]))
    if not token or len(token) > 128:
        return None
    row = db.session.scalar(sa.select(UserSession).where(UserSession.token_hash == token_hash(token)))
    if row is None or row.revoked_at is not None or row.expires_at <= utcnow() or not row.user.is_active:
        return None
    g.session_hash = row.token_hash[:16]
    g.user_session = row
    return row.user


def init_app(app: Flask) -> None:
    """Attach Flask-Login without its cookie: only ``request_loader`` is used."""
    login_manager.init_app(app)
    login_manager.request_loader(load_from_request)
