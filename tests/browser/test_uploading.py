"""Handing recordings over in a real browser: looked at first, sent in blocks, taken up again after a break."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Route, expect
from sqlalchemy.orm import Session

from portal.models import HotwordList, HotwordListVersion, Recording, Transcription
from tests.browser.conftest import Site, Visit, axe, photograph
from tests.support.sounds import tone


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Ten seconds of sound: five blocks."""
    file = tmp_path / "周会录音.wav"
    file.write_bytes(tone(10))
    return file


def attempt_of(site: Site, name: str) -> dict[str, object] | None:
    """What became of the uploaded file."""
    query = (
        sa.select(Transcription.state, Transcription.options, Transcription.hotwords, Recording.duration_ms)
        .join(Recording, Recording.id == Transcription.recording_id)
        .where(Recording.original_name == name)
    )
    row = site.seed(lambda session: session.execute(query).first())
    return dict(row._mapping) if row else None


def test_files_are_looked_at_before_they_are_sent(
    visit: Callable[..., Visit], site: Site, talk: Path, tmp_path: Path
) -> None:
    empty, text, huge = tmp_path / "空的.wav", tmp_path / "说明.txt", tmp_path / "太大.wav"
    empty.touch()
    text.write_text("不是录音")
    with huge.open("wb") as file:
        file.truncate(2 * 1024**2 + 1)
    seen = visit(site.world.wang)
    page = seen.open("/")
    page.set_input_files("#files", [talk, empty, text, huge])
    staged = page.locator("#staged-files > li")
    expect(staged).to_have_count(4)
    expect(staged.nth(0)).to_contain_text("0:10")
    expect(staged.nth(1)).to_contain_text("文件是空的（0 字节）")
    expect(staged.nth(2)).to_contain_text("看起来不是录音或视频")
    expect(staged.nth(3)).to_contain_text("超过了上限 2 MB")
    expect(page.locator("#staged-sum")).to_have_text("1 个文件可以开始。")
    photograph(page, "workspace-staged")
    assert axe(page) == []
    page.get_by_role("button", name="移除 说明.txt").click()
    expect(staged).to_have_count(3)
    page.locator("#staged-clear").click()
    expect(page.locator("#staged")).to_be_hidden()
    assert seen.complaints == []


def test_an_upload_survives_a_broken_connection_and_carries_its_options(
    visit: Callable[..., Visit], site: Site, talk: Path
) -> None:
    person = site.newcomer("sender", "寄件人")

    def add_list(session: Session) -> None:
        row = HotwordList(name="研发热词", scope="department", department_id=person.department_id, current_version=1)
        session.add(row)
        session.flush()
        words = [{"text": "星澜", "note": ""}]
        session.add(HotwordListVersion(list_id=row.id, number=1, words=words, digest="0" * 64))

    site.seed(add_list)
    page = visit(person).open("/")
    breaks: list[str] = []

    def break_twice(route: Route) -> None:
        if route.request.method == "PATCH" and len(breaks) < 2:
            breaks.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/uploads/*", break_twice)
    expect(page.locator("[data-chip]:not([hidden])")).to_contain_text("研发热词")
    page.locator(".ui-chip--add").click()
    page.locator("#hotwords").fill("灵犀网关 云枢")
    page.keyboard.press("Escape")
    page.locator("summary", has_text="数字规整").click()
    page.get_by_label("把说出来的数字写成数字").uncheck()
    page.set_input_files("#files", talk)
    page.locator("#staged-start").click()
    page.wait_for_timeout(300)
    photograph(page, "workspace-uploading")
    waiting = page.locator("#live .ui-jobs > li", has_text="周会录音")
    expect(waiting).to_contain_text("排队第", timeout=20_000)
    photograph(page, "workspace-uploaded")
    assert len(breaks) == 2
    attempt = attempt_of(site, talk.name)
    assert attempt is not None
    assert (attempt["state"], attempt["duration_ms"]) == ("queued", 10_000)
    options = attempt["options"]
    assert isinstance(options, dict)
    assert (options["itn"], options["channels"], options["result"]) == (False, "mix", "text")
    assert options["vad"]["preset"] == "general"
    assert attempt["hotwords"] == ["星澜", "灵犀网关", "云枢"]
    assert page.evaluate("localStorage.getItem('portal-uploads')") == "[]"


def test_a_reload_offers_to_go_on(visit: Callable[..., Visit], site: Site, talk: Path) -> None:
    seen = visit(site.world.zhao)
    page = seen.open("/")
    sent: list[str] = []

    def stop_after_two(route: Route) -> None:
        if route.request.method == "PATCH" and len(sent) >= 2:
            route.abort("connectionreset")
            return
        if route.request.method == "PATCH":
            sent.append(route.request.headers["upload-offset"])
        route.continue_()

    page.route("**/uploads/*", stop_after_two)
    page.set_input_files("#files", talk)
    page.locator("#staged-start").click()
    expect(page.locator("#uploading > li")).to_contain_text("自动继续")
    page.on("dialog", lambda dialog: dialog.accept())
    page.unroute("**/uploads/*")
    page.reload()
    stopped = page.locator("#live [data-upload]")
    expect(stopped).to_contain_text("上次传到 40 %")
    photograph(page, "workspace-stopped")
    assert axe(page) == []
    offsets: list[str] = []
    page.on("request", lambda r: offsets.append(r.headers["upload-offset"]) if r.method == "PATCH" else None)
    page.set_input_files("#files", talk)
    expect(page.locator("#staged-files")).to_contain_text("上次传到 40 %")
    page.locator("#staged-start").click()
    expect(page.locator("#live .ui-jobs > li", has_text="周会录音")).to_contain_text("排队第", timeout=20_000)
    assert offsets[0] == str(2 * 64 * 1024)


def test_a_file_that_is_no_recording_stays_with_its_reason(
    visit: Callable[..., Visit], site: Site, tmp_path: Path
) -> None:
    fake = tmp_path / "其实是文字.mp3"
    fake.write_text("这不是声音" * 100)
    page = visit(site.world.zhao).open("/")
    page.set_input_files("#files", fake)
    page.locator("#staged-start").click()
    item = page.locator("#live .ui-jobs > li", has_text="其实是文字.mp3")
    expect(item).to_contain_text("不能转写", timeout=20_000)
    expect(item).to_contain_text("请求编号")
    expect(page.locator("#uploading > li")).to_have_count(0)
    photograph(page, "workspace-refused")
    item.get_by_role("button", name="移除").click()
    expect(page.locator("body")).not_to_contain_text("其实是文字.mp3")


def test_choices_are_remembered(visit: Callable[..., Visit], site: Site) -> None:
    page = visit(site.world.zhao).open("/")
    page.locator("summary", has_text="声道").click()
    with page.expect_response("**/work/options"):
        page.get_by_label("左右分开").check()
    page.reload()
    expect(page.locator('[data-shows="channels"]')).to_have_text("左右分开")


def test_the_theme_changes_at_once_and_stays(visit: Callable[..., Visit], site: Site) -> None:
    page = visit(site.world.auditor).open("/")
    page.locator(".ui-side-me summary").click()
    with page.expect_response("**/theme"):
        page.get_by_role("button", name="深色").click()
    theme = "document.documentElement.dataset.bsTheme"
    assert page.evaluate(theme) == "dark"
    page.reload()
    assert page.evaluate(theme) == "dark"
    _language(page, "English")
    expect(page.locator(".ui-nav")).to_contain_text("Access log")
    _language(page, "中文")
    expect(page.locator(".ui-nav")).to_contain_text("访问记录")


def _language(page: Page, name: str) -> None:
    page.locator(".ui-side-me summary").click()
    page.locator(".ui-side-me").get_by_role("button", name=name).click()


def test_options_travel_as_the_server_expects(visit: Callable[..., Visit], site: Site) -> None:
    page = visit(site.world.zhao).open("/")
    chosen = page.evaluate(
        "import('/static/js/upload/options.js').then((m) => JSON.stringify(m.chosen(document.getElementById('new'))))"
    )
    assert set(json.loads(chosen)) == {"itn", "channels", "result", "vad", "hotword_lists", "hotwords"}
