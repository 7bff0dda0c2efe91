"""The everyday person's pages in a real browser: accessible, quiet, never wider than the window, in every dress."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Site, Visit, axe, photograph, sideways
from tests.browser.shelf import fill

PAGES = (
    "workspace",
    "history",
    "search",
    "talk",
    "call",
    "long",
    "queued",
    "running",
    "failed",
    "no_speech",
    "not_recognised",
    "cancelled",
)
DRESSES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "1440-light": ({"width": 1440}, PAGES),
    "390-dark-en": ({"width": 390, "height": 844, "theme": "dark", "language": "en"}, PAGES),
    "1024-dark": ({"width": 1024, "theme": "dark"}, ("workspace", "history", "talk", "queued")),
    "390-light": ({"width": 390, "height": 844}, ("workspace", "history", "call", "failed")),
    "1440-dark-en": ({"width": 1440, "theme": "dark", "language": "en"}, ("workspace", "search", "talk", "running")),
}
"""Window, theme and language, and which pages are looked at in it."""


@pytest.fixture(scope="module")
def shelf(site: Site) -> dict[str, uuid.UUID]:
    """Lin's recordings by what they show."""
    made: dict[str, uuid.UUID] = site.seed(
        lambda session: {name: row.id for name, row in fill(session, site.world.lin).items()}
    )
    return made


def address(name: str, shelf: dict[str, uuid.UUID]) -> str:
    """Where a page lies."""
    fixed = {"workspace": "/", "history": "/history", "search": "/history?q=星澜"}
    return fixed.get(name) or f"/transcripts/{shelf[name]}"


@pytest.mark.parametrize("dress", DRESSES)
def test_pages_are_accessible_and_quiet(
    visit: Callable[..., Visit], site: Site, shelf: dict[str, uuid.UUID], dress: str
) -> None:
    window, pages = DRESSES[dress]
    seen = visit(site.world.lin, **window)
    found: dict[str, object] = {}
    for name in pages:
        page = seen.open(address(name, shelf))
        photograph(page, f"{name}-{dress}")
        if problems := axe(page):
            found[name] = problems
        if (wider := sideways(page)) > 0:
            found[f"{name} is wider"] = wider
    assert found == {}
    assert seen.complaints == []


def test_nothing_scrolls_sideways_on_the_smallest_phone(
    visit: Callable[..., Visit], site: Site, shelf: dict[str, uuid.UUID]
) -> None:
    seen = visit(site.world.lin, width=360, height=740)
    for name in PAGES:
        assert sideways(seen.open(address(name, shelf))) <= 0, name


def test_empty_pages_say_what_to_do_first(visit: Callable[..., Visit], site: Site) -> None:
    seen = visit(site.newcomer("new", "新同事"))
    for name, path in (("workspace-empty", "/"), ("history-empty", "/history"), ("search-empty", "/history?q=没有")):
        page = seen.open(path)
        photograph(page, name)
        assert axe(page) == []
        assert page.locator(".ui-empty-title").count() == 1
    assert seen.complaints == []


def test_a_page_that_is_not_there(visit: Callable[..., Visit], site: Site) -> None:
    page = visit(site.world.zhao).open(f"/transcripts/{uuid.uuid4()}")
    photograph(page, "not-found")
    assert axe(page) == []
    assert page.get_by_role("heading", level=1).inner_text() == "没有找到这个页面或内容。"


def test_open_menus_and_dialogs_are_accessible(
    visit: Callable[..., Visit], site: Site, shelf: dict[str, uuid.UUID]
) -> None:
    seen = visit(site.world.lin)
    page = seen.open("/")
    page.locator(".ui-chip--add").click()
    photograph(page, "workspace-menu")
    assert axe(page) == []
    page.keyboard.press("Escape")
    page.locator(".ui-side-me summary").click()
    photograph(page, "workspace-me")
    assert axe(page) == []
    page = seen.open(address("talk", shelf))
    page.locator("#export summary").click()
    photograph(page, "talk-export")
    assert axe(page) == []
    page = seen.open("/history")
    page.locator(".ui-history summary").first.click()
    page.get_by_role("button", name="删除").first.click()
    photograph(page, "history-delete")
    assert page.get_by_role("dialog").is_visible()
    assert axe(page) == []
    assert seen.complaints == []
