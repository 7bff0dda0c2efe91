"""``portal model``: look at model directories, record the ones an administrator confirms, prove they are unchanged."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from portal.asr.engine.manifest import Installed, Manifest, Registry, inspect, manifest_for, verify
from portal.asr.errors import ModelError
from portal.cli.model_train import train_demo_command
from portal.db import create_engine, session_factory, upgrade
from portal.services.audit import Action, load_audit_key, record
from portal.services.identity.actor import Actor
from portal.settings import Settings, load_settings

_T = TypeVar("_T")


@click.group()
def model_group() -> None:
    """List, add and verify model directories."""


model_group.add_command(train_demo_command, "train-demo")


@model_group.command("add")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Record without asking; for unattended installation.")
def add(directory: Path, yes: bool) -> None:
    """Inspect DIRECTORY (a model folder, or a ModelScope cache) and record its files' hashes.

    Nothing in the directory is run. After this the engine starts with the directory only as long as no file changes.
    """
    settings = load_settings()
    folder, manifest = _or_exit(lambda: inspect(directory))
    _show(folder, manifest)
    if not yes and not click.confirm("Record this model?"):
        click.echo("Nothing was recorded.")
        return
    registry = Registry(settings.installed_models_file)
    _or_exit(lambda: _record(settings, registry, folder, manifest))
    setting = {"asr": "asr_model", "vad": "vad_model", "punc": "punc_model", "speaker": "speaker_model"}[manifest.role]
    click.echo(f'Recorded. To use it set {setting} = "{folder}" in portal.toml and restart the engine.')


@model_group.command("list")
def list_models() -> None:
    """Show the models in use and the recorded ones."""
    settings = load_settings()
    for role, folder in _in_use(settings):
        manifest = _known(settings, folder)
        click.echo(f"in use   {role:5} {_line(folder, manifest)}")
    for entry in _entries(settings):
        click.echo(f"recorded {entry.manifest.role:5} {_line(entry.directory, entry.manifest)} added {entry.added_at}")


@model_group.command("verify")
def verify_models() -> None:
    """Compare every file of the models in use and the recorded ones with its hash; exit status 1 at a difference."""
    settings = load_settings()
    entries = [(entry.directory, entry.manifest) for entry in _entries(settings)]
    known = {folder for folder, _ in entries}
    failures = 0
    for _, folder in _in_use(settings):
        if folder.resolve() not in known:
            entries.append((folder, _known(settings, folder)))
    for folder, manifest in entries:
        try:
            verify(folder, manifest)
            click.echo(f"unchanged {folder}")
        except ModelError as error:
            failures += 1
            click.echo(f"{error.code} {error.detail}", err=True)
    if failures:
        raise SystemExit(1)


def _record(settings: Settings, registry: Registry, folder: Path, manifest: Manifest) -> None:
    """Write the audit row and the registry together: without the row nothing is recorded."""
    upgrade(settings)  # models may be added before the portal ever ran
    load_audit_key(settings.instance)
    engine = create_engine(settings)
    try:
        with session_factory(engine).begin() as session:
            detail = {"family": manifest.family, "bytes": manifest.size, "files": len(manifest.files)}
            record(
                session,
                terminal_actor(),
                Action.MODEL_ADD,
                object_kind="model",
                object_id=manifest.digest,
                detail=detail,
            )
            registry.record(folder, manifest, datetime.now(UTC).isoformat(timespec="seconds"))
    finally:
        engine.dispose()


def terminal_actor() -> Actor:
    """The person at the terminal, by the name the operating system gives."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = "unknown"
    return Actor(None, login, "system", None, "local", f"cli-{secrets.token_hex(8)}")


def _in_use(settings: Settings) -> list[tuple[str, Path]]:
    models = [("asr", settings.asr_model), ("vad", settings.vad_model), ("punc", settings.punc_model)]
    return models if settings.speaker_model is None else [*models, ("speaker", settings.speaker_model)]


def _entries(settings: Settings) -> list[Installed]:
    return _or_exit(Registry(settings.installed_models_file).entries)


def _known(settings: Settings, folder: Path) -> Manifest:
    return _or_exit(lambda: manifest_for(folder, settings.installed_models_file))


def _line(folder: Path, manifest: Manifest) -> str:
    return f"{manifest.family:16} {manifest.size / 1e6:8.1f} MB  {manifest.digest[:16]}  {folder}"


def _show(folder: Path, manifest: Manifest) -> None:
    click.echo(f"{folder}\nclass    {manifest.family} ({manifest.role})\nsize     {manifest.size} bytes")
    for name, fact in sorted(manifest.files.items()):
        click.echo(f"{fact.sha256}  {fact.bytes:>12}  {name}")
    click.echo(f"digest   {manifest.digest}")


def _or_exit(work: Callable[[], _T]) -> _T:
    """Turn a refusal into one sentence and exit status 2."""
    try:
        return work()
    except ModelError as error:
        click.echo(f"{error.code}: {error.detail}", err=True)
        raise SystemExit(2) from None
