"""Reading wrong→right tables: which ones a person sees, their pairs, their versions, and what a transcription uses."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.types import Replacement
from portal.errors import Forbidden, NotFound
from portal.models import COMPANY_TABLE, Department, ReplacementPair, ReplacementTable, ReplacementVersion, User
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission, may

PAIRS_ON_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class TableSummary:
    """A table as it is offered. ``department`` is None for the whole company's."""

    id: uuid.UUID
    department: str | None
    version: int
    pair_count: int
    editable: bool
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class PairPage:
    """Some pairs of a table by spelling; ``following`` names the first of the next page, None on the last."""

    pairs: tuple[ReplacementPair, ...]
    following: str | None


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One version of a table and how it differs from the one before it, as ``(wrong, right)``."""

    number: int
    author: str | None
    at: datetime
    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]


def tables_for(session: Session, actor: Actor) -> list[TableSummary]:
    """The tables this person sees: their department's and the company's; administrators see every department's.

    A table that nobody wrote into yet is among them, with version 0.

    Raises:
        Forbidden: the actor's office has nothing to do with hotwords.
    """
    departments = sa.select(Department.id, Department.name).order_by(Department.name, Department.id)
    if not _edits(actor):
        departments = departments.where(Department.id == actor.department_id)
    places: list[tuple[uuid.UUID, str | None]] = [(row.id, row.name) for row in session.execute(departments)]
    places.append((COMPANY_TABLE, None))
    known = {row.id: row for row in session.execute(_summaries([place for place, _name in places]))}
    return [_summary(actor, place, name, known.get(place)) for place, name in places]


def _summaries(ids: Sequence[uuid.UUID]) -> Any:
    count = (
        sa.select(sa.func.count())
        .where(ReplacementPair.table_id == ReplacementTable.id, ReplacementPair.until.is_(None))
        .scalar_subquery()
    )
    newest = sa.and_(
        ReplacementVersion.table_id == ReplacementTable.id,
        ReplacementVersion.number == ReplacementTable.current_version,
    )
    return (
        sa.select(
            ReplacementTable.id,
            ReplacementTable.current_version.label("version"),
            count.label("pairs"),
            ReplacementVersion.created_at.label("at"),
            User.display_name.label("author"),
        )
        .outerjoin(ReplacementVersion, newest)
        .outerjoin(User, User.id == ReplacementVersion.author_id)
        .where(ReplacementTable.id.in_(ids))
    )


def _summary(actor: Actor, place: uuid.UUID, name: str | None, row: Any) -> TableSummary:
    if row is None:
        return TableSummary(place, name, 0, 0, _edits(actor))
    return TableSummary(place, name, row.version, row.pairs, _edits(actor), row.at, row.author)


def _edits(actor: Actor) -> bool:
    """Whoever changes the departments' hotword lists changes their tables.

    Raises:
        Forbidden: the actor's office has nothing to do with hotwords.
    """
    if may(actor.role, Permission.ADMIN_HOTWORDS):
        return True
    if not may(actor.role, Permission.USE_HOTWORDS):
        raise Forbidden
    return False


def check_table(session: Session, actor: Actor, table_id: uuid.UUID, *, to_edit: bool = False) -> None:
    """Whether this person may see a table, or change it.

    Raises:
        NotFound: not theirs to see, or there is no such department.
        Forbidden: theirs to see and use, but not to change.
    """
    edits = _edits(actor)
    own = table_id in (COMPANY_TABLE, actor.department_id)
    if not own and (not edits or session.get(Department, table_id) is None):
        raise NotFound
    if to_edit and not edits:
        raise Forbidden


def pairs_of(
    session: Session,
    actor: Actor,
    table_id: uuid.UUID,
    *,
    search: str = "",
    start: str = "",
    limit: int = PAIRS_ON_A_PAGE,
) -> PairPage:
    """Pairs in force by spelling.

    Args:
        search: only pairs that have this on either side or in their note.
        start: the spelling with which the page begins.

    Raises:
        NotFound: not this person's to see.
    """
    check_table(session, actor, table_id)
    query = sa.select(ReplacementPair).where(
        ReplacementPair.table_id == table_id, ReplacementPair.until.is_(None), ReplacementPair.spelling >= start
    )
    if search:
        sides = (ReplacementPair.wrong, ReplacementPair.right, ReplacementPair.note)
        query = query.where(sa.or_(*(side.icontains(search, autoescape=True) for side in sides)))
    found = session.scalars(query.order_by(ReplacementPair.spelling).limit(limit + 1)).all()
    return PairPage(tuple(found[:limit]), found[limit].spelling if len(found) > limit else None)


def pair_for(session: Session, actor: Actor, pair_id: uuid.UUID) -> ReplacementPair:
    """One pair in force.

    Raises:
        NotFound: not this person's to see, or not in force any more.
    """
    found = session.get(ReplacementPair, pair_id)
    if found is None or found.until is not None:
        raise NotFound
    check_table(session, actor, found.table_id)
    return found


def versions_of(session: Session, actor: Actor, table_id: uuid.UUID, *, limit: int = 10) -> list[TableVersion]:
    """The newest versions, newest first.

    Raises:
        NotFound: not this person's to see.
    """
    check_table(session, actor, table_id)
    chosen = (
        sa.select(ReplacementVersion, User.display_name)
        .outerjoin(User, User.id == ReplacementVersion.author_id)
        .where(ReplacementVersion.table_id == table_id)
        .order_by(ReplacementVersion.number.desc())
        .limit(limit)
    )
    return [
        TableVersion(
            row.number,
            author,
            row.created_at,
            _sides(session, table_id, ReplacementPair.since == row.number),
            _sides(session, table_id, ReplacementPair.until == row.number),
        )
        for row, author in session.execute(chosen).all()
    ]


def _sides(session: Session, table_id: uuid.UUID, condition: sa.ColumnElement[bool]) -> tuple[tuple[str, str], ...]:
    query = (
        sa.select(ReplacementPair.wrong, ReplacementPair.right)
        .where(ReplacementPair.table_id == table_id, condition)
        .order_by(ReplacementPair.spelling)
    )
    return tuple((wrong, right) for wrong, right in session.execute(query))


def in_force(table_id: uuid.UUID, version: int) -> sa.ColumnElement[bool]:
    """The pairs of one version of a table, as an SQL condition."""
    return sa.and_(
        ReplacementPair.table_id == table_id,
        ReplacementPair.since <= version,
        sa.or_(ReplacementPair.until.is_(None), ReplacementPair.until > version),
    )


def replacements_of(session: Session, actor: Actor, table_id: uuid.UUID) -> tuple[Replacement, ...]:
    """What a table does at present, to be tried on a text.

    Raises:
        NotFound: not this person's to see.
    """
    check_table(session, actor, table_id)
    table = session.get(ReplacementTable, table_id)
    return _replacements(session, table_id, table.current_version) if table else ()


def replacement_snapshot(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """The versions that a recording of this person is to use: ``[{"table_id", "name", "version"}, …]``.

    The department's table comes first, so its pairs win over the company's (whose name is empty here).
    """
    found: list[dict[str, Any]] = []
    for place in (actor.department_id, COMPANY_TABLE):
        table = session.get(ReplacementTable, place) if place else None
        if table is None or not _counts(session, table):
            continue
        department = session.get(Department, place) if place != COMPANY_TABLE else None
        name = department.name if department else ""
        found.append({"table_id": str(table.id), "name": name, "version": table.current_version})
    return found


def _counts(session: Session, table: ReplacementTable) -> bool:
    enabled = sa.select(ReplacementPair.id).where(
        in_force(table.id, table.current_version), ReplacementPair.enabled.is_(True)
    )
    return session.scalars(enabled.limit(1)).first() is not None


def replacements_at(session: Session, versions: Sequence[dict[str, Any]]) -> tuple[Replacement, ...]:
    """The pairs of a snapshot, whatever became of the tables meanwhile."""
    return tuple(
        pair
        for used in versions
        for pair in _replacements(session, uuid.UUID(str(used["table_id"])), int(used["version"]))
    )


def _replacements(session: Session, table_id: uuid.UUID, version: int) -> tuple[Replacement, ...]:
    query = (
        sa.select(ReplacementPair.id, ReplacementPair.wrong, ReplacementPair.right, ReplacementPair.near)
        .where(in_force(table_id, version), ReplacementPair.enabled.is_(True))
        .order_by(ReplacementPair.spelling)
    )
    return tuple(Replacement(str(row.id), row.wrong, row.right, row.near) for row in session.execute(query))


def holds_pairs(session: Session, department_id: uuid.UUID) -> bool:
    """Whether a department's table has pairs in force."""
    query = sa.select(ReplacementPair.id).where(
        ReplacementPair.table_id == department_id, ReplacementPair.until.is_(None)
    )
    return session.scalars(query.limit(1)).first() is not None
