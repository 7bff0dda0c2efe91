"""The whole sign-in against a real directory: counting, fail-safe, no hints, one person one account."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from portal.errors import PortalError
from portal.models import Department, LoginCounter, Role, User, UserSession
from portal.services.identity import accounts, lockout
from portal.services.identity.actor import system_actor
from portal.services.identity.directory import Directory
from portal.services.identity.signing_in import Attempt, SignedIn, sign_in
from portal.settings import Settings
from tests.services.identity.conftest import PASSWORD, Begin, audit_rows, with_directory
from tests.support import slapd as support
from tests.support.slapd import Slapd

pytestmark = pytest.mark.slapd
CLI = system_actor("cli", "T")


@pytest.fixture
def directory(ldap_settings: Settings) -> Directory:
    return Directory(ldap_settings)


@pytest.fixture
def newcomer(slapd: Slapd) -> Iterator[str]:
    """Somebody whose binds nobody else counts."""
    slapd.add(support.person("xinren", "新人", "pass-xin", "新部门"))
    yield "xinren"
    slapd.remove("xinren")


def attempt(login: str, password: str, address: str = "192.0.2.1") -> Attempt:
    return Attempt(login, password, address, "TEST-0001", "Firefox")


def refusal(begin: Begin, settings: Settings, directory: Directory | None, tried: Attempt) -> str:
    with pytest.raises(PortalError) as caught:
        sign_in(begin, settings, directory, tried)
    return caught.value.code


def test_directory_sign_in(begin: Begin, ldap_settings: Settings, directory: Directory) -> None:
    done = sign_in(begin, ldap_settings, directory, attempt("zhangwei", "pass-zhang"))
    with begin() as session:
        user = session.get_one(User, done.user_id)
        assert (user.login, user.role, user.mail, user.kind) == (
            "zhangwei", "staff", "zhangwei@example.com", "directory")  # fmt: skip
        assert user.department is not None
        assert (user.department.name, user.department.directory_name) == ("研发部", "研发部")
        row = session.scalars(sa.select(UserSession)).one()
        assert done.token not in (row.token_hash, str(row.id))
    assert len(done.token) >= 43
    assert audit_rows(begin, "session.sign_in") == [("ok", None, "zhangwei")]


def test_spellings_make_one_account(begin: Begin, ldap_settings: Settings, directory: Directory) -> None:
    for spelling in ("zhangwei", "ZHANGWEI", " zhangwei"):
        sign_in(begin, ldap_settings, directory, attempt(spelling, "pass-zhang"))
    with begin() as session:
        assert session.scalar(sa.select(sa.func.count(User.id))) == 1


def test_recreated_login_is_somebody_else(
    begin: Begin, ldap_settings: Settings, directory: Directory, slapd: Slapd
) -> None:
    slapd.add(support.person("reused", "甲", "pass-one"))
    first = sign_in(begin, ldap_settings, directory, attempt("reused", "pass-one"))
    slapd.rename("reused", "renamed")
    again = sign_in(begin, ldap_settings, directory, attempt("renamed", "pass-one"))
    slapd.remove("renamed")
    slapd.add(support.person("reused", "乙", "pass-two"))
    second = sign_in(begin, ldap_settings, directory, attempt("reused", "pass-two"))
    slapd.remove("reused")
    assert first.user_id == again.user_id != second.user_id


def test_local_sign_in_without_a_directory(begin: Begin, any_settings: Settings, local_lin: str) -> None:
    assert isinstance(sign_in(begin, any_settings, None, attempt(" LIN", PASSWORD)), SignedIn)
    assert refusal(begin, any_settings, None, attempt("lin", PASSWORD + "x")) == "SIGN_IN_FAILED"
    assert refusal(begin, any_settings, None, attempt("nobody", PASSWORD)) == "SIGN_IN_FAILED"


def test_blank_passwords_open_nothing(
    begin: Begin, ldap_settings: Settings, directory: Directory, slapd: Slapd, local_lin: str
) -> None:
    before = slapd.searches()
    for login in ("zhangwei", "lin", "", "cn=admin,dc=example,dc=com"):
        for password in ("", " ", "\0", "\u3000"):
            assert refusal(begin, ldap_settings, directory, attempt(login, password)) == "SIGN_IN_FAILED"
    assert slapd.searches() == before


def test_fifty_parallel_guesses_reach_the_directory_at_most_five_times(
    begin: Begin, ldap_settings: Settings, directory: Directory, slapd: Slapd, newcomer: str
) -> None:
    before = slapd.binds_of(newcomer)
    spellings = (newcomer, newcomer.upper(), f" {newcomer}", newcomer.capitalize())

    def guess(number: int) -> str:
        tried = attempt(spellings[number % 4], f"guess-{number}", f"198.51.{number}.1")
        return refusal(begin, ldap_settings, directory, tried)

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(guess, range(50)))
    assert slapd.binds_of(newcomer) - before == 5
    assert sorted(set(codes)) == ["SIGN_IN_FAILED", "SIGN_IN_LOCKED"]
    assert codes.count("SIGN_IN_FAILED") == 5
    # the right password does not help now; a colleague is not affected
    assert refusal(begin, ldap_settings, directory, attempt(newcomer, "pass-xin")) == "SIGN_IN_LOCKED"
    assert sign_in(begin, ldap_settings, directory, attempt("lina", "pass-li"))


def test_two_names_of_one_person_share_the_limit(
    begin: Begin, any_settings: Settings, slapd: Slapd, newcomer: str
) -> None:
    slapd.change(newcomer, mail="xin.ren@example.com")
    both = with_directory(any_settings, slapd, ldap_user_filter="(|(uid={login})(mail={login}))")
    directory, before = Directory(both), slapd.binds_of(newcomer)
    for number in range(4):
        for login in (newcomer, "xin.ren@example.com"):
            refusal(begin, both, directory, attempt(login, f"guess-{number}", f"198.51.{number}.1"))
    assert slapd.binds_of(newcomer) - before == 5


def test_fifth_attempt_with_the_right_password_opens(
    begin: Begin, ldap_settings: Settings, directory: Directory
) -> None:
    for number in range(4):
        refusal(begin, ldap_settings, directory, attempt("lina", f"wrong-{number}"))
    assert sign_in(begin, ldap_settings, directory, attempt("lina", "pass-li"))
    with begin() as session:
        names = session.scalars(sa.select(LoginCounter.key)).all()
        assert [name for name in names if not name.startswith("net:")] == []


def test_directory_down_locks_nobody_out_and_local_accounts_work(
    begin: Begin, any_settings: Settings, slapd: Slapd, local_lin: str
) -> None:
    down = with_directory(any_settings, slapd, f"ldaps://localhost:{support.free_port()}", ldap_dead_seconds=0)
    nowhere = Directory(down)
    for _ in range(12):
        assert refusal(begin, down, nowhere, attempt("zhangwei", "pass-zhang")) == "DIRECTORY_DOWN"
    assert sign_in(begin, down, nowhere, attempt("lin", PASSWORD))
    back = with_directory(any_settings, slapd)
    assert sign_in(begin, back, Directory(back), attempt("zhangwei", "pass-zhang"))
    rows = audit_rows(begin, "session.sign_in")
    assert rows[0] == ("failed", "DIRECTORY_DOWN", "zhangwei")


def test_disabled_is_said_only_after_the_right_password(
    begin: Begin, ldap_settings: Settings, directory: Directory, local_lin: str
) -> None:
    sign_in(begin, ldap_settings, directory, attempt("zhangwei", "pass-zhang"))
    with begin() as session:
        for user in session.scalars(sa.select(User)):
            accounts.disable(session, CLI, user)
    for login, password in (("zhangwei", "pass-zhang"), ("lin", PASSWORD)):
        assert refusal(begin, ldap_settings, directory, attempt(login, "wrong password")) == "SIGN_IN_FAILED"
        assert refusal(begin, ldap_settings, directory, attempt(login, password)) == "ACCOUNT_DISABLED"


def test_department_found_by_name_is_adopted(begin: Begin, ldap_settings: Settings, directory: Directory) -> None:
    with begin() as session:
        session.add(Department(name="市场部"))
    sign_in(begin, ldap_settings, directory, attempt("lina", "pass-li"))
    with begin() as session:
        assert session.scalars(sa.select(Department.directory_name)).all() == ["市场部"]
    assert audit_rows(begin, "department.update") == [("ok", None, "lina")]


def test_office_is_not_the_directorys_to_give(begin: Begin, ldap_settings: Settings, directory: Directory) -> None:
    done = sign_in(begin, ldap_settings, directory, attempt("zhangwei", "pass-zhang"))
    with begin() as session:
        accounts.set_role(session, CLI, session.get_one(User, done.user_id), Role.AUDITOR)
    again = sign_in(begin, ldap_settings, directory, attempt("zhangwei", "pass-zhang"))
    assert again.role == "auditor"


def test_first_sign_in_twice_at_once_makes_one_account(
    begin: Begin, ldap_settings: Settings, directory: Directory
) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda _: sign_in(begin, ldap_settings, directory, attempt("wangfang", "pass-wang")), "abcd")
        )
    assert len({item.user_id for item in done}) == 1


def test_nothing_opens_a_fresh_installation(begin: Begin, any_settings: Settings) -> None:
    names = ("admin", "administrator", "root", "portal", "test", "guest", "user", "demo-admin", "auditor", "cli", "sa")
    open_settings = any_settings.model_copy(update={"lockout_failures_per_source": 10_000})
    for login in names:
        for password in (login, "admin", "password", "123456"):
            assert refusal(begin, open_settings, None, attempt(login, password)) == "SIGN_IN_FAILED"


def test_the_time_of_the_answer_tells_nothing(
    begin: Begin, any_settings: Settings, slapd: Slapd, local_lin: str, real_hashing: None
) -> None:
    """Unknown, known in the directory, and local names take equally long to refuse."""
    patient = with_directory(any_settings, slapd, lockout_failures=10_000, lockout_failures_per_source=10_000)
    directory = Directory(patient)
    times: dict[str, list[float]] = {"nobody-here": [], "zhangwei": [], "lin": []}
    for _ in range(7):
        for login, taken in times.items():
            started = time.perf_counter()
            refusal(begin, patient, directory, attempt(login, "a wrong password"))
            taken.append(time.perf_counter() - started)
    medians = [statistics.median(taken) for taken in times.values()]
    assert max(medians) - min(medians) < 0.25 * min(medians), times


def test_typed_names_can_not_forge_audit_lines(begin: Begin, any_settings: Settings) -> None:
    refusal(begin, any_settings, None, attempt("a\r\nok\u202e admin\0", "x"))
    assert audit_rows(begin, "session.sign_in") == [
        ("failed", "SIGN_IN_FAILED", "a\\u000d\\u000aok\\u202e admin\\u0000")
    ]


def test_unlock_opens_the_door_again(begin: Begin, any_settings: Settings, local_lin: str) -> None:
    for _ in range(5):
        refusal(begin, any_settings, None, attempt("lin", "wrong password"))
    assert refusal(begin, any_settings, None, attempt("lin", PASSWORD)) == "SIGN_IN_LOCKED"
    with begin() as session:
        found = accounts.find_local(session, "lin")
        assert found is not None
        lockout.unlock(session, CLI, found)
    assert sign_in(begin, any_settings, None, attempt("lin", PASSWORD))
