"""Small questions about what runs on this machine: is a port free, is the web up, does the engine listen."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from portal.settings import Settings
from portal.supervisor.addresses import own_address

ANSWER_SECONDS = 5.0


class PortTaken(Exception):
    """Another program listens there already."""


def refuse_taken_port(settings: Settings) -> None:
    """Try the address once, so that the reason is a sentence and not a log file.

    Raises:
        PortTaken: the message says what to do.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {settings.port} is in use; take another one with --port") from None
            raise PortTaken(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}"
            ) from None


def get(address: str, path: str) -> tuple[int, bytes]:
    """One GET to ourselves: status and body; status 0 when nobody answers.

    The certificate is not checked: it names the hosts people use, and this connection never leaves the machine.
    """
    parts = urlsplit(address)
    assert parts.hostname is not None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=ANSWER_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(65536)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def ready(settings: Settings) -> bool:
    """Whether ``/readyz`` is green."""
    return get(own_address(settings), "/readyz")[0] == 200


def not_ready(settings: Settings) -> list[str]:
    """What ``/readyz`` says is missing, as far as it can be asked."""
    status, body = get(own_address(settings), "/readyz")
    if status == 0:
        return ["the web server does not answer"]
    try:
        answer = json.loads(body)
    except ValueError:
        return [f"/readyz answers {status}"]
    checks = answer.get("checks", answer) if isinstance(answer, Mapping) else {}
    bad = [str(name) for name, value in checks.items() if value not in (True, "ok", "ready")]
    return bad or [f"/readyz answers {status}"]


def listens(path: Path) -> bool:
    """Whether somebody accepts connections on this Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
