"""Reaching a directory server: certificates, time limits and fail-over between several addresses.

ldap3 alone is not enough here: without a ``Tls`` object it checks no certificate, and its server pool neither gives up
on a server that accepts a connection and then says nothing, nor moves on to the next one. So every address is tried in
order with short limits, and one that failed is left alone for a while.
"""

from __future__ import annotations

import logging
import math
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ldap3 import IP_SYSTEM_DEFAULT, NONE, SAFE_SYNC, SIMPLE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException

from portal.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")

SUCCESS = 0
PROTOCOL_ERROR = 2
SIZE_LIMIT_EXCEEDED = 4
REFUSES_CREDENTIALS = frozenset({32, 34, 48, 49, 50, 53})
"""Bind results that speak about the account: noSuchObject, invalidDNSyntax, inappropriateAuthentication,
invalidCredentials, insufficientAccessRights, unwillingToPerform. Anything else speaks about the server."""


class DirectoryUnavailable(Exception):
    """No directory server could be asked. ``reasons`` maps each address to a short word for the administrator."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__("; ".join(f"{url}: {reason}" for url, reason in reasons.items()) or "no server")
        self.reasons = reasons


class ServerUnusable(Exception):
    """This one server can't be used now: ``certificate``, ``unreachable``, ``service_account`` or ``answer_<code>``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BindResult:
    """Whether the server accepted a name and password; refused means that the account was at fault."""

    accepted: bool
    connection: Connection


class LdapServers:
    """The configured addresses of one directory, with a memory of which ones are dead. Safe to share by threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dead_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def first_answering(self, ask: Callable[[str], T]) -> T:
        """Ask the servers in order until one answers.

        Args:
            ask: talks to the server at the given address; raises ``ServerUnusable`` or ldap3's errors when it can't.

        Raises:
            DirectoryUnavailable: every server failed now or within the last ``ldap_dead_seconds``.
        """
        reasons: dict[str, str] = {}
        for url in self._settings.ldap_urls:
            if self._is_dead(url):
                reasons[url] = "recently_failed"
                continue
            try:
                return ask(url)
            except (LDAPException, OSError, ServerUnusable) as error:
                reasons[url] = reason_of(error)
                self._bury(url)
                log.warning("directory server failed: url=%s reason=%s error=%s", url, reasons[url], error)
        raise DirectoryUnavailable(reasons)

    def _is_dead(self, url: str) -> bool:
        with self._lock:
            return self._dead_until.get(url, 0.0) > time.monotonic()

    def _bury(self, url: str) -> None:
        with self._lock:
            self._dead_until[url] = time.monotonic() + self._settings.ldap_dead_seconds

    def bind(self, url: str, dn: str, password: str) -> BindResult:
        """Connect, secure the connection and bind; the caller unbinds.

        Args:
            dn: empty together with an empty password for an anonymous service bind.

        Raises:
            ServerUnusable: the server can't be trusted or answered with an error of its own.
            LDAPException: it could not be reached in time.
        """
        connection = self._open(url, dn, password)
        try:
            _status, result, _response, _request = connection.bind()
        except BaseException:
            close(connection)
            raise
        code = int(result["result"])
        if code != SUCCESS and code not in REFUSES_CREDENTIALS:
            close(connection)
            raise ServerUnusable(f"answer_{code}")
        return BindResult(code == SUCCESS, connection)

    def _open(self, url: str, dn: str, password: str) -> Connection:
        settings = self._settings
        tls = self._tls(url)
        server = Server(
            url, get_info=NONE, tls=tls, connect_timeout=settings.ldap_connect_seconds, mode=IP_SYSTEM_DEFAULT
        )
        credentials: dict[str, Any] = {"user": dn, "password": password, "authentication": SIMPLE} if dn else {}
        connection = Connection(
            server,
            client_strategy=SAFE_SYNC,
            auto_referrals=False,
            check_names=False,
            receive_timeout=math.ceil(settings.ldap_receive_seconds),  # ldap3 packs it as a whole number
            **credentials,
        )
        try:
            connection.open(read_server_info=False)
            if not server.ssl and not settings.ldap_plain_text_i_know_the_risk and not connection.start_tls():
                raise ServerUnusable("certificate")
        except BaseException:
            close(connection)
            raise
        return connection

    def _tls(self, url: str) -> Tls:
        settings = self._settings
        host = Server(url, get_info=NONE).host
        return Tls(
            validate=ssl.CERT_REQUIRED,
            version=ssl.PROTOCOL_TLS_CLIENT,
            ca_certs_file=str(settings.ldap_ca_file) if settings.ldap_ca_file else None,
            valid_names=list(settings.ldap_valid_names),
            sni=host if any(letter.isalpha() for letter in host) and ":" not in host else None,
        )


def reason_of(error: Exception) -> str:
    """The short word under which a server's failure is reported to administrators."""
    if isinstance(error, ServerUnusable):
        return error.reason
    text = str(error).lower()
    if "timed out" in text:
        return "unreachable"
    return "certificate" if "certificate" in text or "ssl" in text or "starttls" in text else "unreachable"


def close(connection: Connection) -> None:
    """Leave the server. ldap3 keeps the socket of a connection that broke while opening: it is closed here."""
    try:
        connection.unbind()
    except (LDAPException, OSError):
        log.debug("unbind failed", exc_info=True)
    finally:
        if connection.socket is not None:
            connection.socket.close()
