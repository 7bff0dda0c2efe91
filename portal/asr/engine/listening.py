"""Where the engine is called: a Unix socket whose callers the kernel names, and TLS with certificates on both sides."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from portal.asr.engine.address import Credentials, EngineAddress, engine_context, parse_address

_TLS_FILES = ("authority", "certificate", "key")
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_HANDSHAKE_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--socket``, and what serving other hosts needs."""
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to listen on")
    parser.add_argument("--listen", help="tls://address:port for callers on other hosts")
    for name in _TLS_FILES:
        parser.add_argument(f"--tls-{name}", type=Path, help="PEM file; needed with --listen")


def remote_of(options: argparse.Namespace) -> EngineAddress | None:
    """Where other hosts are served, from parsed arguments.

    Raises:
        ValueError: the address can't be read or a PEM file is missing.
    """
    if options.listen is None:
        return None
    files = [getattr(options, f"tls_{name}") for name in _TLS_FILES]
    return parse_address(options.listen, Credentials(*files) if all(files) else None)


def listen(path: Path) -> socket.socket:
    """Bind the engine's socket with mode 0660, replacing one that nobody answers on. Raises OSError when one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise OSError(f"an engine already answers on {path}")
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        bound.bind(str(path))
    finally:
        os.umask(before)
    bound.listen(128)
    bound.setblocking(False)
    return bound


async def serve(path: Path, remote: EngineAddress | None, accept: Accept) -> list[asyncio.Server]:
    """Start listening on the Unix socket and, where ``remote`` is given, over TLS.

    Raises:
        OSError: an engine already answers there, the port is taken, or a certificate can't be read.
    """
    servers = [await asyncio.start_unix_server(accept, sock=listen(path))]
    if remote is not None:
        assert remote.credentials is not None
        context = engine_context(remote.credentials)
        servers.append(
            await asyncio.start_server(
                accept, remote.host, remote.port, ssl=context, ssl_handshake_timeout=_HANDSHAKE_S, backlog=128
            )
        )
    return servers
