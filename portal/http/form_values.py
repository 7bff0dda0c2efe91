"""Values of our own forms."""

from __future__ import annotations

from flask import request

from portal.errors import PortalError


def whole_number(name: str) -> int:
    """A whole number that one of our own forms sent.

    Raises:
        PortalError: BAD_REQUEST.
    """
    text = request.form.get(name, "")
    if not text.isdecimal() or len(text) > 9:
        raise PortalError("BAD_REQUEST")
    return int(text)
