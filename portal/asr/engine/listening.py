"""Where the engine is called: a Unix socket whose callers the kernel names, and TLS with certificates on both sides."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from portal.asr.engine.address import Credentials, EngineAddress, engine_context, parse_address

_TLS_FILES = ("authority", "certificate", "key")
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_HANDSHAKE_S = 10.0
HANDSHAKES: Final = 32
"""Callers over TLS that may be between connecting and having shown a certificate. The next ones wait in the kernel's
queue: strangers can't use up the process's files, which callers on this machine need."""
_NO_FILES_S: Final = 0.5


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


class Closable(Protocol):
    """What ``serve`` starts."""

    def close(self) -> None:
        """Accept nobody any more; callers that are served already stay."""


class TlsDoor:
    """Accepts callers from other hosts, ``HANDSHAKES`` at a time until they have shown their certificate."""

    def __init__(self, bound: socket.socket, context: ssl.SSLContext, accept: Accept) -> None:
        """``bound``: listens and does not block. Call it in the loop that is to serve."""
        self._bound = bound
        self._context = context
        self._accept = accept
        self._free = asyncio.Semaphore(HANDSHAKES)
        self._greeting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._serve())

    def close(self) -> None:
        """See Closable."""
        for task in (self._task, *self._greeting):
            task.cancel()
        self._bound.close()

    async def _serve(self) -> None:
        while True:
            await self._free.acquire()
            try:
                caller, _ = await self._loop.sock_accept(self._bound)
            except OSError:
                # no file left, or a caller that went away at once
                self._free.release()
                await asyncio.sleep(_NO_FILES_S)
                continue
            task = self._loop.create_task(self._greet(caller))
            self._greeting.add(task)
            task.add_done_callback(self._greeted)

    def _greeted(self, task: asyncio.Task[None]) -> None:
        self._greeting.discard(task)
        self._free.release()

    async def _greet(self, caller: socket.socket) -> None:
        """The handshake; ``accept`` is called after it."""
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, self._accept, loop=self._loop)
        with contextlib.suppress(OSError):  # ssl.SSLError and time-outs are OSErrors
            await self._loop.connect_accepted_socket(
                lambda: protocol, caller, ssl=self._context, ssl_handshake_timeout=_HANDSHAKE_S
            )


async def serve(path: Path, remote: EngineAddress | None, accept: Accept) -> list[Closable]:
    """Start listening on the Unix socket and, where ``remote`` is given, over TLS.

    Raises:
        OSError: an engine already answers there, the port is taken, or a certificate can't be read.
    """
    servers: list[Closable] = [await asyncio.start_unix_server(accept, sock=listen(path))]
    if remote is not None:
        assert remote.credentials is not None
        context = engine_context(remote.credentials)
        servers += [TlsDoor(bound, context, accept) for bound in await _bind(remote)]
    return servers


async def _bind(remote: EngineAddress) -> list[socket.socket]:
    """One listening socket for every address that the host's name stands for."""
    found = await asyncio.get_running_loop().getaddrinfo(
        remote.host, remote.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets = []
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        bound = socket.create_server(address[:2], family=family, backlog=128)
        bound.setblocking(False)
        sockets.append(bound)
    return sockets
