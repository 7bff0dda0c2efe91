"""Which lists a person sees and which they may change. Everybody else's list does not exist for them."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import Forbidden, NotFound
from portal.models.hotword_list import HotwordList
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission, may

SHARED_SCOPES = ("company", "department")


def visible(actor: Actor) -> sa.ColumnElement[bool]:
    """The lists this person sees, as an SQL condition.

    Everyday people: the company's, their department's, their own. Administrators: every shared list, no personal one.

    Raises:
        Forbidden: the actor's office has nothing to do with hotwords.
    """
    alive = HotwordList.deleted_at.is_(None)
    if may(actor.role, Permission.ADMIN_HOTWORDS):
        return sa.and_(alive, HotwordList.scope.in_(SHARED_SCOPES))
    if not may(actor.role, Permission.USE_HOTWORDS):
        raise Forbidden
    own = [
        HotwordList.scope == "company",
        sa.and_(HotwordList.scope == "personal", HotwordList.owner_id == actor.user_id),
    ]
    if actor.department_id is not None:
        own.append(sa.and_(HotwordList.scope == "department", HotwordList.department_id == actor.department_id))
    return sa.and_(alive, sa.or_(*own))


def may_edit(actor: Actor, found: HotwordList) -> bool:
    """Administrators change shared lists, everybody their own personal ones."""
    if found.scope in SHARED_SCOPES:
        return may(actor.role, Permission.ADMIN_HOTWORDS)
    return found.owner_id == actor.user_id and may(actor.role, Permission.USE_HOTWORDS)


def get_for(session: Session, actor: Actor, list_id: uuid.UUID) -> HotwordList:
    """Load a list that this person may see.

    Raises:
        NotFound: there is none, it is deleted, or it belongs to somebody else.
    """
    found = session.scalars(sa.select(HotwordList).where(HotwordList.id == list_id, visible(actor))).one_or_none()
    if found is None:
        raise NotFound
    return found


def get_to_edit(session: Session, actor: Actor, list_id: uuid.UUID) -> HotwordList:
    """Load a list that this person may change.

    Raises:
        NotFound: not theirs to see.
        Forbidden: theirs to see and use, but not to change.
    """
    found = get_for(session, actor, list_id)
    if not may_edit(actor, found):
        raise Forbidden
    return found
