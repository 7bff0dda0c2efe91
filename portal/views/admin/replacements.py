"""The wrong→right tables of the departments and of the company: what is misheard, and how it is written."""

from __future__ import annotations

import uuid
from typing import Any

from flask import flash, redirect, request
from flask_babel import gettext

from portal.db import db
from portal.http.form_values import whole_number
from portal.http.guards import requires
from portal.http.people import current_actor
from portal.services.hotwords import replacement_editing as editing
from portal.services.hotwords import replacements
from portal.services.identity.permissions import Permission
from portal.views import replacement_pages as pages
from portal.views.admin.blueprint import bp

PLACE = pages.TablePlace("admin/replacements.html", "admin.replacements", "admin.hotwords")


@bp.get("/hotwords/replacements", endpoint="replacements")
@requires(Permission.ADMIN_HOTWORDS, reads=True)
def index() -> Any:
    """All tables, one of them open."""
    return pages.page(PLACE)


@bp.post("/hotwords/replacements/<uuid:table_id>/try", endpoint="replacements_try")
@requires(Permission.ADMIN_HOTWORDS, reads=True)
def try_out(table_id: uuid.UUID) -> Any:
    """What the table does to a text; saves nothing."""
    return pages.tried(PLACE, table_id)


@bp.post("/hotwords/replacements/<uuid:table_id>", endpoint="replacements_add")
@requires(Permission.ADMIN_HOTWORDS)
def add(table_id: uuid.UUID) -> Any:
    """A new pair."""
    draft = _draft()
    entered = pages.Entered(pair=_fields(draft))
    refused = pages.attempt(
        PLACE, lambda: editing.add(db.session(), current_actor(), table_id, draft, pages.limits()), entered, table_id
    )
    return refused or _done(table_id, gettext("已加入：%(wrong)s → %(right)s", wrong=draft.wrong, right=draft.right))


@bp.post("/hotwords/replacements/<uuid:table_id>/import", endpoint="replacements_import")
@requires(Permission.ADMIN_HOTWORDS)
def take_in(table_id: uuid.UUID) -> Any:
    """Pairs from pasted lines."""
    raw, near = request.form.get("lines", "")[: pages.LONGEST_TEXT], request.form.get("near") == "1"
    taken: list[editing.TakenIn] = []

    def act() -> None:
        made = editing.take_in(db.session(), current_actor(), table_id, raw, near=near, limits=pages.limits())
        taken.append(made)

    refused = pages.attempt(PLACE, act, pages.Entered(lines=raw, lines_near=near), table_id)
    if refused:
        return refused
    made = taken[0]
    counts = {"added": made.added, "changed": made.changed, "unchanged": made.unchanged}
    return _done(table_id, gettext("新加 %(added)s 条，改了 %(changed)s 条，%(unchanged)s 条原来就有。", **counts))


@bp.post("/hotwords/replacements/<uuid:table_id>/roll-back", endpoint="replacements_roll_back")
@requires(Permission.ADMIN_HOTWORDS)
def roll_back(table_id: uuid.UUID) -> Any:
    """An older version again."""
    number = whole_number("number")
    editing.roll_back(db.session(), current_actor(), table_id, number)
    return _done(table_id, gettext("已退回到第 %(number)s 版的内容。", number=number))


@bp.post("/hotwords/replacements/pairs/<uuid:pair_id>", endpoint="replacements_save")
@requires(Permission.ADMIN_HOTWORDS)
def save(pair_id: uuid.UUID) -> Any:
    """Another pair in the place of one."""
    table_id = replacements.pair_for(db.session(), current_actor(), pair_id).table_id
    draft = _draft()
    refused = pages.attempt(
        PLACE,
        lambda: editing.edit(db.session(), current_actor(), pair_id, draft, pages.limits()),
        pages.Entered(pair=_fields(draft) | {"id": pair_id}),
        table_id,
    )
    return refused or _done(table_id, gettext("已保存。以后上传的录音按新的写法。"))


@bp.post("/hotwords/replacements/pairs/<uuid:pair_id>/delete", endpoint="replacements_delete")
@requires(Permission.ADMIN_HOTWORDS)
def delete(pair_id: uuid.UUID) -> Any:
    """End a pair."""
    table_id = replacements.pair_for(db.session(), current_actor(), pair_id).table_id
    editing.remove(db.session(), current_actor(), pair_id)
    return _done(table_id, gettext("已删除这一条。已经转写的录音不受影响。"))


def _draft() -> editing.Draft:
    form = request.form
    return editing.Draft(
        form.get("wrong", "")[:256],
        form.get("right", "")[:256],
        near=form.get("near") == "1",
        enabled=form.get("enabled") == "1",
        note=form.get("note", "")[:1000],
    )


def _fields(draft: editing.Draft) -> dict[str, Any]:
    return {
        "wrong": draft.wrong, "right": draft.right, "near": draft.near, "enabled": draft.enabled, "note": draft.note,
    }  # fmt: skip


def _done(table_id: uuid.UUID, said: str) -> Any:
    flash(said, "ok")
    return redirect(PLACE.address(table=table_id))
