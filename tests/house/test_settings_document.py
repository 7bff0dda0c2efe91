"""docs/settings.md names every setting and no other, and wrong settings stop the start with their name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portal.settings import SHELL_ONLY, Settings, SettingsError, load_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def named() -> set[str]:
    """Names in the first column of the tables."""
    found: set[str] = set()
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            found.update(re.findall(r"`([a-z_0-9]+)`", line.split("|")[1]))
    return found


def test_every_setting_is_documented() -> None:
    assert named() == set(Settings.model_fields)


def test_shell_settings_are_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(name in text for name in SHELL_ONLY - {"PORTAL_INSTANCE"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORTAL_PORT", "abc", "port"),
        ("PORTAL_PORT", "0", "port"),
        ("PORTAL_WORKERS", "0", "workers"),
        ("PORTAL_ENGINE_DEVICE", "tpu", "engine_device"),
        ("PORTAL_DATABASE_URL", "mysql://x", "database_url"),
        ("PORTAL_TLS_KEY", "/x/key.pem", "tls_certificate"),
        ("PORTAL_LDAP_URLS", "http://x", "ldap_urls"),
        ("PORTAL_NO_SUCH_THING", "1", "PORTAL_NO_SUCH_THING"),
    ],
)
def test_wrong_value_names_the_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_unknown_name_in_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "portal.toml").write_text("prot = 8000\n")
    monkeypatch.setenv("PORTAL_INSTANCE", str(tmp_path))
    with pytest.raises(SettingsError, match="prot"):
        load_settings()


def test_broken_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "portal.toml").write_text("port = = 1\n")
    monkeypatch.setenv("PORTAL_INSTANCE", str(tmp_path))
    with pytest.raises(SettingsError, match=r"portal\.toml"):
        load_settings()
