"""What every page's frame needs: the reader, static addresses that name their content, friendly times."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Flask, Response, current_app, g, request, url_for
from flask_babel import get_locale, gettext
from sqlalchemy.exc import SQLAlchemyError

from portal.db import db, utcnow
from portal.http.installation import current_settings
from portal.http.people import current_user_or_none
from portal.services.administration import get_policy

STATIC_SECONDS = 365 * 24 * 3600
"""How long a browser may keep a file whose address names its content."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The signed-in person as the frame of a page shows them; a copy, so error pages need no database."""

    name: str
    initial: str
    role: str
    department: str | None
    theme: str


def reader() -> Reader | None:
    """Who reads this page; None before signing in, or when the database can't say."""
    if "reader" not in g:
        try:
            user = current_user_or_none()
            g.reader = user and Reader(
                user.display_name,
                user.display_name[:1],
                user.role,
                user.department.name if user.department else None,
                user.theme if user.theme in ("light", "dark") else "auto",
            )
        except SQLAlchemyError:
            g.reader = None
    known: Reader | None = g.reader
    return known


def has_endpoint(name: str) -> bool:
    """Whether a route of this name exists; links to pages of other wings ask first."""
    return name in current_app.view_functions


def announcement() -> str:
    """What the administrators say to everybody who is signed in; empty most of the time."""
    if reader() is None:
        return ""
    try:
        return str(get_policy(db.session(), "announcement"))
    except SQLAlchemyError:
        return ""  # an error page without a database


def shown_time(value: datetime) -> str:
    """A time in the portal's zone as people say it: today and yesterday by name, this year without the year."""
    zone = ZoneInfo(current_settings().timezone)
    local, today = value.astimezone(zone), utcnow().astimezone(zone).date()
    clock = local.strftime("%H:%M")
    if local.date() == today:
        return str(gettext("今天 %(clock)s", clock=clock))
    if local.date() == today - timedelta(days=1):
        return str(gettext("昨天 %(clock)s", clock=clock))
    english = str(get_locale()) == "en"
    day = f"{local.day} {local:%b}" if english else f"{local.month} 月 {local.day} 日"
    if local.year != today.year:
        day = f"{day} {local.year}" if english else f"{local.year} 年 {day}"
    return f"{day} {clock}"


def iso_time(value: datetime) -> str:
    """The same time for machines and for the tooltip, to the second, with its offset."""
    zone = ZoneInfo(current_settings().timezone)
    return value.astimezone(zone).isoformat(timespec="seconds")


def _asset_addresses(root: Path) -> Callable[[str], str]:
    folders = {path.name.rpartition("-")[0]: path.name for path in (root / "vendor").glob("*-*") if path.is_dir()}

    @cache
    def version(name: str) -> str:
        return hashlib.sha256((root / name).read_bytes()).hexdigest()[:10]

    def asset(name: str) -> str:
        if name.startswith("vendor/"):
            _, library, file = name.split("/", 2)
            name = f"vendor/{folders[library]}/{file}"
        fresh = version.__wrapped__ if current_app.debug else version
        return url_for("static", filename=name, v=fresh(name))

    return asset


def init_app(app: Flask) -> None:
    """Attach the globals and filters; must come after the guards, which say whether a request only reads."""
    app.jinja_env.globals.update(
        reader=reader,
        announcement=announcement,
        has_endpoint=has_endpoint,
        asset=_asset_addresses(Path(str(app.static_folder))),
    )
    app.jinja_env.filters.update(shown_time=shown_time, iso_time=iso_time)

    @app.before_request
    def know_the_reader() -> None:
        # captured now: an error page is drawn after a rollback, perhaps without a database
        if request.endpoint not in (None, "static"):
            reader()
            get_locale()

    @app.after_request
    def keep_versioned_files(response: Response) -> Response:
        if request.endpoint == "static" and "v" in request.args and response.status_code == 200:
            response.headers["Cache-Control"] = f"public, max-age={STATIC_SECONDS}, immutable"
        return response
