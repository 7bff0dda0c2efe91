"""The company's directory: who somebody is, and whether the typed password is theirs.

Names are only ever used escaped inside a filter; the DN that is bound comes from the search result. A person is
identified by the directory's own GUID (``entryUUID``, ``objectGUID``), so a name that is given to somebody else later
does not inherit a history.
"""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ldap3 import SUBTREE, Connection
from ldap3.core.exceptions import LDAPExtensionError
from ldap3.utils.conv import escape_bytes, escape_filter_chars
from ldap3.utils.dn import parse_dn, safe_dn

from portal.services.identity.ldap_servers import (
    PROTOCOL_ERROR,
    SIZE_LIMIT_EXCEEDED,
    SUCCESS,
    DirectoryUnavailable,
    LdapServers,
    ServerUnusable,
    close,
)
from portal.settings import Settings

log = logging.getLogger(__name__)

ACCOUNT_CONTROL = "userAccountControl"
ACCOUNT_DISABLED_BIT = 2

__all__ = [
    "AmbiguousPerson",
    "Directory",
    "DirectoryPerson",
    "DirectoryUnavailable",
    "NoSuchPerson",
    "WrongPassword",
    "directory_for",
]


class NoSuchPerson(Exception):
    """No entry matches the name."""


class AmbiguousPerson(NoSuchPerson):
    """More than one entry matches the name: nobody can sign in with it."""


class WrongPassword(Exception):
    """The directory refused the password (or the account) of an existing entry."""


@dataclass(frozen=True, slots=True)
class DirectoryPerson:
    """What the directory says about one person. ``guid`` never changes; everything else may."""

    guid: str
    dn: str
    login: str
    display_name: str
    mail: str | None
    department: str | None
    disabled: bool


class Directory:
    """One directory behind one or several servers. Safe to share by threads; holds no connection between calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._servers = LdapServers(settings)

    def find(self, login: str) -> DirectoryPerson:
        """The one person with this sign-in name.

        Raises:
            NoSuchPerson: none, or (``AmbiguousPerson``) more than one.
            DirectoryUnavailable: no server answered.
        """
        wanted = self._settings.ldap_user_filter.replace("{login}", escape_filter_chars(login))
        found = self._search([wanted])[0]
        if found is None:
            raise NoSuchPerson
        return found

    def still_there(self, guids: Iterable[str]) -> dict[str, DirectoryPerson | None]:
        """Look people up again by GUID: None for those who are gone or no longer match the user filter.

        Raises:
            DirectoryUnavailable: no server answered, so nothing is known about anybody.
        """
        wanted = list(guids)
        # the filter's other conditions (a group, say) still count, whatever the person is called today
        anybody = self._settings.ldap_user_filter.replace("{login}", "*")
        filters = [
            f"(&{anybody}({self._settings.ldap_guid_attribute}={self._guid_in_filter(guid)}))" for guid in wanted
        ]
        return dict(zip(wanted, self._search(filters, strict=False), strict=True)) if wanted else {}

    def check_password(self, person: DirectoryPerson, password: str) -> None:
        """Bind as the found entry.

        Raises:
            WrongPassword: refused, or the password is blank (an empty one would be an anonymous bind that succeeds).
            DirectoryUnavailable: no server answered.
        """
        if not password.strip() or "\0" in password:
            raise WrongPassword
        if not self._servers.first_answering(lambda url: self._binds(url, person.dn, password)):
            raise WrongPassword

    def spend_the_same_time(self) -> None:
        """A bind that can't succeed, for names that don't exist: the answer takes as long as a wrong password's."""
        name = f"cn={secrets.token_hex(8)},{self._settings.ldap_base_dn}"
        self._servers.first_answering(lambda url: self._binds(url, name, secrets.token_urlsafe(16)))

    def _binds(self, url: str, dn: str, password: str) -> bool:
        bound = self._servers.bind(url, dn, password)
        try:
            return bound.accepted and _is_really(bound.connection, dn)
        finally:
            close(bound.connection)

    def _search(self, filters: list[str], *, strict: bool = True) -> list[DirectoryPerson | None]:
        return self._servers.first_answering(lambda url: self._search_at(url, filters, strict))

    def _search_at(self, url: str, filters: list[str], strict: bool) -> list[DirectoryPerson | None]:
        settings = self._settings
        bound = self._servers.bind(url, settings.ldap_bind_dn, settings.ldap_password())
        try:
            if not bound.accepted:
                raise ServerUnusable("service_account")
            return [self._exactly_one(bound.connection, wanted, strict) for wanted in filters]
        finally:
            close(bound.connection)

    def _exactly_one(self, connection: Connection, wanted: str, strict: bool) -> DirectoryPerson | None:
        _status, result, response, _request = connection.search(
            self._settings.ldap_base_dn,
            wanted,
            search_scope=SUBTREE,
            attributes=self._attributes(),
            size_limit=2,
            time_limit=max(1, int(self._settings.ldap_receive_seconds)),
        )
        code = int(result["result"])
        if code not in (SUCCESS, SIZE_LIMIT_EXCEEDED):
            raise ServerUnusable(f"answer_{code}")
        entries = [item for item in response or [] if item["type"] == "searchResEntry"]
        if len(entries) > 1 or code == SIZE_LIMIT_EXCEEDED:
            if strict:
                raise AmbiguousPerson
            return None
        return self._person(entries[0]) if entries else None

    def _attributes(self) -> list[str]:
        s = self._settings
        wanted = [s.ldap_guid_attribute, s.ldap_login_attribute, s.ldap_name_attribute, s.ldap_mail_attribute]
        return [name for name in (*wanted, s.ldap_department_attribute, "cn", ACCOUNT_CONTROL) if name]

    def _person(self, entry: dict[str, Any]) -> DirectoryPerson | None:
        s = self._settings
        raw = {str(name).lower(): values for name, values in entry["raw_attributes"].items()}

        def text(name: str, limit: int) -> str | None:
            values = raw.get(name.lower()) or [b""]
            cleaned = "".join(ch for ch in values[0].decode("utf-8", "replace") if ch.isprintable()).strip()
            return cleaned[:limit] or None

        guid = canonical_guid(s.ldap_guid_attribute, (raw.get(s.ldap_guid_attribute.lower()) or [b""])[0])
        login = text(s.ldap_login_attribute, 256)
        if guid is None or login is None:
            log.error("a directory entry lacks %s or %s", s.ldap_guid_attribute, s.ldap_login_attribute)
            return None
        control = text(ACCOUNT_CONTROL, 16) or "0"
        return DirectoryPerson(
            guid=guid,
            dn=str(entry["dn"]),
            login=login,
            display_name=text(s.ldap_name_attribute, 256) or text("cn", 256) or login,
            mail=text(s.ldap_mail_attribute, 320),
            department=text(s.ldap_department_attribute, 128),
            disabled=control.isdigit() and bool(int(control) & ACCOUNT_DISABLED_BIT),
        )

    def _guid_in_filter(self, guid: str) -> str:
        if self._settings.ldap_guid_attribute.lower() == "objectguid":
            return str(escape_bytes(uuid.UUID(guid).bytes_le))
        return str(escape_filter_chars(guid))


def canonical_guid(attribute: str, raw: bytes) -> str | None:
    """The stored form of a GUID: Active Directory sends 16 bytes (little endian), OpenLDAP sends text."""
    if attribute.lower() == "objectguid":
        return str(uuid.UUID(bytes_le=raw)) if len(raw) == 16 else None
    text = raw.decode("ascii", "replace").strip()
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text.lower()[:64] or None


def _is_really(connection: Connection, dn: str) -> bool:
    # "success" alone may be an anonymous session on a careless server: ask whom it thinks it is talking to
    try:
        identity = connection.extend.standard.who_am_i()
    except LDAPExtensionError:
        identity = None
    result = connection.result or {}
    if isinstance(identity, tuple):  # thread-safe strategies answer (status, result, response, request)
        result, identity = identity[1], identity[1].get("authzid")
    if int(result.get("result", SUCCESS)) == PROTOCOL_ERROR:
        return True  # a server without this question; the password was not empty, so the bind was a real one
    if not identity:
        return False
    return not identity.lower().startswith("dn:") or _same_dn(identity[3:], dn)


def _same_dn(one: str, other: str) -> bool:
    return _parts(one) == _parts(other)


def _parts(dn: str) -> list[tuple[str, str]]:
    return [(name.lower().strip(), value.casefold().strip()) for name, value, _separator in parse_dn(safe_dn(dn))]


@lru_cache(maxsize=4)
def _directory(settings: Settings) -> Directory:
    return Directory(settings)


def directory_for(settings: Settings) -> Directory | None:
    """The directory of these settings, one object a process so that dead servers are remembered; None when unset."""
    return _directory(settings) if settings.ldap_urls else None
