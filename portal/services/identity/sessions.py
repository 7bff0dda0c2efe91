"""Signed-in browsers: an opaque random token in the cookie, its SHA-256 and all limits in SQL."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import NotFound
from portal.models.user import Role, User, UserSession
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.settings import Settings

TOUCH_EVERY = timedelta(seconds=60)
KEEP_ENDED = timedelta(days=30)
TOKEN_BYTES = 32


def token_hash(token: str) -> str:
    """SHA-256 of a session token (hex)."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def idle_limit(settings: Settings, role: str) -> timedelta:
    """How long a browser may be silent: shorter for administrators and auditors."""
    return timedelta(
        minutes=settings.session_idle_minutes if role == Role.STAFF else settings.session_idle_minutes_office
    )


def absolute_limit(settings: Settings, role: str) -> timedelta:
    """How long a sign-in lasts at most."""
    return timedelta(
        hours=settings.session_absolute_hours if role == Role.STAFF else settings.session_absolute_hours_office
    )


def create(
    session: Session, settings: Settings, user: User, *, address: str, user_agent: str
) -> tuple[str, UserSession]:
    """Start a session for somebody who just proved who they are.

    Returns:
        The token for the cookie (256 random bits, always new) and the stored row. When the person already has
        ``sessions_per_person`` live ones, the oldest end.
    """
    session.execute(sa.select(User.id).where(User.id == user.id).with_for_update())
    now = utcnow()
    live = live_sessions(session, settings, user)
    for old in live[settings.sessions_per_person - 1 :]:
        old.revoked_at = now
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = UserSession(
        token_hash=token_hash(token),
        user_id=user.id,
        created_at=now,
        last_seen_at=now,
        expires_at=now + absolute_limit(settings, user.role),
        address=address[:64],
        user_agent="".join(ch for ch in user_agent if ch.isprintable())[:512],
    )
    session.add(row)
    session.flush()
    return token, row


def load(session: Session, settings: Settings, token: str | None) -> UserSession | None:
    """The live session of a cookie's token: not revoked, within both limits, of somebody who is not disabled."""
    if not token or len(token) > 128:
        return None
    row = session.scalar(sa.select(UserSession).where(UserSession.token_hash == token_hash(token)))
    return row if row is not None and is_live(settings, row, row.user) else None


def is_live(settings: Settings, row: UserSession, user: User) -> bool:
    """Whether the session still opens the portal now."""
    now = utcnow()
    within = now < row.expires_at and now - row.last_seen_at < idle_limit(settings, user.role)
    return row.revoked_at is None and within and user.is_active


def is_stale(row: UserSession) -> bool:
    """Whether ``last_seen_at`` is old enough to be worth a write."""
    return utcnow() - row.last_seen_at >= TOUCH_EVERY


def touch(session: Session, session_id: uuid.UUID) -> None:
    """Note that the browser was active: at most one write a minute, never for a session that has ended."""
    now = utcnow()
    session.execute(
        sa.update(UserSession)
        .where(UserSession.id == session_id, UserSession.revoked_at.is_(None))
        .where(UserSession.last_seen_at <= now - TOUCH_EVERY)
        .values(last_seen_at=now)
    )


def live_sessions(session: Session, settings: Settings, user: User) -> Sequence[UserSession]:
    """A person's live sessions, the newest first."""
    rows = session.scalars(
        sa.select(UserSession)
        .where(UserSession.user_id == user.id, UserSession.revoked_at.is_(None), UserSession.expires_at > utcnow())
        .order_by(UserSession.created_at.desc(), UserSession.id)
    )
    return [row for row in rows if is_live(settings, row, user)]


def end(session: Session, actor: Actor, row: UserSession) -> None:
    """Sign out; audited."""
    row.revoked_at = row.revoked_at or utcnow()
    audit.record(session, actor, audit.Action.SIGN_OUT, object_kind="session", object_id=row.id)


def revoke(session: Session, actor: Actor, user: User, session_id: uuid.UUID) -> None:
    """End one of a person's own sessions; audited.

    Raises:
        NotFound: there is none with this id, or it is somebody else's.
    """
    row = session.get(UserSession, session_id)
    if row is None or row.user_id != user.id:
        raise NotFound
    if row.revoked_at is None:
        row.revoked_at = utcnow()
        audit.record(session, actor, audit.Action.SESSION_REVOKE, object_kind="session", object_id=row.id)


def revoke_all(session: Session, actor: Actor, user: User, *, reason: str, keep: uuid.UUID | None = None) -> int:
    """End all sessions of a person (but ``keep``); returns how many ended. One audit row if any did.

    Args:
        reason: why, for the audit row: ``disabled``, ``left_directory``, ``role``, ``password``, ``department`` or
            ``own_wish``.
    """
    rows = session.scalars(
        sa.select(UserSession).where(UserSession.user_id == user.id, UserSession.revoked_at.is_(None))
    ).all()
    ended = [row for row in rows if row.id != keep]
    for row in ended:
        row.revoked_at = utcnow()
    if ended:
        audit.record(session, actor, audit.Action.SESSION_REVOKE, object_kind="user", object_id=user.id,
                     detail={"count": len(ended), "because": reason})  # fmt: skip
    session.flush()
    return len(ended)


def prune(session: Session) -> int:
    """Delete sessions that ended long ago; returns how many. For housekeeping."""
    before = utcnow() - KEEP_ENDED
    gone = session.execute(
        sa.delete(UserSession).where(sa.or_(UserSession.expires_at < before, UserSession.revoked_at < before))
    )
    return int(getattr(gone, "rowcount", 0))
