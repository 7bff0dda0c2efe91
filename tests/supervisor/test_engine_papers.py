"""``portal engine papers``: every host gets its own certificate of one authority, good for both sides."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from portal.cli.engine_papers import papers_command


def make(folder: Path, *names: str) -> str:
    result = CliRunner().invoke(papers_command, [*names, "--into", str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


def test_each_host_gets_its_own_and_keeps_it(tmp_path: Path) -> None:
    assert make(tmp_path, "portal.example", "10.0.0.7").count("made") == 2
    own = {path.name: path.read_bytes() for path in tmp_path.glob("10.0.0.7/*")}
    assert set(own) == {"ca.crt", "server.crt", "server.key"}
    assert make(tmp_path, "portal.example", "10.0.0.7").count("kept") == 2
    assert own == {path.name: path.read_bytes() for path in tmp_path.glob("10.0.0.7/*")}
    certificate = x509.load_pem_x509_certificate(own["server.crt"])
    usages = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert usages == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not (tmp_path / "10.0.0.7" / "ca.key").exists(), "the authority's key stays with the authority"
    for name in ("ca.key", "10.0.0.7/server.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    context = ssl.create_default_context(cafile=str(tmp_path / "10.0.0.7" / "ca.crt"))
    context.load_cert_chain(tmp_path / "portal.example" / "server.crt", tmp_path / "portal.example" / "server.key")


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "-x y", ".."])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(papers_command, ["--into", str(tmp_path / "x"), "--", name])
    assert result.exit_code != 0
    assert not (tmp_path / "x").exists()


def test_a_new_authority_makes_new_certificates(tmp_path: Path) -> None:
    make(tmp_path, "gpu.example")
    before = (tmp_path / "gpu.example" / "server.crt").read_bytes()
    (tmp_path / "ca.crt").unlink()
    assert "made" in make(tmp_path, "gpu.example")
    assert (tmp_path / "gpu.example" / "server.crt").read_bytes() != before
