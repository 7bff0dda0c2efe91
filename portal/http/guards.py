"""Deny by default: every route names the permission it asks for, and one hook enforces it before the view runs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from flask import Flask, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response

from portal.db import set_read_only
from portal.errors import Forbidden, PortalError
from portal.http.installation import current_settings
from portal.http.people import client_address, current_actor, current_user_or_none
from portal.services.identity.permissions import Permission, may

View = TypeVar("View", bound=Callable[..., Any])

_PERMISSION = "_portal_permission"
_READS = "_portal_reads"
_POLLS = "_portal_polls"


def requires(permission: Permission, *, reads: bool = False, polls: bool = False) -> Callable[[View], View]:
    """Declare what a route asks for.

    Args:
        permission: the right; ``Permission.PUBLIC`` for pages before signing in.
        reads: the route only reads; on SQLite its transaction then takes no write lock. A route that writes an
            audit row is not such a route.
        polls: a page asks for this route by a timer; being asked is then no sign that somebody sits there, so the
            idle limit of the session goes on.
    """

    def mark(view: View) -> View:
        setattr(view, _PERMISSION, permission)
        setattr(view, _READS, reads)
        setattr(view, _POLLS, polls)
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


def enforce() -> Response | None:
    """The ``before_request`` hook."""
    if request.endpoint is None or request.endpoint == "static":
        set_read_only(True)
        return None
    refuse_nul()
    view = current_app.view_functions[request.endpoint]
    permission = permission_of(view)
    set_read_only(bool(getattr(view, _READS, False)))
    g.polls = bool(getattr(view, _POLLS, False))
    if permission is None:
        raise Forbidden
    if permission is Permission.PUBLIC:
        return None
    user = current_user_or_none()
    if user is None:
        raise PortalError("NOT_SIGNED_IN")
    if not may(current_actor().role, permission) or not from_admin_network(permission):
        raise Forbidden
    if user.must_change_password and request.blueprint != "identity":
        # somebody else knows this password: nothing but one's own account until it is changed
        if request.method in ("GET", "HEAD"):
            return redirect(url_for("identity.account"))
        raise PortalError("PASSWORD_CHANGE_NEEDED")
    return None


def refuse_nul() -> None:
    """Refuse NUL in what was typed: PostgreSQL fails at it in any value, SQLite reads a text only as far as it.

    Raises:
        PortalError: BAD_REQUEST.
    """
    if any("\0" in text for _name, texts in request.values.lists() for text in texts):
        raise PortalError("BAD_REQUEST")


def from_admin_network(permission: Permission) -> bool:
    """Whether the asker's address may use this right: administration only from the listed networks."""
    listed: tuple[str, ...] = current_settings().admin_networks
    if not listed or not permission.value.startswith("admin_"):
        return True
    try:
        address = ipaddress.ip_address(client_address().partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in _networks(listed))


@lru_cache(maxsize=8)
def _networks(listed: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in listed)
