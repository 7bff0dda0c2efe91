"""Hotword lists of everyday people: their department's and the company's to read, their own to edit."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint

from portal.http.guards import requires
from portal.services.identity.permissions import Permission
from portal.views import hotword_pages as pages
from portal.views import replacement_pages

bp = Blueprint("hotwords", __name__)
PLACE = pages.Place("hotwords/index.html", "hotwords.index")
TABLES = replacement_pages.TablePlace("hotwords/replacements.html", "hotwords.replacements", "hotwords.index")


@bp.get("/hotwords")
@requires(Permission.USE_HOTWORDS, reads=True)
def index() -> Any:
    """All lists this person sees, one of them open."""
    return pages.page(PLACE)


@bp.post("/hotwords", endpoint="index_create")
@requires(Permission.USE_HOTWORDS)
def create() -> Any:
    """A new personal list."""
    return pages.create(PLACE, scope="personal")


@bp.post("/hotwords/check", endpoint="index_check")
@requires(Permission.USE_HOTWORDS, reads=True)
def check() -> str:
    """Live validation of pasted words; saves nothing."""
    return pages.checked()


@bp.post("/hotwords/spelling", endpoint="index_spelling")
@requires(Permission.USE_HOTWORDS, reads=True)
def spelling() -> str:
    """What is to be known about the words chosen for an upload; saves nothing."""
    return pages.chosen_for_upload()


@bp.post("/hotwords/<uuid:list_id>", endpoint="index_save")
@requires(Permission.USE_HOTWORDS)
def save(list_id: uuid.UUID) -> Any:
    """A new version."""
    return pages.save(PLACE, list_id)


@bp.post("/hotwords/<uuid:list_id>/name", endpoint="index_rename")
@requires(Permission.USE_HOTWORDS)
def rename(list_id: uuid.UUID) -> Any:
    """Another name."""
    return pages.rename(PLACE, list_id)


@bp.post("/hotwords/<uuid:list_id>/roll-back", endpoint="index_roll_back")
@requires(Permission.USE_HOTWORDS)
def roll_back(list_id: uuid.UUID) -> Any:
    """An older version again."""
    return pages.roll_back(PLACE, list_id)


@bp.post("/hotwords/<uuid:list_id>/delete", endpoint="index_delete")
@requires(Permission.USE_HOTWORDS)
def delete(list_id: uuid.UUID) -> Any:
    """Take a list away."""
    return pages.delete(PLACE, list_id)


@bp.get("/hotwords/replacements", endpoint="replacements")
@requires(Permission.USE_HOTWORDS, reads=True)
def replacements() -> Any:
    """What is written instead of what is misheard, in one's department and in the company."""
    return replacement_pages.page(TABLES)


@bp.post("/hotwords/replacements/<uuid:table_id>/try", endpoint="replacements_try")
@requires(Permission.USE_HOTWORDS, reads=True)
def try_replacements(table_id: uuid.UUID) -> Any:
    """What a table does to a text; saves nothing."""
    return replacement_pages.tried(TABLES, table_id)
