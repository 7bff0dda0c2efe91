"""Looking into the log: each filter, keyset pages both ways, the look itself in the log, nobody but auditors."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import utcnow
from portal.errors import Forbidden, NotFound
from portal.models import AuditEvent
from portal.services import audit
from portal.services.audit import Action, AuditFilter
from portal.services.identity.actor import anonymous_actor
from tests.support.world import World, actor


def fill(session: Session, people: World) -> None:
    audit.record(session, actor(people.lin), Action.TRANSCRIPT_OPEN, object_kind="transcript", object_id="t-1")
    audit.record(session, actor(people.wang), Action.RECORDING_PLAY, object_kind="recording", object_id="r-1")
    audit.record(
        session,
        anonymous_actor("zhaoh", address="10.20.9.14", request_id="8F3K-2210"),
        Action.SIGN_IN,
        result="refused",
        reason="SIGN_IN_FAILED",
    )
    audit.record(session, actor(people.admin), Action.USER_DISABLE, object_kind="user", object_id=people.zhao.id)
    session.commit()


CASES: list[tuple[AuditFilter, list[int]]] = [
    (AuditFilter(), [4, 3, 2, 1]),
    (AuditFilter(person="林晓"), [1]),
    (AuditFilter(person="WAN"), [2]),
    (AuditFilter(person="zhaoh"), [3]),
    (AuditFilter(person="%"), []),
    (AuditFilter(action="transcript.open"), [1]),
    (AuditFilter(action="session"), [3]),
    (AuditFilter(object_kind="recording"), [2]),
    (AuditFilter(object_id="t-1"), [1]),
    (AuditFilter(result="refused"), [3]),
    (AuditFilter(address="10.20.9."), [3]),
    (AuditFilter(address="10_20"), []),
    (AuditFilter(request_id=" 8f3k-2210 "), [3]),
    (AuditFilter(since=utcnow() + timedelta(hours=1)), []),
    (AuditFilter(until=utcnow() - timedelta(hours=1)), []),
    (AuditFilter(since=utcnow() - timedelta(hours=1), result="ok"), [4, 2, 1]),
]


def test_filters(session: Session, people: World) -> None:
    fill(session, people)
    for wanted, expected in CASES:
        found = audit.page(session, actor(people.auditor), wanted)
        session.rollback()
        assert [row.event.seq for row in found.rows] == expected, wanted
        assert found.count == len(expected)


def test_names_are_those_of_people_and_never_of_recordings(session: Session, people: World) -> None:
    fill(session, people)
    rows = audit.page(session, actor(people.auditor), AuditFilter()).rows
    assert [(row.actor_display, row.person_display) for row in rows] == [
        ("管理员", "赵敏"), (None, None), ("王启明", None), ("林晓雯", None),
    ]  # fmt: skip


def test_pages_go_both_ways_without_gaps(session: Session, people: World) -> None:
    for _ in range(23):
        audit.record(session, actor(people.lin), Action.TRANSCRIPT_OPEN)
    session.commit()
    auditor, wanted = actor(people.auditor), AuditFilter(action="transcript.open")
    seen: list[int] = []
    before: int | None = None
    while True:
        found = audit.page(session, auditor, wanted, before=before, rows=10)
        seen += [row.event.seq for row in found.rows]
        if found.older is None:
            break
        before = found.older
    assert seen == list(range(23, 0, -1))
    assert found.newer == 3
    newer = audit.page(session, auditor, wanted, after=found.newer, rows=10)
    assert [row.event.seq for row in newer.rows] == list(range(13, 3, -1))
    newest = audit.page(session, auditor, wanted, after=newer.newer, rows=10)
    assert [row.event.seq for row in newest.rows] == list(range(23, 13, -1))
    assert newest.newer is None


def test_a_look_is_itself_in_the_log_with_the_names_of_the_filters_only(session: Session, people: World) -> None:
    fill(session, people)
    audit.page(session, actor(people.auditor), AuditFilter(person="林晓雯", result="ok"))
    look = session.scalars(sa.select(AuditEvent).where(AuditEvent.seq == 5)).one()
    assert (look.action, look.actor_name, look.detail) == (
        "audit.read", "auditor", {"filters": ["person", "result"], "rows": 1},
    )  # fmt: skip


def test_one_event_in_full(session: Session, people: World) -> None:
    fill(session, people)
    row, previous = audit.one_event(session, actor(people.auditor), 2)
    assert row.event.action == "recording.play"
    assert previous == session.scalar(sa.select(AuditEvent.mac).where(AuditEvent.seq == 1))
    with pytest.raises(NotFound):
        audit.one_event(session, actor(people.auditor), 999)


@pytest.mark.parametrize("name", ["lin", "admin"])
def test_nobody_but_auditors(session: Session, people: World, name: str) -> None:
    fill(session, people)
    who = actor(people.person(name))
    for attempt in (
        lambda: audit.page(session, who, AuditFilter()),
        lambda: audit.one_event(session, who, 1),
        lambda: audit.begin_export(session, who, AuditFilter(), "三季度内审抽查"),
        lambda: audit.may_verify(who),
    ):
        with pytest.raises(Forbidden):
            attempt()
