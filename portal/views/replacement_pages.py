"""What the everyday and the administrators' pages of wrong→right tables share: drawing a page, and trying a table."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import render_template, request, url_for

from portal.asr.replacement_pairs import PairProblem, Tried, parse_pairs, try_on
from portal.db import db
from portal.errors import NotFound, PortalError
from portal.http.error_pages import shown_error
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.hotwords import replacements
from portal.services.hotwords.replacement_editing import Limits

REFUSALS = frozenset({"REPLACEMENT_REFUSED", "REPLACEMENT_TAKEN", "REPLACEMENTS_TOO_MANY"})
LONGEST_TEXT = 100_000
LONGEST_TRIAL = 2_000
HISTORY_ROWS = 10


@dataclass(frozen=True, slots=True)
class TablePlace:
    """One of the two places where tables are shown: its template, the endpoint of the page, its lists' endpoint."""

    template: str
    endpoint: str
    lists: str

    def address(self, verb: str = "", **values: Any) -> str:
        """The address of the page itself, or of one of its forms."""
        return url_for(self.endpoint + ("_" + verb if verb else ""), **values)


@dataclass(frozen=True, slots=True)
class Entered:
    """What comes back to the page after a form: its fields, why it was refused, the lines to look at, a trial."""

    pair: dict[str, Any] = field(default_factory=dict)
    lines: str = ""
    lines_near: bool = False
    error: PortalError | None = None
    problems: tuple[PairProblem, ...] = ()
    text: str = ""
    tried: tuple[Tried, ...] | None = None


def limits() -> Limits:
    """How many pairs a table holds, and how long a side may be."""
    settings = current_settings()
    return Limits(settings.replacements_per_table, settings.replacement_max_length)


def page(place: TablePlace, *, shown: uuid.UUID | None = None, entered: Entered | None = None) -> Any:
    """The page with one table open."""
    session, actor = db.session(), current_actor()
    entered = entered or Entered()
    summaries = replacements.tables_for(session, actor)
    table_id = shown or _id("table") or summaries[0].id
    replacements.check_table(session, actor, table_id)
    summary = next(item for item in summaries if item.id == table_id)
    search, start = request.args.get("q", "")[:64].strip(), request.args.get("start", "")[:128]
    answer = render_template(
        place.template,
        place=place,
        summaries=summaries,
        table=summary,
        found=replacements.pairs_of(session, actor, table_id, search=search, start=start),
        search=search,
        start=start,
        versions=replacements.versions_of(session, actor, table_id, limit=HISTORY_ROWS),
        editing=_editing(summary, entered),
        entered=entered,
        limits=limits(),
        error=shown_error(entered.error) if entered.error else None,
    )
    return (answer, entered.error.entry.status) if entered.error else answer


def _editing(summary: replacements.TableSummary, entered: Entered) -> dict[str, Any]:
    """The fields of the form: what was entered, else the pair that ``edit`` names, else nothing."""
    if entered.pair:
        return entered.pair
    asked = _id("edit")
    if asked is None or not summary.editable:
        return {"enabled": True}
    pair = replacements.pair_for(db.session(), current_actor(), asked)
    return {
        "id": pair.id, "wrong": pair.wrong, "right": pair.right, "near": pair.near, "enabled": pair.enabled,
        "note": pair.note, "creator": pair.creator.display_name if pair.creator else None, "at": pair.created_at,
    }  # fmt: skip


def _id(name: str) -> uuid.UUID | None:
    asked = request.args.get(name, "")
    try:
        return uuid.UUID(asked) if asked else None
    except ValueError:
        raise NotFound from None


def tried(place: TablePlace, table_id: uuid.UUID) -> Any:
    """A text with the table applied; a fragment for the page's script, the whole page without."""
    text = request.form.get("text", "")[:LONGEST_TRIAL].replace("\r\n", "\n")
    table = replacements.replacements_of(db.session(), current_actor(), table_id)
    entered = Entered(text=text, tried=try_on(text, table))
    if request.headers.get("HX-Request") == "true":
        return render_template("hotwords/_tried.html", entered=entered)
    return page(place, shown=table_id, entered=entered)


def attempt(place: TablePlace, act: Callable[[], Any], entered: Entered, table_id: uuid.UUID) -> Any:
    """Carry out a form's act; where it is refused the page comes back with what was entered. None when it was done."""
    try:
        act()
    except PortalError as error:
        if error.code not in REFUSALS:
            raise
        db.session.rollback()
        problems = _problems(entered) if entered.lines else ()
        again = Entered(entered.pair, entered.lines, entered.lines_near, error, problems)
        return page(place, shown=table_id, entered=again)
    return None


def _problems(entered: Entered) -> tuple[PairProblem, ...]:
    known = limits()
    check = parse_pairs(entered.lines, near=entered.lines_near, max_pairs=known.max_pairs, max_length=known.max_length)
    return check.problems
