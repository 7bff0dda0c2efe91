"""The directory client against a real slapd: injection, blank passwords, certificates, fail-over, identity."""

from __future__ import annotations

import gc
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from portal.services.identity.directory import (
    AmbiguousPerson,
    Directory,
    DirectoryUnavailable,
    NoSuchPerson,
    WrongPassword,
    canonical_guid,
)
from portal.settings import Settings, load_settings
from tests.services.identity.conftest import with_directory
from tests.support import slapd as support
from tests.support.slapd import Slapd

pytestmark = pytest.mark.slapd

ATTACKS = [
    "*", "zhang*", "*zhang*", "z*", "**", "(", ")", "()", "*)", "*)(uid=*", "*)(|(uid=*", "*)(|(objectClass=*",
    ")(|(a=*", ")(|(uid=*", "zhangwei)(uid=*", "zhangwei)(|(uid=*", "zhangwei*", "zhangwe?", "zhangwei)(userPassword=*",
    "zhangwei)(objectClass=*))(&(1=1", "*))%00", "zhangwei\0", "\0zhangwei", "zhangwei\0*", "\\", "\\2a", "\\2A",
    "\\28",
    "zhang\\2a", "\\5c2a", "\\zz", "&", "|", "!", "!(uid=zhangwei)", "&(uid=zhangwei)", "(uid=zhangwei)",
    "uid=zhangwei", "uid=zhangwei,ou=people,dc=example,dc=com", "zhangwei,ou=people", "zhangwei#", '"zhangwei"',
    "zhangwei;", "zhangwei>=a", "zhangwei~=", "zhangwei:=", ":dn:=zhangwei", "*" * 300, "(" * 200, "a" * 4096,
    "＊", "ｚｈａｎｇ＊", "zhangwei\n", "zhangwei\r\nuid: lina", "\u202ezhangwei", "张伟", "张*", "{login}",
    "%s", "${x}",
    "'; DROP TABLE users; --", "../../etc/passwd", "\ud7ff\ue000", "😀",
]  # fmt: skip


@pytest.fixture(scope="module")
def plain_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(instance=tmp_path_factory.mktemp("directory"))


@pytest.fixture(scope="module")
def directory(plain_settings: Settings, slapd: Slapd) -> Directory:
    return Directory(with_directory(plain_settings, slapd))


def test_a_person_and_their_password(directory: Directory) -> None:
    person = directory.find("zhangwei")
    assert (person.login, person.display_name, person.mail, person.department, person.disabled) == (
        "zhangwei", "张伟", "zhangwei@example.com", "研发部", False)  # fmt: skip
    assert len(person.guid) == 36
    directory.check_password(person, "pass-zhang")
    assert directory.find("lina").display_name == "李娜(市场)"


@pytest.mark.parametrize("spelling", ["zhangwei", "ZHANGWEI", "ZhangWei", " zhangwei "])
def test_every_spelling_is_one_person(directory: Directory, spelling: str) -> None:
    assert directory.find(spelling.strip()).guid == directory.find("zhangwei").guid


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_name_reaches_into_the_filter(directory: Directory, attack: str) -> None:
    # neither somebody else's entry, nor several, nor a broken filter that would count as a dead server
    try:
        person = directory.find(attack)
    except AmbiguousPerson:
        pytest.fail("the name matched several people")
    except NoSuchPerson:
        return
    assert person.login == attack.strip().casefold()


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(alphabet=st.sampled_from("zhangwei*()\\|&!=<>~:,;\0 \"'#/+29aA"), min_size=1, max_size=24))
def test_no_random_name_does_either(directory: Directory, name: str) -> None:
    try:
        person = directory.find(name)
    except AmbiguousPerson:
        pytest.fail("the name matched several people")
    except NoSuchPerson:
        return
    assert person.login == " ".join(name.split()).casefold()


def test_the_attacks_would_work_unescaped(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The corpus is worth something only if it opens an unguarded filter."""
    monkeypatch.setattr("portal.services.identity.directory.escape_filter_chars", lambda text: text)
    with pytest.raises(AmbiguousPerson):
        directory.find("zhang*")
    with pytest.raises(AmbiguousPerson):
        directory.find("*)(uid=*")


@pytest.mark.parametrize("password", ["", " ", "\t", "\n ", "\0", "pass-zhang\0", "\0pass-zhang", "\u3000", "\u00a0"])
def test_blank_passwords_never_reach_the_directory(directory: Directory, slapd: Slapd, password: str) -> None:
    person, before = directory.find("zhangwei"), slapd.binds_of("zhangwei")
    with pytest.raises(WrongPassword):
        directory.check_password(person, password)
    assert slapd.binds_of("zhangwei") == before


def test_this_server_would_accept_an_empty_password(slapd: Slapd) -> None:
    """``bind_anon_cred`` is on: without our own check the test above would prove nothing."""
    done = subprocess.run(
        ["ldapwhoami", "-x", "-H", f"ldap://127.0.0.1:{slapd.port}", "-D", f"uid=zhangwei,{support.PEOPLE}", "-w", ""],
        capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0
    assert "anonymous" in done.stdout


@pytest.mark.parametrize(
    "password", ["wrong", "Pass-zhang", "pass-zhang ", "pass-li", "*", "{SSHA}x", "x" * 5000, "密码"]
)
def test_wrong_passwords(directory: Directory, password: str) -> None:
    with pytest.raises(WrongPassword):
        directory.check_password(directory.find("zhangwei"), password)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.parametrize(
    "trouble",
    [{"names": "DNS:ldap.example.com"}, {"self_signed": True}, {"expired": True}],
    ids=lambda d: next(iter(d)),
)
def test_a_server_that_can_not_prove_itself_is_refused(
    plain_settings: Settings, scheme: str, trouble: dict[str, object]
) -> None:
    with support.slapd(**trouble) as server:  # type: ignore[arg-type]
        url = server.ldap if scheme == "ldap" else server.ldaps
        with pytest.raises(DirectoryUnavailable) as caught:
            Directory(with_directory(plain_settings, server, url)).find("zhangwei")
        assert caught.value.reasons == {url: "certificate"}
        assert server.searches() == 0
        if "names" in trouble:  # reached under another name than the certificate's: only if the setting says so
            known = with_directory(plain_settings, server, url, ldap_valid_names=("ldap.example.com",))
            assert Directory(known).find("zhangwei").login == "zhangwei"
    gc.collect()  # ldap3 leaves the socket of a refused certificate to the garbage collector


def test_an_unknown_authority_is_refused(plain_settings: Settings, slapd: Slapd, tmp_path: Path) -> None:
    support.make_certificate(tmp_path)
    for url in (slapd.ldap, slapd.ldaps):
        other = Directory(with_directory(plain_settings, slapd, url, ldap_ca_file=tmp_path / "ca.crt"))
        with pytest.raises(DirectoryUnavailable) as caught:
            other.find("zhangwei")
        assert caught.value.reasons == {url: "certificate"}


def test_plain_text_only_when_asked_for(plain_settings: Settings, slapd: Slapd) -> None:
    before = (slapd.folder / "log").read_text().count("STARTTLS")
    plain = with_directory(plain_settings, slapd, slapd.ldap, ldap_plain_text_i_know_the_risk=True)
    assert Directory(plain).find("zhangwei").login == "zhangwei"
    assert (slapd.folder / "log").read_text().count("STARTTLS") == before
    assert Directory(with_directory(plain_settings, slapd, slapd.ldap)).find("zhangwei").login == "zhangwei"
    assert (slapd.folder / "log").read_text().count("STARTTLS") == before + 1


def test_a_wrong_service_password_is_the_servers_fault(plain_settings: Settings, slapd: Slapd) -> None:
    wrong = Directory(with_directory(plain_settings, slapd, ldap_bind_password="wrong"))
    with pytest.raises(DirectoryUnavailable) as caught:
        wrong.find("zhangwei")
    assert caught.value.reasons == {slapd.ldaps: "service_account"}


@contextmanager
def silent_server() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_silent_server_costs_its_time_once(plain_settings: Settings, slapd: Slapd, scheme: str) -> None:
    with silent_server() as port:
        urls = (f"{scheme}://localhost:{port}", f"ldaps://localhost:{support.free_port()}", slapd.ldaps)
        two = Directory(with_directory(plain_settings, slapd, *urls, ldap_receive_seconds=1.0))
        started = time.monotonic()
        two.check_password(two.find("zhangwei"), "pass-zhang")
        assert time.monotonic() - started < 5
        times = []
        for _ in range(20):
            started = time.monotonic()
            two.check_password(two.find("zhangwei"), "pass-zhang")
            times.append(time.monotonic() - started)
        assert statistics.quantiles(times, n=20)[-1] < 2.0


def test_dead_servers_are_tried_again_later(plain_settings: Settings, slapd: Slapd) -> None:
    gone = with_directory(plain_settings, slapd, f"ldaps://localhost:{support.free_port()}", ldap_dead_seconds=0.2)
    lonely = Directory(gone)
    reasons: list[str] = []
    for pause in (0.0, 0.0, 0.3):
        time.sleep(pause)
        with pytest.raises(DirectoryUnavailable) as caught:
            lonely.find("zhangwei")
        reasons.extend(caught.value.reasons.values())
    assert reasons == ["unreachable", "recently_failed", "unreachable"]


def test_rename_keeps_the_guid_and_a_new_entry_has_another(directory: Directory, slapd: Slapd) -> None:
    slapd.add(support.person("chenjie", "陈杰", "pass-chen"))
    guid = directory.find("chenjie").guid
    slapd.rename("chenjie", "chenjie2")
    assert directory.find("chenjie2").guid == guid
    slapd.remove("chenjie2")
    assert directory.still_there([guid]) == {guid: None}
    slapd.add(support.person("chenjie", "陈杰", "pass-chen"))
    assert directory.find("chenjie").guid != guid
    slapd.remove("chenjie")


def test_who_left_the_group_no_longer_matches(plain_settings: Settings, slapd: Slapd) -> None:
    group = f"cn=asr-users,ou=groups,{support.BASE}"
    members = Directory(with_directory(plain_settings, slapd, ldap_user_filter=f"(&(uid={{login}})(memberOf={group}))"))
    slapd.add(support.person("outsider", "外人", "pass-out"))
    inside, outside = members.find("wangfang"), Directory(with_directory(plain_settings, slapd)).find("outsider")
    found = members.still_there([inside.guid, outside.guid])
    assert (found[inside.guid], found[outside.guid]) == (inside, None)
    with pytest.raises(NoSuchPerson):
        members.find("outsider")
    slapd.remove("outsider")


def test_guid_forms() -> None:
    raw = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert canonical_guid("objectGUID", raw) == "33221100-5544-7766-8899-aabbccddeeff"
    assert canonical_guid("objectGUID", raw[:8]) is None
    assert (
        canonical_guid("entryUUID", b"83BE37B4-793A-1041-9123-813225FA1807") == "83be37b4-793a-1041-9123-813225fa1807"
    )
    assert canonical_guid("employeeNumber", b"E-00042") == "e-00042"
    assert canonical_guid("entryUUID", b"") is None
