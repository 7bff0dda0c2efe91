"""The engine's page as plain forms: what each button does, says and leaves in the log."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.manifest import Registry, inspect
from portal.asr.engine.releases import SHIPPED
from portal.db import db
from portal.models import AuditEvent, User
from portal.settings import Settings
from tests.support.fake_engine import fake_engine
from tests.support.world import World

ClientOf = Callable[[User], FlaskClient]


@pytest.fixture
def shelf(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """The shipped model and a registered one; name → digest."""
    shutil.copytree(SHIPPED / "seaco", tmp_path / "paraformer-2")
    with (tmp_path / "paraformer-2" / "am.mvn").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    folder, manifest = inspect(tmp_path / "paraformer-2")
    Registry(settings.installed_models_file).record(folder, manifest, "2026-11-02T09:30:00+00:00")
    return {"seaco": inspect(SHIPPED / "seaco")[1].digest, "paraformer-2": manifest.digest}


def logged(app: Flask) -> list[tuple[str, str, str | None]]:
    with app.app_context():
        rows = db.session.scalars(
            sa.select(AuditEvent).where(AuditEvent.object_kind == "engine").order_by(AuditEvent.seq)
        )
        return [(row.action, row.detail["step"], row.reason) for row in rows]


def test_a_switch_without_scripts(
    app: Flask, settings: Settings, world: World, client_of: ClientOf, shelf: dict[str, str]
) -> None:
    browser = client_of(world.admin)
    with fake_engine(settings, "--gpu", models=shelf) as client:
        page = browser.get("/admin/engine").get_data(as_text=True)
        offered = re.findall(r'name="model" value="([0-9a-f]{64})"', page)
        assert offered == [shelf["paraformer-2"]], "the one in use is not offered"
        done = browser.post("/admin/engine/switch", data={"model": offered[0]}, follow_redirects=True)
        assert "已切换模型：占用 4,096 → 4,096 MiB。" in done.get_data(as_text=True)
        assert client.status().model.digest == shelf["paraformer-2"]
        live = browser.get("/admin/engine/live", headers={"HX-Request": "true"}).get_data(as_text=True)
        assert "已切换模型" in live
        assert isinstance(browser.get("/admin/engine/history").get_json()["rows"], list)
    assert logged(app) == [("engine.switch", "asked", None), ("engine.switch", "done", None)]


@pytest.mark.parametrize("model", ["", "0" * 64, "../../etc/passwd", "x" * 5000])
def test_only_listed_models_reach_the_engine(
    app: Flask, settings: Settings, world: World, client_of: ClientOf, shelf: dict[str, str], model: str
) -> None:
    answer = client_of(world.admin).post("/admin/engine/switch", data={"model": model}, follow_redirects=True)
    assert "没有开始：模型目录没有登记。" in answer.get_data(as_text=True)
    assert logged(app) == [("engine.switch", "failed", "MODEL_UNKNOWN")]


def test_a_failed_switch_names_the_reason(
    app: Flask, settings: Settings, world: World, client_of: ClientOf, shelf: dict[str, str]
) -> None:
    models = {"seaco": shelf["seaco"], "missing": shelf["paraformer-2"]}
    with fake_engine(settings, models=models) as client:
        answer = client_of(world.admin).post(
            "/admin/engine/switch", data={"model": shelf["paraformer-2"]}, follow_redirects=True
        )
        text = answer.get_data(as_text=True)
        assert "没有完成：模型目录缺少文件 model.pt。" in text
        assert "切换没有成功，仍用原来的模型。" in text
        assert client.status().ready
    assert logged(app)[-1] == ("engine.switch", "failed", "MODEL_MISSING_FILE")


def test_unloading_and_loading_again(
    app: Flask, settings: Settings, world: World, client_of: ClientOf, shelf: dict[str, str]
) -> None:
    browser = client_of(world.admin)
    with fake_engine(settings, "--gpu", models=shelf) as client:
        with client.open(options=RecordingOptions()):
            answer = browser.post("/admin/engine/unload", data={"how": "idle"}, follow_redirects=True)
            assert "没有开始：有录音正在识别" in answer.get_data(as_text=True)
            answer = browser.post("/admin/engine/unload", data={"how": "wait"}, follow_redirects=True)
            assert "等 1 个录音完成" in answer.get_data(as_text=True)
            answer = browser.post("/admin/engine/clear-cache", follow_redirects=True)
            assert "没有清理" in answer.get_data(as_text=True)
        until_unloaded(client)
        assert "模型已卸载，现在不能转写。" in browser.get("/admin/engine").get_data(as_text=True)
        answer = browser.post("/admin/engine/load", follow_redirects=True)
        assert "模型已重新加载：占用 512 → 4,096 MiB。" in answer.get_data(as_text=True)
    assert logged(app) == [
        ("engine.unload", "asked", None),
        ("engine.unload", "failed", "ENGINE_IN_USE"),
        ("engine.unload", "asked", None),
        ("engine.unload", "begun", None),
        ("engine.clear_cache", "asked", None),
        ("engine.clear_cache", "failed", "ENGINE_UNAVAILABLE"),
        ("engine.load", "asked", None),
        ("engine.load", "done", None),
    ]


def until_unloaded(client: EngineClient) -> None:
    change = client.status().change
    assert change is not None
    assert client.until_changed(change, 20).step == "done"


def test_several_engines_are_listed_and_chosen(
    tmp_path: Path, settings: Settings, world: World, app: Flask, client_of: ClientOf
) -> None:
    with_two = settings.model_copy(update={"engines": (str(tmp_path / "second.sock"),)})
    app.config["PORTAL_SETTINGS"] = with_two
    browser = client_of(world.admin)
    with fake_engine(settings, "--gpu"):
        page = browser.get("/admin/engine").get_data(as_text=True)
        assert "所有引擎" in page
        assert page.count("没有回应") == 1
        second = browser.get("/admin/engine?engine=2").get_data(as_text=True)
        assert "识别引擎没有回应" in second
        for nonsense in ("0", "3", "-1", "x"):
            assert "识别引擎没有回应" not in browser.get(f"/admin/engine?engine={nonsense}").get_data(as_text=True)


def test_others_get_nowhere(world: World, client_of: ClientOf) -> None:
    for person in (world.lin, world.auditor):
        browser = client_of(person)
        for act in ("switch", "load", "unload", "clear-cache"):
            assert browser.post(f"/admin/engine/{act}").status_code in (403, 404)
        assert browser.get("/admin/engine/history").status_code in (403, 404)
