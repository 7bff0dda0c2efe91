"""Which model an engine starts with, and what a reload and a switch pick: links, registry, the remembered switch."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from portal.asr.engine.manifest import Registry, inspect
from portal.asr.engine.releases import SHIPPED, Releases
from portal.asr.errors import ModelError


@pytest.fixture
def shelf(tmp_path: Path, models: Path) -> Path:
    """Two recorded versions of a model, v1 and v2, and a link ``current`` to v1."""
    for name in ("v1", "v2"):
        shutil.copytree(models / "seaco", tmp_path / name)
    with (tmp_path / "v2" / "am.mvn").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    for name in ("v1", "v2"):
        folder, manifest = inspect(tmp_path / name)
        Registry(tmp_path / "installed.json").record(folder, manifest, "2026-01-01T00:00:00+00:00")
    (tmp_path / "current").symlink_to("v1")
    return tmp_path


def releases(shelf: Path) -> Releases:
    return Releases(shelf / "current", shelf / "installed.json", shelf / "models" / "current.engine.json")


def point(shelf: Path, name: str) -> None:
    (shelf / "current").unlink()
    (shelf / "current").symlink_to(name)


def digest(shelf: Path, name: str) -> str:
    return inspect(shelf / name)[1].digest


def test_the_link_is_followed_anew_each_time(shelf: Path) -> None:
    known = releases(shelf)
    assert known.at_start().folder.name == "v1"
    point(shelf, "v2")
    assert known.at_start().folder.name == "v2"
    assert known.on_reload(digest(shelf, "v1")).folder.name == "v2"
    assert known.on_reload(digest(shelf, "v2")).folder.name == "v2"


def test_a_link_to_an_unrecorded_folder_is_refused(shelf: Path) -> None:
    shutil.copytree(shelf / "v1", shelf / "v3")
    point(shelf, "v3")
    with pytest.raises(ModelError) as refused:
        releases(shelf).on_reload(digest(shelf, "v1"))
    assert refused.value.code == "MODEL_UNKNOWN"


def test_a_switch_survives_a_restart(shelf: Path) -> None:
    releases(shelf).remember(digest(shelf, "v2"))
    assert releases(shelf).at_start().folder.name == "v2"
    assert releases(shelf).on_reload(digest(shelf, "v2")).folder.name == "v2", "loading again is no way back"


def test_a_later_change_of_the_configuration_wins_over_the_switch(shelf: Path) -> None:
    releases(shelf).remember(digest(shelf, "v2"))
    folder, manifest = inspect(SHIPPED / "seaco")
    Registry(shelf / "installed.json").record(folder, manifest, "2026-01-02T00:00:00+00:00")
    point(shelf, str(folder))
    # v1 and the shipped one are the same files, hence the same model: nothing has changed
    assert releases(shelf).at_start().folder.name == "v2"
    other = Releases(shelf / "v1", shelf / "installed.json", shelf / "models" / "current.engine.json")
    assert other.at_start().digest == digest(shelf, "v1"), "another setting is a later decision"
    point(shelf, "v2")
    assert releases(shelf).at_start().digest == digest(shelf, "v2")


def test_switching_back_forgets_the_switch(shelf: Path) -> None:
    known = releases(shelf)
    known.remember(digest(shelf, "v2"))
    known.remember(digest(shelf, "v1"))
    assert list((shelf / "models").iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 1}', '{"model": "x", "instead_of": null}'])
def test_a_damaged_memory_is_no_memory(shelf: Path, text: str) -> None:
    (shelf / "models").mkdir()
    (shelf / "models" / "current.engine.json").write_text(text)
    assert releases(shelf).at_start().folder.name == "v1"


def test_a_remembered_model_that_is_gone_gives_way(shelf: Path) -> None:
    releases(shelf).remember(digest(shelf, "v2"))
    (shelf / "installed.json").unlink()
    folder, manifest = inspect(shelf / "v1")
    Registry(shelf / "installed.json").record(folder, manifest, "2026-01-01T00:00:00+00:00")
    assert releases(shelf).at_start().folder.name == "v1"


def test_every_recognition_model_is_listed_once(shelf: Path) -> None:
    folder, manifest = inspect(SHIPPED / "vad")
    Registry(shelf / "installed.json").record(folder, manifest, "2026-01-02T00:00:00+00:00")
    listed = releases(shelf).all()
    assert sorted(release.folder.name for release in listed) == ["v1", "v2"]
    with pytest.raises(ModelError):
        releases(shelf).find(manifest.digest)
