"""The rule for local passwords, and how they are kept."""

from __future__ import annotations

import threading
import time

import pytest

from portal.errors import PortalError
from portal.services.identity import passwords
from portal.settings import Settings


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "PASSWORD_TOO_SHORT"),
        ("x" * 14, "PASSWORD_TOO_SHORT"),
        (" " * 20, "PASSWORD_TOO_SHORT"),
        ("\0" * 20, "PASSWORD_TOO_SHORT"),
        ("x" * 1025, "PASSWORD_TOO_SHORT"),
        ("a" * 20, "PASSWORD_TOO_COMMON"),
        ("ababababababababab", "PASSWORD_TOO_COMMON"),
        ("passwordpassword", "PASSWORD_TOO_COMMON"),
        ("PasswordPassword", "PASSWORD_TOO_COMMON"),
        ("correct horse battery staple", "PASSWORD_TOO_COMMON"),
        ("1qaz2wsx3edc4rfv", "PASSWORD_TOO_COMMON"),
        ("zhangsanzhangsan1", "PASSWORD_TOO_COMMON"),
    ],
)
def test_weak(settings: Settings, password: str, code: str) -> None:
    with pytest.raises(PortalError) as caught:
        passwords.check_policy(settings, password, login="zhangsan")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "password", ["a long and honest password", "今天下午三点在二楼会议室讨论转写系统", "x7Kp2mQ9vR4tY8w"]
)
def test_good(settings: Settings, password: str) -> None:
    stored = passwords.new_hash(settings, password, login="zhangsan")
    assert stored.startswith("$argon2id$")
    assert password not in stored
    assert passwords.matches(stored, password)
    assert not passwords.matches(stored, password + " ")


def test_nothing_matches_nothing() -> None:
    for stored in (None, "", "garbage", "$argon2id$v=19$m=65536"):
        for password in ("", "x", "garbage", "x" * 5000):
            assert not passwords.matches(stored, password)


def test_real_cost(real_hashing: None) -> None:
    assert "m=65536,t=3" in passwords.hash_password("a long and honest password")


def test_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    class Slow:
        def hash(self, _password: str) -> str:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.02)
            with lock:
                at_once -= 1
            return "x"

    monkeypatch.setattr(passwords, "_hasher", Slow())
    threads = [threading.Thread(target=passwords.hash_password, args=("x",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_random_passwords_differ() -> None:
    made = {passwords.random_password() for _ in range(50)}
    assert len(made) == 50
    assert {len(password) for password in made} == {20}
