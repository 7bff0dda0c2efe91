"""``portal bench engine``: it notices a wrong engine, its figures follow from its rounds, and it runs."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portal.asr.engine.manifest import inspect
from portal.cli.benchmarks import comparing, report, sets, speech
from portal.cli.benchmarks.arms import Round
from portal.cli.benchmarks.processes import cpu_seconds, environment, peak_rss_mib
from tests.engine.support import MODELS, REPOSITORY

OURS: dict[str, Any] = {
    "segments": [
        {"span": [400, 2000], "words": ["你", "好"], "times": [[400, 640], [640, 900]]},
        {"span": [3000, 4000], "words": ["再", "见"], "times": [[3010, 3200], [3200, 3400]]},
    ]
}
# FunASR lets a first word begin before its segment and a last one end after it
REFERENCE: dict[str, Any] = {
    "words": ["你", "好", "再", "见"],
    "times": [[380, 640], [640, 900], [3010, 3200], [3200, 3400]],
}
ALONE = [
    [
        {"words": ["你", "好"], "times": [[400, 640], [640, 900]]},
        {"words": ["再", "见"], "times": [[3010, 3200], [3200, 3400]]},
    ]
]


def test_equal_output_is_equal() -> None:
    files = comparing.whole_files(["a"], [OURS], [REFERENCE])
    assert (files.text.to_json(), files.times.to_json()) == ({"equal": 1, "of": 1}, {"equal": 4, "of": 4})
    assert (files.error_rate, files.examples) == (0.0, [])
    alone = comparing.segments(["a"], [OURS], ALONE)
    assert (alone.text.to_json(), alone.times.to_json()) == ({"equal": 2, "of": 2}, {"equal": 4, "of": 4})


def test_another_character_is_noticed() -> None:
    wrong = copy.deepcopy(OURS)
    wrong["segments"][1]["words"][0] = "在"
    files = comparing.whole_files(["a"], [wrong], [REFERENCE])
    assert files.text.to_json() == {"equal": 0, "of": 1}
    assert files.times.to_json() == {"equal": 3, "of": 4}
    assert files.error_rate == pytest.approx(0.25)
    assert files.examples == ["a@2: '再' → '在'"]
    assert comparing.segments(["a"], [wrong], ALONE).text.to_json() == {"equal": 1, "of": 2}


def test_a_time_that_is_off_by_one_frame_is_noticed() -> None:
    wrong = copy.deepcopy(OURS)
    wrong["segments"][0]["times"][1] = [660, 900]
    files = comparing.whole_files(["a"], [wrong], [REFERENCE])
    assert (files.text.equal, files.times.to_json()) == (1, {"equal": 3, "of": 4})
    assert comparing.segments(["a"], [wrong], ALONE).times.to_json() == {"equal": 3, "of": 4}


def test_a_begin_before_the_segment_is_forgiven_at_its_begin_only() -> None:
    wrong = copy.deepcopy(REFERENCE)
    wrong["times"][2] = [2990, 3200]  # ours says 3010, the segment begins at 3000
    likeness = comparing.whole_files(["a"], [OURS], [wrong])
    assert likeness.times.to_json() == {"equal": 3, "of": 4}
    assert likeness.examples == ["a#2 再: [3000, 3200] → [3010, 3200] ms"]


def test_an_end_after_the_segment_is_forgiven_at_its_end_only() -> None:
    ours, wanted = copy.deepcopy(OURS), copy.deepcopy(REFERENCE)
    wanted["times"][3] = [3200, 4050]
    assert comparing.whole_files(["a"], [ours], [wanted]).times.to_json() == {"equal": 3, "of": 4}
    ours["segments"][1]["times"][1] = [3200, 4000]
    assert comparing.whole_files(["a"], [ours], [wanted]).times.to_json() == {"equal": 4, "of": 4}


@pytest.mark.parametrize("keep", [0, 1])
def test_a_lost_segment_is_noticed(keep: int) -> None:
    wrong = {"segments": [OURS["segments"][keep]]}
    files = comparing.whole_files(["a"], [wrong], [REFERENCE])
    assert files.text.to_json() == {"equal": 0, "of": 1}
    assert files.times.of == 4
    assert files.times.equal <= 2
    with pytest.raises(ValueError, match="zip"):
        comparing.segments(["a"], [wrong], ALONE)


def test_silence_everywhere_is_no_proof() -> None:
    files = comparing.whole_files(["a"], [{"segments": []}], [REFERENCE])
    assert (files.text.equal, files.times.to_json()) == (0, {"equal": 0, "of": 4})


def test_ratios_are_medians_of_rounds_per_second_of_sound() -> None:
    rounds = {
        "automodel": [Round(10.0, 20.0, 100.0), Round(12.0, 22.0, 100.0), Round(8.0, 30.0, 100.0)],
        # four times as much sound in a round: the ratio is per second of sound
        "exact": [Round(20.0, 40.0, 400.0), Round(16.0, 44.0, 400.0), Round(32.0, 20.0, 400.0)],
    }
    found = report.ratios(rounds, "cpu")
    assert found["ratio_exact_vs_automodel"] == pytest.approx(2.0)
    assert found["ratios"]["ratio_exact_vs_automodel"] == {
        "cpu": {"median": 2.0, "min": 2.0, "max": 6.0},
        "wall": {"median": 2.0, "min": 1.0, "max": 3.0},
    }
    assert report.ratios(rounds, "wall")["ratio_basis"] == "wall"
    assert found["ratio_fast_vs_automodel"] is None
    assert found["fraction_of_ceiling"] is None


def test_the_sets_hold_what_they_promise(tmp_path: Path) -> None:
    wav, mp3 = sets.lengths(sets.DEFAULT, "cpu")
    assert sum(wav) + sum(mp3) <= 360
    wav, mp3 = sets.lengths(sets.FULL, "cuda")
    assert (len(wav) + len(mp3), wav[-3:]) == (267, [3600.0] * 3)
    pool = speech._pieces_of_the_sample()
    assert len(pool) >= 4
    first, again, other = (speech.recording(pool, 9.0, seed) for seed in (5, 5, 6))
    assert len(first) == 9 * 16_000
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    made, notes = sets.make(tmp_path / "set", sets.TINY, "cpu", headline=False)
    assert notes == []
    assert [(item.path.suffix, item.comparable) for item in made] == [(".wav", True), (".wav", True), (".mp3", False)]


def test_cost_of_a_process() -> None:
    code = "x = 0\nfor i in range(3_000_000): x += i\nprint(flush=True)\ninput()"
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(1)) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert 0.02 < cpu_seconds(child.pid) < 60
        assert peak_rss_mib(child.pid) > 3
        child.communicate(b"\n")


def portal(*arguments: str, cwd: Path) -> dict[str, Any]:
    """``portal …`` in a folder of its own; its JSON."""
    env = environment(1, PORTAL_INSTANCE=str(cwd / "instance"))
    done = subprocess.run(
        [sys.executable, "-m", "portal.cli", *arguments],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


NAMES = {
    *("ratio_exact_vs_automodel", "ratio_fast_vs_automodel", "ratio_exact_vs_server", "fraction_of_ceiling"),
    *("identical_text", "identical_timestamps", "padding_efficiency", "arms", "machine", "date", "versions"),
    *("identical_segments", "identical_segment_timestamps", "ratios", "ratio_basis", "set", "weights", "device"),
}


@pytest.mark.models
@pytest.mark.timeout(900)
def test_the_whole_run_with_the_shipped_models(tmp_path: Path) -> None:
    figures = portal("bench", "engine", "--tiny", "--rounds", "1", "--threads", "1", "--json", cwd=tmp_path)
    assert figures.keys() >= NAMES
    for name in ("identical_text", "identical_timestamps", "identical_segments", "identical_segment_timestamps"):
        assert figures[name]["of"] > 0, name
        assert figures[name]["equal"] == figures[name]["of"], (name, figures["differences"])
    arms = figures["arms"]
    assert arms.keys() == {"automodel", "exact", "fast", "ceiling", "funasr-server", "websocket"}
    for name in ("automodel", "exact", "ceiling"):
        assert arms[name]["available"], arms[name]
        assert arms[name]["cpu_seconds"]["median"] > 0
        assert arms[name]["peak_rss_mib"] > 50
    assert figures["ratio_exact_vs_automodel"] > 0
    assert 0 < figures["fraction_of_ceiling"] < 1
    assert 0.5 < figures["padding_efficiency"] <= 1
    assert not arms["websocket"]["available"]
    assert "--websocket-server" in arms["websocket"]["reason"]
    assert arms["funasr-server"]["available"] or "fastapi" in arms["funasr-server"]["reason"]


@pytest.mark.models
@pytest.mark.timeout(900)
def test_random_models_speak_like_models(tmp_path: Path) -> None:
    """The recipe of the full-size models, with thin layers: they load, hear, speak at the right rate, and punctuate."""
    sound = tmp_path / "sound.wav"
    speech.write_wav(sound, speech.recording(speech.utterances(), 20.0, 1))
    argv = [sys.executable, "-m", "portal.asr.engine.inference.benchmark.weights", "--tiny"]
    target = tmp_path / "random"
    subprocess.run([*argv, str(target), str(sound), str(MODELS)], env=environment(1), check=True, timeout=300)
    families = {name: inspect(target / name)[1].family for name in ("seaco", "vad", "punc")}
    assert families == {"seaco": "SeacoParaformer", "vad": "FsmnVADStreaming", "punc": "CTTransformer"}
    options = ("--tiny", "--rounds", "1", "--threads", "1", "--arms", "exact,reference", "--json")
    figures = portal("bench", "engine", "--weights", str(target), *options, cwd=tmp_path)
    for name in ("identical_text", "identical_timestamps", "identical_segments"):
        assert figures[name]["equal"] == figures[name]["of"] > 0, (name, figures["differences"])
    # 20 s of recordings of which a good half is speech, at 4.5 tokens per second of it
    assert 25 <= figures["identical_timestamps"]["of"] <= 110


@pytest.mark.models
@pytest.mark.timeout(900)
def test_handing_over(tmp_path: Path) -> None:
    figures = portal("bench", "handover", "--tiny", "--workers", "1", "--threads", "1", "--json", cwd=tmp_path)
    assert figures["recordings"] == 3
    assert figures["models_busy_seconds"] > 0
    assert figures["overhead"] > 0
    assert figures["overhead_of_cpu"] > 0
    assert 0 < figures["models_busy_share"] <= 1.01
