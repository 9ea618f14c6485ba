"""The drifting loss and a training step with it, at the plan's setting: 8 classes of 4 and 126 features (242 at
256 px); class by class as the plan's first form did, and batched.

    python -m bench.drift [--device cuda] [--sizes 64 256] [--runs 5] [--compiled]

Needs only PyTorch, safetensors and src on the path. Refiner and encoder are stand-ins with random weights
(drift_nets.py).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall small operations
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.common import save
from bench.drift_nets import Refiner, ResNet18, features
from tween.evaluate.timing import interleaved
from tween.ops.drift import TEMPERATURES, Weights, drift_loss, unconditional

CLASSES, EACH, POSITIVES, UNCONDITIONAL = 8, 4, 64, 16
QUEUE = 128  # real samples a class, from which positives are drawn
PLAN = {"gpu": "NVIDIA B200", "loss": 8.8, "step": 6.1, "step_seconds": {"64": [0.85, 1.05], "256": [1.9]}}
"""Speed-ups of loss and step by batching classes, and seconds a step by size, as the plan reports them."""

Groups = dict[str, Tensor]
Loss = Callable[[Groups, Groups, Groups, Tensor], Tensor]


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/drift_DEVICE.json."""
    arguments = parse(argv)
    device = torch.device(arguments.device)
    rows = [row for px in arguments.sizes for row in at_size(px, device, arguments)]
    name = torch.cuda.get_device_name().replace(" ", "-").lower() if device.type == "cuda" else "cpu"
    setting = {"classes": CLASSES, "each": EACH, "positives": POSITIVES, "unconditional": UNCONDITIONAL}
    print(save(f"drift_{name}", rows, setting=setting, plan=PLAN, speedups=speedups(rows)))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", type=int, nargs="*", help="by default 64 and 256, without a GPU only 64")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compiled", action="store_true", help="also through torch.compile")
    arguments = parser.parse_args(argv)
    arguments.sizes = arguments.sizes or ([64] if arguments.device == "cpu" else [64, 256])
    return arguments


def one_class(x: Tensor, pos: Tensor, unc: Tensor, weight: Tensor, tau: float) -> Tensor:
    """A class's loss at one location and one temperature, from its own distances: `n d`, `p d`, `m d`, `m` -> scalar.

    Without the statistics that the plan's form gathered in every call.
    """
    with torch.no_grad():
        y, w = torch.cat([pos, x, unc]), torch.cat([weight.new_ones(len(pos) + len(x)), weight])
        distance = torch.cdist(x, y)
        scale = ((distance * w).mean() / w.mean() / x.shape[1] ** 0.5).clamp(min=1e-3)
        own = torch.arange(len(x), device=x.device)
        logits = -distance / (scale * tau * x.shape[1] ** 0.5)
        logits[own, own + len(pos)] = -1e6
        a = ((logits + w.clamp(min=1e-30).log()).softmax(1) * logits.softmax(0) * w).sqrt()
        a[own, own + len(pos)] = 0
        toward, away = a[:, : len(pos)], a[:, len(pos) :]
        v = (toward * away.sum(1, keepdim=True)) @ y[: len(pos)] - (away * toward.sum(1, keepdim=True)) @ y[
            len(pos) :
        ]
        v = v / scale
        v = v / v.square().mean().sqrt().clamp(min=1e-12)
    phi = x / scale
    return (phi - (phi + v).detach()).square().mean()


def per_class(x: Groups, pos: Groups, unc: Groups, weight: Tensor) -> Tensor:
    """The plan's first form: every class, location and temperature by itself."""
    total = weight.new_zeros(())
    for name, group in x.items():
        for c in range(group.shape[0]):
            for at in range(group.shape[2]):
                parts = (part[c, :, at] for part in (group, pos[name], unc[name]))
                mine, real, common = (part.float() for part in parts)
                for tau in TEMPERATURES:
                    total = total + one_class(mine, real, common, weight[c], tau) / group.shape[0]
    return total


def batched(x: Groups, pos: Groups, unc: Groups, weight: Tensor, **switches: object) -> Tensor:
    """`ops.drift`'s loss."""
    loss = drift_loss(x, pos, unc, weights=Weights(neg=weight), **switches)
    return loss[0] if switches.get("diagnostics") else loss


def nothing(x: Groups, *_: object) -> Tensor:
    """A loss that costs next to nothing: what is left of a step."""
    return sum(group.square().mean() for group in x.values())


@dataclass
class Step:
    """One training step: refine a batch, encode it and a real one, draw positives from queues, loss, AdamW."""

    px: int
    device: torch.device
    bf16: bool = False

    def __post_init__(self):
        torch.manual_seed(0)
        self.encoder, self.net = ResNet18().to(self.device), Refiner(self.px).to(self.device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), 2e-4)
        self.coarse, self.real = torch.rand(2, CLASSES * EACH, 3, self.px, self.px, device=self.device)
        self.weight = unconditional(torch.linspace(1, 3, CLASSES, device=self.device), EACH, UNCONDITIONAL)
        with torch.no_grad():
            known = self.encode(self.real)
        self.queues = {
            k: torch.randn(CLASSES, QUEUE, *v.shape[2:], device=self.device) for k, v in known.items()
        }

    def encode(self, pictures: Tensor) -> Groups:
        """Features `c n l d` and the picture itself, which is the branch without an encoder."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            maps = self.encoder(pictures)
        found = features(pictures, [stage.float() for stage in maps]) | {
            "vanilla": pictures.flatten(1)[:, None]
        }
        return {k: v.unflatten(0, (CLASSES, EACH)) for k, v in found.items()}

    def drawn(self) -> tuple[Groups, Groups]:
        """Positives of each class and real samples of any, from the queues."""
        own = torch.rand(CLASSES, QUEUE, device=self.device).argsort(1)[:, :POSITIVES]
        common = torch.randperm(CLASSES * QUEUE, device=self.device)[: CLASSES * UNCONDITIONAL]
        rows = torch.arange(CLASSES, device=self.device)[:, None]
        unc = {k: q.flatten(0, 1)[common].unflatten(0, (CLASSES, -1)) for k, q in self.queues.items()}
        return {k: q[rows, own] for k, q in self.queues.items()}, unc

    def __call__(self, loss: Loss) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            made = self.net(self.coarse)
        x = self.encode(made.float())
        with torch.no_grad():
            new = self.encode(self.real)
            for name, queue in self.queues.items():
                queue[:, :EACH] = new[name]
        loss(x, *self.drawn(), self.weight).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def loss_alone(self, loss: Loss) -> Callable[[], None]:
        """Forward and backward of the loss on given features."""
        with torch.no_grad():
            x = self.encode(self.net(self.coarse).float())
        pos, unc = self.drawn()
        leaves = {k: v.clone().requires_grad_() for k, v in x.items()}
        return lambda: torch.autograd.grad(loss(leaves, pos, unc, self.weight), list(leaves.values()))


def at_size(px: int, device: torch.device, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """A row each of loss and step, and of their forms, which take turns."""
    step, half = Step(px, device), Step(px, device, bf16=True)
    ways: dict[str, Loss] = {"per class": per_class, "batched": batched}
    ways |= {
        "batched bf16": partial(batched, dtype=torch.bfloat16),
        "batched diagnostics": partial(batched, diagnostics=True),
    }
    if arguments.compiled:
        ways["batched compiled"] = partial(batched, compiled=True)
    cases = {("loss", way): step.loss_alone(loss) for way, loss in ways.items()}
    cases |= {("step", way): partial(step, ways[way]) for way in ("per class", "batched")}
    cases |= {("step", "batched, networks bf16"): partial(half, batched)}
    cases |= {("step", "without drifting"): partial(step, nothing)}
    quick = {key: case for key, case in cases.items() if key[1] != "per class"}
    timings = interleaved({k: timed(c, device) for k, c in cases.items()}, runs=arguments.runs)
    if device.type == "cuda":  # what takes milliseconds deserves more runs
        timings |= interleaved(
            {k: timed(c, device) for k, c in quick.items()}, runs=10 * arguments.runs, warmup=5
        )
    count = sum(v.shape[2] for v in step.queues.values())
    rows = [{"px": px, "features": count, "what": a, "way": b, "seconds": t} for (a, b), t in timings.items()]
    for row in rows:
        print(
            f"{px:4} px  {count} features  {row['what']:5} {row['way']:24} {row['seconds'].median * 1e3:9.2f} ms",
            flush=True,
        )
    return rows


def timed(case: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """`case`, waited for."""

    def run() -> None:
        case()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def speedups(rows: list[dict[str, object]]) -> dict[str, float]:
    """How much longer the first form takes, by `what/px`."""
    at = {(r["what"], r["px"], r["way"]): r["seconds"].median for r in rows}
    return {
        f"{what}/{px}": at[what, px, "per class"] / at[what, px, way]
        for what, px, way in at
        if way == "batched"
    }


if __name__ == "__main__":
    main()
