"""The blueprint that the modules of this package hang their routes on, and what they share."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint

from portal.errors import PortalError

bp = Blueprint("admin", __name__, url_prefix="/admin")


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
