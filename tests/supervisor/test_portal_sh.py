"""``portal.sh`` without installing anything: its language, its sentences, the lists it works from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["portal.sh", "deploy/lock.sh"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_dash_understands_it(script: str) -> None:
    done = subprocess.run(["dash", "-n", ROOT / script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script: str) -> None:
    done = subprocess.run(["shellcheck", ROOT / script], capture_output=True, text=True)
    assert done.stdout == ""


def test_help_names_both_commands_and_the_settings() -> None:
    text = subprocess.run([ROOT / "portal.sh", "help"], capture_output=True, text=True, check=True).stdout
    assert "./portal.sh run" in text
    assert "./portal.sh test" in text
    assert "PORTAL_TORCH_ANY=1" in text
    assert "set -eu" not in text


def test_without_root_missing_packages_are_named(tmp_path: Path) -> None:
    for name, body in {"dpkg-query": "exit 1", "id": "echo 1000"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / "portal.sh", "install"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "redis-server" in done.stderr
    assert "as root" in done.stderr


@pytest.mark.parametrize(("apt", "status"), [("exit 0", 0), ("exit 7", 7)])
def test_apt_starts_no_service_and_the_old_policy_comes_back(tmp_path: Path, apt: str, status: int) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("the administrator's own\n")
    seen = tmp_path / "seen"
    for name, body in {"dpkg-query": "exit 1", "id": "echo 0", "apt-get": f"cat {policy} >{seen}; {apt}"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    source = (ROOT / "portal.sh").read_text(encoding="utf-8").replace("/usr/sbin/policy-rc.d", str(policy))
    part = source.split("# --- Python")[0] + "system_packages redis-server\n"
    script = tmp_path / "part.sh"
    script.write_text(part)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["dash", script], env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert "exit 101" in seen.read_text()
    assert policy.read_text() == "the administrator's own\n"


def test_accepted_builds_of_torch_are_listed_with_their_sums() -> None:
    lines = (ROOT / "deploy" / "torch-builds.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    version = lines[0].removeprefix("version ")
    assert tuple(int(part) for part in version.split(".")[:2]) >= (2, 10)
    kinds = set()
    for line in lines[1:]:
        match = re.fullmatch(
            r"(cpu|cuda) [0-9a-f]{64} torch-([\d.]+)(\+cpu)?-cp311-cp311-manylinux_2_28_x86_64\.whl", line
        )
        assert match is not None, line
        assert match[2] == version
        kinds.add(match[1])
    assert kinds == {"cpu", "cuda"}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-cuda.lock"])
def test_every_locked_package_has_its_hashes_and_none_is_torch(name: str) -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / name).read_text(encoding="utf-8"))[1:]
    assert len(blocks) > 15
    for block in blocks:
        assert re.match(r"[\w.-]+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", block), block
        assert not block.startswith("torch==")
    assert not re.search(r"://|^-|/tmp/|/opt/", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)


def test_tests_run_with_what_the_portal_runs_with() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))

    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_continuous_integration_runs_the_same_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").splitlines()[-1] == 'cd "$(dirname "$0")/.." && exec ./portal.sh test'
