"""Which processes make up the portal, with their command lines."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from portal.asr.engine.address import parse_address
from portal.settings import Settings
from portal.supervisor import addresses
from portal.supervisor.children import Plan
from portal.supervisor.redis import embedded_argv

ROOT = Path(__file__).resolve().parents[2]
"""Folder that holds ``wsgi.py``."""
SOCKET_PATH_BYTES = 107
"""The kernel's limit for the path of a Unix socket."""
LONGEST_SOCKET = "engine.sock.123456"

# stages: a later one is started later and stopped earlier
REDIS, ENGINE, HOUSEKEEPING, WORKERS, WEB = range(5)


def short_socket_dir(settings: Settings) -> Path | None:
    """A short private folder when paths in ``run_dir`` would be too long for sockets; None when they fit."""
    if len(os.fsencode(settings.run_dir / LONGEST_SOCKET)) <= SOCKET_PATH_BYTES:
        return None
    mark = hashlib.sha256(os.fsencode(settings.instance)).hexdigest()[:12]
    root = Path("/run")
    base = root if os.access(root, os.W_OK) else Path(tempfile.gettempdir())
    return base / f"portal-{os.getuid()}-{mark}"


def make_private(folder: Path) -> None:
    """A folder that is ours alone (0700).

    Raises:
        PermissionError: it exists and belongs to somebody else (a shared /tmp lets anybody make it first).
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = folder.lstat()
    if facts.st_uid != os.getuid() or folder.is_symlink():
        raise PermissionError(f"{folder} belongs to somebody else; run as its owner or choose another folder")
    folder.chmod(0o700)


def redis_plan(settings: Settings, server: str) -> Plan:
    """The embedded Redis."""
    folder = settings.instance / "redis"
    make_private(folder)
    return Plan("redis", embedded_argv(server, folder, settings.redis_socket), REDIS)


def engine_plans(settings: Settings) -> list[Plan]:
    """The engines of this machine: one, or one for each of ``engine_devices``."""
    devices = settings.engine_devices or (settings.engine_device,)
    return [engine_plan(settings, number, device) for number, device in enumerate(devices)] * settings.engine_local


def engine_plan(settings: Settings, number: int = 0, device: str | None = None) -> Plan:
    """One process that holds the models, the ``number``-th (from 0) of this machine.

    An engine sees no card but its own, so that everything in it may speak of "the" device.
    """
    kind, _, card = (device or settings.engine_device).partition(":")
    name = "engine" if number == 0 else f"engine-{number + 1}"
    socket = settings.local_engine_sockets[number] if settings.engine_local else settings.engine_socket
    argv = (
        *(sys.executable, "-m", "portal.asr.engine.server"),
        *("--socket", str(socket)),
        *model_arguments(settings),
        *("--current", str(settings.current_model_file(socket))),
        *("--idle-unload-minutes", str(settings.engine_idle_unload_minutes)),
        *("--canary-minutes", str(settings.engine_canary_minutes)),
        *(() if settings.engine_cpu_rescue else ("--no-cpu-rescue",)),
        *("--max-recordings", str(settings.engine_max_recordings)),
        *("--max-queued-minutes", str(settings.engine_max_queued_minutes)),
        *("--device", kind),
        *("--drain-s", "5"),  # the workers have ended before it is asked to
        *("--allow-uid", str(os.getuid()), *(str(uid) for uid in settings.engine_allowed_uids)),
    )
    argv = (*argv, *_listening(settings, number))
    return Plan(name, argv, ENGINE, environment={"CUDA_VISIBLE_DEVICES": card} if card else {})


def model_arguments(settings: Settings) -> tuple[str, ...]:
    """What an engine is told of its models and their arithmetic, whoever starts it."""
    return (
        *("--asr", str(settings.asr_model)),
        *("--vad", str(settings.vad_model)),
        *("--punc", str(settings.punc_model)),
        *(() if settings.speaker_model is None else ("--speaker", str(settings.speaker_model))),
        *("--nano-max-length", str(settings.engine_nano_max_length)),
        *("--nano-batch", str(settings.engine_nano_batch)),
        *("--installed", str(settings.installed_models_file)),
        *("--memory-fraction", str(settings.engine_memory_fraction)),
        *("--threads", str(settings.engine_threads)),
        *("--profile", settings.engine_profile),
        *("--graphs", str(settings.graphs_dir)),
    )


def _listening(settings: Settings, number: int) -> tuple[str, ...]:
    """Where callers on other hosts reach the engine: the first on the port that is set, the next on the next one."""
    credentials = settings.engine_credentials
    if settings.engine_listen is None or credentials is None:
        return ()
    first = parse_address(settings.engine_listen, credentials)
    address = replace(first, port=first.port + number)
    return (
        *("--listen", str(address)),
        *("--tls-authority", str(credentials.authority)),
        *("--tls-certificate", str(credentials.certificate)),
        *("--tls-key", str(credentials.key)),
    )


def housekeeping_plan() -> Plan:
    """Reconciler, outbox, retention."""
    return Plan("housekeeping", (sys.executable, "-m", "portal.jobs.housekeeping"), HOUSEKEEPING)


def worker_plans(settings: Settings) -> list[Plan]:
    """RQ workers. One that is in the middle of a recording gives it back to the queue when it is told to end."""
    argv = (sys.executable, "-m", "portal.jobs.worker")
    return [Plan(f"worker-{number}", argv, WORKERS, stop_seconds=15) for number in range(1, settings.workers + 1)]


def web_plan(settings: Settings, certificate: Path | None, key: Path | None) -> Plan:
    """gunicorn. The time-out is longer than one upload chunk takes on a slow line."""
    tls = ("--certfile", str(certificate), "--keyfile", str(key)) if certificate and key else ()
    argv = (
        *(sys.executable, "-m", "gunicorn", "--config", str(Path(__file__).with_name("gunicorn_hooks.py"))),
        *("--bind", addresses.bind_address(settings)),
        *("--worker-class", "gthread"),
        *("--workers", str(settings.web_processes), "--threads", str(settings.web_threads)),
        *("--timeout", "120", "--graceful-timeout", "8", "--no-control-socket", "--pythonpath", str(ROOT)),
        *tls,
        "wsgi:application",
    )
    return Plan("web", argv, WEB, stop_seconds=12)
