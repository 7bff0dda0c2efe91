"""Counting failed sign-ins: limits, growth, sources, races, unlocking; on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import AuditEvent, LoginCounter
from portal.services.identity import lockout
from portal.services.identity.lockout import Refused, Reservation
from portal.services.identity.names import name_key, normalise, source_key
from portal.settings import Settings
from tests.services.identity.conftest import Begin
from tests.support.world import World, actor

KEY = (name_key("zhangsan"),)


def test_a_name_made_to_be_slow_is_quick() -> None:
    """Putting accents into order takes the square of their number: anybody could stop the portal with one form."""
    begun = time.perf_counter()
    name_key("a" + "\u0300\u0323" * 30_000)
    assert time.perf_counter() - begun < 1


def age(session: Session, minutes: float) -> None:
    """Make everything counted so far this much older."""
    for counter in session.scalars(sa.select(LoginCounter)):
        counter.window_started_at -= timedelta(minutes=minutes)
        if counter.locked_until:
            counter.locked_until -= timedelta(minutes=minutes)
    session.flush()


def reserve(session: Session, settings: Settings, times: int = 1) -> Reservation | Refused:
    outcome: Reservation | Refused = Refused(0)
    for _ in range(times):
        outcome = lockout.reserve(session, settings, KEY)
    return outcome


def test_five_then_locked(session: Session, any_settings: Settings) -> None:
    assert isinstance(reserve(session, any_settings, 5), Reservation)
    assert reserve(session, any_settings) == Refused(15)
    age(session, 14.5)
    assert reserve(session, any_settings) == Refused(1)
    age(session, 0.6)
    assert isinstance(reserve(session, any_settings), Reservation)


def test_each_lock_is_longer_up_to_a_day(session: Session, any_settings: Settings) -> None:
    minutes = []
    for _ in range(9):
        reserve(session, any_settings, 5)
        outcome = reserve(session, any_settings)
        assert isinstance(outcome, Refused)
        minutes.append(outcome.minutes)
        age(session, outcome.minutes + 0.1)
    assert minutes == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_the_window_moves_on(session: Session, any_settings: Settings) -> None:
    reserve(session, any_settings, 4)
    age(session, 15.1)
    assert isinstance(reserve(session, any_settings, 4), Reservation)


def test_success_clears_the_name_but_not_the_network(session: Session, any_settings: Settings) -> None:
    keys = (*KEY, source_key("192.0.2.9"))
    for _ in range(3):
        lockout.reserve(session, any_settings, keys)
    last = lockout.reserve(session, any_settings, keys)
    assert isinstance(last, Reservation)
    lockout.succeeded(session, last)
    left = {counter.key: counter.failures for counter in session.scalars(sa.select(LoginCounter))}
    assert left == {"net:192.0.2.0/24": 3}


def test_given_back_attempts_never_happened(session: Session, any_settings: Settings) -> None:
    reserve(session, any_settings, 4)
    for _ in range(10):  # the directory is down: no lock, however often
        outcome = reserve(session, any_settings)
        assert isinstance(outcome, Reservation)
        lockout.give_back(session, outcome)
    assert session.get_one(LoginCounter, KEY[0]).lockouts == 0


def test_one_network_has_its_own_limit(session: Session, any_settings: Settings) -> None:
    outcomes = [
        lockout.reserve(session, any_settings, (name_key(f"user{n}"), source_key(f"198.51.100.{n % 250}")))
        for n in range(60)
    ]
    assert [isinstance(outcome, Reservation) for outcome in outcomes] == [True] * 50 + [False] * 10
    elsewhere = lockout.reserve(session, any_settings, (name_key("user99"), source_key("203.0.113.5")))
    assert isinstance(elsewhere, Reservation)


def test_fifty_at_once_let_five_through(begin: Begin, any_settings: Settings) -> None:
    def attempt(_number: int) -> bool:
        with begin() as session:
            return isinstance(lockout.reserve(session, any_settings, KEY), Reservation)

    with ThreadPoolExecutor(16) as pool:
        passed = sum(pool.map(attempt, range(50)))
    assert passed == 5


def test_an_administrator_unlocks(session: Session, people: World, any_settings: Settings) -> None:
    for _ in range(5):
        lockout.reserve(session, any_settings, (name_key("lin"),))
    assert lockout.locked_until(session, people.lin) is not None
    lockout.unlock(session, actor(people.admin), people.lin)
    assert lockout.locked_until(session, people.lin) is None
    assert session.scalars(sa.select(AuditEvent.action)).all() == ["user.unlock"]


def test_housekeeping_forgets(session: Session, any_settings: Settings) -> None:
    reserve(session, any_settings, 5)
    assert lockout.prune(session, any_settings) == 0
    age(session, 15 + 24 * 60 + 1)
    assert lockout.prune(session, any_settings) == 1


@pytest.mark.parametrize(
    "spelling", ["zhangsan", "ZHANGSAN", " zhangsan ", "ｚｈａｎｇｓａｎ", "zhangsan\0", "\tzhangsan\n"]
)  # fmt: skip
def test_spellings_share_a_counter(spelling: str) -> None:
    assert name_key(spelling) == "name:zhangsan"


def test_keys_fit_their_column() -> None:
    assert len(name_key("ﷺ" * 4000)) < 300
    assert normalise("  Zhang   San ") == "zhang san"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.77", "net:192.0.2.0/24"),
        ("::ffff:192.0.2.77", "net:192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "net:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "net:fe80::/64"),
        ("unknown", "net:unknown"),
    ],
)
def test_source_networks(address: str, key: str) -> None:
    assert source_key(address) == key
