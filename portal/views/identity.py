"""Signing in and out, the first accounts, one's own account."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, Response, flash, g, make_response, redirect, render_template, request, url_for
from flask import session as page_session
from flask_babel import gettext

from portal.db import db
from portal.errors import PortalError
from portal.forms.identity import PasswordForm, SetupForm, SignInForm
from portal.http.error_pages import shown_error, wants_json
from portal.http.guards import requires
from portal.http.installation import current_settings
from portal.http.people import (
    client_address,
    current_actor,
    current_person,
    current_user_or_none,
    request_id,
)
from portal.http.redirects import home_for, local_path
from portal.http.signed_in import forget_cookie, give_cookie, own_token
from portal.http.transactions import short_transaction
from portal.services.identity import own_account, passwords, sessions, setup
from portal.services.identity.directory import directory_for
from portal.services.identity.permissions import Permission
from portal.services.identity.signing_in import Attempt, sign_in

bp = Blueprint("identity", __name__)


# signing in and out ------------------------------------------------------------------------------------------------
def _sign_in_page(form: SignInForm, target: str | None, error: PortalError | None = None) -> Response:
    page = render_template(
        "identity/sign_in.html",
        form=form,
        next=target,
        error=shown_error(error) if error else None,
        has_directory=bool(current_settings().ldap_urls),
    )
    response = make_response(page, error.entry.status if error else 200)
    if error and error.code == "SIGN_IN_LOCKED":
        response.headers["Retry-After"] = str(int(str(error.params["minutes"])) * 60)
    return response


@bp.get("/sign-in", endpoint="sign_in")
@requires(Permission.PUBLIC, reads=True)
def sign_in_page() -> Any:
    """The form."""
    target = local_path(request.args.get("next"))
    user = current_user_or_none()
    if user is not None:
        return redirect(target or home_for(user.role))
    return _sign_in_page(SignInForm(), target)


@bp.post("/sign-in")
@requires(Permission.PUBLIC)
def sign_in_submit() -> Any:
    """Check name and password; a new session token on success."""
    form, target = SignInForm(request.form), local_path(request.form.get("next"))
    db.session.rollback()  # the checks take time: no transaction of this request may wait for them
    attempt = Attempt(
        login=form.login.data or "",
        password=form.password.data or "",
        address=client_address(),
        request_id=request_id(),
        user_agent=request.user_agent.string,
        replaces=own_token(),
    )
    try:
        done = sign_in(short_transaction, current_settings(), directory_for(current_settings()), attempt)
    except PortalError as error:
        if wants_json():
            raise
        return _sign_in_page(form, target, error)
    language = page_session.get("language")
    page_session.clear()  # a new CSRF token, too
    if language:
        page_session["language"] = language
    response = redirect(url_for("identity.account") if done.must_change_password else target or home_for(done.role))
    give_cookie(response, done.token)
    return response


@bp.post("/sign-out")
@requires(Permission.SIGNED_IN)
def sign_out() -> Any:
    """End this browser's session."""
    sessions.end(db.session(), current_actor(), g.user_session)
    page_session.clear()
    response = redirect(url_for("identity.sign_in"))
    forget_cookie(response)
    return response


# the first accounts ------------------------------------------------------------------------------------------------
def _setup_page(form: SetupForm, token: str, error: PortalError | None = None, status: int = 200) -> Response:
    page = render_template(
        "identity/setup.html",
        form=form,
        token=token,
        error=shown_error(error) if error else None,
        minimum=current_settings().password_min_length,
    )
    return make_response(page, error.entry.status if error else status)


@bp.get("/setup", endpoint="setup")
@requires(Permission.PUBLIC, reads=True)
def setup_page() -> Any:
    """The form for the first accounts, with the token that the server printed."""
    token = request.args.get("token", "")
    db.session.rollback()
    setup.admit(short_transaction, current_settings(), current_actor(), token)
    return _setup_page(SetupForm(), token)


@bp.post("/setup")
@requires(Permission.PUBLIC)
def setup_submit() -> Any:
    """Make administrator, auditor and an everyday account."""
    form, token, actor = SetupForm(request.form), request.form.get("token", ""), current_actor()
    db.session.rollback()
    setup.admit(short_transaction, current_settings(), actor, token)
    if not form.validate():
        return _setup_page(form, token, status=422)
    try:
        made = {name: _new_account(form, name) for name in ("admin", "auditor", "staff")}
        with short_transaction() as session:
            setup.redeem(session, actor, token, **made)
    except PortalError as error:
        return _setup_page(form, token, error)
    flash(gettext("账号已经建好，请登录。"), "ok")
    return redirect(url_for("identity.sign_in"))


def _new_account(form: SetupForm, name: str) -> setup.NewAccount:
    login = str(form[f"{name}_login"].data).strip()
    hashed = passwords.new_hash(current_settings(), str(form[f"{name}_password"].data), login=login)
    return setup.NewAccount(login, str(form[f"{name}_name"].data).strip(), hashed)


# one's own account -------------------------------------------------------------------------------------------------
def _account_page(form: PasswordForm, error: PortalError | None = None, status: int = 200) -> Response:
    person = current_person()
    page = render_template(
        "identity/account.html",
        person=person,
        form=form,
        error=shown_error(error) if error else None,
        sessions=sessions.live_sessions(db.session(), current_settings(), person),
        this_session=g.session_id,
        minimum=current_settings().password_min_length,
    )
    return make_response(page, error.entry.status if error else status)


@bp.get("/account")
@requires(Permission.SIGNED_IN, reads=True)
def account() -> Any:
    """Who I am here, how it looks, where I am signed in."""
    return _account_page(PasswordForm())


@bp.post("/account/password")
@requires(Permission.SIGNED_IN)
def change_password() -> Any:
    """A new password for a local account."""
    form, actor, own_session = PasswordForm(request.form), current_actor(), g.session_id
    if not form.validate():
        return _account_page(form, status=422)
    db.session.rollback()
    try:
        own_account.change_password(
            short_transaction,
            current_settings(),
            actor,
            current=str(form.current.data),
            new=str(form.new.data),
            keep=own_session,
        )
    except PortalError as error:
        if error.code == "FORBIDDEN":
            raise
        return _account_page(form, error)
    flash(gettext("密码已修改，其他浏览器已退出登录。"), "ok")
    return redirect(url_for("identity.account"))


@bp.post("/account/sessions/<uuid:session_id>/revoke")
@requires(Permission.SIGNED_IN)
def revoke_session(session_id: uuid.UUID) -> Any:
    """Sign another browser out."""
    sessions.revoke(db.session(), current_actor(), current_person(), session_id)
    flash(gettext("那个浏览器已退出登录。"), "ok")
    return redirect(url_for("identity.account"))


@bp.post("/account/sessions/revoke-others")
@requires(Permission.SIGNED_IN)
def revoke_other_sessions() -> Any:
    """Sign all other browsers out."""
    sessions.revoke_all(db.session(), current_actor(), current_person(), reason="own_wish", keep=g.session_id)
    flash(gettext("其他浏览器都已退出登录。"), "ok")
    return redirect(url_for("identity.account"))


@bp.post("/language")
@requires(Permission.PUBLIC)
def set_language() -> Any:
    """Chinese or English, before and after signing in."""
    language = request.form.get("language", "")
    if language not in own_account.LANGUAGES:
        raise PortalError("INVALID_VALUE", field="language")
    page_session["language"] = language
    user = current_user_or_none()
    if user is not None:
        own_account.set_language(db.session(), current_actor(), user, language)
    return redirect(local_path(request.form.get("next")) or "/")


@bp.post("/theme")
@requires(Permission.SIGNED_IN)
def set_theme() -> Any:
    """Light, dark, or what the system says."""
    own_account.set_theme(db.session(), current_actor(), current_person(), request.form.get("theme", ""))
    if wants_json():
        return Response(status=204)
    return redirect(url_for("identity.account"))
