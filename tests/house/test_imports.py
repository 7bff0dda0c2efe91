"""Who may import whom: no import runs upward, none in a circle, and the heavy libraries stay in their room."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTAL = ROOT / "portal"

FLOORS = [
    ("portal.errors", "portal.asr"),
    ("portal.settings", "portal.settings_engines", "portal.settings_lists"),
    ("portal.db", "portal.logs", "portal.after_commit", "portal.formats"),
    ("portal.models", "portal.queues"),
    ("portal.services",),
    ("portal.http", "portal.forms"),
    ("portal.api", "portal.views"),
    ("portal.app",),
    ("portal.cli", "portal.jobs", "portal.supervisor"),
]
"""From the ground up. A module may import from its own floor and from those below."""

HEAVY = {
    "torch",
    "funasr",
    "kaldi_native_fbank",
    "onnx",
    "onnxruntime",
    "transformers",
    "sentencepiece",
    "sklearn",
    "umap",
}
ENGINE_ROOM = "portal.asr.engine.inference"
RECIPE = "portal.asr.models.recipe"
WINGS = {"identity", "recordings", "recognition", "transcripts", "hotwords", "audit", "integrations", "administration"}


def module_name(path: Path) -> str:
    """``portal/asr/types.py`` → ``portal.asr.types``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, Path]:
    """Every module of the portal."""
    return {module_name(path): path for path in PORTAL.rglob("*.py")}


def imports_of(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """Absolute names that a module imports; ``lazy=False`` leaves out those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if lazy else iter(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(module: str) -> int | None:
    """The floor's number; None for what belongs to none (the package itself)."""
    for number, prefixes in enumerate(FLOORS):
        if any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes):
            return number
    return None


def test_every_module_has_a_floor() -> None:
    homeless = [name for name in modules() if name != "portal" and floor_of(name) is None]
    assert homeless == []


def test_no_import_runs_upward() -> None:
    wrong = []
    for name, path in modules().items():
        own = floor_of(name)
        for target in imports_of(path):
            other = floor_of(target)
            if target.startswith("portal.") and own is not None and other is not None and other > own:
                wrong.append(f"{name} → {target}")
    assert sorted(set(wrong)) == []


def test_no_circle() -> None:
    known = modules()

    def targets(name: str) -> set[str]:
        named = {target for target in imports_of(known[name], lazy=False) if target in known and target != name}
        # "from package import room" names the room; the package above it is loaded already
        return {target for target in named if not any(other.startswith(target + ".") for other in named)}

    graph = {name: targets(name) for name in known}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for target in graph[name]:
            visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_heavy_libraries_stay_in_the_engine_room() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, path in modules().items()
        if not name.startswith((ENGINE_ROOM, RECIPE))
        for target in imports_of(path)
        if target.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_views_and_api_hold_no_query() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, path in modules().items()
        if name.startswith(("portal.views", "portal.api"))
        for target in imports_of(path)
        if target.split(".")[0] == "sqlalchemy"
        and not target.startswith("sqlalchemy.exc")
        and target not in {"sqlalchemy.orm", "sqlalchemy.orm.Session"}  # a type in a signature is no query
    ]
    assert wrong == []


def test_services_know_no_request() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, path in modules().items()
        if name.startswith("portal.services")
        for target in imports_of(path)
        if target.split(".")[0] in {"flask", "flask_login", "flask_wtf"}
    ]
    assert wrong == []


def test_identity_and_audit_call_no_other_wing() -> None:
    allowed = {"identity", "audit"}
    wrong = []
    for name, path in modules().items():
        parts = name.split(".")
        if len(parts) < 3 or parts[1] != "services" or parts[2] not in allowed:
            continue
        for target in imports_of(path):
            bits = target.split(".")
            if bits[:2] == ["portal", "services"] and len(bits) > 2 and bits[2] in WINGS - allowed:
                wrong.append(f"{name} → {target}")
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("portal.asr.engine.server", ["flask", "sqlalchemy", "redis", "rq"]),
        ("portal.asr.engine.client", ["torch", "funasr", "flask", "sqlalchemy", "redis"]),
        ("portal.asr.pipeline", ["torch", "funasr", "flask", "sqlalchemy"]),
        ("portal.app", ["torch", "funasr"]),
        ("portal.jobs.worker", ["torch", "funasr"]),
        ("portal.cli", ["torch", "funasr", "flask", "sqlalchemy"]),
    ],
)
def test_what_a_fresh_interpreter_loads(module: str, forbidden: list[str]) -> None:
    code = f"import sys, {module}; print([n for n in {forbidden!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
