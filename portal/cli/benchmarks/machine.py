"""What the figures were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from portal.cli.benchmarks.processes import environment

_FACTS = "portal.asr.engine.inference.benchmark.facts"


def torch_facts() -> dict[str, Any]:
    """``{"cuda": bool, "gpu": name or None, "versions": {...}}``, asked of a child: this process loads no torch."""
    argv = [sys.executable, "-m", _FACTS]
    done = subprocess.run(argv, env=environment(1), capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise click.ClickException("torch can't be loaded: " + done.stderr.strip()[-300:])
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return facts


def describe(facts: dict[str, Any], threads: int) -> dict[str, Any]:
    """Machine, versions and the moment, for a report."""
    return {
        "machine": {
            "cpu": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "gpu": facts["gpu"],
            "load_before": round(os.getloadavg()[0], 2),
            "threads": threads,
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **facts["versions"]},
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    named = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return named[0] if named else platform.machine()
