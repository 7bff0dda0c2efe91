"""Every route, every kind of person: declared rights are the checked-in ones, and real requests obey them."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.http.headers import HEADERS
from portal.models import User
from tests.support.world import World
from tests.web import route_matrix

ClientOf = Callable[[User], FlaskClient]
NAMES = {"staff": "lin", "admin": "admin", "auditor": "auditor"}
SAYS_403_ITSELF = {"identity.setup", "identity.setup_submit", "identity.change_password"}
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def ask(app: Flask, client: FlaskClient, method: str, rule: Rule, **more: object) -> TestResponse:
    """A request to the route with made-up values in its variable parts."""
    values: dict[str, object] = {}
    for name in rule.arguments:
        converter = type(rule._converters[name]).__name__
        values[name] = {"UUIDConverter": uuid.uuid4(), "IntegerConverter": 999_999}.get(converter, "txt")
    with app.test_request_context():
        path = app.url_map.bind("localhost").build(rule.endpoint, values, method=method)
    return client.open(path, method=method, **more)  # type: ignore[arg-type]


def headers_missing(response: TestResponse) -> list[str]:
    wanted = [name for name, value in HEADERS.items() if response.headers.get(name) != value]
    policy = response.headers.get("Content-Security-Policy", "")
    if "default-src" not in policy or "unsafe" in policy or "*" in policy:
        wanted.append("Content-Security-Policy")
    if not response.headers.get("X-Request-Id") or "Cache-Control" not in response.headers:
        wanted.append("X-Request-Id or Cache-Control")
    return wanted


def test_the_matrix_is_the_checked_in_one(app: Flask) -> None:
    now, known = route_matrix.matrix(app), route_matrix.read()
    changed = sorted(name for name in now.keys() | known.keys() if now.get(name) != known.get(name))
    assert changed == [], "look at each, then: python -m tests.web.route_matrix --write"


def test_no_office_reaches_into_another(app: Flask) -> None:
    """The rule behind the table: recordings belong to staff, administration to admins, the log to auditors."""
    for name, entry in route_matrix.matrix(app).items():
        permission, allowed = str(entry["permission"]), entry["allowed"]
        if permission == "public":
            assert allowed == ["anonymous", "staff", "admin", "auditor"], name
        elif permission == "signed_in":
            assert allowed == ["staff", "admin", "auditor"], name
        else:
            office = (
                "admin"
                if permission.startswith("admin_")
                else "auditor"
                if permission.startswith("audit_")
                else "staff"
            )
            assert allowed == [office], name


@pytest.mark.parametrize("person", route_matrix.PEOPLE)
def test_requests_obey_the_matrix(app: Flask, world: World, client_of: ClientOf, person: str) -> None:
    wrong = []
    matrix = route_matrix.matrix(app)
    for method, rule in route_matrix.routes(app):
        allowed = person in str(matrix[f"{rule.rule} {method}"]["allowed"])
        # a new session each time: some of these requests end sessions
        client = app.test_client() if person == "anonymous" else client_of(world.person(NAMES[person]))
        response = ask(app, client, method, rule)
        status, place = response.status_code, response.headers.get("Location", "")
        if allowed:
            fine = status not in (401, 403) or (status == 403 and rule.endpoint in SAYS_403_ITSELF)
            fine = fine or rule.endpoint == "identity.sign_in_submit"
        elif person == "anonymous":
            fine = status == 401 or (status == 302 and place.startswith("/sign-in"))
        else:
            fine = status == 403
        if not fine or (status >= 500 and status != 503):
            wrong.append(f"{method} {rule.rule}: {status} {place}")
        if missing := headers_missing(response):
            wrong.append(f"{method} {rule.rule}: no {missing}")
        response.close()
    assert wrong == []


def test_no_unsafe_request_without_a_token(app: Flask, world: World, client_of: ClientOf) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    wrong = []
    clients = [app.test_client(), *(client_of(world.person(name)) for name in NAMES.values())]
    for method, rule in route_matrix.routes(app):
        if method in UNSAFE:
            for client in clients:
                response = ask(app, client, method, rule, headers={"Accept": "application/json"})
                if response.status_code != 400 or response.get_json()["error"]["code"] != "CSRF":
                    wrong.append(f"{method} {rule.rule}: {response.status_code}")
    assert wrong == []


@pytest.mark.parametrize(
    "path", ["/no-such-page", "/admin/no-such-page", "/static/no-such-file", "/transcripts/not-a-uuid"]
)
def test_error_pages_bear_the_headers(app: Flask, client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (302, 404)
    assert headers_missing(response) == []
    assert "Traceback" not in response.text
