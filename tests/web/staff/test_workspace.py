"""The first page: for whom, what it shows, what it remembers."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.models import HotwordList, HotwordListVersion, PolicySetting, State, Upload, User
from portal.services.recognition.capabilities import Abilities
from portal.views import workspace
from tests.support.library import add_recording
from tests.support.world import World
from tests.web.staff.conftest import Seed


def test_each_office_has_its_own_first_page(world: World, client_of: Callable[[User], FlaskClient]) -> None:
    assert client_of(world.lin).get("/").status_code == 200
    assert client_of(world.admin).get("/").headers["Location"] == "/admin/"
    assert client_of(world.auditor).get("/").headers["Location"] == "/audit"


def test_nobody_is_sent_to_sign_in(client: FlaskClient, world: World) -> None:
    assert client.get("/").headers["Location"].startswith("/sign-in")


def test_shows_what_runs_waits_and_failed(world: World, seed: Seed, client_of: Callable[[User], FlaskClient]) -> None:
    def fill(session: Session) -> None:
        add_recording(session, world.lin, "排着的", state=State.QUEUED)
        add_recording(session, world.lin, "在跑的", state=State.RUNNING, audio_ms=7_080_000, done_ms=2_535_000)
        add_recording(session, world.lin, "坏了的", state=State.FAILED, error_code="ASR_FAILED", finished_at=utcnow())
        add_recording(session, world.lin, "好了的")
        add_recording(session, world.wang, "别人的", state=State.QUEUED)

    seed(fill)
    page = client_of(world.lin).get("/").text
    assert "排队第 " in page
    assert "42:15 / 1:58:00" in page
    assert "识别没有完成。" in page
    assert "好了的" in page
    assert "别人的" not in page
    fragment = client_of(world.lin).get("/work/items").text
    assert 'data-active="2"' in fragment
    assert "<html" not in fragment


def test_a_failed_item_is_put_away_and_stays_in_the_history(
    world: World, seed: Seed, client_of: Callable[[User], FlaskClient]
) -> None:
    seed(lambda session: add_recording(session, world.lin, "坏了的", state=State.FAILED, finished_at=utcnow()))
    client = client_of(world.lin)
    page = client.get("/").text
    action = page.split("/dismiss")[0].rsplit("/", 1)[-1]
    assert client.post(f"/work/items/{action}/dismiss").status_code == 303
    assert "坏了的" not in client.get("/").text
    assert "坏了的" in client.get("/history").text


def test_uploads_that_stopped_or_were_refused_stay_visible(
    world: World, seed: Seed, client_of: Callable[[User], FlaskClient]
) -> None:
    def fill(session: Session) -> None:
        common = {"owner_id": world.lin.id, "total_bytes": 1000, "expires_at": utcnow().replace(year=2100)}
        session.add(Upload(original_name="停在半路.wav", received_bytes=620, state="open", **common))
        session.add(Upload(original_name="坏文件.wav", state="refused", error_code="MEDIA_DAMAGED", **common))

    seed(fill)
    page = client_of(world.lin).get("/").text
    assert "上次传到 62 %" in page
    assert "文件已损坏，读不出声音。" in page


@pytest.fixture
def lists(world: World, seed: Seed) -> dict[str, uuid.UUID]:
    """A list of Lin's department, one of the company, one of another department."""

    def fill(session: Session) -> dict[str, uuid.UUID]:
        made = {
            "研发热词": HotwordList(name="研发热词", scope="department", department_id=world.research.id),
            "公司热词": HotwordList(name="公司热词", scope="company"),
            "市场热词": HotwordList(name="市场热词", scope="department", department_id=world.market.id),
        }
        for row in made.values():
            row.current_version = 1
            session.add(row)
        session.flush()
        for row in made.values():
            words = [{"text": "星澜", "note": ""}]
            session.add(HotwordListVersion(list_id=row.id, number=1, words=words, digest="0" * 64))
        return {name: row.id for name, row in made.items()}

    found: dict[str, uuid.UUID] = seed(fill)
    return found


def chosen(page: str, list_id: uuid.UUID) -> bool:
    """Whether the list's box is ticked."""
    (box,) = [part for part in page.split("<input") if f'value="{list_id}"' in part.split(">")[0]]
    return " checked" in box.split(">")[0]


def test_the_department_list_is_chosen_and_choices_are_remembered(
    world: World, lists: dict[str, uuid.UUID], client_of: Callable[[User], FlaskClient]
) -> None:
    client = client_of(world.lin)
    page = client.get("/").text
    assert chosen(page, lists["研发热词"])
    assert not chosen(page, lists["公司热词"])
    assert "市场热词" not in page
    answer = client.post(
        "/work/options",
        data={"itn": "0", "channels": "split", "hotword_lists": [str(lists["公司热词"]), str(lists["市场热词"]), "x"]},
    )
    assert answer.status_code == 204
    page = client.get("/").text
    assert not chosen(page, lists["研发热词"])
    assert chosen(page, lists["公司热词"])
    assert 'value="split" data-label="左右分开" checked' in page
    assert 'name="itn" value="1" checked' not in page


def test_a_way_of_cutting_is_remembered_and_what_is_not_sent_stays(
    world: World, client_of: Callable[[User], FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    able = Abilities(frozenset({"language_choice", "speakers"}), ("zh", "yue"), known=True)
    monkeypatch.setattr(workspace, "abilities", lambda settings: able)
    client = client_of(world.lin)
    first = {"itn": "1", "channels": "mix", "language": "yue", "speakers": "1", "speaker_count": "4"}
    assert client.post("/work/options", data=first).status_code == 204
    own = {"vad_preset": "custom", "vad_max_segment": "12", "vad_end_silence": "450", "vad_threshold": ""}
    assert client.post("/work/options", data={"itn": "1", "channels": "mix", **own}).status_code == 204
    page = client.get("/").text
    assert 'value="yue" data-label="粤语" checked' in page
    assert 'data-many="{count} 位">4 位</b>' in page
    assert 'value="custom" data-label="自定义" checked' in page
    assert 'name="vad_max_segment" value="12"' in page
    assert 'name="vad_end_silence" value="450"' in page
    assert 'value="text" data-label="文字" checked' in page
    for wrong in ({"vad_preset": "live"}, {**own, "vad_max_segment": "61"}, {"language": "../x"}):
        answer = client.post("/work/options", data={"itn": "1", "channels": "mix", **wrong})
        assert answer.status_code == 422


def test_the_house_decides_how_newcomers_begin(
    world: World, seed: Seed, client_of: Callable[[User], FlaskClient]
) -> None:
    seed(lambda s: s.add(PolicySetting(name="default_vad_preset", version=1, value={"value": "lecture"})))
    assert 'value="lecture" data-label="讲课" checked' in client_of(world.lin).get("/").text


def test_hotwords_that_the_model_cannot_use_say_so(
    world: World, lists: dict[str, uuid.UUID], client_of: Callable[[User], FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "abilities", lambda settings: Abilities(frozenset({"punctuation"}), (), known=True))
    page = client_of(world.lin).get("/").text
    assert "现在用的模型不能用热词" in page
    assert 'id="hotword-choices" disabled' in page
    assert chosen(page, lists["研发热词"])
    assert 'data-shows="language"' not in page
    assert 'name="speakers"' not in page


def test_unknown_channels_are_refused(world: World, client_of: Callable[[User], FlaskClient]) -> None:
    assert client_of(world.lin).post("/work/options", data={"channels": "five"}).status_code == 422
