"""The first accounts: a one-time token printed on the server opens a page that makes them. There are no defaults."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import PortalError
from portal.models.user import Role, SetupToken, User
from portal.services import audit
from portal.services.identity import accounts, lockout
from portal.services.identity.actor import Actor
from portal.services.identity.names import normalise, source_key
from portal.services.identity.sessions import token_hash
from portal.services.identity.signing_in import Begin
from portal.settings import Settings

LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """One of the three first accounts. ``password_hash`` comes from ``passwords.new_hash``."""

    login: str
    display_name: str
    password_hash: str


def is_needed(session: Session) -> bool:
    """Whether nobody administers the portal yet."""
    return session.scalar(sa.select(User.id).where(User.role == Role.ADMIN.value).limit(1)) is None


def issue_token(session: Session, actor: Actor) -> str | None:
    """A new set-up token, valid for one hour; earlier ones end. None once an administrator exists. Audited."""
    if not is_needed(session):
        return None
    now = utcnow()
    session.execute(sa.delete(SetupToken).where(SetupToken.used_at.is_(None)))
    token = secrets.token_urlsafe(32)
    session.add(SetupToken(token_hash=token_hash(token), created_at=now, expires_at=now + LIFETIME))
    audit.record(session, actor, audit.Action.SETUP_TOKEN)
    return token


def is_valid(session: Session, token: str) -> bool:
    """Whether the token opens the set-up page now. Looked up by its hash, so the time tells nothing about it."""
    wanted = sa.select(SetupToken.token_hash).where(
        SetupToken.token_hash == token_hash(token), SetupToken.used_at.is_(None), SetupToken.expires_at > utcnow()
    )
    return 0 < len(token) <= 128 and session.scalar(wanted) is not None and is_needed(session)


def admit(begin: Begin, settings: Settings, actor: Actor, token: str) -> None:
    """Whether this browser may see the set-up page; wrong tokens count against its network.

    Raises:
        PortalError: ``SETUP_TOKEN_INVALID``, or ``SIGN_IN_LOCKED`` after too many tries from one network.
    """
    with begin() as session:
        outcome = lockout.reserve(session, settings, (source_key(actor.address),))
        valid = isinstance(outcome, lockout.Reservation) and is_valid(session, token)
        if isinstance(outcome, lockout.Reservation) and valid:
            lockout.give_back(session, outcome)
        else:
            audit.record(session, actor, audit.Action.SETUP, result="refused", reason="SETUP_TOKEN_INVALID")
    if isinstance(outcome, lockout.Refused):
        raise PortalError("SIGN_IN_LOCKED", minutes=outcome.minutes)
    if not valid:
        raise PortalError("SETUP_TOKEN_INVALID")


def redeem(
    session: Session, actor: Actor, token: str, *, admin: NewAccount, auditor: NewAccount, staff: NewAccount
) -> tuple[User, User, User]:
    """Make administrator, auditor and an everyday account with one token; audited.

    Raises:
        PortalError: ``SETUP_TOKEN_INVALID`` (wrong, used, older than an hour, or an administrator exists),
            ``SAME_PERSON``, ``LOGIN_TAKEN``, ``INVALID_VALUE``.
    """
    if not is_valid(session, token):
        raise PortalError("SETUP_TOKEN_INVALID")
    now = utcnow()
    used = session.execute(
        sa.update(SetupToken)
        .where(SetupToken.token_hash == token_hash(token), SetupToken.used_at.is_(None), SetupToken.expires_at > now)
        .values(used_at=now)
    )
    if getattr(used, "rowcount", 0) != 1:
        raise PortalError("SETUP_TOKEN_INVALID")
    if len({normalise(account.login) for account in (admin, auditor, staff)}) != 3:
        raise PortalError("SAME_PERSON")
    made = [
        accounts.create_local(
            session,
            actor,
            login=account.login,
            display_name=account.display_name,
            role=role,
            password_hash=account.password_hash,
        )
        for account, role in ((admin, Role.ADMIN), (auditor, Role.AUDITOR), (staff, Role.STAFF))
    ]
    audit.record(session, actor, audit.Action.SETUP, detail={"accounts": len(made)})
    return made[0], made[1], made[2]
