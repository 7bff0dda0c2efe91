"""A private OpenLDAP server for tests: own folder, free ports, own CA, no root needed, stopped by its process id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldap3 import MODIFY_REPLACE, SAFE_SYNC, Connection, Server

BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
ROOT_DN, ROOT_PASSWORD = f"cn=admin,{BASE}", "admin-secret"
BIND_DN, BIND_PASSWORD = f"cn=portal-bind,{BASE}", "bind-secret"

_CONFIG = """\
dn: cn=config
objectClass: olcGlobal
cn: config
olcAllows: bind_anon_cred bind_anon_dn
olcLogLevel: stats
olcTLSCACertificateFile: {dir}/ca.crt
olcTLSCertificateFile: {dir}/server.crt
olcTLSCertificateKeyFile: {dir}/server.key

dn: cn=module,cn=config
objectClass: olcModuleList
cn: module
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb
olcModuleLoad: memberof

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcSuffix: dc=example,dc=com
olcRootDN: cn=admin,dc=example,dc=com
olcRootPW: admin-secret
olcDbDirectory: {dir}/data
olcDbMaxSize: 67108864
olcAccess: {{0}}to attrs=userPassword by anonymous auth by self write by * none
olcAccess: {{1}}to * by users read by * none

dn: olcOverlay={{0}}memberof,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcMemberOf
olcOverlay: {{0}}memberof
olcMemberOfGroupOC: groupOfNames
olcMemberOfMemberAD: member
olcMemberOfMemberOfAD: memberOf
"""


def person(
    uid: str, name: str, password: str, department: str | None = None, mail: str | None = None
) -> dict[str, Any]:
    """The attributes of an inetOrgPerson."""
    values: dict[str, Any] = {"uid": uid, "cn": name, "sn": name[:1], "displayName": name, "userPassword": password}
    if department:
        values["departmentNumber"] = department
    if mail:
        values["mail"] = mail
    return values


CAST = [
    person("zhangwei", "张伟", "pass-zhang", "研发部", "zhangwei@example.com"),
    person("lina", "李娜(市场)", "pass-li", "市场部", "lina@example.com"),
    person("wangfang", "王芳", "pass-wang", "研发部"),
    person("zhanglei", "张磊", "pass-lei"),
]


@dataclass
class Slapd:
    """A running server."""

    folder: Path
    port: int
    tls_port: int
    process: subprocess.Popen[bytes]

    @property
    def ldap(self) -> str:
        """StartTLS address by name."""
        return f"ldap://localhost:{self.port}"

    @property
    def ldaps(self) -> str:
        """TLS address by name."""
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def ca_file(self) -> Path:
        """The CA that signed the server's certificate."""
        return self.folder / "ca.crt"

    @contextmanager
    def root(self) -> Iterator[Connection]:
        """A connection that may change entries."""
        server = Server("127.0.0.1", port=self.port, get_info="NO_INFO")
        connection = Connection(server, ROOT_DN, ROOT_PASSWORD, auto_bind=True, client_strategy=SAFE_SYNC)
        try:
            yield connection
        finally:
            connection.unbind()

    def add(self, values: dict[str, Any]) -> None:
        """Add a person."""
        with self.root() as connection:
            ok, result, _, _ = connection.add(f"uid={values['uid']},{PEOPLE}", ["inetOrgPerson"], values)
        assert ok, result

    def change(self, uid: str, **values: str) -> None:
        """Replace attributes of a person."""
        with self.root() as connection:
            changes = {name: [(MODIFY_REPLACE, [value])] for name, value in values.items()}
            ok, result, _, _ = connection.modify(f"uid={uid},{PEOPLE}", changes)
        assert ok, result

    def rename(self, uid: str, new_uid: str) -> None:
        """Give a person another name; the entryUUID stays."""
        with self.root() as connection:
            ok, result, _, _ = connection.modify_dn(f"uid={uid},{PEOPLE}", f"uid={new_uid}")
        assert ok, result

    def remove(self, uid: str) -> None:
        """Delete a person."""
        with self.root() as connection:
            ok, result, _, _ = connection.delete(f"uid={uid},{PEOPLE}")
        assert ok, result

    def binds_of(self, uid: str) -> int:
        """How many simple binds for this person's DN reached the server."""
        wanted = f'BIND dn="uid={uid},{PEOPLE}" method=128'
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace").count(wanted)

    def searches(self) -> int:
        """How many searches below the base reached the server."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace").count(f'SRCH base="{BASE}"')


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _openssl(*arguments: str | Path, cwd: Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], cwd=cwd, check=True, capture_output=True)


def make_certificate(folder: Path, *, names: str = "DNS:localhost,IP:127.0.0.1", self_signed: bool = False,
                     expired: bool = False) -> None:  # fmt: skip
    """Write ca.crt, server.crt and server.key. A self-signed server does not use the CA at all."""
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-x509", *ec, "-days", "30", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test-ca",
             "-addext", "basicConstraints=critical,CA:TRUE", cwd=folder)  # fmt: skip
    if self_signed:
        _openssl("req", "-x509", *ec, "-days", "30", "-keyout", "server.key", "-out", "server.crt",
                 "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}", cwd=folder)  # fmt: skip
        return
    _openssl("req", *ec, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost", cwd=folder)
    (folder / "ext").write_text(f"subjectAltName={names}\n")
    days = "-1" if expired else "30"
    _openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
             "-days", days, "-extfile", "ext", "-out", "server.crt", cwd=folder)  # fmt: skip


def _wait_until_answering(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"slapd did not start: {log.read_text(errors='replace')[-2000:]}")


def _fill(server: Slapd) -> None:
    with server.root() as connection:
        connection.add(BASE, ["dcObject", "organization"], {"o": "示例集团", "dc": "example"})
        for unit in ("people", "groups"):
            connection.add(f"ou={unit},{BASE}", ["organizationalUnit"])
        account = ["organizationalRole", "simpleSecurityObject"]
        connection.add(BIND_DN, account, {"cn": "portal-bind", "userPassword": BIND_PASSWORD})
        for values in CAST:
            connection.add(f"uid={values['uid']},{PEOPLE}", ["inetOrgPerson"], values)
        members = [f"uid={values['uid']},{PEOPLE}" for values in CAST]
        ok, result, _, _ = connection.add(f"cn=asr-users,ou=groups,{BASE}", ["groupOfNames"], {"member": members})
        assert ok, result


@contextmanager
def slapd(*, names: str = "DNS:localhost,IP:127.0.0.1", self_signed: bool = False,
          expired: bool = False) -> Iterator[Slapd]:  # fmt: skip
    """Start a server with the cast of people; stops it and removes its folder afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="slapd-", dir="/tmp"))
    process: subprocess.Popen[bytes] | None = None
    try:
        (folder / "slapd.d").mkdir()
        (folder / "data").mkdir()
        make_certificate(folder, names=names, self_signed=self_signed, expired=expired)
        (folder / "config.ldif").write_text(_CONFIG.format(dir=folder))
        subprocess.run(["/usr/sbin/slapadd", "-n", "0", "-F", folder / "slapd.d", "-l", folder / "config.ldif"],
                       check=True, capture_output=True)  # fmt: skip
        port, tls_port = free_port(), free_port()
        urls = f"ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(["/usr/sbin/slapd", "-F", folder / "slapd.d", "-h", urls, "-d", "256"],
                                       stdout=output, stderr=output)  # fmt: skip
        _wait_until_answering(port, process, log)
        server = Slapd(folder, port, tls_port, process)
        _fill(server)
        yield server
    finally:
        if process is not None:
            process.terminate()
            process.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)
