"""Who is behind the current request."""

from __future__ import annotations

from flask import g, request
from flask_login import current_user

from portal.models.user import User
from portal.services.identity.actor import Actor, actor_of, anonymous_actor


def request_id() -> str:
    """The number of this request, shown with every error and stored in every audit row."""
    return str(g.request_id)


def client_address() -> str:
    """The peer's address; behind trusted proxies the one they vouch for (ProxyFix with an exact count)."""
    return request.remote_addr or "unknown"


def current_user_or_none() -> User | None:
    """The signed-in person."""
    user = current_user._get_current_object()
    return user if isinstance(user, User) else None


def current_person() -> User:
    """The signed-in person; only for routes that ask for more than ``Permission.PUBLIC``."""
    user = current_user_or_none()
    if user is None:
        raise RuntimeError("no person is signed in")
    return user


def current_actor() -> Actor:
    """The actor of this request; anonymous before signing in."""
    user = current_user_or_none()
    if user is None:
        return anonymous_actor("", address=client_address(), request_id=request_id())
    return actor_of(user, address=client_address(), request_id=request_id(), session_hash=g.get("session_hash"))
