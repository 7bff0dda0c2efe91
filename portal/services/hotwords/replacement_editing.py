"""Changing wrong→right tables: every change is a new version and is audited; a pair is ended, never overwritten."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from portal.asr.replacement_pairs import check_pair, clean_pair, parse_pairs
from portal.asr.replacements import canonical
from portal.db import utcnow
from portal.errors import NotFound, PortalError
from portal.models import COMPANY_TABLE, ReplacementPair, ReplacementTable, ReplacementVersion
from portal.services import audit
from portal.services.hotwords.replacements import check_table, in_force, pair_for
from portal.services.identity.actor import Actor

NOTE_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_pairs`` of a table; ``max_length`` of either side of a pair (characters)."""

    max_pairs: int = 1_000
    max_length: int = 16


@dataclass(frozen=True, slots=True)
class Draft:
    """A pair as somebody writes it."""

    wrong: str
    right: str
    near: bool = False
    enabled: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of pasted lines."""

    added: int
    changed: int
    unchanged: int


def add(session: Session, actor: Actor, table_id: uuid.UUID, draft: Draft, limits: Limits) -> None:
    """A new pair.

    Raises:
        NotFound, Forbidden: not theirs to change.
        PortalError: REPLACEMENT_REFUSED, REPLACEMENT_TAKEN, REPLACEMENTS_TOO_MANY.
    """
    table = _hold(session, actor, table_id)
    draft = _checked(draft, limits)
    if _by_spelling(session, table, [canonical(draft.wrong)]):
        raise PortalError("REPLACEMENT_TAKEN", wrong=draft.wrong)
    _change(session, actor, table, (), (draft,), limits)


def edit(session: Session, actor: Actor, pair_id: uuid.UUID, draft: Draft, limits: Limits) -> None:
    """Put another pair in the place of one.

    Raises:
        NotFound, Forbidden: not theirs to change, or somebody changed it meanwhile.
        PortalError: REPLACEMENT_REFUSED, REPLACEMENT_TAKEN.
    """
    table = _hold(session, actor, pair_for(session, actor, pair_id).table_id)
    old = _fresh(session, pair_id)
    draft = _checked(draft, limits)
    if _draft_of(old) == draft:
        return
    others = _by_spelling(session, table, [canonical(draft.wrong)])
    if any(other.id != old.id for other in others.values()):
        raise PortalError("REPLACEMENT_TAKEN", wrong=draft.wrong)
    _change(session, actor, table, (old,), (draft,), limits)


def remove(session: Session, actor: Actor, pair_id: uuid.UUID) -> None:
    """End a pair; older transcriptions and versions keep it.

    Raises:
        NotFound, Forbidden: not theirs to change, or somebody changed it meanwhile.
    """
    table = _hold(session, actor, pair_for(session, actor, pair_id).table_id)
    _change(session, actor, table, (_fresh(session, pair_id),), (), None)


def take_in(session: Session, actor: Actor, table_id: uuid.UUID, raw: str, *, near: bool, limits: Limits) -> TakenIn:
    """Add pasted lines; one whose wrong spelling is in the table already takes that one's place.

    Raises:
        NotFound, Forbidden: not theirs to change.
        PortalError: REPLACEMENT_REFUSED naming the first line that can't be used (then none is taken),
            REPLACEMENTS_TOO_MANY.
    """
    table = _hold(session, actor, table_id)
    check = parse_pairs(raw, near=near, max_pairs=limits.max_pairs, max_length=limits.max_length)
    if any(problem.code == "TOO_MANY" for problem in check.problems):
        count = len(check.pairs) + sum(problem.code == "TOO_MANY" for problem in check.problems)
        raise PortalError("REPLACEMENTS_TOO_MANY", count=count, limit=limits.max_pairs)
    for problem in check.problems:
        raise PortalError("REPLACEMENT_REFUSED", text=problem.text, limit=limits.max_length)
    drafts = {canonical(pair.wrong): Draft(pair.wrong, pair.right, near) for pair in check.pairs}
    known = _by_spelling(session, table, list(drafts))
    same = [key for key, old in known.items() if _says_the_same(old, drafts[key])]
    new = {key: draft for key, draft in drafts.items() if key not in same}
    old = [pair for key, pair in known.items() if key in new]
    if new:
        _change(session, actor, table, old, new.values(), limits)
    return TakenIn(added=len(new) - len(old), changed=len(old), unchanged=len(same))


def roll_back(session: Session, actor: Actor, table_id: uuid.UUID, number: int) -> None:
    """Make an older version's pairs the newest version. Version 0 is the empty table.

    Raises:
        NotFound, Forbidden: not theirs to change, or no such version.
    """
    table = _hold(session, actor, table_id)
    if not 0 <= number < table.current_version:
        raise NotFound
    now = {_draft_of(pair): pair for pair in session.scalars(_pairs(table, table.current_version))}
    then = {_draft_of(pair) for pair in session.scalars(_pairs(table, number))}
    ending = [pair for draft, pair in now.items() if draft not in then]
    coming = [draft for draft in sorted(then, key=lambda draft: draft.wrong) if draft not in now]
    if ending or coming:
        _change(session, actor, table, ending, coming, None, {"rolled_back_to": number})


def _hold(session: Session, actor: Actor, table_id: uuid.UUID) -> ReplacementTable:
    """The table, made if need be, locked until the transaction ends: changes of one table come one after another."""
    check_table(session, actor, table_id, to_edit=True)
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    department = None if table_id == COMPANY_TABLE else table_id
    fresh = {"id": table_id, "department_id": department, "current_version": 0}
    session.execute(insert(ReplacementTable).values(fresh).on_conflict_do_nothing())
    locked = sa.select(ReplacementTable).where(ReplacementTable.id == table_id).with_for_update()
    return session.scalars(locked.execution_options(populate_existing=True)).one()


def _fresh(session: Session, pair_id: uuid.UUID) -> ReplacementPair:
    """The pair as it is now that its table is held."""
    found = session.get(ReplacementPair, pair_id, populate_existing=True)
    if found is None or found.until is not None:
        raise NotFound
    return found


def _pairs(table: ReplacementTable, version: int) -> sa.Select[ReplacementPair]:
    return sa.select(ReplacementPair).where(in_force(table.id, version))


def _by_spelling(session: Session, table: ReplacementTable, spellings: Sequence[str]) -> dict[str, ReplacementPair]:
    query = _pairs(table, table.current_version).where(ReplacementPair.spelling.in_(spellings))
    return {pair.spelling: pair for pair in session.scalars(query)}


def _checked(draft: Draft, limits: Limits) -> Draft:
    pair = clean_pair(draft.wrong, draft.right)
    if check_pair(pair, near=draft.near, max_length=limits.max_length) is not None:
        text = f"{pair.wrong[:40]}→{pair.right[:40]}"
        raise PortalError("REPLACEMENT_REFUSED", text=text, limit=limits.max_length)
    note = " ".join("".join(ch for ch in draft.note if ch.isprintable()).split())[:NOTE_AT_MOST]
    return Draft(pair.wrong, pair.right, draft.near, draft.enabled, note)


def _draft_of(pair: ReplacementPair) -> Draft:
    return Draft(pair.wrong, pair.right, pair.near, pair.enabled, pair.note)


def _says_the_same(old: ReplacementPair, draft: Draft) -> bool:
    return (old.wrong, old.right, old.near, old.enabled) == (draft.wrong, draft.right, draft.near, draft.enabled)


def _change(
    session: Session,
    actor: Actor,
    table: ReplacementTable,
    ending: Sequence[ReplacementPair],
    coming: Iterable[Draft],
    limits: Limits | None,
    also: dict[str, Any] | None = None,
) -> None:
    number, drafts, now = table.current_version + 1, list(coming), utcnow()
    for pair in ending:
        pair.until = number
    session.flush()  # their spellings are free before the new ones are written
    session.add(ReplacementVersion(table_id=table.id, number=number, author_id=actor.user_id, created_at=now))
    for draft in drafts:
        session.add(_row(actor, table, number, draft))
    table.current_version = number
    session.flush()
    count = session.scalar(sa.select(sa.func.count()).select_from(_pairs(table, number).subquery())) or 0
    if limits is not None and count > limits.max_pairs:
        raise PortalError("REPLACEMENTS_TOO_MANY", count=count, limit=limits.max_pairs)
    changed = len({pair.spelling for pair in ending} & {canonical(draft.wrong) for draft in drafts})
    detail = {
        "version": number,
        "pairs": count,
        "added": len(drafts) - changed,
        "changed": changed,
        "removed": len(ending) - changed,
    }
    audit.record(
        session,
        actor,
        audit.Action.REPLACEMENTS_EDIT,
        object_kind="replacement_table",
        object_id=table.id,
        detail=detail | (also or {}),
    )


def _row(actor: Actor, table: ReplacementTable, number: int, draft: Draft) -> ReplacementPair:
    return ReplacementPair(
        table_id=table.id,
        spelling=canonical(draft.wrong),
        wrong=draft.wrong,
        right=draft.right,
        near=draft.near,
        enabled=draft.enabled,
        note=draft.note,
        since=number,
        created_by=actor.user_id,
    )
