"""What a model directory holds, proven by SHA-256, without running anything in it. Free of torch and FunASR.

``inspect`` looks at a directory an administrator wants to add; ``Registry`` keeps what was confirmed; ``verify``
refuses to start with a directory that is not exactly what was confirmed. Shipped models have ``manifest.json`` beside
their folders instead of an entry in the registry.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from portal.asr.engine.checkpoint import check_checkpoint
from portal.asr.engine.language_model import files_of as language_model_files
from portal.asr.engine.language_model import folder_of as language_model_folder
from portal.asr.engine.layouts import LANGUAGE_MODEL_OPTIONAL, LAYOUTS, Layout, explain
from portal.asr.errors import ModelError
from portal.asr.types import ModelInfo

MANIFEST: Final = "manifest.json"
_CODE_KEYS: Final = frozenset({"trust_remote_code", "remote_code", "hub", "oss_bucket"})
_LARGEST_CONFIG: Final = 1 << 20
_REQUIREMENTS: Final = "requirements.txt"
_MOST_ALIASES: Final = 20
"""YAML's ``*names``: a few levels of them stand for more values than any memory holds."""


@dataclass(frozen=True, slots=True)
class FileFact:
    """Size in bytes and SHA-256 (hex) of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One model: ``role`` is asr, vad, punc or speaker; ``digest`` covers every file's name and hash."""

    name: str
    role: str
    family: str
    files: Mapping[str, FileFact]
    digest: str
    demo: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(fact.bytes for fact in self.files.values())

    def info(self) -> ModelInfo:
        """As shown to people, before a device is chosen."""
        return ModelInfo(self.name, self.family, self.digest, "", self.demo)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Manifest:
        """Rebuild from ``to_json``. Raises ModelError(MODEL_ALTERED) when it doesn't fit."""
        try:
            files = {
                str(name): FileFact(int(fact["bytes"]), str(fact["sha256"])) for name, fact in values["files"].items()
            }
            role = values.get("role") or LAYOUTS[values["family"]].role
            name = str(values.get("name") or values["family"])
            demo = bool(values.get("demo", False))
            return cls(name, role, str(values["family"]), files, digest_of_files(files), demo)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ModelError("MODEL_ALTERED", f"{MANIFEST} can't be read", file=MANIFEST) from None


def digest_of_files(files: Mapping[str, FileFact]) -> str:
    """One hash for a set of files."""
    lines = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def fact_of(path: Path) -> FileFact:
    """Size and hash of a regular file, read in pieces."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return FileFact(size, digest.hexdigest())


def read_config(directory: Path) -> dict[str, Any]:
    """``config.yaml`` as plain values (no YAML tags run). Raises ModelError."""
    path = directory / "config.yaml"
    if not path.is_file():
        raise ModelError("MODEL_MISSING_FILE", f"{path} is missing", file="config.yaml")
    if path.stat().st_size > _LARGEST_CONFIG:
        raise ModelError("MODEL_UNSAFE", "config.yaml is larger than 1 MiB", file="config.yaml")
    try:
        text = path.read_text(encoding="utf-8")
        if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)) > _MOST_ALIASES:
            raise ModelError("MODEL_UNSAFE", "config.yaml repeats values too often", file="config.yaml")
        config = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise ModelError("MODEL_UNSAFE", "config.yaml is not plain YAML", file="config.yaml") from None
    if not isinstance(config, dict):
        raise ModelError("MODEL_UNSAFE", "config.yaml is not a mapping", file="config.yaml")
    return config


def locate(directory: Path) -> Path:
    """The folder that holds ``config.yaml``: ``directory`` or the one such folder below it (ModelScope's cache layout).

    Raises ModelError when there is none or more than one.
    """
    root = directory.resolve()
    if not root.is_dir():
        raise ModelError("MODEL_MISSING_FILE", f"{directory} is not a directory", file=str(directory))
    if (root / "config.yaml").is_file():
        return root
    found = sorted(
        {path.parent for depth in range(1, 6) for path in root.glob("/".join(["*"] * depth) + "/config.yaml")}
    )
    if not found:
        raise ModelError("MODEL_MISSING_FILE", f"{root / 'config.yaml'} is missing", file="config.yaml")
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(root)) for path in found[:10])
        raise ModelError("MODEL_UNKNOWN", f"several models are below {root}; name one of them: {names}")
    return found[0]


def inspect(directory: Path) -> tuple[Path, Manifest]:
    """Look at a directory and return (folder, manifest). Nothing in it is executed or unpickled.

    Raises ModelError: MODEL_MISSING_FILE naming the files, MODEL_FAMILY_REFUSED, MODEL_UNSAFE.
    """
    folder = locate(directory)
    config = read_config(folder)
    family = config.get("model")
    if not isinstance(family, str) or family not in LAYOUTS:
        detail = f"the class {str(family)[:40]} is not in the allow-list ({explain()})"
        raise ModelError("MODEL_FAMILY_REFUSED", detail, family=str(family)[:40])
    layout = LAYOUTS[family]
    _refuse_code(folder, config, layout)
    missing = [name for name in layout.required if not (folder / name).is_file()]
    if missing:
        raise ModelError("MODEL_MISSING_FILE", f"missing in {folder}: {', '.join(missing)}", file=", ".join(missing))
    check_checkpoint(folder / layout.weights)
    names = [*layout.required, *(name for name in layout.optional if (folder / name).is_file())]
    if layout.language_model:
        names += language_model_files(folder, config)
    files = {name: fact_of(folder / name) for name in names}
    return folder, Manifest(folder.name, layout.role, family, files, digest_of_files(files))


def _refuse_code(folder: Path, config: Mapping[str, Any], layout: Layout) -> None:
    """Refuse what would run code or fetch something in FunASR's own loader."""
    named = _CODE_KEYS & _all_keys(_without(config, layout.harmless_keys))
    settings = folder / "configuration.json"
    if settings.is_file():
        try:
            named |= _CODE_KEYS & _all_keys(json.loads(settings.read_text(encoding="utf-8")))
        except (ValueError, RecursionError):
            raise ModelError("MODEL_UNSAFE", "configuration.json is not JSON", file="configuration.json") from None
    if named:
        raise ModelError("MODEL_UNSAFE", f"the configuration names {', '.join(sorted(named))}")
    if _REQUIREMENTS not in layout.inert and (folder / _REQUIREMENTS).exists():
        raise ModelError("MODEL_UNSAFE", f"the directory brings {_REQUIREMENTS}", file=_REQUIREMENTS)
    for part, allowed in layout.parts.items():
        value = config.get(part)
        if value is not None and not (isinstance(value, str) and value in allowed):
            detail = f"{part} is {str(value)[:40]}; allowed: {', '.join(sorted(allowed))}"
            raise ModelError("MODEL_FAMILY_REFUSED", detail, family=str(value)[:40])


def _without(config: Mapping[str, Any], places: Sequence[Sequence[str]]) -> dict[str, Any]:
    """A copy of ``config`` that lacks the values at ``places``."""
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in config.items()}
    for part, name in places:
        if isinstance(kept.get(part), dict):
            kept[part].pop(name, None)
    return kept


def _all_keys(value: Any) -> set[str]:
    """Keys at any depth. What YAML's aliases repeat, or put inside itself, is looked at once."""
    found: set[str] = set()
    seen: set[int] = set()
    ahead = [value]
    while ahead:
        item = ahead.pop()
        if not isinstance(item, dict | list) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            found |= {str(key) for key in item}
        ahead += item.values() if isinstance(item, dict) else item
    return found


def verify(directory: Path, manifest: Manifest) -> None:
    """Raise ModelError (MODEL_MISSING_FILE or MODEL_ALTERED, naming the file) unless every file is as recorded."""
    for name, fact in manifest.files.items():
        path = directory / name
        if not _plain(name) or not path.is_file():
            raise ModelError("MODEL_MISSING_FILE", f"{path} is missing", file=name)
        if path.stat().st_size != fact.bytes or fact_of(path) != fact:
            raise ModelError("MODEL_ALTERED", f"{path} differs from what was recorded", file=name)
    for name in _unrecorded(directory, manifest):
        raise ModelError("MODEL_ALTERED", f"{directory / name} was not there when the model was recorded", file=name)


def _plain(name: str) -> bool:
    """Whether a recorded name stays inside the directory: a file, or a file in a folder."""
    parts = name.split("/")
    return len(parts) <= 2 and all(part and not part.startswith(".") and Path(part).name == part for part in parts)


def _unrecorded(directory: Path, manifest: Manifest) -> list[str]:
    """Names of files that would be read, or run by other loaders, and that are not in the manifest."""
    layout = LAYOUTS[manifest.family]
    names = [*layout.required, *layout.optional, *({_REQUIREMENTS} - layout.inert)]
    if layout.language_model:
        config = read_config(directory)
        folder = language_model_folder(config)
        # also finds code that came into the folder since
        language_model_files(directory, config)
        names += [f"{folder}/{name}" for name in LANGUAGE_MODEL_OPTIONAL]
    return [name for name in names if name not in manifest.files and (directory / name).exists()]


def manifest_for(directory: Path, registry: Path | None) -> Manifest:
    """The recorded manifest of a directory: shipped beside it or confirmed in the registry. Raises ModelError."""
    if not directory.is_dir():
        raise ModelError("MODEL_MISSING_FILE", f"{directory} is not a directory", file=str(directory))
    recorded = None if registry is None else Registry(registry).find(directory)
    if recorded is not None:
        return recorded
    shipped = directory.resolve().parent / MANIFEST
    if not shipped.is_file():
        raise ModelError("MODEL_UNKNOWN", f"{directory} has no recorded manifest; run: portal model add {directory}")
    return _shipped(shipped, directory.resolve().name)


def _shipped(path: Path, kind: str) -> Manifest:
    """The entry ``kind`` of the manifest that ships beside the small models."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))["models"][kind]
        values = {"name": f"shipped {kind}", "family": entry["class"], "files": entry["files"], "demo": True}
    except (ValueError, KeyError, TypeError):
        raise ModelError("MODEL_ALTERED", f"{path} does not describe {kind}", file=MANIFEST) from None
    return Manifest.from_json(values)


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry of the registry."""

    directory: Path
    manifest: Manifest
    added_at: str


class Registry:
    """The confirmed models, in one JSON file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[Installed]:
        """All entries in the order they were added. Raises ModelError(MODEL_ALTERED) when the file can't be read."""
        if not self._path.exists():
            return []
        try:
            values = json.loads(self._path.read_text(encoding="utf-8"))["models"]
            return [
                Installed(Path(v["directory"]), Manifest.from_json(v["manifest"]), str(v["added_at"])) for v in values
            ]
        except (ValueError, KeyError, TypeError):
            raise ModelError("MODEL_ALTERED", f"{self._path} can't be read", file=self._path.name) from None

    def find(self, directory: Path) -> Manifest | None:
        """The manifest recorded for a directory, or None."""
        wanted = directory.resolve()
        return next((entry.manifest for entry in self.entries() if entry.directory == wanted), None)

    def record(self, directory: Path, manifest: Manifest, added_at: str) -> None:
        """Add or replace the entry of a directory, durably."""
        wanted = directory.resolve()
        kept = [entry for entry in self.entries() if entry.directory != wanted]
        entries = [*kept, Installed(wanted, manifest, added_at)]
        text = json.dumps(
            {"version": 1, "models": [_entry_json(entry) for entry in entries]}, ensure_ascii=False, indent=1
        )
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._path)


def _entry_json(entry: Installed) -> dict[str, Any]:
    return {"directory": str(entry.directory), "added_at": entry.added_at, "manifest": entry.manifest.to_json()}
