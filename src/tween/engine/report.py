"""report.md: a run for people to read: header, data, model and losses, runtime, results, decision."""

from __future__ import annotations

import json
import platform
import resource
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

UNDECIDED = (
    "Not decided yet: write here whether to keep or drop this run, and why. Later sittings leave it alone."
)
REPRESENTATION = "representation.md"
"""What a run may write beside its report, to be taken up in it: its feature space and classes."""
ROWS = 12
"""Of each table of results."""


def write(path: Path, config: dict[str, Any], logged: list[dict[str, Any]], step: int, speed: float) -> None:
    """The report of a run at `step`.

    Args:
        config: what run.json holds.
        logged: the lines of log.jsonl.
        speed: samples a second of this sitting.
    """
    sections = {
        "Header": header(config),
        "Data": table(config["about"].items()) if config["about"] else ["Not described."],
        "Model and losses": model(config),
        "Runtime": table(runtime(config, step, speed)),
        "Results": results(logged),
        "Decision": [decision(path)],
    }
    lines = [f"# {config['name']}"]
    for title, body in sections.items():
        lines += ["", f"## {title}", "", *body]
    path.write_text("\n".join(lines) + "\n")
    take_up(path)


def take_up(path: Path) -> None:
    """Put what is written in `REPRESENTATION` beside the report at `path` into it, before the decision."""
    beside = path.with_name(REPRESENTATION)
    if not (beside.exists() and path.exists()):
        return
    before, mark, after = path.read_text().partition("\n## Decision\n")
    before = before.partition("\n## Representation\n")[0].rstrip()
    path.write_text(f"{before}\n\n## Representation\n\n{beside.read_text().strip()}\n{mark}{after}")


def header(config: dict[str, Any]) -> list[str]:
    """One row a sitting."""
    names = ("began", "step", "branch", "git", "command")
    return rows(names, ([sitting[name] for name in names] for sitting in config["sittings"]))


def model(config: dict[str, Any]) -> list[str]:
    """Task, size, loss weights, optimiser, networks."""
    named = {"task": config["task"], "parameters": f"{config['parameters']:,}"}
    named |= config["settings"] | {"optimiser": config["optim"]} | config["configs"]
    return table(named.items())


def runtime(config: dict[str, Any], step: int, speed: float) -> Iterator[tuple[str, Any]]:
    """Batch, steps, throughput, device, memory."""
    yield "device", config["device"]
    yield "processes", config["world"]
    yield "versions", f"python {config['python']}, torch {config['torch']}, {platform.platform()}"
    yield "precision", config["precision"]
    yield "batch", f"{config['batch_size']} samples x {config['accumulate']} accumulated"
    yield "steps", f"{step} of {config['steps']}"
    yield "samples/s", f"{speed:.4g} in the last sitting, validation and saving left out"
    yield "peak memory", f"{peak_memory() / 2**30:.2f} GiB"


def results(logged: list[dict[str, Any]]) -> list[str]:
    """The curve of training and of validation, thinned out; the best of the latter."""
    training = [line for line in logged if "lr" in line]
    validated = [line for line in logged if "lr" not in line]
    lines = ["Nothing is logged yet."] if not logged else []
    for title, kept in (("Training", training), ("Validation", validated)):
        if kept:
            names = list(kept[-1])
            shown = rows(names, ([line.get(name, "") for name in names] for line in thinned(kept)))
            lines += [f"{title}:", "", *shown, ""]
    skipped = int(sum(line.get("skipped", 0) for line in training))
    return [*lines, f"Steps skipped because they were not finite: {skipped}."] if logged else lines


def thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `ROWS` of them, evenly spaced, first and last among them."""
    if len(lines) <= ROWS:
        return lines
    return [lines[round(i * (len(lines) - 1) / (ROWS - 1))] for i in range(ROWS)]


def decision(path: Path) -> str:
    """What somebody wrote under Decision in the report at `path`, if it is there."""
    old = path.read_text() if path.exists() else ""
    return old.partition("\n## Decision\n")[2].strip() or UNDECIDED


def table(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    """Two columns."""
    return rows(("", ""), pairs)


def rows(names: Iterable[str], values: Iterable[Iterable[Any]]) -> list[str]:
    """A table in Markdown."""
    names = list(names)
    return [_row(names), "|---" * len(names) + "|", *(_row(map(_text, line)) for line in values)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(json.dumps(value) if isinstance(value, (dict, list)) else value).replace("|", "\\|")


def peak_memory() -> int:
    """Bytes: the most that was allocated on the GPU, or held by this process where there is none."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")  # unlike getrusage, it can be set back
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
