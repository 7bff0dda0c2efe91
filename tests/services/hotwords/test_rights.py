"""Whose lists a person sees, uses and changes."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy.orm import Session

from portal.errors import Forbidden, NotFound, PortalError
from portal.models import HotwordList, User
from portal.services import hotwords
from tests.support.world import World, actor


@pytest.fixture
def lists(session: Session, people: World) -> dict[str, HotwordList]:
    """One list of each kind, a word in each."""
    admin, lin, zhao = actor(people.admin), actor(people.lin), actor(people.zhao)
    made = {
        "research": hotwords.create(session, admin, name="研发", scope="department", department_id=people.research.id),
        "market": hotwords.create(session, admin, name="市场", scope="department", department_id=people.market.id),
        "company": hotwords.create(session, admin, name="全公司", scope="company"),
        "lin": hotwords.create(session, lin, name="晓雯的词", scope="personal"),
        "zhao": hotwords.create(session, zhao, name="赵敏的词", scope="personal"),
    }
    authors = {"lin": lin, "zhao": zhao}
    for name, found in made.items():
        hotwords.save(session, authors.get(name, admin), found.id, f"星澜{name}", expected_version=0)
    session.commit()
    return made


SEES = {
    "lin": ["research", "company", "lin"],
    "wang": ["research", "company"],
    "zhao": ["market", "company", "zhao"],
    "admin": ["research", "market", "company"],
}
CHANGES = {"lin": ["lin"], "wang": [], "zhao": ["zhao"], "admin": ["research", "market", "company"]}


def test_who_sees_and_changes_what(session: Session, people: World, lists: dict[str, HotwordList]) -> None:
    for who, seen in SEES.items():
        found = hotwords.lists_for(session, actor(people.person(who)))
        assert {item.id for item in found} == {lists[name].id for name in seen}, who
        assert {item.id for item in found if item.editable} == {lists[name].id for name in CHANGES[who]}, who
        assert all(item.word_count == 1 and item.version == 1 for item in found)
        for name, one in lists.items():
            _each_verb(session, people.person(who), one, seen=name in seen, changes=name in CHANGES[who])


def _each_verb(session: Session, user: User, one: HotwordList, *, seen: bool, changes: bool) -> None:
    who, version = actor(user), one.current_version
    reading = (
        lambda: hotwords.list_for(session, who, one.id),
        lambda: hotwords.versions_of(session, who, one.id),
        lambda: hotwords.snapshot(session, who, [one.id], ""),
    )
    writing = (
        lambda: hotwords.save(session, who, one.id, "灵犀网关", expected_version=version),
        lambda: hotwords.rename(session, who, one.id, f"名字{uuid.uuid4().hex[:6]}"),
        lambda: hotwords.delete(session, who, one.id),
    )
    for verb in reading:
        if seen:
            verb()
            continue
        with pytest.raises(NotFound):
            verb()
    for act in writing:
        if changes:
            act()
            session.rollback()
            continue
        with pytest.raises(Forbidden if seen else NotFound):
            act()


def test_only_the_own_departments_list_is_preselected(
    session: Session, people: World, lists: dict[str, HotwordList]
) -> None:
    chosen = [item.id for item in hotwords.lists_for(session, actor(people.lin)) if item.preselected]
    assert chosen == [lists["research"].id]


def test_auditors_have_nothing_to_do_with_hotwords(session: Session, people: World) -> None:
    with pytest.raises(Forbidden):
        hotwords.lists_for(session, actor(people.auditor))


def test_who_may_make_which_list(session: Session, people: World) -> None:
    lin, admin, auditor = actor(people.lin), actor(people.admin), actor(people.auditor)
    for who, scope in ((lin, "company"), (lin, "department"), (admin, "personal"), (auditor, "personal")):
        with pytest.raises(Forbidden):
            hotwords.create(session, who, name="表", scope=scope, department_id=people.research.id)
    with pytest.raises(NotFound):
        hotwords.create(session, admin, name="表", scope="department", department_id=uuid.uuid4())
    with pytest.raises(PortalError) as refused:
        hotwords.create(session, lin, name=" \u200b ", scope="personal")
    assert refused.value.code == "INVALID_VALUE"


def test_a_deleted_list_is_gone_for_everybody(session: Session, people: World, lists: dict[str, HotwordList]) -> None:
    hotwords.delete(session, actor(people.admin), lists["research"].id)
    session.commit()
    for who in ("lin", "admin"):
        with pytest.raises(NotFound):
            hotwords.list_for(session, actor(people.person(who)), lists["research"].id)
    hotwords.create(
        session, actor(people.admin), name="研发", scope="department", department_id=people.research.id
    )  # the name is free again
