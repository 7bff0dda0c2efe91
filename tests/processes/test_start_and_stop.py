"""Starting and stopping the whole portal: no orphans, no network, TLS for others."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.settings import MODELS_DIR
from tests.support.journey import Journey
from tests.support.running import ROOT, alive, environment, running_portal

pytestmark = [pytest.mark.processes, pytest.mark.models]

OFFLINE = """
import sys
from pathlib import Path

from portal.settings import MODELS_DIR
from tests.support.running import running_portal

with running_portal(Path(sys.argv[1])) as portal:
    portal.make_first_accounts()
    person = portal.journey("lin")
    recording = person.upload(MODELS_DIR / "sample.wav")
    print(person.wait_for_text(recording))
"""

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces of our own need root")


def test_ctrl_c_leaves_no_orphan_and_a_second_start_finds_everything(tmp_path: Path) -> None:
    with running_portal(tmp_path / "instance", arguments=["--demo"]) as first:
        family = first.children()
        assert len(family) >= 8
        password = next(line.split()[-1] for line in first.said if "demo-staff" in line)
        first.passwords["demo-staff"] = password
        person = first.journey("demo-staff")
        deadline = time.monotonic() + 60
        while "/transcripts/" not in person.get("/history").text and time.monotonic() < deadline:
            time.sleep(0.5)
        assert first.stop() == 0, first.said
        time.sleep(0.5)
        assert [pid for pid in family if alive(pid)] == []
    with running_portal(tmp_path / "instance", arguments=["--no-self-check"]) as second:
        assert not any("/setup" in line for line in second.said)
        again = Journey(second.address)
        again.sign_in("demo-staff", password)
        assert "/transcripts/" in again.get("/history").text


@root_only
def test_everything_works_without_any_route(tmp_path: Path) -> None:
    """Inside a network namespace with nothing but ``lo``: start, sign in, transcribe, export."""
    script = tmp_path / "inside.py"
    script.write_text(OFFLINE)
    inside = f'ip link set lo up && test -z "$(ip route)" && exec {sys.executable} "$0" "$1"'
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", inside, str(script), str(tmp_path / "instance")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=280,
        env={**environment(tmp_path / "instance", {}), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "。" in done.stdout


@pytest.fixture
def other_host() -> Iterator[tuple[str, str]]:
    """A second host: the name of a network namespace and our address as it sees us."""
    name = f"pt{uuid.uuid4().hex[:6]}"
    ours, theirs = "198.18.77.1", "198.18.77.2"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b")
        ip("link", "set", f"{name}b", "netns", name)
        ip("addr", "add", f"{ours}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", f"{theirs}/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name, ours
    finally:
        subprocess.run(["ip", "link", "del", f"{name}a"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@root_only
@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_another_host_signs_in_over_our_own_certificate(tmp_path: Path, other_host: tuple[str, str]) -> None:
    namespace, address = other_host
    arguments = ["--host", "0.0.0.0", "--own-ca", "--no-self-check", "--demo"]
    with running_portal(tmp_path / "instance", arguments=arguments) as portal:
        assert portal.address.startswith("https://")
        port = portal.address.rsplit(":", 1)[1]
        password = next(line.split()[-1] for line in portal.said if "demo-staff" in line)
        script = (
            "import sys; from pathlib import Path; from tests.support.journey import Journey;"
            "person = Journey(sys.argv[1], Path(sys.argv[2])); person.sign_in('demo-staff', sys.argv[3]);"
            "names = sorted(cookie.name for cookie in person.jar); print(person.get('/').status, *names)"
        )
        authority = portal.instance / "tls" / "ca.crt"
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", script,
             f"https://{address}:{port}", str(authority), password],
            cwd=ROOT, env=environment(portal.instance, {}), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[0] == "200"
        assert "__Host-portal-session" in done.stdout
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(
                f"https://{address}:{port}/healthz", context=ssl.create_default_context(), timeout=10
            )


def test_open_plain_http_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "portal.cli", "up", "--host", "0.0.0.0"],
        cwd=ROOT, env=environment(tmp_path / "instance", {}), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "TLS" in done.stderr or "tls" in done.stderr.lower()


def test_an_altered_model_stops_the_start_and_names_the_file(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(MODELS_DIR, models, ignore=shutil.ignore_patterns("recipe", "__pycache__"))
    (models / "vad" / "am.mvn").write_text("changed")
    settings = {
        name: str(models / folder)
        for name, folder in (("asr_model", "seaco"), ("vad_model", "vad"), ("punc_model", "punc"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "portal.cli", "up", "--port", "18999"], cwd=ROOT, timeout=120, check=False,
        env=environment(tmp_path / "instance", settings), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "am.mvn" in done.stdout + done.stderr
