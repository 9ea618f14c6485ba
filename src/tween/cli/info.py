"""`tween info PRESET`: parameters, floating-point operations and memory of a preset, before anything is trained."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from tween.core import TweenError

STEPS = {"encode": "once a frame", "pair": "once a pair", "at": "each time between"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Parameters of each part, FLOPs of one new frame (a multiply-add is two) and peak memory of a preset."""

    preset: Annotated[Positional[str], arg(metavar="PRESET")]
    """fast, thesis or quality."""
    height: int = 720
    """Of the frames, in pixels; rounded up to what the network needs."""
    width: int = 1280
    """As height."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Numbers the network computes with: memory depends on it."""
    json: bool = False
    """Print JSON."""


def presets() -> dict[str, dict[str, Callable[[], Any]]]:
    """Preset -> its phases -> how to build the network. Imports torch, so only when asked."""
    from tween.models.interp.config import THESIS
    from tween.models.interp.fast import FastNet
    from tween.models.interp.net import HybridNet
    from tween.models.interp.quality import QualityNet

    phases = {
        "phase 1 (backbone, refinement)": lambda: HybridNet(replace(THESIS, phase=1)),
        "phase 2 and 3 (with flow, context)": lambda: HybridNet(THESIS),
    }
    return {"fast": {"whole": FastNet}, "thesis": phases, "quality": {"whole": QualityNet}}


def main(argv: list[str]) -> int:
    """Parse, count, print."""
    options = tyro.cli(Options, args=argv, prog="tween info", config=(tyro.conf.FlagCreatePairsOff,))
    if min(options.height, options.width) < 1:
        raise TweenError(f"a frame has at least one pixel each way, but got {options.width}x{options.height}")
    known = presets()
    if options.preset not in known:
        raise TweenError(f"there is no preset {options.preset!r}; there are {', '.join(known)}")
    phases = {name: measure(build, options) for name, build in known[options.preset].items()}
    if options.json:
        print(jsonlib.dumps({**asdict(options), "phases": phases}, indent=2))
    else:
        print(f"{options.preset}: one new frame at {options.width}x{options.height}, {options.precision}")
        for name, phase in phases.items():
            print("\n".join(table(name, phase)))
    return 0


def measure(build: Callable[[], Any], options: Options) -> dict[str, Any]:
    """Parameters, operations and peak bytes of one network at the asked size."""
    import torch

    from tween.evaluate.cost import cost

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[options.precision]
    with torch.device("meta"):
        net = build().to(dtype)
        height, width = (-(-n // net.multiple) * net.multiple for n in (options.height, options.width))
        image, t = torch.empty(1, 3, height, width, dtype=dtype), torch.empty(1)
    found = cost(net, image, image.clone(), t)
    return {
        "parameters": {**found.parameters, "total": sum(found.parameters.values())},
        "flops": {**found.flops, "total": sum(found.flops.values())},
        "flops_by_part": found.flops_by_part,
        "flops_by_step": found.flops_by_step,
        "peak_bytes": found.peak_bytes,
    }


def table(name: str, phase: dict[str, Any]) -> list[str]:
    """Lines that show one network: parts, then kinds of work, then memory."""
    parameters, flops, by_part = phase["parameters"], phase["flops"], phase["flops_by_part"]
    rest = by_part.get("-", 0) / 1e9
    lines = ["", f"{name:36}{'parameters':>14}{'GFLOP':>12}"]
    for part, count in parameters.items():
        work = flops["total"] if part == "total" else by_part.get(part, 0)
        if part == "total" and rest:
            lines.append(f"  {'between the parts':34}{'':14}{rest:12,.1f}")
        lines.append(f"  {part:34}{count:14,}{work / 1e9:12,.1f}")
    kinds = ", ".join(f"{kind} {work / 1e9:,.1f}" for kind, work in flops.items() if kind != "total")
    steps = ", ".join(f"{STEPS[step]} {work / 1e9:,.1f}" for step, work in phase["flops_by_step"].items())
    return [
        *lines,
        f"  of it: {kinds}",
        f"  {steps}",
        f"  peak memory: {phase['peak_bytes'] / 2**30:,.2f} GiB",
    ]
