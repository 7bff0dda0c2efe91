"""``portal user``: accounts from the server's command line, and the set-up token."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.db import create_engine, session_factory
from portal.errors import PortalError
from portal.models.department import Department
from portal.models.user import AccountKind, Role, User
from portal.services import audit
from portal.services.identity import accounts, lockout, passwords, setup
from portal.services.identity.actor import Actor, system_actor
from portal.settings import Settings, SettingsError, load_settings

DEMO_DEPARTMENT = "演示部门"
DEMO_ACCOUNTS = (
    ("demo-staff", "演示员工", Role.STAFF),
    ("demo-admin", "演示管理员", Role.ADMIN),
    ("demo-auditor", "演示审计员", Role.AUDITOR),
)


def _actor() -> Actor:
    return system_actor("cli", "command-line")


@contextmanager
def _transaction(settings: Settings) -> Iterator[Session]:
    audit.load_audit_key(settings.instance)
    engine = create_engine(settings)
    try:
        if not sa.inspect(engine).has_table("users"):
            raise click.ClickException("The database is empty. Run: portal db upgrade")
        with session_factory(engine).begin() as session:
            yield session
    finally:
        engine.dispose()


def issue_setup_token(settings: Settings) -> str | None:
    """A new one-time token for the set-up page, valid for one hour; None once an administrator exists."""
    with _transaction(settings) as session:
        return setup.issue_token(session, _actor())


def create_demo_accounts(settings: Settings) -> list[tuple[str, str, str]]:
    """Make the three demonstration accounts, or give existing ones new passwords.

    Returns:
        Login, role and random password of each, to be printed once.
    """
    plain = {login: passwords.random_password() for login, _name, _role in DEMO_ACCOUNTS}
    hashed = {login: passwords.hash_password(password) for login, password in plain.items()}
    with _transaction(settings) as session:
        department_id = _department(session, DEMO_DEPARTMENT).id
        for login, name, role in DEMO_ACCOUNTS:
            user = accounts.find_local(session, login)
            if user is not None:
                accounts.set_password(session, _actor(), user, hashed[login], must_change=False)
                continue
            accounts.create_local(
                session,
                _actor(),
                login=login,
                display_name=name,
                role=role,
                password_hash=hashed[login],
                department_id=department_id if role is Role.STAFF else None,
            )
    return [(login, role.value, plain[login]) for login, _name, role in DEMO_ACCOUNTS]


def _department(session: Session, name: str) -> Department:
    found = session.scalar(sa.select(Department).where(Department.name == name))
    if found is None:
        found = Department(name=name)
        session.add(found)
        session.flush()
        audit.record(session, _actor(), audit.Action.DEPARTMENT_CREATE, object_kind="department", object_id=found.id)
    return found


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _said(error: PortalError) -> click.ClickException:
    known = {name: str(value) for name, value in error.params.items()}
    return click.ClickException(f"{error.entry.message} {error.entry.remedy}".format_map(known) + f" [{error.code}]")


def _person(session: Session, login: str) -> User:
    user = accounts.find_local(session, login)
    if user is None:
        people = session.scalars(sa.select(User).where(sa.func.lower(User.login) == login.lower())).all()
        active = [person for person in people if person.is_active] or list(people)
        user = active[0] if len(active) == 1 else None
    if user is None:
        raise click.ClickException(f"no account is called {login}")
    return user


@click.group("user")
def user_group() -> None:
    """Create accounts, renew the set-up token."""


@user_group.command("token")
def token_command() -> None:
    """Print a new set-up link (valid 1 hour, works once)."""
    settings = _settings()
    token = issue_setup_token(settings)
    if token is None:
        raise click.ClickException("The portal is set up: an administrator exists. Use: portal user create")
    scheme = "https" if settings.secure_cookies else "http"
    click.echo(f"{scheme}://{settings.host}:{settings.port}/setup?token={token}")


@user_group.command("create")
@click.argument("login")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.STAFF.value, show_default=True)
@click.option("--name", default="", help="Name that colleagues know; default: LOGIN.")
@click.option("--department", default=None, help="Name of the department; made when it does not exist.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin; else a random one is made.")
def create_command(login: str, role: str, name: str, department: str | None, password_stdin: bool) -> None:
    """Create a local account LOGIN."""
    settings = _settings()
    try:
        password, hashed = _new_password(settings, login, password_stdin)
        with _transaction(settings) as session:
            accounts.create_local(
                session,
                _actor(),
                login=login,
                display_name=name or login,
                role=Role(role),
                password_hash=hashed,
                department_id=_department(session, department).id if department else None,
                must_change_password=not password_stdin,
            )
    except PortalError as error:
        raise _said(error) from None
    _show_once(login, password, password_stdin)


def _new_password(settings: Settings, login: str, from_stdin: bool) -> tuple[str, str]:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        return password, passwords.new_hash(settings, password, login=login)
    password = passwords.random_password(max(20, settings.password_min_length))
    return password, passwords.hash_password(password)


def _show_once(login: str, password: str, from_stdin: bool) -> None:
    click.echo(f"{login}: done.")
    if not from_stdin:
        click.echo(f"Password, shown only now, to be changed at the first sign-in: {password}")


@user_group.command("password")
@click.argument("login")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin; else a random one is made.")
def password_command(login: str, password_stdin: bool) -> None:
    """Give the local account LOGIN a new password; its sessions end."""
    settings = _settings()
    try:
        password, hashed = _new_password(settings, login, password_stdin)
        with _transaction(settings) as session:
            user = _person(session, login)
            if user.kind != AccountKind.LOCAL:
                raise click.ClickException(f"{login} signs in with the directory's password")
            accounts.set_password(session, _actor(), user, hashed, must_change=not password_stdin)
    except PortalError as error:
        raise _said(error) from None
    _show_once(login, password, password_stdin)


@user_group.command("list")
def list_command() -> None:
    """All accounts: login, kind, office, state, department."""
    with _transaction(_settings()) as session:
        for user in session.scalars(sa.select(User).order_by(User.login)):
            state = "active" if user.is_active else "disabled"
            state = "locked" if user.is_active and lockout.locked_until(session, user) else state
            place = user.department.name if user.department else "-"
            click.echo("\t".join((user.login, user.kind, user.role, state, place)))


def _act(login: str, act: Callable[[Session, User], None]) -> None:
    try:
        with _transaction(_settings()) as session:
            act(session, _person(session, login))
    except PortalError as error:
        raise _said(error) from None
    click.echo(f"{login}: done.")


@user_group.command("disable")
@click.argument("login")
def disable_command(login: str) -> None:
    """Stop LOGIN from signing in; sessions end at once."""
    _act(login, lambda session, user: accounts.disable(session, _actor(), user, reason="command_line"))


@user_group.command("enable")
@click.argument("login")
def enable_command(login: str) -> None:
    """Let LOGIN sign in again."""
    _act(login, lambda session, user: accounts.enable(session, _actor(), user))


@user_group.command("unlock")
@click.argument("login")
def unlock_command(login: str) -> None:
    """Forget LOGIN's failed sign-ins."""
    _act(login, lambda session, user: lockout.unlock(session, _actor(), user))


@user_group.command("role")
@click.argument("login")
@click.argument("role", type=click.Choice([role.value for role in Role]))
def role_command(login: str, role: str) -> None:
    """Give LOGIN another office; sessions end. Auditors are made and changed only here."""
    _act(login, lambda session, user: accounts.set_role(session, _actor(), user, Role(role)))
