"""Departments."""

from __future__ import annotations

import uuid
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext

from portal.db import db
from portal.errors import PortalError
from portal.http.error_pages import shown_error
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.administration import departments as admin
from portal.services.identity.permissions import Permission
from portal.views.admin.blueprint import bp

REFUSALS = frozenset({"DEPARTMENT_NAME_TAKEN", "DEPARTMENT_NOT_EMPTY", "INVALID_VALUE"})


def _page(error: PortalError | None = None) -> Any:
    answer = render_template(
        "admin/departments.html",
        departments=admin.list_departments(db.session(), current_actor()),
        has_directory=bool(current_settings().ldap_urls),
        attribute=current_settings().ldap_department_attribute,
        error=shown_error(error) if error else None,
    )
    return (answer, error.entry.status) if error else answer


def _done(text: str) -> Any:
    flash(text, "ok")
    return redirect(url_for("admin.departments"))


def _again(error: PortalError) -> Any:
    if error.code not in REFUSALS:
        raise error
    db.session.rollback()
    return _page(error)


@bp.get("/departments", endpoint="departments")
@requires(Permission.ADMIN_DEPARTMENTS, reads=True)
def index() -> Any:
    """All of them."""
    return _page()


@bp.post("/departments", endpoint="departments_create")
@requires(Permission.ADMIN_DEPARTMENTS)
def create() -> Any:
    """A new one."""
    name, mapped = request.form.get("name", ""), request.form.get("directory_name", "")
    try:
        admin.create_department(db.session(), current_actor(), name=name, directory_name=mapped)
    except PortalError as error:
        return _again(error)
    return _done(gettext("部门已建好。"))


@bp.post("/departments/<uuid:department_id>", endpoint="departments_update")
@requires(Permission.ADMIN_DEPARTMENTS)
def update(department_id: uuid.UUID) -> Any:
    """Another name, another directory value."""
    name, mapped = request.form.get("name", ""), request.form.get("directory_name", "")
    try:
        admin.update_department(db.session(), current_actor(), department_id, name=name, directory_name=mapped)
    except PortalError as error:
        return _again(error)
    return _done(gettext("已保存。"))


@bp.post("/departments/<uuid:department_id>/delete", endpoint="departments_delete")
@requires(Permission.ADMIN_DEPARTMENTS)
def delete(department_id: uuid.UUID) -> Any:
    """Away, when empty."""
    try:
        admin.delete_department(db.session(), current_actor(), department_id)
    except PortalError as error:
        return _again(error)
    return _done(gettext("部门已删除。"))
