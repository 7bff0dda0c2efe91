"""Policy that is changed here, and the settings of the process that are only shown."""

from __future__ import annotations

from typing import Any, get_args

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext

from portal.db import db
from portal.errors import NotFound, PortalError
from portal.http.error_pages import shown_error
from portal.http.form_values import whole_number
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.administration import policies
from portal.services.administration.policies import PolicyName
from portal.services.administration.process_settings import process_settings
from portal.services.identity.permissions import Permission
from portal.views.admin.blueprint import bp

REFUSALS = frozenset({"INVALID_VALUE", "CONFLICT"})
GB = 1024**3


def _page(error: PortalError | None = None, wrong: str = "") -> Any:
    session = db.session()
    names: tuple[PolicyName, ...] = get_args(PolicyName)
    answer = render_template(
        "admin/settings.html",
        policies={name: policies.current(session, name) for name in names},
        histories={name: policies.history(session, name, limit=5) for name in names},
        rows=process_settings(current_settings()),
        limits=current_settings(),
        gib=GB,
        error=shown_error(error) if error else None,
        wrong=wrong,
    )
    return (answer, error.entry.status) if error else answer


@bp.get("/settings", endpoint="settings")
@requires(Permission.ADMIN_SETTINGS, reads=True)
def index() -> Any:
    """Both tables."""
    return _page()


@bp.post("/settings/<name>", endpoint="settings_change")
@requires(Permission.ADMIN_SETTINGS)
def change(name: str) -> Any:
    """Put one policy in force."""
    if name not in policies.POLICIES:
        raise NotFound
    known = next(item for item in policies.POLICIES if item == name)
    value: object = request.form.get("value", "").strip()
    if known == "upload_max_bytes" and value:
        value = _bytes(str(value))
    try:
        policies.set_policy(
            db.session(), current_actor(), current_settings(), known, value, expected_version=whole_number("version")
        )
    except PortalError as error:
        if error.code not in REFUSALS:
            raise
        db.session.rollback()
        return _page(error, known)
    flash(gettext("已保存，马上生效。"), "ok")
    return redirect(url_for("admin.settings"))


def _bytes(text: str) -> object:
    """GiB as entered, in bytes; left as it is when it is no number (and then refused)."""
    try:
        return int(float(text) * GB)
    except (ValueError, OverflowError):
        return text
