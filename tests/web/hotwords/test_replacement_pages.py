"""Wrong→right tables over HTTP, for everyday people and for administrators."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db
from portal.models import COMPANY_TABLE, User
from portal.services.hotwords import replacement_editing as editing
from portal.services.hotwords import replacements
from portal.services.hotwords.replacement_editing import Draft, Limits
from tests.support.world import World, actor

ClientOf = Callable[[User], FlaskClient]
ADMIN = "/admin/hotwords/replacements"


@pytest.fixture
def table(app: Flask, world: World) -> uuid.UUID:
    """The research department's table with one pair."""
    with app.app_context():
        draft = Draft("新兰", "星澜", near=True, note="项目名")
        editing.add(db.session(), actor(world.admin), world.research.id, draft, Limits())
        db.session.commit()
    return world.research.id


def pair_of(app: Flask, world: World, table: uuid.UUID) -> uuid.UUID:
    with app.app_context():
        return replacements.pairs_of(db.session(), actor(world.admin), table).pairs[0].id


def test_people_read_and_try_their_departments_table_but_change_nothing(
    app: Flask, table: uuid.UUID, world: World, client_of: ClientOf
) -> None:
    client = client_of(world.lin)
    page = client.get("/hotwords/replacements").get_data(as_text=True)
    assert "只读，由管理员维护" in page
    assert '<td class="ui-break">新兰</td>' in page
    assert 'name="wrong"' not in page
    assert 'name="lines"' not in page
    tried = client.post(f"/hotwords/replacements/{table}/try", data={"text": "去行栏项目<b>"}).get_data(as_text=True)
    assert "<ins>星澜</ins>项目&lt;b&gt;" in tried
    assert "改了 1 处" in tried
    part = client.post(f"/hotwords/replacements/{table}/try", data={"text": "好"}, headers={"HX-Request": "true"})
    assert "没有要改的" in part.get_data(as_text=True)
    assert "<html" not in part.get_data(as_text=True)
    for path in (f"{ADMIN}/{table}", f"{ADMIN}/{table}/import", f"{ADMIN}/pairs/{pair_of(app, world, table)}/delete"):
        assert client.post(path, data={"wrong": "错字", "right": "对字", "lines": "错字→对字"}).status_code == 403


def test_strangers_find_no_such_table(table: uuid.UUID, world: World, client_of: ClientOf) -> None:
    zhao = client_of(world.zhao)
    assert zhao.get(f"/hotwords/replacements?table={table}").status_code == 404
    assert zhao.post(f"/hotwords/replacements/{table}/try", data={"text": "新兰"}).status_code == 404
    assert "新兰" not in zhao.get("/hotwords/replacements").get_data(as_text=True)
    assert zhao.get(f"/hotwords/replacements?table={COMPANY_TABLE}").status_code == 200
    assert zhao.get("/hotwords/replacements?table=nonsense").status_code == 404
    admin = client_of(world.admin)
    assert admin.get(f"{ADMIN}?table={uuid.uuid4()}").status_code == 404
    assert admin.post(f"{ADMIN}/{uuid.uuid4()}", data={"wrong": "错字", "right": "对字"}).status_code == 404
    assert admin.post(f"{ADMIN}/pairs/{uuid.uuid4()}/delete").status_code == 404


def test_add_edit_and_delete_without_script(app: Flask, table: uuid.UUID, world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    form = {"wrong": "deep seek", "right": "DeepSeek", "near": "0", "note": "模型", "enabled": "1"}
    page = client.post(f"{ADMIN}/{table}", data=form, follow_redirects=True).get_data(as_text=True)
    assert "已加入：deep seek → DeepSeek" in page
    assert "2 / 1000" in page
    pair = pair_of(app, world, table)
    page = client.get(f"{ADMIN}?table={table}&edit={pair}").get_data(as_text=True)
    assert 'value="DeepSeek"' in page
    assert "这一条由" in page
    del form["enabled"]
    page = client.post(f"{ADMIN}/pairs/{pair}", data=form, follow_redirects=True).get_data(as_text=True)
    assert "已停用" in page
    assert client.get(f"{ADMIN}?table={table}&edit={pair}").status_code == 404  # that version of it has ended
    gone = client.post(f"{ADMIN}/pairs/{pair_of(app, world, table)}/delete", follow_redirects=True)
    assert "已删除这一条" in gone.get_data(as_text=True)
    back = client.post(f"{ADMIN}/{table}/roll-back", data={"number": "2"}, follow_redirects=True)
    assert "<b>DeepSeek</b>" in back.get_data(as_text=True)


def test_what_cannot_be_kept_stays_in_its_fields_with_the_reason(
    table: uuid.UUID, world: World, client_of: ClientOf
) -> None:
    client = client_of(world.admin)
    answer = client.post(f"{ADMIN}/{table}", data={"wrong": "新，兰<", "right": "星澜二", "enabled": "1"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "“新,兰&lt;→星澜二”不能使用" in page
    assert 'value="新，兰&lt;"' in page
    taken = client.post(f"{ADMIN}/{table}", data={"wrong": "新兰", "right": "别的", "enabled": "1"})
    assert taken.status_code == 409
    assert "“新兰”已经在替换表里" in taken.get_data(as_text=True)


def test_pasted_lines(table: uuid.UUID, world: World, client_of: ClientOf) -> None:
    client = client_of(world.admin)
    lines = "新兰→心澜\n云书,云枢\n坏的一行\n兰→澜"
    answer = client.post(f"{ADMIN}/{table}/import", data={"lines": lines, "near": "1"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "第 3 行" in page
    assert "只有一个字" in page
    assert "坏的一行\n兰→澜</textarea>" in page
    assert re.search(r'<option value="1" selected>读音相近也算', page)
    taken = client.post(
        f"{ADMIN}/{table}/import", data={"lines": "新兰→心澜\n云书,云枢", "near": "1"}, follow_redirects=True
    ).get_data(as_text=True)
    assert "新加 1 条，改了 1 条，0 条原来就有。" in taken


def test_a_long_table_is_paged_and_searched(app: Flask, table: uuid.UUID, world: World, client_of: ClientOf) -> None:
    with app.app_context():
        raw = "\n".join(f"错字{number:04}→对字{number:04}" for number in range(150))
        editing.take_in(db.session(), actor(world.admin), table, raw, near=False, limits=Limits())
        db.session.commit()
    client = client_of(world.admin)
    page = client.get(f"{ADMIN}?table={table}").get_data(as_text=True)
    assert page.count("<tr") == 101
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following is not None
    rest = client.get(following.group(1).replace("&amp;", "&")).get_data(as_text=True)
    assert rest.count("<tr") == 52
    assert 'rel="prev"' in rest
    assert client.get(f"{ADMIN}?table={table}&q=0149").get_data(as_text=True).count("<tr") == 2
    assert "没有找到" in client.get(f"{ADMIN}?table={table}&q=%25").get_data(as_text=True)
