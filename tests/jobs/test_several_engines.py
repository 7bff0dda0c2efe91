"""Two engines and two workers: the work spreads, and what a dying engine held is done by the other."""

from __future__ import annotations

from collections.abc import Callable

from portal.asr.engine.client import EngineClient
from tests.support.workplace import Workplace

LONG_S = 60.0


def running(place: Workplace) -> list[int]:
    """Recordings at work in each engine."""
    return [EngineClient(path).status().running_recordings for path in place.settings.local_engine_sockets]


def test_work_spreads_and_survives_the_death_of_one_engine(place_with: Callable[..., Workplace]) -> None:
    place = place_with(engine_devices="cpu,cpu")
    engines = [place.start_engine(0.15, number=number) for number in (0, 1)]
    place.start_housekeeping()
    for _ in range(2):
        place.start_worker()
    items = [place.submit(place.world.lin, LONG_S, seed=1)]
    place.until(lambda: sum(running(place)) == 1)
    items.append(place.submit(place.world.lin, LONG_S, seed=2))
    place.until(lambda: running(place) == [1, 1])
    engines[0].kill()
    engines[0].wait()
    for item in items:
        place.until_state(item, "done", 60)
        assert len(place.texts(item)) == 1
        assert place.row(item).attempt == 1, "the death of an engine is not the recording's fault"
    assert running_after(place) == 0
    place.start_engine(0.0, number=0)
    later = place.submit(place.world.lin, 1.0, seed=3)
    place.until_state(later, "done", 30)


def running_after(place: Workplace) -> int:
    """Recordings left in the engine that lives."""
    return EngineClient(place.settings.local_engine_sockets[1]).status().running_recordings
