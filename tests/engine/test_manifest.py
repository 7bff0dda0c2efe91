"""Model directories: what is refused without running it, and that later changes are found."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from portal.asr.engine.checkpoint import check_checkpoint, globals_of
from portal.asr.engine.manifest import Registry, inspect, manifest_for, verify
from portal.asr.errors import ModelError
from tests.engine.support import engine

TENSOR_PICKLE = b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02."
CONFIGS = {
    "seaco": "model: SeacoParaformer\nencoder: SANMEncoder\n",
    "vad": "model: FsmnVADStreaming\nencoder: FSMN\n",
    "punc": "model: CTTransformer\nencoder: SANMEncoder\n",
}
FILES = {"seaco": ("tokens.json", "am.mvn", "seg_dict"), "vad": ("am.mvn",), "punc": ("tokens.json",)}


class Evil:
    """Unpickling this writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


def checkpoint(path: Path, data: bytes = TENSOR_PICKLE) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", data)


def make_model(folder: Path, kind: str = "seaco") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIGS[kind])
    checkpoint(folder / "model.pt")
    for name in FILES[kind]:
        (folder / name).write_text("[]")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


def refusal(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as error:
        inspect(folder)
    return error.value


def test_a_directory_is_described(model: Path) -> None:
    folder, manifest = inspect(model)
    assert (folder, manifest.role, manifest.family) == (model, "asr", "SeacoParaformer")
    assert set(manifest.files) == {"config.yaml", "model.pt", "tokens.json", "am.mvn", "seg_dict"}
    assert all(len(fact.sha256) == 64 for fact in manifest.files.values())


def test_the_cache_of_modelscope_is_understood(tmp_path: Path) -> None:
    inner = make_model(tmp_path / "hub" / "models" / "iic" / "speech_seaco")
    (inner / ".msc").write_bytes(pickle.dumps("metadata"))
    assert inspect(tmp_path / "hub")[0] == inner
    make_model(tmp_path / "hub" / "models" / "iic" / "another")
    error = refusal(tmp_path / "hub")
    assert "another" in error.detail
    assert "speech_seaco" in error.detail


@pytest.mark.parametrize("name", ["config.yaml", "model.pt", "tokens.json", "am.mvn"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    error = refusal(model)
    assert error.code == "MODEL_MISSING_FILE"
    assert name in error.detail
    assert error.params["file"] == name


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ("model: LLMASR\n", "MODEL_FAMILY_REFUSED"),
        ("model: SeacoParaformer\nencoder: Evil\n", "MODEL_FAMILY_REFUSED"),
        ("model: [1]\n", "MODEL_FAMILY_REFUSED"),
        ("model: SeacoParaformer\ntrust_remote_code: true\n", "MODEL_UNSAFE"),
        ("model: SeacoParaformer\nmodel_conf: {a: [{remote_code: ./x.py}]}\n", "MODEL_UNSAFE"),
        ("model: !!python/object/apply:os.system ['touch x']\n", "MODEL_UNSAFE"),
        ("- list\n", "MODEL_UNSAFE"),
        ("\x00", "MODEL_UNSAFE"),
    ],
)
def test_a_configuration_that_would_run_something_is_refused(model: Path, config: str, code: str) -> None:
    (model / "config.yaml").write_text(config)
    assert refusal(model).code == code


def test_requirements_are_refused(model: Path) -> None:
    (model / "requirements.txt").write_text("evil")
    assert refusal(model).code == "MODEL_UNSAFE"


def test_remote_code_in_the_second_configuration_is_refused(model: Path) -> None:
    (model / "configuration.json").write_text('{"model": {"trust_remote_code": true}}')
    assert refusal(model).code == "MODEL_UNSAFE"


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_with_code_is_found_and_never_run(model: Path, tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "ran"
    checkpoint(model / "model.pt", pickle.dumps({"w": Evil(target)}, protocol=protocol))
    assert refusal(model).code == "MODEL_UNSAFE"
    assert not target.exists()


def test_names_through_the_memo_are_followed() -> None:
    # the name "system" is remembered, dropped, and fetched again for STACK_GLOBAL
    data = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x9400h\x00h\x01\x93."
    assert globals_of(data) == {("os", "system")}


def test_other_readers_find_the_same_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    for harmless in ("model/x_data.pkl", "data.pkl", "a/b/data.pkl"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(harmless, TENSOR_PICKLE)
            archive.writestr("model/data.PKL", b"evil")
        with pytest.raises(ModelError, match=r"no single data\.pkl"):
            check_checkpoint(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(harmless, TENSOR_PICKLE)
        with pytest.raises(ModelError, match=r"no single data\.pkl"):
            check_checkpoint(path)
    checkpoint(path)
    path.write_bytes(pickle.dumps(Evil(tmp_path / "touched")) + path.read_bytes())
    with pytest.raises(ModelError, match="not a zip checkpoint"):
        check_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", b"PK\x05\x06" + bytes(18), b"not a zip"])
def test_what_is_not_a_zip_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ModelError):
        check_checkpoint(tmp_path / "model.pt")


def test_a_real_checkpoint_of_torch_passes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {"a": torch.zeros(2, 3), "b": torch.ones(4, dtype=torch.float16), "c": torch.tensor(3)}
    torch.save(state, tmp_path / "model.pt")
    check_checkpoint(tmp_path / "model.pt")


def test_every_later_change_is_found(model: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry" / "installed.json"
    folder, manifest = inspect(model)
    Registry(registry).record(folder, manifest, "2026-01-01T00:00:00+00:00")
    recorded = manifest_for(model, registry)
    assert recorded == manifest
    verify(model, recorded)
    for name in manifest.files:
        saved = (model / name).read_bytes()
        (model / name).write_bytes(saved[:-1] + b"!")
        with pytest.raises(ModelError) as altered:
            verify(model, recorded)
        assert (altered.value.code, altered.value.params["file"]) == ("MODEL_ALTERED", name)
        (model / name).unlink()
        with pytest.raises(ModelError) as missing:
            verify(model, recorded)
        assert (missing.value.code, missing.value.params["file"]) == ("MODEL_MISSING_FILE", name)
        (model / name).write_bytes(saved)
    (model / "jieba_usr_dict").write_text("new")
    with pytest.raises(ModelError) as added:
        verify(model, recorded)
    assert added.value.params["file"] == "jieba_usr_dict"


def test_a_damaged_registry_is_an_error_not_an_empty_one(model: Path, tmp_path: Path) -> None:
    registry = tmp_path / "installed.json"
    registry.write_text("{")
    with pytest.raises(ModelError):
        manifest_for(model, registry)


def test_an_unknown_directory_is_refused(model: Path) -> None:
    with pytest.raises(ModelError) as error:
        manifest_for(model, None)
    assert error.value.code == "MODEL_UNKNOWN"
    assert "portal model add" in error.value.detail


def test_the_engine_refuses_an_altered_model_before_loading_it(tmp_path: Path) -> None:
    registry = tmp_path / "installed.json"
    arguments = ["--installed", str(registry)]
    for kind, option in (("seaco", "--asr"), ("vad", "--vad"), ("punc", "--punc")):
        folder, manifest = inspect(make_model(tmp_path / kind, kind))
        Registry(registry).record(folder, manifest, "2026-01-01T00:00:00+00:00")
        arguments += [option, str(folder)]
    untouched = (tmp_path / "vad" / "model.pt").read_bytes()
    checkpoint(tmp_path / "vad" / "model.pt", TENSOR_PICKLE + b"x")
    with engine("server", tmp_path, arguments) as running:
        assert running.process.wait(20) == 2
        line = json.loads(running.log.read_text().splitlines()[-1])
    assert line["code"] == "MODEL_ALTERED"
    assert line["detail"].startswith(str(tmp_path / "vad" / "model.pt"))
    shutil.move(tmp_path / "punc" / "tokens.json", tmp_path / "elsewhere")
    (tmp_path / "vad" / "model.pt").write_bytes(untouched)
    with engine("server", tmp_path, arguments) as running:
        assert running.process.wait(20) == 2
        assert "tokens.json is missing" in running.log.read_text()


def test_a_model_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    registry = tmp_path / "installed.json"
    folder, manifest = inspect(make_model(tmp_path / "vad", "vad"))
    Registry(registry).record(folder, manifest, "2026-01-01T00:00:00+00:00")
    both = ["--asr", str(folder), "--vad", str(folder), "--installed", str(registry)]
    with engine("server", tmp_path, both) as running:
        assert running.process.wait(20) == 2
        assert "MODEL_FAMILY_REFUSED" in running.log.read_text()


def test_the_shipped_layout_is_read_from_the_manifest_above(model: Path) -> None:
    _, manifest = inspect(model)
    files = {name: {"sha256": fact.sha256, "bytes": fact.bytes} for name, fact in manifest.files.items()}
    shipped = {"models": {"model": {"class": "SeacoParaformer", "files": files}}, "note": "demo"}
    (model.parent / "manifest.json").write_text(json.dumps(shipped))
    found = manifest_for(model, None)
    assert found.demo
    assert found.digest == manifest.digest
    verify(model, found)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from portal.db import upgrade
    from portal.settings import load_settings

    monkeypatch.setenv("PORTAL_INSTANCE", str(tmp_path / "instance"))
    upgrade(load_settings())
    return tmp_path / "instance"


def run(*arguments: str, answer: str = "") -> tuple[int, str]:
    from portal.cli.model import model_group

    result = CliRunner().invoke(model_group, list(arguments), input=answer)
    return result.exit_code, result.output


def audit_rows() -> list[tuple[str, str, str]]:
    import sqlalchemy as sa

    from portal.db import create_engine, session_factory
    from portal.models.audit_event import AuditEvent
    from portal.settings import load_settings

    bound = create_engine(load_settings())
    with session_factory(bound)() as session:
        rows = session.execute(sa.select(AuditEvent.action, AuditEvent.result, AuditEvent.object_id)).all()
    bound.dispose()
    return [(row[0], row[1], str(row[2])) for row in rows]


def test_adding_shows_asks_records_and_is_audited(model: Path, instance: Path) -> None:
    code, output = run("add", str(model), answer="n\n")
    assert (code, audit_rows()) == (0, [])
    assert "Nothing was recorded" in output
    assert not (instance / "models" / "installed.json").exists()
    code, output = run("add", str(model), answer="y\n")
    manifest = inspect(model)[1]
    assert code == 0
    assert manifest.files["model.pt"].sha256 in output
    assert audit_rows() == [("model.add", "ok", manifest.digest)]
    assert manifest_for(model, instance / "models" / "installed.json") == manifest


def test_a_refused_directory_names_the_reason(model: Path, instance: Path) -> None:
    (model / "am.mvn").unlink()
    code, output = run("add", str(model), "--yes")
    assert code == 2
    assert "MODEL_MISSING_FILE" in output
    assert "am.mvn" in output


def test_verify_finds_the_change(
    tmp_path: Path, instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, setting in (("seaco", "ASR"), ("vad", "VAD"), ("punc", "PUNC")):
        folder = make_model(tmp_path / kind, kind)
        monkeypatch.setenv(f"PORTAL_{setting}_MODEL", str(folder))
        assert run("add", str(folder), "--yes")[0] == 0
    code, output = run("list")
    assert (code, output.count("in use"), output.count("recorded")) == (0, 3, 3)
    assert run("verify")[0] == 0
    (tmp_path / "punc" / "tokens.json").write_text('["x"]')
    code, output = run("verify")
    assert code == 1
    assert "tokens.json" in output


def test_a_damaged_zip_does_not_crash(model: Path) -> None:
    raw = io.BytesIO((model / "model.pt").read_bytes())
    data = bytearray(raw.getvalue())
    data[40] ^= 0xFF
    (model / "model.pt").write_bytes(bytes(data))
    assert refusal(model).code == "MODEL_UNSAFE"
