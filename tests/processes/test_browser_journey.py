"""A person in a real browser against the whole running portal, then the auditor."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from portal.settings import MODELS_DIR
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.support.running import Running

pytestmark = [pytest.mark.processes, pytest.mark.browser, pytest.mark.models]

MEETING = (
    "今天下午我们开项目会议。首先讨论系统测试的进度。然后看一下客户的问题。",
    "请大家把报告发给经理。下周一上午九点继续开会。",
)
TEXT_MS = 90_000


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The distribution's Chromium."""
    return {"executable_path": CHROMIUM, "args": FLAGS}


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A spoken meeting that no training saw, as MP3 and as M4A."""
    folder = tmp_path_factory.mktemp("meeting")
    parts = []
    for number, text in enumerate(MEETING):
        wav = folder / f"{number}.wav"
        subprocess.run(["espeak-ng", "-v", "cmn-latn-pinyin+m5", "-s", "180", "-w", wav, text], check=True)
        with av.open(str(wav)) as source:
            parts += [frame.to_ndarray() for frame in source.decode(audio=0)]
            rate = source.streams.audio[0].rate
        parts.append(np.zeros((1, 2 * rate), np.int16))
    samples = np.concatenate(parts, axis=1)
    return {
        "mp3": encode(folder / "周会录音.mp3", "libmp3lame", samples, rate),
        "m4a": encode(folder / "周会录音.m4a", "aac", samples, rate),
    }


def encode(path: Path, codec: str, samples: np.ndarray[Any, Any], rate: int) -> Path:
    """Write int16 mono samples with a codec."""
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = rate
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, context.layout, rate, frame_size=context.frame_size or 0)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return path


@pytest.fixture
def page(browser: Browser, portal: Running) -> Iterator[Page]:
    """A fresh browser window on the running portal."""
    context = browser.new_context(
        base_url=portal.address, locale="zh-CN", viewport={"width": 1440, "height": 900}, accept_downloads=True
    )
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def sign_in(page: Page, portal: Running, login: str) -> None:
    """Through the form."""
    page.goto("/")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", portal.passwords[login])
    page.click("form button.btn-primary[type=submit]")
    page.wait_for_url(lambda url: "/sign-in" not in url)


def test_from_the_file_to_the_text_and_back_to_the_sound(page: Page, portal: Running, meeting: dict[str, Path]) -> None:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    sign_in(page, portal, "zhangwei")
    page.set_input_files("#files", [MODELS_DIR / "sample.wav", meeting["mp3"], meeting["m4a"]])
    page.get_by_role("button", name=re.compile("开始转写")).click()
    expect(page.locator("#recent a", has_text="周会录音")).to_have_count(2, timeout=TEXT_MS)
    expect(page.locator("#recent a", has_text="sample").first).to_be_visible(timeout=TEXT_MS)

    page.locator("#recent a", has_text="周会录音").first.click()
    expect(page.locator("#document .ui-s").first).to_be_visible()
    assert re.search("会议|项目|报告", page.locator("#document").inner_text())
    sentence = page.locator("#document .ui-s").nth(1)
    sentence.click()
    page.wait_for_function("() => document.getElementById('audio').currentTime > 0.5")
    begin = float(sentence.get_attribute("data-b") or 0)
    assert page.evaluate("document.getElementById('audio').currentTime") * 1000 >= begin - 100
    expect(page.locator("#document .ui-now").first).to_be_visible()

    page.locator("#export summary").click()
    with page.expect_download() as download:
        page.locator("#export a", has_text="SRT").click()
    assert "-->" in Path(download.value.path()).read_text(encoding="utf-8")
    assert "周会录音" in download.value.suggested_filename
    page.goto("/history")
    expect(page.locator("main")).to_contain_text("周会录音")
    assert complaints == []


def test_a_text_renamed_mp3_stays_visible_with_its_reason(page: Page, portal: Running, tmp_path: Path) -> None:
    false = tmp_path / "假录音.mp3"
    false.write_text("这只是文字。" * 50, encoding="utf-8")
    sign_in(page, portal, "zhangwei")
    page.set_input_files("#files", [false])
    page.get_by_role("button", name=re.compile("开始转写")).click()
    expect(page.locator("#live, #workspace").get_by_text("这不是音频或视频文件").first).to_be_visible()
    expect(page.get_by_text("请求编号").first).to_be_visible()


def test_the_auditor_downloads_the_csv(page: Page, portal: Running) -> None:
    sign_in(page, portal, "watcher")
    expect(page.locator("main")).to_contain_text("zhangwei")
    page.locator("details:has(form[action*='/audit/export']) summary").click()
    form = page.locator("form[action*='/audit/export']")
    form.locator("[name=why]").fill("季度内审抽查")
    with page.expect_download() as download:
        form.locator("button[type=submit]").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    acts = {cell for row in csv.reader(io.StringIO(text)) for cell in row}
    assert {"session.sign_in", "upload.finish", "upload.refuse", "transcript.open", "recording.play"} <= acts
    assert "周会录音" not in text
