"""``portal doctor``, the parts that need the settings: models, queue, database, addresses, certificates."""

from __future__ import annotations

import datetime as dt
import socket
from pathlib import Path
from urllib.parse import urlsplit

from portal.cli.doctor_checks import Check, bad, good, warning
from portal.settings import Settings, SettingsError
from portal.supervisor import addresses, plans
from portal.supervisor.redis import RedisRefused, facts, find_server, refuse_forgetful

CERTIFICATE_DAYS = 30


def model(role: str, directory: Path, settings: Settings) -> Check:
    """Whether a model directory is exactly what was confirmed."""
    from portal.asr.engine.manifest import manifest_for, verify
    from portal.asr.errors import ModelError

    try:
        manifest = manifest_for(directory, settings.installed_models_file)
        verify(directory, manifest)
    except ModelError as error:
        return bad(
            f"model {role}", str(error), f"Restore {directory}, or confirm another model with: portal model add FOLDER"
        )
    if manifest.role != role:
        return bad(f"model {role}", f"{directory} is a model for {manifest.role}", f"Set PORTAL_{role.upper()}_MODEL.")
    if manifest.demo:
        remedy = "A small demonstration model, trained on synthetic speech; for real ones see docs/administrators.md."
        return warning(f"model {role}", manifest.name, remedy)
    return good(f"model {role}", manifest.name)


def queue(settings: Settings) -> Check:
    """The given Redis keeps what it is told; for the embedded one the program is there."""
    if settings.redis_url is not None:
        try:
            found = refuse_forgetful(settings.redis_url)
        except RedisRefused as error:
            return bad("redis", str(error), "Mend redis.conf, or remove redis_url to use the embedded Redis.")
        return good("redis", f"{found.version}, append-only, noeviction")
    server = find_server()
    if server is None:
        return bad("redis", "redis-server is not installed", "apt-get install --no-install-recommends redis-server")
    if settings.redis_socket.exists():
        try:
            return good("redis", f"embedded, running, {facts(settings.effective_redis_url).version}")
        except Exception:  # a stale socket: it is simply not running
            return good("redis", f"embedded, {server}, not running")
    return good("redis", f"embedded, {server}")


def database(settings: Settings) -> Check:
    """Whether the database answers and has the tables of this version."""
    import sqlalchemy as sa
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from portal.db import alembic_config, create_engine, read_only

    url = settings.effective_database_url
    if settings.database_url is None and not (settings.instance / "portal.sqlite3").exists():
        return good("database", "SQLite, made at the first start")
    engine = create_engine(settings)
    try:
        with read_only(), engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        return bad("database", reason, "Check PORTAL_DATABASE_URL and that the server runs and lets us in.")
    finally:
        engine.dispose()
    newest = ScriptDirectory.from_config(alembic_config(url)).get_current_head()
    if current != newest:
        return warning(
            "database", f"at {current}, this version wants {newest}", "portal db upgrade (portal up does it)."
        )
    return good("database", f"{engine.dialect.name}, at {current}")


def web_address(settings: Settings) -> Check:
    """Whether the address is safe to offer."""
    try:
        addresses.refuse_open_plain_http(settings)
    except SettingsError as error:
        return bad("address", settings.host, str(error))
    return good("address", addresses.public_address(settings))


def sockets(settings: Settings) -> Check:
    """Whether the paths of Unix sockets fit."""
    short = plans.short_socket_dir(settings)
    if short is None:
        return good("sockets", str(settings.run_dir))
    return warning(
        "sockets", f"{settings.run_dir} is too long a path for sockets", f"{short} is used; or set PORTAL_SOCKET_DIR."
    )


def certificate(settings: Settings) -> Check:
    """The given certificate: readable and valid for a while."""
    from cryptography import x509

    path = settings.tls_certificate
    if path is None:
        own = "own authority, renewed by itself" if settings.tls_own_ca else "none"
        return good("certificate", own)
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return bad("certificate", f"{path}: {error}", "Set PORTAL_TLS_CERTIFICATE to a readable PEM file.")
    left = (found.not_valid_after_utc - dt.datetime.now(dt.UTC)).days
    if left < 0:
        return bad("certificate", f"{path} ended {-left} days ago", "Put a new certificate there and restart.")
    if left < CERTIFICATE_DAYS:
        return warning("certificate", f"{path} ends in {left} days", "Order a new one now.")
    return good("certificate", f"{path}, {left} days left")


def directory(settings: Settings) -> Check:
    """Whether the directory servers can be reached (a TCP connection, no sign-in)."""
    if not settings.ldap_urls:
        return good("directory", "none, local accounts only")
    silent = []
    for url in settings.ldap_urls:
        parts = urlsplit(url)
        port = parts.port or (636 if parts.scheme == "ldaps" else 389)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=settings.ldap_connect_seconds).close()
        except OSError as error:
            silent.append(f"{url}: {error.strerror or error}")
    remedy = "Check the addresses in PORTAL_LDAP_URLS and the firewall."
    if len(silent) == len(settings.ldap_urls):
        return bad("directory", "; ".join(silent), remedy)
    if silent:
        return warning("directory", "; ".join(silent), remedy)
    return good("directory", f"{len(settings.ldap_urls)} servers answer")
