"""Choosing how a recording is cut and what is wanted of it, and looking at what came out of that."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from portal.models import AuditEvent, State, Transcript, Transcription, TranscriptSentence
from portal.services.recognition.capabilities import Abilities
from portal.services.recordings.file_store import FileStore
from portal.views import workspace
from tests.browser.conftest import Site, Visit, axe, photograph, sideways
from tests.browser.shelf import TALK
from tests.browser.test_uploading import attempt_of
from tests.support.library import add_recording
from tests.support.sounds import tone

EVERYTHING = Abilities(
    frozenset({"hotwords", "word_times", "punctuation", "language_choice", "speakers", "emotion", "events"}),
    ("zh", "yue", "en", "ja", "ko"),
    known=True,
)
PLAYING = re.compile("is-playing")
VAD = {"preset": "telephone", "max_segment_ms": 20_000, "end_silence_ms": None, "threshold": None}
NOTHING = Abilities(frozenset({"punctuation"}), (), known=True)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Three seconds of sound."""
    file = tmp_path / "夜班录音.wav"
    file.write_bytes(tone(3))
    return file


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> Callable[[Abilities], None]:
    """Let the model in use be one that can do this."""
    return lambda abilities: monkeypatch.setattr(workspace, "abilities", lambda settings: abilities)


def open_chip(page: Page, name: str) -> None:
    page.locator(".ui-options summary", has_text=name).first.click()


def test_preset_and_spans_travel_and_only_the_preset_is_remembered(
    visit: Callable[..., Visit], site: Site, talk: Path
) -> None:
    seen = visit(site.newcomer("night", "夜班"))
    page = seen.open("/")
    open_chip(page, "场合")
    with page.expect_response("**/work/options"):
        page.get_by_role("radio", name="电话 一问一答").check()
    page.keyboard.press("Escape")
    open_chip(page, "结果")
    page.get_by_label("只要时段").check()
    expect(page.locator('[data-shows="result"]')).to_have_text("只要时段")
    expect(page.locator(".ui-options summary", has_text="数字规整")).to_be_hidden()
    page.keyboard.press("Escape")
    page.set_input_files("#files", talk)
    page.locator("#staged-start").click()
    expect(page.locator("#live .ui-jobs > li", has_text="夜班录音")).to_contain_text("排队第", timeout=20_000)
    attempt = attempt_of(site, talk.name)
    assert attempt is not None
    options = attempt["options"]
    assert isinstance(options, dict)
    assert options["result"] == "spans"
    assert options["vad"] == {
        "preset": "telephone", "max_segment_ms": 20_000, "end_silence_ms": None, "threshold": None,
    }  # fmt: skip
    page.reload()
    expect(page.locator('[data-shows="vad_preset"]')).to_have_text("电话")
    expect(page.locator('[data-shows="result"]')).to_have_text("文字")
    assert seen.complaints == []


def test_numbers_of_ones_own_stay_between_their_limits(visit: Callable[..., Visit], site: Site) -> None:
    page = visit(site.newcomer("fine", "细心人")).open("/")
    open_chip(page, "场合")
    expect(page.locator("#vad_max_segment")).to_be_hidden()
    page.get_by_label("自定义").check()
    for field, typed, kept in (
        ("vad_max_segment", "999", "60"),
        ("vad_end_silence", "1", "200"),
        ("vad_threshold", "0.35", "0.35"),
    ):
        page.locator(f"#{field}").fill(typed)
        page.locator(f"#{field}").blur()
        expect(page.locator(f"#{field}")).to_have_value(kept)
    photograph(page, "workspace-custom")
    assert axe(page) == []
    vad = page.evaluate(
        "import('/static/js/upload/options.js').then((m) => m.chosen(document.getElementById('new')).vad)"
    )
    assert vad == {"preset": "custom", "max_segment_ms": 60_000, "end_silence_ms": 200, "threshold": 0.35}
    page.wait_for_timeout(600)
    page.reload()
    expect(page.locator("#vad_threshold")).to_have_value("0.35")
    expect(page.locator('[data-shows="vad_preset"]')).to_have_text("自定义")


@pytest.mark.parametrize(("width", "theme", "language"), [(1440, "light", "zh-CN"), (390, "dark", "en")])
def test_all_that_the_model_can_do_is_offered(
    visit: Callable[..., Visit], site: Site, able: Callable[[Abilities], None], width: int, theme: str, language: str
) -> None:
    able(EVERYTHING)
    seen = visit(site.newcomer(f"able{width}", f"多面手{width}"), width=width, theme=theme, language=language)
    page = seen.open("/")
    photograph(page, f"options-{width}-{theme}")
    page.locator(".ui-options summary:has([data-shows=speakers])").click()
    page.locator("input[name=speakers][value='1']").check()
    page.locator("#speaker_count").fill("3")
    page.locator("#speaker_count").blur()
    expect(page.locator('[data-shows="speakers"]')).to_contain_text("3")
    photograph(page, f"options-speakers-{width}-{theme}")
    page.keyboard.press("Escape")
    page.locator(".ui-options summary:has([data-shows=language])").click()
    page.locator("input[name=language][value=yue]").check()
    expect(page.locator('[data-shows="language"]')).to_have_text("粤语" if language == "zh-CN" else "Cantonese")
    photograph(page, f"options-language-{width}-{theme}")
    assert axe(page) == []
    assert sideways(page) <= 0
    assert seen.complaints == []


def test_what_the_model_cannot_do_is_not_offered_and_hotwords_say_why(
    visit: Callable[..., Visit], site: Site, able: Callable[[Abilities], None]
) -> None:
    able(NOTHING)
    page = visit(site.newcomer("plain", "平常人")).open("/")
    expect(page.locator("input[name=language], input[name=speakers]")).to_have_count(0)
    open_chip(page, "用不了")
    expect(page.locator("#hotword-choices")).to_contain_text("现在用的模型不能用热词")
    expect(page.locator("#hotwords")).to_be_disabled()
    photograph(page, "options-no-hotwords")
    assert axe(page) == []


@pytest.fixture(scope="module")
def heard(site: Site) -> dict[str, uuid.UUID]:
    """A call of which only the times were wanted, and a talk with voices, emotions and sounds."""

    def fill(session: Session) -> dict[str, uuid.UUID]:
        spans = [[t, t + 1_300 + (t % 5) * 500, (t // 4000) % 2] for t in range(500, 46_000, 4_000)]
        call = add_recording(
            session, site.world.lin, "只要时段的电话", state=State.RUNNING, audio_ms=48_000, speech_ms=24_000
        )
        row = session.scalars(sa.select(Transcription).where(Transcription.recording_id == call.id)).one()
        row.state, row.lease_token, row.lease_until = State.DONE.value, None, None
        row.options = {"itn": True, "channels": "split", "result": "spans", "vad": VAD}
        row.spans = spans
        call.duration_ms, call.container = 48_000, "wav"
        meeting = add_recording(
            session, site.world.lin, "分得清谁的会", texts=TALK, per_paragraph=3, warnings=["HOTWORDS_NOT_USED"]
        )
        row = session.scalars(sa.select(Transcription).where(Transcription.recording_id == meeting.id)).one()
        row.options = {**row.options, "vad": VAD, "speakers": True, "speaker_count": None, "language": "zh"}
        row.model = {**(row.model or {}), "profile": "exact"}
        mine = sa.select(Transcript.id).where(Transcript.recording_id == meeting.id)
        sentences = session.scalars(sa.select(TranscriptSentence).where(TranscriptSentence.transcript_id.in_(mine)))
        for sentence in sentences:
            sentence.speaker = str(sentence.paragraph % 3 + 1)
            sentence.language = "yue" if sentence.position == 4 else "zh"
            sentence.emotion = {2: "happy", 5: "angry"}.get(sentence.position, "neutral")
            sentence.events = {3: ["laughter"], 7: ["applause", "bgm"]}.get(sentence.position, [])
            sentence.words = [[text, None, None, sure] for text, _, _, sure in sentence.words]
        return {"call": call.id, "meeting": meeting.id}

    found: dict[str, uuid.UUID] = site.seed(fill)
    store = FileStore.of(site.app.config["PORTAL_SETTINGS"])
    for recording in found.values():
        with store.append(recording) as writer:
            writer.write_at(0, tone(48, rate=8000))
        store.adopt(recording)
        store.write_peaks(recording, bytes((i * 37) % 100 + 20 for i in range(480)))
    return found


@pytest.mark.parametrize(
    ("width", "theme", "language"), [(1440, "light", "zh-CN"), (1440, "dark", "en"), (390, "light", "zh-CN")]
)
def test_the_list_of_spans(
    visit: Callable[..., Visit],
    site: Site,
    heard: dict[str, uuid.UUID],
    width: int,
    theme: str,
    language: str,
) -> None:
    seen = visit(site.world.lin, width=width, theme=theme, language=language)
    page = seen.open(f"/transcripts/{heard['call']}")
    rows = page.locator(".ui-span")
    expect(rows).to_have_count(12)
    expect(page.locator(".ui-lane-map")).to_have_count(2)
    photograph(page, f"spans-{width}-{theme}")
    rows.nth(3).locator("button").click()
    expect(page.locator("#player")).to_have_class(PLAYING)
    expect(rows.nth(3)).to_have_class("ui-s ui-span ui-now")
    assert 12.5 <= float(page.evaluate("document.getElementById('audio').currentTime")) < 14
    page.locator("#play").click()
    assert sideways(page) <= 0
    assert seen.complaints == []
    assert axe(page) == []


def test_spans_are_taken_away_and_each_time_is_written_down(
    visit: Callable[..., Visit], site: Site, heard: dict[str, uuid.UUID]
) -> None:
    page = visit(site.world.lin).open(f"/transcripts/{heard['call']}")
    page.locator("#export summary").click()
    photograph(page, "spans-export")
    with page.expect_download() as download:
        page.locator("#export a", has_text="CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert text.splitlines()[1] == "1,00:00:00.500,00:00:01.800,1.300,坐席"
    query = sa.select(AuditEvent.detail).where(
        AuditEvent.action == "transcript.export", AuditEvent.object_id == str(heard["call"])
    )
    assert site.seed(lambda s: s.scalars(query).all()) == [{"format": "spans.csv", "spans": 12, "copied": False}]


@pytest.mark.parametrize(
    ("width", "theme", "language"), [(1440, "light", "zh-CN"), (1440, "dark", "en"), (390, "light", "zh-CN")]
)
def test_voices_emotions_and_sounds_are_words(
    visit: Callable[..., Visit], site: Site, heard: dict[str, uuid.UUID], width: int, theme: str, language: str
) -> None:
    seen = visit(site.world.lin, width=width, theme=theme, language=language)
    page = seen.open(f"/transcripts/{heard['meeting']}")
    photograph(page, f"voices-{width}-{theme}", whole=width < 500)
    names = ("说话人 2", "高兴", "笑声", "粤语") if language == "zh-CN" else ("Cantonese",)
    for name in names:
        expect(page.locator("#document")).to_contain_text(name)
    # words without times of their own: a click plays the sentence from its beginning
    sentence = page.locator("#s9")
    sentence.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = sentence.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 17 * 8.5, box["y"] + 12)
    expect(page.locator("#player")).to_have_class(PLAYING)
    assert 36 <= float(page.evaluate("document.getElementById('audio').currentTime")) < 37
    assert page.evaluate("[...CSS.highlights.get('word')].length") == 0
    page.locator("#play").click()
    assert sideways(page) <= 0
    assert seen.complaints == []
    assert axe(page) == []
