"""Where a browser is sent next: only to paths of this portal."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import current_app, url_for

from portal.models.user import Role

_HOMES = {Role.STAFF.value: "workspace.index", Role.ADMIN.value: "admin.overview", Role.AUDITOR.value: "audit.index"}


def home_for(role: str) -> str:
    """The first page of an office."""
    endpoint = _HOMES.get(role, "identity.account")
    return url_for(endpoint if endpoint in current_app.view_functions else "identity.account")


def local_path(target: str | None) -> str | None:
    """The target if it is a plain path of this portal, else None: no other host, no scheme, nothing a browser mends."""
    if not target or len(target) > 2000 or not target.startswith("/") or target.startswith("//"):
        return None
    if "\\" in target or not target.isprintable():
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return target if not parts.scheme and not parts.netloc else None
