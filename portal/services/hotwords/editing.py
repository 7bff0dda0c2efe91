"""Changing hotword lists: every save is a new version, every change is audited, nothing is overwritten."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.hotwords import digest
from portal.db import utcnow
from portal.errors import Forbidden, NotFound, PortalError
from portal.models.department import Department
from portal.models.hotword_list import HotwordList, HotwordListVersion
from portal.services import audit
from portal.services.hotwords.lists import cleaned, words_of
from portal.services.hotwords.rights import SHARED_SCOPES, get_to_edit
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission, may

NAME_AT_MOST = 60
PERSONAL_LISTS_AT_MOST = 20


def create(
    session: Session, actor: Actor, *, name: str, scope: str, department_id: uuid.UUID | None = None
) -> HotwordList:
    """A new, empty list.

    Args:
        scope: ``company`` or ``department`` (administrators), ``personal`` (everyday people, for themselves).
        department_id: of a department's list.

    Raises:
        Forbidden: the actor's office may not make such a list.
        NotFound: there is no such department.
        PortalError: INVALID_VALUE, LIST_NAME_TAKEN, TOO_MANY_LISTS.
    """
    needed = Permission.ADMIN_HOTWORDS if scope in SHARED_SCOPES else Permission.USE_HOTWORDS
    if not may(actor.role, needed):
        raise Forbidden
    if scope not in (*SHARED_SCOPES, "personal"):
        raise PortalError("INVALID_VALUE", field="scope")
    if scope == "department" and (department_id is None or session.get(Department, department_id) is None):
        raise NotFound
    found = HotwordList(
        name=clean_name(name),
        scope=scope,
        department_id=department_id if scope == "department" else None,
        owner_id=actor.user_id if scope == "personal" else None,
        current_version=0,
    )
    siblings = _siblings(session, found)
    if scope == "personal" and len(siblings) >= PERSONAL_LISTS_AT_MOST:
        raise PortalError("TOO_MANY_LISTS", limit=PERSONAL_LISTS_AT_MOST)
    if any(other.name == found.name for other in siblings):
        raise PortalError("LIST_NAME_TAKEN")
    session.add(found)
    session.flush()
    _record(session, actor, audit.Action.HOTWORDS_CREATE, found, {"scope": scope})
    return found


def clean_name(name: str) -> str:
    """A list's name: 1 to 60 visible characters.

    Raises:
        PortalError: INVALID_VALUE.
    """
    name = " ".join("".join(ch for ch in name if ch.isprintable()).split())
    if not 1 <= len(name) <= NAME_AT_MOST:
        raise PortalError("INVALID_VALUE", field="name")
    return name


def _siblings(session: Session, found: HotwordList) -> list[HotwordList]:
    return list(
        session.scalars(
            sa.select(HotwordList).where(
                HotwordList.scope == found.scope,
                HotwordList.department_id.is_not_distinct_from(found.department_id),
                HotwordList.owner_id.is_not_distinct_from(found.owner_id),
                HotwordList.deleted_at.is_(None),
            )
        )
    )


def save(
    session: Session,
    actor: Actor,
    list_id: uuid.UUID,
    raw: str,
    *,
    expected_version: int,
    max_words: int = 200,
    max_length: int = 16,
) -> int:
    """Save pasted words as a new version; the number of the version now in force (unchanged words make no new one).

    Args:
        expected_version: the version the person had before them.

    Raises:
        NotFound, Forbidden: see ``rights.get_to_edit``.
        PortalError: CONFLICT when somebody saved in between; HOTWORDS_TOO_MANY, HOTWORD_REFUSED.
    """
    found = get_to_edit(session, actor, list_id)
    words = cleaned([raw], max_words=max_words, max_length=max_length)
    return _new_version(session, actor, found, words, expected_version, {})


def roll_back(session: Session, actor: Actor, list_id: uuid.UUID, number: int, *, expected_version: int) -> int:
    """Make an older version's words the newest version.

    Raises:
        NotFound, Forbidden: not theirs to change, or no such version.
        PortalError: CONFLICT when somebody saved in between.
    """
    found = get_to_edit(session, actor, list_id)
    if not 0 < number < found.current_version:
        raise NotFound
    words = words_of(session, found, number)
    return _new_version(session, actor, found, words, expected_version, {"rolled_back_to": number})


def _new_version(
    session: Session,
    actor: Actor,
    found: HotwordList,
    words: tuple[str, ...],
    expected: int,
    detail: dict[str, Any],
) -> int:
    before = words_of(session, found)
    if found.current_version != expected:
        raise PortalError("CONFLICT")
    if words == before and found.current_version > 0:
        return found.current_version
    moved = session.execute(
        sa.update(HotwordList)
        .where(HotwordList.id == found.id, HotwordList.current_version == expected, HotwordList.deleted_at.is_(None))
        .values(current_version=expected + 1)
    )
    if getattr(moved, "rowcount", 0) != 1:
        raise PortalError("CONFLICT")
    session.add(
        HotwordListVersion(
            list_id=found.id,
            number=expected + 1,
            words=[{"text": word, "note": ""} for word in words],
            digest=digest(words),
            author_id=actor.user_id,
            created_at=utcnow(),
        )
    )
    session.refresh(found)
    counts = {"version": expected + 1, "words": len(words), "added": len(set(words) - set(before))}
    counts["removed"] = len(set(before) - set(words))
    _record(session, actor, audit.Action.HOTWORDS_EDIT, found, counts | detail)
    return expected + 1


def rename(session: Session, actor: Actor, list_id: uuid.UUID, name: str) -> None:
    """Give a list another name.

    Raises:
        NotFound, Forbidden: not theirs to change.
        PortalError: INVALID_VALUE, LIST_NAME_TAKEN.
    """
    found = get_to_edit(session, actor, list_id)
    name = clean_name(name)
    if name == found.name:
        return
    if any(other.name == name and other.id != found.id for other in _siblings(session, found)):
        raise PortalError("LIST_NAME_TAKEN")
    found.name = name
    _record(session, actor, audit.Action.HOTWORDS_RENAME, found, {})


def delete(session: Session, actor: Actor, list_id: uuid.UUID) -> None:
    """Take a list away; its versions stay for the transcriptions that used them.

    Raises:
        NotFound, Forbidden: not theirs to change.
    """
    found = get_to_edit(session, actor, list_id)
    found.deleted_at = utcnow()
    _record(session, actor, audit.Action.HOTWORDS_DELETE, found, {"version": found.current_version})


def _record(session: Session, actor: Actor, action: audit.Action, found: HotwordList, detail: dict[str, Any]) -> None:
    audit.record(session, actor, action, object_kind="hotword_list", object_id=found.id, detail=detail)
