"""The history: own recordings only, keyset pages, filters, and search through the text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import AuditEvent, State
from portal.services.transcripts.search import (
    HistoryFilter,
    HistoryPage,
    list_history,
    recent,
    search_history,
    split_terms,
)
from tests.support.library import add_recording
from tests.support.world import World, actor

DAY = datetime(2026, 11, 1, 8, tzinfo=UTC)


def titles(page: HistoryPage) -> list[str]:
    """What a page shows."""
    return [row.recording.title for row in page.rows]


@pytest.fixture
def shelf(session: Session, people: World) -> World:
    """Seven recordings of Lin, one a day, the last two on the same instant; one of Zhao."""
    for i in range(6):
        add_recording(session, people.lin, f"录音{i}", created_at=DAY + timedelta(days=i))
    add_recording(session, people.lin, "录音6", created_at=DAY + timedelta(days=5))
    add_recording(session, people.zhao, "别人的", created_at=DAY)
    return people


def test_pages_hang_together_both_ways(session: Session, shelf: World) -> None:
    lin = actor(shelf.lin)
    first = list_history(session, lin, HistoryFilter(), size=3)
    assert first.newer is None
    second = list_history(session, lin, HistoryFilter(), older_than=first.older, size=3)
    third = list_history(session, lin, HistoryFilter(), older_than=second.older, size=3)
    assert third.older is None
    seen = titles(first) + titles(second) + titles(third)
    assert sorted(seen) == [f"录音{i}" for i in range(7)]
    assert seen[2:] == ["录音4", "录音3", "录音2", "录音1", "录音0"]
    back = list_history(session, lin, HistoryFilter(), newer_than=third.newer, size=3)
    assert titles(back) == titles(second)
    assert (back.newer, back.older) == (second.newer, second.older)
    start = list_history(session, lin, HistoryFilter(), newer_than=second.newer, size=3)
    assert titles(start) == titles(first)
    assert start.newer is None


def test_exactly_one_page_offers_no_other(session: Session, shelf: World) -> None:
    page = list_history(session, actor(shelf.lin), HistoryFilter(), size=7)
    assert (len(page.rows), page.newer, page.older) == (7, None, None)


def test_nothing_yet(session: Session, people: World) -> None:
    page = list_history(session, actor(people.wang), HistoryFilter())
    assert page == HistoryPage((), None, None)


def test_filters_by_state_and_day(session: Session, shelf: World) -> None:
    add_recording(session, shelf.lin, "坏的", state=State.FAILED, created_at=DAY)
    lin = actor(shelf.lin)
    assert titles(list_history(session, lin, HistoryFilter(state="failed"))) == ["坏的"]
    span = HistoryFilter(since=DAY + timedelta(days=1), until=DAY + timedelta(days=3))
    assert titles(list_history(session, lin, span)) == ["录音2", "录音1"]


def test_finds_title_name_and_what_was_said(session: Session, people: World) -> None:
    lin = actor(people.lin)
    said = add_recording(session, people.lin, "周会", texts=["先说别的。", "灵犀网关的证书换掉了。"])
    add_recording(session, people.lin, "灵犀网关复盘", texts=["别的。"])
    add_recording(session, people.lin, "无关", name="灵犀-网关 v2.MP3", texts=["别的。"])
    page = search_history(session, lin, HistoryFilter(terms=("灵犀",)))
    assert sorted(titles(page)) == ["周会", "无关", "灵犀网关复盘"]
    (row,) = (row for row in page.rows if row.recording.id == said.id)
    assert [(hit.begin_ms, hit.text) for hit in row.hits] == [(4000, "灵犀网关的证书换掉了。")]
    assert titles(search_history(session, lin, HistoryFilter(terms=("灵犀", "证书")))) == ["周会"]
    assert titles(search_history(session, lin, HistoryFilter(terms=("mp3", "V2")))) == ["无关"]


@pytest.mark.parametrize("term", ["%", "_", "\\", "5%", "'; --", "a_c"])
def test_signs_of_patterns_mean_themselves(session: Session, people: World, term: str) -> None:
    add_recording(session, people.lin, "普通", texts=["abc，一百五。"])
    assert titles(search_history(session, actor(people.lin), HistoryFilter(terms=(term,)))) == []
    add_recording(session, people.lin, f"有 {term} 的", texts=["好。"])
    assert titles(search_history(session, actor(people.lin), HistoryFilter(terms=(term,)))) == [f"有 {term} 的"]


def test_strangers_text_is_not_searched(session: Session, people: World) -> None:
    add_recording(session, people.zhao, "秘密", texts=["并购的价格。"])
    for person in (people.lin, people.wang, people.admin):
        assert titles(search_history(session, actor(person), HistoryFilter(terms=("并购",)))) == []


def test_a_search_is_audited_without_its_words(session: Session, people: World) -> None:
    add_recording(session, people.lin, "周会")
    search_history(session, actor(people.lin), HistoryFilter(terms=("周会",)))
    (event,) = session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "transcript.search"))
    assert event.detail == {"terms": 1, "found": 1, "first_page": True}


def test_deleted_ones_are_gone_from_list_search_and_recent(session: Session, people: World) -> None:
    recording = add_recording(session, people.lin, "要删的")
    recording.deleted_at = DAY
    session.flush()
    lin = actor(people.lin)
    assert list_history(session, lin, HistoryFilter()).rows == ()
    assert search_history(session, lin, HistoryFilter(terms=("星澜",))).rows == ()
    assert recent(session, lin) == []


def test_terms_are_split_once() -> None:
    assert split_terms("  星澜　网关  星澜 ") == ("星澜", "网关")
    assert len(split_terms(" ".join(map(str, range(50))))) == 8


def test_recent_shows_only_finished_ones(session: Session, people: World) -> None:
    add_recording(session, people.lin, "旧", created_at=DAY)
    add_recording(session, people.lin, "新", created_at=DAY + timedelta(days=1))
    add_recording(session, people.lin, "没好", state=State.QUEUED)
    assert [row.recording.title for row in recent(session, actor(people.lin))] == ["新", "旧"]
