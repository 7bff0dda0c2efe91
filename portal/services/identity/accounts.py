"""Accounts: local ones made here, directory ones that follow the directory. A person holds exactly one office."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import Forbidden, PortalError
from portal.models.department import Department
from portal.models.user import AccountKind, Role, User
from portal.services import audit
from portal.services.identity import sessions
from portal.services.identity.actor import Actor
from portal.services.identity.directory import DirectoryPerson
from portal.services.identity.names import MAX_LOGIN, normalise


def local_key(login: str) -> str:
    """The unique key of a local account: all spellings of a name are one account."""
    return f"local:{normalise(login)}"


def find_local(session: Session, login: str) -> User | None:
    """The local account with this name, however it is spelled."""
    return session.scalar(sa.select(User).where(User.login_key == local_key(login)))


def create_local(
    session: Session,
    actor: Actor,
    *,
    login: str,
    display_name: str,
    role: Role,
    password_hash: str,
    department_id: uuid.UUID | None = None,
    mail: str | None = None,
    must_change_password: bool = False,
) -> User:
    """Make a local account; audited.

    Args:
        password_hash: from ``passwords.new_hash``, computed before this transaction began.

    Raises:
        PortalError: ``LOGIN_TAKEN``, or ``INVALID_VALUE`` for a name that is empty, too long or has odd characters.
    """
    name = login.strip()
    if not name or len(local_key(name)) > MAX_LOGIN or not name.isprintable() or any(ch.isspace() for ch in name):
        raise PortalError("INVALID_VALUE", field="login")
    if find_local(session, name) is not None:
        raise PortalError("LOGIN_TAKEN", login=name)
    user = User(
        kind=AccountKind.LOCAL.value,
        login=name,
        login_key=local_key(name),
        display_name=_clean(display_name, 256) or name,
        mail=_clean(mail or "", 320) or None,
        department_id=department_id,
        role=role.value,
        password_hash=password_hash,
        must_change_password=must_change_password,
    )
    _add(session, user, PortalError("LOGIN_TAKEN", login=name))
    audit.record(session, actor, audit.Action.USER_CREATE, object_kind="user", object_id=user.id,
                 detail={"kind": user.kind, "role": user.role})  # fmt: skip
    return user


def _add(session: Session, user: User, taken: PortalError) -> None:
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:
        raise taken from None


def _clean(text: str, limit: int) -> str:
    return "".join(ch for ch in text if ch.isprintable()).strip()[:limit]


def set_password(
    session: Session, actor: Actor, user: User, password_hash: str, *, must_change: bool, keep: uuid.UUID | None = None
) -> None:
    """Give a local account a new password and end its sessions; audited.

    Args:
        password_hash: from ``passwords.new_hash``.
        must_change: the person has to choose another one after the next sign-in (an administrator knows this one).
        keep: the session of the person who changes their own password.

    Raises:
        PortalError: ``FORBIDDEN`` for directory people, whose password lives elsewhere.
    """
    if user.kind != AccountKind.LOCAL:
        raise Forbidden
    user.password_hash, user.must_change_password = password_hash, must_change
    audit.record(session, actor, audit.Action.USER_PASSWORD, object_kind="user", object_id=user.id)
    sessions.revoke_all(session, actor, user, reason="password", keep=keep)


def disable(session: Session, actor: Actor, user: User, *, reason: str = "administrator") -> None:
    """Stop somebody from signing in and end their sessions; audited.

    Args:
        reason: ``administrator``, ``command_line`` or ``left_directory``; for the audit row.

    Raises:
        PortalError: ``LAST_ADMIN``.
    """
    if user.disabled_at is not None:
        return
    _keep_one_admin(session, user)
    user.disabled_at = utcnow()
    audit.record(session, actor, audit.Action.USER_DISABLE, object_kind="user", object_id=user.id,
                 detail={"because": reason})  # fmt: skip
    sessions.revoke_all(session, actor, user, reason="disabled")


def enable(session: Session, actor: Actor, user: User) -> None:
    """Let somebody sign in again; audited."""
    if user.disabled_at is not None:
        user.disabled_at = None
        audit.record(session, actor, audit.Action.USER_ENABLE, object_kind="user", object_id=user.id)


def set_role(session: Session, actor: Actor, user: User, role: Role) -> None:
    """Give somebody another office and end their sessions; audited. The former office ends with it.

    Raises:
        PortalError: ``LAST_ADMIN``; ``FORBIDDEN`` for one's own office.
    """
    if user.role == role:
        return
    if actor.user_id == user.id:
        raise Forbidden
    _keep_one_admin(session, user)
    before, user.role = user.role, role.value
    audit.record(session, actor, audit.Action.USER_UPDATE, object_kind="user", object_id=user.id,
                 detail={"role": {"before": before, "after": role.value}})  # fmt: skip
    sessions.revoke_all(session, actor, user, reason="role")


def set_department(session: Session, actor: Actor, user: User, department_id: uuid.UUID | None) -> None:
    """Move somebody to another department; audited. For directory people the directory may move them back."""
    if user.department_id == department_id:
        return
    user.department_id = department_id
    audit.record(session, actor, audit.Action.USER_UPDATE, object_kind="user", object_id=user.id,
                 detail={"changed": ["department"]})  # fmt: skip
    session.flush()
    session.expire(user, ["department"])


def _keep_one_admin(session: Session, user: User) -> None:
    if user.role != Role.ADMIN or user.disabled_at is not None:
        return
    wanted = sa.select(User.id).where(User.role == Role.ADMIN.value, User.disabled_at.is_(None)).order_by(User.id)
    # the row locks make two administrators who remove each other take turns
    admins = session.scalars(wanted.with_for_update()).all()
    if not set(admins) - {user.id}:
        raise PortalError("LAST_ADMIN")


def upsert_from_directory(session: Session, actor: Actor, person: DirectoryPerson) -> User:
    """The account of a directory person, made at the first sign-in and brought up to date at every later one.

    Name, mail and department follow the directory; the office stays what the administrator gave. A login that was
    given to a new person has a new GUID and gets a new account.
    """
    user = session.scalar(sa.select(User).where(User.directory_guid == person.guid))
    if user is None:
        user = _create_from_directory(session, actor, person)
    department_id = user.department_id
    if person.department:
        department_id = _department_named(session, actor, person.department).id
    fresh = {"login": person.login, "display_name": person.display_name, "mail": person.mail,
             "department_id": department_id}  # fmt: skip
    changed = sorted(name for name, value in fresh.items() if getattr(user, name) != value)
    for name in changed:
        setattr(user, name, fresh[name])
    user.directory_checked_at = utcnow()
    session.flush()
    if changed:
        session.expire(user, ["department"])
        audit.record(session, actor, audit.Action.USER_UPDATE, object_kind="user", object_id=user.id,
                     detail={"changed": changed, "source": "directory"})  # fmt: skip
    return user


def _create_from_directory(session: Session, actor: Actor, person: DirectoryPerson) -> User:
    user = User(
        kind=AccountKind.DIRECTORY.value,
        login=person.login,
        login_key=f"directory:{person.guid}",
        directory_guid=person.guid,
        display_name=person.display_name,
        mail=person.mail,
        role=Role.STAFF.value,
    )
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:  # the same person signed in twice at the same moment
        return session.scalars(sa.select(User).where(User.directory_guid == person.guid)).one()
    audit.record(session, actor, audit.Action.USER_CREATE, object_kind="user", object_id=user.id,
                 detail={"kind": user.kind, "role": user.role})  # fmt: skip
    return user


def _department_named(session: Session, actor: Actor, name: str) -> Department:
    mapped = session.scalar(sa.select(Department).where(Department.directory_name == name))
    if mapped is not None:
        return mapped
    same_name = session.scalar(sa.select(Department).where(Department.name == name))
    if same_name is not None and same_name.directory_name is None:
        same_name.directory_name = name
        audit.record(session, actor, audit.Action.DEPARTMENT_UPDATE, object_kind="department", object_id=same_name.id,
                     detail={"changed": ["directory_name"], "source": "directory"})  # fmt: skip
        return same_name
    label = name if same_name is None else f"{name[:100]} ({uuid.uuid4().hex[:8]})"
    department = Department(name=label, directory_name=name)
    try:
        with session.begin_nested():
            session.add(department)
    except IntegrityError:  # two colleagues of a new department signed in at the same moment
        return session.scalars(sa.select(Department).where(Department.directory_name == name)).one()
    audit.record(session, actor, audit.Action.DEPARTMENT_CREATE, object_kind="department", object_id=department.id,
                 detail={"source": "directory"})  # fmt: skip
    return department
