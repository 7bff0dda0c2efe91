"""Reading and hearing a transcript in a real browser."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from playwright.sync_api import Route, expect
from sqlalchemy.orm import Session

from portal.models import AuditEvent
from portal.services.recordings.file_store import FileStore
from tests.browser.conftest import Site, Visit, axe, photograph
from tests.browser.shelf import TALK
from tests.support.library import add_recording
from tests.support.sounds import tone


@pytest.fixture(scope="module")
def talk(site: Site) -> uuid.UUID:
    """A recording of 48 seconds with its sound, waveform and text."""

    def fill(session: Session) -> uuid.UUID:
        row = add_recording(session, site.world.wang, "有声音的", texts=TALK, unsure=["六号"])
        row.container = "wav"
        return row.id

    found: uuid.UUID = site.seed(fill)
    store = FileStore.of(site.app.config["PORTAL_SETTINGS"])
    with store.append(found) as writer:
        writer.write_at(0, tone(48, rate=8000))
    store.adopt(found)
    store.write_peaks(found, bytes((i * 37) % 100 + 20 for i in range(480)))
    return found


def now(visit: Visit) -> float:
    """Where the player stands (s)."""
    return float(visit.page.evaluate("document.getElementById('audio').currentTime"))


def test_click_a_word_to_hear_it(visit: Callable[..., Visit], site: Site, talk: uuid.UUID) -> None:
    seen = visit(site.world.wang)
    page = seen.open(f"/transcripts/{talk}")
    expect(page.locator("#player")).to_have_class("ui-player has-wave")
    sentence = page.locator("#s9")  # from 36 s on; begins a paragraph and so a line
    box = sentence.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 17 * 8.5, box["y"] + 12)  # the ninth character
    page.wait_for_function("!document.getElementById('audio').paused")
    expect(sentence).to_have_class("ui-s ui-now")
    assert 36.6 < now(seen) < 39
    page.wait_for_function("[...CSS.highlights.get('word')].length === 1")
    photograph(page, "talk-playing")
    page.get_by_role("button", name="暂停").click()
    page.wait_for_function("document.getElementById('audio').paused")
    assert seen.complaints == []
    assert axe(page) == []  # last: axe itself tries a style of its own beside the waveform
    query = sa.select(sa.func.count()).where(AuditEvent.action == "recording.play", AuditEvent.object_id == str(talk))
    assert site.seed(lambda session: session.scalar(query)) == 1


def test_keys_and_buttons_move(visit: Callable[..., Visit], site: Site, talk: uuid.UUID) -> None:
    seen = visit(site.world.wang)
    page = seen.open(f"/transcripts/{talk}")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert round(now(seen)) == 5
    page.keyboard.press("Shift+ArrowRight")
    assert round(now(seen)) == 8
    page.keyboard.press(" ")
    page.wait_for_function("!document.getElementById('audio').paused")
    page.keyboard.press(" ")
    page.get_by_role("button", name="从 0:36 播放").click()
    page.wait_for_function("!document.getElementById('audio').paused")
    assert 36 <= now(seen) < 38
    page.locator("#speed").click()
    page.get_by_role("button", name="1.5×").click()
    assert page.evaluate("document.getElementById('audio').playbackRate") == 1.5
    seen.page.locator("#seek").fill("12")
    assert round(now(seen)) in (12, 13)


def test_a_link_opens_at_its_second(visit: Callable[..., Visit], site: Site, talk: uuid.UUID) -> None:
    page = visit(site.world.wang).open(f"/transcripts/{talk}#t=25.5")
    expect(page.locator("#s6")).to_have_class("ui-s ui-now is-target")
    expect(page.locator("#now")).to_have_text("0:26")


def test_copying_takes_the_whole_text(visit: Callable[..., Visit], site: Site, talk: uuid.UUID) -> None:
    seen = visit(site.world.wang)
    seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = seen.open(f"/transcripts/{talk}")
    page.locator("#copy").click()
    expect(page.locator(".ui-toast")).to_have_text("全文已复制")
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.split("\n\n")[1].startswith(TALK[3])


def test_ten_thousand_sentences_stay_usable(visit: Callable[..., Visit], site: Site) -> None:
    texts = [f"这是第{i}句话，讲的是日常工作的安排和进度。" for i in range(10_000)]
    recording = site.seed(lambda s: add_recording(s, site.world.wang, "很长的", texts=texts).id)
    seen = visit(site.world.wang)
    page = seen.open(f"/transcripts/{recording}#t=32000.5")
    target = page.locator("#s8000")
    expect(target).to_be_in_viewport(timeout=10_000)
    assert page.locator(".ui-s").count() < 2_000
    page.evaluate("window.scrollTo(0, 0)")
    expect(page.locator("#s0")).to_be_in_viewport()
    page.mouse.wheel(0, 1_000_000)
    page.wait_for_timeout(500)
    assert seen.complaints == []


def test_a_part_that_does_not_come_is_not_asked_for_without_end(visit: Callable[..., Visit], site: Site) -> None:
    texts = [f"这是第{i}句话。" for i in range(400)]
    recording = site.seed(lambda s: add_recording(s, site.world.wang, "断线的", texts=texts).id)
    page = visit(site.world.wang).page
    asked: list[str] = []

    def break_off(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/sentences?*", break_off)
    page.goto(f"/transcripts/{recording}")
    page.locator(".ui-part").scroll_into_view_if_needed()
    page.wait_for_timeout(2_000)
    assert len(asked) == 1
    page.unroute("**/sentences?*")
    expect(page.locator("#s399")).to_be_attached(timeout=10_000)


def test_a_page_that_waits_shows_the_text_when_it_is_there(visit: Callable[..., Visit], site: Site) -> None:
    from portal.models import State, Transcription

    recording = site.seed(lambda s: add_recording(s, site.world.wang, "马上好", state=State.QUEUED).id)
    page = visit(site.world.wang).open(f"/transcripts/{recording}")
    expect(page.locator("#state h2")).to_have_text("正在排队")

    def fail(session: Session) -> None:
        session.execute(
            sa.update(Transcription)
            .where(Transcription.recording_id == recording)
            .values(state="failed", error_code="ASR_FAILED")
        )

    site.seed(fail)
    expect(page.locator("#state h2")).to_have_text("识别没有完成。")
