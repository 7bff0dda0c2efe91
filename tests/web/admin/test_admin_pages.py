"""The administrators' pages over HTTP: they work without an engine, without Redis, and never show titles."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, utcnow
from portal.models import Recording, Transcription, User
from portal.services.administration import get_policy
from portal.services.recordings.choices import choices_for
from tests.support.world import World, actor

ClientOf = Callable[[User], FlaskClient]
PAGES = ("/admin/", "/admin/people", "/admin/departments", "/admin/hotwords", "/admin/jobs", "/admin/jobs/table",
         "/admin/engine", "/admin/engine/live", "/admin/settings")  # fmt: skip


@pytest.fixture
def jobs(app: Flask, world: World) -> World:
    """One running, one waiting, one failed; their titles are nobody's business."""
    with app.app_context():
        states: tuple[dict[str, Any], ...] = (
            {"state": "running", "lease_token": "x", "done_ms": 61_000, "started_at": utcnow()},
            {"state": "queued"},
            {
                "state": "failed",
                "error_code": "MEDIA_TOO_LONG",
                "error_params": {"limit_hours": 12},
                "finished_at": utcnow(),
            },
        )
        for number, values in enumerate(states):
            recording = Recording(
                owner_id=world.lin.id, department_id=world.research.id, title=f"机密会议{number}",
                original_name=f"机密{number}.wav", bytes=100, sha256="0" * 64,
            )  # fmt: skip
            db.session.add(recording)
            db.session.flush()
            db.session.add(
                Transcription(
                    recording_id=recording.id, owner_id=world.lin.id, department_id=world.research.id,
                    audio_ms=600_000, latest_text="机密文字", **values,
                )
            )  # fmt: skip
        db.session.commit()
    return world


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_for_administrators_only_and_names_no_recording(
    jobs: World, client_of: ClientOf, path: str
) -> None:
    answer = client_of(jobs.admin).get(path)
    assert answer.status_code == 200
    assert "机密" not in answer.get_data(as_text=True)
    for name in ("lin", "auditor"):
        assert client_of(jobs.person(name)).get(path).status_code == 403


def test_jobs_show_owner_length_and_state(app: Flask, jobs: World, client_of: ClientOf) -> None:
    client = client_of(jobs.admin)
    page = client.get("/admin/jobs").get_data(as_text=True)
    for text in ("林晓雯", "1:01", "10:00", "第 1 位", "录音长度超过上限 12 小时"):
        assert text in page
    first = re.search(r'action="(/admin/jobs/[^"]+/first)"', page)
    cancel = re.search(r'action="(/admin/jobs/[^"]+/cancel)"', page)
    assert first is not None
    assert cancel is not None
    assert "已排到最前" in client.post(first.group(1), follow_redirects=True).get_data(as_text=True)
    assert "优先" in client.get("/admin/jobs").get_data(as_text=True)
    assert "已取消" in client.post(cancel.group(1), follow_redirects=True).get_data(as_text=True)


def test_without_an_engine_the_page_says_so(world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    page = client.get("/admin/engine").get_data(as_text=True)
    assert "识别引擎没有回应" in page
    answer = client.post("/admin/engine/clear-cache", follow_redirects=True)
    assert answer.status_code == 200
    assert "没有清理" in answer.get_data(as_text=True)
    assert "Redis 没有回应" in client.get("/admin/").get_data(as_text=True)


def test_a_new_account_and_its_first_password(app: Flask, world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    form = {"login": "chen", "display_name": "陈立", "role": "staff", "department_id": str(world.market.id)}
    page = client.post("/admin/people", data=form).get_data(as_text=True)
    shown = re.search(r'ui-first-password">([^<]+)<', page)
    assert shown is not None
    assert len(shown.group(1)) >= 15
    again = client.post("/admin/people", data=form)
    assert again.status_code == 409
    assert "陈立" in again.get_data(as_text=True)  # what was entered is kept
    assert "陈立" in client.get("/admin/people?text=chen").get_data(as_text=True)


def test_what_can_be_done_with_a_person(app: Flask, world: World, client_of: ClientOf) -> None:
    client, place = client_of(world.admin), f"/admin/people/{world.lin.id}"
    staff = client_of(world.lin)
    assert staff.get("/hotwords").status_code == 200
    assert "账号已停用" in client.post(f"{place}/disable", follow_redirects=True).get_data(as_text=True)
    assert staff.get("/hotwords").status_code in (302, 401)
    assert "账号已启用" in client.post(f"{place}/enable", follow_redirects=True).get_data(as_text=True)
    assert "已解锁" in client.post(f"{place}/unlock", follow_redirects=True).get_data(as_text=True)
    assert "会话" in client.post(f"{place}/sessions", follow_redirects=True).get_data(as_text=True)
    moved = client.post(place, data={"role": "staff", "department_id": str(world.market.id)}, follow_redirects=True)
    assert "已保存" in moved.get_data(as_text=True)
    assert client.post(f"/admin/people/{world.admin.id}/disable").status_code == 403
    own = client.post(f"/admin/people/{world.admin.id}", data={"role": "staff", "department_id": ""})
    assert own.status_code == 403


def test_departments(world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    made = client.post("/admin/departments", data={"name": "法务部"}, follow_redirects=True).get_data(as_text=True)
    assert "法务部" in made
    assert client.post("/admin/departments", data={"name": "法务部"}).status_code == 409
    assert client.post(f"/admin/departments/{world.market.id}/delete").status_code == 409
    found = re.search(r'action="(/admin/departments/[^"]+/delete)"', made)
    assert found is not None
    assert "法务部" not in client.post(found.group(1), follow_redirects=True).get_data(as_text=True)


def test_settings_change_and_hide_secrets(app: Flask, world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    changed = client.post(
        "/admin/settings/upload_max_bytes", data={"value": "0.5", "version": "0"}, follow_redirects=True
    )
    assert "已保存，马上生效" in changed.get_data(as_text=True)
    with app.app_context():
        assert get_policy(db.session(), "upload_max_bytes") == 512 * 1024**2
    assert client.post("/admin/settings/upload_max_bytes", data={"value": "x", "version": "1"}).status_code == 422
    assert client.post("/admin/settings/upload_max_bytes", data={"value": "nan", "version": "1"}).status_code == 422
    assert client.post("/admin/settings/upload_max_bytes", data={"value": "1", "version": "0"}).status_code == 409
    assert client.post("/admin/settings/secret_key", data={"value": "1", "version": "0"}).status_code == 404


def test_secrets_are_never_shown(settings: object) -> None:
    from portal.services.administration.process_settings import process_settings
    from portal.settings import load_settings

    hidden = load_settings(
        ldap_bind_password="hunter2",
        database_url="postgresql://portal:hunter3@db/portal",
        redis_url="redis://:hunter4@r/0",
    )
    shown = {row.name: row.value for row in process_settings(hidden)}
    assert "hunter" not in str(shown)
    assert shown["database_url"] == "postgresql://portal:••••••@db/portal"


def test_policy_reaches_the_people(app: Flask, world: World, client_of: ClientOf) -> None:
    admin = client_of(world.admin)
    for name, value in (
        ("announcement", "今晚维护<b>"), ("upload_max_bytes", "0.001"), ("default_itn", "0"),
        ("default_channels", "split"),
    ):  # fmt: skip
        admin.post(f"/admin/settings/{name}", data={"value": value, "version": "0"})
    page = client_of(world.lin).get("/").get_data(as_text=True)
    assert "今晚维护&lt;b&gt;" in page
    begun = client_of(world.lin).post(
        "/uploads",
        headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9000000", "Upload-Metadata": "filename YS53YXY="},
    )
    assert begun.status_code == 413
    with app.app_context():
        user = db.session.get_one(User, world.lin.id)
        offered = choices_for(db.session(), actor(world.lin), user)
        assert (offered.itn, offered.channels) == (False, "split")


@pytest.mark.parametrize("query", ["endpoint=x", "_scheme=javascript&_external=1", "_anchor=x", "_method=POST"])
def test_words_of_url_for_in_the_address_stay_words(jobs: World, client_of: ClientOf, query: str) -> None:
    answer = client_of(jobs.admin).get(f"/admin/people?after=a&role=staff&{query}")
    assert answer.status_code == 200
    assert 'href="/admin/people?role=staff"' in answer.get_data(as_text=True)
