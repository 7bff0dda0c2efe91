"""The settings of the process as administrators may see them: read-only, without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from portal.settings import PREFIX, Settings

SECRET = frozenset({"ldap_bind_password"})


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting: its name in ``portal.toml``, in the environment, its value now, whether it is the default."""

    name: str
    variable: str
    value: str
    is_default: bool


def process_settings(settings: Settings) -> list[SettingRow]:
    """All settings in the order of the documentation."""
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        default = field.get_default(call_default_factory=True)
        rows.append(SettingRow(name, PREFIX + name.upper(), _shown(name, value), value == default))
    return rows


def _shown(name: str, value: Any) -> str:
    if name in SECRET:
        return "••••••" if value else "–"
    if value is None or value == "" or value == ():
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return _without_password(str(value)) if name.endswith("_url") else str(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    person, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{person.partition(':')[0]}:••••••@{host}"))
