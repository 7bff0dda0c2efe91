"""``portal bench engine``: one run of the comparison, round by round."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from portal.cli.benchmarks import comparing, machine, models, report, sets, speech
from portal.cli.benchmarks.arms import Arm, AutoModelArm, CeilingArm, EngineArm, Round, Setup
from portal.cli.benchmarks.comparing import Likeness
from portal.cli.benchmarks.processes import Unavailable, end_tidily
from portal.cli.benchmarks.servers import FunasrServerArm, WebsocketArm
from portal.cli.benchmarks.sets import Recording

ARMS = ("automodel", "reference", "exact", "fast", "ceiling", "funasr-server", "websocket")
"""In the order of a round: what is compared lies close together in time."""


@click.command("engine")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--profile", type=click.Choice(["all", "exact", "cpu-exact", "fast"]), default="all", show_default=True)
@click.option("--weights", default=models.SHIPPED, show_default=True, help="shipped, random-full, or a folder.")
@click.option("--arms", default="all", show_default=True, help="Some of: " + ", ".join(ARMS))
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True, help="Rounds after warming up.")
@click.option("--threads", type=click.IntRange(0, 256), default=0, help="CPU threads of every arm; 0: all cores.")
@click.option("--full", is_flag=True, help="The whole protocol: short, ordinary and long recordings (hours).")
@click.option("--headline", is_flag=True, help="One MP3 of 47 minutes.")
@click.option("--tiny", is_flag=True, help="Half a minute of sound: proves that everything runs, measures nothing.")
@click.option("--websocket-server", type=click.Path(path_type=Path, exists=True), help="FunASR's funasr_wss_server.py.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def engine_command(
    device: str,
    profile: str,
    weights: str,
    arms: str,
    rounds: int,
    threads: int,
    full: bool,
    headline: bool,
    tiny: bool,
    websocket_server: Path | None,
    as_json: bool,
) -> None:
    """Compare the engine with FunASR itself: speed, equality of text and times, memory."""
    if full + headline + tiny > 1:
        raise click.UsageError("--full, --headline and --tiny exclude each other")
    chosen = _chosen(arms, profile)
    end_tidily()
    facts = machine.torch_facts()
    if device == "cuda" and not facts["cuda"]:
        raise click.ClickException("no CUDA device here")
    on = "cuda" if device != "cpu" and facts["cuda"] else "cpu"
    threads = threads or os.cpu_count() or 1
    size = sets.FULL if full else sets.TINY if tiny else sets.DEFAULT
    # in /tmp by name: a socket's path has room for 107 bytes
    with tempfile.TemporaryDirectory(prefix="portal-bench-", dir="/tmp") as folder, ExitStack() as stack:
        work = Path(folder)
        setup = Setup(
            models.resolve(weights, _cache(), work, threads),
            on,
            threads,
            work,
            clients=16 if on == "cuda" else 4,
            websocket_server=websocket_server,
            exact_profile="cpu-exact" if profile == "cpu-exact" else "exact",
        )
        recordings, notes = sets.make(work / "set", size, on, headline=headline)
        warming, _ = sets.make(work / "warming", sets.TINY, on, headline=False)
        about = machine.describe(facts, threads)
        bench = Bench(setup, chosen, recordings, warming)
        bench.start(stack)
        bench.run(rounds)
        figures = {
            **bench.figures("wall" if on == "cuda" else "cpu"),
            "set": _set_figures("headline" if headline else size, recordings, notes),
            "weights": weights,
            "device": on,
            **about,
        }
    click.echo(json.dumps(figures, ensure_ascii=False) if as_json else "\n".join(report.lines(figures)))


def _chosen(arms: str, profile: str) -> list[str]:
    wanted = list(ARMS) if arms == "all" else [name.strip() for name in arms.split(",")]
    unknown = [name for name in wanted if name not in ARMS]
    if unknown:
        raise click.UsageError(f"no such arm: {', '.join(unknown)}; there are {', '.join(ARMS)}")
    without = {"all": set(), "fast": {"exact"}}.get(profile, {"fast"})
    return [name for name in ARMS if name in wanted and name not in without]


def _cache() -> Path:
    from portal.settings import load_settings

    return load_settings().instance / "bench"


def _set_figures(size: str, recordings: Sequence[Recording], notes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": size,
        "recordings": len(recordings),
        "audio_seconds": round(sum(recording.seconds for recording in recordings), 1),
        "mp3": sum(recording.path.suffix == ".mp3" for recording in recordings),
        "speech": speech.source(),
        "notes": list(notes),
    }


class Bench:
    """The arms of one run and what they measured."""

    def __init__(
        self, setup: Setup, chosen: Sequence[str], recordings: Sequence[Recording], warming: Sequence[Recording]
    ) -> None:
        """``warming``: short recordings of every kind of file; the first MP3 makes some decoders compile for 20 s."""
        self._setup, self._chosen = setup, list(chosen)
        self._recordings, self._warming = list(recordings), list(warming)
        self._arms: dict[str, Arm] = {}
        self._missing: dict[str, str] = {}
        self._rounds: dict[str, list[Round]] = {}
        self._files: Likeness | None = None
        self._alone: Likeness | None = None

    def start(self, stack: ExitStack) -> None:
        """Start every arm; one that can't run here is noted with its reason."""
        for name in self._chosen:
            if name == "reference":
                continue
            arm = self._make(name)
            try:
                arm.start(stack)
            except Unavailable as error:
                self._missing[name] = str(error)
            else:
                self._arms[name] = arm
        if "reference" in self._chosen and "automodel" not in self._arms:
            arm = AutoModelArm(self._setup)
            arm.start(stack)
            self._arms["reference"] = arm

    def _make(self, name: str) -> Arm:
        setup = self._setup
        cuda = setup.device == "cuda"
        processes = min(8, max(1, (os.cpu_count() or 2) // 2)) if cuda else 1
        repeat = 4 if cuda else 1
        match name:
            case "automodel":
                return AutoModelArm(setup)
            case "exact":
                return EngineArm(setup, name, setup.exact_profile, processes=processes, repeat=repeat)
            case "fast":
                return EngineArm(setup, name, "fast", processes=processes, repeat=repeat)
            case "ceiling":
                return CeilingArm(setup)
            case "funasr-server":
                return FunasrServerArm(setup)
            case _:
                return WebsocketArm(setup)

    def run(self, rounds: int) -> None:
        """Warm every arm up, measure round by round, arm by arm, then compare what was written."""
        for name, arm in list(self._arms.items()):
            if name != "ceiling":
                self._try(name, arm, self._warming)
        for _ in range(rounds):
            for name, arm in list(self._arms.items()):
                if name != "reference":
                    self._measure(name, arm)
        self._compare()

    def _measure(self, name: str, arm: Arm) -> None:
        if isinstance(arm, CeilingArm):
            segments = [s["span"] for result in self._ours() for s in result["segments"]]
            if not segments:
                self._missing[name] = "needs the exact arm, which finds the speech"
                del self._arms[name]
                return
            arm.lengths = [(end - begin) / 1000 for begin, end in segments]
        if (one := self._try(name, arm, self._recordings)) is not None:
            self._rounds.setdefault(name, []).append(one)

    def _try(self, name: str, arm: Arm, recordings: Sequence[Recording]) -> Round | None:
        """A round; an arm that fails at it is left out from then on, with the reason."""
        try:
            return arm.run(recordings)
        except Unavailable as error:
            self._missing[name] = str(error)
            self._rounds.pop(name, None)
            del self._arms[name]
            return None

    def _ours(self) -> list[dict[str, Any]]:
        """What the exact arm wrote in its first round, per recording."""
        return self._rounds["exact"][0].results if self._rounds.get("exact") else []

    def _compare(self) -> None:
        """Untimed: FunASR per segment over the comparable recordings, and over the segments the portal would cut."""
        ours, stock = self._arms.get("exact"), self._arms.get("automodel") or self._arms.get("reference")
        if "reference" not in self._chosen or not isinstance(stock, AutoModelArm) or not isinstance(ours, EngineArm):
            return
        same = [index for index, recording in enumerate(self._recordings) if recording.comparable]
        if not same:
            return
        recordings = [self._recordings[index] for index in same]
        names = [recording.path.stem for recording in recordings]
        reference = stock.with_batches(recordings, 1).results
        self._files = comparing.whole_files(names, [self._ours()[index] for index in same], reference)
        cut = ours.with_options(recordings, {}).results
        alone = [self._spans_alone(stock, r, mine) for r, mine in zip(recordings, cut, strict=True)]
        self._alone = comparing.segments(names, cut, alone)

    @staticmethod
    def _spans_alone(stock: AutoModelArm, recording: Recording, mine: dict[str, Any]) -> list[dict[str, Any]]:
        assert stock.child is not None
        spans = [segment["span"] for segment in mine["segments"]]
        found: list[dict[str, Any]] = stock.child.ask("spans", path=str(recording.path), spans=spans)["results"]
        return found

    def figures(self, basis: str) -> dict[str, Any]:
        """The report."""
        arms: dict[str, Any] = {name: {"available": False, "reason": reason} for name, reason in self._missing.items()}
        arms |= {name: report.arm_figures(self._arms[name], rounds) for name, rounds in self._rounds.items()}
        return {
            **report.ratios(self._rounds, basis),
            **report.likeness_figures(self._files, self._alone),
            "padding_efficiency": report.padding_efficiency(self._rounds),
            "arms": arms,
        }
