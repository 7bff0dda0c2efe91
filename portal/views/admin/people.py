"""People: the list, one person, and what an administrator may do with an account."""

from __future__ import annotations

import uuid
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from portal.db import db
from portal.errors import PortalError
from portal.http.error_pages import shown_error
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import current_actor
from portal.services.administration import people as admin
from portal.services.administration.departments import list_departments
from portal.services.administration.people import PeopleFilter
from portal.services.identity.permissions import Permission
from portal.views.admin.blueprint import bp, optional_id

REFUSALS = frozenset({"LOGIN_TAKEN", "INVALID_VALUE"})


def _page(error: PortalError | None = None) -> Any:
    wanted = PeopleFilter(
        request.args.get("text", "").strip()[:128],
        request.args.get("role", ""),
        request.args.get("state", ""),
        optional_id(request.args, "department"),
    )
    session, actor = db.session(), current_actor()
    page = admin.list_people(session, actor, wanted, after=request.args.get("after", "")[:300])
    # named one by one: url_for takes words such as _scheme and endpoint from its keywords, too
    query = {name: request.args[name] for name in ("text", "role", "state", "department") if request.args.get(name)}
    answer = render_template(
        "admin/people.html",
        page=page,
        wanted=wanted,
        departments=list_departments(session, actor),
        has_directory=bool(current_settings().ldap_urls),
        next=url_for("admin.people", **query, after=page.after) if page.after else None,  # type: ignore[arg-type]
        first=url_for("admin.people", **query) if request.args.get("after") else None,  # type: ignore[arg-type]
        error=shown_error(error) if error else None,
        entered=request.form,
    )
    return (answer, error.entry.status) if error else answer


@bp.get("/people", endpoint="people")
@requires(Permission.ADMIN_PEOPLE, reads=True)
def index() -> Any:
    """Everybody, by account name."""
    return _page()


@bp.post("/people", endpoint="people_create")
@requires(Permission.ADMIN_PEOPLE)
def create() -> Any:
    """A local account; its first password is shown once."""
    actor = current_actor()
    db.session.rollback()  # hashing takes a third of a second
    first = admin.new_first_password()
    try:
        made = admin.create_person(
            db.session(),
            actor,
            first,
            login=request.form.get("login", ""),
            display_name=request.form.get("display_name", ""),
            role=request.form.get("role", ""),
            department_id=optional_id(request.form, "department_id"),
        )
    except PortalError as error:
        if error.code not in REFUSALS:
            raise
        db.session.rollback()
        return _page(error)
    return render_template("admin/first_password.html", person=made, password=first.password)


@bp.get("/people/<uuid:user_id>", endpoint="person")
@requires(Permission.ADMIN_PEOPLE, reads=True)
def one(user_id: uuid.UUID) -> str:
    """One person."""
    session, actor = db.session(), current_actor()
    row = admin.get_person(session, actor, user_id)
    return render_template(
        "admin/person.html", row=row, departments=list_departments(session, actor), own=actor.user_id == user_id
    )


@bp.post("/people/<uuid:user_id>", endpoint="person_update")
@requires(Permission.ADMIN_PEOPLE)
def update(user_id: uuid.UUID) -> Response:
    """Another office or department."""
    role, department = request.form.get("role", ""), optional_id(request.form, "department_id")
    admin.update_person(db.session(), current_actor(), user_id, role=role, department_id=department)
    flash(gettext("已保存。"), "ok")
    return redirect(url_for("admin.person", user_id=user_id))


@bp.post("/people/<uuid:user_id>/disable", endpoint="person_disable")
@requires(Permission.ADMIN_PEOPLE)
def disable(user_id: uuid.UUID) -> Response:
    """No more signing in."""
    admin.disable_person(db.session(), current_actor(), user_id)
    flash(gettext("账号已停用，所有会话都已结束。"), "ok")
    return redirect(url_for("admin.person", user_id=user_id))


@bp.post("/people/<uuid:user_id>/enable", endpoint="person_enable")
@requires(Permission.ADMIN_PEOPLE)
def enable(user_id: uuid.UUID) -> Response:
    """Signing in again."""
    admin.enable_person(db.session(), current_actor(), user_id)
    flash(gettext("账号已启用。"), "ok")
    return redirect(url_for("admin.person", user_id=user_id))


@bp.post("/people/<uuid:user_id>/unlock", endpoint="person_unlock")
@requires(Permission.ADMIN_PEOPLE)
def unlock(user_id: uuid.UUID) -> Response:
    """Trying again at once."""
    admin.unlock_person(db.session(), current_actor(), user_id)
    flash(gettext("已解锁，可以马上重新登录。"), "ok")
    return redirect(url_for("admin.person", user_id=user_id))


@bp.post("/people/<uuid:user_id>/sessions", endpoint="person_sign_out")
@requires(Permission.ADMIN_PEOPLE)
def sign_out(user_id: uuid.UUID) -> Response:
    """Signed out everywhere."""
    count = admin.end_sessions(db.session(), current_actor(), user_id)
    flash(gettext("已结束 %(count)s 个会话。", count=count), "ok")
    return redirect(url_for("admin.person", user_id=user_id))


@bp.post("/people/<uuid:user_id>/password", endpoint="person_password")
@requires(Permission.ADMIN_PEOPLE)
def password(user_id: uuid.UUID) -> str:
    """A new first password, shown once."""
    actor = current_actor()
    db.session.rollback()  # hashing takes a third of a second
    first = admin.new_first_password()
    person = admin.reset_password(db.session(), actor, user_id, first)
    return render_template("admin/first_password.html", person=person, password=first.password)
