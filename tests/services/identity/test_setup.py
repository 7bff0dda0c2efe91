"""The set-up token: one hour, once, three different people, only while nobody administers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.db import utcnow
from portal.errors import PortalError
from portal.models import SetupToken, User
from portal.services.identity import setup
from portal.services.identity.actor import anonymous_actor, system_actor
from portal.services.identity.setup import NewAccount
from portal.settings import Settings
from tests.services.identity.conftest import Begin, audit_rows

SOMEBODY = anonymous_actor("", address="192.0.2.1", request_id="T")


def issue(begin: Begin) -> str:
    with begin() as session:
        token = setup.issue_token(session, system_actor("cli", "T"))
    assert token is not None
    return token


def redeem(begin: Begin, token: str, hashed: str, logins: tuple[str, str, str] = ("guan", "shen", "yuan")) -> str:
    people = [NewAccount(login, login, hashed) for login in logins]
    try:
        with begin() as session:
            setup.redeem(session, SOMEBODY, token, admin=people[0], auditor=people[1], staff=people[2])
    except PortalError as error:
        return error.code
    return "ok"


def test_three_accounts_once(begin: Begin, hashed: str) -> None:
    token = issue(begin)
    assert redeem(begin, token, hashed) == "ok"
    with begin() as session:
        made = {user.login: user.role for user in session.scalars(sa.select(User))}
        assert setup.issue_token(session, SOMEBODY) is None
    assert made == {"guan": "admin", "shen": "auditor", "yuan": "staff"}
    assert redeem(begin, token, hashed, ("a", "b", "c")) == "SETUP_TOKEN_INVALID"
    assert audit_rows(begin, "portal.setup") == [("ok", None, "")]


def test_only_the_newest_token_within_its_hour(begin: Begin, hashed: str) -> None:
    old, token = issue(begin), issue(begin)
    assert redeem(begin, old, hashed) == "SETUP_TOKEN_INVALID"
    with begin() as session:
        stored = session.scalars(sa.select(SetupToken)).one()
        assert stored.token_hash != token
        assert stored.expires_at - stored.created_at == timedelta(hours=1)
        stored.expires_at = utcnow() - timedelta(seconds=1)
    assert redeem(begin, token, hashed) == "SETUP_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("logins", "code"),
    [(("a", "a", "b"), "SAME_PERSON"), (("a", "A", "b"), "SAME_PERSON"), (("a", "b", "ａ"), "SAME_PERSON"),
     (("a", "b", ""), "INVALID_VALUE")],
)  # fmt: skip
def test_three_different_people(begin: Begin, hashed: str, logins: tuple[str, str, str], code: str) -> None:
    token = issue(begin)
    assert redeem(begin, token, hashed, logins) == code
    with begin() as session:
        assert session.scalar(sa.select(sa.func.count(User.id))) == 0
    assert redeem(begin, token, hashed) == "ok"  # the token was not spent


def test_two_browsers_at_once_make_one_portal(begin: Begin, hashed: str) -> None:
    token = issue(begin)
    sets = [("a1", "a2", "a3"), ("b1", "b2", "b3"), ("c1", "c2", "c3"), ("d1", "d2", "d3")]
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda logins: redeem(begin, token, hashed, logins), sets))
    assert sorted(codes) == ["SETUP_TOKEN_INVALID"] * 3 + ["ok"]


def test_guessing_tokens_is_limited_by_network(begin: Begin, any_settings: Settings) -> None:
    token = issue(begin)
    few = any_settings.model_copy(update={"lockout_failures_per_source": 4})
    codes = []
    for guess in ("", "x", "y" * 500, "\0", token):
        try:
            setup.admit(begin, few, SOMEBODY, guess)
            codes.append("ok")
        except PortalError as error:
            codes.append(error.code)
    assert codes == ["SETUP_TOKEN_INVALID"] * 4 + ["SIGN_IN_LOCKED"]
    elsewhere = anonymous_actor("", address="203.0.113.1", request_id="T")
    for _ in range(10):
        setup.admit(begin, few, elsewhere, token)
