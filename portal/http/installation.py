"""The process settings of the running application."""

from __future__ import annotations

from flask import current_app

from portal.settings import Settings


def current_settings() -> Settings:
    """The settings that this application was built from."""
    settings = current_app.config["PORTAL_SETTINGS"]
    assert isinstance(settings, Settings)
    return settings
