"""Sessions: limits, number, revocation; on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import Forbidden, NotFound, PortalError
from portal.models import AuditEvent, Role, User, UserSession
from portal.services.identity import accounts, sessions
from portal.settings import Settings
from tests.support.world import World, actor, make_user


def start(session: Session, settings: Settings, user: User) -> tuple[str, UserSession]:
    return sessions.create(session, settings, user, address="192.0.2.1", user_agent="Firefox")


def alive(session: Session, settings: Settings, token: str) -> bool:
    return sessions.load(session, settings, token) is not None


@pytest.mark.parametrize(("who", "idle", "absolute"), [("lin", 30, 12), ("admin", 15, 8), ("auditor", 15, 8)])
def test_limits_by_office(
    session: Session, people: World, any_settings: Settings, who: str, idle: int, absolute: int
) -> None:
    token, row = start(session, any_settings, people.person(who))
    assert row.expires_at - row.created_at == timedelta(hours=absolute)
    for seconds, expected in ((-2, True), (1, False)):
        row.last_seen_at = utcnow() - timedelta(minutes=idle, seconds=seconds)
        assert alive(session, any_settings, token) is expected
    row.last_seen_at = utcnow()
    for seconds, expected in ((2, True), (-1, False)):
        row.expires_at = utcnow() + timedelta(seconds=seconds)
        assert alive(session, any_settings, token) is expected


def test_the_fourth_browser_ends_the_oldest(session: Session, people: World, any_settings: Settings) -> None:
    tokens = []
    for minutes in (30, 20, 10):
        token, row = start(session, any_settings, people.lin)
        row.created_at -= timedelta(minutes=minutes)
        session.flush()
        tokens.append(token)
    tokens.append(start(session, any_settings, people.lin)[0])
    assert [alive(session, any_settings, token) for token in tokens] == [False, True, True, True]
    assert alive(session, any_settings, start(session, any_settings, people.wang)[0])


def test_only_the_hash_is_stored(session: Session, people: World, any_settings: Settings) -> None:
    token, row = start(session, any_settings, people.lin)
    assert row.token_hash == sessions.token_hash(token)
    assert not alive(session, any_settings, row.token_hash)
    for wrong in ("", None, "x" * 200, token[:-1], token + "a", "\ud800"):
        assert sessions.load(session, any_settings, wrong) is None


def test_activity_is_noted_once_a_minute(session: Session, people: World, any_settings: Settings) -> None:
    _token, row = start(session, any_settings, people.lin)
    for seconds, moved in ((30, False), (61, True)):
        row.last_seen_at = before = utcnow() - timedelta(seconds=seconds)
        session.flush()
        sessions.touch(session, row.id)
        session.refresh(row)
        assert (row.last_seen_at > before) is moved
    row.revoked_at = utcnow()
    row.last_seen_at = before = utcnow() - timedelta(hours=1)
    session.flush()
    sessions.touch(session, row.id)
    session.refresh(row)
    assert row.last_seen_at == before


def test_what_ends_all_sessions(session: Session, people: World, any_settings: Settings, hashed: str) -> None:
    by = actor(people.admin)
    acts: tuple[Callable[[], None], ...] = (
        lambda: accounts.disable(session, by, people.lin),
        lambda: accounts.set_role(session, by, people.wang, Role.AUDITOR),
        lambda: accounts.set_password(session, by, people.zhao, hashed, must_change=True),
    )
    for act in acts:
        owners = (people.lin, people.wang, people.zhao)
        tokens = {owner.login: start(session, any_settings, owner)[0] for owner in owners if owner.is_active}
        before = {login for login, token in tokens.items() if alive(session, any_settings, token)}
        act()
        after = {login for login, token in tokens.items() if alive(session, any_settings, token)}
        assert len(before - after) == 1


def test_own_password_change_keeps_only_this_browser(
    session: Session, people: World, any_settings: Settings, hashed: str
) -> None:
    (here, row), (there, _) = start(session, any_settings, people.lin), start(session, any_settings, people.lin)
    accounts.set_password(session, actor(people.lin), people.lin, hashed, must_change=False, keep=row.id)
    assert alive(session, any_settings, here)
    assert not alive(session, any_settings, there)


def test_nobody_ends_a_strangers_session(session: Session, people: World, any_settings: Settings) -> None:
    _, row = start(session, any_settings, people.wang)
    for session_id in (row.id, uuid.uuid4()):
        with pytest.raises(NotFound):
            sessions.revoke(session, actor(people.lin), people.lin, session_id)
    assert row.revoked_at is None


def test_sign_out_and_revoke_are_audited(session: Session, people: World, any_settings: Settings) -> None:
    (token, row), (_, other) = start(session, any_settings, people.lin), start(session, any_settings, people.lin)
    sessions.end(session, actor(people.lin), row)
    sessions.revoke(session, actor(people.lin), people.lin, other.id)
    assert not alive(session, any_settings, token)
    actions = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.seq)).all()
    assert actions == ["session.sign_out", "session.revoke"]


def test_housekeeping_deletes_old_ones(session: Session, people: World, any_settings: Settings) -> None:
    _, old = start(session, any_settings, people.lin)
    old.expires_at = utcnow() - timedelta(days=31)
    start(session, any_settings, people.lin)
    session.flush()
    assert sessions.prune(session) == 1


def test_the_last_administrator_stays(session: Session, people: World) -> None:
    other = make_user(session, "admin2", "第二位", Role.ADMIN)
    accounts.disable(session, actor(people.admin), other)
    with pytest.raises(PortalError, match="LAST_ADMIN"):
        accounts.disable(session, actor(other), people.admin)
    with pytest.raises(PortalError, match="LAST_ADMIN"):
        accounts.set_role(session, actor(other), people.admin, Role.STAFF)
    accounts.enable(session, actor(people.admin), other)
    accounts.disable(session, actor(other), people.admin)
    assert people.admin.disabled_at is not None


def test_nobody_changes_their_own_office(session: Session, people: World) -> None:
    make_user(session, "admin2", "第二位", Role.ADMIN)
    for role in (Role.AUDITOR, Role.STAFF):
        with pytest.raises(Forbidden):
            accounts.set_role(session, actor(people.admin), people.admin, role)


@pytest.mark.parametrize("login", ["", "  ", "a b", "x" * 300, "a\nb", "a\u202eb"])
def test_odd_logins_are_refused(session: Session, people: World, hashed: str, login: str) -> None:
    with pytest.raises(PortalError) as caught:
        accounts.create_local(session, actor(people.admin), login=login, display_name="x", role=Role.STAFF,
                              password_hash=hashed)  # fmt: skip
    assert caught.value.code == "INVALID_VALUE"


@pytest.mark.parametrize("login", ["lin", "LIN", " ｌｉｎ "])
def test_a_taken_login_stays_taken(session: Session, people: World, hashed: str, login: str) -> None:
    with pytest.raises(PortalError) as caught:
        accounts.create_local(session, actor(people.admin), login=login, display_name="x", role=Role.STAFF,
                              password_hash=hashed)  # fmt: skip
    assert caught.value.code == "LOGIN_TAKEN"
