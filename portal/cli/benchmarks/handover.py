"""``portal bench handover``: what the portal around the engine costs, measured on the real path.

Recordings lie in a private store and wait in a private SQLite database; workers claim them, decode, hand the sound to
the engine over its socket, and store transcripts, audit rows and progress. Only Redis is left out: it rings, no more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from portal.cli.benchmarks import machine, models, sets
from portal.cli.benchmarks.arms import EngineArm, Setup
from portal.cli.benchmarks.processes import Child, Unavailable, cpu_seconds, end_tidily, environment
from portal.cli.benchmarks.sets import Recording


@click.command("handover")
@click.option("--weights", default=models.SHIPPED, show_default=True, help="shipped, random-full, or a folder.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(0, 256), default=0, help="CPU threads of the engine; 0: all cores.")
@click.option("--tiny", is_flag=True, help="Half a minute of sound: proves that everything runs, measures nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def handover_command(weights: str, device: str, workers: int, threads: int, tiny: bool, as_json: bool) -> None:
    """Measure what workers, socket and database add to the engine's own work."""
    end_tidily()
    facts = machine.torch_facts()
    on = "cuda" if device != "cpu" and facts["cuda"] else "cpu"
    threads = threads or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="portal-bench-", dir="/tmp") as folder, ExitStack() as stack:
        work = Path(folder)
        setup = Setup(models.resolve(weights, _cache(), work, threads), on, threads, work, clients=1)
        recordings, _ = sets.make(work / "set", sets.TINY if tiny else sets.DEFAULT, on, headline=False)
        about = machine.describe(facts, threads)
        figures = {**measure(setup, recordings, workers, stack), "weights": weights, "device": on, **about}
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    for name, value in figures.items():
        click.echo(f"{name:28} {value}")


def _cache() -> Path:
    from portal.settings import load_settings

    return load_settings().instance / "bench"


def measure(setup: Setup, recordings: Sequence[Recording], workers: int, stack: ExitStack) -> dict[str, Any]:
    """Put the recordings into a queue and let ``workers`` processes work it off.

    ``overhead`` is (CPU of the workers without decoding + CPU of the engine's socket thread) / seconds the models were
    busy, ``overhead_of_cpu`` the same of the models' CPU seconds, which a busy machine does not stretch.
    ``models_busy_share`` says how much of the time the models had something to do.
    """
    # the engine's socket is where the workers' settings expect it: named after the arm
    engine = EngineArm(setup, "engine", "exact")
    try:
        engine.start(stack)
    except Unavailable as error:
        raise click.ClickException(str(error)) from None
    settings = _instance(setup.work)
    env = environment(1, **settings)
    argv = [sys.executable, "-m", "portal.cli.benchmarks.worker"]
    children = [stack.enter_context(Child(argv, env, setup.log(f"worker-{n}"))) for n in range(workers)]
    _queue(setup.work, recordings[:1])
    children[0].ask("work")  # warm: first batches, first plans of SQL
    _queue(setup.work, recordings)
    assert engine.pid is not None
    before, wall = engine.status(), time.perf_counter()
    engine_cpu, socket_cpu = cpu_seconds(engine.pid), _thread_cpu(engine.pid)
    for child in children:
        child.send("work")
    answers = [child.take() for child in children]
    wall, after = time.perf_counter() - wall, engine.status()
    engine_cpu, socket_cpu = cpu_seconds(engine.pid) - engine_cpu, _thread_cpu(engine.pid) - socket_cpu
    done = _finished(setup.work)
    if done != len(recordings) + 1:
        raise click.ClickException(f"only {done} of {len(recordings) + 1} recordings ended with a text")
    busy = after.busy_seconds - before.busy_seconds
    worker_cpu = sum(answer["cpu"] for answer in answers)
    return {
        "recordings": len(recordings),
        "audio_seconds": round(sum(recording.seconds for recording in recordings), 1),
        "workers": workers,
        "wall_seconds": round(wall, 3),
        "models_busy_seconds": round(busy, 3),
        "models_busy_share": round(busy / wall, 3),
        "worker_cpu_seconds": round(worker_cpu, 3),
        "socket_cpu_seconds": round(socket_cpu, 3),
        "decode_cpu_seconds": round(sum(answer["decode_cpu"] for answer in answers), 3),
        "models_cpu_seconds": round(engine_cpu - socket_cpu, 3),
        "overhead": round((worker_cpu + socket_cpu) / busy, 4),
        "overhead_of_cpu": round((worker_cpu + socket_cpu) / (engine_cpu - socket_cpu), 4),
    }


def _instance(work: Path) -> dict[str, str]:
    """A private instance with a migrated database and one person; returns its environment."""
    from portal.db import create_engine, session_factory, upgrade, utcnow
    from portal.models import Role, User
    from portal.services.audit import load_audit_key

    settings = _settings(work)
    upgrade(settings)
    load_audit_key(settings.instance)
    engine = create_engine(settings)
    with session_factory(engine).begin() as session:
        person = {"kind": "local", "login": "bench", "login_key": "local:bench", "display_name": "bench"}
        session.add(User(**person, role=Role.STAFF.value, created_at=utcnow()))
    engine.dispose()
    return {"PORTAL_INSTANCE": str(settings.instance), "PORTAL_SOCKET_DIR": str(work)}


def _settings(work: Path) -> Any:
    from portal.settings import load_settings

    return load_settings(instance=work / "instance", socket_dir=work, database_url=None)


def _queue(work: Path, recordings: Sequence[Recording]) -> None:
    """Files into the store, rows into the queue, as an upload leaves them."""
    from sqlalchemy import select

    from portal.db import create_engine, session_factory
    from portal.models import Recording as Row
    from portal.models import User
    from portal.services.identity.actor import actor_of
    from portal.services.recognition import transcriptions
    from portal.services.recordings.file_store import FileStore

    # there is no Redis here, and nobody needs to read that
    logging.getLogger("portal.queues").setLevel(logging.ERROR)
    settings = _settings(work)
    store, engine = FileStore.of(settings), create_engine(settings)
    with session_factory(engine).begin() as session:
        user = session.scalars(select(User)).one()
        actor = actor_of(user, address="local", request_id="bench")
        for recording in recordings:
            row_id, data = uuid.uuid4(), recording.path.read_bytes()
            with store.append(row_id) as writer:
                writer.write_at(0, data)
            store.adopt(row_id)
            facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "title": recording.path.stem}
            row = Row(id=row_id, owner_id=user.id, original_name=recording.path.name, **facts)
            session.add(row)
            session.flush()
            transcriptions.submit(
                session,
                actor,
                row,
                options={"itn": True, "channels": "mix"},
                hotwords=[],
                hotword_versions=[],
                settings=settings,
            )
    engine.dispose()


def _finished(work: Path) -> int:
    from sqlalchemy import func, select

    from portal.db import create_engine, session_factory
    from portal.models import Transcription

    engine = create_engine(_settings(work))
    with session_factory(engine)() as session:
        count = session.scalar(select(func.count()).select_from(Transcription).where(Transcription.state == "done"))
    engine.dispose()
    return int(count or 0)


def _thread_cpu(pid: int) -> float:
    """CPU seconds of a process's first thread: the engine's, which serves the sockets."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
