"""Prepared graphs: used only when they are what was written, made anew otherwise."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

KEY: dict[str, str | int] = {"model": "a" * 64, "part": "encoder", "bits": 8, "onnxruntime": "1"}


class Writer:
    """Fills a folder, and counts how often it had to."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "graph.onnx").write_bytes(b"graph")
        (folder / "weights.bin").write_bytes(bytes(range(200)))


@pytest.fixture
def writer() -> Writer:
    return Writer()


def obtain(root: Path, writer: Writer, **changes: str | int) -> Path:
    from portal.asr.engine.inference.onnx_cache import GraphCache

    return GraphCache(root).obtain({**KEY, **changes}, writer)


def test_written_once_and_found_again(tmp_path: Path, writer: Writer) -> None:
    first = obtain(tmp_path / "graphs", writer)
    assert obtain(tmp_path / "graphs", writer) == first
    assert writer.times == 1
    assert (tmp_path / "graphs").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("change", [{"model": "b" * 64}, {"part": "decoder"}, {"bits": 7}, {"onnxruntime": "2"}])
def test_another_model_part_precision_or_runtime_is_another_entry(
    tmp_path: Path, writer: Writer, change: dict[str, str | int]
) -> None:
    assert obtain(tmp_path, writer) != obtain(tmp_path, writer, **change)
    assert writer.times == 2


def flip(entry: Path) -> None:
    path = entry / "weights.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def shorten(entry: Path) -> None:
    (entry / "weights.bin").write_bytes(b"")


def remove(entry: Path) -> None:
    (entry / "graph.onnx").unlink()


def add(entry: Path) -> None:
    (entry / "more.bin").write_bytes(b"x")


def garble(entry: Path) -> None:
    (entry / "manifest.json").write_text("{", encoding="utf-8")


def relabel(entry: Path) -> None:
    """The entry of another model under this name."""
    manifest = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    manifest["key"]["model"] = "c" * 64
    (entry / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize("damage", [flip, shorten, remove, add, garble, relabel])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, writer: Writer, damage: Callable[[Path], None]) -> None:
    damage(obtain(tmp_path, writer))
    entry = obtain(tmp_path, writer)
    assert writer.times == 2
    assert {path.name for path in entry.iterdir()} == {"graph.onnx", "weights.bin", "manifest.json"}
    assert (entry / "weights.bin").read_bytes() == bytes(range(200))


def test_a_failure_leaves_nothing_that_looks_finished(tmp_path: Path, writer: Writer) -> None:
    from portal.asr.engine.inference.onnx_cache import GraphCache

    def fails(folder: Path) -> None:
        (folder / "graph.onnx").write_bytes(b"half")
        raise OSError(28, "no space")

    with pytest.raises(OSError, match="no space"):
        GraphCache(tmp_path).obtain(KEY, fails)
    assert list(tmp_path.iterdir()) == []
    obtain(tmp_path, writer)
    assert writer.times == 1


def test_another_engine_may_be_faster(tmp_path: Path, writer: Writer) -> None:
    from portal.asr.engine.inference.onnx_cache import GraphCache

    def slow(folder: Path) -> None:
        writer(folder)
        obtain(tmp_path, writer)

    entry = GraphCache(tmp_path).obtain(KEY, slow)
    assert writer.times == 2
    assert [path.name for path in tmp_path.iterdir()] == [entry.name]


def test_entries_nobody_used_for_a_month_go(tmp_path: Path, writer: Writer) -> None:
    old, recent = obtain(tmp_path, writer), obtain(tmp_path, writer, part="decoder")
    unfinished = tmp_path / ".making-dead"
    unfinished.mkdir()
    long_ago = time.time() - 31 * 86_400
    os.utime(old / "manifest.json", (long_ago, long_ago))
    os.utime(unfinished, (long_ago, long_ago))
    obtain(tmp_path, writer, part="timestamps")
    assert not old.exists()
    assert not unfinished.exists()
    assert recent.exists()


def test_use_keeps_an_entry(tmp_path: Path, writer: Writer) -> None:
    entry = obtain(tmp_path, writer)
    long_ago = time.time() - 31 * 86_400
    os.utime(entry / "manifest.json", (long_ago, long_ago))
    obtain(tmp_path, writer)
    obtain(tmp_path, writer, part="decoder")
    assert entry.exists()
    assert writer.times == 2
