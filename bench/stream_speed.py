"""Frames a second of worlds, first-frame latency, and what takes the time: ours, and Matrix-Game 2's `universal` shape
with random weights, autoencoders included. Few steps beside many, blocks of 1, 3, 5 and 10 latents, and what 150
latents (597 frames) take in each.

    python -m bench.stream_speed [--worlds ours matrix] [--world FILE] [--sizes 1 3 5 10] [--steps 3 50] [--blocks 12]
        [--eager] [--compile] [--device cuda]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bench.common import save
from tween.models.stream.actions import Actions
from tween.models.stream.cache import begin
from tween.models.stream.config import DOOM, MATRIX_GAME_2, Rule, StreamConfig
from tween.models.stream.masks import settled
from tween.models.stream.net.net import StreamNet
from tween.models.stream.replays import Replays
from tween.models.stream.sampling import Sampling, even, next_block
from tween.models.stream.timeline import block_frames
from tween.nn.vae import SMALL, WAN, WanConfig, WanVAE
from tween.ops.replay import replayed
from tween.zoo.load import place
from tween.zoo.worlds import load_world

PAST = 3  # latents that a block sees besides its own: the window is 6 where a block has 3
CLIP = 257  # tokens of a seed picture
FEW = Sampling()


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is timed: network, autoencoder, (h, w) of a frame, and the type it is computed in on a GPU."""

    net: StreamConfig
    vae: WanConfig
    size: tuple[int, int]
    dtype: torch.dtype


SHAPES = {
    "ours": Shape(net=DOOM, vae=SMALL, size=(96, 128), dtype=torch.float16),
    "matrix": Shape(net=MATRIX_GAME_2, vae=WAN, size=(352, 640), dtype=torch.bfloat16),
}
WHOLE = 150  # latents of a video


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/stream_speed.json."""
    options = parse(argv)
    rows = []
    for name in options.worlds:
        for row in measured(name, SHAPES[name], options):
            print("  ".join(f"{key} {shown(value)}" for key, value in row.items()), flush=True)
            rows.append(row)
    save("stream_speed", rows, device=options.device, compiled=options.compile, eager=options.eager)


def shown(value: Any) -> str:
    """Numbers briefly."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", nargs="*", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--world", help="file of a world to take for ours; else random weights of its size")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 3, 5, 10], help="latents of a block")
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[3, 50], help="3: as distilled; else even ones"
    )
    parser.add_argument("--blocks", type=int, default=12, help="that are timed, of each case")
    parser.add_argument("--eager", action="store_true", help="no CUDA graphs")
    parser.add_argument("--compile", action="store_true", help="the blocks of the networks")
    parser.add_argument("--device", default="auto")
    return parser.parse_args(argv)


def measured(name: str, shape: Shape, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each case; only one network is held at a time."""
    where = place(options.device)
    dtype = shape.dtype if where.type == "cuda" else torch.float32
    net, vae = built(shape, where, dtype, options.world if name == "ours" else None)
    if options.compile:
        for block in net.blocks:
            block.compile()
    for steps, size in itertools.product(options.steps, options.sizes):
        sampling = FEW if steps == len(FEW.steps) else even(steps)
        net.config = replace(net.config, rule=Rule(block=size, window=size + PAST))  # no weight depends on it
        few = max(
            2, options.blocks * 4 // len(sampling.levels) if len(sampling.levels) > 4 else options.blocks
        )
        yield {
            "world": name,
            "size": "{1}x{0}".format(*shape.size),
            "latents a block": size,
            "steps": len(sampling.levels),
        } | walked(net, vae, shape.size, sampling, few, eager=options.eager)


def built(
    shape: Shape, where: torch.device, dtype: torch.dtype, file: str | None
) -> tuple[StreamNet, WanVAE]:
    """Network and autoencoder, made where they run: on a CPU, drawing 1.6 G weights takes longer than all the rest."""
    if file:
        filler = load_world(file, str(where)).filler
        return filler.net, filler.codec
    torch.manual_seed(0)
    with where:
        return StreamNet(shape.net).eval().to(dtype), WanVAE(shape.vae).eval().to(dtype)


@torch.inference_mode()
def walked(
    net: StreamNet,
    vae: WanVAE,
    size: tuple[int, int],
    sampling: Sampling,
    blocks: int,
    *,
    eager: bool = False,
) -> dict[str, float]:
    """Walk twice from one picture: first to warm up, then timed, block by block. What counts are the `blocks` after
    those in which the window fills and graphs are captured."""
    where, rule = next(net.parameters()).device, net.config.rule
    decode, early = vae.decode if eager else replayed(vae.decode), settled(rule) // rule.block + 1
    walk(net, vae, decode, size, sampling, 3, eager)
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    encode, made = walk(net, vae, decode, size, sampling, early + blocks, eager)
    frames = len(block_frames(1, rule.block))
    network, decoder = (statistics.median(times) for times in zip(*made[early:], strict=True))
    begun, more = [sum(block) for block in made[:early]], -(-WHOLE // rule.block)
    return {
        "frames a second": frames / (network + decoder),
        "first frame ms": 1e3 * (encode + sum(made[0])),
        "block ms": 1e3 * (network + decoder),
        f"{WHOLE} latents s": encode + sum(begun[:more]) + max(0, more - early) * (network + decoder),
        "pass ms": 1e3 * network / (len(sampling.levels) + 1),
        "passes": len(sampling.levels) + 1,
        "network ms": 1e3 * network,
        "decoder ms": 1e3 * decoder,
        "encoder ms": 1e3 * encode,
        "peak MiB": torch.cuda.max_memory_allocated(where) / 2**20 if where.type == "cuda" else 0.0,
    }


def walk(
    net: StreamNet,
    vae: WanVAE,
    decode: Callable[..., Any],
    size: tuple[int, int],
    sampling: Sampling,
    blocks: int,
    eager: bool,
) -> tuple[float, list[tuple[float, float]]]:
    """Seconds to encode the picture; and of each block, those of the network and of the decoder."""
    weight, config = next(net.parameters()), net.config
    where, dtype = weight.device, weight.dtype
    picture = torch.rand(1, 1, 3, *size, device=where, dtype=dtype)
    context = torch.randn(1, CLIP, config.context, device=where, dtype=dtype) if config.context else None
    encode, image = timed(lambda: vae.encode(picture)[0][:, 0], where)
    latent = tuple(image.shape[-2:])
    cache = begin(config, 1, latent, device=where, dtype=dtype)
    decoded, made, network = None, [], net if eager else Replays(net)
    for block in range(blocks):
        own = held(len(block_frames(block, config.rule.block)), config, where, dtype)

        def step(cache: Any = cache, own: Actions = own) -> tuple[Tensor, Any]:
            return next_block(
                network, cache, own, image, size=latent, seed=0, sampling=sampling, context=context
            )

        spent, (x, cache) = timed(step, where)
        decoding, (_, decoded) = timed(lambda x=x, decoded=decoded: decode(x, decoded), where)
        made.append((spent, decoding))
    return encode, made


def held(frames: int, config: StreamConfig, where: torch.device, dtype: torch.dtype) -> Actions:
    """W, looking right."""
    keys = torch.zeros(1, frames, len(config.mode.keys), device=where, dtype=dtype)
    keys[..., 0] = 1
    return Actions(keys, torch.tensor([0.0, 0.1], device=where, dtype=dtype).expand(1, frames, 2))


def timed(run: Callable[[], Any], where: torch.device) -> tuple[float, Any]:
    """Seconds until the device is done, and what came of it."""
    sync = torch.cuda.synchronize if where.type == "cuda" else lambda: None
    sync()
    begun = time.perf_counter()
    result = run()
    sync()
    return time.perf_counter() - begun, result


if __name__ == "__main__":
    main()
