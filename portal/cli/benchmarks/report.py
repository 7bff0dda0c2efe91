"""From rounds to figures: medians, ranges, ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from portal.cli.benchmarks.arms import Arm, Round
from portal.cli.benchmarks.comparing import Likeness

Rounds = Mapping[str, Sequence[Round]]
RATIOS = (
    ("ratio_exact_vs_automodel", "automodel", "exact"),
    ("ratio_fast_vs_automodel", "automodel", "fast"),
    ("ratio_exact_vs_server", "funasr-server", "exact"),
    ("ratio_exact_vs_websocket", "websocket", "exact"),
    ("fraction_of_ceiling", "ceiling", "exact"),
)
"""Name, the arm above the line, the arm below it: cost per second of sound of one divided by that of the other."""


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median and range."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def cost(one: Round, basis: str) -> float:
    """Seconds of ``cpu`` or ``wall`` per second of sound."""
    return (one.cpu if basis == "cpu" else one.wall) / one.audio


def ratio(rounds: Rounds, above: str, below: str, basis: str) -> dict[str, float] | None:
    """Median and range of the ratio, round by round; None when an arm did not run."""
    pairs = list(zip(rounds.get(above, ()), rounds.get(below, ()), strict=False))
    return spread([cost(a, basis) / cost(b, basis) for a, b in pairs]) if pairs else None


def ratios(rounds: Rounds, basis: str) -> dict[str, Any]:
    """The named ratios on ``basis`` (a number each, None when an arm did not run), and all of them in detail."""
    detail = {name: {b: ratio(rounds, up, low, b) for b in ("cpu", "wall")} for name, up, low in RATIOS}
    chosen = {name: values[basis] for name, values in detail.items()}
    heads = {name: None if value is None else value["median"] for name, value in chosen.items()}
    return {**heads, "ratio_basis": basis, "ratios": detail}


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest value at ``share`` (0..1) of the sorted values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def arm_figures(arm: Arm, rounds: Sequence[Round]) -> dict[str, Any]:
    """One arm: seconds, speed, latency, memory."""
    latencies = [latency for one in rounds for latency in one.latencies]
    peaks = [one.gpu_peak_mib for one in rounds if one.gpu_peak_mib is not None]
    figures: dict[str, Any] = {
        "available": True,
        "rounds": len(rounds),
        "audio_seconds": round(rounds[0].audio, 1),
        "wall_seconds": spread([one.wall for one in rounds]),
        "cpu_seconds": spread([one.cpu for one in rounds]),
        "audio_per_wall": spread([one.audio / one.wall for one in rounds], 1),
        "audio_per_cpu": spread([one.audio / one.cpu for one in rounds], 1),
        "peak_rss_mib": arm.rss_mib,
    }
    if rounds[0].results:
        figures["characters"] = rounds[0].characters
    if latencies:
        figures["latency_seconds"] = {
            name: round(percentile(latencies, share), 3) for name, share in (("p50", 0.5), ("p95", 0.95))
        }
    if rounds[0].parts:
        figures["parts"] = {
            name: round(statistics.median(one.parts[name] for one in rounds), 3) for name in rounds[0].parts
        }
    if peaks:
        figures["peak_gpu_mib"] = max(peaks)
    return figures


def likeness_figures(files: Likeness | None, alone: Likeness | None) -> dict[str, Any]:
    """Equality of whole files (``identical_*``) and of single segments under the portal's own way of cutting."""
    nothing = {"equal": 0, "of": 0}
    figures: dict[str, Any] = {
        "identical_text": nothing if files is None else files.text.to_json(),
        "identical_timestamps": nothing if files is None else files.times.to_json(),
        "identical_segments": nothing if alone is None else alone.text.to_json(),
        "identical_segment_timestamps": nothing if alone is None else alone.times.to_json(),
    }
    if files is not None:
        figures["character_difference"] = round(files.error_rate, 6)
        figures["differences"] = files.examples + (alone.examples if alone else [])
    return figures


def padding_efficiency(rounds: Rounds) -> float | None:
    """Share of computed encoder frames that were speech, over all rounds of the exact arm."""
    found = [one.padding_efficiency for one in rounds.get("exact", ()) if one.padding_efficiency is not None]
    return round(statistics.median(found), 4) if found else None


def lines(figures: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    out = []
    for name, values in figures["arms"].items():
        if not values["available"]:
            out.append(f"{name:16} not measured: {values['reason']}")
            continue
        wall, cpu = values["wall_seconds"], values["cpu_seconds"]
        line = f"{name:16} wall {wall['median']:9.2f} s ({wall['min']:.2f} to {wall['max']:.2f})"
        line += f"   CPU {cpu['median']:9.2f} s   {values['audio_per_wall']['median']:8.1f} x real time"
        out.append(line + f"   {values['peak_rss_mib']} MiB")
    out.append("")
    for name, values in figures["ratios"].items():
        shown = [f"{basis} {v['median']:.3f} ({v['min']:.3f} to {v['max']:.3f})" for basis, v in values.items() if v]
        out.append(f"{name:28} {', '.join(shown) or 'not measured'}")
    for name, value in figures.items():
        if name == "differences":
            out += [f"difference  {text}" for text in value[:20]]
        elif name not in ("arms", "ratios", *(ratio[0] for ratio in RATIOS)):
            out.append(f"{name:28} {value}")
    return out
