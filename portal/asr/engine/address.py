"""Where an engine is: a Unix socket on this machine, or TCP with certificates on both sides. Free of torch.

``unix:/run/portal/engine.sock`` (or a plain path) and ``tls://gpu-2.example:7443``. Over TLS each side shows a
certificate of the same private authority: whoever holds one may use the engine, so the authority must be the portal's
own and sign nothing else.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from portal.asr.errors import EngineUnavailable

_UNIX: Final = "unix:"
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""A host that vanishes without a word is noticed after some 25 s even while nothing is sent."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM files: the authority that signed the other side, our own certificate, and its key."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Either ``path`` (Unix socket), or ``host`` and ``port`` with ``credentials``."""

    path: Path | None = None
    host: str = ""
    port: int = 0
    credentials: Credentials | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"{_UNIX}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tls://{host}:{self.port}"


def parse_address(text: str, credentials: Credentials | None = None) -> EngineAddress:
    """Read ``unix:/path``, ``/path`` or ``tls://host:port``.

    Raises:
        ValueError: anything else, or ``tls://`` without credentials.
    """
    if text.startswith(_UNIX) or text.startswith("/"):
        path = Path(text.removeprefix(_UNIX))
        if not path.is_absolute():
            raise ValueError(f"{text!r}: the path of a socket must be absolute")
        return EngineAddress(path=path)
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = None
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path)
    if parts.scheme != "tls" or not parts.hostname or not port or not plain:
        raise ValueError(f"{text!r} is neither unix:/path nor tls://host:port")
    if credentials is None:
        raise ValueError(f"{text!r} needs a certificate, its key and the authority of the other side")
    return EngineAddress(host=parts.hostname, port=port, credentials=credentials)


def caller_context(credentials: Credentials) -> ssl.SSLContext:
    """TLS as a caller: the engine must show a certificate of the authority, for the name it was called by."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(credentials.authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.certificate, credentials.key)
    return context


def engine_context(credentials: Credentials) -> ssl.SSLContext:
    """TLS as the engine: a caller without a certificate of the authority is refused in the handshake."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(credentials.authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.certificate, credentials.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def connect(address: EngineAddress, timeout_s: float) -> socket.socket:
    """An open connection with ``timeout_s`` on each of its calls.

    Raises:
        EngineUnavailable: nobody answers there, or the certificates don't fit; ``detail`` says which.
    """
    try:
        if address.path is not None:
            return _connect_unix(address.path, timeout_s)
        return _connect_tls(address, timeout_s)
    except (OSError, ValueError) as error:  # ssl.SSLError and socket.gaierror are OSErrors
        reason = getattr(error, "verify_message", "") or type(error).__name__
        raise EngineUnavailable(detail=f"no engine answers: {reason}") from error


def _connect_unix(path: Path, timeout_s: float) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    plain.settimeout(timeout_s)
    try:
        plain.connect(str(path))
    except BaseException:
        plain.close()
        raise
    return plain


def _connect_tls(address: EngineAddress, timeout_s: float) -> socket.socket:
    assert address.credentials is not None
    context = caller_context(address.credentials)
    plain = socket.create_connection((address.host, address.port), timeout_s)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in _KEEPALIVE:
            plain.setsockopt(socket.IPPROTO_TCP, option, seconds)
        return context.wrap_socket(plain, server_hostname=address.host)
    except BaseException:
        plain.close()
        raise
