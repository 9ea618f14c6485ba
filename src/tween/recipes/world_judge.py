"""What a world of Doom is worth, on episodes that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from tween.data.episodes import Episodes, take, windows
from tween.evaluate import drift as drifting
from tween.evaluate import world as judges
from tween.evaluate.world import ORDERS, Thresholds, World
from tween.models.stream.actions import Actions
from tween.models.stream.follow import follow
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling
from tween.nn.vae import WanVAE
from tween.nn.vae.wan import channels_last

BEFORE, AFTER = 9, 18  # frames seen, and a second of them made
BLOCK = 12  # frames of one


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """Episodes to judge by.

    Attributes:
        orders: order -> places of windows of `BEFORE + AFTER` frames, of episodes that thresholds do not come from.
        thresholds: calibrated on the other half of the episodes.
        real: share of the real rollouts that the judge takes for what they are.
        blocks: places of windows of `BEFORE + BLOCK` frames, of all kinds.
    """

    episodes: Episodes
    orders: Mapping[str, np.ndarray]
    thresholds: Thresholds
    real: float
    blocks: np.ndarray


def held(episodes: Episodes, *, rollouts: int, blocks: int) -> Held:
    """Half of `episodes` (in memory, at least two) calibrate, the other half test.

    Raises:
        TweenError: if a half holds none of some order.
    """
    first, then = (
        part(episodes, slice(0, len(episodes) // 2)),
        part(episodes, slice(len(episodes) // 2, None)),
    )
    real = {name: _real(first, places) for name, places in _orders(first, rollouts).items()}
    thresholds, orders = judges.calibrate(real), _orders(then, rollouts)
    known = judges.obeys({name: _real(then, places) for name, places in orders.items()}, thresholds).right
    some = judges.spread(windows(then, BEFORE + BLOCK, stride=BLOCK), blocks)
    return Held(episodes=then, orders=orders, thresholds=thresholds, real=known, blocks=some)


def _orders(episodes: Episodes, rollouts: int) -> dict[str, np.ndarray]:
    found = judges.orders(episodes, before=BEFORE, after=AFTER)
    return {name: judges.spread(places, rollouts // len(ORDERS)) for name, places in found.items()}


def _real(episodes: Episodes, places: np.ndarray) -> Tensor:
    return judges.measured(None, episodes, places, before=BEFORE, after=AFTER)


def part(episodes: Episodes, some: slice) -> Episodes:
    """Some of the episodes, sharing memory."""
    arrays = {
        name: getattr(episodes, name)[some] for name in ("frames", "keys", "mouse", "pose", "cuts", "about")
    }
    return replace(episodes, **arrays)


def going_on(net: StreamNet, vae: WanVAE, sampling: Sampling, *, seed: int = 0) -> World:
    """Network and autoencoder as a world that the judges of `tween.evaluate.world` ask."""
    where = next(net.parameters()).device

    def world(seen: Tensor, keys: Tensor, mouse: Tensor) -> Tensor:
        actions = Actions(keys.to(where), mouse.to(where))
        frames = keys.shape[1] - seen.shape[1]
        return follow(net, vae, seen.to(where), actions, frames=frames, sampling=sampling, seed=seed)

    return world


def measured(world: World, on: Held, *, batch: int = 32) -> dict[str, float]:
    """`obeyed`, share of the held-out rollouts that look like their order; PSNR of one block in dB: `psnr`, of the last
    frame `repeated`, and `turned` as the mouse says."""
    seen = {
        name: judges.measured(world, on.episodes, places, before=BEFORE, after=AFTER, batch=batch)
        for name, places in on.orders.items()
    }
    verdict = judges.obeys(seen, on.thresholds)
    errors = judges.foresight(world, on.episodes, on.blocks, before=BEFORE, after=BLOCK, batch=batch)
    names = {"world": "psnr", "repeated": "repeated", "turned": "turned"}
    return {"obeyed": verdict.right} | {names[k]: judges.decibels(e) for k, e in errors.items()}


def lasting(
    world: World, on: Held, vae: WanVAE, *, early: int, late: int, count: int, batch: int = 32
) -> tuple[drifting.Drift, Tensor]:
    """How pictures about frame `early` of walks from one picture differ from those about frame `late`, and the first
    walk, `late 3 h w`.

    Args:
        late: frames of a walk, whose actions are those of held-out episodes, from anywhere in them on.
        count: walks; of each, `SPAN` frames count, early and late.
    """
    real, span, parts, walks = on.episodes, min(SPAN, early), [], []
    f = real.keys.shape[1]
    places = [(i % len(real), 97 * i % max(1, f - late)) for i in range(count)]
    for begin in range(0, count, batch):
        some = places[begin : begin + batch]
        first = torch.from_numpy(np.stack([real.frames[n, i : i + 1] for n, i in some]))
        keys, mouse = (
            torch.from_numpy(np.stack([_from(x[n], i, late) for n, i in some]))
            for x in (real.keys, real.mouse)
        )
        made = world(first.movedim(-1, 2).float() / 255, keys, mouse).float().nan_to_num()
        parts.append([made[:, end - span : end].flatten(0, 1).cpu() for end in (early, late - 1)])
        walks = walks or [made[0].cpu()]
    near, far = (torch.cat(x) for x in zip(*parts, strict=True))
    shown = take(real, judges.spread(windows(real, 1), len(near)), 1).frames[:, 0]
    truth = shown.movedim(-1, 1).float() / 255
    return drifting.drift(near, far, truth, features(vae)), walks[0]


def undrifted(episodes: Episodes, vae: WanVAE, *, count: int) -> drifting.Drift:
    """What `lasting` would say of the game itself: of `count` clips of every other episode beside frames of the others,
    as they are (`early`) and as they come back from the autoencoder (`late`)."""
    some, others = part(episodes, slice(0, None, 2)), part(episodes, slice(1, None, 2))
    clips = take(some, judges.spread(windows(some, SPAN + 2, stride=SPAN), count), SPAN + 2).frames
    back = torch.cat([_back(clip[None], vae) for clip in clips])
    shown = take(others, judges.spread(windows(others, 1), len(back)), 1).frames[:, 0]
    clips, shown = (x.movedim(-1, -3).float() / 255 for x in (clips[:, 2:].flatten(0, 1), shown))
    return drifting.drift(clips, back, shown, features(vae))


@torch.inference_mode()
def _back(clip: Tensor, vae: WanVAE) -> Tensor:
    """The last frames of `1 f h w 3`, encoded and decoded."""
    frames = clip.movedim(-1, 2).to(vae.mean) / 255
    return vae.decode(vae.encode(frames)[0])[0][0, 2:].clamp(0, 1).float().cpu()


def shown(world: World, on: Held, name: str) -> dict[str, Tensor]:
    """For a contact sheet: of each order one real rollout, and what the world makes of it."""
    rows = {}
    for order, places in on.orders.items():
        window = take(on.episodes, places[len(places) // 2 :][:1], BEFORE + AFTER)
        frames = window.frames.movedim(-1, 2).float() / 255
        rows[f"{order}: real"] = frames[0, BEFORE:]
        rows[f"{order}: {name}"] = world(frames[:, :BEFORE], window.keys, window.mouse)[0].float().cpu()
    return rows


SPAN = 35  # frames, two seconds


def _from(x: np.ndarray, first: int, count: int) -> np.ndarray:
    """`count` rows from `first` on, beginning again at the end."""
    return np.take(x, np.arange(first, first + count), 0, mode="wrap")


def features(vae: WanVAE) -> drifting.Features:
    """Pictures -> mean and deviation over the picture of what the encoder sees in its coarsest layer."""
    where, dtype = vae.mean.device, vae.mean.dtype

    def seen(frames: Tensor) -> Tensor:
        x = torch.nn.functional.pixel_unshuffle(frames[None].to(where, dtype) * 2 - 1, vae.config.patch)
        x = channels_last(x.contiguous())
        for layer in list(vae.encoder)[:-2]:
            x, _ = layer(x)
        return torch.cat((x[0].float().mean((2, 3)), x[0].float().std((2, 3))), 1)

    return seen


def validation(
    vae: WanVAE, on: Held, sampling: Sampling, *, least: float = 0.0, walks: int = 16, frames: int = 175
) -> Callable[[nn.ModuleDict, int], dict[str, float]]:
    """What `Run.validate` wants of a network: `measured`, the Frechet distance of `walks` walks after `frames` frames,
    and `kept`: minus that distance, and far less where fewer than `least` of the rollouts obey."""

    def validate(modules: nn.ModuleDict, step: int) -> dict[str, float]:
        net = uncompiled(modules["net"], vae.mean.dtype)
        world = going_on(net, vae, sampling)
        found = measured(world, on)
        stays, _ = lasting(world, on, vae, early=frames // 2, late=frames, count=walks)
        far = stays.frechet[1]
        return found | {"frechet": far, "kept": -far - (1e6 if found["obeyed"] < least else 0.0)}

    return validate


def uncompiled(net: StreamNet, dtype: torch.dtype) -> StreamNet:
    """A copy to sample with: of a compiled block, other shapes would be compiled anew."""
    copy = StreamNet(net.config)
    copy.load_state_dict({k.replace("_orig_mod.", ""): v for k, v in net.state_dict().items()})
    return copy.to(next(net.parameters()).device, dtype).eval()
