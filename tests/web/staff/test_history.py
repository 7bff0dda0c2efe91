"""The history's pages and what people do there."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from portal.db import utcnow
from portal.models import AuditEvent, Recording, State, Transcription, User
from tests.support.library import add_recording
from tests.support.world import World
from tests.web.staff.conftest import Seed


@pytest.fixture
def lin(world: World, client_of: Callable[[User], FlaskClient]) -> FlaskClient:
    """Lin's browser."""
    return client_of(world.lin)


def test_pages_by_key_in_both_directions(world: World, seed: Seed, lin: FlaskClient) -> None:
    now = utcnow()
    seed(
        lambda s: [add_recording(s, world.lin, f"第{i:02d}段", created_at=now - timedelta(hours=i)) for i in range(60)]
    )
    seen: list[str] = []
    address: str | None = "/history"
    while address:
        page = lin.get(address).text
        seen += re.findall(r'class="ui-history-name"[^>]*>(第\d\d段)<', page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        address = older.group(1).replace("&amp;", "&") if older else None
    assert seen == [f"第{i:02d}段" for i in range(60)]
    newer = re.search(r'rel="prev" href="([^"]+)"', page)
    assert newer is not None
    assert "第25段" in lin.get(newer.group(1).replace("&amp;", "&")).text


def test_search_opens_at_the_second_it_was_said(world: World, seed: Seed, lin: FlaskClient) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, "周会", texts=["先说别的。", "灵犀网关<换>了。"]).id)
    answer = lin.get("/history?q=灵犀&state=done", follow_redirects=True)
    assert answer.request.path == "/history/search"
    assert f'href="/transcripts/{recording}#t=4.0"' in answer.text
    assert "<mark>灵犀</mark>网关&lt;换&gt;了。" in answer.text


def test_search_keeps_its_words_out_of_odd_places(lin: FlaskClient) -> None:
    answer = lin.get("/history?q=<script>&_external=1&_scheme=javascript")
    assert answer.headers["Location"].startswith("/history/search?q=")
    assert "<script>&" not in lin.get("/history/search?q=<script>%26").text


@pytest.mark.parametrize("before", ["x", "1_x", "99999999999999999999_0", "-1", "_"])
def test_broken_keys_show_the_beginning(lin: FlaskClient, before: str) -> None:
    assert lin.get(f"/history?before={before}").status_code == 200


@pytest.mark.parametrize("query", ["from=2026-13-01", "to=9999-12-31", "from=0001-01-01", "state=nonsense"])
def test_broken_filters_filter_nothing(world: World, seed: Seed, lin: FlaskClient, query: str) -> None:
    seed(lambda s: add_recording(s, world.lin, "在这里"))
    assert "在这里" in lin.get(f"/history?{query}").text


def test_a_day_is_a_day_of_the_readers_zone(world: World, seed: Seed, lin: FlaskClient) -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 11, 1, 17, tzinfo=UTC)  # 1 in the morning of the 2nd in Shanghai
    seed(lambda s: add_recording(s, world.lin, "凌晨的", created_at=at))
    assert "凌晨的" in lin.get("/history?from=2026-11-02&to=2026-11-02").text
    assert "凌晨的" not in lin.get("/history?from=2026-11-01&to=2026-11-01").text


def test_rename_and_delete(world: World, seed: Seed, lin: FlaskClient) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, "旧名").id)
    answer = lin.post(f"/recordings/{recording}/rename", data={"title": "新名", "next": "/history?state=done"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/history?state=done")
    assert "新名" in lin.get("/history").text
    lin.post(f"/recordings/{recording}/rename", data={"title": "   "})
    assert "名称不能是空的。" in lin.get("/history").text
    assert lin.post(f"/recordings/{recording}/delete", data={"next": "https://evil.example/"}).location == "/history"
    assert "新名" not in lin.get("/history").text
    assert lin.get(f"/transcripts/{recording}").status_code == 404


def test_cancel_and_retry_keep_the_options(world: World, seed: Seed, lin: FlaskClient) -> None:
    waiting = seed(lambda s: add_recording(s, world.lin, state=State.QUEUED, hotwords=["星澜"]).id)
    attempt = seed(lambda s: s.scalar(sa.select(Transcription.id).where(Transcription.recording_id == waiting)))
    assert lin.post(f"/transcriptions/{attempt}/cancel").status_code == 303
    assert lin.post(f"/transcriptions/{attempt}/cancel").status_code == 409
    assert lin.post(f"/transcriptions/{attempt}/retry").status_code == 303
    columns = sa.select(Transcription.state, Transcription.hotwords).where(Transcription.id == attempt)
    assert seed(lambda s: tuple(s.execute(columns).one())) == ("queued", ["星澜"])


@pytest.mark.parametrize("act", ["rename", "delete"])
@pytest.mark.parametrize("who", ["wang", "zhao", "admin", "auditor"])
def test_nobody_touches_a_strangers_recording(
    world: World, seed: Seed, client_of: Callable[[User], FlaskClient], act: str, who: str
) -> None:
    recording = seed(lambda s: add_recording(s, world.lin, "林的").id)
    answer = client_of(world.person(who)).post(f"/recordings/{recording}/{act}", data={"title": "x"})
    assert answer.status_code == (404 if who in ("wang", "zhao") else 403)
    columns = sa.select(Recording.title, Recording.deleted_at).where(Recording.id == recording)
    assert seed(lambda s: tuple(s.execute(columns).one())) == ("林的", None)


def test_only_a_search_is_audited(world: World, seed: Seed, lin: FlaskClient) -> None:
    lin.get("/history?state=done")
    lin.get("/history/search?q=并购价格")
    columns = sa.select(AuditEvent.action, AuditEvent.detail, AuditEvent.object_id)
    rows = seed(lambda s: [tuple(row) for row in s.execute(columns.where(AuditEvent.actor_id == world.lin.id))])
    assert [row[0] for row in rows] == ["transcript.search"]
    assert "并购" not in str(rows)


def test_what_no_database_keeps_is_refused(lin: FlaskClient) -> None:
    """PostgreSQL fails at NUL in any value, which was a 500; SQLite takes it for the end and finds everything."""
    assert lin.get("/history/search?q=a%00b").status_code == 400
    assert lin.get("/history?state=%00").status_code == 400
    assert lin.post("/hotwords", data={"name": "a\0b"}).status_code == 400
