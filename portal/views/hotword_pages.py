"""What the everyday and the administrators' hotword pages share: drawing a page, and the acts of its forms."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from portal.db import db
from portal.errors import NotFound, PortalError
from portal.http.error_pages import shown_error
from portal.http.form_values import whole_number
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services import hotwords
from portal.services.hotwords.vocabulary import unspellable

REFUSALS = frozenset(
    {"HOTWORD_REFUSED", "HOTWORDS_TOO_MANY", "CONFLICT", "LIST_NAME_TAKEN", "INVALID_VALUE", "TOO_MANY_LISTS"}
)
HISTORY_ROWS = 10
LONGEST_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class Place:
    """One of the two places where lists are shown: its template and the endpoints of its forms."""

    template: str
    prefix: str

    def address(self, verb: str = "", **values: Any) -> str:
        """The address of the page itself, or of one of its forms."""
        return url_for(self.prefix + ("_" + verb if verb else ""), **values)


def limits() -> dict[str, int]:
    """How many words a list holds, and how long one may be (characters)."""
    settings = current_settings()
    return {"max_words": settings.hotwords_per_job, "max_length": settings.hotword_max_length}


def _chosen(summaries: list[hotwords.HotwordListSummary]) -> uuid.UUID | None:
    asked = request.args.get("list", "")
    try:
        return uuid.UUID(asked) if asked else (summaries[0].id if summaries else None)
    except ValueError:
        raise NotFound from None


def page(place: Place, *, shown: uuid.UUID | None = None, draft: str | None = None, error: PortalError | None = None,
         **extra: Any) -> Any:  # fmt: skip
    """The page with one list open; ``draft`` and ``error`` bring back what was entered and why it was refused."""
    session, actor = db.session(), current_actor()
    summaries = hotwords.lists_for(session, actor)
    list_id = shown or _chosen(summaries)
    detail = hotwords.list_for(session, actor, list_id) if list_id else None
    versions = hotwords.versions_of(session, actor, list_id, limit=HISTORY_ROWS) if list_id else []
    text = draft if draft is not None else "\n".join(detail.words) if detail else ""
    check, problems = hotwords.check_words(text, **limits())
    answer = render_template(
        place.template,
        place=place,
        summaries=summaries,
        detail=detail,
        versions=versions,
        draft=text,
        check=check,
        problems=problems if draft is not None else [],
        unspellable=unspellable(current_settings(), check.words),
        limits=limits(),
        error=shown_error(error) if error else None,
        **extra,
    )
    return (answer, error.entry.status) if error else answer


def checked() -> str:
    """The answer to what somebody is typing: how many words, which of them can't be used."""
    check, problems = hotwords.check_words(request.form.get("words", "")[:LONGEST_TEXT], **limits())
    lacking = unspellable(current_settings(), check.words)
    return render_template("hotwords/_check.html", check=check, problems=problems, unspellable=lacking, limits=limits())


def chosen_for_upload() -> str:
    """Whether the chosen lists and typed words together can be used, and which of them the model can't spell."""
    lists = [found for text in request.form.getlist("hotword_lists")[:50] if (found := _uuid(text)) is not None]
    words: tuple[str, ...] = ()
    refused: PortalError | None = None
    try:
        typed = request.form.get("hotwords", "")[:LONGEST_TEXT]
        words = hotwords.snapshot(db.session(), current_actor(), lists, typed, **limits()).words
    except PortalError as error:
        if error.code not in REFUSALS:
            raise
        refused = error
    return render_template(
        "hotwords/_spelling.html",
        unspellable=unspellable(current_settings(), words),
        error=shown_error(refused) if refused else None,
    )


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def create(place: Place, *, scope: str, department_id: uuid.UUID | None = None, **extra: Any) -> Any:
    """Make a list and open it."""
    try:
        made = hotwords.create(
            db.session(), current_actor(), name=request.form.get("name", ""), scope=scope, department_id=department_id
        )
    except PortalError as error:
        return _again(place, None, error, **extra)
    flash(gettext("热词表已建好，把词粘贴进来吧。"), "ok")
    return _to(place, made.id)


def save(place: Place, list_id: uuid.UUID, **extra: Any) -> Any:
    """Save the pasted words as a new version."""
    raw = request.form.get("words", "")[:LONGEST_TEXT]
    before = whole_number("version")
    try:
        now = hotwords.save(db.session(), current_actor(), list_id, raw, expected_version=before, **limits())
    except PortalError as error:
        return _again(place, list_id, error, draft=raw, **extra)
    flash(gettext("已保存为第 %(number)s 版。", number=now) if now != before else gettext("没有改动，不用保存。"), "ok")
    return _to(place, list_id)


def rename(place: Place, list_id: uuid.UUID, **extra: Any) -> Any:
    """Give a list another name."""
    try:
        hotwords.rename(db.session(), current_actor(), list_id, request.form.get("name", ""))
    except PortalError as error:
        return _again(place, list_id, error, **extra)
    flash(gettext("名称已更新。"), "ok")
    return _to(place, list_id)


def roll_back(place: Place, list_id: uuid.UUID, **extra: Any) -> Any:
    """Put an older version in force."""
    number = whole_number("number")
    try:
        hotwords.roll_back(db.session(), current_actor(), list_id, number, expected_version=whole_number("version"))
    except PortalError as error:
        return _again(place, list_id, error, **extra)
    flash(gettext("已退回到第 %(number)s 版的内容。", number=number), "ok")
    return _to(place, list_id)


def delete(place: Place, list_id: uuid.UUID) -> Response:
    """Take a list away."""
    hotwords.delete(db.session(), current_actor(), list_id)
    flash(gettext("热词表已删除。已经转写的录音不受影响。"), "ok")
    return redirect(place.address())


def _to(place: Place, list_id: uuid.UUID) -> Response:
    return redirect(place.address(list=list_id))


def _again(place: Place, list_id: uuid.UUID | None, error: PortalError, draft: str | None = None, **extra: Any) -> Any:
    if error.code not in REFUSALS:
        raise error
    db.session.rollback()
    return page(place, shown=list_id, draft=draft, error=error, **{key: make() for key, make in extra.items()})
