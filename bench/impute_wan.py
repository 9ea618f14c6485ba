"""A training step of the video refiner in the shape of Wan 2.1's 1.3B transformer, random weights, beside the plan's.

    python -m bench.impute_wan [--device cuda] [--batch 2] [--latents 21] [--size 60 104] [--runs 5]

480x832 frames are latents of 60x104; 21 of them are 81 frames, 32,760 tokens. Full attention, bf16 autocast, blocks run
again in the backward pass, but for attention; the plan's had sparse attention, and its size of frames is not said.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch.nn import functional as F

from bench.common import save
from tween.models.impute.config import WAN_1_3B, VideoConfig
from tween.models.impute.masks import every
from tween.models.impute.net import VideoRefiner

PLAN = {"gpu": "NVIDIA B200", "batch": 2, "latents": 21, "step_seconds": 2.64}
"""As the plan reports it, with sparse linear attention."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write results/impute_wan_DEVICE.json."""
    a = parse(argv)
    device = torch.device(a.device)
    config = WAN_1_3B
    if a.layers:
        config = replace(
            config, trunk=replace(config.trunk, layers=a.layers, width=a.width, ffn=2 * a.width, heads=4)
        )
    seconds, parameters = steps(config, device, a.batch, a.latents, tuple(a.size), a.runs)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None
    row = {
        "batch": a.batch,
        "latents": a.latents,
        "size": a.size,
        "tokens": a.latents * a.size[0] * a.size[1] // config.patch**2,
        "parameters": parameters,
        "step_seconds": median(seconds),
        "fastest": min(seconds),
        "slowest": max(seconds),
        "latents_per_second": a.batch * a.latents / median(seconds),
        "peak_gib": peak,
    }
    name = torch.cuda.get_device_name().replace(" ", "-").lower() if device.type == "cuda" else "cpu"
    print(save(f"impute_wan_{name}", [row], plan=PLAN))


def steps(
    config: VideoConfig, device: torch.device, batch: int, latents: int, size: tuple[int, int], runs: int
) -> tuple[list[float], int]:
    """Seconds of each of `runs` steps behind two that are not counted, and parameters."""
    torch.manual_seed(0)
    with device:
        net = VideoRefiner(config)
        clip = torch.randn(batch, latents, config.channels, *size)
    net.net.recompute = True
    known = every(latents, 4).to(device).expand(batch, -1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
    seconds = []
    for _ in range(runs + 2):
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16):
            made = net(clip, known)
        F.mse_loss(made.float(), torch.zeros_like(clip)).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return seconds[2:], sum(p.numel() for p in net.parameters())


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options above; `--layers` and `--width` are for trying it out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--latents", type=int, default=21)
    parser.add_argument("--size", type=int, nargs=2, default=[60, 104], metavar=("H", "W"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--layers", type=int, default=0, help="a small one instead")
    parser.add_argument("--width", type=int, default=64, help="of the small one")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
