"""The pages before and around signing in, as a browser meets them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from portal.app import create_app
from portal.db import db, upgrade, utcnow
from portal.http.redirects import local_path
from portal.models import AuditEvent, LoginCounter, Role, User, UserSession
from portal.services.identity import accounts, passwords, setup
from portal.services.identity.actor import system_actor
from portal.settings import Settings
from tests.support import slapd as support
from tests.support.world import World

ClientOf = Callable[[User], FlaskClient]
PASSWORD = "a long and honest password"
CLI = system_actor("cli", "T")


@pytest.fixture(autouse=True)
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(passwords, "_decoy", None)


@pytest.fixture
def with_password(app: Flask, world: World) -> World:
    """Everybody of the world can sign in with ``PASSWORD``."""
    with app.app_context():
        hashed = passwords.hash_password(PASSWORD)
        db.session.execute(sa.update(User).values(password_hash=hashed))
        db.session.commit()
    return world


def enter(client: FlaskClient, login: str = "lin", password: str = PASSWORD, **more: str) -> tuple[int, str]:
    response = client.post("/sign-in", data={"login": login, "password": password} | more)
    return response.status_code, response.headers.get("Location", "")


def in_database(app: Flask, act: Callable[[], object]) -> None:
    with app.app_context():
        act()
        db.session.commit()


@pytest.mark.parametrize(("login", "home"), [("lin", "/"), ("admin", "/admin/"), ("auditor", "/audit")])
def test_everybody_lands_in_their_office(with_password: World, client: FlaskClient, login: str, home: str) -> None:
    assert enter(client, login) == (302, home)
    assert client.get("/account").status_code == 200
    assert client.get("/sign-in").headers["Location"] == home


def test_cookie(with_password: World, client: FlaskClient) -> None:
    response = client.post("/sign-in", data={"login": "lin", "password": PASSWORD})
    cookie = next(line for line in response.headers.getlist("Set-Cookie") if line.startswith("portal-session="))
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Expires" not in cookie
    assert len(cookie.split(";")[0].partition("=")[2]) >= 43


def test_secure_cookie_behind_tls(settings: Settings) -> None:
    behind = settings.model_copy(update={"trusted_proxies": 1})
    upgrade(behind)
    app = create_app(behind)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    with app.app_context():
        accounts.create_local(db.session(), CLI, login="lin", display_name="林", role=Role.STAFF,
                              password_hash=passwords.hash_password(PASSWORD))  # fmt: skip
        db.session.commit()
    response = app.test_client().post("/sign-in", data={"login": "lin", "password": PASSWORD})
    cookie = next(line for line in response.headers.getlist("Set-Cookie") if line.startswith("__Host-portal-session="))
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert response.headers["Strict-Transport-Security"]
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_no_fixation(app: Flask, with_password: World, client: FlaskClient) -> None:
    planted = "planted-by-somebody-else-0123456789abcdefghijk"
    client.set_cookie("portal-session", planted)
    enter(client)
    first = client.get_cookie("portal-session")
    assert first is not None
    assert first.value != planted
    enter(client)
    second = client.get_cookie("portal-session")
    assert second is not None
    assert second.value != first.value
    thief = app.test_client()
    for token in (planted, first.value):
        thief.set_cookie("portal-session", token)
        assert thief.get("/account").status_code == 302


@pytest.mark.parametrize("ending", ["sign_out", "disable", "role", "password", "idle", "absolute"])
def test_a_stolen_cookie_dies_at_once(app: Flask, with_password: World, client: FlaskClient, ending: str) -> None:
    enter(client)
    stolen = client.get_cookie("portal-session")
    assert stolen is not None
    thief = app.test_client()
    thief.set_cookie("portal-session", stolen.value)
    assert thief.get("/account").status_code == 200

    def lin() -> User:
        return db.session.scalars(sa.select(User).where(User.login == "lin")).one()

    if ending == "sign_out":
        assert client.post("/sign-out").status_code == 302
    elif ending == "idle":
        in_database(app, lambda: db.session.execute(
            sa.update(UserSession).values(last_seen_at=utcnow() - timedelta(minutes=30))))  # fmt: skip
    elif ending == "absolute":
        in_database(app, lambda: db.session.execute(sa.update(UserSession).values(expires_at=utcnow())))
    else:
        act: dict[str, Callable[[], object]] = {
            "disable": lambda: accounts.disable(db.session(), CLI, lin()),
            "role": lambda: accounts.set_role(db.session(), CLI, lin(), Role.AUDITOR),
            "password": lambda: accounts.set_password(db.session(), CLI, lin(), "x", must_change=False),
        }
        in_database(app, act[ending])
    assert thief.get("/account").status_code == 302
    assert thief.get("/account", headers={"Accept": "application/json"}).status_code == 401


def test_unknown_name_and_wrong_password_look_the_same(with_password: World, client: FlaskClient) -> None:
    def page(login: str) -> tuple[int, str, dict[str, str]]:
        response = client.post("/sign-in", data={"login": login, "password": "wrong password"})
        # what changes from one answer to the next: request number, nonce, token, and the typed name itself
        changing = r'[0-9A-Z]{4}-[0-9A-Z]{4}|nonce-[^\']*|(?<=content=")[^"]{16,}(?=")|(?<=csrf_token" value=")[^"]*'
        seen = {name: re.sub(changing, "#", value) for name, value in response.headers.items()
                if name not in ("Set-Cookie", "Content-Length")}  # fmt: skip
        return response.status_code, re.sub(changing, "#", response.text).replace(f'value="{login}"', "#"), seen

    assert page("lin") == page("xyz")
    assert page("lin")[0] == 401


def test_locked_after_five(app: Flask, with_password: World, client: FlaskClient) -> None:
    for _ in range(5):
        assert enter(client, password="wrong password")[0] == 401
    response = client.post("/sign-in", data={"login": "LIN ", "password": PASSWORD})
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "900"
    assert "15 分钟" in response.text
    assert enter(app.test_client(), "wang") == (302, "/")


def test_pages_say_what_is_wrong(with_password: World, client: FlaskClient) -> None:
    response = client.post("/sign-in", data={"login": "<b>lin", "password": "wrong-password-shown-nowhere"})
    assert "账号或密码不正确" in response.text
    assert "&lt;b&gt;lin" in response.text
    assert "wrong-password-shown-nowhere" not in response.text
    assert "style=" not in response.text
    assert re.search(r"\son\w+=", response.text) is None


@pytest.mark.slapd
def test_directory_down(settings: Settings) -> None:
    gone = settings.model_copy(
        update={"ldap_urls": (f"ldaps://localhost:{support.free_port()}",), "ldap_base_dn": support.BASE}
    )
    upgrade(gone)
    app = create_app(gone)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    client = app.test_client()
    for _ in range(7):
        response = client.post("/sign-in", data={"login": "zhangwei", "password": "pass-zhang"})
        assert response.status_code == 503
        assert "目录服务暂时不可用" in response.text
    with app.app_context():
        assert {counter.failures for counter in db.session.scalars(sa.select(LoginCounter))} <= {0}
        db.session.remove()
        db.engine.dispose()


def test_next_stays_here(with_password: World, client: FlaskClient) -> None:
    elsewhere = (
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "evil",
        "/\t/evil.example", "/\n/evil", "http:/evil", "", "/" + "x" * 3000, "///evil", " //evil", "/%0a/..//evil\x01",
    )  # fmt: skip
    for target in elsewhere:
        assert local_path(target) is None
        assert enter(client, next=target) == (302, "/")


def test_next_comes_back(with_password: World, client: FlaskClient) -> None:
    asked = client.get("/history?q=%E4%BC%9A")
    assert asked.status_code == 302
    assert asked.headers["Location"].startswith("/sign-in?next=/history")
    assert enter(client, next="/history?q=x&state=done") == (302, "/history?q=x&state=done")


def test_a_given_password_must_be_changed_first(app: Flask, with_password: World, client: FlaskClient) -> None:
    in_database(app, lambda: db.session.execute(
        sa.update(User).where(User.login == "lin").values(must_change_password=True)))  # fmt: skip
    assert enter(client) == (302, "/account")
    for path in ("/", "/history", "/hotwords"):
        assert client.get(path).headers.get("Location") == "/account"
    assert client.post("/work/options").status_code == 403
    wrong = {"current": "nonsense", "new": "another honest password", "again": "another honest password"}
    for change in ({}, {"current": PASSWORD, "new": "short", "again": "short"}, {"current": PASSWORD, "again": "x"}):
        assert client.post("/account/password", data=wrong | change).status_code == 422
    assert client.post("/account/password", data=wrong | {"current": PASSWORD}).status_code == 302
    assert client.get("/history").status_code == 200
    assert enter(app.test_client())[0] == 401
    assert enter(app.test_client(), password="another honest password") == (302, "/")


def test_own_browsers(app: Flask, with_password: World, client: FlaskClient) -> None:
    other, stranger = app.test_client(), app.test_client()
    enter(client), enter(other), enter(stranger, "wang")
    page = client.get("/account").text
    assert page.count('/revoke"') == 1
    path = re.findall(r'action="(/account/sessions/[0-9a-f-]{36}/revoke)"', page)[0]
    assert stranger.post(path).status_code == 404
    assert client.post(path).status_code == 302
    assert other.get("/account").status_code == 302
    enter(other)
    client.post("/account/sessions/revoke-others")
    assert (client.get("/account").status_code, other.get("/account").status_code) == (200, 302)
    assert stranger.get("/account").status_code == 200


def test_language_and_look(app: Flask, world: World, client: FlaskClient, client_of: ClientOf) -> None:
    assert 'lang="zh-CN"' in client.get("/sign-in").text
    assert client.post("/language", data={"language": "en", "next": "//evil"}).headers["Location"] == "/"
    assert '<html lang="en"' in client.get("/sign-in").text
    assert client.post("/language", data={"language": "xx"}).status_code == 422
    lin = client_of(world.lin)
    lin.post("/language", data={"language": "en"})
    assert lin.post("/theme", data={"theme": "dark"}, headers={"Accept": "application/json"}).status_code == 204
    assert lin.post("/theme", data={"theme": "pink"}).status_code == 422
    with app.app_context():
        person = db.session.get_one(User, world.lin.id)
        assert (person.language, person.theme) == ("en", "dark")


def test_activity_counts_but_timers_do_not(
    app: Flask, with_password: World, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(client)

    def seen() -> float:
        with app.app_context():
            row = db.session.scalars(sa.select(UserSession)).one()
            return (utcnow() - row.last_seen_at).total_seconds()

    def age() -> None:
        in_database(app, lambda: db.session.execute(
            sa.update(UserSession).values(last_seen_at=utcnow() - timedelta(minutes=5))))  # fmt: skip

    age()
    client.get("/account")  # a page that only reads
    assert seen() < 60
    age()
    client.post("/theme", data={"theme": "dark"})
    assert seen() < 60
    age()
    monkeypatch.setattr(app.view_functions["identity.account"], "_portal_polls", True)
    client.get("/account")
    assert seen() > 200


def test_administration_only_from_listed_networks(
    settings: Settings, client_of: ClientOf, app: Flask, world: World
) -> None:
    app.config["PORTAL_SETTINGS"] = settings.model_copy(update={"admin_networks": ("10.1.0.0/16", "2001:db8::/32")})
    client = client_of(world.admin)
    addresses = {
        "10.1.2.3": 200,
        "::ffff:10.1.2.3": 200,
        "2001:db8::5": 200,
        "10.2.0.1": 403,
        "127.0.0.1": 403,
        "x": 403,
    }
    for address, status in addresses.items():
        got = client.get("/admin/people", environ_base={"REMOTE_ADDR": address}).status_code
        assert got == status, address
    assert client.get("/account", environ_base={"REMOTE_ADDR": "10.2.0.1"}).status_code == 200
    for forged in ("10.1.2.3", "10.1.2.3, 10.1.2.4", ", ".join(["10.1.2.3"] * 10)):
        headers = {"X-Forwarded-For": forged, "X-Real-IP": "10.1.2.3", "Forwarded": "for=10.1.2.3"}
        got = client.get("/admin/people", headers=headers, environ_base={"REMOTE_ADDR": "10.2.0.1"}).status_code
        assert got == 403
    with app.app_context():
        seen = set(db.session.scalars(sa.select(AuditEvent.address).where(AuditEvent.action == "access.refused")))
    assert "10.1.2.3" not in seen


def test_setup_page(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        token = setup.issue_token(db.session(), CLI)
        db.session.commit()
    assert client.get("/setup").status_code == 403
    assert client.get("/setup?token=wrong").status_code == 403
    page = client.get(f"/setup?token={token}")
    assert page.status_code == 200
    assert page.headers["Referrer-Policy"] == "same-origin"
    form = {"token": str(token)}
    for name in ("admin", "auditor", "staff"):
        form |= {f"{name}_login": f"the-{name}", f"{name}_name": name, f"{name}_password": f"{PASSWORD} {name}",
                 f"{name}_again": f"{PASSWORD} {name}"}  # fmt: skip
    for change, said in (
        ({"auditor_login": "The-Admin"}, "两个不同的账号"),
        ({"staff_again": "something else"}, "两次输入的不一样"),
        ({"admin_password": "short", "admin_again": "short"}, "密码太短"),
        ({"admin_login": ""}, "请填写"),
    ):
        refused = client.post("/setup", data=form | change)
        assert refused.status_code == 422
        assert said in refused.text
        assert PASSWORD not in refused.text
    assert client.post("/setup", data=form).headers["Location"] == "/sign-in"
    assert client.post("/setup", data=form).status_code == 403
    assert client.get(f"/setup?token={token}").status_code == 403
    assert enter(client, "the-admin", f"{PASSWORD} admin") == (302, "/admin/")


def test_with_the_token_of_the_page(app: Flask, with_password: World, client: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in").text)
    assert found is not None
    assert enter(client, csrf_token=found[1]) == (302, "/")
    assert client.post("/theme", data={"theme": "dark", "csrf_token": found[1]}).status_code == 400  # renewed
