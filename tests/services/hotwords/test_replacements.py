"""Wrong→right tables: whose they are, what a change leaves behind, and what a recording keeps of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import Forbidden, NotFound, PortalError
from portal.models import COMPANY_TABLE, AuditEvent, ReplacementPair, ReplacementTable
from portal.services.administration import departments
from portal.services.hotwords import replacement_editing as editing
from portal.services.hotwords import replacements
from portal.services.hotwords.replacement_editing import Draft, Limits
from portal.services.identity.actor import Actor
from tests.support.world import World, actor

LIMITS = Limits()


def sides(session: Session, who: Actor, table_id: uuid.UUID) -> list[tuple[str, str]]:
    return [(pair.wrong, pair.right) for pair in replacements.pairs_of(session, who, table_id).pairs]


@pytest.fixture
def table(session: Session, people: World) -> uuid.UUID:
    """The research department's table with two pairs, version 2."""
    admin = actor(people.admin)
    editing.add(session, admin, people.research.id, Draft("新兰", "星澜", near=True, note="项目名"), LIMITS)
    editing.add(session, admin, people.research.id, Draft("deep seek", "DeepSeek"), LIMITS)
    session.commit()
    return people.research.id


def test_pasted_lines_come_in_or_take_an_older_pairs_place(session: Session, people: World, table: uuid.UUID) -> None:
    admin = actor(people.admin)
    raw = "新兰→心澜\nDeep Seek,DeepSeek\n云书\t云枢\n灵溪 -> 灵犀"
    taken = editing.take_in(session, admin, table, raw, near=False, limits=LIMITS)
    assert (taken.added, taken.changed, taken.unchanged) == (2, 2, 0)
    assert sides(session, admin, table) == [
        ("Deep Seek", "DeepSeek"), ("云书", "云枢"), ("新兰", "心澜"), ("灵溪", "灵犀"),
    ]  # fmt: skip
    assert editing.take_in(session, admin, table, raw, near=False, limits=LIMITS).unchanged == 4
    (summary,) = [item for item in replacements.tables_for(session, admin) if item.id == table]
    assert (summary.version, summary.pair_count, summary.changed_by) == (3, 4, people.admin.display_name)


def test_versions_differences_and_the_way_back(session: Session, people: World, table: uuid.UUID) -> None:
    admin = actor(people.admin)
    (_, named) = replacements.pairs_of(session, admin, table).pairs
    editing.edit(session, admin, named.id, Draft("新兰", "星澜门户", note="改名"), LIMITS)
    editing.roll_back(session, admin, table, 1)
    session.commit()
    assert sides(session, admin, table) == [("新兰", "星澜")]
    (back,) = replacements.pairs_of(session, admin, table).pairs
    assert (back.near, back.note) == (True, "项目名")
    found = replacements.versions_of(session, admin, table)
    assert [(v.number, v.author, v.added, v.removed) for v in found] == [
        (4, people.admin.display_name, (("新兰", "星澜"),), (("deep seek", "DeepSeek"), ("新兰", "星澜门户"))),
        (3, people.admin.display_name, (("新兰", "星澜门户"),), (("新兰", "星澜"),)),
        (2, people.admin.display_name, (("deep seek", "DeepSeek"),), ()),
        (1, people.admin.display_name, (("新兰", "星澜"),), ()),
    ]
    editing.roll_back(session, admin, table, 0)
    assert sides(session, admin, table) == []
    for number in (-1, 5, 99):
        with pytest.raises(NotFound):
            editing.roll_back(session, admin, table, number)


def test_a_recording_keeps_the_versions_of_its_upload(session: Session, people: World, table: uuid.UUID) -> None:
    admin, lin = actor(people.admin), actor(people.lin)
    editing.add(session, admin, COMPANY_TABLE, Draft("新兰", "公司的写法"), LIMITS)
    editing.add(session, admin, COMPANY_TABLE, Draft("休息", "歇息", enabled=False), LIMITS)
    kept = replacements.replacement_snapshot(session, lin)
    assert [(item["name"], item["version"]) for item in kept] == [(people.research.name, 2), ("", 2)]
    before = replacements.replacements_at(session, kept)
    assert [(pair.wrong, pair.right, pair.near) for pair in before] == [
        ("deep seek", "DeepSeek", False), ("新兰", "星澜", True), ("新兰", "公司的写法", False),
    ]  # fmt: skip
    for pair in replacements.pairs_of(session, admin, table).pairs:
        editing.remove(session, admin, pair.id)
    session.commit()
    assert replacements.replacements_at(session, kept) == before  # a retry finds what the upload found
    assert [item["name"] for item in replacements.replacement_snapshot(session, lin)] == [""]
    assert [item["name"] for item in replacements.replacement_snapshot(session, actor(people.zhao))] == [""]
    assert replacements.replacements_at(session, []) == ()


def test_who_sees_and_changes_what(session: Session, people: World, table: uuid.UUID) -> None:
    lin, zhao, admin = actor(people.lin), actor(people.zhao), actor(people.admin)
    assert [item.id for item in replacements.tables_for(session, lin)] == [table, COMPANY_TABLE]
    assert [item.id for item in replacements.tables_for(session, zhao)] == [people.market.id, COMPANY_TABLE]
    assert {item.id for item in replacements.tables_for(session, admin)} == {table, people.market.id, COMPANY_TABLE}
    assert not any(item.editable for item in replacements.tables_for(session, lin))
    pair = replacements.pairs_of(session, lin, table).pairs[0]
    for who, refusal in ((lin, Forbidden), (zhao, NotFound)):
        for act in (
            lambda who=who: editing.add(session, who, table, Draft("错字", "对字"), LIMITS),
            lambda who=who: editing.edit(session, who, pair.id, Draft("错字", "对字"), LIMITS),
            lambda who=who: editing.remove(session, who, pair.id),
            lambda who=who: editing.take_in(session, who, table, "错字→对字", near=False, limits=LIMITS),
            lambda who=who: editing.roll_back(session, who, table, 0),
        ):
            with pytest.raises(refusal):
                act()
    for look in (replacements.pairs_of, replacements.versions_of, replacements.replacements_of):
        with pytest.raises(NotFound):
            look(session, zhao, table)
    with pytest.raises(NotFound):
        replacements.pair_for(session, zhao, pair.id)
    with pytest.raises(Forbidden):
        replacements.tables_for(session, actor(people.auditor))
    with pytest.raises(Forbidden):
        replacements.check_table(session, actor(people.auditor), COMPANY_TABLE)
    with pytest.raises(NotFound):
        editing.add(session, admin, uuid.uuid4(), Draft("错字", "对字"), LIMITS)


def test_what_cannot_be_kept_is_refused_and_nothing_changes(session: Session, people: World, table: uuid.UUID) -> None:
    admin = actor(people.admin)
    small = Limits(max_pairs=3, max_length=6)
    refusals: Sequence[tuple[str, object]] = (
        ("REPLACEMENT_TAKEN", lambda: editing.add(session, admin, table, Draft("新 兰", "别的"), small)),
        ("REPLACEMENT_REFUSED", lambda: editing.add(session, admin, table, Draft("新，兰", "别的"), small)),
        ("REPLACEMENT_REFUSED", lambda: editing.add(session, admin, table, Draft("k8s", "K8s", near=True), small)),
        ("REPLACEMENT_REFUSED", lambda: editing.take_in(
            session, admin, table, "好的→行\n坏", near=False, limits=small)),
        ("REPLACEMENTS_TOO_MANY", lambda: editing.take_in(
            session, admin, table, "一一→1\n二二→2", near=False, limits=small)),
        ("REPLACEMENTS_TOO_MANY", lambda: editing.take_in(
            session, admin, table, "一一→1\n二二→2\n三三→3\n四四→4", near=False, limits=small)),
    )  # fmt: skip
    for code, act in refusals:
        with pytest.raises(PortalError) as refused:
            act()  # type: ignore[operator]
        assert refused.value.code == code
        session.rollback()
    assert sides(session, admin, table) == [("deep seek", "DeepSeek"), ("新兰", "星澜")]
    assert session.get_one(ReplacementTable, table).current_version == 2


def test_a_pair_changed_meanwhile_is_not_changed_again(session: Session, people: World, table: uuid.UUID) -> None:
    admin = actor(people.admin)
    pair_id = replacements.pairs_of(session, admin, table).pairs[0].id
    editing.edit(session, admin, pair_id, Draft("deep seek", "深度求索"), LIMITS)
    with pytest.raises(NotFound):
        editing.edit(session, admin, pair_id, Draft("deep seek", "DEEPSEEK"), LIMITS)
    with pytest.raises(NotFound):
        editing.remove(session, admin, pair_id)
    other = replacements.pairs_of(session, admin, table).pairs[1]
    with pytest.raises(PortalError, match="REPLACEMENT_TAKEN"):
        editing.edit(session, admin, other.id, Draft("DEEP SEEK", "x y"), LIMITS)
    same = Draft(other.wrong, other.right, other.near, other.enabled, other.note)
    editing.edit(session, admin, other.id, same, LIMITS)  # nothing changed: no version
    assert session.get_one(ReplacementTable, table).current_version == 3


def test_pages_and_search(session: Session, people: World) -> None:
    admin = actor(people.admin)
    raw = "\n".join(f"错字{number:03}→对字{number:03}" for number in range(7))
    editing.take_in(session, admin, COMPANY_TABLE, raw, near=False, limits=LIMITS)
    editing.add(session, admin, COMPANY_TABLE, Draft("百分 号".replace(" ", ""), "100%", note="a_b"), LIMITS)
    seen: list[str] = []
    start: str | None = ""
    while start is not None:
        page = replacements.pairs_of(session, admin, COMPANY_TABLE, start=start, limit=3)
        seen += [pair.right for pair in page.pairs]
        start = page.following
    assert sorted(seen) == sorted([*(f"对字{number:03}" for number in range(7)), "100%"])

    def found(text: str) -> list[str]:
        return [pair.right for pair in replacements.pairs_of(session, admin, COMPANY_TABLE, search=text).pairs]

    assert found("003") == ["对字003"]
    assert found("%") == found("A_B") == found("百分号") == ["100%"]
    assert found("a%b") == found("没有") == []


def test_the_log_counts_and_never_quotes(session: Session, people: World, table: uuid.UUID) -> None:
    admin = actor(people.admin)
    editing.take_in(session, admin, table, "新兰→心澜\n云书→云枢", near=False, limits=LIMITS)
    editing.roll_back(session, admin, table, 2)
    session.commit()
    rows = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.seq)).all()
    assert {row.action for row in rows} == {"replacements.edit"}
    assert rows[2].detail == {"version": 3, "pairs": 3, "added": 1, "changed": 1, "removed": 0}
    assert rows[3].detail == {
        "version": 4, "pairs": 2, "added": 0, "changed": 1, "removed": 1, "rolled_back_to": 2,
    }  # fmt: skip
    assert {row.object_id for row in rows} == {str(table)}
    assert not any(text in str(row.detail) for row in rows for text in ("新兰", "星澜", "云枢", "seek", "项目名"))


def test_a_department_with_pairs_is_not_deleted_and_old_recordings_keep_theirs(session: Session, people: World) -> None:
    admin = actor(people.admin)
    empty = departments.create_department(session, admin, name="撤销中的部门")
    editing.add(session, admin, empty.id, Draft("新兰", "星澜"), LIMITS)
    kept = [{"table_id": str(empty.id), "name": empty.name, "version": 1}]
    with pytest.raises(PortalError, match="DEPARTMENT_NOT_EMPTY"):
        departments.delete_department(session, admin, empty.id)
    editing.remove(session, admin, replacements.pairs_of(session, admin, empty.id).pairs[0].id)
    departments.delete_department(session, admin, empty.id)
    session.commit()
    session.expire_all()
    assert session.get_one(ReplacementTable, empty.id).department_id is None
    assert [pair.right for pair in replacements.replacements_at(session, kept)] == ["星澜"]
    assert session.scalar(sa.select(sa.func.count()).select_from(ReplacementPair)) == 1
    with pytest.raises(NotFound):
        replacements.pairs_of(session, admin, empty.id)


def test_a_change_that_came_while_waiting_for_the_table_is_not_overwritten(
    session: Session, people: World, table: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pair was in force when the page asked, and ended by somebody else before the table's lock was got."""
    admin = actor(people.admin)
    pair_id = replacements.pairs_of(session, admin, table).pairs[0].id
    hold = editing._hold

    def slow_hold(session: Session, who: Actor, table_id: uuid.UUID) -> ReplacementTable:
        held = hold(session, who, table_id)
        ended = sa.update(ReplacementPair).where(ReplacementPair.id == pair_id).values(until=99)
        session.execute(ended.execution_options(synchronize_session=False))
        return held

    monkeypatch.setattr(editing, "_hold", slow_hold)
    with pytest.raises(NotFound):
        editing.edit(session, admin, pair_id, Draft("deep seek", "别的"), LIMITS)
    session.rollback()
    with pytest.raises(NotFound):
        editing.remove(session, admin, pair_id)
    session.rollback()
