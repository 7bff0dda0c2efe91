"""The engine's page in a real browser: switching, unloading and loading again with their effect, in every dress."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.manifest import Registry, inspect
from portal.asr.engine.releases import SHIPPED
from tests.browser.conftest import Site, Visit, axe, photograph, sideways
from tests.support.fake_engine import fake_engine

DRESSES: dict[str, dict[str, Any]] = {
    "1440-light": {"width": 1440, "height": 1400},
    "1440-dark": {"width": 1440, "height": 1400, "theme": "dark"},
    "1024-dark-en": {"width": 1024, "height": 1400, "theme": "dark", "language": "en"},
    "390-light": {"width": 390, "height": 844},
    "360-dark-en": {"width": 360, "height": 740, "theme": "dark", "language": "en"},
}
LONG = "speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch-2026-11"


@pytest.fixture(scope="module")
def shelf(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two further registered models; name → digest, the shipped one first."""
    settings = site.app.config["PORTAL_SETTINGS"]
    folder = tmp_path_factory.mktemp("shelf")
    found = {"shipped": inspect(SHIPPED / "seaco")[1].digest}
    for name in ("paraformer-zh-2.1", LONG):
        shutil.copytree(SHIPPED / "seaco", folder / name)
        with (folder / name / "am.mvn").open("a", encoding="utf-8") as stream:
            stream.write("\n" * len(name))
        where, manifest = inspect(folder / name)
        Registry(settings.installed_models_file).record(where, manifest, "2026-11-02T09:30:00+00:00")
        found[name] = manifest.digest
    return found


@contextmanager
def engine(site: Site, shelf: dict[str, str], *options: str) -> Iterator[EngineClient]:
    """The fake engine, which knows the registered models by their digests."""
    with fake_engine(site.app.config["PORTAL_SETTINGS"], *options, models=shelf) as client:
        yield client


def main_text(page: Page) -> str:
    return page.locator("main").inner_text()


@pytest.mark.parametrize("dress", DRESSES)
def test_the_page_in_every_dress(visit: Callable[..., Visit], site: Site, shelf: dict[str, str], dress: str) -> None:
    with engine(site, shelf, "--gpu") as client:
        client.until_changed(client.start_switch(shelf["paraformer-zh-2.1"]), 10)
        time.sleep(6)
        seen = visit(site.world.admin, **DRESSES[dress])
        page = seen.open("/admin/engine")
        expect(page.locator("#engine-chart canvas").first).to_be_visible(timeout=12_000)
        photograph(page, f"engine-{dress}", whole=True)
        assert axe(page) == []
        assert sideways(page) <= 0
        page.locator("[data-opens=unload]").click()
        photograph(page, f"engine-unload-{dress}")
        assert axe(page) == []
        assert sideways(page) <= 0
    assert seen.complaints == []


def test_switching_shows_its_steps_and_its_effect(
    visit: Callable[..., Visit], site: Site, shelf: dict[str, str]
) -> None:
    with engine(site, shelf, "--gpu", "--load-s", "12") as client:
        seen = visit(site.world.admin)
        page = seen.open("/admin/engine")
        assert page.locator("#models tbody tr").count() == 3
        page.get_by_role("button", name="切换到 paraformer-zh-2.1").click()
        dialog = page.get_by_role("dialog")
        assert "不停止服务" in dialog.inner_text()
        photograph(page, "engine-switch-dialog")
        assert axe(page) == []
        dialog.get_by_role("button", name="切换模型").click()
        expect(page.get_by_text("正在切换模型")).to_be_visible(timeout=11_000)
        photograph(page, "engine-switching")
        assert axe(page) == []
        assert client.status().ready, "work goes on"
        expect(page.locator("[aria-current=step]")).to_have_text("核对文件并加载")
        # without a further request of ours: the page asks by itself
        expect(page.locator(".ui-engine-last")).to_contain_text("已切换模型", timeout=30_000)
        expect(page.locator(".ui-engine-last")).to_contain_text("MiB")
        row = page.locator("#models tbody tr").filter(has_text="paraformer-zh-2.1")
        expect(row).to_contain_text("正在用")
    assert seen.complaints == []


def test_unloading_refuses_waits_and_comes_back(visit: Callable[..., Visit], site: Site, shelf: dict[str, str]) -> None:
    with engine(site, shelf, "--gpu") as client:
        seen = visit(site.world.admin)
        page = seen.open("/admin/engine")
        with client.open(options=RecordingOptions()) as recording:
            recording.push(bytes(32_000))
            page.get_by_role("button", name="卸载模型").click()
            page.get_by_role("dialog").get_by_label("只在没有录音时卸载").check()
            page.get_by_role("dialog").get_by_role("button", name="卸载模型").click()
            expect(page.get_by_text("没有开始：有录音正在识别")).to_be_visible()
            page.get_by_role("button", name="卸载模型").click()
            page.get_by_role("dialog").get_by_role("button", name="卸载模型").click()
            expect(page.get_by_text("等 1 个录音完成")).to_be_visible()
            photograph(page, "engine-waiting")
            assert axe(page) == []
        expect(page.get_by_text("模型已卸载，现在不能转写。")).to_be_visible(timeout=10_000)
        photograph(page, "engine-unloaded", whole=True)
        page.get_by_role("button", name="重新加载").click()
        page.get_by_role("dialog").get_by_role("button", name="重新加载").click()
        expect(page.get_by_text("模型已重新加载：占用")).to_be_visible()
        assert client.status().ready
    assert seen.complaints == []


def test_a_failed_switch_says_why_and_what_serves(
    visit: Callable[..., Visit], site: Site, shelf: dict[str, str]
) -> None:
    known = {"shipped": shelf["shipped"], "broken": shelf["paraformer-zh-2.1"]}
    with engine(site, known, "--gpu"):
        seen = visit(site.world.admin)
        page = seen.open("/admin/engine")
        page.get_by_role("button", name="切换到 paraformer-zh-2.1").click()
        page.get_by_role("dialog").get_by_role("button", name="切换模型").click()
        expect(page.get_by_text("切换没有成功，仍用原来的模型。")).to_be_visible()
        assert "没有认出样本录音" in main_text(page)
        photograph(page, "engine-failed", whole=True)
        assert axe(page) == []
    assert seen.complaints == []
