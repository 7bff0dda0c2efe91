"""Is a checkpoint (``model.pt``) nothing but tensors? Read from its pickle's opcodes, never by unpickling it."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path
from typing import Final

from portal.asr.errors import ModelError

_ALLOWED: Final = frozenset(
    {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter"), ("collections", "OrderedDict")}
    | {
        ("torch", f"{kind}Storage")
        for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
    }
)
"""Names a state dict of plain tensors needs, and no other."""
_MAGIC: Final = b"PK\x03\x04"
_DATA: Final = re.compile(r"[^/]+/data\.pkl")
_LARGEST_PICKLE: Final = 16 << 20
"""It names the tensors and holds none of them: a model of 2 GB has less than 1 MiB."""
_REFUSED_OPCODES: Final = frozenset({"INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ", "NEWOBJ_EX"})


def check_checkpoint(path: Path) -> None:
    """Raise ModelError(MODEL_UNSAFE) unless the file is a zip checkpoint whose pickle names only tensor rebuilding."""
    try:
        with path.open("rb") as stream:
            # other readers look at the first bytes: an older kind of checkpoint may have a zip appended
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise ModelError("MODEL_UNSAFE", f"{path.name} is not a zip checkpoint", file=path.name)
        with zipfile.ZipFile(path) as archive:
            pickles = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".pkl")]
            if len(pickles) != 1 or not _DATA.fullmatch(pickles[0].filename):
                raise ModelError("MODEL_UNSAFE", f"{path.name} holds no single data.pkl", file=path.name)
            if pickles[0].file_size > _LARGEST_PICKLE:
                raise ModelError("MODEL_UNSAFE", f"the pickle in {path.name} is too large", file=path.name)
            data = archive.read(pickles[0])
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError):
        raise ModelError("MODEL_UNSAFE", f"{path.name} is not a zip checkpoint", file=path.name) from None
    for module, name in globals_of(data, path.name):
        if (module, name) not in _ALLOWED:
            raise ModelError("MODEL_UNSAFE", f"{path.name} names {module[:60]}.{name[:60]}", file=path.name)


def globals_of(data: bytes, file: str = "model.pt") -> set[tuple[str, str]]:
    """Every (module, name) a pickle would import. Raises ModelError(MODEL_UNSAFE) for one that can't be followed."""
    found: set[tuple[str, str]] = set()
    strings: list[str | None] = []
    memo: dict[int, str | None] = {}
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _REFUSED_OPCODES:
                raise ModelError("MODEL_UNSAFE", f"{file} builds objects other than tensors", file=file)
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
                found.add((module, name))
                strings.append(None)
            elif opcode.name == "STACK_GLOBAL":
                found.add(_named(strings, file))
                strings.append(None)
            elif opcode.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
                memo[len(memo) if opcode.name == "MEMOIZE" else int(str(argument))] = strings[-1] if strings else None
            elif opcode.name in ("BINGET", "LONG_BINGET", "GET"):
                strings.append(memo.get(int(str(argument))))
            else:
                strings.append(argument if isinstance(argument, str) else None)
    except ValueError:
        raise ModelError("MODEL_UNSAFE", f"the pickle in {file} is damaged", file=file) from None
    return found


def _named(strings: list[str | None], file: str) -> tuple[str, str]:
    """Module and name of STACK_GLOBAL: the two strings pushed last."""
    if len(strings) < 2 or strings[-1] is None or strings[-2] is None:
        raise ModelError("MODEL_UNSAFE", f"a name in {file} can't be followed", file=file)
    return strings[-2], strings[-1]
