"""``portal user``, as an administrator types it."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner, Result

from portal.cli.user import create_demo_accounts, issue_setup_token, user_group
from portal.db import upgrade
from portal.settings import Settings, SettingsError, load_settings


@pytest.fixture
def place(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A migrated portal that the command line finds."""
    monkeypatch.setenv("PORTAL_INSTANCE", str(settings.instance))
    upgrade(settings)
    return settings


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(user_group, arguments, input=typed)


def test_before_the_database_exists(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_INSTANCE", str(settings.instance))
    done = run("list")
    assert done.exit_code == 1
    assert "portal db upgrade" in done.output


def test_token_until_there_is_an_administrator(place: Settings) -> None:
    first, second = run("token").output, run("token").output
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/setup\?token=[\w-]{43}\n", first)
    assert first != second
    assert run("create", "guan", "--role", "admin").exit_code == 0
    assert run("token").exit_code == 1
    assert issue_setup_token(place) is None


def test_create_list_disable_enable(place: Settings) -> None:
    made = run("create", "lin", "--name", "林晓雯", "--department", "研发部")
    assert made.exit_code == 0
    assert re.search(r": \w{20}\n", made.output)
    assert run("list").output == "lin\tlocal\tstaff\tactive\t研发部\n"
    assert "LOGIN_TAKEN" in run("create", "LIN").output
    assert run("disable", "lin").exit_code == 0
    assert "disabled" in run("list").output
    assert run("enable", "lin").exit_code == run("unlock", "lin").exit_code == 0
    assert run("role", "lin", "auditor").exit_code == 0
    assert "auditor" in run("list").output
    assert run("role", "lin", "root").exit_code != 0
    assert run("role", "lin", "staff").exit_code == 0
    assert "no account" in run("disable", "nobody").output
    assert run("create", "guan", "--role", "admin").exit_code == 0
    assert "LAST_ADMIN" in run("disable", "guan").output


def test_passwords_from_standard_input(place: Settings) -> None:
    assert "PASSWORD_TOO_SHORT" in run("create", "lin", "--password-stdin", typed="short\n").output
    done = run("create", "lin", "--password-stdin", typed="a long and honest password\n")
    assert done.exit_code == 0
    assert "honest" not in done.output
    assert run("password", "lin").exit_code == 0


def test_demonstration_accounts_can_be_made_again(place: Settings) -> None:
    first, second = create_demo_accounts(place), create_demo_accounts(place)
    assert [(login, role) for login, role, _ in first] == [
        ("demo-staff", "staff"), ("demo-admin", "admin"), ("demo-auditor", "auditor")]  # fmt: skip
    assert {len(password) for _, _, password in first + second} == {20}
    assert len({password for _, _, password in first + second}) == 6


@pytest.mark.parametrize(
    ("text", "names"),
    [("a.example", ("a.example",)), ("a, b ,", ("a", "b")), ('["a", "b"]', ("a", "b")), ("", ())],
)
def test_lists_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, names: tuple[str, ...]) -> None:
    monkeypatch.setenv("PORTAL_TLS_NAMES", text)
    assert load_settings().tls_names == names


@pytest.mark.parametrize(
    ("name", "text"),
    [("TLS_NAMES", '["a"'), ("ENGINE_ALLOWED_UIDS", "1,x"), ("ADMIN_NETWORKS", "10.0.0.1/8"), ("LDAP_URLS", "[1]")],
)
def test_wrong_lists_name_the_setting(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"PORTAL_{name}", text)
    with pytest.raises(SettingsError, match=name.lower()):
        load_settings()
