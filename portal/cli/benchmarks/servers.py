"""FunASR's own servers under the same load: ``funasr-server`` and the websocket runtime, each with many clients.

Both name their models by hub id. They are started in a folder in which those ids are paths to the local models, so
that the servers themselves run unchanged and nothing is fetched.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click

from portal.cli.benchmarks.arms import Arm, Round, Setup
from portal.cli.benchmarks.processes import Unavailable, cpu_seconds, environment, peak_rss_mib, stop, wait_for
from portal.cli.benchmarks.sets import Recording

CLIENTS = 16
_ASR_ID = "iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch"
_VAD_ID = "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch"
_PUNC_ID = "iic/punc_ct-transformer_cn-en-common-vocab471067-large"
_SPEAKER_ID = "iic/speech_campplus_sv_zh-cn_16k-common"
_PATIENCE_S = 3_600.0


class ServerArm(Arm):
    """A server process that is asked by 16 clients at a time."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @abstractmethod
    def check(self) -> None:
        """Raises Unavailable when a package or file is missing."""

    @abstractmethod
    def command(self) -> list[str]:
        """How to start it on ``self.port``."""

    @abstractmethod
    def ask(self, recording: Recording) -> str:
        """Send a recording, return its text."""

    def start(self, stack: ExitStack) -> None:
        """Start the server in a folder with the models under their hub ids; wait until its port answers."""
        self.check()
        folder = self._setup.work / f"{self.name}-models"
        models = self._setup.models
        named = {_ASR_ID: models.asr, _VAD_ID: models.vad, _PUNC_ID: models.punc, _SPEAKER_ID: models.vad}
        for hub_id, directory in named.items():
            _stand_in(folder / hub_id, directory, self._setup.threads)
        self.port = _free_port()
        log = self._setup.log(self.name)
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                self.command(),
                cwd=folder,
                env=environment(self._setup.threads),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        stack.callback(stop, self._process)
        try:
            wait_for(self._answers, self._process, log, 1_200.0)
        except click.ClickException as error:
            raise Unavailable(f"it does not start: {error.message}") from None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
            return True
        return False

    def run(self, recordings: Sequence[Recording]) -> Round:
        """All recordings, 16 under way at a time. Raises Unavailable when the server fails at it."""
        assert self._process is not None
        pid = self._process.pid
        wall, server, own = time.perf_counter(), cpu_seconds(pid), time.process_time()
        try:
            with ThreadPoolExecutor(CLIENTS) as pool:
                answers = list(pool.map(self._timed, recordings))
        except Exception as error:  # somebody else's server: its failure is a finding, not the end of the run
            raise Unavailable(f"it failed under load: {type(error).__name__}: {error}"[:300]) from error
        parts = {"server": cpu_seconds(pid) - server, "clients": time.process_time() - own}
        self.rss_mib = peak_rss_mib(pid)
        return Round(
            time.perf_counter() - wall,
            sum(parts.values()),
            sum(recording.seconds for recording in recordings),
            parts=parts,
            latencies=[seconds for seconds, _ in answers],
            results=[{"text": text} for _, text in answers],
        )

    def _timed(self, recording: Recording) -> tuple[float, str]:
        begun = time.perf_counter()
        text = self.ask(recording)
        return time.perf_counter() - begun, text


class FunasrServerArm(ServerArm):
    """``funasr-server``, the OpenAI-compatible one that comes with the package; Paraformer with VAD and punctuation."""

    name = "funasr-server"

    def check(self) -> None:
        """It needs FastAPI, which the portal does not bring."""
        _need(("fastapi", "uvicorn", "multipart"), "fastapi uvicorn python-multipart")

    def command(self) -> list[str]:
        """One process, as it ships."""
        device = self._setup.device
        return [
            *(sys.executable, "-m", "funasr.bin.server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--model", "paraformer", "--device", device, "--hub", "ms"),
        ]

    def ask(self, recording: Recording) -> str:
        """One upload."""
        mark = "portal-bench-border"
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="model"\r\n\r\nparaformer\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{recording.path.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + recording.path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
            connection.request("POST", "/v1/audio/transcriptions", body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise click.ClickException(f"funasr-server answers {answer.status}: {content[:200]!r}")
        return str(json.loads(content)["text"])


class WebsocketArm(ServerArm):
    """FunASR's websocket runtime, offline mode, with the pieces of 60 ms that its own client sends.

    Its speaker model is not there: the voice-activity model stands in its place and its speaker step fails at once,
    which the server takes as "unknown". That favours the server.
    """

    name = "websocket"

    def check(self) -> None:
        """Its script is part of FunASR's repository, not of the package."""
        script = self._setup.websocket_server
        if script is None or not script.is_file():
            raise Unavailable(
                "the script is not part of the funasr package; name FunASR's runtime/python/websocket/"
                "funasr_wss_server.py with --websocket-server"
            )
        _need(("websockets", "scipy"), "websockets scipy")

    def command(self) -> list[str]:
        """The script as it is; models that offline mode never asks are replaced by ones that load quickly."""
        setup, models = self._setup, self._setup.models
        assert setup.websocket_server is not None
        return [
            *(sys.executable, str(setup.websocket_server.resolve()), "--host", "127.0.0.1", "--port", str(self.port)),
            *("--certfile", "", "--ngpu", "1" if setup.device == "cuda" else "0", "--device", setup.device),
            *("--ncpu", str(setup.threads), "--vad_model", str(models.vad), "--punc_model", str(models.punc)),
            *("--asr_model_online", str(models.vad)),
        ]

    def ask(self, recording: Recording) -> str:
        """Speak its protocol: settings, pieces, the end; texts until it says that it has finished."""
        from websockets.sync.client import connect
        from websockets.typing import Subprotocol

        settings: dict[str, Any] = {"mode": "offline", "chunk_size": [5, 10, 5], "chunk_interval": 10}
        settings |= {"wav_name": recording.path.name, "audio_fs": 16_000, "is_speaking": True, "itn": False}
        texts: list[str] = []
        address = f"ws://127.0.0.1:{self.port}"
        options: dict[str, Any] = {"max_size": None, "ping_interval": None, "open_timeout": 600, "close_timeout": 60}
        with connect(address, subprotocols=[Subprotocol("binary")], **options) as wire:
            wire.send(json.dumps(settings))
            pcm = _pcm(recording)
            for start in range(0, len(pcm), 1_920):
                wire.send(pcm[start : start + 1_920])
            wire.send(json.dumps({"is_speaking": False, "is_end": True}))
            while True:
                answer = json.loads(wire.recv(timeout=_PATIENCE_S))
                if answer.get("is_end"):
                    if answer.get("error"):
                        raise click.ClickException(f"the websocket runtime says {answer['error']}")
                    return "".join(texts)
                texts.append(str(answer.get("text", "")))


def _pcm(recording: Recording) -> bytes:
    """16 kHz samples: the runtime takes nothing else without ffmpeg, so its clients have to decode."""
    from portal.asr.audio import decode

    with decode(recording.path) as blocks:
        return b"".join(block.channels[0] for block in blocks)


def _need(modules: Sequence[str], packages: str, find: Callable[[str], Any] = importlib.util.find_spec) -> None:
    missing = [name for name in modules if find(name) is None]
    if missing:
        raise Unavailable(f"{', '.join(missing)} not installed; put {packages} on PYTHONPATH for this arm")


def _stand_in(target: Path, directory: Path, threads: int) -> None:
    """A folder of links to a model, whose configuration also sets the number of threads (the server has no option)."""
    target.mkdir(parents=True)
    for file in directory.iterdir():
        if file.name != "config.yaml":
            (target / file.name).symlink_to(file.resolve())
    shutil.copyfile(directory / "config.yaml", target / "config.yaml")
    (target / "config.yaml").chmod(0o600)
    with (target / "config.yaml").open("a", encoding="utf-8") as stream:
        stream.write(f"\nncpu: {threads}\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
