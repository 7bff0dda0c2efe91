"""Where people reach the portal, and which bindings are safe enough to start with."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path

from portal.settings import Settings, SettingsError


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_any(host: str) -> bool:
    """Whether ``host`` means every address of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def refuse_open_plain_http(settings: Settings) -> None:
    """Passwords and the microphone need a secure context: an open plain address is refused.

    Raises:
        SettingsError: the host is reachable from elsewhere and nothing encrypts.
    """
    encrypted = settings.tls_certificate is not None or settings.tls_own_ca or settings.trusted_proxies > 0
    if not is_loopback(settings.host) and not encrypted:
        raise SettingsError(
            f"host {settings.host} can be reached from other machines, but nothing encrypts. Set "
            "PORTAL_TLS_CERTIFICATE and PORTAL_TLS_KEY, or use --own-ca, or, behind a gateway that ends TLS, set "
            "PORTAL_TRUSTED_PROXIES to the exact number of gateways."
        )


def local_addresses() -> list[str]:
    """Every IP address of this machine but link-local ones; loopback first. Asks no program and no network."""
    found = [
        "127.0.0.1",
        "::1",
        *_ipv4_addresses(Path("/proc/net/fib_trie")),
        *_ipv6_addresses(Path("/proc/net/if_inet6")),
    ]
    with contextlib.suppress(OSError):  # a host without an entry for its own name
        found += [str(item[4][0]) for item in socket.getaddrinfo(socket.gethostname(), None)]
    usable = [address for address in found if not ipaddress.ip_address(address.split("%")[0]).is_link_local]
    return list(dict.fromkeys(usable))


def _ipv4_addresses(table: Path) -> list[str]:
    """The kernel's routes list each own address as ``|-- 192.0.2.1`` above a line ``/32 host LOCAL``."""
    found: list[str] = []
    last = ""
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return found
    for line in lines:
        words = line.split()
        if words[0] == "|--":
            last = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            found.append(last)
    return found


def _ipv6_addresses(table: Path) -> list[str]:
    """One interface address a line: 32 hexadecimal digits first."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux, or no IPv6
        return []
    return [str(ipaddress.IPv6Address(int(line.split()[0], 16))) for line in lines]


def in_brackets(host: str) -> str:
    """``::1`` → ``[::1]``, as addresses want it."""
    return f"[{host}]" if ":" in host else host


def bind_address(settings: Settings) -> str:
    """``host:port`` for gunicorn."""
    return f"{in_brackets(settings.host)}:{settings.port}"


def scheme(settings: Settings) -> str:
    """``https`` when the portal itself encrypts."""
    return "https" if settings.tls_certificate is not None or settings.tls_own_ca else "http"


def own_address(settings: Settings) -> str:
    """The address by which this machine reaches the portal, for the start-up check."""
    host = settings.host
    if is_any(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"{scheme(settings)}://{in_brackets(host)}:{settings.port}"


def public_address(settings: Settings) -> str:
    """The address to give to people."""
    host = settings.host
    if is_any(host):
        others = [address for address in local_addresses() if not is_loopback(address)]
        host = next(iter([*settings.tls_names, *others]), "127.0.0.1")
    return f"{scheme(settings)}://{in_brackets(host)}:{settings.port}"
