"""``portal up``: the whole portal in one terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from portal.settings import SettingsError, load_settings
from portal.supervisor.probes import PortTaken
from portal.supervisor.redis import RedisRefused
from portal.supervisor.start import StartFailed, Wishes, start_portal
from portal.supervisor.supervisor import Stopped


def say(text: str) -> None:
    """To the terminal at once, also when it is a pipe."""
    click.echo(text)
    sys.stdout.flush()


@click.command("up")
@click.option("--host", help="Address to listen on; default 127.0.0.1, this machine only.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; default 8000.")
@click.option("--workers", type=click.IntRange(1, 64), help="Recordings worked on at once; default 2.")
@click.option(
    "--own-ca", is_flag=True, help="Encrypt with a certificate authority of our own, made at the first start."
)
@click.option("--demo", is_flag=True, help="One account of each kind and the shipped sample, transcribed.")
@click.option("--no-self-check", is_flag=True, help="Do not transcribe the sample at the start.")
def up_command(
    host: str | None, port: int | None, workers: int | None, own_ca: bool, demo: bool, no_self_check: bool
) -> None:
    """Start Redis, the engine, the workers, housekeeping and the web server; Ctrl-C stops them all."""
    wanted: dict[str, Any] = {"host": host, "port": port, "workers": workers, "tls_own_ca": own_ca or None}
    overrides = {name: value for name, value in wanted.items() if value is not None}
    # the children read their settings themselves, and read these from the environment
    os.environ.update({f"PORTAL_{name.upper()}": str(value).lower() for name, value in overrides.items()})
    os.umask(0o077)  # recordings, logs and the database are nobody else's business
    try:
        start_portal(load_settings(), Wishes(demo=demo, self_check=not no_self_check), say)
    except (StartFailed, SettingsError, RedisRefused, PortTaken, PermissionError) as error:
        click.echo(f"portal: {error}", err=True)
        sys.exit(1)
    except Stopped:
        say("Stopped.")
