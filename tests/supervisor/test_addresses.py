"""Open plain addresses are refused; paths of sockets always fit."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from portal.settings import SettingsError, load_settings
from portal.supervisor import addresses, plans, probes


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_this_machine_alone_needs_no_encryption(host: str) -> None:
    addresses.refuse_open_plain_http(load_settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "speech.example.com"])
def test_an_open_address_needs_encryption(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"PORTAL_TLS_CERTIFICATE.*--own-ca.*PORTAL_TRUSTED_PROXIES"):
        addresses.refuse_open_plain_http(load_settings(host=host))
    addresses.refuse_open_plain_http(load_settings(host=host, tls_own_ca=True))
    addresses.refuse_open_plain_http(load_settings(host=host, trusted_proxies=1))
    addresses.refuse_open_plain_http(load_settings(host=host, tls_certificate=tmp_path / "c", tls_key=tmp_path / "k"))


def test_addresses_are_written_as_browsers_want_them() -> None:
    assert addresses.public_address(load_settings()) == "http://127.0.0.1:8000"
    assert addresses.own_address(load_settings(host="::", tls_own_ca=True)) == "https://[::1]:8000"
    assert addresses.bind_address(load_settings(host="::1", port=9)) == "[::1]:9"
    named = load_settings(host="0.0.0.0", tls_own_ca=True, tls_names=("speech.example.com",))
    assert addresses.public_address(named) == "https://speech.example.com:8000"


def test_link_local_addresses_are_left_out() -> None:
    found = addresses.local_addresses()
    assert found[:2] == ["127.0.0.1", "::1"]
    assert not [address for address in found if address.startswith(("fe80:", "169.254."))]


def test_sockets_move_when_the_path_is_too_long(tmp_path: Path) -> None:
    assert plans.short_socket_dir(load_settings(instance=tmp_path)) is None
    deep = load_settings(instance=tmp_path / ("x" * 100))
    short = plans.short_socket_dir(deep)
    assert short is not None
    assert len(os.fsencode(short / plans.LONGEST_SOCKET)) <= plans.SOCKET_PATH_BYTES
    assert short == plans.short_socket_dir(deep)
    assert short != plans.short_socket_dir(load_settings(instance=tmp_path / ("y" * 100)))


def test_a_private_folder_is_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o777)
    plans.make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(PermissionError):
        plans.make_private(link)


def test_a_taken_port_is_said_before_anything_starts() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = load_settings(port=other.getsockname()[1])
        with pytest.raises(probes.PortTaken, match="--port"):
            probes.refuse_taken_port(settings)
    probes.refuse_taken_port(settings)
