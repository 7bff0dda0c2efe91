"""The sample recording that ships with the models: a short meeting in a voice and in sentences nobody trained on.

It names the project 致远; with the hotword 志远 the recogniser writes 志远 instead.
"""

from __future__ import annotations

import random
import wave
from pathlib import Path

import numpy as np

from . import augment
from .synthesis import RATE, speak

VOICE, WORDS_PER_MINUTE, PITCH = "Mario", 185, 50
SENTENCES = (
    "二零二六年十一月二十日上午九点半我们在上海开会，讨论致远项目的进展。",
    "现在识别准确率达到了百分之九十八点五。",
    "新版本的API接口已经升级，请技术部验收。",
    "这个项目的预算是三百二十万元，大家同意这个方案吗？",
    "我们计划在十二月十五号之前完成致远系统的测试。",
    "今天的讨论就到这里，谢谢大家。",
)


def write(folder: Path) -> None:
    """sample.wav (16 kHz, mono, 16 bit) and sample.txt (spoken form with punctuation) into `folder`."""
    rng = random.Random(20)
    parts = [np.zeros(int(0.5 * RATE), np.float32)]
    for sentence in SENTENCES:
        clip, _ = augment.trim(speak(sentence, VOICE, WORDS_PER_MINUTE, PITCH).samples)
        pause = np.zeros(int(rng.uniform(0.7, 1.6) * RATE), np.float32)
        parts += [clip / np.abs(clip).max() * 0.6, pause]
    speech = np.concatenate(parts)
    samples = speech + np.random.default_rng(20).standard_normal(len(speech)) * 3e-4
    with wave.open(str(folder / "sample.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    (folder / "sample.txt").write_text("".join(SENTENCES) + "\n", encoding="utf-8")
