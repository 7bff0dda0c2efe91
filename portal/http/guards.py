"""Deny by default: every route names the permission it asks for, and one hook enforces it before the view runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

from portal.db import set_read_only
from portal.errors import Forbidden, PortalError
from portal.http.people import current_actor, current_user_or_none
from portal.services.identity.permissions import Permission, may

View = TypeVar("View", bound=Callable[..., Any])

_PERMISSION = "_portal_permission"
_READS = "_portal_reads"


def requires(permission: Permission, *, reads: bool = False) -> Callable[[View], View]:
    """Declare what a route asks for.

    Args:
        permission: the right; ``Permission.PUBLIC`` for pages before signing in.
        reads: the route only reads; on SQLite its transaction then takes no write lock. A route that writes an
            audit row is not such a route.
    """

    def mark(view: View) -> View:
        setattr(view, _PERMISSION, permission)
        setattr(view, _READS, reads)
        return view

    return mark


def permission_of(view: Callable[..., Any]) -> Permission | None:
    """What a view declared, None if nothing."""
    value = getattr(view, _PERMISSION, None)
    return value if isinstance(value, Permission) else None


def check_every_route(app: Flask) -> None:
    """Refuse to start with a route that declares nothing (``static`` is public by nature)."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        if permission_of(app.view_functions[rule.endpoint]) is None:
            raise RuntimeError(f"route {rule.rule} ({rule.endpoint}) declares no permission")


def enforce() -> None:
    """The ``before_request`` hook."""
    if request.endpoint is None or request.endpoint == "static":
        return
    view = current_app.view_functions[request.endpoint]
    permission = permission_of(view)
    set_read_only(bool(getattr(view, _READS, False)))
    if permission is None:
        raise Forbidden
    if permission is Permission.PUBLIC:
        return
    if current_user_or_none() is None:
        raise PortalError("NOT_SIGNED_IN")
    if not may(current_actor().role, permission):
        raise Forbidden
