"""How the small autoencoder is trained: clips of a world's own frames, held on the device."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.data.episodes import Episodes, Jpegs, loaded, take, windows
from tween.engine import distributed
from tween.engine.optim import Optim
from tween.engine.run import Run
from tween.metrics import psnr
from tween.models.stream.vae_task import VaeTask, VaeWeights
from tween.nn.vae import SMALL, WanConfig, WanVAE
from tween.nn.vae.linear import Linear
from tween.zoo.load import place

SHOWN = 6  # frames of a clip in a picture
MEASURED = 16  # batches, whose principal components an autoencoder begins with


def vae(
    *,
    batch: Callable[[int], Tensor],
    held: Tensor | None = None,
    config: WanConfig = SMALL,
    weights: VaeWeights | None = None,
    name: str = "vae-small",
    device: str = "auto",
    steps: int = 20_000,
    batch_size: int = 16,
    learn: int = 17,
    lr: float = 5e-4,
    precision: str = "bf16",
    ema: float = 0.999,
    compiled: bool = False,
    minutes: float | None = None,
    eval_interval: int = 1000,
    seed: int = 0,
    runs: Path = Path("runs"),
) -> Run:
    """A run of the autoencoder.

    Args:
        batch: index -> clips `b t 3 h w` in [0, 1] on the device, t = 1 + 4m; see `clips`.
        held: clips that are not trained on; the best weights are kept by their PSNR. They should be longer than those
            trained on, since a session is.
        batch_size: of `batch`; only the logged throughput depends on it.
        learn: frames of a clip that are learned at a time; clips of `batch` should be several times as long (see
            `VaeTask`).
        lr: the peak. Higher is worse: one batch of Doom fitted for 200 steps came to 26.8 dB with 5e-4, 26.4 with 1e-3,
            23.2 with 2e-3, and with 5e-3 to less than its mean colour.
    """
    distributed.start()
    where = place(device)
    torch.manual_seed(seed)  # a run is a function of its arguments
    net = WanVAE(config)
    if net.linear is not None:
        net.linear.measure(cells(net.linear, batch(i)[:, :learn]) for i in range(MEASURED))
    wrap = partial(torch.compile, dynamic=False) if compiled else lambda f: f
    task = VaeTask(net, weights, learn=learn, compile_=wrap)
    task.modules.to(where)
    return Run(
        name=name,
        task=task,
        batch=batch,
        batch_size=batch_size,
        steps=steps,
        optim=Optim(lr=lr, min_lr=lr / 50, warmup=min(500, steps // 10), betas=(0.9, 0.99)),
        precision=precision,
        ema=ema,
        seed=seed,
        validate=None if held is None else partial(fidelity, clips=held),
        best_key=None if held is None else "psnr",
        pictures=None if held is None else partial(pictures, clip=held[:1]),
        eval_interval=eval_interval,
        minutes=minutes,
        runs=runs,
        about={"frames learned at a time": learn},
    )


def cells(linear: Linear, clip: Tensor) -> Tensor:
    """What `linear` measures of clips `b t 3 h w`: all cells but those of the first frame, `m cell`."""
    return linear.cells(2 * clip.transpose(0, 1)[1:] - 1, first=False).movedim(2, -1).flatten(0, 3)


def clips(
    episodes: Episodes, *, length: int, batch_size: int, seed: int = 0, device: str = "auto", stride: int = 1
) -> Callable[[int], Tensor]:
    """index -> `b t 3 h w` in [0, 1]: windows of `length` frames from anywhere in `episodes`, which are kept, decoded,
    on the device as bytes.

    Args:
        stride: of the first frames that a window may have.

    Raises:
        TweenError: if no window is so long, or `length` is not 1 + 4m.
    """
    if length % 4 != 1:
        raise TweenError(f"clips of an autoencoder should have 1 + 4m frames, but got {length}; try 65")
    frames = pixels(episodes, device)
    places = torch.from_numpy(windows(episodes, length, stride=stride))

    def batch(index: int) -> Tensor:
        g = torch.Generator().manual_seed(random.Random(f"{seed}/{index}").getrandbits(63))
        chosen = places[torch.randint(len(places), (batch_size,), generator=g)]
        episode, first = chosen.to(frames.device, non_blocking=True).T  # else every step would wait
        picked = frames[episode[:, None], first[:, None] + torch.arange(length, device=frames.device)]
        return picked.movedim(-1, 2).float() / 255

    return batch


def sample(episodes: Episodes, *, length: int, count: int = 4, device: str = "auto") -> Tensor:
    """`count` clips `b t 3 h w` of held-out episodes, evenly taken, on the device."""
    places = windows(episodes, length, stride=length)
    chosen = places[np.linspace(0, len(places) - 1, min(count, len(places))).astype(int)]
    return take(episodes, chosen, length).frames.to(place(device)).movedim(-1, 2).float() / 255


def pixels(episodes: Episodes, device: str = "auto") -> Tensor:
    """All frames decoded, on the device: `n f h w 3` bytes. Where they are there already, they are not copied."""
    frames = episodes.frames
    if not isinstance(frames, Tensor):
        frames = torch.from_numpy(loaded(episodes) if isinstance(frames, Jpegs) else np.asarray(frames))
    return frames.to(place(device))


@torch.no_grad()
def fidelity(modules: nn.ModuleDict, step: int, *, clips: Tensor) -> dict[str, float]:
    """Mean PSNR in dB of frames encoded and decoded as in a session, and of the last quarter of each clip, where what
    was remembered counts most; deviation of the normalised latents, which should be 1."""
    vae: WanVAE = modules["vae"]
    found, deviation = [], []
    for clip in clips.split(1):
        latents, _ = vae.encode(clip)
        made, _ = vae.decode(latents)
        found.append(psnr(made[0], clip[0]))
        deviation.append(latents.float().square().mean().sqrt())
    values = torch.stack(found)
    late = values[:, -max(1, values.shape[1] // 4) :]
    spread = torch.stack(deviation).mean()
    return {"psnr": values.mean().item(), "psnr_late": late.mean().item(), "latents": spread.item()}


@torch.no_grad()
def pictures(modules: nn.ModuleDict, step: int, *, clip: Tensor) -> dict[str, Tensor]:
    """`clip` `1 t 3 h w`: some of its frames, below them what became of them, and five times the difference."""
    vae: WanVAE = modules["vae"]
    made, _ = vae.decode(vae.encode(clip)[0])
    chosen = torch.linspace(0, clip.shape[1] - 1, min(SHOWN, clip.shape[1])).long().to(clip.device)
    truth, made = clip[0, chosen], made[0, chosen].float()
    rows = (truth, made, (5 * (made - truth).abs()).clamp(max=1))
    return {"clip": torch.cat([torch.cat([*row], -1) for row in rows], -2)}
