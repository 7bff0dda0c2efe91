"""Reading hotword lists: what a person can choose from, one list in full, and the snapshot a recording keeps."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.asr.hotwords import HotwordCheck, HotwordProblem, clean_hotwords
from portal.errors import NotFound, PortalError
from portal.models.department import Department
from portal.models.hotword_list import HotwordList, HotwordListVersion
from portal.models.user import User
from portal.services.hotwords.rights import get_for, may_edit, visible
from portal.services.identity.actor import Actor

HARMLESS = frozenset({"DUPLICATE", "EMPTY"})
"""Problems that need no answer: the word is there once already, or there was none."""
_ORDER = sa.case({"department": 0, "company": 1}, value=HotwordList.scope, else_=2)


@dataclass(frozen=True, slots=True)
class HotwordListSummary:
    """A list as it is offered. ``preselected``: belongs to the asker's own department."""

    id: uuid.UUID
    name: str
    scope: str
    version: int
    word_count: int
    preselected: bool
    editable: bool = False
    department: str | None = None
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class HotwordListDetail:
    """One list with its present words."""

    summary: HotwordListSummary
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one recording keeps: the words for recognition and which version of which list they came from."""

    words: tuple[str, ...]
    versions: list[dict[str, Any]]

    def __iter__(self) -> Any:
        """``words, versions = snapshot(…)``."""
        return iter((self.words, self.versions))


def lists_for(session: Session, actor: Actor) -> list[HotwordListSummary]:
    """The lists this person sees: the department's first, then the company's, then their own.

    Raises:
        Forbidden: the actor's office has nothing to do with hotwords.
    """
    return [_summary(actor, row) for row in session.execute(_query(visible(actor)))]


def list_for(session: Session, actor: Actor, list_id: uuid.UUID) -> HotwordListDetail:
    """One list with its words.

    Raises:
        NotFound: not this person's to see.
    """
    get_for(session, actor, list_id)
    row = session.execute(_query(HotwordList.id == list_id)).one()
    return HotwordListDetail(_summary(actor, row), words_of(session, row.HotwordList))


def _query(condition: sa.ColumnElement[bool]) -> Any:
    count = sa.func.coalesce(sa.func.json_array_length(HotwordListVersion.words), 0)
    here = sa.and_(
        HotwordListVersion.list_id == HotwordList.id, HotwordListVersion.number == HotwordList.current_version
    )
    return (
        sa.select(
            HotwordList,
            count.label("words"),
            Department.name.label("department"),
            HotwordListVersion.created_at.label("changed_at"),
            User.display_name.label("changed_by"),
        )
        .outerjoin(HotwordListVersion, here)
        .outerjoin(Department, Department.id == HotwordList.department_id)
        .outerjoin(User, User.id == HotwordListVersion.author_id)
        .where(condition)
        .order_by(_ORDER, Department.name, HotwordList.name, HotwordList.id)
    )


def _summary(actor: Actor, row: Any) -> HotwordListSummary:
    found: HotwordList = row.HotwordList
    own_department = found.scope == "department" and found.department_id == actor.department_id
    return HotwordListSummary(
        found.id,
        found.name,
        found.scope,
        found.current_version,
        row.words,
        own_department,
        may_edit(actor, found),
        row.department,
        row.changed_at,
        row.changed_by,
    )


def words_of(session: Session, found: HotwordList, number: int | None = None) -> tuple[str, ...]:
    """The words of a version of a list, the present one by default; none for a list that was never saved.

    Raises:
        NotFound: there is no such version.
    """
    number = found.current_version if number is None else number
    if number == 0:
        return ()
    chosen = sa.select(HotwordListVersion.words).where(
        HotwordListVersion.list_id == found.id, HotwordListVersion.number == number
    )
    words = session.scalar(chosen)
    if words is None:
        raise NotFound
    return tuple(str(word["text"]) for word in words)


def check_words(raw: str, *, max_words: int, max_length: int) -> tuple[HotwordCheck, list[HotwordProblem]]:
    """Clean pasted words; the second value holds the problems that must be answered before saving."""
    check = clean_hotwords(raw, max_words=max_words, max_length=max_length)
    return check, [problem for problem in check.problems if problem.code not in HARMLESS]


def cleaned(raw: Sequence[str], *, max_words: int, max_length: int) -> tuple[str, ...]:
    """The words fit for recognition.

    Raises:
        PortalError: HOTWORDS_TOO_MANY, or HOTWORD_REFUSED naming the first word that can't be used.
    """
    check = clean_hotwords(raw, max_words=max_words, max_length=max_length)
    surplus = sum(problem.code == "TOO_MANY" for problem in check.problems)
    if surplus:
        raise PortalError("HOTWORDS_TOO_MANY", count=max_words + surplus, limit=max_words)
    for problem in check.problems:
        if problem.code not in HARMLESS:
            raise PortalError("HOTWORD_REFUSED", word=problem.word, limit=max_length)
    return check.words


def snapshot(
    session: Session,
    actor: Actor,
    list_ids: Sequence[uuid.UUID],
    extra_words: str = "",
    *,
    max_words: int = 200,
    max_length: int = 16,
) -> Snapshot:
    """The words of the chosen lists and the typed ones, cleaned, each once, lists first.

    Args:
        max_words: ``settings.hotwords_per_job``.
        max_length: ``settings.hotword_max_length`` (characters).

    Raises:
        NotFound: a list that is not this person's to see.
        PortalError: HOTWORDS_TOO_MANY, HOTWORD_REFUSED.
    """
    raw: list[str] = []
    versions: list[dict[str, Any]] = []
    for list_id in dict.fromkeys(list_ids):
        found = get_for(session, actor, list_id)
        raw.extend(words_of(session, found))
        versions.append({"list_id": str(found.id), "name": found.name, "version": found.current_version})
    words = cleaned([*raw, extra_words], max_words=max_words, max_length=max_length)
    return Snapshot(words, versions)
