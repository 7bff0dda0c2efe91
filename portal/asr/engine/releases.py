"""Which recognition models the engine may use, and which one it uses after a restart. Free of torch.

A model is named by the digest of its manifest, never by a path: callers of the engine say *which*, the engine alone
knows *where*. Known are the models an administrator confirmed (the registry), the ones that ship with the portal and
the configured one.

The configured path may be a link such as ``/opt/models/current``; it is followed anew each time. A switch is
remembered in a small file together with the configuration it replaced, so that it survives restarts. As soon as the
configuration says something else than then (another setting, or the link points elsewhere) the configuration counts
again: the latest decision wins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.asr.engine.backend import Backend
from portal.asr.engine.canary import sing
from portal.asr.engine.json_log import log
from portal.asr.engine.manifest import Manifest, Registry, manifest_for, verify
from portal.asr.errors import ModelError
from portal.asr.types import ModelInfo

SHIPPED: Final = Path(__file__).parents[1] / "models"
_SHIPPED_ASR: Final = "seaco"


@dataclass(frozen=True, slots=True)
class Release:
    """A recognition model that may be used. ``added_at``: ISO time of its registration, empty for shipped ones."""

    folder: Path
    manifest: Manifest
    added_at: str = ""

    @property
    def digest(self) -> str:
        """What it is called on the wire."""
        return self.manifest.digest


class Releases:
    """See the module. ``configured``: the setting, not yet followed; ``memory``: where a switch is remembered."""

    def __init__(self, configured: Path, registry: Path | None, memory: Path | None = None) -> None:
        self._configured = configured
        self._registry = registry
        self._memory = memory

    def configured(self) -> Release:
        """The model that the setting names right now. Raises ModelError when it is unknown or no recognition model."""
        folder = self._configured.resolve()
        manifest = manifest_for(folder, self._registry)
        if manifest.role != "asr":
            detail = f"{folder} holds {manifest.family}, not a model for recognition"
            raise ModelError("MODEL_FAMILY_REFUSED", detail, family=manifest.family)
        return Release(folder, manifest)

    def all(self) -> list[Release]:
        """Every known recognition model, once per digest. Raises ModelError when the registry can't be read."""
        entries = [] if self._registry is None else Registry(self._registry).entries()
        found = [Release(e.directory, e.manifest, e.added_at) for e in entries if e.manifest.role == "asr"]
        for folder in (self._configured.resolve(), SHIPPED / _SHIPPED_ASR):
            try:
                manifest = manifest_for(folder, self._registry)
            except ModelError:
                continue
            if manifest.role == "asr":
                found.append(Release(folder, manifest))
        unique: dict[str, Release] = {}
        for release in found:
            if release.digest not in unique or not unique[release.digest].folder.is_dir():
                unique[release.digest] = release
        return list(unique.values())

    def find(self, digest: str) -> Release:
        """The model with this digest. Raises ModelError(MODEL_UNKNOWN)."""
        release = next((release for release in self.all() if release.digest == digest), None)
        if release is None:
            raise ModelError("MODEL_UNKNOWN", "no registered model has this digest")
        return release

    def at_start(self) -> Release:
        """The model to start with: the one switched to last, unless the configuration has changed since."""
        configured = self.configured()
        remembered = self._remembered(configured)
        if remembered is None or remembered == configured.digest:
            return configured
        try:
            return self.find(remembered)
        except ModelError as error:
            log("remembered_model_gone", code=error.code)
            return configured

    def on_reload(self, in_use: str) -> Release:
        """The model to load again: the one in use, unless the configuration names another than when it was chosen."""
        configured = self.configured()
        if configured.digest == in_use or self._remembered(configured) == in_use:
            return self.find(in_use)
        return configured

    def remember(self, digest: str) -> None:
        """Use this model after a restart too. Durable when it returns; raises OSError."""
        if self._memory is None:
            return
        configured = self.configured()
        if digest == configured.digest:
            self._memory.unlink(missing_ok=True)
            return
        values = {"version": 1, "model": digest, "instead_of": self._mark(configured)}
        self._memory.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        fresh = self._memory.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as stream:
            json.dump(values, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._memory)

    def _remembered(self, configured: Release) -> str | None:
        if self._memory is None or not self._memory.exists():
            return None
        try:
            values = json.loads(self._memory.read_text(encoding="utf-8"))
            digest, instead_of = str(values["model"]), values["instead_of"]
        except (ValueError, KeyError, TypeError):
            log("remembered_model_unreadable", file=self._memory.name)
            return None
        return digest if instead_of == self._mark(configured) else None

    def _mark(self, configured: Release) -> dict[str, str]:
        return {"setting": str(self._configured), "model": configured.digest}


class RealModels:
    """The source of ``lifecycle.Lifecycle``: proves a model's files, then has ``load`` put it on the device."""

    def __init__(self, releases: Releases, load: Callable[[Path, ModelInfo], Backend]) -> None:
        self._releases = releases
        self._load = load
        self._proven = ""

    def prove_start(self) -> None:
        """Prove the files of the model to start with, so that a refused one ends the process before it serves.

        Raises ModelError; not for a remembered model, which gives way to the configured one when it is built.
        """
        release = self._releases.at_start()
        if release.digest == self._releases.configured().digest:
            verify(release.folder, release.manifest)
            self._proven = release.digest

    def at_start(self) -> ModelInfo:
        """See Source."""
        return self._releases.at_start().manifest.info()

    def configured(self) -> ModelInfo:
        """See Source."""
        return self._releases.configured().manifest.info()

    def on_reload(self, in_use: str) -> ModelInfo:
        """See Source."""
        return self._releases.on_reload(in_use).manifest.info()

    def find(self, digest: str) -> ModelInfo:
        """See Source."""
        return self._releases.find(digest).manifest.info()

    def build(self, digest: str) -> Backend:
        """See Source."""
        release = self._releases.find(digest)
        if self._proven != digest:
            verify(release.folder, release.manifest)
        self._proven = ""
        return self._load(release.folder, release.manifest.info())

    def check(self, digest: str, backend: Backend) -> bool:
        """See Source."""
        return sing(backend, self._releases.find(digest).folder)

    def remember(self, digest: str) -> None:
        """See Source."""
        self._releases.remember(digest)
