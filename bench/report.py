"""Tables of bench/results as Markdown, put between `<!-- bench:SUITE -->` and `<!-- /bench -->` of a document.

python -m bench.report [README.md ...]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.common import load
from tween.evaluate.impute import markdown as shares
from tween.evaluate.impute_video import markdown as gaps

MARK = re.compile(r"(<!-- bench:([\w-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> None:
    """Redraw every table of the documents named (README.md)."""
    for name in argv or sys.argv[1:] or ["README.md"]:
        path = Path(name)
        path.write_text(fill(path.read_text()))


def fill(text: str) -> str:
    """`text` with the tables between its marks drawn anew; marks of suites without results keep what they had."""

    def redraw(match: re.Match[str]) -> str:
        drawn = table(match[2])
        return match[0] if drawn is None else f"{match[1]}{drawn}\n{match[3]}"

    return MARK.sub(redraw, text)


def table(suite: str) -> str | None:
    """A suite's Markdown, None where it was never run."""
    result = load(suite)
    if result is None:
        return None
    draw = next(draw for prefix, draw in TABLES.items() if suite.startswith(prefix))
    return f"{draw(result)}\n\n{conditions(result)}"


def quality(result: dict[str, Any]) -> str:
    """A row a method."""
    rows = [(r["method"], f"{r['psnr']:.2f}", f"{r['ssim']:.3f}", f"{r['ie']:.2f}") for r in result["rows"]]
    return markdown(("", "PSNR, dB", "SSIM", "IE"), rows)


def flips(result: dict[str, Any]) -> str:
    """A row a method, with its difference from the first."""
    rows = [
        (r["method"], f"{r['psnr']:.2f}", f"{r['gain']:+.3f} ± {r['half']:.3f}", f"{r['ssim']:.4f}")
        for r in result["rows"]
    ]
    return markdown(("", "PSNR, dB", "against the first", "SSIM"), rows)


def cpu(result: dict[str, Any]) -> str:
    """A row a method, the quickest first."""
    timings = [(r["method"], r["seconds_per_new_frame"]) for r in result["rows"]]
    timings.sort(key=lambda pair: pair[1]["median"])
    rows = [(name, *(f"{t[k]:.3f}" for k in ("median", "least", "iqr", "cpu"))) for name, t in timings]
    return markdown(("", "s per new frame", "least", "IQR", "CPU seconds"), rows)


def gpu(result: dict[str, Any]) -> str:
    """A row a method, a column a size."""
    sizes = list(dict.fromkeys(r["size"] for r in result["rows"]))
    memory = [f", {r['mib']:.0f} MiB" if r["mib"] else "" for r in result["rows"]]
    cells = [f"{r['ms']:.1f} ms{more}" for r, more in zip(result["rows"], memory, strict=True)]
    at = {(r["method"], r["size"]): cell for r, cell in zip(result["rows"], cells, strict=True)}
    methods = dict.fromkeys(r["method"] for r in result["rows"])
    return markdown(("", *sizes), [(m, *(at.get((m, s), "-") for s in sizes)) for m in methods])


def whole(result: dict[str, Any]) -> str:
    """A row a model."""
    rows = []
    for r in result["rows"]:
        gpu_memory = f"{r['gpu_mib']:.0f}" if r["gpu_mib"] else "-"
        rows.append((r["method"], r["size"], f"{r['fps']:.1f}", f"{r['mib']:.0f}", gpu_memory))
    return markdown(("", "size", "frames/s", "peak memory, MiB", "of the GPU, MiB"), rows)


def drift(result: dict[str, Any]) -> str:
    """A row a way, loss and step of every size; beside them what batching saves, and the plan's figures."""
    columns = list(dict.fromkeys((r["what"], r["px"], r["features"]) for r in result["rows"]))
    at = {(r["way"], r["what"], r["px"]): f"{1e3 * r['seconds']['median']:.1f}" for r in result["rows"]}
    ways = dict.fromkeys(r["way"] for r in result["rows"])
    rows = [(way, *(at.get((way, what, px), "-") for what, px, _ in columns)) for way in ways]
    saved = [f"{result['speedups'][f'{what}/{px}']:.1f}x" for what, px, _ in columns]
    plan = result["plan"]
    theirs = [
        f"{plan[what]}x"
        + "".join(f", {1e3 * s:.0f}" for s in plan["step_seconds"][str(px)] if what == "step")
        for what, px, _ in columns
    ]
    rows += [("batched, times as fast as per class", *saved), (f"the plan's, {plan['gpu']}", *theirs)]
    return markdown(("ms", *(f"{what}, {px} px, {n} features" for what, px, n in columns)), rows)


def drift_toys(result: dict[str, Any]) -> str:
    """A table for each experiment: a row a method, a column a measure."""
    tables = []
    for what in dict.fromkeys(r["what"] for r in result["rows"]):
        rows = [r for r in result["rows"] if r["what"] == what]
        kinds = [k.removesuffix("_half") for k in rows[0] if k.endswith("_half")]
        cells = [(r["method"], *(_cell(r[k], r[f"{k}_half"]) for k in kinds)) for r in rows]
        tables.append(markdown((what, *kinds), cells))
    real = ", ".join(f"{name} {value:.3g}" for name, value in result["real"].items())
    return "\n\n".join([*tables, f"Between two real sets: {real}."])


def _cell(value: float, half: float | None) -> str:
    return f"{value:.3f}" if half is None else f"{value:.3f} ± {half:.3f}"


def raster(result: dict[str, Any]) -> str:
    """A row a case and direction, a column a backend at its own tile."""
    rows = [r for r in result["rows"] if "," not in r["backend"]]
    names = list(dict.fromkeys(r["backend"] for r in rows))
    at = {
        (r["case"], r["backward"], r["backend"]): f"{1e3 * r['seconds']['median']:.2f} ms, "
        f"{r['megapixels_per_s']:.2f} Mpx/s, {r['mib']:.0f} MiB"
        for r in rows
    }
    kinds = dict.fromkeys((r["case"], r["gaussians"], r["backward"]) for r in rows)
    lines = [
        (
            f"{case}: {n:,} Gaussians",
            "yes" if back else "no",
            *(at.get((case, back, name), "-") for name in names),
        )
        for case, n, back in kinds
    ]
    return markdown(("", "with backward", *names), lines)


def splat_speed(result: dict[str, Any]) -> str:
    """A row a size and N, for every precision the first frame of a gap, a further one, and memory."""
    kinds = list(dict.fromkeys(r["precision"] for r in result["rows"]))
    at = {
        (r["size"], r["frames"], r["precision"]): f"{r['first ms']:.1f} ms, {r['further ms']:.1f} ms"
        + (f", {r['peak MiB']:.0f} MiB" if r["peak MiB"] else "")
        for r in result["rows"]
    }
    cases = dict.fromkeys((size, n) for size, n, _ in at)
    lines = [(f"{size}, N = {n}", *(at.get((size, n, kind), "-") for kind in kinds)) for size, n in cases]
    return markdown(("first frame of a gap, each further one, peak", *kinds), lines)


def splat_windows(result: dict[str, Any]) -> str:
    """A row a method, a column a kind of windows; then differences with their confidence."""
    at = {(r["method"], r["kind"]): f"{r['psnr']:.2f}" for r in result["rows"]}
    at |= {
        (f"{d['a']} - {d['b']}", d["kind"]): f"{d['mean']:+.2f} ± {d['half']:.2f}"
        for d in result["differences"]
    }
    shots = {d["kind"]: d["units"] for d in result["differences"]}
    size = {r["kind"]: r["windows"] for r in result["rows"]}
    heads = [
        f"{kind}, {n} windows" + (f" of {shots[kind]} shots" if shots.get(kind, n) < n else "")
        for kind, n in size.items()
    ]
    lines = [
        (name, *(at.get((name, kind), "-") for kind in size)) for name in dict.fromkeys(n for n, _ in at)
    ]
    return markdown(("PSNR, dB", *heads), lines)


def impute_video(result: dict[str, Any]) -> str:
    """A row a gap and method."""
    return gaps(result["gaps"])


def keypatches(result: dict[str, Any]) -> str:
    """A row a share that is given and method."""
    return shares(result["table"], result["facts"]["floor"])


def ops(result: dict[str, Any]) -> str:
    """A row an operation, shape and direction."""
    rows = [
        (f"{r['op']} {r['shape']}", "yes" if r["backward"] else "no", f"{1e3 * r['seconds']['median']:.2f}")
        for r in result["rows"]
    ]
    return markdown(("", "with backward", "ms"), rows)


def conditions(result: dict[str, Any]) -> str:
    """Where and how it was measured, one line."""
    m = result["machine"]
    extension = f" ({m['instructions'][0]})" if m["instructions"] else ""
    where = m["gpu"] or f"{m['cores']} cores of {m['cpu']}{extension}"
    return f"{where}, torch {result['versions']['torch']}, {result['date']}: `{result['command']}`"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; numbers to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "quality": quality,
    "flips": flips,
    "cpu_720p": cpu,
    "gpu_latency": gpu,
    "end_to_end": whole,
    "raster": raster,
    "ops": ops,
    "drift_toys": drift_toys,  # before the shorter name
    "drift": drift,
    "splat_speed": splat_speed,
    "splat_windows": splat_windows,
    "impute_video": impute_video,
    "keypatches_ablations": keypatches,
}


if __name__ == "__main__":
    main()
