"""The office pages in a real browser: hotwords, the administrators', the auditors'; in every dress, full and empty."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models import Department, Role, State
from portal.models.user import LoginCounter
from portal.services import audit, hotwords
from portal.services.audit import Action
from portal.services.identity.actor import anonymous_actor
from tests.browser.conftest import Site, Visit, axe, photograph, sideways
from tests.support.library import add_recording
from tests.support.world import actor, make_user

DRESSES: dict[str, dict[str, Any]] = {
    "1440-light": {"width": 1440},
    "1024-dark": {"width": 1024, "theme": "dark"},
    "390-light": {"width": 390, "height": 844},
    "390-dark-en": {"width": 390, "height": 844, "theme": "dark", "language": "en"},
}
WORDS = "星澜 灵犀网关 云枢 漏检率 江州第一医院 K8s OAuth2.0 客服中心 提测 冻结"

ADMIN = {
    "overview": "/admin/", "people": "/admin/people", "departments": "/admin/departments",
    "admin-hotwords": "/admin/hotwords", "jobs": "/admin/jobs", "engine": "/admin/engine",
    "settings": "/admin/settings",
}  # fmt: skip


def _office(session: Session, site: Site) -> dict[str, uuid.UUID]:
    world = site.world
    admin, lin = actor(world.admin), actor(world.lin)
    team = hotwords.create(session, admin, name="星澜项目", scope="department", department_id=world.research.id)
    hotwords.save(session, admin, team.id, WORDS, expected_version=0)
    hotwords.save(session, admin, team.id, WORDS.replace("提测", "兰亭"), expected_version=1)
    company = hotwords.create(session, admin, name="部门与职务", scope="company")
    hotwords.save(session, admin, company.id, " ".join(f"职务{number}" for number in range(150)), expected_version=0)
    mine = hotwords.create(session, lin, name="晓雯的词", scope="personal")
    hotwords.save(session, lin, mine.id, "星澜 漏检率", expected_version=0)
    for number in range(70):
        make_user(session, f"staff{number:03}", f"员工{number:03}", Role.STAFF, world.market)
    session.add(Department(name="信息化建设领导小组办公室暨数字化转型推进中心联合工作组", directory_name="IT"))
    until = utcnow() + timedelta(minutes=9)
    session.add(LoginCounter(key="name:wang", failures=5, lockouts=1, locked_until=until, window_started_at=utcnow()))
    add_recording(session, world.lin, "机密甲", state=State.QUEUED, audio_ms=4_120_000)
    running = add_recording(session, world.zhao, "机密乙", state=State.RUNNING, audio_ms=7_080_000, done_ms=2_535_000)
    add_recording(session, world.wang, "机密丙", state=State.FAILED, error_code="MEDIA_DAMAGED", finished_at=utcnow())
    for number in range(120):
        audit.record(session, lin, Action.TRANSCRIPT_OPEN, object_kind="transcript", object_id=uuid.uuid4(),
                     detail={"n": number})  # fmt: skip
    stranger = anonymous_actor(
        "=HYPERLINK('x')", address="2001:db8:1234:5678:9abc:def0:1234:5678", request_id="8F3K-2210"
    )
    audit.record(session, stranger, Action.SIGN_IN, result="refused", reason="SIGN_IN_FAILED")
    audit.record(session, admin, Action.USER_UPDATE, object_kind="user", object_id=world.zhao.id,
                 detail={"role": {"before": "staff", "after": "auditor"}})  # fmt: skip
    return {"team": team.id, "mine": mine.id, "running": running.id}


@pytest.fixture(scope="module")
def office(site: Site) -> dict[str, uuid.UUID]:
    """Lists with versions, seventy people, a lock, a queue, a long log."""
    made: dict[str, uuid.UUID] = site.seed(lambda session: _office(session, site))
    return made


@contextmanager
def engine(socket: Path, *options: str) -> Iterator[None]:
    """The fake engine behind the real socket."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "portal.asr.engine.fake", "--socket", str(socket), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 20
        while not socket.exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield
        process.terminate()
        process.wait(20)


def inspect(seen: Visit, addresses: dict[str, str], dress: str) -> dict[str, object]:
    """What is wrong with these pages."""
    found: dict[str, object] = {}
    for name, address in addresses.items():
        page = seen.open(address)
        photograph(page, f"office-{name}-{dress}")
        if problems := axe(page):
            found[name] = problems
        if (wider := sideways(page)) > 0:
            found[f"{name} is wider"] = wider
    return found


def socket_of(site: Site) -> Path:
    settings = site.app.config["PORTAL_SETTINGS"]
    return Path(settings.engine_socket)


@pytest.mark.parametrize("dress", DRESSES)
def test_pages_are_accessible_and_quiet(
    visit: Callable[..., Visit], site: Site, office: dict[str, uuid.UUID], dress: str
) -> None:
    shown = DRESSES[dress]
    people = ADMIN | {"person": f"/admin/people/{site.world.wang.id}"}
    with engine(socket_of(site), "--gpu"):
        admin = visit(site.world.admin, **shown)
        found = inspect(admin, people, dress)
        assert "机密" not in admin.page.content()
    log = {"audit": "/audit", "audit-event": "/audit/2", "audit-filtered": "/audit?result=refused"}
    auditor = visit(site.world.auditor, **shown)
    found |= inspect(auditor, log, dress)
    staff = visit(site.world.lin, **shown)
    lists = {"hotwords": f"/hotwords?list={office['team']}", "hotwords-mine": f"/hotwords?list={office['mine']}"}
    found |= inspect(staff, lists, dress)
    assert found == {}
    assert admin.complaints + auditor.complaints + staff.complaints == []


def test_nothing_scrolls_sideways_on_the_smallest_phone(
    visit: Callable[..., Visit], site: Site, office: dict[str, uuid.UUID]
) -> None:
    for person, addresses in (
        (site.world.admin, [*ADMIN.values(), f"/admin/people/{site.world.zhao.id}"]),
        (site.world.auditor, ["/audit", "/audit/123"]),
        (site.world.lin, [f"/hotwords?list={office['mine']}"]),
    ):
        seen = visit(person, width=360, height=740)
        for address in addresses:
            assert sideways(seen.open(address)) <= 0, address


def test_empty_pages_say_what_to_do(visit: Callable[..., Visit], site: Site, office: dict[str, uuid.UUID]) -> None:
    for person, name, address in (
        (site.world.admin, "people-none", "/admin/people?text=nobody"),
        (site.world.auditor, "audit-none", "/audit?person=nobody"),
    ):
        page = visit(person).open(address)
        photograph(page, f"office-{name}")
        assert axe(page) == []
        assert page.locator(".ui-empty-title").count() == 1


def cards(page: Page) -> str:
    return page.locator("main").inner_text()


def test_the_engine_page_is_honest(visit: Callable[..., Visit], site: Site, office: dict[str, uuid.UUID]) -> None:
    seen = visit(site.world.admin)
    page = seen.open("/admin/engine")
    photograph(page, "office-engine-away")
    assert "识别引擎没有回应" in cards(page)
    assert axe(page) == []
    with engine(socket_of(site), "--banner", "CPU_FALLBACK"):
        page = seen.open("/admin/engine")
        assert "没有 GPU，正在用 CPU 识别" in cards(page)
        photograph(page, "office-engine-cpu")
        page.get_by_role("button", name="清理缓存").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="取消")).to_be_focused()
        photograph(page, "office-engine-dialog")
        assert axe(page) == []
        dialog.get_by_role("button", name="清理缓存").click()
        expect(page.get_by_text("缓存已清理")).to_be_visible()
        photograph(page, "office-engine-cleared")
    assert seen.complaints == []


def test_live_numbers_and_the_chart(visit: Callable[..., Visit], site: Site, office: dict[str, uuid.UUID]) -> None:
    with engine(socket_of(site), "--gpu"):
        seen = visit(site.world.admin)
        page = seen.open("/admin/engine")
        expect(page.locator("#engine-chart canvas").first).to_be_visible(timeout=12_000)
        photograph(page, "office-engine-live", whole=True)
        assert axe(page) == []
    assert seen.complaints == []


def test_typed_words_are_checked_while_typing(
    visit: Callable[..., Visit], site: Site, office: dict[str, uuid.UUID]
) -> None:
    seen = visit(site.world.lin)
    page = seen.open(f"/hotwords?list={office['mine']}")
    page.get_by_label("词", exact=True).fill("星澜，漏检率\n江州\na/b")
    expect(page.get_by_text("不能含“/”，请去掉它。")).to_be_visible()
    expect(page.get_by_text("3 / 200")).to_be_visible()
    photograph(page, "office-hotwords-check")
    assert axe(page) == []
    page.get_by_label("词", exact=True).fill("星澜，漏检率\n江州")
    page.get_by_role("button", name="保存为第").click()
    expect(page.get_by_text("已保存为第")).to_be_visible()
    expect(page.locator("ins", has_text="江州")).to_be_visible()
    assert seen.complaints == []


def test_the_export_asks_why(visit: Callable[..., Visit], site: Site, office: dict[str, uuid.UUID]) -> None:
    seen = visit(site.world.auditor)
    page = seen.open("/audit?action=transcript.open")
    page.get_by_text("导出 CSV").click()
    photograph(page, "office-audit-export")
    assert axe(page) == []
    page.get_by_label("为什么要导出").fill("三季度内审抽查")
    with page.expect_download() as download:
        page.get_by_role("button", name="导出并记录").click()
    text = download.value.path().read_text(encoding="utf-8-sig")
    rows = text.count(",transcript.open,")
    assert rows >= 120, "other tests of this site may have opened transcripts too"
    assert f"# rows={rows} sha256=" in text
    page.get_by_role("button", name="校验链条").click()
    expect(page.get_by_text("链条完整。")).to_be_visible()
    photograph(page, "office-audit-verified")
    assert seen.complaints == []


def test_forms_work_without_script(site: Site, office: dict[str, uuid.UUID], browser: object) -> None:
    from playwright.sync_api import Browser

    from portal.http.signed_in import cookie_name

    assert isinstance(browser, Browser)
    context = browser.new_context(base_url=site.address, java_script_enabled=False, locale="zh-CN")
    cookie = {"name": cookie_name(secure=False), "value": site.token_of(site.world.admin), "url": site.address}
    context.add_cookies([cookie])  # type: ignore[list-item]
    page = context.new_page()
    page.goto("/admin/departments")
    page.get_by_role("button", name="新建部门").click()
    page.get_by_role("dialog").get_by_label("名称", exact=False).first.fill("法务部")
    page.get_by_role("dialog").get_by_role("button", name="新建").click()
    expect(page.get_by_text("部门已建好。")).to_be_visible()
    context.close()
