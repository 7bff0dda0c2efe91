"""Directories of SenseVoice, Fun-ASR-Nano and CAM++ as they are published: what is accepted, and what is refused."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from portal.asr.engine.layouts import LAYOUTS, SENSE_VOICE_PIECES, SPEAKER_WEIGHTS
from portal.asr.engine.manifest import Registry, inspect, manifest_for, verify
from portal.asr.errors import ModelError
from tests.engine.test_manifest import Evil, checkpoint

QWEN = {"model_type": "qwen3", "hidden_size": 8, "architectures": ["Qwen3ForCausalLM"]}
TOKENIZER = {"tokenizer_class": "Qwen2Tokenizer", "chat_template": "{{ 1 }}"}


def sense_voice(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "model: SenseVoiceSmall\nencoder: SenseVoiceEncoderSmall\ntokenizer: SentencepiecesTokenizer\n"
        "frontend: WavFrontend\ndataset: SenseVoiceCTCDataset\n"
    )
    metas = {"init_param": "model.pt", "tokenizer_conf": {"bpemodel": SENSE_VOICE_PIECES}}
    (folder / "configuration.json").write_text(json.dumps({"model_name_in_hub": {"ms": ""}, "file_path_metas": metas}))
    checkpoint(folder / "model.pt")
    (folder / "am.mvn").write_text("<Nnet>")
    (folder / SENSE_VOICE_PIECES).write_bytes(b"\x0a\x0f")
    (folder / "tokens.json").write_text("[]")
    (folder / "requirements.txt").write_text("torch<=2.3\n")
    return folder


def nano(folder: Path) -> Path:
    qwen = folder / "Qwen3-0.6B"
    qwen.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        "model: FunASRNano\naudio_encoder: SenseVoiceEncoderSmall\nllm: Qwen3-0.6b\n"
        "llm_conf: {hub: hf, llm_dtype: bf16, init_param_path: Qwen3-0.6B}\naudio_adaptor: Transformer\n"
        "ctc_decoder: Transformer\ntokenizer: HuggingfaceTokenizer\n"
        "tokenizer_conf: {init_param_path: '${llm_conf.init_param_path}'}\n"
    )
    checkpoint(folder / "model.pt")
    (folder / "multilingual.tiktoken").write_text("IQ== 0\n")
    (qwen / "config.json").write_text(json.dumps(QWEN))
    (qwen / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    (qwen / "tokenizer.json").write_text("{}")
    (qwen / "generation_config.json").write_text("{}")
    return folder


def speaker(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text("model: CAMPPlus\nmodel_conf: {feat_dim: 80}\nfrontend: WavFrontend\n")
    checkpoint(folder / SPEAKER_WEIGHTS)
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {"SenseVoiceSmall": sense_voice, "FunASRNano": nano, "CAMPPlus": speaker}


@pytest.fixture(params=sorted(MAKERS))
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return MAKERS[request.param](tmp_path / "model")


def refusal(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as error:
        inspect(folder)
    return error.value


def test_published_directories_are_described(tmp_path: Path) -> None:
    roles = {"SenseVoiceSmall": "asr", "FunASRNano": "asr", "CAMPPlus": "speaker"}
    for family, make in MAKERS.items():
        manifest = inspect(make(tmp_path / family))[1]
        assert (manifest.family, manifest.role) == (family, roles[family])
    assert SENSE_VOICE_PIECES in inspect(tmp_path / "SenseVoiceSmall")[1].files
    assert "Qwen3-0.6B/tokenizer.json" in inspect(tmp_path / "FunASRNano")[1].files
    assert set(inspect(tmp_path / "CAMPPlus")[1].files) == {"config.yaml", SPEAKER_WEIGHTS}


def test_a_missing_file_is_named(model: Path) -> None:
    for name in LAYOUTS[inspect(model)[1].family].required:
        saved = (model / name).read_bytes()
        (model / name).unlink()
        error = refusal(model)
        assert (error.code, error.params["file"]) == ("MODEL_MISSING_FILE", name)
        (model / name).write_bytes(saved)


def test_a_pickle_with_code_is_found_and_never_run(model: Path, tmp_path: Path) -> None:
    weights = LAYOUTS[inspect(model)[1].family].weights
    checkpoint(model / weights, pickle.dumps({"w": Evil(tmp_path / "ran")}))
    error = refusal(model)
    assert (error.code, error.params["file"]) == ("MODEL_UNSAFE", weights)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("line", ["trust_remote_code: true", "remote_code: ./model.py", "x: [{oss_bucket: a}]"])
def test_remote_code_in_the_configuration_is_refused(model: Path, line: str) -> None:
    with (model / "config.yaml").open("a") as stream:
        stream.write(line + "\n")
    assert refusal(model).code == "MODEL_UNSAFE"


def test_every_later_change_is_found(model: Path, tmp_path: Path) -> None:
    registry = tmp_path / "installed.json"
    folder, manifest = inspect(model)
    Registry(registry).record(folder, manifest, "2026-01-01T00:00:00+00:00")
    recorded = manifest_for(model, registry)
    verify(model, recorded)
    for name in manifest.files:
        saved = (model / name).read_bytes()
        (model / name).write_bytes(saved[:-1] + b"!")
        with pytest.raises(ModelError) as altered:
            verify(model, recorded)
        assert (altered.value.code, altered.value.params["file"]) == ("MODEL_ALTERED", name)
        (model / name).write_bytes(saved)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "Qwen3-0.6B/../../x", "a/b/c", ".hidden/x", "x/"])
def test_a_recorded_name_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    model = nano(tmp_path / "model")
    manifest = inspect(model)[1]
    fact = manifest.files["config.yaml"]
    altered = type(manifest)(manifest.name, "asr", "FunASRNano", {name: fact}, "0" * 64)
    with pytest.raises(ModelError) as error:
        verify(model, altered)
    assert error.value.code == "MODEL_MISSING_FILE"


def test_files_that_come_later_are_found(tmp_path: Path) -> None:
    model = nano(tmp_path / "model")
    manifest = inspect(model)[1]
    (model / "Qwen3-0.6B" / "added_tokens.json").write_text("{}")
    with pytest.raises(ModelError) as added:
        verify(model, manifest)
    assert added.value.code == "MODEL_ALTERED"
    (model / "Qwen3-0.6B" / "added_tokens.json").unlink()
    (model / "Qwen3-0.6B" / "modeling_qwen3.py").write_text("")
    with pytest.raises(ModelError) as code:
        verify(model, manifest)
    assert code.value.code == "MODEL_UNSAFE"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("modeling.py", ""),
        ("pytorch_model.bin", ""),
        ("inner/weights.pkl", ""),
        ("config.json", {**QWEN, "auto_map": {"AutoModelForCausalLM": "x.Y"}}),
        ("config.json", {**QWEN, "attn_implementation": "somebody/kernel"}),
        ("config.json", {**QWEN, "quantization_config": {"quant_method": "x"}}),
        ("tokenizer_config.json", {**TOKENIZER, "auto_map": {"AutoTokenizer": ["x.Y", None]}}),
        ("tokenizer_config.json", {**TOKENIZER, "fast_tokenizer_files": ["tokenizer.1.0.0.json"]}),
        ("tokenizer_config.json", {**TOKENIZER, "gguf_file": "x.gguf"}),
        ("config.json", "not json"),
        ("config.json", "[]"),
    ],
)
def test_code_in_the_language_model_is_refused(tmp_path: Path, file: str, content: Any) -> None:
    model = nano(tmp_path / "model")
    path = model / "Qwen3-0.6B" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert refusal(model).code == "MODEL_UNSAFE"


@pytest.mark.parametrize(
    ("file", "values"),
    [("config.json", {**QWEN, "model_type": "evil"}), ("tokenizer_config.json", {"tokenizer_class": "EvilTokenizer"})],
)
def test_other_language_models_are_refused(tmp_path: Path, file: str, values: dict[str, Any]) -> None:
    model = nano(tmp_path / "model")
    (model / "Qwen3-0.6B" / file).write_text(json.dumps(values))
    error = refusal(model)
    assert error.code == "MODEL_FAMILY_REFUSED"
    assert "allowed" in error.detail


@pytest.mark.parametrize("name", ["../Qwen3-0.6B", "/tmp", "Qwen/Qwen3-0.6B", "", ".", "..", "https://x"])
def test_the_language_model_lies_in_the_directory(tmp_path: Path, name: str) -> None:
    model = nano(tmp_path / "model")
    config = (model / "config.yaml").read_text().replace("init_param_path: Qwen3-0.6B", f"init_param_path: {name!r}")
    (model / "config.yaml").write_text(config)
    assert refusal(model).code == "MODEL_UNSAFE"


@pytest.mark.parametrize("merge", ["", "<<: "])
def test_a_configuration_that_swells_is_refused_at_once(tmp_path: Path, merge: str) -> None:
    model = speaker(tmp_path / "model")
    open_, close = ("{<<: [", "]}") if merge else ("[", "]")
    bomb = [f"{name}: &{name} {open_}{', '.join([f'*{before}'] * 9)}{close}" for before, name in pairwise("abcdefghij")]
    with (model / "config.yaml").open("a") as stream:
        stream.write("\n".join(["a: &a {k: v}", *bomb]) + "\n")
    began = time.monotonic()
    assert refusal(model).code == "MODEL_UNSAFE"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("line", "code"),
    [("x: &x [*x, {hub: ms}]", "MODEL_UNSAFE"), ("frontend: [WavFrontend]", "MODEL_FAMILY_REFUSED"),
     ("frontend: {WavFrontend: 1}", "MODEL_FAMILY_REFUSED")],
)  # fmt: skip
def test_a_configuration_of_odd_shapes_is_refused(tmp_path: Path, line: str, code: str) -> None:
    model = speaker(tmp_path / "model")
    with (model / "config.yaml").open("a") as stream:
        stream.write(line + "\n")
    assert refusal(model).code == code


def test_the_settings_of_the_language_model_are_a_mapping(tmp_path: Path) -> None:
    model = nano(tmp_path / "model")
    with (model / "config.yaml").open("a") as stream:
        stream.write("llm_conf: [Qwen3-0.6B]\n")
    assert refusal(model).code == "MODEL_UNSAFE"


@pytest.mark.parametrize("part", ["audio_encoder: Evil", "audio_adaptor: QFormer", "ctc_decoder: Evil", "tokenizer: X"])
def test_parts_outside_the_allow_list_are_refused(tmp_path: Path, part: str) -> None:
    model = nano(tmp_path / "model")
    with (model / "config.yaml").open("a") as stream:
        stream.write(part + "\n")
    error = refusal(model)
    assert error.code == "MODEL_FAMILY_REFUSED"
    assert error.params["family"] == part.split(": ")[1]


def test_an_encoder_from_a_hub_is_refused_and_the_inert_key_is_not(tmp_path: Path) -> None:
    model = nano(tmp_path / "model")
    with (model / "config.yaml").open("a") as stream:
        stream.write("audio_encoder_conf: {hub: ms}\n")
    assert refusal(model).code == "MODEL_UNSAFE"


def test_requirements_stay_refused_where_official_directories_have_none(tmp_path: Path) -> None:
    model = speaker(tmp_path / "model")
    (model / "requirements.txt").write_text("evil")
    assert refusal(model).code == "MODEL_UNSAFE"


def test_a_family_outside_the_allow_list_is_told_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: Qwen3ASR\n")
    error = refusal(tmp_path)
    assert (error.code, error.params["family"]) == ("MODEL_FAMILY_REFUSED", "Qwen3ASR")
    assert "Qwen3ASR" in error.detail
    for family in LAYOUTS:
        assert family in error.detail
