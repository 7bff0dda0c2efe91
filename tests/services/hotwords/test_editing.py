"""Every save is a version; two people never overwrite each other; what can't be used is named."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import NotFound, PortalError
from portal.models import AuditEvent, HotwordList
from portal.services import hotwords
from tests.support.world import World, actor


@pytest.fixture
def mine(session: Session, people: World) -> HotwordList:
    """Lin's own list, empty."""
    found = hotwords.create(session, actor(people.lin), name="晓雯的词", scope="personal")
    session.commit()
    return found


def test_pasted_in_any_form(session: Session, people: World, mine: HotwordList) -> None:
    lin = actor(people.lin)
    raw = "星澜, 灵犀网关，云枢\tＫ８ｓ\n星澜\r\n漏检率；江州"
    assert hotwords.save(session, lin, mine.id, raw, expected_version=0) == 1
    assert hotwords.list_for(session, lin, mine.id).words == ("星澜", "灵犀网关", "云枢", "K8s", "漏检率", "江州")


def test_versions_differences_and_the_way_back(session: Session, people: World, mine: HotwordList) -> None:
    lin = actor(people.lin)
    hotwords.save(session, lin, mine.id, "星澜 兰亭", expected_version=0)
    hotwords.save(session, lin, mine.id, "星澜 灵犀网关", expected_version=1)
    assert hotwords.save(session, lin, mine.id, "星澜  灵犀网关", expected_version=2) == 2  # nothing changed
    assert hotwords.roll_back(session, lin, mine.id, 1, expected_version=2) == 3
    session.commit()
    found = hotwords.versions_of(session, lin, mine.id)
    assert [(v.number, v.author, v.added, v.removed) for v in found] == [
        (3, "林晓雯", ("兰亭",), ("灵犀网关",)),
        (2, "林晓雯", ("灵犀网关",), ("兰亭",)),
        (1, "林晓雯", ("星澜", "兰亭"), ()),
    ]
    assert [v.number for v in hotwords.versions_of(session, lin, mine.id, limit=1, before=3)] == [2]
    for number in (0, 3, 9):
        with pytest.raises(NotFound):
            hotwords.roll_back(session, lin, mine.id, number, expected_version=3)


def test_a_save_over_somebody_elses_is_a_conflict(session: Session, people: World, mine: HotwordList) -> None:
    lin = actor(people.lin)
    hotwords.save(session, lin, mine.id, "星澜", expected_version=0)
    with pytest.raises(PortalError) as refused:
        hotwords.save(session, lin, mine.id, "兰亭", expected_version=0)
    assert refused.value.code == "CONFLICT"
    assert hotwords.list_for(session, lin, mine.id).words == ("星澜",)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("星澜 a/b", "HOTWORD_REFUSED"),
        ("一二三四五六七八九十一二三四五六七", "HOTWORD_REFUSED"),
        ("一 二 三 四", "HOTWORDS_TOO_MANY"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_saved(
    session: Session, people: World, mine: HotwordList, raw: str, code: str
) -> None:
    with pytest.raises(PortalError) as refused:
        hotwords.save(session, actor(people.lin), mine.id, raw, expected_version=0, max_words=3)
    assert refused.value.code == code
    assert hotwords.list_for(session, actor(people.lin), mine.id).summary.version == 0


def test_names_are_taken_once_among_siblings(session: Session, people: World, mine: HotwordList) -> None:
    lin, wang = actor(people.lin), actor(people.wang)
    hotwords.create(session, wang, name="晓雯的词", scope="personal")  # another person's shelf
    second = hotwords.create(session, lin, name="会议", scope="personal")
    with pytest.raises(PortalError, match="LIST_NAME_TAKEN"):
        hotwords.create(session, lin, name="晓雯的词", scope="personal")
    with pytest.raises(PortalError, match="LIST_NAME_TAKEN"):
        hotwords.rename(session, lin, second.id, " 晓雯的词 ")


def test_personal_lists_are_limited(session: Session, people: World) -> None:
    lin = actor(people.lin)
    for number in range(20):
        hotwords.create(session, lin, name=f"表{number}", scope="personal")
    with pytest.raises(PortalError) as refused:
        hotwords.create(session, lin, name="再来", scope="personal")
    assert refused.value.code == "TOO_MANY_LISTS"


def test_the_log_counts_and_never_quotes(session: Session, people: World, mine: HotwordList) -> None:
    lin = actor(people.lin)
    hotwords.save(session, lin, mine.id, "星澜 兰亭", expected_version=0)
    hotwords.rename(session, lin, mine.id, "新名字")
    hotwords.delete(session, lin, mine.id)
    session.commit()
    rows = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.seq)).all()
    assert [row.action for row in rows] == ["hotwords.create", "hotwords.edit", "hotwords.rename", "hotwords.delete"]
    assert rows[1].detail == {"version": 1, "words": 2, "added": 2, "removed": 0}
    assert {row.object_id for row in rows} == {str(mine.id)}
    assert not any(text in str(row.detail) for row in rows for text in ("星澜", "晓雯", "新名字"))


def test_a_snapshot_joins_lists_and_typed_words(session: Session, people: World, mine: HotwordList) -> None:
    admin, lin = actor(people.admin), actor(people.lin)
    team = hotwords.create(session, admin, name="研发", scope="department", department_id=people.research.id)
    hotwords.save(session, admin, team.id, "云枢 星澜", expected_version=0)
    hotwords.save(session, lin, mine.id, "星澜 漏检率", expected_version=0)
    taken = hotwords.snapshot(session, lin, [team.id, mine.id, team.id], "江州，云枢", max_words=4, max_length=16)
    assert taken.words == ("云枢", "星澜", "漏检率", "江州")
    assert [(item["name"], item["version"]) for item in taken.versions] == [("研发", 1), ("晓雯的词", 1)]
    with pytest.raises(PortalError) as refused:
        hotwords.snapshot(session, lin, [team.id, mine.id], "江州 一汽", max_words=4, max_length=16)
    assert refused.value.params == {"count": 5, "limit": 4}
    hotwords.save(session, admin, team.id, "别的", expected_version=1)
    assert taken.words[0] == "云枢"  # later edits don't reach it
