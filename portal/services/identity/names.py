"""Typed sign-in names and source addresses, brought to one form before anything is counted or compared."""

from __future__ import annotations

import hashlib
import ipaddress
import unicodedata

MAX_LOGIN = 256
_EXAMINED = 4 * MAX_LOGIN
"""NFKC takes the square of a run of accents: a name is cut before. No login is as long as this."""
_MAX_KEY = 200


def normalise(login: str) -> str:
    """One form for all spellings of a name: NFKC, case-folded, without surrounding or invisible characters.

    ``ZHANGSAN``, full-width letters and a trailing space all become ``zhangsan``, as the directory treats them.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", login[:_EXAMINED]).casefold())
    visible = "".join(ch if ch.isprintable() else " " for ch in folded)
    return " ".join(visible.split())


def name_key(login: str) -> str:
    """The counter key of a typed name; very long ones are hashed so that they fit the column."""
    name = normalise(login)
    if len(name) > _MAX_KEY:
        name = "sha256-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"name:{name}"


def guid_key(guid: str) -> str:
    """The counter key of a directory person, whatever name was typed."""
    return f"guid:{guid}"


def source_key(address: str) -> str:
    """The counter key of a source network: /24 for IPv4, /64 for IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])  # a link-local address may carry its interface
    except ValueError:
        return "net:unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    prefix = 24 if ip.version == 4 else 64
    return f"net:{ipaddress.ip_network(f'{ip}/{prefix}', strict=False)}"
