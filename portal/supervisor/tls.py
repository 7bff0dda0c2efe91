"""An own certificate authority for houses that have none: made at the first start, renewed by itself.

``<instance>/tls/ca.crt`` is what people's machines must trust; ``ca.key`` (0600) never leaves the server and signs
nothing but this server's certificate.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
SERVER_DAYS = 397
"""Browsers refuse server certificates that are valid longer."""
RENEW_DAYS = 30


@dataclass(frozen=True)
class OwnCertificates:
    """The files, and whether this start made a new server certificate."""

    authority: Path
    certificate: Path
    key: Path
    renewed: bool


def wanted_names(given: Sequence[str], addresses: Sequence[str]) -> list[str]:
    """Host names, given names and local addresses, each once, in a stable order."""
    host = socket.gethostname()
    return sorted({"localhost", host, socket.getfqdn(), *given, *addresses} - {""})


def ensure(folder: Path, names: Sequence[str], now: dt.datetime | None = None) -> OwnCertificates:
    """Make the authority and the server certificate where missing; renew the latter when it ends or names changed."""
    now = now or dt.datetime.now(dt.UTC)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = OwnCertificates(folder / "ca.crt", folder / "server.crt", folder / "server.key", renewed=False)
    if not files.authority.exists() or not (folder / "ca.key").exists():
        _make_authority(folder, now)
        files.certificate.unlink(missing_ok=True)
    if files.certificate.exists() and files.key.exists() and _still_good(files.certificate, names, now):
        return files
    _make_server(folder, names, now, authority=folder, both_sides=False)
    return OwnCertificates(files.authority, files.certificate, files.key, renewed=True)


def ensure_sibling(root: Path, name: str, now: dt.datetime | None = None) -> OwnCertificates:
    """A certificate for one host in a folder of its own below ``root``, where the authority's key stays.

    It is good for both sides of a connection; ``root`` is made where missing.
    """
    now = now or dt.datetime.now(dt.UTC)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (root / "ca.crt").exists() or not (root / "ca.key").exists():
        _make_authority(root, now)
    folder = root / name
    folder.mkdir(exist_ok=True, mode=0o700)
    authority = (root / "ca.crt").read_bytes()
    files = OwnCertificates(folder / "ca.crt", folder / "server.crt", folder / "server.key", renewed=False)
    same = files.authority.exists() and files.authority.read_bytes() == authority
    if same and files.certificate.exists() and files.key.exists() and _still_good(files.certificate, [name], now):
        return files
    _make_server(folder, [name], now, authority=root, both_sides=True)
    files.authority.write_bytes(authority)
    return OwnCertificates(files.authority, files.certificate, files.key, renewed=True)


def _still_good(path: Path, names: Sequence[str], now: dt.datetime) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(name.value) for name in alternative}
    left = certificate.not_valid_after_utc - now
    return set(names) <= covered and left > dt.timedelta(days=RENEW_DAYS)


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def _write_public(path: Path, *certificates: x509.Certificate) -> None:
    path.write_bytes(b"".join(item.public_bytes(serialization.Encoding.PEM) for item in certificates))
    path.chmod(0o644)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_authority(folder: Path, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Speech portal CA ({socket.gethostname()})"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_private(folder / "ca.key", key)
    _write_public(folder / "ca.crt", certificate)


def _make_server(folder: Path, names: Sequence[str], now: dt.datetime, *, authority: Path, both_sides: bool) -> None:
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if both_sides else [])]
    issuer = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    authority_key = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), password=None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, socket.gethostname()[:64])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=SERVER_DAYS) - dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write_private(folder / "server.key", key)
    _write_public(folder / "server.crt", certificate, issuer)
