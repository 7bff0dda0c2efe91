"""A supervisor over invented children, run as a program by the tests: ``python -m tests.supervisor.dummy FOLDER KIND``.

Each child appends ``name start|stop time`` to ``FOLDER/events``; its grandchild only sleeps.
"""

from __future__ import annotations

import sys
from pathlib import Path

from portal.supervisor.children import Plan
from portal.supervisor.supervisor import Supervisor

CHILD = """
import pathlib, signal, subprocess, sys, time
folder, name, stubborn = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "stubborn"
def note(what):
    with (folder / "events").open("a") as file:
        file.write(f"{name} {what} {time.monotonic()}\\n")
def stop(*_):
    note("stop")
    if not stubborn:
        sys.exit(0)
signal.signal(signal.SIGTERM, stop)
grandchild = subprocess.Popen(["sleep", "600"])
(folder / f"{name}.pids").write_text(f"{__import__('os').getpid()} {grandchild.pid}")
note("start")
while True:
    time.sleep(0.05)
"""


def plan(folder: Path, name: str, stage: int, *, stubborn: bool = False, stop_seconds: float = 10) -> Plan:
    """One invented child; a stubborn one does not end when it is asked to."""
    argv = (sys.executable, "-c", CHILD, str(folder), name, "stubborn" if stubborn else "meek")
    return Plan(name, argv, stage, stop_seconds=stop_seconds)


def main(folder: Path, kind: str) -> None:
    """Run until a signal comes."""
    plans = [
        plan(folder, "first", 0),
        plan(folder, "second", 1),
        plan(folder, "third-a", 2),
        plan(folder, "third-b", 2),
    ]
    if kind == "stubborn":
        plans.append(plan(folder, "stubborn", 3, stubborn=True, stop_seconds=0.5))
    if kind == "dying":
        plans.append(Plan("dying", (sys.executable, "-c", "raise SystemExit(3)"), 3))
    with Supervisor(folder / "logs", Path.cwd(), lambda text: print(text, flush=True)) as supervisor:
        supervisor.start(plans)
        print("started", flush=True)
        supervisor.run()
    print("stopped", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
