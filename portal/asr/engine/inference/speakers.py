"""CAM++ voice prints and their grouping, with FunASR's own features, network, clustering and smoothing.

Two things differ from FunASR. Its result changes from call to call, because k-means starts at random: here the start is
fixed. And above 2 047 windows (26 minutes of speech) with an unknown number of people it uses UMAP and HDBSCAN, which
take minutes, are random too, and give people who fit nowhere a common label: here every n-th window is grouped as
FunASR groups shorter recordings, and the others go to the group they resemble most.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from portal.asr.engine.inference.guarding import guarded
from portal.asr.engine.inference.loading import build, import_funasr, load_weights, ready
from portal.asr.engine.layouts import SPEAKER_WEIGHTS
from portal.asr.engine.manifest import read_config
from portal.asr.engine.voices import Samples, SpeakerSpan
from portal.asr.errors import ModelError

Floats = npt.NDArray[np.float32]

_MODULES: Final = ("funasr.models.campplus.cluster_backend", "funasr.models.campplus.model")
_NETWORK: Final = frozenset({"embedding_size", "growth_rate", "bn_size", "init_channels", "config_str"})
_FEW: Final = 20
"""With fewer windows FunASR tells nobody apart."""
_MANY: Final = 2_048
"""From here on FunASR no longer computes all likenesses."""


class SpeakerModel:
    """See ``backend.VoiceStage``."""

    def __init__(self, model: Any, device: str) -> None:
        """``model``: FunASR's CAMPPlus."""
        self._model = model
        self._device = device

    @classmethod
    def open(cls, directory: Path, device: str) -> SpeakerModel:
        """Load a checked directory. Raises ModelError."""
        with warnings.catch_warnings():
            # its module compares versions with distutils
            warnings.simplefilter("ignore", DeprecationWarning)
            tables = import_funasr(_MODULES)
        conf = read_config(directory).get("model_conf") or {}
        for name, expected in (("feat_dim", 80), ("output_level", "segment")):
            if conf.get(name, expected) != expected:
                raise ModelError("MODEL_FAMILY_REFUSED", f"model_conf.{name} is not {expected}", family="CAMPPlus")
        arguments = {name: value for name, value in conf.items() if name in _NETWORK}
        model = build(tables, "CAMPPlus", {**arguments, "memory_efficient": False})
        load_weights(model, directory / SPEAKER_WEIGHTS)
        return cls(ready(model, device), device)

    def embed(self, windows: Sequence[Samples]) -> Floats:
        """See VoiceStage."""
        return guarded(lambda: self._embed(windows))

    @torch.inference_mode()
    def _embed(self, windows: Sequence[Samples]) -> Floats:
        from funasr.models.campplus.utils import extract_feature

        sounds = [torch.from_numpy(window.astype(np.float32) / 32768) for window in windows]
        features, _, _ = extract_feature(sounds)
        prints: Floats = self._model(features.to(self._device, torch.float32)).float().cpu().numpy()
        return prints

    def group(self, windows: Sequence[tuple[int, int]], prints: Floats, count: int | None) -> list[SpeakerSpan]:
        """See VoiceStage."""
        from funasr.models.campplus.utils import postprocess

        labels = cluster(prints, count)
        segments = [[begin / 1000, end / 1000] for begin, end in windows]
        smoothed = postprocess(segments, None, labels, prints)
        spans = [(round(begin * 1000), round(end * 1000), int(number)) for begin, end, number in smoothed]
        return [span for span in spans if span[0] < span[1]]


def cluster(prints: Floats, count: int | None) -> npt.NDArray[np.int64]:
    """A number per print (n, D): equal numbers for one voice. ``count``: how many people, None where unknown."""
    from funasr.models.campplus.cluster_backend import ClusterBackend, KMeansCluster

    if count == 1 or len(prints) < 2 or (count is None and len(prints) < _FEW):
        return np.zeros(len(prints), dtype=np.int64)
    if len(prints) < _FEW:
        return _numbers(KMeansCluster()(prints, min(count or 1, len(prints))))
    # FunASR's k-means draws its start from numpy's common generator
    np.random.seed(0)
    if count is not None or len(prints) < _MANY:
        return _numbers(ClusterBackend()(prints, oracle_num=count))
    chosen = np.linspace(0, len(prints) - 1, _MANY - 1).astype(np.int64)
    known = _numbers(ClusterBackend()(prints[chosen], oracle_num=None))
    unit = prints / np.maximum(np.linalg.norm(prints, axis=1, keepdims=True), 1e-9)
    centres = np.stack([unit[chosen][known == number].mean(axis=0) for number in range(int(known.max()) + 1)])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    return _numbers((unit @ centres.T).argmax(axis=1))


def _numbers(labels: Any) -> npt.NDArray[np.int64]:
    return np.asarray(labels, dtype=np.int64)
