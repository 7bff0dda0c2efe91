"""The factory of the web application: reads like a table of contents."""

from __future__ import annotations

from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import views
from portal.db import configure_engine, db, engine_options
from portal.http import (
    error_pages,
    guards,
    headers,
    highlight,
    language,
    layout,
    request_ids,
    signed_in,
    tag_words,
    transactions,
    wording,
)
from portal.logs import configure_logging
from portal.services.audit import load_audit_key
from portal.settings import Settings, load_settings

csrf = CSRFProtect()


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application from settings read once.

    Raises:
        SettingsError: a setting is unknown or malformed.
    """
    settings = settings or load_settings()
    app = Flask(__name__)
    configure(app, settings)
    configure_logging(settings)
    load_audit_key(settings.instance)
    db.init_app(app)
    with app.app_context():
        configure_engine(db.engine)
    request_ids.init_app(app)
    headers.init_app(app)
    csrf.init_app(app)
    signed_in.init_app(app)
    app.before_request(guards.enforce)
    language.init_app(app)
    layout.init_app(app)
    wording.init_app(app)
    tag_words.init_app(app)
    highlight.init_app(app)
    error_pages.init_app(app)
    transactions.init_app(app)
    views.init_app(app)
    guards.check_every_route(app)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def configure(app: Flask, settings: Settings) -> None:
    """Flask's own options, derived from ours."""
    url = settings.effective_database_url
    app.config.update(
        PORTAL_SETTINGS=settings,
        SECRET_KEY=settings.read_secret_key(),
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(url),
        SESSION_COOKIE_NAME="__Host-portal-page" if settings.secure_cookies else "portal-page",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=settings.upload_chunk_bytes + 1024 * 1024,
        MAX_FORM_MEMORY_SIZE=4 * 1024 * 1024,
        WTF_CSRF_TIME_LIMIT=None,
        BABEL_DEFAULT_LOCALE=settings.language,
        BABEL_DEFAULT_TIMEZONE=settings.timezone,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
