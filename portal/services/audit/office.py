"""Who may use the access log beyond adding to it: auditors, and the portal itself from the command line."""

from __future__ import annotations

from portal.errors import Forbidden
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission, may


def need(actor: Actor, permission: Permission) -> None:
    """Refuse everybody else.

    Raises:
        Forbidden: the actor's office does not include ``permission``.
    """
    if actor.role != "system" and not may(actor.role, permission):
        raise Forbidden
