"""Recordings to measure with: synthesised Mandarin from espeak-ng, or pieces of the shipped sample, with pauses."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portal.asr.types import SAMPLE_RATE
from portal.settings import MODELS_DIR

Samples = npt.NDArray[np.int16]

SENTENCES = (
    "大家好，今天下午我们讨论数据仓库项目的进展。",
    "请在周五之前把报告发给客户。",
    "我们需要检查系统的接口，然后安排下一次会议。",
    "这个问题上个月已经讨论过，现在还没有结果。",
    "服务器的内存不够，任务在晚上八点失败。",
    "用户希望下个版本能够支持批量上传。",
    "谁来负责测试环境的准备工作？",
    "第二季度的收入比去年同期增加百分之十二。",
    "如果没有其他意见，我们就按照这个方案执行。",
    "好的",
    "明天上午九点在三楼会议室开会，请大家准时参加。",
    "客户反映页面打开太慢，我们要先找到原因。",
    "数据库的备份每天凌晨两点开始，大约需要四十分钟。",
    "今天就到这里，谢谢大家。",
)
VOICES = ("cmn-latn-pinyin", "cmn-latn-pinyin+f2", "cmn-latn-pinyin+m3", "cmn-latn-pinyin+m1")
SPEEDS = (170, 200, 230)
PAUSE_SECONDS = (0.2, 3.7)
NOISE_LEVEL = 6.0
"""Standard deviation of the noise under everything, in int16 steps: no recording is digitally silent."""


def utterances() -> list[Samples]:
    """Some dozens of utterances of 1 to 8 s, 16 kHz."""
    if shutil.which("espeak-ng") is None:
        return _pieces_of_the_sample()
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        path = Path(folder) / "speech.wav"
        return [
            _speak(text, VOICES[number % len(VOICES)], SPEEDS[(number // 2) % len(SPEEDS)], path)
            for number, text in enumerate(SENTENCES * 2)
        ]


def source() -> str:
    """Where the speech comes from, for the report."""
    return "shipped sample" if shutil.which("espeak-ng") is None else "espeak-ng"


def _speak(text: str, voice: str, speed: int, path: Path) -> Samples:
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), text], check=True)
    with wave.open(str(path)) as sound:
        rate = sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.int16).astype(np.float64)
    count = int(len(samples) * SAMPLE_RATE / rate)
    resampled = np.interp(np.arange(count) * rate / SAMPLE_RATE, np.arange(len(samples)), samples) * 0.5
    spoken: Samples = resampled.astype(np.int16)
    return spoken


def _pieces_of_the_sample() -> list[Samples]:
    """The shipped sample, cut where it is quiet for 0.3 s."""
    with wave.open(str(MODELS_DIR / "sample.wav")) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.int16).copy()
    hop = SAMPLE_RATE // 100
    frames = np.abs(samples[: len(samples) // hop * hop].reshape(-1, hop).astype(np.float64)).mean(axis=1)
    loud = frames > max(frames.max() * 0.02, 20.0)
    edges, quiet, begin = [], 30, None
    for index, is_loud in enumerate([*loud.tolist(), *([False] * 31)]):
        if is_loud:
            begin, quiet = (index if begin is None else begin), 0
        elif begin is not None and (quiet := quiet + 1) > 30:
            edges.append((begin, index - 25))
            begin = None
    return [samples[first * hop : last * hop] for first, last in edges if last - first > 50]


def recording(pool: Sequence[Samples], seconds: float, seed: int) -> Samples:
    """Utterances in random order with pauses of 0.2 to 3.7 s and a noise floor, exactly ``seconds`` long."""
    random = np.random.default_rng(seed)
    parts: list[npt.NDArray[np.float64]] = []
    wanted = int(seconds * SAMPLE_RATE)
    have = 0
    while have < wanted:
        pause = int(random.uniform(*PAUSE_SECONDS) * SAMPLE_RATE) if parts else int(0.4 * SAMPLE_RATE)
        said = pool[int(random.integers(len(pool)))].astype(np.float64) * random.uniform(0.6, 1.0)
        parts += [np.zeros(pause), said]
        have += pause + len(said)
    whole = np.concatenate(parts)[:wanted]
    # the last quarter of a second is quiet: speech that is cut off in a word has no one right text
    whole[-SAMPLE_RATE // 4 :] = 0.0
    noisy = whole + random.normal(0.0, NOISE_LEVEL, wanted)
    return np.clip(np.round(noisy), -32768, 32767).astype(np.int16)


def write_wav(path: Path, samples: Samples) -> None:
    """16 kHz mono 16-bit WAV."""
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE)
        target.writeframes(samples.astype("<i2").tobytes())


def write_mp3(path: Path, samples: Samples) -> None:
    """MP3 of 44.1 kHz stereo at 128 kbit/s, as phones and recorders write.

    Raises:
        LookupError: this PyAV has no MP3 encoder.
    """
    import av
    from av.codec.codec import UnknownCodecError

    try:
        av.codec.Codec("libmp3lame", "w")
    except UnknownCodecError:
        raise LookupError("PyAV here has no MP3 encoder") from None
    resampler = av.AudioResampler(format="s16p", layout="stereo", rate=44_100, frame_size=1152)
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=44_100)
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 128_000
        stream.layout = "stereo"
        stream.format = "s16p"
        for start in range(0, len(samples), SAMPLE_RATE * 10):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + SAMPLE_RATE * 10], "s16", "mono")
            frame.sample_rate = SAMPLE_RATE
            for piece in resampler.resample(frame):
                container.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
