"""Where a training step goes: kernels by the time they take on the device, over random batches that lie there.

python -m bench.profile_step [--recipe thesis] [--batch-size 16] [--crop 256 256] [--device auto] [--no-compile]
"""

from __future__ import annotations

import argparse

import torch
from torch.profiler import ProfilerActivity, profile

from bench import scaling
from tween.engine.distributed import Ranks
from tween.engine.loop import begin, take_step
from tween.zoo.load import place

WARM = 4  # steps, the first of which compiles


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--recipe", choices=list(scaling.SHAPES), default="thesis")
    p.add_argument("--batch-size", type=int, default=16)
    p.add_argument("--crop", type=int, nargs=2, default=(256, 256), metavar=("H", "W"))
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--rows", type=int, default=40)
    p.add_argument("--device", default="auto")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    return p


def main(argv: list[str] | None = None) -> None:
    """Print milliseconds and calls a step, the longest first."""
    args = parser().parse_args(argv)
    device = place(args.device)
    run = scaling.build(args.recipe, args.batch_size, tuple(args.crop), device, compiled=args.compiled)
    state = begin(run, False, Ranks())
    for _ in range(WARM):
        take_step(run, state, Ranks())
    kind = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
    with profile(activities=[kind]) as found:
        for _ in range(args.steps):
            take_step(run, state, Ranks())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    spent = [(spent_us(event, device), event) for event in found.key_averages()]
    print(f"{sum(us for us, _ in spent) / args.steps / 1e3:10.2f} ms a step")
    for us, event in sorted(spent, key=lambda pair: -pair[0])[: args.rows]:
        print(f"{us / args.steps / 1e3:10.2f} ms {event.count // args.steps:5d}x  {event.key[:110]}")


def spent_us(event: torch.autograd.profiler_util.FunctionEventAvg, device: torch.device) -> float:
    """Microseconds in the event itself."""
    return event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total


if __name__ == "__main__":
    main()
