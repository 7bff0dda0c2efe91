"""The own certificate authority: what it signs, how long, and that another machine can trust it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from portal.settings import load_settings
from portal.supervisor import addresses, plans, tls

NAMES = ["localhost", "speech.example.com", "127.0.0.1", "192.0.2.7", "::1"]
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_it_names_every_host_and_address_and_is_valid_for_397_days(tmp_path: Path) -> None:
    files = tls.ensure(tmp_path, NAMES, NOW)
    found = load(files.certificate)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == set(NAMES)
    assert found.not_valid_after_utc - found.not_valid_before_utc == dt.timedelta(days=tls.SERVER_DAYS)
    found.verify_directly_issued_by(load(files.authority))


def test_keys_are_private(tmp_path: Path) -> None:
    files = tls.ensure(tmp_path / "tls", NAMES, NOW)
    for path in (files.key, tmp_path / "tls" / "ca.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path, NAMES, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = tls.ensure(tmp_path, NAMES[:3], NOW + dt.timedelta(days=300))
    assert (first.renewed, second.renewed) == (True, False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("names", "days"), [(NAMES, 368), (NAMES, 500), ([*NAMES, "198.51.100.1"], 1)], ids=["soon", "over", "new address"]
)
def test_it_is_renewed_under_the_same_authority(tmp_path: Path, names: list[str], days: int) -> None:
    files = tls.ensure(tmp_path, NAMES, NOW)
    authority, serial = files.authority.read_bytes(), load(files.certificate).serial_number
    again = tls.ensure(tmp_path, names, NOW + dt.timedelta(days=days))
    assert again.renewed
    assert files.authority.read_bytes() == authority
    assert load(files.certificate).serial_number != serial


@contextmanager
def another_machine() -> Iterator[tuple[str, str]]:
    """A second network namespace joined to ours by a cable; yields its name and our address on that cable."""
    name, ours, theirs = f"portal{os.getpid()}", f"pa{os.getpid()}"[:15], f"pb{os.getpid()}"[:15]
    address = f"10.213.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
    other = "10.213.255.254"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces are not allowed here")
    with ExitStack() as stack:
        stack.callback(lambda: ip("netns", "delete", name))
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        ip("address", "add", f"{address}/16", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", name, "address", "add", f"{other}/16", "dev", theirs)
        ip("-n", name, "link", "set", theirs, "up")
        yield name, address


APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.url_scheme"].encode() + b" " + environ["REMOTE_ADDR"].encode()]
"""

CLIENT = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2] or None)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
print(opener.open(sys.argv[1], timeout=10).read().decode())
"""


@pytest.mark.processes
@pytest.mark.skipif(os.getuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2")
def test_another_machine_reaches_it_through_its_lan_address(tmp_path: Path) -> None:
    (tmp_path / "wsgi.py").write_text(APPLICATION)
    with another_machine() as (namespace, address):
        settings = load_settings(host="0.0.0.0", port=18443, tls_own_ca=True, instance=tmp_path)
        assert address in addresses.local_addresses()
        files = tls.ensure(tmp_path / "tls", tls.wanted_names([], addresses.local_addresses()))
        argv = list(plans.web_plan(settings, files.certificate, files.key).argv)
        argv[argv.index("--pythonpath") + 1] = str(tmp_path)
        with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.DEVNULL) as server:
            try:
                ask = ["ip", "netns", "exec", namespace, sys.executable, "-c", CLIENT, f"https://{address}:18443/"]
                end = time.monotonic() + 20
                while True:
                    done = subprocess.run([*ask, str(files.authority)], capture_output=True, text=True)
                    if done.returncode == 0 or time.monotonic() > end:
                        break
                    time.sleep(0.2)
                assert done.stdout == "https 10.213.255.254\n", done.stderr
                stranger = subprocess.run([*ask, ""], capture_output=True, text=True)
                assert "CERTIFICATE_VERIFY_FAILED" in stranger.stderr
            finally:
                server.terminate()
