"""Departments: names once, mapped to the directory, removed only when empty."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import Forbidden, NotFound, PortalError
from portal.models import AuditEvent, HotwordList
from portal.services import hotwords
from portal.services.administration import departments as admin
from tests.support.world import World, actor


def test_what_each_holds(session: Session, people: World) -> None:
    who = actor(people.admin)
    hotwords.create(session, who, name="研发", scope="department", department_id=people.research.id)
    rows = {row.name: (row.people, row.lists) for row in admin.list_departments(session, who)}
    assert rows == {"研发部": (2, 1), "市场部": (1, 0)}


def test_create_rename_map(session: Session, people: World) -> None:
    who = actor(people.admin)
    made = admin.create_department(session, who, name=" 法务部 ", directory_name="Legal")
    admin.update_department(session, who, made.id, name="法务合规部", directory_name="")
    session.commit()
    assert (made.name, made.directory_name) == ("法务合规部", None)
    rows = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.seq)).all()
    assert [row.action for row in rows] == ["department.create", "department.update"]
    assert rows[1].detail == {"changed": ["name", "directory_name"]}


def test_names_are_taken_once(session: Session, people: World) -> None:
    who = actor(people.admin)
    with pytest.raises(PortalError, match="DEPARTMENT_NAME_TAKEN"):
        admin.create_department(session, who, name="市场部")
    with pytest.raises(PortalError, match="DEPARTMENT_NAME_TAKEN"):
        admin.update_department(session, who, people.market.id, name="研发部", directory_name="")
    with pytest.raises(PortalError, match="INVALID_VALUE"):
        admin.create_department(session, who, name="​")
    assert {row.name for row in admin.list_departments(session, who)} == {"研发部", "市场部"}


def test_only_an_empty_one_goes(session: Session, people: World) -> None:
    who = actor(people.admin)
    with pytest.raises(PortalError, match="DEPARTMENT_NOT_EMPTY"):
        admin.delete_department(session, who, people.market.id)
    made = admin.create_department(session, who, name="临时")
    shelf = hotwords.create(session, who, name="表", scope="department", department_id=made.id)
    with pytest.raises(PortalError, match="DEPARTMENT_NOT_EMPTY"):
        admin.delete_department(session, who, made.id)
    hotwords.save(session, who, shelf.id, "星澜", expected_version=0)
    hotwords.delete(session, who, shelf.id)
    admin.delete_department(session, who, made.id)
    session.commit()
    session.expire_all()
    assert session.get_one(HotwordList, shelf.id).deleted_at is not None  # its versions stay
    with pytest.raises(NotFound):
        admin.delete_department(session, who, uuid.uuid4())


def test_only_administrators(session: Session, people: World) -> None:
    for name in ("lin", "auditor"):
        with pytest.raises(Forbidden):
            admin.list_departments(session, actor(people.person(name)))
        with pytest.raises(Forbidden):
            admin.create_department(session, actor(people.person(name)), name="x")
