"""People who left: found by the regular re-check, never because the directory is silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.db import utcnow
from portal.models import Role, User, UserSession
from portal.services.identity import leavers, sessions
from portal.services.identity.directory import Directory
from portal.services.identity.leavers import recheck_directory_people
from portal.services.identity.signing_in import Attempt, sign_in
from portal.settings import Settings
from tests.services.identity.conftest import Begin, audit_rows, with_directory
from tests.support import slapd as support
from tests.support.slapd import Slapd

pytestmark = pytest.mark.slapd


def enter(begin: Begin, settings: Settings, login: str, password: str) -> str:
    attempt = Attempt(login, password, "192.0.2.1", "T")
    return sign_in(begin, settings, Directory(settings), attempt).token


def recheck(begin: Begin, settings: Settings) -> int:
    with begin() as session:
        for user in session.scalars(sa.select(User)):
            user.directory_checked_at = utcnow() - timedelta(minutes=6)
    with begin() as outer:
        factory = type(outer)(outer.get_bind(), expire_on_commit=False)
    with factory as session:
        count = recheck_directory_people(session, settings, Directory(settings))
        session.commit()
    return count


def test_leavers_lose_their_session(begin: Begin, ldap_settings: Settings, slapd: Slapd) -> None:
    slapd.add(support.person("leaver", "要走的人", "pass-leave", "研发部"))
    leaver = enter(begin, ldap_settings, "leaver", "pass-leave")
    stays = enter(begin, ldap_settings, "zhangwei", "pass-zhang")
    assert recheck(begin, ldap_settings) == 0
    slapd.change("leaver", departmentNumber="市场部")
    assert recheck(begin, ldap_settings) == 0
    with begin() as session:
        moved = session.scalars(sa.select(User).where(User.login == "leaver")).one()
        assert moved.department is not None
        assert moved.department.name == "市场部"
    slapd.remove("leaver")
    assert recheck(begin, ldap_settings) == 1
    with begin() as session:
        assert sessions.load(session, ldap_settings, leaver) is None
        assert sessions.load(session, ldap_settings, stays) is not None
    assert audit_rows(begin, "user.disable") == [("ok", None, "housekeeping")]


def test_a_last_administrator_who_left_keeps_nobody_else_in(
    begin: Begin, ldap_settings: Settings, slapd: Slapd
) -> None:
    tokens = {}
    for login in ("oldadmin", "oldstaff"):
        slapd.add(support.person(login, "要走的人", "pass-leave", "研发部"))
        tokens[login] = enter(begin, ldap_settings, login, "pass-leave")
    with begin() as session:
        session.execute(sa.update(User).where(User.login == "oldadmin").values(role=Role.ADMIN.value))
    for login in tokens:
        slapd.remove(login)
    assert recheck(begin, ldap_settings) == 1
    with begin() as session:
        assert [sessions.load(session, ldap_settings, token) for token in tokens.values()] == [None, None]
        left = dict(session.execute(sa.select(User.login, User.disabled_at)).all())
    assert left["oldadmin"] is None, "the portal would have no administrator"
    assert left["oldstaff"] is not None


def test_a_silent_directory_shuts_nobody_out(begin: Begin, ldap_settings: Settings, slapd: Slapd) -> None:
    token = enter(begin, ldap_settings, "zhangwei", "pass-zhang")
    down = with_directory(ldap_settings, slapd, f"ldaps://localhost:{support.free_port()}")
    assert recheck(begin, down) == 0
    with begin() as session:
        assert sessions.load(session, ldap_settings, token) is not None


def test_a_search_that_finds_nobody_is_not_believed(
    begin: Begin, ldap_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leavers, "SUSPICIOUS", 2)
    for login, password in (("zhangwei", "pass-zhang"), ("lina", "pass-li"), ("wangfang", "pass-wang")):
        enter(begin, ldap_settings, login, password)
    broken = ldap_settings.model_copy(update={"ldap_base_dn": f"ou=groups,{support.BASE}"})
    assert recheck(begin, broken) == 0
    with begin() as session:
        assert session.scalars(sa.select(User.disabled_at)).all() == [None] * 3


def test_nobody_is_asked_about_too_often(begin: Begin, ldap_settings: Settings, slapd: Slapd) -> None:
    enter(begin, ldap_settings, "zhangwei", "pass-zhang")
    before = slapd.searches()
    with begin() as session:
        assert recheck_directory_people(session, ldap_settings, Directory(ldap_settings)) == 0
    assert slapd.searches() == before
    with begin() as session:
        session.execute(sa.update(UserSession).values(revoked_at=utcnow()))
    assert recheck(begin, ldap_settings) == 0  # without a session only once a day
    assert slapd.searches() == before


def test_without_a_directory_nothing_happens(begin: Begin, any_settings: Settings) -> None:
    with begin() as session:
        assert recheck_directory_people(session, any_settings) == 0
