"""Departments: made here or by the directory, with the number of people and lists they hold."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.errors import NotFound, PortalError
from portal.models.department import Department
from portal.models.hotword_list import HotwordList
from portal.models.user import User
from portal.services import audit, hotwords
from portal.services.administration.office import need
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission

NAME_AT_MOST = 60
DIRECTORY_NAME_AT_MOST = 256


@dataclass(frozen=True, slots=True)
class DepartmentRow:
    """One department with what it holds."""

    id: uuid.UUID
    name: str
    directory_name: str | None
    people: int
    lists: int


def list_departments(session: Session, actor: Actor) -> list[DepartmentRow]:
    """All departments by name.

    Raises:
        Forbidden: the actor is no administrator.
    """
    need(actor, Permission.ADMIN_DEPARTMENTS)
    people = sa.select(sa.func.count()).where(User.department_id == Department.id).scalar_subquery()
    lists = (
        sa.select(sa.func.count())
        .where(HotwordList.department_id == Department.id, HotwordList.deleted_at.is_(None))
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(Department.id, Department.name, Department.directory_name, people, lists).order_by(Department.name)
    )
    return [DepartmentRow(*row) for row in rows]


def create_department(session: Session, actor: Actor, *, name: str, directory_name: str = "") -> Department:
    """A new department.

    Args:
        directory_name: the value of the directory's department attribute whose people belong here; may be empty.

    Raises:
        Forbidden: the actor is no administrator.
        PortalError: DEPARTMENT_NAME_TAKEN, INVALID_VALUE.
    """
    need(actor, Permission.ADMIN_DEPARTMENTS)
    department = Department()
    _write(session, department, {"name": _name(name), "directory_name": _directory_name(directory_name)})
    _record(session, actor, audit.Action.DEPARTMENT_CREATE, department.id)
    return department


def update_department(
    session: Session, actor: Actor, department_id: uuid.UUID, *, name: str, directory_name: str
) -> None:
    """Rename a department or map another directory value to it.

    Raises:
        Forbidden, NotFound: the actor is no administrator; there is no such department.
        PortalError: DEPARTMENT_NAME_TAKEN, INVALID_VALUE.
    """
    department = _get(session, actor, department_id)
    fresh = {"name": _name(name), "directory_name": _directory_name(directory_name)}
    changed = [field for field, value in fresh.items() if getattr(department, field) != value]
    if not changed:
        return
    _write(session, department, fresh)
    _record(session, actor, audit.Action.DEPARTMENT_UPDATE, department.id, {"changed": changed})


def delete_department(session: Session, actor: Actor, department_id: uuid.UUID) -> None:
    """Remove a department that holds nobody, no list and no wrong→right pair.

    Raises:
        Forbidden, NotFound: the actor is no administrator; there is no such department.
        PortalError: DEPARTMENT_NOT_EMPTY.
    """
    department = _get(session, actor, department_id)
    row = next(row for row in list_departments(session, actor) if row.id == department.id)
    if row.people or row.lists or hotwords.holds_pairs(session, department.id):
        raise PortalError("DEPARTMENT_NOT_EMPTY")
    # deleted lists keep their versions for the transcriptions that used them; they belong to nobody from now on
    session.execute(
        sa.update(HotwordList)
        .where(HotwordList.department_id == department.id)
        .values(department_id=None, scope="company")
    )
    session.delete(department)
    _record(session, actor, audit.Action.DEPARTMENT_DELETE, department_id)


def _get(session: Session, actor: Actor, department_id: uuid.UUID) -> Department:
    need(actor, Permission.ADMIN_DEPARTMENTS)
    department = session.get(Department, department_id)
    if department is None:
        raise NotFound
    return department


def _visible(text: str) -> str:
    return " ".join("".join(ch for ch in text if ch.isprintable()).split())


def _name(text: str) -> str:
    name = _visible(text)
    if not 1 <= len(name) <= NAME_AT_MOST:
        raise PortalError("INVALID_VALUE", field="name")
    return name


def _directory_name(text: str) -> str | None:
    name = _visible(text)
    if len(name) > DIRECTORY_NAME_AT_MOST:
        raise PortalError("INVALID_VALUE", field="directory_name")
    return name or None


def _write(session: Session, department: Department, values: dict[str, str | None]) -> None:
    try:
        with session.begin_nested():
            for field, value in values.items():
                setattr(department, field, value)
            session.add(department)
            session.flush()
    except IntegrityError:
        raise PortalError("DEPARTMENT_NAME_TAKEN") from None


def _record(
    session: Session,
    actor: Actor,
    action: audit.Action,
    department_id: uuid.UUID,
    detail: dict[str, object] | None = None,
) -> None:
    audit.record(session, actor, action, object_kind="department", object_id=department_id, detail=detail)
