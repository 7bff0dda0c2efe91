"""The shared hotword lists: the company's and every department's."""

from __future__ import annotations

import uuid
from typing import Any

from flask import request

from portal.db import db
from portal.http.guards import requires
from portal.http.people import current_actor
from portal.services.administration.departments import DepartmentRow, list_departments
from portal.services.identity.permissions import Permission
from portal.views import hotword_pages as pages
from portal.views.admin.blueprint import bp, optional_id

PLACE = pages.Place("admin/hotwords.html", "admin.hotwords")


def _departments() -> list[DepartmentRow]:
    return list_departments(db.session(), current_actor())


@bp.get("/hotwords", endpoint="hotwords")
@requires(Permission.ADMIN_HOTWORDS, reads=True)
def index() -> Any:
    """All shared lists, one of them open."""
    return pages.page(PLACE, departments=_departments())


@bp.post("/hotwords", endpoint="hotwords_create")
@requires(Permission.ADMIN_HOTWORDS)
def create() -> Any:
    """A new list of a department, or of the company."""
    department = optional_id(request.form, "department_id")
    scope = "department" if department else "company"
    return pages.create(PLACE, scope=scope, department_id=department, departments=_departments)


@bp.post("/hotwords/check", endpoint="hotwords_check")
@requires(Permission.ADMIN_HOTWORDS, reads=True)
def check() -> str:
    """Live validation of pasted words; saves nothing."""
    return pages.checked()


@bp.post("/hotwords/<uuid:list_id>", endpoint="hotwords_save")
@requires(Permission.ADMIN_HOTWORDS)
def save(list_id: uuid.UUID) -> Any:
    """A new version."""
    return pages.save(PLACE, list_id, departments=_departments)


@bp.post("/hotwords/<uuid:list_id>/name", endpoint="hotwords_rename")
@requires(Permission.ADMIN_HOTWORDS)
def rename(list_id: uuid.UUID) -> Any:
    """Another name."""
    return pages.rename(PLACE, list_id, departments=_departments)


@bp.post("/hotwords/<uuid:list_id>/roll-back", endpoint="hotwords_roll_back")
@requires(Permission.ADMIN_HOTWORDS)
def roll_back(list_id: uuid.UUID) -> Any:
    """An older version again."""
    return pages.roll_back(PLACE, list_id, departments=_departments)


@bp.post("/hotwords/<uuid:list_id>/delete", endpoint="hotwords_delete")
@requires(Permission.ADMIN_HOTWORDS)
def delete(list_id: uuid.UUID) -> Any:
    """Take a list away."""
    return pages.delete(PLACE, list_id)
