"""The systemd unit, line by line, and what systemd itself says about it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "portal.service"

EXPECTED = """\
[Unit]
Description=Speech portal (web, queue, workers, recognition engine)
Documentation=file:///opt/portal/docs
After=network-online.target
Wants=network-online.target
[Service]
Type=exec
User=portal
Group=portal
WorkingDirectory=/opt/portal
Environment=PORTAL_INSTANCE=/var/lib/portal
Environment=PORTAL_SOCKET_DIR=/run/portal
EnvironmentFile=-/etc/portal/portal.env
ExecStart=/opt/portal/.venv/bin/portal up
StateDirectory=portal
StateDirectoryMode=0700
RuntimeDirectory=portal
RuntimeDirectoryMode=0700
ConfigurationDirectory=portal
ConfigurationDirectoryMode=0750
UMask=0077
KillMode=mixed
TimeoutStopSec=90
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=5
LimitNOFILE=65536
OOMPolicy=continue
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallFilter=~@privileged @clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
DevicePolicy=closed
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidia-frontend rw
DeviceAllow=char-nvidia-uvm rw
DeviceAllow=char-nvidia-caps rw
[Install]
WantedBy=multi-user.target
"""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def test_every_line_is_the_expected_one() -> None:
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert "\n".join(lines) + "\n" == EXPECTED


@needs_systemd
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    copy = tmp_path / "portal.service"
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/portal/.venv/bin/portal up", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "portal" in line]) == (0, [])


@needs_systemd
def test_its_exposure_is_small() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNIT)], capture_output=True, text=True
    )
    score = re.search(r"Overall exposure level for portal.service: ([\d.]+)", done.stdout)
    assert score is not None
    assert float(score[1]) <= 2.5
