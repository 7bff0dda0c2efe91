"""Reading the log: filters, keyset pages, one event in full. Every look is itself audited."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.errors import NotFound
from portal.models.audit_event import AuditEvent
from portal.models.user import User
from portal.services.audit.actions import Action
from portal.services.audit.log import record
from portal.services.audit.office import need
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission

PAGE_ROWS = 50
COUNT_UP_TO = 100_000
"""Above this the number of matches is shown as "more than": counting millions would cost more than it tells."""
PEOPLE_UP_TO = 200


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What somebody looks for; empty fields match everything. Times are aware; ``until`` is exclusive."""

    person: str = ""
    """Part of a login or of a name."""
    action: str = ""
    """An action such as ``transcript.open``, or a family such as ``transcript``."""
    object_kind: str = ""
    object_id: str = ""
    result: str = ""
    since: datetime | None = None
    until: datetime | None = None
    address: str = ""
    """The beginning of an address."""
    request_id: str = ""

    def names(self) -> list[str]:
        """Which fields are set: this, not their values, is what the log keeps about a look into it."""
        return [field.name for field in fields(self) if getattr(self, field.name)]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event with the names that the actor and, for people, the object bear today."""

    event: AuditEvent
    actor_display: str | None
    person_display: str | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Newest first. ``older`` and ``newer`` are the keys of the neighbouring pages, None where there is none."""

    rows: list[AuditRow]
    count: int
    """Matches, up to ``COUNT_UP_TO`` + 1."""
    older: int | None
    newer: int | None


def conditions(session: Session, wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    """The filter as SQL conditions on ``AuditEvent``."""
    found: list[sa.ColumnElement[bool]] = []
    if wanted.person:
        found.append(_person(session, wanted.person))
    if wanted.action:
        family = AuditEvent.action.startswith(wanted.action + ".", autoescape=True)
        found.append(AuditEvent.action == wanted.action if "." in wanted.action else family)
    if wanted.object_kind:
        found.append(AuditEvent.object_kind == wanted.object_kind)
    if wanted.object_id:
        found.append(AuditEvent.object_id == wanted.object_id)
    if wanted.result:
        found.append(AuditEvent.result == wanted.result)
    if wanted.since is not None:
        found.append(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        found.append(AuditEvent.at < wanted.until)
    if wanted.address:
        found.append(AuditEvent.address.startswith(wanted.address, autoescape=True))
    if wanted.request_id:
        found.append(AuditEvent.request_id == wanted.request_id.strip().upper())
    return found


def _person(session: Session, text: str) -> sa.ColumnElement[bool]:
    # names live in the short table of people; the long log is then searched by its index
    matching = sa.or_(User.login.icontains(text, autoescape=True), User.display_name.icontains(text, autoescape=True))
    ids = list(session.scalars(sa.select(User.id).where(matching).limit(PEOPLE_UP_TO)))
    typed = AuditEvent.actor_name == text
    return sa.or_(AuditEvent.actor_id.in_(ids), typed) if ids else typed


def page(
    session: Session,
    actor: Actor,
    wanted: AuditFilter,
    *,
    before: int | None = None,
    after: int | None = None,
    rows: int = PAGE_ROWS,
) -> AuditPage:
    """One page of matches, newest first; leaves one ``audit.read`` row with the names of the filters.

    Args:
        before: only rows with a smaller number (the next older page).
        after: only rows with a greater number (the next newer page).

    Raises:
        Forbidden: the actor is no auditor.
    """
    need(actor, Permission.AUDIT_READ)
    where = conditions(session, wanted)
    matching = sa.select(AuditEvent).where(*where)
    if after is not None:
        newest_last = matching.where(AuditEvent.seq > after).order_by(AuditEvent.seq).limit(rows + 1)
        found = list(session.scalars(newest_last))
        more_newer, more_older = len(found) > rows, True
        events = found[:rows][::-1]
    else:
        if before is not None:
            matching = matching.where(AuditEvent.seq < before)
        found = list(session.scalars(matching.order_by(AuditEvent.seq.desc()).limit(rows + 1)))
        more_newer, more_older = before is not None, len(found) > rows
        events = found[:rows]
    some = sa.select(sa.literal(1)).select_from(AuditEvent).where(*where).limit(COUNT_UP_TO + 1).subquery()
    count = session.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    shown = _with_names(session, events)
    record(session, actor, Action.AUDIT_READ, detail={"filters": wanted.names(), "rows": len(events)})
    return AuditPage(
        shown,
        count,
        events[-1].seq if events and more_older else None,
        events[0].seq if events and more_newer else None,
    )


def _with_names(session: Session, events: list[AuditEvent]) -> list[AuditRow]:
    ids = {event.actor_id for event in events if event.actor_id}
    objects = {event.seq: key for event in events if (key := _person_object(event)) is not None}
    wanted = ids | set(objects.values())
    names: dict[uuid.UUID, str] = {}
    if wanted:
        chosen = sa.select(User.id, User.display_name).where(User.id.in_(wanted))
        names = {row.id: row.display_name for row in session.execute(chosen)}
    return [
        AuditRow(
            event,
            names.get(event.actor_id) if event.actor_id else None,
            names.get(objects[event.seq]) if event.seq in objects else None,
        )
        for event in events
    ]


def _person_object(event: AuditEvent) -> uuid.UUID | None:
    if event.object_kind != "user" or not event.object_id:
        return None
    try:
        return uuid.UUID(event.object_id)
    except ValueError:
        return None


def one_event(session: Session, actor: Actor, seq: int) -> tuple[AuditRow, str]:
    """One event in full and the mac of the row before it; the look is audited.

    Raises:
        Forbidden: the actor is no auditor.
        NotFound: there is no such number.
    """
    need(actor, Permission.AUDIT_READ)
    event = session.get(AuditEvent, seq) if 0 < seq < 2**63 else None  # no database takes a longer number
    if event is None:
        raise NotFound
    previous = session.scalar(sa.select(AuditEvent.mac).where(AuditEvent.seq == seq - 1)) or "0" * 64
    row = _with_names(session, [event])[0]
    record(session, actor, Action.AUDIT_READ, object_kind="audit_event", object_id=seq)
    return row, previous


def last_verification(session: Session) -> AuditEvent | None:
    """The newest ``audit.verify`` row: when the chain was last walked and with which result."""
    newest = sa.select(AuditEvent).where(AuditEvent.action == Action.AUDIT_VERIFY.value)
    return session.scalars(newest.order_by(AuditEvent.seq.desc()).limit(1)).first()
