"""The blueprint that the modules of this package hang their routes on, and what they share."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, current_app, request

from portal.errors import PortalError
from portal.http.error_pages import sentence
from portal.http.people import request_id
from portal.settings import Settings

bp = Blueprint("admin", __name__, url_prefix="/admin")


def settings() -> Settings:
    """The process settings."""
    found = current_app.config["PORTAL_SETTINGS"]
    assert isinstance(found, Settings)
    return found


def optional_id(values: Any, name: str) -> uuid.UUID | None:
    """An id from a form or an address; None when it is empty.

    Raises:
        PortalError: BAD_REQUEST for anything that is no id.
    """
    text = values.get(name, "").strip()
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise PortalError("BAD_REQUEST") from None


def whole_number(name: str) -> int:
    """A whole number that one of our own forms sent.

    Raises:
        PortalError: BAD_REQUEST.
    """
    text = request.form.get(name, "")
    if not text.isdecimal() or len(text) > 9:
        raise PortalError("BAD_REQUEST")
    return int(text)


def said(error: PortalError) -> dict[str, str]:
    """What ``error_box`` shows."""
    message, remedy = sentence(error.entry, dict(error.params))
    return {"code": error.code, "message": message, "remedy": remedy, "request_id": request_id()}
