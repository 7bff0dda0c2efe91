"""``portal doctor``: its form for programs, and that each fault is found and comes with a remedy."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from portal.cli import doctor, doctor_checks, doctor_portal
from portal.cli.doctor_checks import Check
from portal.db import upgrade
from portal.settings import load_settings


def test_it_prints_what_programs_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_INSTANCE", str(tmp_path))
    result = CliRunner().invoke(doctor.doctor_command, ["--json"])
    report = json.loads(result.output)
    assert set(report) == {"ok", "checks"}
    assert all(set(check) == {"name", "ok", "detail", "remedy"} for check in report["checks"])
    names = [check["name"] for check in report["checks"]]
    assert {"system", "torch", "gpu", "cores", "disk", "model asr", "redis", "database", "settings"} <= set(names)
    assert len(names) == len(set(names))
    assert report["ok"] is all(check["ok"] for check in report["checks"])
    assert result.exit_code == (0 if report["ok"] else 1)


def test_warnings_do_not_make_it_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [doctor_checks.warning("cores", "2", "Buy more.")])
    result = CliRunner().invoke(doctor.doctor_command)
    assert (result.exit_code, result.output) == (0, "warn  cores: 2\n      Buy more.\n")


def test_one_fault_makes_it_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [doctor_checks.bad("redis", "missing", "Install it.")])
    assert CliRunner().invoke(doctor.doctor_command).exit_code == 1


def test_wrong_settings_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_PORT", "many")
    found = doctor.examine()[-1]
    assert (found.name, found.ok) == ("settings", False)
    assert "port" in found.detail


@pytest.mark.parametrize(("version", "ok"), [("2.9.1", False), ("2.10.0", True), ("2.13.0+cpu", True)])
def test_old_torch_is_refused(monkeypatch: pytest.MonkeyPatch, version: str, ok: bool) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: version)
    assert doctor_checks.torch_version().ok is ok


def missing(_name: str) -> str:
    raise importlib.metadata.PackageNotFoundError


def test_missing_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert not doctor_checks.torch_version().ok


def test_packages_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor_checks.packages().ok
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda _name: ["click>=99", "no-such-thing", 'x; extra == "dev"']
    )
    found = doctor_checks.packages()
    assert not found.ok
    assert "click is" in found.detail
    assert "no-such-thing is missing" in found.detail


def test_a_missing_redis_server_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings(instance=tmp_path)
    assert doctor_portal.queue(settings).ok
    monkeypatch.setattr(doctor_portal, "find_server", lambda: None)
    assert "apt-get install" in doctor_portal.queue(settings).remedy


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    settings = load_settings(instance=tmp_path, asr_model=tmp_path / "nothing")
    found = doctor_portal.model("asr", settings.asr_model, settings)
    assert not found.ok
    assert str(tmp_path / "nothing") in found.detail


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not doctor_checks.instance(tmp_path / "file" / "instance").ok
    assert doctor_checks.instance(tmp_path / "new").ok


def test_the_database_is_looked_at(tmp_path: Path) -> None:
    settings = load_settings(instance=tmp_path)
    assert "first start" in doctor_portal.database(settings).detail
    upgrade(settings)
    found = doctor_portal.database(settings)
    assert (found.ok, found.remedy) == (True, "")
    away = load_settings(instance=tmp_path, database_url="postgresql://nobody@127.0.0.1:9/none")
    assert not doctor_portal.database(away).ok


def test_a_silent_directory_is_refused(tmp_path: Path) -> None:
    silent = load_settings(instance=tmp_path, ldap_urls=("ldaps://127.0.0.1:9",), ldap_base_dn="dc=example")
    assert not doctor_portal.directory(silent).ok


def test_certificates_that_end_soon_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.crt"
    broken.write_text("no certificate")
    assert not doctor_portal.certificate(load_settings(tls_certificate=broken, tls_key=broken)).ok


class FakeGpu:
    """NVML of a machine with one GPU of ``total`` bytes."""

    class NVMLError(Exception):
        """As in pynvml."""

    def __init__(self, total: int) -> None:
        self.total = total

    def __getattr__(self, name: str) -> Any:
        memory = type("Memory", (), {"total": self.total})
        answers = {"nvmlDeviceGetCount": 1, "nvmlDeviceGetName": "Test GPU", "nvmlDeviceGetMemoryInfo": memory}
        return lambda *_arguments: answers.get(name)


@pytest.mark.parametrize(("gigabytes", "remedy"), [(8, "Less than 12 GB"), (24, "")])
def test_a_small_gpu_is_warned_about(monkeypatch: pytest.MonkeyPatch, gigabytes: int, remedy: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", FakeGpu(gigabytes * 1024**3))
    found = doctor_checks.gpu()
    assert found.ok
    assert found.remedy.startswith(remedy)
    assert bool(found.remedy) is bool(remedy)


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> Check:
        raise ValueError("oops")

    assert doctor_checks.guarded("x", broken).detail == "ValueError: oops"
