"""The pages of wrong→right tables in a real browser, in every dress, with much, little and nothing in them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from portal.models import COMPANY_TABLE
from portal.services.hotwords import replacement_editing as editing
from portal.services.hotwords import replacements
from portal.services.hotwords.replacement_editing import Draft, Limits
from tests.browser.conftest import Site, Visit, axe, photograph, sideways
from tests.support.world import actor

ADMIN = "/admin/hotwords/replacements"
DRESSES: dict[str, dict[str, Any]] = {
    "1440-light": {"width": 1440},
    "1024-dark": {"width": 1024, "theme": "dark"},
    "390-light": {"width": 390, "height": 844},
    "390-dark-en": {"width": 390, "height": 844, "theme": "dark", "language": "en"},
    "1440-dark-en": {"width": 1440, "theme": "dark", "language": "en"},
}


def _fill(session: Session, site: Site) -> uuid.UUID:
    admin, limits = actor(site.world.admin), Limits()
    table = site.world.research.id
    for draft in (
        Draft("新兰", "星澜", near=True, note="内部项目名，常被听成“新兰”“心蓝”"),
        Draft("灵溪网关", "灵犀网关"),
        Draft("deep seek", "DeepSeek", note="模型"),
        Draft("k八s", "K8s"),
        Draft("云书", "云枢", enabled=False, note="等新版上线再启用"),
        Draft("江洲第一医院信息化建设领导小组", "江州第一医院信息化建设领导小组"),
    ):
        editing.add(session, admin, table, draft, limits)
    raw = "\n".join(f"错字{number:03}→对字{number:03}" for number in range(150))
    editing.take_in(session, admin, COMPANY_TABLE, raw, near=False, limits=limits)
    return table


@pytest.fixture(scope="module")
def table(site: Site) -> uuid.UUID:
    """The research department's table; the company's is long."""
    found: uuid.UUID = site.seed(lambda session: _fill(session, site))
    return found


@pytest.mark.parametrize("dress", DRESSES)
def test_pages_are_accessible_and_quiet(visit: Callable[..., Visit], site: Site, table: uuid.UUID, dress: str) -> None:
    found: dict[str, object] = {}
    edited = site.seed(lambda s: replacements.pairs_of(s, actor(site.world.admin), table).pairs[0].id)
    pages = (
        (site.world.admin, "admin", f"{ADMIN}?table={table}"),
        (site.world.admin, "admin-edit", f"{ADMIN}?table={table}&edit={edited}"),
        (site.world.admin, "admin-long", f"{ADMIN}?table={COMPANY_TABLE}"),
        (site.world.admin, "admin-empty", f"{ADMIN}?table={site.world.market.id}"),
        (site.world.lin, "staff", "/hotwords/replacements"),
        (site.world.zhao, "staff-empty", "/hotwords/replacements"),
    )
    for person, name, address in pages:
        seen = visit(person, **DRESSES[dress])
        page = seen.open(address)
        photograph(page, f"replacements-{name}-{dress}", whole=name != "admin-long")
        if problems := axe(page) + seen.complaints:
            found[name] = problems
        if (wider := sideways(page)) > 0:
            found[f"{name} is wider"] = wider
    assert found == {}


def test_a_table_is_tried_while_typing(visit: Callable[..., Visit], site: Site, table: uuid.UUID) -> None:
    seen = visit(site.world.lin)
    page = seen.open("/hotwords/replacements")
    page.get_by_label("一段文字").fill("今天讨论行栏项目，灵溪网关用deep seek。")
    expect(page.locator("#tried ins", has_text="星澜")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("写出来，改了 3 处")).to_be_visible()
    photograph(page, "replacements-tried", whole=True)
    assert axe(page) == []
    assert seen.complaints == []


def test_a_pair_is_added_changed_and_removed(visit: Callable[..., Visit], site: Site, table: uuid.UUID) -> None:
    seen = visit(site.world.admin)
    page = seen.open(f"{ADMIN}?table={site.world.market.id}")
    page.get_by_label("听成").fill("心智")
    page.get_by_label("写成").fill("新智")
    page.get_by_role("button", name="加入", exact=True).click()
    expect(page.get_by_text("已加入：心智 → 新智")).to_be_visible()
    page.get_by_role("link", name="修改 心智").click()
    expect(page.get_by_label("听成")).to_have_value("心智")
    page.locator("#f-near").select_option("1")
    page.get_by_role("button", name="保存").click()
    expect(page.get_by_role("cell", name="读音相近也算")).to_be_visible()
    page.get_by_role("link", name="修改 心智").click()
    page.get_by_role("button", name="删除").click()
    photograph(page, "replacements-delete")
    assert axe(page) == []
    page.get_by_role("dialog").get_by_role("button", name="删除").click()
    expect(page.get_by_text("这张表里还没有条目")).to_be_visible()
    page.get_by_label("条目").fill("新兰→星澜\n坏的一行")
    page.get_by_role("button", name="加入这些").click()
    expect(page.get_by_text("第 2 行")).to_be_visible()
    photograph(page, "replacements-import-refused", whole=True)
    assert axe(page) == []
