"""The administrators' verbs check the office themselves, whatever route or command calls them."""

from __future__ import annotations

from portal.errors import Forbidden
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission, may


def need(actor: Actor, permission: Permission) -> None:
    """Refuse who lacks the right.

    Raises:
        Forbidden: the actor's office does not include ``permission``.
    """
    if not may(actor.role, permission):
        raise Forbidden
