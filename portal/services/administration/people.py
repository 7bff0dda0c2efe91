"""People as administrators see them: accounts, offices, locks. Never what anybody recorded."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import Forbidden, NotFound, PortalError
from portal.models.department import Department
from portal.models.user import AccountKind, LoginCounter, Role, User, UserSession
from portal.services.administration.office import need
from portal.services.identity import accounts, lockout, passwords, sessions
from portal.services.identity.actor import Actor
from portal.services.identity.names import guid_key, name_key
from portal.services.identity.permissions import Permission
from portal.settings import Settings

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One line of the list."""

    user: User
    locked_until: datetime | None
    sessions: int


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """One page by name. ``after`` is the key of the next page, None on the last one."""

    rows: list[PersonRow]
    count: int
    after: str | None


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Empty fields match everybody. ``state``: ``active``, ``disabled`` or nothing."""

    text: str = ""
    role: str = ""
    state: str = ""
    department_id: uuid.UUID | None = None


def list_people(
    session: Session, actor: Actor, wanted: PeopleFilter, *, after: str = "", rows: int = PAGE_ROWS
) -> PeoplePage:
    """People by login, in pages.

    Args:
        after: ``PeoplePage.after`` of the page before.

    Raises:
        Forbidden: the actor is no administrator.
    """
    need(actor, Permission.ADMIN_PEOPLE)
    where = _conditions(wanted)
    count = session.scalar(sa.select(sa.func.count()).select_from(User).where(*where)) or 0
    chosen = sa.select(User).where(*where).order_by(User.login_key).limit(rows + 1)
    if after:
        chosen = chosen.where(User.login_key > after)
    users = list(session.scalars(chosen))
    more, users = len(users) > rows, users[:rows]
    return PeoplePage(_with_locks(session, users), count, users[-1].login_key if more else None)


def _conditions(wanted: PeopleFilter) -> list[sa.ColumnElement[bool]]:
    where: list[sa.ColumnElement[bool]] = []
    if wanted.text:
        places = (User.login, User.display_name, User.mail)
        where.append(sa.or_(*(place.icontains(wanted.text, autoescape=True) for place in places)))
    if wanted.role:
        where.append(User.role == wanted.role)
    if wanted.state:
        disabled = User.disabled_at.is_not(None)
        where.append(disabled if wanted.state == "disabled" else ~disabled)
    if wanted.department_id is not None:
        where.append(User.department_id == wanted.department_id)
    return where


def _with_locks(session: Session, users: list[User]) -> list[PersonRow]:
    keys = {key: user.id for user in users for key in _counter_keys(user)}
    now = utcnow()
    locked: dict[uuid.UUID, datetime] = {}
    counters = sa.select(LoginCounter.key, LoginCounter.locked_until).where(
        LoginCounter.key.in_(list(keys)), LoginCounter.locked_until > now
    )
    for key, until in session.execute(counters):
        if until is not None:
            locked[keys[key]] = max(until, locked.get(keys[key], until))
    alive = (
        sa.select(UserSession.user_id, sa.func.count())
        .where(UserSession.user_id.in_([user.id for user in users]), UserSession.revoked_at.is_(None))
        .where(UserSession.expires_at > now)
        .group_by(UserSession.user_id)
    )
    open_sessions = {row[0]: row[1] for row in session.execute(alive)}
    return [PersonRow(user, locked.get(user.id), open_sessions.get(user.id, 0)) for user in users]


def _counter_keys(user: User) -> list[str]:
    return [name_key(user.login)] + ([guid_key(user.directory_guid)] if user.directory_guid else [])


def get_person(session: Session, actor: Actor, user_id: uuid.UUID) -> PersonRow:
    """One person.

    Raises:
        Forbidden: the actor is no administrator.
        NotFound: there is no such person.
    """
    need(actor, Permission.ADMIN_PEOPLE)
    user = session.get(User, user_id)
    if user is None:
        raise NotFound
    return _with_locks(session, [user])[0]


@dataclass(frozen=True, slots=True)
class FirstPassword:
    """A password that is shown once and must be changed at the first sign-in."""

    password: str
    hash: str


def new_first_password() -> FirstPassword:
    """Make one. Hashing takes about 0.3 s of CPU: call it before the transaction begins."""
    password = passwords.random_password()
    return FirstPassword(password, passwords.hash_password(password))


def _keep_out_of_audit(user: User | None, role: Role | None = None) -> None:
    """Who is watched does not choose the watcher: auditors are made and changed on the server (``portal user``)."""
    if role is Role.AUDITOR or (user is not None and user.role == Role.AUDITOR):
        raise PortalError("AUDITOR_ON_SERVER")


def create_person(
    session: Session,
    actor: Actor,
    first: FirstPassword,
    *,
    login: str,
    display_name: str,
    role: str,
    department_id: uuid.UUID | None,
) -> User:
    """A local account with a first password.

    Raises:
        Forbidden: the actor is no administrator.
        PortalError: LOGIN_TAKEN, INVALID_VALUE, AUDITOR_ON_SERVER.
    """
    need(actor, Permission.ADMIN_PEOPLE)
    _keep_out_of_audit(None, _role(role))
    return accounts.create_local(
        session,
        actor,
        login=login,
        display_name=display_name,
        role=_role(role),
        password_hash=first.hash,
        department_id=_department(session, department_id),
        must_change_password=True,
    )


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise PortalError("INVALID_VALUE", field="role") from None


def _department(session: Session, department_id: uuid.UUID | None) -> uuid.UUID | None:
    if department_id is not None and session.get(Department, department_id) is None:
        raise NotFound
    return department_id


def update_person(
    session: Session, actor: Actor, user_id: uuid.UUID, *, role: str, department_id: uuid.UUID | None
) -> None:
    """Give somebody another office or department; a new office ends all their sessions.

    Raises:
        Forbidden: the actor is no administrator, or changes their own office.
        NotFound: there is no such person or department.
        PortalError: LAST_ADMIN, INVALID_VALUE, AUDITOR_ON_SERVER.
    """
    user = get_person(session, actor, user_id).user
    _keep_out_of_audit(user, _role(role))
    accounts.set_department(session, actor, user, _department(session, department_id))
    accounts.set_role(session, actor, user, _role(role))


def disable_person(session: Session, actor: Actor, user_id: uuid.UUID) -> None:
    """Stop somebody from signing in and end their sessions. One's own account can't be disabled.

    Raises:
        Forbidden, NotFound: see ``get_person``.
        PortalError: LAST_ADMIN, AUDITOR_ON_SERVER.
    """
    user = get_person(session, actor, user_id).user
    _keep_out_of_audit(user)
    if user.id == actor.user_id:
        raise Forbidden
    accounts.disable(session, actor, user)


def enable_person(session: Session, actor: Actor, user_id: uuid.UUID) -> None:
    """Let somebody sign in again."""
    user = get_person(session, actor, user_id).user
    _keep_out_of_audit(user)
    accounts.enable(session, actor, user)


def unlock_person(session: Session, actor: Actor, user_id: uuid.UUID) -> None:
    """Let somebody try again at once after too many wrong passwords."""
    lockout.unlock(session, actor, get_person(session, actor, user_id).user)


def reset_password(session: Session, actor: Actor, user_id: uuid.UUID, first: FirstPassword) -> User:
    """Give a local account a first password again; ends its sessions.

    Raises:
        Forbidden: a directory person, whose password lives elsewhere; or the actor's own account.
        PortalError: AUDITOR_ON_SERVER.
    """
    user = get_person(session, actor, user_id).user
    _keep_out_of_audit(user)
    if user.kind != AccountKind.LOCAL or user.id == actor.user_id:
        raise Forbidden
    accounts.set_password(session, actor, user, first.hash, must_change=True)
    return user


def end_sessions(session: Session, actor: Actor, user_id: uuid.UUID) -> int:
    """Sign somebody out everywhere; how many sessions ended."""
    user = get_person(session, actor, user_id).user
    return sessions.revoke_all(session, actor, user, reason="administrator")


def counts(session: Session, settings: Settings) -> dict[str, int]:
    """How many accounts can sign in, and how many sessions are open, for the overview."""
    active = session.scalar(sa.select(sa.func.count()).select_from(User).where(User.disabled_at.is_(None)))
    now = utcnow()
    alive = sa.select(sa.func.count(sa.distinct(UserSession.user_id))).where(
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > now,
        UserSession.last_seen_at > now - sessions.idle_limit(settings, Role.STAFF.value),
    )
    return {"active": active or 0, "signed_in": session.scalar(alive) or 0}
