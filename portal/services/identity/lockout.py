"""Failed sign-ins: counted in SQL before the password is checked, so that parallel guesses can't slip through.

An attempt is reserved first, as if it had failed, in a short transaction of its own. When it succeeds the counter is
cleared; when the directory could not be asked the reservation is given back. Counters exist for the typed name, for
the directory's GUID (all spellings of a name lead to one) and, with a wider limit, for the source network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models.user import LoginCounter, User
from portal.services import audit
from portal.services.identity.actor import Actor
from portal.services.identity.names import guid_key, name_key
from portal.settings import Settings

LONGEST_LOCK = timedelta(hours=24)
FORGET_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Reservation:
    """One counted attempt: which counters it raised and which of them it locked."""

    keys: tuple[str, ...]
    locked: frozenset[str]


@dataclass(frozen=True, slots=True)
class Refused:
    """Too many failures already; ``minutes`` until the next attempt, rounded up."""

    minutes: int


def reserve(session: Session, settings: Settings, keys: Iterable[str]) -> Reservation | Refused:
    """Count one attempt against every key, or refuse it. The caller commits before it checks the password.

    Args:
        keys: from ``names.name_key``, ``guid_key``, ``source_key``.
    """
    now = utcnow()
    wanted = sorted(set(keys))  # one order for everybody: no deadlock between two attempts
    counters = [_locked_row(session, key, now) for key in wanted]
    until = [counter.locked_until for counter in counters if counter.locked_until and counter.locked_until > now]
    if until:
        return Refused(max(1, math.ceil((max(until) - now).total_seconds() / 60)))
    locked = frozenset(counter.key for counter in counters if _raise(counter, settings, now))
    session.flush()
    return Reservation(tuple(wanted), locked)


def _locked_row(session: Session, key: str, now: datetime) -> LoginCounter:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {"key": key, "failures": 0, "window_started_at": now, "lockouts": 0}
    session.execute(insert(LoginCounter).values(values).on_conflict_do_nothing(index_elements=["key"]))
    wanted = sa.select(LoginCounter).where(LoginCounter.key == key).with_for_update()
    return session.scalars(wanted.execution_options(populate_existing=True)).one()


def _raise(counter: LoginCounter, settings: Settings, now: datetime) -> bool:
    if counter.locked_until is not None:  # a lock that is over
        if now - counter.locked_until > FORGET_AFTER:
            counter.lockouts = 0
        counter.locked_until, counter.failures, counter.window_started_at = None, 0, now
    if now - counter.window_started_at > timedelta(minutes=settings.lockout_window_minutes):
        counter.failures, counter.window_started_at = 0, now
    counter.failures += 1
    source = counter.key.startswith("net:")
    if counter.failures < (settings.lockout_failures_per_source if source else settings.lockout_failures):
        return False
    minutes = settings.lockout_minutes * 2 ** min(counter.lockouts, 16)
    counter.locked_until = now + min(timedelta(minutes=minutes), LONGEST_LOCK)
    counter.lockouts += 1
    return True


def give_back(session: Session, reservation: Reservation) -> None:
    """The attempt was no attempt after all (the directory could not be asked)."""
    for key in reservation.keys:
        counter = _locked_row(session, key, utcnow())
        counter.failures = max(0, counter.failures - 1)
        if key in reservation.locked:
            counter.locked_until, counter.lockouts = None, max(0, counter.lockouts - 1)
    session.flush()


def succeeded(session: Session, reservation: Reservation) -> None:
    """The right password: the person's counters start anew.

    The source network only gets this one attempt back, or a guesser with an account of his own could clear it.
    """
    own = [key for key in reservation.keys if not key.startswith("net:")]
    session.execute(sa.delete(LoginCounter).where(LoginCounter.key.in_(own)))
    sources = tuple(key for key in reservation.keys if key.startswith("net:"))
    give_back(session, Reservation(sources, reservation.locked))


def unlock(session: Session, actor: Actor, user: User) -> None:
    """An administrator lets a person try again at once; audited."""
    session.execute(sa.delete(LoginCounter).where(LoginCounter.key.in_(_keys_of(user))))
    audit.record(session, actor, audit.Action.USER_UNLOCK, object_kind="user", object_id=user.id)


def _keys_of(user: User) -> list[str]:
    return [name_key(user.login)] + ([guid_key(user.directory_guid)] if user.directory_guid else [])


def locked_until(session: Session, user: User) -> datetime | None:
    """Until when this person can't sign in; None when they can. For the administrator's list of people."""
    wanted = sa.select(sa.func.max(LoginCounter.locked_until)).where(LoginCounter.key.in_(_keys_of(user)))
    latest = session.scalar(wanted)
    return latest if latest is not None and latest > utcnow() else None


def prune(session: Session, settings: Settings) -> int:
    """Forget counters that no longer matter; returns how many. For housekeeping."""
    now = utcnow()
    window = now - timedelta(minutes=settings.lockout_window_minutes)
    gone = session.execute(
        sa.delete(LoginCounter)
        .where(LoginCounter.window_started_at < window)
        .where(sa.or_(LoginCounter.locked_until.is_(None), LoginCounter.locked_until < now - FORGET_AFTER))
    )
    return int(getattr(gone, "rowcount", 0))
