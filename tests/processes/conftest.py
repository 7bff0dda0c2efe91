"""One running portal for this whole suite: real slapd beside it, the shipped models inside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running import Running, running_portal
from tests.support.slapd import BASE, BIND_DN, BIND_PASSWORD, Slapd, slapd


@pytest.fixture(scope="session")
def directory_server() -> Iterator[Slapd]:
    """A directory with a few people."""
    with slapd() as server:
        yield server


@pytest.fixture(scope="session")
def portal(directory_server: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The whole portal, with the first accounts made through the set-up page."""
    settings = {
        "ldap_urls": directory_server.ldaps,
        "ldap_ca_file": str(directory_server.ca_file),
        "ldap_bind_dn": BIND_DN,
        "ldap_bind_password": BIND_PASSWORD,
        "ldap_base_dn": BASE,
        "sessions_per_person": "30",
        "lease_seconds": "8",
    }
    with running_portal(tmp_path_factory.mktemp("portal") / "instance", settings=settings) as running:
        running.make_first_accounts()
        running.passwords["zhangwei"] = "pass-zhang"
        yield running
