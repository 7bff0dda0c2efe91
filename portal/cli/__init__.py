"""``portal``: the command line. Each verb lies in a module of its name and is loaded when it is called."""

from __future__ import annotations

import importlib

import click

VERBS = {
    "up": ("portal.cli.up", "up_command", "Start the whole portal in this terminal."),
    "doctor": ("portal.cli.doctor", "doctor_command", "Check this machine and say how to mend what is wrong."),
    "transcribe": ("portal.cli.transcribe", "transcribe_command", "Turn recordings into text."),
    "user": ("portal.cli.user", "user_group", "Create accounts, renew the set-up token."),
    "model": ("portal.cli.model", "model_group", "List, add and verify model directories."),
    "engine": ("portal.cli.engine", "engine_group", "See the engine, unload, reload or switch its model."),
    "audit": ("portal.cli.audit", "audit_group", "Verify and export the access log."),
    "db": ("portal.cli.database", "database_group", "Upgrade the database."),
    "bench": ("portal.cli.bench", "bench_group", "Measure this installation."),
}


class LazyGroup(click.Group):
    """Imports a verb's module only when that verb is used: ``portal --help`` loads no torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load one verb."""
        if name not in VERBS:
            return None
        module, attribute, _help = VERBS[name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, item[2]) for name, item in VERBS.items()])


@click.group(cls=LazyGroup)
@click.version_option(package_name="speech-portal")
def main() -> None:
    """Intranet speech-to-text portal."""
