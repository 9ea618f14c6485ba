"""Rendering Gaussians: pixels a second and peak memory of PyTorch, Triton and gsplat, forward and with backward.

    python -m bench.raster [--device cuda] [--runs 10]

The clouds are lifted frames: one Gaussian a pixel and frame, about half a pixel wide, displaced by a third of one.
Backends take turns in one run and are first held against each other; what this machine has not is said. Resolution
grows at two frames, Gaussians at one resolution. Needs only PyTorch and src on the path; gsplat if it is measured.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall small operations
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import argparse
import re
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from bench.common import save
from tween.core import TweenError
from tween.evaluate.timing import interleaved, measure
from tween.ops.raster import TILE, Camera, Gaussians, fused, pinhole, render

BACKENDS = ("torch", "triton", "gsplat")
CHANNELS = 6  # colour, flow, and a certainty
TUNED = [
    (4, 1, 1),
    (4, 1, 2),
    (4, 2, 4),
    (8, 2, 2),
    (8, 2, 8),
    (8, 4, 4),
    (16, 4, 8),
]  # tile, warps forward, backward


@dataclass(frozen=True)
class Case:
    """A picture and how many lifted frames it is rendered from."""

    height: int
    width: int
    frames: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}, {self.frames} frames"


CASES = {
    "cpu": [Case(128, 224, 2), Case(256, 448, 2), Case(256, 448, 1), Case(256, 448, 4)],
    "cuda": [
        Case(256, 448, 2), Case(720, 1280, 2), Case(1080, 1920, 2), Case(256, 448, 1), Case(256, 448, 4),
        Case(256, 448, 8), Case(256, 448, 16),
    ],
}  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/raster_DEVICE.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--runs", type=int, help="by default 20 on a GPU, 3 without")
    arguments = parser.parse_args(argv)
    device = torch.device(arguments.device)
    present, notes = backends(device)
    agreement = agree(present, device)
    runs = arguments.runs or (20 if device.type == "cuda" else 3)
    name = torch.cuda.get_device_name().replace(" ", "-").lower() if device.type == "cuda" else "cpu"
    about = {"channels": CHANNELS, "tile": TILE[device.type], "agreement": agreement, "notes": notes}
    rows: list[dict[str, Any]] = []
    for case in CASES[device.type]:
        rows += at(case, present, device, runs)
        print(save(f"raster_{name}", rows, **about), flush=True)  # what follows may take long
    if "triton" in present:
        save(f"raster_{name}", rows + tuned(device, runs), **about)


def lifted(case: Case, device: torch.device) -> tuple[Gaussians, Camera]:
    """The cloud of a case, and its camera."""
    camera, n = pinhole(case.height, case.width), case.height * case.width * case.frames
    random = torch.Generator(device).manual_seed(0)
    like = {"device": device, "generator": random}
    y, x = torch.meshgrid(torch.arange(case.height), torch.arange(case.width), indexing="ij")
    xy = torch.stack((x, y), -1).flatten(0, 1).to(device).repeat(case.frames, 1) + 0.5
    z = 1 + 0.2 * torch.rand(n, 1, **like)
    xy = xy + torch.randn(n, 2, **like) / 3 - torch.tensor((camera.cx, camera.cy), device=device)
    values = (
        torch.cat((xy / camera.fx * z, z), -1),
        torch.tensor((1.0, 0, 0, 0), device=device).expand(n, 4),
        (0.4 + 0.2 * torch.rand(n, 3, **like)) * z / camera.fx,
        torch.full((n,), 0.9, device=device),
        torch.rand(n, CHANNELS, **like),
    )
    return Gaussians(*(v[None].contiguous().requires_grad_() for v in values)), camera


def backends(device: torch.device) -> tuple[list[str], list[str]]:
    """Those that render here, and in a sentence why another does not."""
    present, notes = [], []
    for backend in BACKENDS:
        try:
            step(*lifted(Case(32, 32, 1), device), backend, backward=True)()
            present.append(backend)
        except (TweenError, ImportError, RuntimeError) as error:
            notes.append(f"{backend}: {str(error).splitlines()[0]}")
            print(notes[-1], flush=True)
    return present, notes


def step(
    gaussians: Gaussians, camera: Camera, backend: str, *, backward: bool, tile: int | None = None
) -> Callable[[], Any]:
    """One rendering, with all gradients or without."""

    def run() -> Any:
        with torch.set_grad_enabled(backward):
            rendered = render(gaussians, camera, backend=backend, tile=tile)  # type: ignore[arg-type]
            if not backward:
                return rendered
            total = rendered.colour.square().sum() + rendered.depth.sum()
            return torch.autograd.grad(total, list(vars(gaussians).values()))

    return run


def agree(present: list[str], device: torch.device) -> dict[str, list[float]]:
    """How far each backend's colours and five gradients lie from PyTorch's in fp64, of their largest value."""
    g, camera = lifted(Case(96, 128, 2), device)
    wide = g.map(lambda t: t.detach().double().requires_grad_())

    def results(cloud: Gaussians, backend: str) -> list[torch.Tensor]:
        value = step(cloud, camera, backend, backward=False)().colour
        return [value, *step(cloud, camera, backend, backward=True)()]

    truth = results(wide, "torch")
    apart = {}
    for backend in present:
        pairs = zip(results(g, backend), truth, strict=True)
        apart[backend] = [((a - b).abs().max() / b.abs().max()).item() for a, b in pairs]
        print(
            f"{backend}: colour and gradients of means, quats, scales, opacity, colour within {apart[backend]}"
        )
    return apart


def at(
    case: Case, present: list[str], device: torch.device, runs: int, tile: int | None = None
) -> list[dict[str, Any]]:
    """A row a backend and direction."""
    cloud = lifted(case, device)
    works = {(b, back): step(*cloud, b, backward=back, tile=tile) for b in present for back in (False, True)}
    if device.type == "cuda":
        timed = {key: measure(work, runs, str(device)) for key, work in works.items()}
    else:
        timings = interleaved({str(key): work for key, work in works.items()}, runs=runs)
        timed = {key: (timings[str(key)], alone(case, key[1])) for key in works}
    rows = []
    for (backend, backward), (timing, mib) in timed.items():
        pixels = case.height * case.width / timing.median
        rows.append(
            {
                "case": str(case),
                "gaussians": case.height * case.width * case.frames,
                "backend": backend,
                "backward": backward,
                "seconds": timing,
                "megapixels_per_s": pixels / 1e6,
                "mib": mib,
            }
        )
        kind = "forward + backward" if backward else "forward"
        numbers = f"{timing.median * 1e3:9.2f} ms {pixels / 1e6:9.2f} Mpx/s {mib:8.0f} MiB"
        print(f"{case!s:22} {backend:8} {kind:18} {numbers}", flush=True)
    return rows


def tuned(device: torch.device, runs: int) -> list[dict[str, Any]]:
    """The kernels at other tiles, and warps of the forward and the backward pass."""
    case, kept, rows = CASES[device.type][0], (dict(fused.FORWARD), dict(fused.BACKWARD)), []
    for tile, forward, backward in TUNED:
        fused.FORWARD["num_warps"], fused.BACKWARD["num_warps"] = forward, backward
        for row in at(case, ["triton"], device, runs, tile):
            rows.append(row | {"backend": f"triton, tile {tile}, warps {forward} and {backward}"})
    fused.FORWARD, fused.BACKWARD = kept
    return rows


def alone(case: Case, backward: bool) -> float:
    """MiB by which a process of its own grows when it renders a case once on the CPU."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(growth, case, backward).result()


def growth(case: Case, backward: bool) -> float:
    """MiB by which the most this process ever held grows."""
    work, before = step(*lifted(case, torch.device("cpu")), "torch", backward=backward), most()
    work()
    return most() - before


def most() -> float:
    """MiB this process ever held. On Linux `getrusage` would count what its parent held when it was started."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 2**10


if __name__ == "__main__":
    main()
