"""What administrators do with accounts, and what they can't do to themselves."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import Forbidden, NotFound, PortalError
from portal.models import User
from portal.models.user import LoginCounter
from portal.services.administration import people as admin
from portal.services.administration.people import FirstPassword, PeopleFilter
from tests.support.world import World, actor

FIRST = FirstPassword("one-time-password", "$argon2id$stub")


def logins(session: Session, people: World, wanted: PeopleFilter) -> list[str]:
    return [row.user.login for row in admin.list_people(session, actor(people.admin), wanted).rows]


def test_filters(session: Session, people: World) -> None:
    admin.disable_person(session, actor(people.admin), people.zhao.id)
    for wanted, expected in (
        (PeopleFilter(), ["admin", "auditor", "lin", "wang", "zhao"]),
        (PeopleFilter(text="晓雯"), ["lin"]),
        (PeopleFilter(text="A%"), []),
        (PeopleFilter(text="AN"), ["wang"]),
        (PeopleFilter(role="auditor"), ["auditor"]),
        (PeopleFilter(state="disabled"), ["zhao"]),
        (PeopleFilter(state="active", department_id=people.research.id), ["lin", "wang"]),
    ):
        assert logins(session, people, wanted) == expected, wanted


def test_pages(session: Session, people: World) -> None:
    first = admin.list_people(session, actor(people.admin), PeopleFilter(), rows=3)
    assert (len(first.rows), first.count) == (3, 5)
    rest = admin.list_people(session, actor(people.admin), PeopleFilter(), after=first.after or "", rows=3)
    assert [row.user.login for row in rest.rows] == ["wang", "zhao"]
    assert rest.after is None


def test_a_lock_is_shown_and_lifted(session: Session, people: World) -> None:
    until = utcnow() + timedelta(minutes=15)
    session.add(LoginCounter(key="name:lin", failures=5, lockouts=1, locked_until=until, window_started_at=utcnow()))
    session.flush()
    assert admin.get_person(session, actor(people.admin), people.lin.id).locked_until == until
    admin.unlock_person(session, actor(people.admin), people.lin.id)
    assert admin.get_person(session, actor(people.admin), people.lin.id).locked_until is None


def test_a_new_person_must_change_the_first_password(session: Session, people: World) -> None:
    made = admin.create_person(
        session, actor(people.admin), FIRST, login="Chen", display_name="陈立", role="staff",
        department_id=people.market.id,
    )  # fmt: skip
    assert (made.must_change_password, made.department_id) == (True, people.market.id)
    for login, role, code in (("chen", "staff", "LOGIN_TAKEN"), ("li", "root", "INVALID_VALUE")):
        with pytest.raises(PortalError, match=code):
            admin.create_person(
                session, actor(people.admin), FIRST, login=login, display_name="x", role=role, department_id=None
            )
    with pytest.raises(NotFound):
        admin.create_person(
            session, actor(people.admin), FIRST, login="li", display_name="x", role="staff", department_id=uuid.uuid4()
        )


def test_nobody_changes_their_own_office_or_locks_themselves_out(session: Session, people: World) -> None:
    who = actor(people.admin)
    for verb in (
        lambda: admin.update_person(session, who, people.admin.id, role="staff", department_id=None),
        lambda: admin.disable_person(session, who, people.admin.id),
        lambda: admin.reset_password(session, who, people.admin.id, FIRST),
    ):
        with pytest.raises(Forbidden):
            verb()


def test_an_office_and_a_department_change_together(session: Session, people: World) -> None:
    admin.update_person(session, actor(people.admin), people.lin.id, role="admin", department_id=people.market.id)
    user = session.get_one(User, people.lin.id)
    assert (user.role, user.department_id) == ("admin", people.market.id)


def test_an_administrator_makes_and_touches_no_auditor(session: Session, people: World) -> None:
    who = actor(people.admin)
    for verb in (
        lambda: admin.create_person(
            session, who, FIRST, login="eye", display_name="x", role="auditor", department_id=None
        ),
        lambda: admin.update_person(session, who, people.lin.id, role="auditor", department_id=None),
        lambda: admin.update_person(session, who, people.auditor.id, role="staff", department_id=None),
        lambda: admin.disable_person(session, who, people.auditor.id),
        lambda: admin.enable_person(session, who, people.auditor.id),
        lambda: admin.reset_password(session, who, people.auditor.id, FIRST),
    ):
        with pytest.raises(PortalError, match="AUDITOR_ON_SERVER"):
            verb()


@pytest.mark.parametrize("name", ["lin", "auditor"])
def test_only_administrators(session: Session, people: World, name: str) -> None:
    who = actor(people.person(name))
    for verb in (
        lambda: admin.list_people(session, who, PeopleFilter()),
        lambda: admin.get_person(session, who, people.zhao.id),
        lambda: admin.disable_person(session, who, people.zhao.id),
        lambda: admin.enable_person(session, who, people.zhao.id),
        lambda: admin.unlock_person(session, who, people.zhao.id),
        lambda: admin.end_sessions(session, who, people.zhao.id),
    ):
        with pytest.raises(Forbidden):
            verb()
