"""Signing in: one flow for local and directory accounts, in short transactions with the slow checks between them.

1. count the attempt (name, source network), or refuse it;  2. check the password: argon2 or the directory, with no
transaction open;  3. in one transaction: account, counters, session, audit row.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import PortalError
from portal.models.user import User, UserSession
from portal.services import audit
from portal.services.identity import accounts, lockout, passwords, sessions
from portal.services.identity.actor import Actor, actor_of, anonymous_actor
from portal.services.identity.directory import (
    Directory,
    DirectoryPerson,
    DirectoryUnavailable,
    NoSuchPerson,
    WrongPassword,
)
from portal.services.identity.names import MAX_LOGIN, guid_key, name_key, source_key
from portal.settings import Settings

Begin = Callable[[], AbstractContextManager[Session]]
"""Opens a writing transaction on a session of its own and commits it at the end (``sessionmaker.begin``)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody typed, and from where."""

    login: str
    password: str
    address: str
    request_id: str
    user_agent: str = ""
    replaces: str | None = None
    """The token that this browser held before: it ends, a new one is given."""

    @property
    def actor(self) -> Actor:
        """Nobody yet, under the typed name."""
        return anonymous_actor(self.login, address=self.address, request_id=self.request_id)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session was made: ``token`` goes into the cookie and is stored nowhere."""

    token: str
    user_id: uuid.UUID
    role: str
    must_change_password: bool


class _Failed(Exception):
    """Name or password is wrong; nobody is told which."""


def sign_in(begin: Begin, settings: Settings, directory: Directory | None, attempt: Attempt) -> SignedIn:
    """Check a name and password and start a session.

    Raises:
        PortalError: ``SIGN_IN_FAILED`` (unknown name and wrong password alike), ``SIGN_IN_LOCKED``,
            ``DIRECTORY_DOWN`` (not counted as a failure), ``ACCOUNT_DISABLED`` (only after the right password).
    """
    reserved = _reserve(begin, settings, attempt, (name_key(attempt.login), source_key(attempt.address)))
    try:
        reserved, person, local_id = _check(begin, settings, directory, attempt, reserved)
    except _Failed:
        with begin() as session:
            audit.record(session, attempt.actor, audit.Action.SIGN_IN, result="failed", reason="SIGN_IN_FAILED",
                         detail={"locked": True} if reserved.locked else None)  # fmt: skip
        raise PortalError("SIGN_IN_FAILED") from None
    except DirectoryUnavailable as error:
        with begin() as session:
            lockout.give_back(session, reserved)
            audit.record(session, attempt.actor, audit.Action.SIGN_IN, result="failed", reason="DIRECTORY_DOWN",
                         detail={"servers": sorted(set(error.reasons.values()))})  # fmt: skip
        raise PortalError("DIRECTORY_DOWN") from None
    return _finish(begin, settings, attempt, reserved, person, local_id)


def _reserve(begin: Begin, settings: Settings, attempt: Attempt, keys: tuple[str, ...]) -> lockout.Reservation:
    with begin() as session:
        outcome = lockout.reserve(session, settings, keys)
        if isinstance(outcome, lockout.Refused):
            audit.record(session, attempt.actor, audit.Action.SIGN_IN, result="refused", reason="SIGN_IN_LOCKED")
    if isinstance(outcome, lockout.Refused):
        raise PortalError("SIGN_IN_LOCKED", minutes=outcome.minutes)
    return outcome


def _check(
    begin: Begin, settings: Settings, directory: Directory | None, attempt: Attempt, reserved: lockout.Reservation
) -> tuple[lockout.Reservation, DirectoryPerson | None, uuid.UUID | None]:
    if not attempt.password.strip() or "\0" in attempt.password or not attempt.login.strip():
        raise _Failed
    if len(attempt.login) > MAX_LOGIN or len(attempt.password) > passwords.MAX_PASSWORD:
        raise _Failed
    with begin() as session:
        local = accounts.find_local(session, attempt.login)
        local_id, stored = (local.id, local.password_hash) if local else (None, None)
    if local_id is not None:
        if not passwords.matches(stored, attempt.password):
            _look_alike(directory, attempt)
            raise _Failed
        return reserved, None, local_id
    if directory is None:
        passwords.matches(None, attempt.password)
        raise _Failed
    reserved, person = _check_directory(begin, settings, directory, attempt, reserved)
    return reserved, person, None


def _check_directory(
    begin: Begin, settings: Settings, directory: Directory, attempt: Attempt, reserved: lockout.Reservation
) -> tuple[lockout.Reservation, DirectoryPerson]:
    try:
        person = directory.find(attempt.login.strip())
    except NoSuchPerson:
        directory.spend_the_same_time()
        passwords.matches(None, attempt.password)
        raise _Failed from None
    by_guid = _reserve(begin, settings, attempt, (guid_key(person.guid),))
    reserved = replace(reserved, keys=reserved.keys + by_guid.keys, locked=reserved.locked | by_guid.locked)
    try:
        directory.check_password(person, attempt.password)
    except WrongPassword:
        passwords.matches(None, attempt.password)  # a local account's wrong password takes this long
        raise _Failed from None
    except DirectoryUnavailable:
        with begin() as session:
            lockout.give_back(session, by_guid)
        raise
    return reserved, person


def _look_alike(directory: Directory | None, attempt: Attempt) -> None:
    # a wrong password for a local account asks the directory as much as one for a directory account does, so that
    # the time of the answer does not tell which names are local; what it answers does not matter
    if directory is None:
        return
    with suppress(NoSuchPerson, DirectoryUnavailable):
        directory.find(attempt.login.strip())
    with suppress(DirectoryUnavailable):
        directory.spend_the_same_time()


def _finish(
    begin: Begin,
    settings: Settings,
    attempt: Attempt,
    reserved: lockout.Reservation,
    person: DirectoryPerson | None,
    local_id: uuid.UUID | None,
) -> SignedIn:
    with begin() as session:
        user = _account(session, attempt, person, local_id)
        who = actor_of(user, address=attempt.address, request_id=attempt.request_id)
        lockout.succeeded(session, reserved)
        disabled = not user.is_active or (person is not None and person.disabled)
        if disabled:
            audit.record(session, who, audit.Action.SIGN_IN, result="refused", reason="ACCOUNT_DISABLED")
        else:
            done = _start(session, settings, user, who, attempt)
    if disabled:
        raise PortalError("ACCOUNT_DISABLED")
    return done


def _account(session: Session, attempt: Attempt, person: DirectoryPerson | None, local_id: uuid.UUID | None) -> User:
    if person is not None:
        actor = anonymous_actor(person.login, address=attempt.address, request_id=attempt.request_id)
        return accounts.upsert_from_directory(session, actor, person)
    return session.scalars(sa.select(User).where(User.id == local_id).with_for_update(of=User)).one()


def _start(session: Session, settings: Settings, user: User, who: Actor, attempt: Attempt) -> SignedIn:
    if attempt.replaces:
        hashed = sessions.token_hash(attempt.replaces)
        old = sa.update(UserSession).where(UserSession.token_hash == hashed, UserSession.revoked_at.is_(None))
        session.execute(old.values(revoked_at=utcnow()))
    token, row = sessions.create(session, settings, user, address=attempt.address, user_agent=attempt.user_agent)
    user.last_login_at = utcnow()
    named = replace(who, session_hash=row.token_hash[:16])
    audit.record(session, named, audit.Action.SIGN_IN, object_kind="session", object_id=row.id,
                 detail={"kind": user.kind})  # fmt: skip
    return SignedIn(token, user.id, user.role, user.must_change_password)
