"""A private PostgreSQL cluster for tests: own data folder, Unix socket only, an unprivileged user under root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """The newest PostgreSQL server's ``bin`` folder, None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster; yields the address of its ``postgres`` database; stops and removes it afterwards."""
    bin_dir = binaries()
    assert bin_dir is not None, "postgresql is not installed: ./portal.sh test installs it"
    base = Path(tempfile.mkdtemp(prefix="ppg-", dir="/tmp"))
    prefix: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres")
        os.chown(base, user.pw_uid, user.pw_gid)
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
    data = base / "data"
    run = {"check": True, "cwd": base, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    try:
        subprocess.run(
            [*prefix, bin_dir / "initdb", "-D", data, "-U", "portal", "-A", "trust", "-E", "UTF8", "--no-sync"],
            **run,  # type: ignore[call-overload]
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={base} -c fsync=off -c max_connections=60"
        subprocess.run(
            [*prefix, bin_dir / "pg_ctl", "-D", data, "-w", "-l", base / "log", "-o", options, "start"],
            **run,  # type: ignore[call-overload]
        )
        try:
            yield f"postgresql://portal@/postgres?host={base}"
        finally:
            subprocess.run([*prefix, bin_dir / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(base, ignore_errors=True)
