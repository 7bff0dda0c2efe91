"""HTML pages, thin: a guard, a service call, a template. One module per wing."""

from __future__ import annotations

from flask import Flask

from portal.views import admin, audit, health, history, hotwords, identity, media, transcripts, uploads, workspace


def init_app(app: Flask) -> None:
    """Register every blueprint."""
    for module in (health, identity, workspace, uploads, media, history, transcripts, hotwords, audit, admin):
        app.register_blueprint(module.bp)
