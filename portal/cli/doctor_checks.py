"""The parts of ``portal doctor``: each function looks at one thing and says in one sentence how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

SUPPORTED = "Debian 12 (x86-64) with Python 3.11"
CORES = 8
FREE_GB = 50
GPU_GB = 12
"""What Paraformer-large with a useful batch wants."""
OLDEST_TORCH = (2, 10)
GB = 1024**3


@dataclass(frozen=True)
class Check:
    """One finding. ``ok`` with a ``remedy`` is a warning: the portal runs, but not as well as it could."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, str | bool]:
        """As printed by ``--json``."""
        return asdict(self)


def good(name: str, detail: str) -> Check:
    """All is well."""
    return Check(name, True, detail)


def warning(name: str, detail: str, remedy: str) -> Check:
    """It works, but."""
    return Check(name, True, detail, remedy)


def bad(name: str, detail: str, remedy: str) -> Check:
    """The portal cannot run like this."""
    return Check(name, False, detail, remedy)


def system() -> Check:
    """Operating system and Python."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    name = release.get("PRETTY_NAME", platform.platform())
    detail = f"{name}, Python {platform.python_version()}"
    if sys.version_info[:2] not in {(3, 11), (3, 12)}:
        return bad("system", detail, f"Install Python 3.11; supported is {SUPPORTED}.")
    if (release.get("ID"), release.get("VERSION_ID")) != ("debian", "12") or sys.version_info[:2] != (3, 11):
        return warning("system", detail, f"It may well work here, but supported and tested is {SUPPORTED}.")
    return good("system", detail)


def user() -> Check:
    """Who runs it."""
    if os.getuid() == 0:
        return warning("user", "root", "For production use a user of its own: see deploy/portal.service.")
    return good("user", f"uid {os.getuid()}")


def torch_version() -> Check:
    """The installed torch, read without loading it."""
    remedy = "Run ./portal.sh install."
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return bad("torch", "not installed", remedy)
    numbers = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
    if numbers < OLDEST_TORCH:
        return bad("torch", version, f"torch 2.10 or newer is needed (older ones run code from model files). {remedy}")
    return good("torch", version)


def packages() -> Check:
    """Whether what the project asks for is installed in versions that fit."""
    from packaging.requirements import Requirement

    remedy = "Run ./portal.sh install."
    wrong = []
    try:
        wanted = importlib.metadata.requires("speech-portal") or []
    except importlib.metadata.PackageNotFoundError:
        return bad("packages", "the portal itself is not installed", remedy)
    for line in wanted:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, wanted {requirement.specifier}")
    if wrong:
        return bad("packages", "; ".join(wrong), remedy)
    return good("packages", f"{len(wanted)} requirements met")


def cores() -> Check:
    """Cores this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < CORES:
        return warning("cores", str(count), f"Fewer than {CORES} cores: recognition without a GPU will be slow.")
    return good("cores", str(count))


def gpu() -> Check:
    """The first NVIDIA GPU, asked through NVML."""
    import pynvml

    slow = f"Recognition runs on the CPU. For Paraformer-large a GPU with {GPU_GB} GB or more is advised."
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return warning("gpu", f"none ({error})", slow)
    try:
        if pynvml.nvmlDeviceGetCount() == 0:
            return warning("gpu", "none", slow)
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        name = str(pynvml.nvmlDeviceGetName(device))
        total = float(pynvml.nvmlDeviceGetMemoryInfo(device).total) / GB
    except pynvml.NVMLError as error:
        return warning("gpu", f"cannot be asked ({error})", "Check the NVIDIA driver with nvidia-smi.")
    finally:
        pynvml.nvmlShutdown()
    if total < GPU_GB:
        return warning("gpu", f"{name}, {total:.0f} GB", f"Less than {GPU_GB} GB: too little for Paraformer-large.")
    return good("gpu", f"{name}, {total:.0f} GB")


def instance(folder: Path) -> Check:
    """Whether the instance folder can be written and is private."""
    if not folder.exists():
        parent = next(path for path in folder.absolute().parents if path.exists())
        if parent.is_dir() and os.access(parent, os.W_OK):
            return good("instance", f"{folder}, made at the first start")
        return bad("instance", f"{folder} cannot be made in {parent}", f"Make {folder} for the portal's user.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return bad("instance", f"{folder}: {error.strerror}", f"Give {folder} to the user that runs the portal.")
    facts = folder.stat()
    if facts.st_uid != os.getuid():
        return bad("instance", f"{folder} belongs to uid {facts.st_uid}", "Run the portal as that user, or chown it.")
    if facts.st_mode & 0o007:
        return warning("instance", f"{folder} is open to everybody", f"chmod 700 {folder} (portal up does it too).")
    return good("instance", str(folder))


def free_space(folder: Path) -> Check:
    """Room for recordings."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GB
    if free < FREE_GB:
        return warning("disk", f"{free:.0f} GB free", f"Less than {FREE_GB} GB: recordings will fill it soon.")
    return good("disk", f"{free:.0f} GB free")


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Run one check; a surprise in it is a finding, not the end of the doctor."""
    try:
        return check()
    except Exception as error:
        return bad(name, f"{type(error).__name__}: {error}", "This check itself failed; send this line to the makers.")
