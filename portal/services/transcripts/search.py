"""A person's history: their recordings, newest first, found again by title, file name or anything that was said."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from portal.models import Recording, Transcript, Transcription, TranscriptSentence
from portal.services import audit
from portal.services.identity.actor import Actor

PAGE_SIZE = 25
HITS_SHOWN = 3
MAX_TERMS = 8
"""Words of a search beyond this many are ignored."""


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """What to show. ``terms``: all must be found; ``since`` and ``until`` (excluded) bound the time of upload."""

    terms: tuple[str, ...] = ()
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """The place of a row in the list; pages hang on keys, not on counts, so they stay quick and don't slip."""

    created_at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Hit:
    """A sentence that holds a searched word, and when it was said (ms)."""

    begin_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One recording of the list. ``transcript`` is None before there is text."""

    recording: Recording
    transcription: Transcription | None
    transcript: Transcript | None
    hits: tuple[Hit, ...] = ()

    @property
    def key(self) -> Key:
        """Its place in the list."""
        return Key(self.recording.created_at, self.recording.id)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of the list. ``newer`` and ``older`` are the keys to go on from, None at the ends."""

    rows: tuple[HistoryRow, ...]
    newer: Key | None
    older: Key | None


def split_terms(text: str) -> tuple[str, ...]:
    """The words of a search as typed: separated by spaces, without repeats."""
    return tuple(dict.fromkeys(text.split()))[:MAX_TERMS]


def list_history(
    session: Session,
    actor: Actor,
    wanted: HistoryFilter,
    *,
    older_than: Key | None = None,
    newer_than: Key | None = None,
    size: int = PAGE_SIZE,
) -> HistoryPage:
    """A page of one's own recordings, newest first; from the beginning without a key."""
    query = _filtered(actor, wanted)
    key = sa.tuple_(Recording.created_at, Recording.id)
    backwards = newer_than is not None
    if newer_than is not None:
        query = query.where(key > _values(newer_than)).order_by(Recording.created_at, Recording.id)
    else:
        if older_than is not None:
            query = query.where(key < _values(older_than))
        query = query.order_by(Recording.created_at.desc(), Recording.id.desc())
    found = [HistoryRow(a, b, c) for a, b, c in session.execute(query.limit(size + 1))]
    more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    rows = tuple(_with_hits(session, row, wanted.terms) for row in found)
    if not rows:
        return HistoryPage((), None, None)
    has_newer = more if backwards else older_than is not None
    has_older = True if backwards else more
    return HistoryPage(rows, rows[0].key if has_newer else None, rows[-1].key if has_older else None)


def search_history(
    session: Session,
    actor: Actor,
    wanted: HistoryFilter,
    *,
    older_than: Key | None = None,
    newer_than: Key | None = None,
    size: int = PAGE_SIZE,
) -> HistoryPage:
    """The same for a search through the text: audited with counts, never with the words that were searched."""
    page = list_history(session, actor, wanted, older_than=older_than, newer_than=newer_than, size=size)
    audit.record(
        session,
        actor,
        audit.Action.TRANSCRIPT_SEARCH,
        object_kind="history",
        detail={"terms": len(wanted.terms), "found": len(page.rows), "first_page": not (older_than or newer_than)},
    )
    return page


def recent(session: Session, actor: Actor, size: int = 6) -> list[HistoryRow]:
    """What was finished last, newest first."""
    query = _filtered(actor, HistoryFilter(state="done"))
    query = query.order_by(Recording.created_at.desc(), Recording.id.desc()).limit(size)
    return [HistoryRow(a, b, c) for a, b, c in session.execute(query)]


def _filtered(actor: Actor, wanted: HistoryFilter) -> sa.Select[Recording, Transcription, Transcript]:
    other = aliased(Transcription)
    newest = (
        sa.select(other.id)
        .where(other.recording_id == Recording.id)
        .order_by(other.created_at.desc(), other.id.desc())
        .limit(1)
        .correlate(Recording)
        .scalar_subquery()
    )
    query = (
        sa.select(Recording, Transcription, Transcript)
        .select_from(Recording)
        .outerjoin(Transcription, Transcription.id == newest)
        .outerjoin(Transcript, Transcript.transcription_id == Transcription.id)
        .where(Recording.owner_id == actor.user_id, Recording.deleted_at.is_(None))
    )
    if wanted.state is not None:
        query = query.where(Transcription.state == wanted.state)
    if wanted.since is not None:
        query = query.where(Recording.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Recording.created_at < wanted.until)
    for term in wanted.terms:
        query = query.where(_holds(term))
    return query


def _holds(term: str) -> sa.ColumnElement[bool]:
    said = (
        sa.select(TranscriptSentence.id)
        .where(TranscriptSentence.transcript_id == Transcript.id, _contains(TranscriptSentence.text, term))
        .correlate(Transcript)
        .exists()
    )
    return sa.or_(_contains(Recording.title, term), _contains(Recording.original_name, term), said)


def _contains(column: sa.ColumnElement[str] | sa.orm.InstrumentedAttribute[str], term: str) -> sa.ColumnElement[bool]:
    return column.icontains(term, autoescape=True)


def _values(key: Key) -> sa.Tuple:
    return sa.tuple_(
        sa.bindparam(None, key.created_at, type_=Recording.created_at.type),
        sa.bindparam(None, key.id, type_=Recording.id.type),
    )


def _with_hits(session: Session, row: HistoryRow, terms: Sequence[str]) -> HistoryRow:
    if not terms or row.transcript is None:
        return row
    query = (
        sa.select(TranscriptSentence.begin_ms, TranscriptSentence.text)
        .where(
            TranscriptSentence.transcript_id == row.transcript.id,
            sa.or_(*(_contains(TranscriptSentence.text, term) for term in terms)),
        )
        .order_by(TranscriptSentence.position)
        .limit(HITS_SHOWN)
    )
    return replace(row, hits=tuple(Hit(begin_ms, text) for begin_ms, text in session.execute(query)))
