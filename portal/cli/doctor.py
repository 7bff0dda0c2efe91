"""``portal doctor``: looks at everything the portal needs and says how to mend what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import click

from portal.cli import doctor_checks, doctor_portal
from portal.cli.doctor_checks import Check, guarded
from portal.settings import Settings, SettingsError, load_settings


def checks_of_the_machine() -> list[Check]:
    """What can be told without settings."""
    return [
        guarded(name, check)
        for name, check in (
            ("system", doctor_checks.system),
            ("user", doctor_checks.user),
            ("packages", doctor_checks.packages),
            ("torch", doctor_checks.torch_version),
            ("cores", doctor_checks.cores),
            ("gpu", doctor_checks.gpu),
        )
    ]


def _speaker_check(settings: Settings) -> list[tuple[str, Callable[[], Check]]]:
    """The model that tells people apart is optional."""
    folder = settings.speaker_model
    return [] if folder is None else [("model speaker", lambda: doctor_portal.model("speaker", folder, settings))]


def checks_of_the_portal(settings: Settings) -> list[Check]:
    """What depends on the settings."""
    checks: list[tuple[str, Callable[[], Check]]] = [
        ("instance", lambda: doctor_checks.instance(settings.instance)),
        ("disk", lambda: doctor_checks.free_space(settings.instance)),
        ("model asr", lambda: doctor_portal.model("asr", settings.asr_model, settings)),
        ("model vad", lambda: doctor_portal.model("vad", settings.vad_model, settings)),
        ("model punc", lambda: doctor_portal.model("punc", settings.punc_model, settings)),
        *_speaker_check(settings),
        ("redis", lambda: doctor_portal.queue(settings)),
        ("database", lambda: doctor_portal.database(settings)),
        ("address", lambda: doctor_portal.web_address(settings)),
        ("certificate", lambda: doctor_portal.certificate(settings)),
        ("sockets", lambda: doctor_portal.sockets(settings)),
        ("directory", lambda: doctor_portal.directory(settings)),
    ]
    return [guarded(name, check) for name, check in checks]


def examine() -> list[Check]:
    """Every check; wrong settings are a finding of their own and leave out what depends on them."""
    found = checks_of_the_machine()
    try:
        settings = load_settings()
    except SettingsError as error:
        return [*found, doctor_checks.bad("settings", str(error), "Correct it in the environment or in portal.toml.")]
    return [*found, doctor_checks.good("settings", "understood"), *checks_of_the_portal(settings)]


def lines(checks: list[Check]) -> list[str]:
    """For people: a word in front, the remedy under it."""
    text = []
    for check in checks:
        word = "BAD " if not check.ok else "warn" if check.remedy else "ok  "
        text.append(f"{word}  {check.name}: {check.detail}")
        if check.remedy:
            text.append(f"      {check.remedy}")
    return text


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor_command(as_json: bool) -> None:
    """Check this machine; ends with status 0 only when the portal can run (warnings do not count)."""
    checks = examine()
    ok = all(check.ok for check in checks)
    if as_json:
        report = {"ok": ok, "checks": [check.to_json() for check in checks]}
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(lines(checks)))
    sys.exit(0 if ok else 1)
