"""``portal engine``: see and steer the running engine from the server; in the access log like the pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import click
from sqlalchemy.orm import Session, sessionmaker

from portal.asr.engine.contract import Change, EngineStatus
from portal.asr.engine.releases import Release
from portal.asr.errors import AsrError
from portal.cli.engine_papers import papers_command
from portal.cli.model import terminal_actor
from portal.db import create_engine, session_factory, upgrade
from portal.errors import PortalError
from portal.services.administration import engine, engine_acts
from portal.services.audit import load_audit_key
from portal.settings import Settings, SettingsError, load_settings

_T = TypeVar("_T")
PATIENCE_S = 1800.0
_number = click.option("--engine", "number", type=click.IntRange(1), default=1, help="Which engine, from 1.")


@click.group("engine")
def engine_group() -> None:
    """See the engine, clear its cache, unload, reload or switch its model."""


engine_group.add_command(papers_command, "papers")


@dataclass(frozen=True)
class _Desk:
    """What an act needs: settings, the database for the log, which engine."""

    settings: Settings
    sessions: sessionmaker[Session]
    number: int


@engine_group.command("status")
@_number
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON object.")
def status_command(number: int, as_json: bool) -> None:
    """Show device, model, memory and work; exit status 1 when the engine does not answer or is not ready."""
    settings = _settings()
    view = engine.look(settings, number)
    if view.status is None:
        if as_json:
            click.echo(json.dumps({"ready": False, "error": view.error_code, "address": view.address}))
        else:
            click.echo(f"{view.error_code}: no engine answers on {view.address}", err=True)
        raise SystemExit(1)
    if as_json:
        click.echo(json.dumps({**view.status.to_wire(), "address": view.address}, ensure_ascii=False))
    else:
        for name, value in _lines(view.status, view.speed):
            click.echo(f"{name:12}{value}")
    if not view.status.ready:
        raise SystemExit(1)


@engine_group.command("clear-cache")
@_number
def clear_command(number: int) -> None:
    """Give back memory that no running work needs; recordings under way go on."""
    with _desk(number) as desk:
        _ask_first(desk, "clear_cache")
        cleared = _or_refuse(desk, "clear_cache", lambda: engine_acts.clear_cache(desk.settings, number))
        with desk.sessions.begin() as session:
            engine_acts.after_clear(session, terminal_actor(), cleared, number=number)
    click.echo(f"Cleared: {engine.mib(cleared.before_bytes)} -> {engine.mib(cleared.after_bytes)} MiB")


@engine_group.command("unload")
@_number
@click.option("--wait", is_flag=True, help="Wait for running recordings; without it they refuse the unload.")
def unload_command(number: int, wait: bool) -> None:
    """Free the models until they are loaded again; new recordings queue up."""
    _change(number, "unload", wait=wait)


@engine_group.command("reload")
@_number
def reload_command(number: int) -> None:
    """Load the model again beside the one in use, from where the settings (or the link `current`) point now."""
    _change(number, "load")


@engine_group.command("switch")
@_number
@click.argument("model")
def switch_command(number: int, model: str) -> None:
    """Use MODEL, the folder name or the first characters of the digest of a registered recognition model."""
    _change(number, "switch", wanted=model)


def _change(number: int, act: str, *, wanted: str = "", wait: bool = False) -> None:
    """Log, ask, follow the steps, log the outcome; exit status 1 when it failed."""
    with _desk(number) as desk:
        digest = _find(engine.installed(desk.settings), wanted).digest if wanted else ""
        _ask_first(desk, act, digest)
        change = _or_refuse(
            desk, act, lambda: engine_acts.begin(desk.settings, act, number=number, model=digest, wait=wait)
        )
        client = engine.client_of(desk.settings, number)
        change = _or_refuse(desk, act, lambda: client.until_changed(change, PATIENCE_S, _say))
        with desk.sessions.begin() as session:
            engine_acts.after(session, terminal_actor(), change, number=number)
    if change.step == "failed":
        click.echo(f"{change.code}: {change.detail}", err=True)
        raise SystemExit(1)
    click.echo(f"Memory: {engine.mib(change.before_bytes)} -> {engine.mib(change.after_bytes)} MiB")


def _say(change: Change) -> None:
    words = {
        "waiting": "Waiting for running recordings",
        "loading": "Proving the files and loading",
        "checking": "Recognising the known sample",
        "done": "Done",
        "failed": "Failed; what served before goes on serving",
    }
    click.echo(words.get(change.step, change.step))


def _find(models: list[Release], wanted: str) -> Release:
    found = [m for m in models if m.folder.name == wanted or (len(wanted) >= 4 and m.digest.startswith(wanted))]
    if len(found) == 1:
        return found[0]
    known = "".join(f"\n  {m.digest[:12]}  {m.folder.name}" for m in models)
    raise click.ClickException(f"{wanted!r} names {len(found)} of the registered recognition models:{known}")


def _ask_first(desk: _Desk, act: str, model: str = "") -> None:
    status = engine.look(desk.settings, desk.number).status
    try:
        with desk.sessions.begin() as session:
            engine_acts.before(session, terminal_actor(), act, number=desk.number, status=status, model=model)
    except PortalError as error:
        raise click.ClickException(error.code) from None


def _or_refuse(desk: _Desk, act: str, ask: Callable[[], _T]) -> _T:
    """What ``ask`` gives; a refusal goes into the log and ends the command with status 1."""
    try:
        return ask()
    except AsrError as error:
        with desk.sessions.begin() as session:
            engine_acts.refused(session, terminal_actor(), act, error, number=desk.number)
        click.echo(f"{error.code}: {error.detail}", err=True)
        raise SystemExit(1) from None


def _lines(status: EngineStatus, speed: float | None) -> Iterator[tuple[str, str]]:
    memory = status.memory
    yield "state", status.state + (f" ({status.banner})" if status.banner else "")
    yield "device", f"{status.device_name} ({status.device})"
    yield "model", f"{status.model.name}, {status.model.family}, {status.model.digest[:12]}"
    yield "profile", status.profile + (f" ({status.profile_note})" if status.profile_note else "")
    if memory.total_bytes:
        parts = (("used", memory.used_bytes), ("reserved", memory.reserved_bytes), ("others", memory.other_bytes))
        shown = ", ".join(f"{name} {engine.mib(count)}" for name, count in (*parts, ("free", memory.free_bytes)))
        yield "memory", f"{shown} of {engine.mib(memory.total_bytes)} MiB"
    yield "process", f"{engine.mib(status.rss_bytes)} MiB"
    if status.utilisation_percent is not None or status.temperature_c is not None:
        yield "load", f"{status.utilisation_percent} %, {status.temperature_c} °C"
    yield "speed", "-" if speed is None else f"{speed:.1f} times real time"
    yield "work", f"{status.running_recordings} recordings, {status.queued_segments} segments wait"
    yield "memory out", f"{status.oom_count}, split {status.split_segments}, on the CPU {status.cpu_segments}"
    if status.canary is not None:
        yield "sample", "recognised" if status.canary.passed else f"NOT recognised: {status.canary.reason}"
    if (change := status.change) is not None:
        yield "change", f"{change.action}: {change.step} {change.code}".rstrip()


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _desk(number: int) -> Iterator[_Desk]:
    settings = _settings()
    upgrade(settings)
    load_audit_key(settings.instance)
    database = create_engine(settings)
    try:
        yield _Desk(settings, session_factory(database), number)
    finally:
        database.dispose()
