"""Hotword lists over HTTP, for everyday people and for administrators."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db
from portal.models import User
from portal.services import hotwords
from tests.support.world import World, actor

ClientOf = Callable[[User], FlaskClient]


@pytest.fixture
def team(app: Flask, world: World) -> uuid.UUID:
    """The research department's list."""
    with app.app_context():
        found = hotwords.create(
            db.session(), actor(world.admin), name="星澜项目", scope="department", department_id=world.research.id
        )
        hotwords.save(db.session(), actor(world.admin), found.id, "星澜 云枢", expected_version=0)
        db.session.commit()
        return found.id


def opened(client: FlaskClient, place: str = "/hotwords", **form: str) -> str:
    answer = client.post(place, data=form)
    assert answer.status_code == 302, answer.get_data(as_text=True)
    found = re.search(r"list=([0-9a-f-]+)", answer.location)
    assert found is not None
    return found.group(1)


def test_empty_then_a_personal_list(world: World, client_of: ClientOf) -> None:
    client = client_of(world.lin)
    assert "还没有热词表" in client.get("/hotwords").get_data(as_text=True)
    mine = opened(client, name="晓雯的词")
    saved = client.post(f"/hotwords/{mine}", data={"words": "灵犀网关，漏检率", "version": "0"}, follow_redirects=True)
    page = saved.get_data(as_text=True)
    assert "已保存为第 1 版" in page
    assert "灵犀网关\n漏检率" in page
    assert "2 / 200" in page


def test_the_departments_list_is_read_only_for_its_people(team: uuid.UUID, world: World, client_of: ClientOf) -> None:
    client = client_of(world.lin)
    page = client.get(f"/hotwords?list={team}").get_data(as_text=True)
    assert "只读，由管理员维护" in page
    assert "云枢" in page
    assert "<textarea" not in page
    assert client.post(f"/hotwords/{team}", data={"words": "x", "version": "1"}).status_code == 403
    assert client_of(world.zhao).get(f"/hotwords?list={team}").status_code == 404
    assert client.get("/hotwords?list=nonsense").status_code == 404


def test_what_cannot_be_saved_stays_in_the_field_with_its_reason(world: World, client_of: ClientOf) -> None:
    client = client_of(world.lin)
    mine = opened(client, name="表")
    answer = client.post(f"/hotwords/{mine}", data={"words": "星澜\na/b\nhttps", "version": "0"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "热词“a/b”不能使用" in page
    assert "不能含“/”" in page
    assert "星澜\na/b\nhttps" in page


def test_live_validation(world: World, client_of: ClientOf) -> None:
    client = client_of(world.lin)
    part = client.post("/hotwords/check", data={"words": "星澜 <b>x</b> 一二三四五六七八九十一二三四五六七"}).get_data(
        as_text=True
    )
    assert "1 / 200" in part
    assert "太长" in part
    assert "<b>x</b>" not in part


def test_two_editors_do_not_overwrite_each_other(team: uuid.UUID, world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    first = client.post(f"/admin/hotwords/{team}", data={"words": "星澜 江州", "version": "1"})
    assert first.status_code == 302
    second = client.post(f"/admin/hotwords/{team}", data={"words": "别人的", "version": "1"})
    assert second.status_code == 409
    page = second.get_data(as_text=True)
    assert "内容刚刚被别人改过" in page
    assert "别人的" in page  # what was typed is not lost


def test_roll_back_rename_delete(team: uuid.UUID, world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    client.post(f"/admin/hotwords/{team}", data={"words": "江州", "version": "1"})
    back = client.post(
        f"/admin/hotwords/{team}/roll-back", data={"number": "1", "version": "2"}, follow_redirects=True
    ).get_data(as_text=True)
    assert "星澜\n云枢" in back
    named = client.post(f"/admin/hotwords/{team}/name", data={"name": "新名字"}, follow_redirects=True)
    assert "新名字" in named.get_data(as_text=True)
    gone = client.post(f"/admin/hotwords/{team}/delete", follow_redirects=True)
    assert "已删除" in gone.get_data(as_text=True)
    assert client.get(f"/admin/hotwords?list={team}").status_code == 404


def test_administrators_make_lists_for_departments_and_see_no_personal_ones(world: World, client_of: ClientOf) -> None:
    mine = opened(client_of(world.lin), name="晓雯的词")
    client = client_of(world.admin)
    made = opened(client, "/admin/hotwords", name="市场词", department_id=str(world.market.id))
    page = client.get("/admin/hotwords").get_data(as_text=True)
    assert "市场部" in page
    assert "晓雯的词" not in page
    assert client.get(f"/admin/hotwords?list={mine}").status_code == 404
    assert (
        client.post("/admin/hotwords", data={"name": "市场词", "department_id": str(world.market.id)}).status_code
        == 409
    )
    assert "上传时自动选中" in client_of(world.zhao).get(f"/hotwords?list={made}").get_data(as_text=True)


def test_offices_do_not_mix(world: World, client_of: ClientOf) -> None:
    assert client_of(world.admin).get("/hotwords").status_code == 403
    assert client_of(world.auditor).get("/hotwords").status_code == 403
    assert client_of(world.lin).get("/admin/hotwords").status_code == 403


def test_words_the_model_cannot_spell_are_a_hint_and_no_refusal(world: World, client_of: ClientOf) -> None:
    client = client_of(world.lin)
    mine = opened(client, name="表")
    part = client.post("/hotwords/check", data={"words": "今天 朱镕基"}).text
    assert "有 1 个词，现在的模型拼不出来" in part
    assert "“朱镕基”：模型里没有“" in part
    saved = client.post(f"/hotwords/{mine}", data={"words": "今天 朱镕基", "version": "0"}, follow_redirects=True).text
    assert "已保存为第 1 版" in saved
    assert "现在的模型拼不出来" in saved
    assert "拼不出来" not in client.post("/hotwords/check", data={"words": "今天"}).text


def test_words_for_an_upload_are_looked_at_before_it(team: uuid.UUID, world: World, client_of: ClientOf) -> None:
    client = client_of(world.lin)
    part = client.post("/hotwords/spelling", data={"hotword_lists": [str(team), "x"], "hotwords": "朱镕基"}).text
    assert "朱镕基" in part
    assert "<html" not in part
    many = " ".join(f"词{number}" for number in range(205))
    part = client.post("/hotwords/spelling", data={"hotwords": many}).text
    assert "热词太多（205 个，最多 200 个）" in part
    assert "请只留下这次会用到的词" in part
    assert "热词“a/b”不能使用" in client.post("/hotwords/spelling", data={"hotwords": "a/b"}).text
    stranger = client_of(world.zhao).post("/hotwords/spelling", data={"hotword_lists": str(team)})
    assert stranger.status_code == 404
