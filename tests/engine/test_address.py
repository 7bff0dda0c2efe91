"""Where engines are: what is understood, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.asr.engine.address import Credentials, EngineAddress, connect, parse_address
from portal.asr.errors import EngineUnavailable

PAPERS = Credentials(Path("/a/ca.crt"), Path("/a/own.crt"), Path("/a/own.key"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("unix:/run/portal/e.sock", "unix:/run/portal/e.sock"),
        ("/run/portal/e.sock", "unix:/run/portal/e.sock"),
        ("tls://gpu-2.example:7443", "tls://gpu-2.example:7443"),
        ("tls://[fd00::7]:7443", "tls://[fd00::7]:7443"),
    ],
)
def test_an_address_is_read_and_written_back(text: str, written: str) -> None:
    address = parse_address(text, PAPERS)
    assert str(address) == written
    assert parse_address(str(address), PAPERS) == address


@pytest.mark.parametrize(
    "text",
    ["", "e.sock", "unix:e.sock", "tcp://h:1", "http://h:1", "tls://h", "tls://:7443", "tls://h:0", "tls://h:99999",
     "tls://u:p@h:7443", "tls://h:7443/x", "tls://h:7443?x=1", "tls://h:nine"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|absolute"):
        parse_address(text, PAPERS)


def test_another_host_is_never_called_without_certificates() -> None:
    with pytest.raises(ValueError, match="certificate"):
        parse_address("tls://gpu-2.example:7443")


def test_nobody_there_is_an_answer(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        connect(EngineAddress(path=tmp_path / "nothing.sock"), 1.0)
    with pytest.raises(EngineUnavailable):
        connect(EngineAddress(host="127.0.0.1", port=1, credentials=PAPERS), 1.0)
