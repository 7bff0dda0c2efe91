"""The start of the whole portal on one machine, in the order in which things need each other."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.settings import Settings
from portal.supervisor import addresses, plans, probes
from portal.supervisor.children import SHIM, Plan
from portal.supervisor.redis import answers, find_server, refuse_forgetful
from portal.supervisor.supervisor import Supervisor

READY_SECONDS = 600.0
"""A large model on a slow disk needs minutes."""
REDIS_SECONDS = 120.0
STEP_SECONDS = 900.0
HOPELESS_DEATHS = 4

Say = Callable[[str], None]


class StartFailed(Exception):
    """The portal cannot start; the message says why and where to look."""


@dataclass(frozen=True)
class Wishes:
    """What the person at the terminal asked for."""

    demo: bool = False
    self_check: bool = True


def settle_places(settings: Settings) -> Settings:
    """Make the private folders; move sockets to a short path when theirs would be too long for the kernel."""
    plans.make_private(settings.instance)
    os.environ["PORTAL_INSTANCE"] = str(settings.instance)
    short = plans.short_socket_dir(settings)
    if short is not None:
        os.environ["PORTAL_SOCKET_DIR"] = str(short)
        settings = settings.model_copy(update={"socket_dir": short})
    plans.make_private(settings.run_dir)
    return settings


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """One supervisor for one instance folder.

    Raises:
        StartFailed: another one runs.
    """
    with (settings.instance / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartFailed(f"the portal already runs with the folder {settings.instance}") from None
        yield


def server_certificate(settings: Settings, say: Say) -> tuple[Path | None, Path | None]:
    """Certificate and key for gunicorn: the given ones, own ones, or none."""
    if settings.tls_certificate is not None and settings.tls_key is not None:
        return settings.tls_certificate.absolute(), settings.tls_key.absolute()
    if not settings.tls_own_ca:
        return None, None
    from portal.supervisor import tls

    hosts = () if addresses.is_any(settings.host) else (settings.host,)
    names = tls.wanted_names([*settings.tls_names, *hosts], addresses.local_addresses())
    files = tls.ensure(settings.instance / "tls", names)
    if files.renewed:
        say(f"Made a server certificate for {', '.join(names)}")
    say(f"Browsers must trust this authority once: {files.authority}")
    say("  Debian: copy it to /usr/local/share/ca-certificates/ and run update-ca-certificates; Windows: by group")
    say("  policy, Trusted Root Certification Authorities; Firefox: Settings, Certificates, Authorities, Import.")
    return files.certificate, files.key


def run_step(supervisor: Supervisor, name: str, argv: tuple[str, ...]) -> dict[str, Any]:
    """Run a short program of ours beside the children; its last line on stdout is its answer in JSON.

    Raises:
        StartFailed: it ended with an error.
        Stopped: somebody asked us to end meanwhile; the step is killed.
    """
    log_path = supervisor.logs / f"{name}.log"
    with log_path.open("ab") as log:
        step = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SHIM), str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert step.stdout is not None
    try:
        # the answers are a few hundred bytes, so the pipe never fills while we wait
        done = supervisor.wait_until(lambda: step.poll() is not None, STEP_SECONDS)
        output = step.stdout.read().decode() if done else ""
    finally:
        if step.poll() is None:
            step.kill()
            step.wait()
        step.stdout.close()
    if step.returncode != 0:
        raise StartFailed(f"{name} failed; the end of {log_path}:\n{tail(log_path)}")
    answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return answer


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, indented."""
    try:
        text = path.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return "  (empty)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def start_redis(supervisor: Supervisor, settings: Settings) -> None:
    """The embedded Redis, or a check of the given one.

    Raises:
        StartFailed: there is no redis-server, or it does not come up.
        RedisRefused: the Redis would lose jobs.
    """
    if settings.redis_url is None:
        server = find_server()
        if server is None:
            raise StartFailed("redis-server is missing: apt-get install redis-server, or set PORTAL_REDIS_URL")
        settings.redis_socket.unlink(missing_ok=True)
        supervisor.start([plans.redis_plan(settings, server)])
        if not supervisor.wait_until(lambda: answers(settings.effective_redis_url), REDIS_SECONDS):
            raise StartFailed(f"Redis does not come up; the end of its log:\n{tail(supervisor.logs / 'redis.log')}")
    refuse_forgetful(settings.effective_redis_url)


def prepare(supervisor: Supervisor, settings: Settings, wishes: Wishes, say: Say) -> None:
    """Migrations, then the set-up link (as long as nobody has an account) or the demonstration accounts."""
    say("Preparing the database")
    words = ("--demo",) if wishes.demo else ()
    answer = run_step(supervisor, "prepare", (sys.executable, "-m", "portal.cli.up_prepare", *words))
    if answer.get("setup_path"):
        say(
            f"Create the first accounts here (valid for 1 hour; a new link: portal user token):\n"
            f"  {addresses.public_address(settings)}{answer['setup_path']}"
        )
    for login, role, password in answer.get("accounts", []):
        say(f"Account {login} ({role}), password shown only now: {password}")


def wait_for_green(supervisor: Supervisor, settings: Settings) -> None:
    """Until ``/readyz`` is green.

    Raises:
        StartFailed: a child cannot be started, or the time is over.
    """

    def settled() -> bool:
        for child in supervisor.children:
            if child.deaths >= HOPELESS_DEATHS:
                raise StartFailed(f"{child.plan.name} cannot start; the end of {child.log}:\n{tail(child.log)}")
        return probes.ready(settings)

    if not supervisor.wait_until(settled, READY_SECONDS):
        raise StartFailed("not ready: " + ", ".join(probes.not_ready(settings)) + f"; see {supervisor.logs}")


def self_check(supervisor: Supervisor, wishes: Wishes, say: Say) -> None:
    """Transcribe the shipped sample through the running engine and show the text."""
    if not wishes.self_check and not wishes.demo:
        return
    words = [word for word, wanted in (("--demo", wishes.demo), ("--no-text", not wishes.self_check)) if wanted]
    answer = run_step(supervisor, "self-check", (sys.executable, "-m", "portal.cli.up_self_check", *words))
    if wishes.self_check:
        say(f"Self-check: the shipped sample was transcribed in {answer['seconds']} s:\n  {answer['text']}")


def start_portal(settings: Settings, wishes: Wishes, say: Say) -> None:
    """Start everything, print the address, watch until somebody asks us to end, then stop everything.

    Raises:
        StartFailed, SettingsError, RedisRefused, PortTaken, PermissionError: with a sentence for the person.
        Stopped: Ctrl-C while starting; everything is stopped already.
    """
    addresses.refuse_open_plain_http(settings)
    settings = settle_places(settings)
    with only_one(settings):
        probes.refuse_taken_port(settings)
        certificate, key = server_certificate(settings, say)
        with Supervisor(settings.instance / "logs", Path.cwd(), say) as supervisor:
            start_redis(supervisor, settings)
            for path in settings.local_engine_sockets:
                path.unlink(missing_ok=True)
            supervisor.start(plans.engine_plans(settings))  # they load their models while the database is prepared
            prepare(supervisor, settings, wishes, say)
            rest: list[Plan] = [plans.housekeeping_plan(), *plans.worker_plans(settings)]
            supervisor.start([*rest, plans.web_plan(settings, certificate, key)])
            say("Waiting until everything is ready")
            wait_for_green(supervisor, settings)
            self_check(supervisor, wishes, say)
            say("Ready. Ctrl-C stops everything.")
            say(addresses.public_address(settings))
            supervisor.run()
            say("Stopping")
        say("Stopped.")
