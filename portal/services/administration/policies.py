"""Policy: what an administrator changes while the portal runs. Every change is a new version with its author.

Reading is cheap (one indexed query) and needs no office: ``get_policy(session, "default_itn")``. Limits here can only
be narrower than the process settings; ``effective_limit`` takes the smaller of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.asr.vad_presets import FILE_PRESETS
from portal.errors import PortalError
from portal.models.policy_setting import PolicySetting
from portal.models.user import User
from portal.services import audit
from portal.services.administration.office import need
from portal.services.identity.actor import Actor
from portal.services.identity.permissions import Permission
from portal.settings import Settings

PolicyName = Literal[
    "default_itn", "default_channels", "default_vad_preset", "announcement", "upload_max_bytes", "recording_max_hours"
]
ANNOUNCEMENT_AT_MOST = 200
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy: its value until somebody changes it, and what may be entered."""

    default: Any
    clean: Callable[[object, Settings], Any]
    """Turns what was entered into the stored value; raises ValueError."""


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy as it is, or was, in force. Version 0 is the default that nobody changed yet."""

    name: str
    version: int
    value: Any
    changed_by: str | None = None
    changed_at: datetime | None = None


def _boolean(value: object, _settings: Settings) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("1", "0", "true", "false"):
        return value in ("1", "true")
    raise ValueError


def _channels(value: object, _settings: Settings) -> str:
    if value in ("mix", "split"):
        return str(value)
    raise ValueError


def _vad_preset(value: object, _settings: Settings) -> str:
    if value in FILE_PRESETS:
        return str(value)
    raise ValueError


def _announcement(value: object, _settings: Settings) -> str:
    text = " ".join("".join(ch if ch.isprintable() else " " for ch in str(value)).split())
    if len(text) > ANNOUNCEMENT_AT_MOST:
        raise ValueError
    return text


def _bytes(value: object, settings: Settings) -> int | None:
    if value in (None, ""):
        return None
    count = int(str(value))
    if not MIB <= count <= settings.upload_max_bytes:
        raise ValueError
    return count


def _hours(value: object, settings: Settings) -> float | None:
    if value in (None, ""):
        return None
    hours = float(str(value))
    if not 0.1 <= hours <= settings.recording_max_hours:  # refuses NaN as well
        raise ValueError
    return hours


POLICIES: dict[PolicyName, Policy] = {
    "default_itn": Policy(True, _boolean),
    "default_channels": Policy("mix", _channels),
    "default_vad_preset": Policy("general", _vad_preset),
    "announcement": Policy("", _announcement),
    "upload_max_bytes": Policy(None, _bytes),
    "recording_max_hours": Policy(None, _hours),
}
"""``upload_max_bytes`` and ``recording_max_hours``: None leaves the process setting as the limit."""


def get_policy(session: Session, name: PolicyName) -> Any:
    """The value in force."""
    return current(session, name).value


def current(session: Session, name: PolicyName) -> PolicyVersion:
    """The version in force, with who changed it."""
    found = history(session, name, limit=1)
    return found[0] if found else PolicyVersion(name, 0, POLICIES[name].default)


def history(session: Session, name: PolicyName, *, limit: int = 10) -> list[PolicyVersion]:
    """The newest versions, newest first; empty when nobody ever changed this policy."""
    rows = session.execute(
        sa.select(PolicySetting, User.display_name)
        .outerjoin(User, User.id == PolicySetting.changed_by)
        .where(PolicySetting.name == name)
        .order_by(PolicySetting.version.desc())
        .limit(limit)
    )
    return [PolicyVersion(name, row.version, row.value["value"], author, row.changed_at) for row, author in rows]


def effective_upload_max_bytes(session: Session, settings: Settings) -> int:
    """The smaller of the process limit and the policy (bytes)."""
    limit = get_policy(session, "upload_max_bytes")
    return settings.upload_max_bytes if limit is None else min(int(limit), settings.upload_max_bytes)


def effective_recording_max_hours(session: Session, settings: Settings) -> float:
    """The smaller of the process limit and the policy (hours)."""
    limit = get_policy(session, "recording_max_hours")
    return settings.recording_max_hours if limit is None else min(float(limit), settings.recording_max_hours)


def set_policy(
    session: Session, actor: Actor, settings: Settings, name: PolicyName, value: object, *, expected_version: int
) -> PolicyVersion:
    """Put a value in force; the same value again makes no new version.

    Args:
        value: as entered in the form, or None/empty to leave a limit to the process settings.
        expected_version: the version the administrator had before them.

    Raises:
        Forbidden: the actor is no administrator.
        PortalError: INVALID_VALUE, CONFLICT when somebody changed it in between.
    """
    need(actor, Permission.ADMIN_SETTINGS)
    try:
        clean = POLICIES[name].clean(value, settings)
    except (ValueError, OverflowError):
        raise PortalError("INVALID_VALUE", field=name) from None
    before = current(session, name)
    if before.version != expected_version:
        raise PortalError("CONFLICT")
    if clean == before.value:
        return before
    row = PolicySetting(name=name, version=expected_version + 1, value={"value": clean}, changed_by=actor.user_id)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise PortalError("CONFLICT") from None
    # an announcement is text that people wrote: the log keeps its length only
    shown = (lambda text: {"characters": len(text)}) if name == "announcement" else (lambda raw: raw)
    detail = {"version": row.version, "before": shown(before.value), "after": shown(clean)}
    audit.record(session, actor, audit.Action.SETTING_CHANGE, object_kind="policy", object_id=name, detail=detail)
    return current(session, name)
