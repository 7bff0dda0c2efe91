"""People who left the company lose access without signing in again: the directory is asked about them regularly."""

from __future__ import annotations

import logging
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import PortalError
from portal.models.user import AccountKind, User, UserSession
from portal.services.identity import accounts, sessions
from portal.services.identity.actor import Actor, system_actor
from portal.services.identity.directory import Directory, DirectoryPerson, DirectoryUnavailable, directory_for
from portal.settings import Settings

log = logging.getLogger(__name__)

BATCH = 500
WITHOUT_SESSION_EVERY = timedelta(hours=24)
SUSPICIOUS = 5
"""So many missing at once, and more than half of those asked about, is a broken search, not a wave of resignations."""


def recheck_directory_people(session: Session, settings: Settings, directory: Directory | None = None) -> int:
    """Ask the directory about everybody who is signed in (and once a day about the others); disable who left.

    The session must hold nothing unsaved: it is committed before the directory is asked, so that no transaction waits
    for the network, and left with the changes uncommitted. Housekeeping calls this every ``ldap_recheck_minutes``.

    Returns:
        How many accounts were disabled. 0 when the directory can't be asked: nobody is then shut out.
    """
    directory = directory or directory_for(settings)
    if directory is None:
        return 0
    guids = _due(session, settings)
    session.commit()
    try:
        found = directory.still_there(guids)
    except DirectoryUnavailable:
        log.warning("directory re-check skipped: no server answered")
        return 0
    gone = [guid for guid, person in found.items() if person is None or person.disabled]
    if len(gone) > SUSPICIOUS and len(gone) * 2 > len(found):
        log.error("directory re-check ignored: %d of %d people are missing; check ldap_base_dn, ldap_user_filter and "
                  "the rights of ldap_bind_dn", len(gone), len(found))  # fmt: skip
        return 0
    actor = system_actor("housekeeping", "directory-recheck")
    return sum(_apply(session, actor, guid, person) for guid, person in found.items())


def _due(session: Session, settings: Settings) -> list[str]:
    now = utcnow()
    live = sa.exists().where(
        UserSession.user_id == User.id, UserSession.revoked_at.is_(None), UserSession.expires_at > now
    )
    checked = sa.func.coalesce(User.directory_checked_at, User.created_at)
    soon, later = now - timedelta(minutes=settings.ldap_recheck_minutes), now - WITHOUT_SESSION_EVERY
    wanted = (
        sa.select(User.directory_guid)
        .where(User.kind == AccountKind.DIRECTORY.value, User.disabled_at.is_(None))
        .where(sa.or_(sa.and_(live, checked <= soon), checked <= later))
        .order_by(checked)
        .limit(BATCH)
    )
    return [guid for guid in session.scalars(wanted) if guid]


def _apply(session: Session, actor: Actor, guid: str, person: DirectoryPerson | None) -> int:
    if person is not None and not person.disabled:
        accounts.upsert_from_directory(session, actor, person)
        return 0
    user = session.scalars(sa.select(User).where(User.directory_guid == guid).with_for_update(of=User)).one()
    user.directory_checked_at = utcnow()
    if user.disabled_at is not None:
        return 0
    try:
        accounts.disable(session, actor, user, reason="left_directory")
    except PortalError as error:
        if error.code != "LAST_ADMIN":
            raise
        # the account stays, but nobody can sign in with it any more; the others who left must not stay with it
        log.error("the last administrator left the directory; make somebody else one: portal user role")
        sessions.revoke_all(session, actor, user, reason="left_directory")
        return 0
    return 1
