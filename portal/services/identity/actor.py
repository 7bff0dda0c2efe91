"""Who acts, from which address, under which request number. Services get an actor, never a request."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from portal.models.user import Role, User


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or a process of the portal. ``session_hash`` names the browser session in the audit log."""

    user_id: uuid.UUID | None
    login: str
    role: str
    department_id: uuid.UUID | None
    address: str
    request_id: str
    session_hash: str | None = None

    @property
    def is_staff(self) -> bool:
        """Whether this is an everyday person."""
        return self.role == Role.STAFF


def actor_of(user: User, *, address: str, request_id: str, session_hash: str | None = None) -> Actor:
    """The actor for a loaded person."""
    return Actor(user.id, user.login, user.role, user.department_id, address, request_id, session_hash)


def system_actor(name: str, request_id: str) -> Actor:
    """The portal itself: ``worker``, ``housekeeping``, ``cli``."""
    return Actor(None, name, "system", None, "local", request_id)


def anonymous_actor(login: str, *, address: str, request_id: str) -> Actor:
    """Nobody yet: the typed name of somebody who tries to sign in."""
    return Actor(None, login[:256], "anonymous", None, address, request_id)
