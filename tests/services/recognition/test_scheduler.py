"""The order of the queue: fair, and exactly the one that people are shown."""

from __future__ import annotations

import random
import time
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.models import Recording, Transcription, User
from portal.services.identity.actor import system_actor
from portal.services.recognition import lease, progress, scheduler, transcriptions
from portal.settings import Settings
from tests.services.recognition.conftest import Queue
from tests.services.recognition.results_of import result
from tests.support.world import World, actor

WORKER = system_actor("worker", "job")


def claim(session: Session) -> lease.Claim:
    held = lease.claim(session, "w", 30)
    session.commit()
    assert held is not None
    return held


def in_order(session: Session) -> list[uuid.UUID]:
    places = scheduler.positions(session)
    assert sorted(place.position for place in places.values()) == list(range(1, len(places) + 1))
    return sorted(places, key=lambda item: places[item].position)


def test_people_take_turns(session: Session, people: World, queue: Queue) -> None:
    mine = [queue(people.lin) for _ in range(4)]
    other = [queue(people.wang) for _ in range(2)]
    third = [queue(people.zhao)]
    expected = [mine[0], other[0], third[0], mine[1], other[1], mine[2], mine[3]]
    assert in_order(session) == expected
    assert [claim(session).transcription_id for _ in expected] == expected


def test_a_newcomer_waits_for_one_round_only(session: Session, people: World, queue: Queue) -> None:
    mine = [queue(people.lin) for _ in range(5)]
    assert [claim(session).transcription_id for _ in range(2)] == mine[:2]
    late = queue(people.zhao)
    assert claim(session).transcription_id == late
    assert claim(session).transcription_id == mine[2]


def test_urgent_goes_first_and_costs_the_others_no_turn(session: Session, people: World, queue: Queue) -> None:
    mine, other = [queue(people.lin) for _ in range(3)], [queue(people.wang) for _ in range(3)]
    transcriptions.set_priority(session, actor(people.admin), mine[2], urgent=True)
    session.commit()
    assert in_order(session) == [mine[2], mine[0], other[0], mine[1], other[1], other[2]]
    assert claim(session).transcription_id == mine[2]
    assert in_order(session) == [mine[0], other[0], mine[1], other[1], other[2]]


@pytest.mark.parametrize("seed", range(6))
def test_the_position_shown_is_the_order_that_happens(
    session: Session, people: World, queue: Queue, any_settings: Settings, seed: int
) -> None:
    """Workers finish in any order, some runs fail and wait again: the others keep their order."""
    dice = random.Random(seed)
    persons: list[User] = [people.lin, people.wang, people.zhao]
    for _ in range(dice.randint(6, 14)):
        queue(dice.choice(persons))
    for item in dice.sample(in_order(session), 2):
        transcriptions.set_priority(session, actor(people.admin), item, urgent=True)
    session.commit()
    expected, running = in_order(session), []
    while expected:
        held = claim(session)
        assert held.transcription_id == expected.pop(0)
        running.append(held)
        assert in_order(session) == expected
        while running and dice.random() < 0.6:
            assert lease.complete(session, WORKER, running.pop(dice.randrange(len(running))), result())
            session.commit()
            assert in_order(session) == expected
        if dice.random() < 0.2:
            queue(dice.choice(persons))
            order = in_order(session)
            assert [item for item in order if item in expected] == expected, "an arrival reordered the others"
            expected = order


def test_what_goes_back_keeps_its_age(session: Session, people: World, queue: Queue) -> None:
    first, second = queue(people.lin), queue(people.lin)
    other = queue(people.wang)
    held = claim(session)
    lease.release(session, WORKER, held, "WORKER_STOPPING")
    session.commit()
    assert in_order(session) == [first, other, second]


def test_audio_ahead_and_range(session: Session, people: World, queue: Queue) -> None:
    queue(people.wang, audio_ms=600_000)
    mine = queue(people.lin, audio_ms=60_000)
    (item,) = progress.items_for(session, actor(people.lin))
    assert (item.transcription_id, item.position, item.ahead_ms) == (mine, 2, 600_000)
    assert (item.wait_low_s, item.wait_high_s) == (None, None), "no speed was measured yet"
    low, high = progress.wait_range(progress.Pace(speed=10.0, running=2, running_left_ms=0), 600_000)
    assert (low, high) == (24, 50)


def test_a_queue_of_ten_thousand(session: Session, people: World, queue: Queue) -> None:
    first = queue(people.lin)
    recording_id = session.get_one(Transcription, first).recording_id
    assert session.get(Recording, recording_id) is not None
    persons = [people.lin.id, people.wang.id, people.zhao.id]
    rows = [
        {"id": uuid.uuid4(), "recording_id": recording_id, "owner_id": persons[n % 3], "audio_ms": 1000}
        for n in range(10_000)
    ]
    session.execute(sa.insert(Transcription), rows)
    session.commit()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        claim(session)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.25, took
    began = time.perf_counter()
    assert len(scheduler.positions(session, people.lin.id)) > 3000
    assert time.perf_counter() - began < 1.0
