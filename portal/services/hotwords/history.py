"""The versions of a list: who saved which, when, and what was added and removed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models.hotword_list import HotwordListVersion
from portal.models.user import User
from portal.services.hotwords.rights import get_for
from portal.services.identity.actor import Actor


@dataclass(frozen=True, slots=True)
class VersionChange:
    """One version and how it differs from the one before it."""

    number: int
    author: str | None
    at: datetime
    word_count: int
    added: tuple[str, ...]
    removed: tuple[str, ...]


def versions_of(
    session: Session, actor: Actor, list_id: uuid.UUID, *, limit: int = 10, before: int | None = None
) -> list[VersionChange]:
    """The newest versions, newest first.

    Args:
        before: only versions with a smaller number (the next page).

    Raises:
        NotFound: not this person's to see.
    """
    found = get_for(session, actor, list_id)
    chosen = (
        sa.select(HotwordListVersion, User.display_name)
        .outerjoin(User, User.id == HotwordListVersion.author_id)
        .where(HotwordListVersion.list_id == found.id)
        .order_by(HotwordListVersion.number.desc())
        .limit(limit + 1)
    )
    if before is not None:
        chosen = chosen.where(HotwordListVersion.number < before)
    rows = session.execute(chosen).all()
    changes: list[VersionChange] = []
    for index, (version, author) in enumerate(rows[:limit]):
        words = [str(word["text"]) for word in version.words]
        older = [str(word["text"]) for word in rows[index + 1][0].words] if index + 1 < len(rows) else []
        added = tuple(word for word in words if word not in set(older))
        removed = tuple(word for word in older if word not in set(words))
        changes.append(VersionChange(version.number, author, version.created_at, len(words), added, removed))
    return changes
