"""A real Chromium on the real application, with people and recordings in its database."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy.orm import Session
from werkzeug.serving import WSGIRequestHandler, make_server

from portal.app import create_app
from portal.db import db, upgrade, utcnow
from portal.http.signed_in import cookie_name, token_hash
from portal.models import Department, Role, User, UserSession
from portal.settings import load_settings
from tests.support.world import World, make_user, make_world

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / ".cache" / "screenshots"  # git ignores it; test-results is emptied by the browser plugin
AXE = next((HERE / "vendor").glob("axe-core-*/axe.min.js"))
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs Chromium."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The distribution's Chromium, kept from asking the internet for anything."""
    return {"executable_path": CHROMIUM, "args": FLAGS}


class QuietHandler(WSGIRequestHandler):
    """Two dozen lines of log a page would bury what a failing test says."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""


@dataclass
class Site:
    """The running application."""

    app: Flask
    address: str
    world: World
    tokens: dict[str, str] = field(default_factory=dict)

    def seed(self, fill: Callable[[Session], Any]) -> Any:
        """Run ``fill`` with a session and commit; returns what it returned."""
        with self.app.app_context():
            found = fill(db.session())
            db.session.commit()
            return found

    def newcomer(self, login: str, name: str) -> User:
        """An everyday person who has done nothing yet, alone in a new department."""
        with self.app.app_context():
            department = Department(name=f"{name}的部门")
            db.session.add(department)
            db.session.flush()
            person = make_user(db.session(), login, name, Role.STAFF, department)
            db.session.commit()
            db.session.refresh(person)
            db.session.expunge_all()
        return person

    def token_of(self, user: User) -> str:
        """A live session of this person."""
        if user.login not in self.tokens:
            token = f"browser-{user.login}"
            row = UserSession(
                token_hash=token_hash(token),
                user_id=user.id,
                expires_at=utcnow() + timedelta(hours=8),
                address="127.0.0.1",
            )
            self.seed(lambda session: session.add(row))
            self.tokens[user.login] = token
        return self.tokens[user.login]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One application for all pages; tests that change it use people of their own."""
    settings = load_settings(
        instance=tmp_path_factory.mktemp("site") / "instance",
        upload_chunk_bytes=64 * 1024,
        upload_max_bytes=2 * 1024**2,
    )
    upgrade(settings)
    app = create_app(settings)
    with app.app_context():
        world = make_world(db.session())
        db.session.commit()
        for person in (world.lin, world.wang, world.zhao, world.admin, world.auditor):
            db.session.refresh(person)
        db.session.expunge_all()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(app, f"http://127.0.0.1:{server.server_port}", world)
    server.shutdown()
    thread.join()
    with app.app_context():
        db.engine.dispose()


@dataclass
class Visit:
    """A page and everything its console, its security policy and its requests complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str) -> Page:
        """Go there and give its scripts a moment."""
        self.page.goto(address, wait_until="load")
        self.page.wait_for_timeout(200)
        return self.page


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Visit]]:
    """``visit(person, width=390, theme="dark", language="en")``: a browser in which that person is signed in."""
    contexts: list[BrowserContext] = []

    def make(
        user: User | None, *, width: int = 1440, height: int = 900, theme: str = "light", language: str = "zh-CN"
    ) -> Visit:
        context = browser.new_context(
            base_url=site.address,
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            locale=language,
            timezone_id="Asia/Shanghai",
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        if user is not None:
            cookie = {"name": cookie_name(secure=False), "value": site.token_of(user), "url": site.address}
            context.add_cookies([cookie])  # type: ignore[list-item]
        found = Visit(context.new_page())
        found.page.on("console", lambda message: _note(found, message.type, message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(f"script: {error}"))
        found.page.on("request", lambda request: _outside(found, request.url, site.address))
        return found

    yield make
    for context in contexts:
        context.close()


def _note(visit: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        visit.complaints.append(f"{kind}: {text}")


def _outside(visit: Visit, url: str, address: str) -> None:
    if not url.startswith((address, "blob:", "data:")):
        visit.complaints.append(f"request to {url}")


def axe(page: Page) -> list[str]:
    """Violations that axe calls serious or critical, as short lines."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        """() => axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})"""
    )
    return [
        f"{item['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def photograph(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a picture for people to look at."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=RESULTS / f"{re.sub(r'[^a-z0-9-]', '-', name)}.png", full_page=whole)
