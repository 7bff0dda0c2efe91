"""What people change about themselves: password, language, look."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from portal.errors import Forbidden, PortalError
from portal.models.user import AccountKind, User
from portal.services import audit
from portal.services.identity import accounts, lockout, passwords
from portal.services.identity.actor import Actor
from portal.services.identity.names import name_key
from portal.services.identity.signing_in import Begin
from portal.settings import Settings

THEMES = ("auto", "light", "dark")
LANGUAGES = ("zh_CN", "en")


def change_password(
    begin: Begin,
    settings: Settings,
    actor: Actor,
    *,
    current: str,
    new: str,
    keep: uuid.UUID | None = None,
) -> None:
    """Change one's own local password; all other sessions end. Wrong guesses count like failed sign-ins.

    Args:
        begin: opens short transactions; the caller holds none.
        keep: the session in which this happens.

    Raises:
        PortalError: ``PASSWORD_WRONG``, ``SIGN_IN_LOCKED``, ``PASSWORD_TOO_SHORT``, ``PASSWORD_TOO_COMMON``, or
            ``FORBIDDEN`` for directory people.
    """
    with begin() as session:
        user = _person(session, actor)
        stored, login = user.password_hash, user.login
        if user.kind != AccountKind.LOCAL:
            raise Forbidden
        outcome = lockout.reserve(session, settings, (name_key(login),))
    if isinstance(outcome, lockout.Refused):
        raise PortalError("SIGN_IN_LOCKED", minutes=outcome.minutes)
    if not passwords.matches(stored, current):
        with begin() as session:
            audit.record(session, actor, audit.Action.USER_PASSWORD, object_kind="user", object_id=actor.user_id,
                         result="failed", reason="PASSWORD_WRONG")  # fmt: skip
        raise PortalError("PASSWORD_WRONG")
    with begin() as session:
        lockout.succeeded(session, outcome)
    hashed = passwords.new_hash(settings, new, login=login)
    with begin() as session:
        accounts.set_password(session, actor, _person(session, actor), hashed, must_change=False, keep=keep)


def _person(session: Session, actor: Actor) -> User:
    user = session.get(User, actor.user_id)
    if user is None:
        raise Forbidden
    return user


def set_language(session: Session, actor: Actor, user: User, language: str) -> None:
    """The language of one's pages.

    Raises:
        PortalError: ``INVALID_VALUE``.
    """
    _set(session, actor, user, "language", language, LANGUAGES)


def set_theme(session: Session, actor: Actor, user: User, theme: str) -> None:
    """Light, dark, or what the system says.

    Raises:
        PortalError: ``INVALID_VALUE``.
    """
    _set(session, actor, user, "theme", theme, THEMES)


def _set(session: Session, actor: Actor, user: User, name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise PortalError("INVALID_VALUE", field=name)
    if getattr(user, name) != value:
        setattr(user, name, value)
        audit.record(session, actor, audit.Action.USER_UPDATE, object_kind="user", object_id=user.id,
                     detail={"changed": [name]})  # fmt: skip
