"""The reader's language, time zone and the helpers that templates use to show numbers and times."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Flask, request, session
from flask_babel import Babel, get_locale

from portal.http.installation import current_settings
from portal.http.people import current_user_or_none

LANGUAGES = ("zh_CN", "en")
babel = Babel()


def select_language() -> str:
    """Own choice, then this browser session's choice, then what the browser asks for, then the default."""
    user = current_user_or_none()
    if user is not None and user.language in LANGUAGES:
        return str(user.language)
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    best = request.accept_languages.best_match(["zh-CN", "zh", "en"])
    if best is None:
        return str(current_settings().language)
    return "en" if best == "en" else "zh_CN"


def clock(ms: int | None) -> str:
    """Milliseconds as people read them: ``42:15`` or ``1:58:00``; an en dash where unknown."""
    if ms is None:
        return "–"
    seconds = round(ms / 1000)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def exact_clock(ms: int) -> str:
    """Milliseconds as ``1:58:00.4``: tenths, for lists in which seconds are too coarse."""
    tenths = ms // 100
    return f"{clock(tenths // 10 * 1000)}.{tenths % 10}"


def size(count: int | None) -> str:
    """Bytes with a unit (1 MB = 1,048,576 bytes, as the file managers of office computers show them)."""
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1024 or unit == "TB":
            return f"{value:.0f} {unit}" if unit in ("B", "KB") or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError


def local_time(value: datetime | None) -> str:
    """A time in the portal's zone, ``2026-11-20 14:05``."""
    if value is None:
        return "–"
    zone = ZoneInfo(current_settings().timezone)
    return value.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def html_language() -> str:
    """The ``lang`` attribute."""
    return "en" if str(get_locale()) == "en" else "zh-CN"


def init_app(app: Flask) -> None:
    """Attach Babel and the template filters."""
    app.config.setdefault("BABEL_DEFAULT_LOCALE", "zh_CN")
    app.config.setdefault("BABEL_TRANSLATION_DIRECTORIES", "translations")
    babel.init_app(app, locale_selector=select_language)
    app.jinja_env.filters.update(clock=clock, exact_clock=exact_clock, size=size, local_time=local_time)
    app.jinja_env.globals.update(html_language=html_language)
